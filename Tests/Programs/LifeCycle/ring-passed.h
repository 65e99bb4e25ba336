/* SPDX-License-Identifier: Apache-2.0 */
/* A ring that goes beyond its program's first open: through an exec, to a child or a stranger, beside another one. */
#ifndef RING_PASSED_H
#define RING_PASSED_H

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "ring-program.h"

/* What an exec of itself needs: the ring as it is. */
static char *again[6], numbers[32], request[200];

static int keep_for_exec(char **arguments, const char *what)
{
	int file = memfd_create("parameters", 0);

	if (write(file, &parameters, sizeof(parameters)) != sizeof(parameters))
		return -errno;
	fcntl(ring.ring_fd, F_SETFD, 0);
	snprintf(numbers, sizeof(numbers), "%d %d", file, ring.ring_fd);
	snprintf(request, sizeof(request), "%s", what);
	again[0] = arguments[0];
	again[1] = arguments[1];
	again[2] = numbers;
	again[3] = request;
	return 0;
}

static void execute(int number)
{
	(void)number;
	execv("/proc/self/exe", again);
}

static int keep_for_signal(char **arguments, const char *what)
{
	struct sigaction action = { .sa_handler = execute };

	again[4] = "until it fails";
	/* A signal that is blocked in its handler would be in the new program. */
	action.sa_flags = SA_NODEFER;
	sigaction(SIGUSR1, &action, NULL);
	return keep_for_exec(arguments, what);
}

/* 64 MiB, often. */
static long grow(void)
{
	const size_t size = (size_t)64 << 20;
	int file = memfd_create("pages", MFD_CLOEXEC);

	if (file < 0 || ftruncate(file, (off_t)size) < 0)
		return -errno;
	for (int count = 0; count < 128; count++)
		if (mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_POPULATE, file, 0) == MAP_FAILED)
			return -errno;
	close(file);
	return 0;
}

static int resume(const char *numbers, const char *what, int is_repeated)
{
	int file, number, result;

	if (sscanf(numbers, "%d %d", &file, &number) != 2 ||
	    pread(file, &parameters, sizeof(parameters), 0) != sizeof(parameters))
		return 70;
	result = io_uring_queue_mmap(number, &parameters, &ring);
	if (result < 0) {
		say(result);
		return 70;
	}
	ring.features = parameters.features;
	for (int count = 0; count < 10; count++) {
		usleep(500000);
		result = (int)perform(what);
		if (result < 0 || !is_repeated)
			break;
	}
	say(result);
	return 0;
}

static int steal(const char *pid, const char *number)
{
	int process = (int)syscall(SYS_pidfd_open, atoi(pid), 0);
	int taken = process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, atoi(number), 0);
	int result;

	if (taken < 0)
		return -errno;
	result = io_uring_queue_mmap(taken, &parameters, &ring);
	ring.features = parameters.features;
	ring.sq.sqe_head = ring.sq.sqe_tail = *ring.sq.ktail;
	return result;
}

/* A ring that is put aside. */
static struct io_uring former;
static struct postern_ring former_given;

static void put_aside(const struct postern_ring *given)
{
	former = ring;
	former_given = *given;
	has_ring = 0;
}

static long perform_formerly(const char *what)
{
	struct io_uring latter = ring;
	long result;

	ring = former;
	result = perform(what);
	former = ring;
	ring = latter;
	return result;
}

/* An open by a thread of its own. */
static struct {
	pthread_t thread;
	char object[200];
	struct postern_ring given;
	int result, reason;
} opening;

static void *open_apart(void *nothing)
{
	opening.result = postern_ring_open(connection, opening.object, 0, ring.ring_fd, &opening.given);
	opening.reason = opening.result < 0 ? postern_last_reason(NULL, 0) : 0;
	return nothing;
}

static int begin(const char *object)
{
	snprintf(opening.object, sizeof(opening.object), "%s", object);
	return -pthread_create(&opening.thread, NULL, open_apart, NULL);
}

static void say_begun(void)
{
	pthread_join(opening.thread, NULL);
	if (opening.reason)
		printf("%s %s\n", strerrorname_np(-opening.result), postern_reason_name(opening.reason));
	else
		say(opening.result);
	fflush(stdout);
}

/* A child that offers what it has inherited. */
static int child_goes = -1;

static void inherit(const char *object)
{
	struct postern_ring given;
	int ends[2];
	char byte;

	/* Through an exec too, so that the child and what it shares are there until its parent ends. */
	if (pipe(ends) < 0)
		return say(-errno);
	child_goes = ends[1];
	if (fork() > 0) {
		close(ends[0]);
		return say(0);
	}
	alarm(60);
	close(ends[1]);
	if (read(ends[0], &byte, 1) == 1)
		say_refusal(postern_ring_open(connection, object, 0, ring.ring_fd, &given));
	_exit(read(ends[0], &byte, 1) != 1);
}

#endif
