/* SPDX-License-Identifier: Apache-2.0 */
#include "barrier.h"

#include <dirent.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

/* 1: traced and let go, or ended by that, as a worker does; 0: it cannot be traced; -1: it had ended. */
static int interrupt(pid_t thread)
{
	int status;

	if (ptrace(PTRACE_SEIZE, thread, 0, 0))
		return errno == EPERM ? 0 : -1;
	if (ptrace(PTRACE_INTERRUPT, thread, 0, 0))
		return -1;
	if (waitpid(thread, &status, __WALL) != thread)
		return -1;
	if (WIFSTOPPED(status))
		ptrace(PTRACE_DETACH, thread, 0, 0);
	return 1;
}

static bool is_worker(pid_t pid, const char *thread)
{
	char path[320], name[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", pid, thread);
	file = fopen(path, "r");
	if (!file)
		return false;
	if (!fgets(name, sizeof(name), file))
		name[0] = 0;
	fclose(file);
	return !strncmp(name, "iou-", 4);
}

/* A thread that is made meanwhile begins what it does after the revoke. */
static void interrupt_all(pid_t pid, struct reached *reached)
{
	struct dirent *entry;
	char path[64];
	DIR *threads;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	threads = opendir(path);
	if (!threads)
		return;
	while ((entry = readdir(threads))) {
		bool worker;
		int result;

		if (entry->d_name[0] == '.')
			continue;
		worker = is_worker(pid, entry->d_name);
		result = interrupt(atoi(entry->d_name));
		if (result > 0) {
			reached->threads++;
			reached->workers += worker;
		} else if (result == 0) {
			reached->unreachable++;
		}
	}
	closedir(threads);
}

static void stop(pid_t pid)
{
	char path[64], text[512] = "", *state;
	FILE *file;

	kill(pid, SIGSTOP);
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (int i = 0; i < 1000; i++) {
		file = fopen(path, "r");
		if (!file)
			return;
		if (!fgets(text, sizeof(text), file))
			text[0] = 0;
		fclose(file);
		state = strrchr(text, ')');
		if (state && state[2] == 'T')
			break;
		usleep(1000);
	}
	kill(pid, SIGCONT);
}

void raise_barrier(pid_t pid, enum barrier barrier, struct reached *reached)
{
	memset(reached, 0, sizeof(*reached));
	if (barrier == BARRIER_STOP)
		stop(pid);
	if (barrier == BARRIER_TRACE)
		interrupt_all(pid, reached);
}
