/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to a ring is done by a child, since whoever does it may have to wait for the ring's lock. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ring_hand.h"

uint64_t ring_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_BOOTTIME, &time);
	return (uint64_t)time.tv_sec * 1000000000ULL + (uint64_t)time.tv_nsec;
}

void ring_pause(long nanoseconds)
{
	struct timespec time = { .tv_nsec = nanoseconds };

	nanosleep(&time, NULL);
}

int ring_step_start(struct ring_hand *hand, ring_step *what, struct ring_running *out)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		struct ring_outcome outcome;

		/* The broker hears of a hand's end by its socket. */
		close(hand->socket);
		close(ends[0]);
		outcome = what(hand);
		_exit(write(ends[1], &outcome, sizeof(outcome)) == sizeof(outcome) ? 0 : 1);
	}
	close(ends[1]);
	if (pid < 0) {
		int code = -errno;

		close(ends[0]);
		return code;
	}
	out->pid = pid;
	out->result = ends[0];
	return 0;
}

/* Milliseconds for poll(2), rounded up; 0 deadline: for ever. */
static int until(uint64_t deadline)
{
	uint64_t time = ring_now();

	if (deadline == 0)
		return -1;
	return time >= deadline ? 0 : (int)((deadline - time) / 1000000 + 1);
}

int ring_step_finish(struct ring_running *running, uint64_t deadline, uint32_t stage, struct ring_outcome *outcome)
{
	struct pollfd entry = { .fd = running->result, .events = POLLIN };
	int result;

	do {
		result = poll(&entry, 1, until(deadline));
	} while ((result < 0 && errno == EINTR) || (result == 0 && (deadline == 0 || ring_now() < deadline)));
	if (result == 0)
		return 0;
	if (read(running->result, outcome, sizeof(*outcome)) != (ssize_t)sizeof(*outcome))
		*outcome = ring_failed(stage, ECHILD);
	close(running->result);
	while (waitpid(running->pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 1;
}

struct ring_outcome ring_step_run(struct ring_hand *hand, ring_step *what, uint64_t deadline, uint32_t stage)
{
	struct ring_running running;
	struct ring_outcome outcome;
	int result = ring_step_start(hand, what, &running);

	if (result < 0)
		return ring_failed(stage, -result);
	if (ring_step_finish(&running, deadline, stage, &outcome))
		return outcome;
	kill(running.pid, SIGKILL);
	close(running.result);
	return ring_failed(CLINUX_RING_LATE, ETIMEDOUT);
}
