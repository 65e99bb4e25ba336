/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four processes use objects as fast as they can while everything is revoked and granted again, round after round:
 *
 *	revoke ROUNDS APPLICATION OBJECT...		as root; the processes are those of the user nobody
 *
 * OBJECT is KIND=NAME, KIND one of the calls of calls.c. It prints a line
 *
 *	rounds R late L allowed A refused N EKEYEXPIRED E EKEYREVOKED V others O
 *
 * late: calls that began after the revoke had been answered and were let through all the same; allowed: those that were
 * let through before it. A call that finds nothing to receive or accept has been let through.
 */
#define _GNU_SOURCE
#include "actor.h"

#include <errno.h>
#include <fcntl.h>
#include <postern.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "../../Programs/LifeCycle/wire.h"

#define USERS 4
#define NOBODY 65534

static struct shared {
	atomic_uint phase; /* odd: everything is revoked; each grant begins a round */
	atomic_int over;
	atomic_int ready;
	atomic_int failed;
	atomic_long late;
	atomic_long allowed;
	atomic_long refused;
	atomic_long expired;
	atomic_long revoked;
	atomic_long others;
	atomic_int other;
} *shared;

/* What calls.c would answer with. */
int slot(const char *name)
{
	(void)name;
	return -1;
}
void hold(const char *name, int fd)
{
	(void)name;
	(void)fd;
}
void say(const char *format, ...)
{
	(void)format;
}
void say_result(long result)
{
	(void)result;
}

static void rest(long microseconds)
{
	const struct timespec pause = { .tv_nsec = microseconds * 1000 };

	nanosleep(&pause, NULL);
}

static uint32_t operations_of(const char *kind)
{
	if (!strcmp(kind, "send") || !strcmp(kind, "ring-send"))
		return POSTERN_SEND;
	if (!strcmp(kind, "recv"))
		return POSTERN_RECEIVE;
	if (!strcmp(kind, "accept-now"))
		return POSTERN_ACCEPT;
	return POSTERN_READ;
}

static int open_again(postern *connection, const char *kind, const char *object)
{
	int fd = postern_open(connection, object, operations_of(kind));

	if (fd < 0 || postern_path(fd) != POSTERN_PATH_DIRECT) {
		fprintf(stderr, "%s: %s\n", object, fd < 0 ? strerrorname_np(-fd) : "not direct");
		shared->failed = 1;
		return -1;
	}
	if (!strcmp(kind, "pread"))
		fcntl(fd, F_SETFL, O_DIRECT);
	else if (!strcmp(kind, "accept-now"))
		fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void judge(unsigned int before, long result)
{
	int error = errno;

	if (result >= 0 || error == EAGAIN || error == EDESTADDRREQ) {
		if (before & 1)
			shared->late++;
		else
			shared->allowed++;
		return;
	}
	if (error == EKEYEXPIRED || error == EKEYREVOKED) {
		shared->refused++;
		if (error == EKEYREVOKED)
			shared->revoked++;
		else
			shared->expired++;
		return;
	}
	shared->others++;
	shared->other = error;
}

static void use(const char *kind, const char *object)
{
	const char *what = strcmp(kind, "accept-now") ? kind : "accept-waiting";
	postern *connection;
	unsigned int seen;
	int fd;

	if (setresuid(NOBODY, NOBODY, NOBODY) != 0 || postern_connect(NULL, &connection) != 0) {
		shared->failed = 1;
		return;
	}
	fd = open_again(connection, kind, object);
	seen = shared->phase / 2;
	shared->ready++;
	while (!shared->over && !shared->failed) {
		unsigned int before = shared->phase;
		long result;

		if (before / 2 != seen) {
			/* A udp socket is bound anew: the old one has to be gone. */
			seen = before / 2;
			postern_close(fd);
			fd = open_again(connection, kind, object);
			shared->ready++;
			continue;
		}
		result = call(what, fd);
		judge(before, result);
		/* On one processor the broker has to come along, and its journal, which the figures are compared with. */
		rest(result < 0 && errno != EAGAIN ? 20000 : 200);
	}
}

static int reply(int broker, int wanted)
{
	struct wire_outcome outcome;
	int type = wire_reply(broker, &outcome);

	if (type != wanted)
		fprintf(stderr, "the broker answers %d (%s)\n", type, outcome.message);
	return type == wanted ? 0 : -1;
}

static int revoke_all(int broker)
{
	/* object, application, pid, no association, all, 2 s */
	static const uint8_t body[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xd0, 7, 0, 0 };

	return wire_request(broker, 22, body, sizeof(body), -1, 0) < 0 ? -1 : reply(broker, 23);
}

static int grant(int broker, const char *application, const char *object, uint32_t operations)
{
	uint8_t body[2 * 64 + 16];
	uint16_t length = (uint16_t)strlen(application);
	size_t end = 0;

	memcpy(body, &length, 2);
	memcpy(body + 2, application, length);
	end = 2u + length;
	length = (uint16_t)strlen(object);
	memcpy(body + end, &length, 2);
	memcpy(body + end + 2, object, length);
	end += 2u + length;
	memcpy(body + end, &operations, 4);
	memset(body + end + 4, 0, 8);
	return wire_request(broker, 24, body, (uint32_t)end + 12, -1, 0) < 0 ? -1 : reply(broker, 25);
}

static int wait_ready(void)
{
	for (int waited = 0; waited < 20000 && !shared->failed; waited++) {
		if (shared->ready == USERS)
			return 0;
		rest(1000);
	}
	return -1;
}

int main(int argc, char **argv)
{
	int rounds = argc == 3 + USERS ? atoi(argv[1]) : 0;
	pid_t users[USERS];
	const char *names[USERS];
	int broker;
	int done = 0;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (rounds == 0 || shared == MAP_FAILED)
		return 64;
	alarm(600);
	for (int i = 0; i < USERS; i++) {
		char *equals = strchr(argv[3 + i], '=');

		if (!equals)
			return 64;
		*equals = 0;
		names[i] = equals + 1;
		users[i] = fork();
		if (users[i] == 0) {
			alarm(600);
			use(argv[3 + i], names[i]);
			_exit(0);
		}
	}
	broker = wire_connect(getenv("POSTERN_SOCKET"));
	if (broker < 0)
		shared->failed = 1;
	for (; done < rounds && wait_ready() == 0; done++) {
		shared->ready = 0;
		rest(20000);
		if (revoke_all(broker) != 0)
			break;
		shared->phase++;
		rest(20000);
		for (int i = 0; i < USERS; i++)
			if (grant(broker, argv[2], names[i], operations_of(argv[3 + i])) != 0)
				shared->failed = 1;
		shared->phase++;
	}
	wait_ready();
	shared->over = 1;
	for (int i = 0; i < USERS; i++)
		waitpid(users[i], NULL, 0);
	printf("rounds %d late %ld allowed %ld refused %ld EKEYEXPIRED %ld EKEYREVOKED %ld others %ld%s%s\n", done,
	       shared->late, shared->allowed, shared->refused, shared->expired, shared->revoked, shared->others,
	       shared->others ? " " : "", shared->others ? strerrorname_np(shared->other) : "");
	return done == rounds && !shared->failed ? 0 : 1;
}
