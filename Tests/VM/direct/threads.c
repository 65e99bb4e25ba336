/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls in threads of their own:
 *
 *	wait-in KIND SLOT		makes the call, which waits; "ok" once the thread is under way
 *	waited KIND			"waiting", or what the call came to
 *	hammer KIND SLOT		the call again and again
 *	count KIND			"RIGHT REFUSED OTHERS LAST-ERRNO" since the last count: refused is by an errno of keys
 *	burst KIND SLOT NUMBER		the call so many times without a pause: "RIGHT REFUSED OTHERS"
 *	lease PROGRAM SCRIPT		makes both, one the other's interpreter, and lets nobody open PROGRAM (fcntl(2), F_SETLEASE)
 *	exec-aside PROGRAM		execs in another thread, which does not come back where that waits; "ok"
 */
#define _GNU_SOURCE
#include "actor.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THREADS 8

static struct worker {
	char kind[24];
	int fd;
	int repeats;
	atomic_int done;
	long result;
	int error;
	atomic_long right;
	atomic_long refused;
	atomic_long others;
	atomic_int last;
} workers[THREADS];

static int is_of_keys(int error)
{
	return error == EKEYEXPIRED || error == EKEYREVOKED || error == EKEYREJECTED;
}

static void *work(void *argument)
{
	/* A guest with one processor has others to run, and a journal to write. */
	struct timespec pause = { 0, 0 };
	struct worker *worker = argument;

	do {
		worker->result = call(worker->kind, worker->fd);
		worker->error = errno;
		if (worker->result >= 0 || worker->error == EAGAIN) {
			worker->right++;
		} else if (is_of_keys(worker->error)) {
			worker->refused++;
			worker->last = worker->error;
		} else {
			worker->others++;
			worker->last = worker->error;
		}
		pause.tv_nsec = worker->result < 0 ? 20000000 : 5000000;
		if (worker->repeats)
			nanosleep(&pause, NULL);
	} while (worker->repeats);
	worker->done = 1;
	return NULL;
}

static struct worker *of_kind(const char *kind)
{
	for (int i = 0; i < THREADS; i++)
		if (!strcmp(workers[i].kind, kind))
			return &workers[i];
	return NULL;
}

static void begin(const char *kind, const char *name, int repeats)
{
	struct worker *worker = of_kind("");
	pthread_t thread;

	if (!worker) {
		say("no more threads");
		return;
	}
	memset(worker, 0, sizeof(*worker));
	strncpy(worker->kind, kind, sizeof(worker->kind) - 1);
	worker->fd = slot(name);
	worker->repeats = repeats;
	if (pthread_create(&thread, NULL, work, worker) != 0) {
		say("no thread");
		return;
	}
	pthread_detach(thread);
	say("ok");
}

static void say_waited(struct worker *worker)
{
	if (!worker->done) {
		say("waiting");
		return;
	}
	worker->kind[0] = 0;
	errno = worker->error;
	say_result(worker->result);
}

static void burst(const char *kind, const char *name, long number)
{
	long right = 0, refused = 0, others = 0;
	const int fd = slot(name);

	for (long i = 0; i < number; i++) {
		if (call(kind, fd) >= 0)
			right++;
		else if (is_of_keys(errno))
			refused++;
		else
			others++;
	}
	say("%ld %ld %ld", right, refused, others);
}

static long write_script(const char *path, const char *interpreter)
{
	int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	int written = file < 0 ? -1 : dprintf(file, "#!%s\n", interpreter);

	close(file);
	return written;
}

static long lease(const char *program, const char *script)
{
	if (write_script(program, "/bin/true") < 0 || write_script(script, program) < 0)
		return -1;
	signal(SIGIO, SIG_IGN);
	return fcntl(open(program, O_RDONLY | O_CLOEXEC), F_SETLEASE, F_WRLCK);
}

static void *exec_aside(void *path)
{
	execl(path, path, (char *)NULL);
	return NULL;
}

int handle_thread(char **word)
{
	struct worker *worker = of_kind(word[1]);

	if (!strcmp(word[0], "wait-in")) {
		begin(word[1], word[2], 0);
	} else if (!strcmp(word[0], "hammer")) {
		begin(word[1], word[2], 1);
	} else if (!strcmp(word[0], "lease")) {
		say_result(lease(word[1], word[2]));
	} else if (!strcmp(word[0], "exec-aside")) {
		pthread_t thread;

		say(pthread_create(&thread, NULL, exec_aside, strdup(word[1])) == 0 ? "ok" : "no thread");
	} else if (!strcmp(word[0], "burst") && word[3]) {
		burst(word[1], word[2], atol(word[3]));
	} else if (!strcmp(word[0], "waited") && worker) {
		say_waited(worker);
	} else if (!strcmp(word[0], "count") && worker) {
		int last = atomic_exchange(&worker->last, 0);

		say("%ld %ld %ld %s", atomic_exchange(&worker->right, 0), atomic_exchange(&worker->refused, 0),
		    atomic_exchange(&worker->others, 0), last ? strerrorname_np(last) : "none");
	} else {
		return 0;
	}
	return 1;
}
