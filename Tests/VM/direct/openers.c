/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that open an object, use it and close it, again and again, whatever becomes of the broker meanwhile:
 *
 *	openers COUNT OBJECT		"ok"
 *	opened				they stop where they are; "PID..." of those that can use a descriptor, and how often all opened
 *	close-openers			they end
 *
 * Each keeps a duplicate of what it opened first, which it does not tell the library of.
 */
#define _GNU_SOURCE
#include "actor.h"

#include <postern.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPENERS 16

static struct shared {
	atomic_int stop;
	atomic_long opens;
	struct {
		pid_t pid;
		atomic_int result; /* 0: not told yet; 1: usable; 2: not */
	} opener[OPENERS];
} *shared;
static int count;

static int usable(int fd)
{
	return fd >= 0 && call("pread", fd) >= 0;
}

static void open_and_close(int number, const char *object)
{
	postern *connection = NULL;
	int kept = -1;
	int fd = -1;

	alarm(120);
	while (!shared->stop) {
		if (!connection && postern_connect(NULL, &connection) != 0) {
			connection = NULL;
			usleep(20000);
			continue;
		}
		fd = postern_open(connection, object, POSTERN_READ);
		if (fd < 0) {
			postern_disconnect(connection);
			connection = NULL;
			usleep(5000);
			continue;
		}
		shared->opens++;
		if (kept < 0)
			kept = dup(fd);
		if (shared->stop)
			break;
		postern_close(fd);
		fd = -1;
	}
	shared->opener[number].result = usable(fd) || usable(kept) ? 1 : 2;
	for (;;)
		pause();
}

static void start(int wanted, const char *object)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || wanted > OPENERS) {
		say("no memory");
		return;
	}
	for (count = 0; count < wanted; count++) {
		pid_t child = fork();

		if (child == 0)
			open_and_close(count, object);
		shared->opener[count].pid = child;
	}
	say("ok");
}

static void stop(void)
{
	char line[400] = "";
	size_t length = 0;

	shared->stop = 1;
	for (int waited = 0; waited < 1000; waited++) {
		int told = 0;

		for (int i = 0; i < count; i++)
			told += shared->opener[i].result != 0;
		if (told == count)
			break;
		usleep(10000);
	}
	for (int i = 0; i < count; i++) {
		if (shared->opener[i].result == 0) {
			say("process %d hangs", shared->opener[i].pid);
			return;
		}
		if (shared->opener[i].result == 1)
			length += (size_t)snprintf(line + length, sizeof(line) - length, "%d ", shared->opener[i].pid);
	}
	say("%s%ld", line, shared->opens);
}

int handle_openers(char **word)
{
	if (!strcmp(word[0], "openers")) {
		start(atoi(word[1]), word[2]);
	} else if (!strcmp(word[0], "opened") && shared) {
		stop();
	} else if (!strcmp(word[0], "close-openers") && shared) {
		for (int i = 0; i < count; i++) {
			kill(shared->opener[i].pid, SIGKILL);
			waitpid(shared->opener[i].pid, NULL, 0);
		}
		munmap(shared, sizeof(*shared));
		shared = NULL;
		say("ok");
	} else {
		return 0;
	}
	return 1;
}
