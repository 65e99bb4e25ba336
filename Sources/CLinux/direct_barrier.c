/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The barrier of a revoke. A thread that is stopped by ptrace(2) leaves the system call that it waits in, and restarts it
 * when it goes on (signal(7), "Interruption of system calls"): through the hook, which refuses it by then. No handler of
 * the program's runs and nothing of the object is touched.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
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

/* The state of a thread as proc(5) has it, or 0: it has ended. */
static char state_of(pid_t process, pid_t thread)
{
	char path[64];
	char text[512];
	char *end;
	FILE *file;
	size_t got;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", process, thread);
	file = fopen(path, "re");
	if (!file)
		return 0;
	got = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[got] = 0;
	end = strrchr(text, ')');
	return end && end[1] == ' ' ? end[2] : 0;
}

static void rest(void)
{
	const struct timespec pause = { .tv_nsec = 200000 };

	nanosleep(&pause, NULL);
}

/* Waits for the stop that INTERRUPT leads to, or another one. 1: it stopped, or has ended; `signal` was to be delivered. */
static int wait_for_stop(pid_t thread, uint64_t deadline, int *signal)
{
	*signal = 0;
	for (;;) {
		int status;
		pid_t got = waitpid(thread, &status, __WALL | WNOHANG);

		if (got == thread) {
			if (WIFSTOPPED(status) && status >> 16 == 0)
				*signal = WSTOPSIG(status);
			return 1;
		}
		if (got < 0 && errno != EINTR)
			return 1;
		if (direct_now() >= deadline)
			return 0;
		rest();
	}
}

/* 0: it has been through the checks again; -errno: it could not be sent. */
static int send_back(pid_t thread, uint64_t deadline)
{
	int signal;

	/* Somebody else traces it: EPERM. */
	if (ptrace(PTRACE_SEIZE, thread, 0, 0) != 0)
		return errno == ESRCH ? 0 : -errno;
	if (ptrace(PTRACE_INTERRUPT, thread, 0, 0) != 0 && errno != ESRCH)
		return -errno;
	/* It may wait uninterruptibly; it is let go when this thread, its tracer, ends (ptrace(2)). */
	if (!wait_for_stop(thread, deadline, &signal))
		return -ETIMEDOUT;
	ptrace(PTRACE_DETACH, thread, 0, (long)signal);
	return 0;
}

struct visited {
	pid_t *threads;
	size_t count;
	size_t capacity;
};

static int has_visited(const struct visited *visited, pid_t thread)
{
	for (size_t i = 0; i < visited->count; i++)
		if (visited->threads[i] == thread)
			return 1;
	return 0;
}

static int visit(struct visited *visited, pid_t thread)
{
	if (visited->count == visited->capacity) {
		size_t capacity = visited->capacity ? 2 * visited->capacity : 64;
		pid_t *threads = realloc(visited->threads, capacity * sizeof(*threads));

		if (!threads)
			return -ENOMEM;
		visited->threads = threads;
		visited->capacity = capacity;
	}
	visited->threads[visited->count++] = thread;
	return 0;
}

/* One look at the threads: how many new ones it found, or -errno. */
static int sweep(const char *path, struct visited *visited, uint64_t deadline, uint32_t *left)
{
	struct dirent *entry;
	DIR *folder = opendir(path);
	int found = 0;

	if (!folder)
		return errno == ENOENT ? -ESRCH : -errno;
	while ((entry = readdir(folder))) {
		pid_t thread = (pid_t)atoi(entry->d_name);

		if (thread <= 0 || has_visited(visited, thread))
			continue;
		if (visit(visited, thread) != 0) {
			closedir(folder);
			return -ENOMEM;
		}
		found++;
		if (send_back(thread, deadline) != 0)
			(*left)++;
	}
	closedir(folder);
	return found;
}

/* A thread that is stopped, by a signal or by its tracer, has left its system call, as one has that ended. */
static int all_have_stopped(pid_t pid, const struct visited *visited)
{
	for (size_t i = 0; i < visited->count; i++) {
		char state = state_of(pid, visited->threads[i]);

		if (state != 'T' && state != 't' && state != 'Z' && state != 'X' && state != 0)
			return 0;
	}
	return 1;
}

/* The same where somebody else traces the process: stopped as from a keyboard, and let go on. */
static int stop_and_go_on(pid_t pid, const struct visited *visited, uint64_t deadline)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int stopped;

	if (pidfd < 0)
		return errno == ESRCH ? 0 : -errno;
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGSTOP, NULL, 0) != 0) {
		int error = errno;

		close(pidfd);
		return error == ESRCH ? 0 : -error;
	}
	while (!(stopped = all_have_stopped(pid, visited)) && direct_now() < deadline)
		rest();
	syscall(SYS_pidfd_send_signal, pidfd, SIGCONT, NULL, 0);
	close(pidfd);
	return stopped ? 0 : -ETIMEDOUT;
}

/* Every thread that is there, until a look finds no new one: a thread that began later began after the revoke. */
int clinux_direct_barrier(pid_t pid, uint64_t deadline, uint32_t *left)
{
	struct visited visited = { .count = 0 };
	char path[64];
	int found;

	*left = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	do
		found = sweep(path, &visited, deadline, left);
	while (found > 0 && direct_now() < deadline);
	if (found == 0 && *left && stop_and_go_on(pid, &visited, deadline) == 0)
		*left = 0;
	free(visited.threads);
	if (found < 0)
		return found;
	return *left || found > 0 ? -ETIMEDOUT : 0;
}
