/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two supervisors that answer system calls of a program: by seccomp notifications, and by ptrace(2) where a seccomp filter
 * stops the call. Of a file that the program does not hold, under a number that is none of its descriptors, they read and
 * write on its behalf; port 80 they bind. Both check who calls, what, and where to, before they do it.
 */
#include "peers.h"

#include "../notify/supervisor.h"

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

/* The number that stands for the disk; the hard limit on descriptors is above, but nobody opens as many. */
#define LENT 4000

static pid_t holder;
static int lent_disk = -1;

static long transfer(const struct caller *caller)
{
	static char bytes[LARGEST];
	size_t size = caller->arguments[2];
	uint64_t offset = caller->arguments[3];
	struct iovec local = { .iov_base = bytes, .iov_len = size };
	struct iovec remote = { .iov_base = (void *)caller->arguments[1], .iov_len = size };
	ssize_t count;

	if (caller->pid != holder || caller->arguments[0] != LENT)
		return -EACCES;
	if (size > LARGEST || offset > LENGTH || size > LENGTH - offset)
		return -EPERM;
	if (caller->number == SYS_pwrite64) {
		if (process_vm_readv(caller->pid, &local, 1, &remote, 1, 0) != (ssize_t)size || !still_waits(caller))
			return -EFAULT;
		count = pwrite(lent_disk, bytes, size, (off_t)offset);
		return count < 0 ? -errno : count;
	}
	count = pread(lent_disk, bytes, size, (off_t)offset);
	if (count < 0)
		return -errno;
	local.iov_len = (size_t)count;
	if (!still_waits(caller) || process_vm_writev(caller->pid, &local, 1, &remote, 1, 0) != count)
		return -EFAULT;
	return count;
}

static long answer(const struct caller *caller)
{
	if (caller->number == SYS_bind)
		return caller->pid == holder ? bind_for(caller, &port_80) : -EACCES;
	if (caller->number == SYS_pread64 || caller->number == SYS_pwrite64)
		return transfer(caller);
	return -ENOSYS;
}

/* bind(2), and reading and writing at the lent number. */
static int trap(uint32_t action)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bind, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pread64, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pwrite64, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, LENT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return install(code, sizeof(code), action == SECCOMP_RET_USER_NOTIF);
}

/* Waits for the client's number, and prepares what both supervisors need. */
static void await_client(int socket)
{
	lent_disk = open(needed("PEERS_DISK"), O_RDWR | O_CLOEXEC);
	if (lent_disk < 0 || read(socket, &holder, sizeof(holder)) != sizeof(holder))
		_exit(1);
	own_network();
}

/* A supervisor and the socket to it. */
static void prepare(struct way *way, void (*serve)(int socket))
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		die("socketpair");
	if (server(way) == 0) {
		close(pair[0]);
		await_client(pair[1]);
		serve(pair[1]);
		_exit(0);
	}
	close(pair[1]);
	way->socket = pair[0];
}

static void announce(const struct way *way)
{
	pid_t own = getpid();

	expect(write(way->socket, &own, sizeof(own)), sizeof(own), "the supervisor");
	held.disk = LENT;
}

static int offers(const struct task *task)
{
	return at_once(task) && (on_disk(task) || task->operation == BIND_PORT);
}

static void perform(const struct task *task)
{
	if (task->operation == BIND_PORT)
		bind_port(task);
	else
		operate_plainly(task);
}

static void serve_notifications(int socket)
{
	supervise(pass(socket, -1), answer);
}

static void prepare_notify(struct way *way)
{
	prepare(way, serve_notifications);
}

static void open_notify(struct way *way)
{
	announce(way);
	if (pass(way->socket, trap(SECCOMP_RET_USER_NOTIF)))
		die("seccomp");
}

struct way notify = { .name = "seccomp notify supervisor", .prepare = prepare_notify, .open = open_notify,
		      .offers = offers, .perform = perform, .release = close_acquired };

#ifdef __x86_64__
static void serve_stops(int socket)
{
	struct user_regs_struct registers;
	int status;

	if (ptrace(PTRACE_SEIZE, holder, 0, PTRACE_O_TRACESECCOMP) || write(socket, "", 1) != 1)
		_exit(1);
	while (waitpid(holder, &status, __WALL) == holder && WIFSTOPPED(status)) {
		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8)) {
			uint64_t arguments[6];
			struct caller caller = { .pid = holder, .arguments = arguments, .listener = -1 };

			if (ptrace(PTRACE_GETREGS, holder, 0, &registers))
				continue;
			memcpy(arguments, (uint64_t[]){ registers.rdi, registers.rsi, registers.rdx, registers.r10,
							registers.r8, registers.r9 }, sizeof(arguments));
			caller.number = (int)registers.orig_rax;
			registers.rax = (unsigned long long)answer(&caller);
			/* No call: what is in rax is the result. */
			registers.orig_rax = (unsigned long long)-1;
			if (ptrace(PTRACE_SETREGS, holder, 0, &registers))
				continue;
			ptrace(PTRACE_CONT, holder, 0, 0);
		} else {
			ptrace(PTRACE_CONT, holder, 0, status >> 16 ? 0 : WSTOPSIG(status));
		}
	}
}

static void prepare_traced(struct way *way)
{
	prepare(way, serve_stops);
}

static void open_traced(struct way *way)
{
	char byte;

	announce(way);
	if (read(way->socket, &byte, 1) != 1)
		cannot(way, "the supervisor may not trace its client");
	else if (trap(SECCOMP_RET_TRACE) < 0)
		die("seccomp");
}
#else
static void prepare_traced(struct way *way)
{
	cannot(way, "written for x86-64 only");
}

static void open_traced(struct way *way)
{
	(void)way;
}
#endif

struct way traced = { .name = "ptrace supervisor", .prepare = prepare_traced, .open = open_traced, .offers = offers,
		      .perform = perform, .release = close_acquired };
