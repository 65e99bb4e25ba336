// SPDX-License-Identifier: Apache-2.0
/*
 * Prints all that a program is started with. With and without `postern run` it is to be the same, but for what
 * seccomp(2) itself changes: the lines NoNewPrivs and Seccomp* of proc(5).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void print_file(const char *path, const char *const *wanted)
{
	char line[4096];
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof(line), file))
		for (const char *const *word = wanted; *word; word++)
			if (!strncmp(line, *word, strlen(*word)))
				fputs(line, stdout);
	if (file)
		fclose(file);
}

int main(int count, char **arguments)
{
	printf("children: %s\n", waitpid(-1, NULL, WNOHANG) == -1 ? strerrorname_np(errno) : "some");
	/* The numbers themselves are asked for by the shell that started it. */
	if (getenv("SHOW_PID"))
		printf("pid %d parent %d\n", getpid(), getppid());
	printf("leads its group: %d, its session: %d\n", getpgrp() == getpid(), getsid(0) == getpid());
	printf("group of the parent: %d, session of the parent: %d\n", getpgrp() == getpgid(getppid()),
	       getsid(0) == getsid(getppid()));
	for (int i = 0; i < count; i++)
		printf("argument %d: %s\n", i, arguments[i]);
	for (char **variable = environ; *variable; variable++)
		printf("variable: %s\n", *variable);
	char text[4096];

	printf("cwd: %s\n", getcwd(text, sizeof(text)) ? text : "?");
	for (int number = 1; number < NSIG; number++) {
		struct sigaction action;
		sigset_t blocked, pending;

		if (sigaction(number, NULL, &action))
			continue;
		sigprocmask(SIG_BLOCK, NULL, &blocked);
		sigpending(&pending);
		printf("signal %d: %s%s%s\n", number, action.sa_handler == SIG_DFL ? "default" : "ignored",
		       sigismember(&blocked, number) ? ", blocked" : "", sigismember(&pending, number) ? ", pending" : "");
	}
	for (int resource = 0; resource < (int)RLIMIT_NLIMITS; resource++) {
		struct rlimit limit;

		if (!getrlimit((__rlimit_resource_t)resource, &limit))
			printf("limit %d: %llu %llu\n", resource, (unsigned long long)limit.rlim_cur,
			       (unsigned long long)limit.rlim_max);
	}
	for (int fd = 0; fd < 1024; fd++) {
		char path[64];
		ssize_t length;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		length = readlink(path, text, sizeof(text) - 1);
		if (length < 0)
			continue;
		text[length] = 0;
		printf("descriptor %d: %s, flags %x %x, at %lld\n", fd, strncmp(text, "pipe:", 5) ? text : "pipe",
		       (unsigned)fcntl(fd, F_GETFL), (unsigned)fcntl(fd, F_GETFD), (long long)lseek(fd, 0, SEEK_CUR));
	}
	print_file("/proc/self/status",
		   (const char *const[]){ "Name", "Umask", "TracerPid", "Uid", "Gid", "Groups", "Threads", "SigPnd",
					  "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd",
					  "CapAmb", "Cpus_allowed_list", "Mems_allowed_list", NULL });
	struct itimerval timer;
	int reaper = 0, death = 0;

	getitimer(ITIMER_REAL, &timer);
	prctl(PR_GET_CHILD_SUBREAPER, &reaper);
	prctl(PR_GET_PDEATHSIG, &death);
	printf("timer %ld, nice %d, scheduler %d, personality %x, reaper %d, death signal %d, slack %d, dumpable %d\n",
	       (long)timer.it_value.tv_sec, getpriority(PRIO_PROCESS, 0), sched_getscheduler(0), personality(0xffffffff),
	       reaper, death, prctl(PR_GET_TIMERSLACK), prctl(PR_GET_DUMPABLE));
	printf("i/o priority %ld, keyring %d\n", syscall(SYS_ioprio_get, 1, 0), syscall(SYS_keyctl, 0, -3, 0) >= 0);
	int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);

	printf("terminal: %s\n", terminal < 0 ? strerrorname_np(errno) : "yes");
	if (terminal >= 0)
		printf("in the foreground: %d\n", tcgetpgrp(terminal) == getpgrp());
	return count > 1 ? atoi(arguments[1]) : 0;
}
