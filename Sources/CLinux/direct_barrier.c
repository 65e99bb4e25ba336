/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The barrier of a revoke. A thread that is stopped by ptrace(2) leaves the system call that it waits in, and restarts it
 * when it goes on (signal(7), "Interruption of system calls"): through the hook, which refuses it by then. No handler of
 * the program's runs and nothing of the object is touched.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "direct.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/*
 * PTRACE_SEIZE waits for a mutex that a thread of the target holds while it execs (cred_guard_mutex), and that can be as long as
 * the target likes: it reads a file of its own FUSE server, or waits for the end of a lease, or of a thread that its tracer
 * does not let go. A signal ends the wait, but SEIZE is made again behind the handler (ERESTARTNOINTR), so the handler does not return.
 */
#define GIVE_UP (SIGRTMIN + 3)

struct patience {
	sigjmp_buf back;
	volatile sig_atomic_t is_waiting;
	uint64_t end;
	int timer;
	sigset_t before;
};

static pthread_once_t handler_once = PTHREAD_ONCE_INIT;

static void give_up(int number, siginfo_t *info, void *context)
{
	struct patience *patience = info->si_code == SI_TIMER ? info->si_value.sival_ptr : NULL;

	(void)number;
	(void)context;
	if (patience && patience->is_waiting)
		siglongjmp(patience->back, 1);
}

static void install_handler(void)
{
	struct sigaction action = { .sa_sigaction = give_up, .sa_flags = SA_SIGINFO };

	sigaction(GIVE_UP, &action, NULL);
}

/* The calling thread has a signal at `end`; without one, it has no patience. */
static void patience_begin(struct patience *patience, uint64_t end)
{
	struct itimerspec when = { .it_value = { .tv_sec = (time_t)(end / 1000000000u),
						 .tv_nsec = (long)(end % 1000000000u) } };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = GIVE_UP };
	sigset_t mine;

	pthread_once(&handler_once, install_handler);
	patience->is_waiting = 0;
	patience->end = end;
	event.sigev_value.sival_ptr = patience;
	event.sigev_notify_thread_id = (int)syscall(SYS_gettid);
	if (syscall(SYS_timer_create, CLOCK_BOOTTIME, &event, &patience->timer) != 0) {
		patience->end = 0;
		return;
	}
	sigemptyset(&mine);
	sigaddset(&mine, GIVE_UP);
	pthread_sigmask(SIG_UNBLOCK, &mine, &patience->before);
	syscall(SYS_timer_settime, patience->timer, TIMER_ABSTIME, &when, NULL);
}

/* In this order: a signal that is on its way comes before it is blocked again. */
static void patience_end(struct patience *patience)
{
	if (!patience->end)
		return;
	syscall(SYS_timer_delete, patience->timer);
	pthread_sigmask(SIG_SETMASK, &patience->before, NULL);
}

/* 0 or -errno. -ETIMEDOUT: the patience is at its end; who was seized in that moment is let go when this thread ends. */
static int seize(struct patience *patience, pid_t thread)
{
	volatile int result = -ETIMEDOUT;

	if (sigsetjmp(patience->back, 1) == 0) {
		patience->is_waiting = 1;
		if (direct_now() < patience->end)
			result = syscall(SYS_ptrace, PTRACE_SEIZE, thread, 0, 0) == 0 ? 0 : -errno;
	}
	patience->is_waiting = 0;
	return result;
}

/* The state of a thread as proc(5) has it; 0: it has ended; '?': it cannot be found out. */
static char state_of(pid_t process, pid_t thread)
{
	char path[64];
	char text[512];
	char *end;
	ssize_t got;
	int error;
	int file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", process, thread);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return errno == ENOENT || errno == ESRCH ? 0 : '?';
	got = read(file, text, sizeof(text) - 1);
	error = errno;
	close(file);
	if (got <= 0)
		return got < 0 && error == ESRCH ? 0 : '?';
	text[got] = 0;
	end = strrchr(text, ')');
	return end && end[1] == ' ' ? end[2] : '?';
}

static void rest(void)
{
	const struct timespec pause = { .tv_nsec = 200000 };

	nanosleep(&pause, NULL);
}

struct target {
	pid_t thread;
	int is_stopping; /* its stop is waited for */
};

struct visited {
	struct target *targets;
	size_t count;
	size_t capacity;
};

/* Begins to send a thread back. 1: it is to be waited for; 0: it has ended; -errno: it cannot be sent. */
static int interrupt(pid_t process, pid_t thread, struct patience *patience)
{
	int error = seize(patience, thread);

	/* EPERM: somebody else traces it, or it has ended and not gone, as a first thread does that ends before the others. */
	if (error == -EPERM) {
		const char state = state_of(process, thread);

		return state == 'Z' || state == 'X' || state == 0 ? 0 : error;
	}
	if (error != 0)
		return error == -ESRCH ? 0 : error;
	if (ptrace(PTRACE_INTERRUPT, thread, 0, 0) != 0 && errno != ESRCH)
		return -errno;
	return 1;
}

/* Lets a thread go on that has stopped, for INTERRUPT or another reason. 1: nothing is to be waited for any more. */
static int let_go_on(pid_t thread)
{
	int status;
	pid_t got = waitpid(thread, &status, __WALL | WNOHANG);

	if (got == thread && WIFSTOPPED(status)) {
		/* The signal that was to be delivered. */
		const long signal = status >> 16 == 0 ? WSTOPSIG(status) : 0;

		ptrace(PTRACE_DETACH, thread, 0, signal);
	}
	return got == thread || (got < 0 && errno != EINTR);
}

/* How many have not stopped by the deadline: each is let go on when it does, or when this thread, its tracer, ends (ptrace(2)). */
static uint32_t wait_for_stops(struct visited *visited, uint64_t deadline)
{
	for (;;) {
		uint32_t waited = 0;

		for (size_t i = 0; i < visited->count; i++) {
			struct target *target = &visited->targets[i];

			if (target->is_stopping && let_go_on(target->thread))
				target->is_stopping = 0;
			waited += target->is_stopping ? 1 : 0;
		}
		if (waited == 0 || direct_now() >= deadline)
			return waited;
		rest();
	}
}

static int has_visited(const struct visited *visited, pid_t thread)
{
	for (size_t i = 0; i < visited->count; i++)
		if (visited->targets[i].thread == thread)
			return 1;
	return 0;
}

static struct target *visit(struct visited *visited, pid_t thread)
{
	if (visited->count == visited->capacity) {
		size_t capacity = visited->capacity ? 2 * visited->capacity : 64;
		struct target *targets = realloc(visited->targets, capacity * sizeof(*targets));

		if (!targets)
			return NULL;
		visited->targets = targets;
		visited->capacity = capacity;
	}
	visited->targets[visited->count] = (struct target){ .thread = thread };
	return &visited->targets[visited->count++];
}

/* One look at the threads: how many new ones it found, or -errno. */
static int sweep(pid_t process, struct visited *visited, struct patience *patience, uint32_t *left)
{
	struct dirent *entry;
	char path[64];
	DIR *folder;
	int found = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", process);
	folder = opendir(path);
	if (!folder)
		return errno == ENOENT ? -ESRCH : -errno;
	while ((entry = readdir(folder))) {
		pid_t thread = (pid_t)atoi(entry->d_name);
		struct target *target;
		int result;

		if (thread <= 0 || has_visited(visited, thread))
			continue;
		target = visit(visited, thread);
		if (!target) {
			closedir(folder);
			return -ENOMEM;
		}
		found++;
		result = interrupt(process, thread, patience);
		target->is_stopping = result > 0;
		*left += result < 0 ? 1 : 0;
	}
	closedir(folder);
	return found;
}

/* A thread that is stopped, by a signal or by its tracer, has left its system call, as one has that ended. */
static uint32_t not_stopped(pid_t process, const struct visited *visited)
{
	uint32_t count = 0;

	for (size_t i = 0; i < visited->count; i++) {
		char state = state_of(process, visited->targets[i].thread);

		if (state != 'T' && state != 't' && state != 'Z' && state != 'X' && state != 0)
			count++;
	}
	return count;
}

/*
 * The same for a process that cannot be traced: stopped as from a keyboard, and let go on. How many threads have not been
 * there by the deadline, or -errno.
 */
static int stop_and_go_on(pid_t pid, const struct visited *visited, uint64_t deadline)
{
	uint32_t left;
	int pidfd;

	if (not_stopped(pid, visited) == 0)
		return 0;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return errno == ESRCH ? 0 : -errno;
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGSTOP, NULL, 0) != 0) {
		int error = errno;

		close(pidfd);
		return error == ESRCH ? 0 : -error;
	}
	while ((left = not_stopped(pid, visited)) && direct_now() < deadline)
		rest();
	syscall(SYS_pidfd_send_signal, pidfd, SIGCONT, NULL, 0);
	close(pidfd);
	return (int)left;
}

/* Every thread that is there, until a look finds no new one: a thread that began later began after the revoke. */
int clinux_direct_barrier(pid_t pid, uint64_t deadline, uint32_t *left)
{
	const uint64_t now = direct_now();
	struct visited visited = { .count = 0 };
	struct patience patience;
	uint32_t waited;
	int found;

	*left = 0;
	/* The other half is for the other way. */
	patience_begin(&patience, deadline > now ? now + (deadline - now) / 2 : now);
	do
		found = sweep(pid, &visited, &patience, left);
	while (found > 0 && direct_now() < deadline);
	patience_end(&patience);
	waited = wait_for_stops(&visited, deadline);
	/* What does not stop for a tracer does not for a signal, and the time is over. */
	*left += waited;
	if (found == 0 && *left > 0 && waited == 0) {
		int stuck = stop_and_go_on(pid, &visited, deadline);

		if (stuck >= 0)
			*left = (uint32_t)stuck;
	}
	free(visited.targets);
	if (found < 0)
		return found;
	return *left || found > 0 ? -ETIMEDOUT : 0;
}
