/* SPDX-License-Identifier: Apache-2.0 */
/* Threads, forks, execs and ends of a holder. */
#include "attacks.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

/* The first where an inode has one number for stat(2) and for the kernel, the second where set-user-ID works. */
#define COPY "/dev/shm/doors"
#define SET_USER_ID "/doors-as-root"
#define READ_AGAIN "--read"

static int device;
static char page[64];
static struct postern_association *record;

static long read_it(void)
{
	return ERR(pread(device, page, sizeof(page), 0));
}

/* What a program of ours that is executed does: its exit status is 0, or the errno of its read. */
int read_after_exec(const char *descriptor)
{
	long result = ERR(pread(atoi(descriptor), page, sizeof(page), 0));

	return result < 0 ? (int)-result : 0;
}

static long executed(const char *path)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", device);
	execl(path, "doors", READ_AGAIN, number, (char *)NULL);
	return -errno;
}

static long ended(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -ECHILD;
	return -(long)WEXITSTATUS(status);
}

/* Starts the only holder there is, with this rule in its `record`; it waits until it is let go. */
static void start_holder(struct actor *actor, long (*act)(void *), uint8_t on_fork)
{
	uint32_t number;

	clear();
	default_limits();
	define_object(OBJECT, POSTERN_KIND_BUS);
	actor_start(actor, act, NULL);
	number = associate(actor->pid, OBJECT, OP(READ));
	keep_if_owned(number);
	record = &stand.records[number];
	record->on_fork = on_fork;
}

static void let_go(struct actor *actor)
{
	hold(actor->pid, 0);
	actor_go(actor);
}

/* An act that execs, in a holder of its own: the status of what it executed. */
static long holder_that_ends(long (*act)(void *), uint8_t on_fork, uint8_t flags)
{
	struct actor actor;

	start_holder(&actor, act, on_fork);
	record->flags = flags;
	let_go(&actor);
	close(actor.go);
	close(actor.result);
	return ended(actor.pid);
}

static long holder(long (*act)(void *), uint8_t on_fork)
{
	struct actor actor;

	start_holder(&actor, act, on_fork);
	let_go(&actor);
	return actor_end(&actor);
}

static long just_read(void *context)
{
	(void)context;
	return read_it();
}

static void *read_in_thread(void *context)
{
	*(long *)context = read_it();
	return NULL;
}

static long in_a_thread(void *context)
{
	long result = -ECHILD;
	pthread_t thread;

	(void)context;
	pthread_create(&thread, NULL, read_in_thread, &result);
	pthread_join(thread, NULL);
	return result;
}

static long forked(void *context)
{
	return in_child(just_read, context);
}

static long forked_twice(void *context)
{
	return in_child(forked, context);
}

/* The one between ends before its child reads. */
static long orphaned(void *context)
{
	long *result = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t between = fork();

	(void)context;
	*result = -ETIME;
	if (between == 0) {
		if (fork() == 0) {
			while (getppid() == getpgrp())
				usleep(1000);
			usleep(30000);
			*result = read_it();
			_exit(0);
		}
		_exit(0);
	}
	waitpid(between, NULL, 0);
	for (int i = 0; i < 500 && *(volatile long *)result == -ETIME; i++)
		usleep(5000);
	return *result;
}

static int read_in_clone(void *context)
{
	*(long *)context = read_it();
	return 0;
}

static long cloned(int flags)
{
	static char stack[65536];
	long result = -ECHILD;
	pid_t pid = clone(read_in_clone, stack + sizeof(stack), flags | SIGCHLD, &result);

	waitpid(pid, NULL, 0);
	return result;
}

static long cloned_memory(void *context)
{
	(void)context;
	return cloned(CLONE_VM);
}

static long vforked(void *context)
{
	(void)context;
	return cloned(CLONE_VM | CLONE_VFORK);
}

static long clone3_child(void *context)
{
	struct clone_args arguments = { .exit_signal = SIGCHLD };
	long *result = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long pid = syscall(SYS_clone3, &arguments, sizeof(arguments));

	(void)context;
	if (pid == 0) {
		*result = read_it();
		_exit(0);
	}
	waitpid((pid_t)pid, NULL, 0);
	return *result;
}

static long spawned(void *context)
{
	char number[16], *arguments[] = { "doors", READ_AGAIN, number, NULL };
	pid_t pid;

	(void)context;
	snprintf(number, sizeof(number), "%d", device);
	if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environ))
		return -ECHILD;
	return ended(pid);
}

static long exec_leader(void *context)
{
	(void)context;
	return executed(COPY);
}

static void *exec_in_thread(void *context)
{
	(void)context;
	executed("/proc/self/exe");
	return NULL;
}

static long exec_thread(void *context)
{
	pthread_t thread;

	(void)context;
	pthread_create(&thread, NULL, exec_in_thread, NULL);
	pthread_join(thread, NULL);
	return 0;
}

static long exec_set_user_id(void *context)
{
	(void)context;
	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return -EPERM;
	return executed(SET_USER_ID);
}

/* The child of a holder, and what it executes. */
static long child_execs(void *context)
{
	pid_t pid = fork();

	(void)context;
	if (pid == 0) {
		if (read_it() < 0)
			_exit(1);
		executed(COPY);
		_exit(2);
	}
	_exit((int)-ended(pid));
}

static long result_of_thread = -ETIME;

static void *read_without_leader(void *context)
{
	int result = *(int *)context;
	long value;

	usleep(50000);
	value = read_it();
	if (write(result, &value, sizeof(value)) != sizeof(value))
		result_of_thread = -EIO;
	usleep(10000);
	syscall(SYS_exit_group, 0);
	return NULL;
}

/* The leader ends first; what the other thread gets comes through a pipe that this process reads. */
static long test_without_leader(void)
{
	int result[2];
	long value = -ETIME;
	struct postern_process process;
	pid_t pid;
	int go[2];

	clear();
	default_limits();
	define_object(OBJECT, POSTERN_KIND_BUS);
	if (pipe(result) || pipe(go))
		die("pipe");
	pid = fork();
	if (pid == 0) {
		pthread_t thread;
		char byte;

		if (read(go[0], &byte, 1) != 1)
			_exit(1);
		pthread_create(&thread, NULL, read_without_leader, &result[1]);
		syscall(SYS_exit, 0);
	}
	/* Named when the leader has ended: the broker may come that late. */
	if (write(go[1], "", 1) != 1)
		die("pipe");
	usleep(20000);
	identify(pid, &process);
	associate_process(&process, OBJECT, OP(READ));
	hold(pid, 0);
	close(result[1]);
	if (read(result[0], &value, sizeof(value)) != sizeof(value))
		value = -EIO;
	waitpid(pid, NULL, 0);
	close(result[0]);
	close(go[0]);
	close(go[1]);
	return value;
}

/* Another process with the number of a holder that has ended. */
static long test_number_again(void)
{
	struct clone_args arguments = { .exit_signal = SIGCHLD, .set_tid_size = 1 };
	pid_t pid = fork();
	long result;

	clear();
	define_object(OBJECT, POSTERN_KIND_BUS);
	if (pid == 0) {
		pause();
		_exit(0);
	}
	associate(pid, OBJECT, OP(READ));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	arguments.set_tid = (uint64_t)&pid;
	result = syscall(SYS_clone3, &arguments, sizeof(arguments));
	if (result == 0)
		_exit(read_it() < 0 ? errno : 0);
	if (result != pid)
		return -EAGAIN;
	return ended(pid);
}

/* A holder that has ended before its child uses what it inherits, with a record that says so. */
static long test_departed(uint8_t state, uint64_t since)
{
	int *ready = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long *result = (long *)(ready + 16);
	pid_t pid;

	clear();
	default_limits();
	define_object(OBJECT, POSTERN_KIND_BUS);
	*result = -ETIME;
	pid = fork();
	if (pid == 0) {
		while (!*(volatile int *)ready)
			usleep(1000);
		if (fork() == 0) {
			while (*(volatile int *)ready < 2)
				usleep(1000);
			*result = read_it();
			*(volatile int *)ready = 3;
		}
		_exit(0);
	}
	record = &stand.records[associate(pid, OBJECT, OP(READ))];
	record->on_fork = POSTERN_ON_FORK_INHERIT;
	hold(pid, 0);
	*(volatile int *)ready = 1;
	waitpid(pid, NULL, 0);
	record->state = state;
	record->flags = POSTERN_ASSOCIATION_DEPARTED;
	record->since = since;
	*(volatile int *)ready = 2;
	for (int i = 0; i < 500 && *(volatile int *)ready != 3; i++)
		usleep(5000);
	return *result;
}

static uint32_t bound_count(void)
{
	struct postern_direct_key key, next;
	uint32_t count = 0;
	int more = bpf_map_get_next_key(stand.bound, NULL, &next);

	for (; !more; more = bpf_map_get_next_key(stand.bound, &key, &next)) {
		key = next;
		count++;
	}
	return count;
}

static void set_application(const char *path)
{
	struct stat status;

	memset(&stand.applications[1], 0, sizeof(stand.applications[1]));
	if (!path)
		return;
	if (stat(path, &status))
		die(path);
	stand.applications[1].has_executable = 1;
	stand.applications[1].executable_inode = status.st_ino;
	stand.applications[1].executable_device = (uint32_t)(major(status.st_dev) << 20 | minor(status.st_dev));
}

static void test_execs(void)
{
	const uint8_t keep = POSTERN_ASSOCIATION_KEEP;

	if (system("cp \"$(readlink /proc/$PPID/exe)\" " COPY " && cp " COPY " " SET_USER_ID) || chmod(SET_USER_ID, 04755))
		die(COPY);
	expect("exec by the leader: a stranger", holder_that_ends(exec_leader, 0, 0), -EKEYEXPIRED);
	expect("exec by another thread: a stranger", holder_that_ends(exec_thread, 0, 0), -EKEYEXPIRED);
	set_application(NULL);
	expect("keep: exec by the leader goes on", holder_that_ends(exec_leader, 0, keep), 0);
	report(bound_count() == 1, "keep: one association was bound", "%u", bound_count());
	expect("keep: exec by another thread goes on", holder_that_ends(exec_thread, 0, keep), 0);
	set_application(COPY);
	expect("keep: the application's executable goes on", holder_that_ends(exec_leader, 0, keep), 0);
	set_application("/bin/true");
	expect("keep: another executable does not", holder_that_ends(exec_leader, 0, keep), -EKEYEXPIRED);
	set_application(NULL);
	expect("keep: set-user-ID does not", holder_that_ends(exec_set_user_id, 0, keep), -EKEYEXPIRED);
	expect("keep: the child that inherits goes on too",
	       holder_that_ends(child_execs, POSTERN_ON_FORK_INHERIT, keep), 0);
	report(bound_count() == 2, "keep: it was bound twice", "%u", bound_count());
}

void test_life(void)
{
	const uint8_t inherit = POSTERN_ON_FORK_INHERIT;

	device = open("/dev/zero", O_RDWR);
	if (device < 0 || tag(device, OBJECT, owner_to_name(), 0))
		die("/dev/zero");
	expect("threads share", holder(in_a_thread, 0), 0);
	expect("vfork: a stranger", holder(vforked, 0), -EKEYEXPIRED);
	expect("CLONE_VM: a stranger", holder(cloned_memory, 0), -EKEYEXPIRED);
	expect("clone3: a stranger", holder(clone3_child, 0), -EKEYEXPIRED);
	expect("posix_spawn: a stranger", holder(spawned, 0), -EKEYEXPIRED);
	expect("a double fork without the middle: a stranger", holder(orphaned, 0), -EKEYEXPIRED);
	expect("inherit: a child has one", holder(forked, inherit), 0);
	report(bound_count() == 1, "inherit: it was bound at its first use, once", "%u", bound_count());
	expect("inherit: a grandchild has one", holder(forked_twice, inherit), 0);
	report(bound_count() == 1, "inherit: the one between has none", "%u", bound_count());
	expect("inherit: a double fork without the middle has one", holder(orphaned, inherit), 0);
	expect("inherit: CLONE_VM has one", holder(cloned_memory, inherit), 0);
	expect("inherit: what is spawned and executes something is a stranger", holder(spawned, inherit), -EKEYEXPIRED);
	expect("deny: a child has none", holder(forked, POSTERN_ON_FORK_DENY), -EKEYEXPIRED);
	stand_detach("task_alloc");
	expect("twin, inherit without the hook that notes forks: refused", holder(forked, inherit), -EKEYEXPIRED);
	stand_attach("task_alloc");
	expect("departed: who was forked while it held inherits", test_departed(POSTERN_STATE_DEPARTED, 1), 0);
	expect("departed: who was forked before it held does not", test_departed(POSTERN_STATE_DEPARTED, UINT64_MAX),
	       -EKEYEXPIRED);
	expect("revoked: who was forked before does not inherit", test_departed(POSTERN_STATE_REVOKED, 1), -EKEYEXPIRED);
	test_execs();
	expect("a thread goes on after its leader", test_without_leader(), 0);
	expect("a process number given out again gives nothing", test_number_again(), -EKEYEXPIRED);
	close(device);
}
