/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that a barrier has a hard time with. Prints its pid once it is as HOW says, for each line of input whether it has
 * been stopped as from a keyboard ("stopped", "left alone"), and ends it at the end of input.
 *
 *	traced FOLDER	execs, and waits in that for a thread whose tracer never lets it go: cred_guard_mutex stays held
 *	leased FOLDER	execs, and waits in that for the end of a file's lease (fcntl(2)), until it has a signal
 *	vfork FOLDER	waits for a child of vfork(2), whatever signal it has but a deadly one
 *	crowd FOLDER	the same, and has threads that wait for anything
 *	headless FOLDER	its first thread has ended, another one waits
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char program[256];
static char script[256]; /* whose interpreter is `program` */

static void *wait_forever(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void *be_traced(void *unused)
{
	if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0)
		_exit(1);
	return wait_forever(unused);
}

static void start_thread(void *(*run)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, NULL) != 0)
		_exit(1);
	usleep(50000);
}

static void write_file(const char *path, const char *text)
{
	int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

	if (file < 0 || write(file, text, strlen(text)) != (ssize_t)strlen(text))
		exit(1);
	close(file);
}

static int waits_for_child(const char *how)
{
	return !strcmp(how, "vfork") || !strcmp(how, "crowd");
}

static void be_held(const char *how)
{
	char *arguments[] = { "held", NULL };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!strcmp(how, "traced")) {
		start_thread(be_traced);
		execv("/bin/true", arguments);
	} else if (!strcmp(how, "leased")) {
		execv(script, arguments);
	} else if (waits_for_child(how)) {
		for (int i = 0; i < 20 && !strcmp(how, "crowd"); i++)
			start_thread(wait_forever);
		if (vfork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pause();
			_exit(0);
		}
	} else {
		start_thread(wait_forever);
		pthread_exit(NULL);
	}
	_exit(1);
}

/* What proc(5) tells of a process: its state, and the call that it is in, or -1. */
static char look(pid_t process, long *number)
{
	char path[64];
	char state = 0;
	FILE *file;

	*number = -1;
	snprintf(path, sizeof(path), "/proc/%d/syscall", process);
	file = fopen(path, "re");
	if (file) {
		if (fscanf(file, "%ld", number) != 1)
			*number = -1;
		fclose(file);
	}
	snprintf(path, sizeof(path), "/proc/%d/stat", process);
	file = fopen(path, "re");
	if (file) {
		if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
			state = 0;
		fclose(file);
	}
	return state;
}

static int is_held(const char *how, pid_t process)
{
	long number;
	char state = look(process, &number);

	if (!strcmp(how, "headless"))
		return state == 'Z';
	return (state == 'S' || state == 'D') && number == (waits_for_child(how) ? SYS_vfork : SYS_execve);
}

int main(int argc, char **argv)
{
	char head[300];
	char line[16];
	int status;
	pid_t child;

	if (argc != 3)
		return 64;
	alarm(60);
	if (!strcmp(argv[1], "leased")) {
		snprintf(program, sizeof(program), "%s/program", argv[2]);
		snprintf(script, sizeof(script), "%s/script", argv[2]);
		snprintf(head, sizeof(head), "#!%s\n", program);
		write_file(program, "#!/bin/true\n");
		write_file(script, head);
		signal(SIGIO, SIG_IGN);
		if (fcntl(open(program, O_RDONLY | O_CLOEXEC), F_SETLEASE, F_WRLCK) != 0)
			return 1;
	}
	child = fork();
	if (child == 0)
		be_held(argv[1]);
	for (int i = 0; i < 1000 && !is_held(argv[1], child); i++)
		usleep(5000);
	if (!is_held(argv[1], child))
		return 1;
	usleep(50000);
	printf("%d\n", child);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		pid_t changed = waitpid(child, &status, WUNTRACED | WCONTINUED | WNOHANG);

		puts(changed == child && (WIFSTOPPED(status) || WIFCONTINUED(status)) ? "stopped" : "left alone");
		fflush(stdout);
	}
	kill(child, SIGKILL);
	while (waitpid(-1, NULL, __WALL) > 0)
		;
	return 0;
}
