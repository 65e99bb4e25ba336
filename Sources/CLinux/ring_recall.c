/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the object out of a ring, and what is under way with it; where that takes too long, makes useless what is in it. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clinux_socket.h"
#include "ring_hand.h"

/* When what failed is tried again, in nanoseconds. */
#define RETRY_AFTER 100000000

int ring_empty(const struct ring_hand *hand)
{
	int32_t none[CLINUX_RING_SLOTS];
	struct io_uring_files_update update = { .fds = (uint64_t)(uintptr_t)none };

	memset(none, 0xff, sizeof(none));
	return ring_register(hand->ring, IORING_REGISTER_FILES_UPDATE, &update, CLINUX_RING_SLOTS);
}

static struct ring_outcome settle(const struct ring_hand *hand)
{
	if (!hand->order.writable)
		return ring_done;
	if (fsync(hand->loop) < 0 || fsync(hand->object) < 0)
		return ring_failed(CLINUX_RING_PUT, errno);
	return ring_done;
}

/*
 * By the object's own file and not all of the ring's requests: an application could submit others without end. What was
 * submitted before and has no file yet (links, IOSQE_ASYNC) finds the slot empty. Requests that cannot be cancelled (a read
 * that waits for the device) are waited for.
 */
static struct ring_outcome withdraw(struct ring_hand *hand)
{
	struct io_uring_sync_cancel_reg all = {
		.fd = hand->file,
		.flags = IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_FD,
		.timeout = { .tv_nsec = 10000000 },
	};
	int result = ring_empty(hand), nothing = 0;

	if (result < 0)
		return ring_failed(CLINUX_RING_PUT, -result);
	while (nothing < 2) {
		result = ring_register(hand->ring, IORING_REGISTER_SYNC_CANCEL, &all, 1);
		if (result == 0 || result == -ENOENT) {
			nothing++;
			continue;
		}
		if (result < 0 && result != -ETIME && result != -EALREADY && result != -EINTR && result != -EAGAIN)
			return ring_failed(CLINUX_RING_PUT, -result);
		nothing = 0;
		ring_pause(100000);
	}
	if (hand->probe < 0)
		return ring_done;
	/* The lock belongs to the open file that was in the slot: it is free when no request has that any more. */
	close(hand->file);
	while (flock(hand->probe, LOCK_EX | LOCK_NB) < 0)
		ring_pause(100000);
	/* What was written is in the device's cache, which would reach the object later, over what the next holder writes. */
	return settle(hand);
}

/*
 * The kernel has a filter on a tcp socket put there by nobody without CAP_NET_ADMIN, which an ordinary user's broker lacks. It keeps
 * whoever has a listener's descriptor from listening again; who has it in a ring has no request for that.
 */
static int is_ended_listener(int fd)
{
	int type = 0, listens = 1;
	socklen_t size = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && !listens;
}

/*
 * Once more after a grace period, by which the packets are in the queue that passed the former filter a moment ago
 * (net/core/filter.c). It takes some milliseconds, which a broker with many sockets would not have.
 */
static int recall_socket(int fd)
{
	if (clinux_socket_recall(fd) == 0 && syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0 &&
	    clinux_socket_recall(fd) == 0)
		return 0;
	return errno == EPERM && is_ended_listener(fd) ? 0 : errno;
}

/* What is in the slot is made useless where it is: 0, or an errno. */
static int recall_embodiment(struct ring_hand *hand)
{
	int error = 0;

	if (hand->is_embodiment_recalled)
		return 0;
	if (hand->order.embodiment == CLINUX_RING_DISK)
		error = -clinux_ring_loop_recall(hand->loop, hand->order.length);
	else
		error = recall_socket(hand->object);
	hand->is_embodiment_recalled = error == 0;
	return error;
}

/* The ring cannot be emptied: says whether what is in it is of no use; an errno that was said already is not said again. */
static void recall_instead(struct ring_hand *hand, int *said)
{
	int error;

	if (hand->is_embodiment_recalled)
		return;
	error = recall_embodiment(hand);
	if (error != 0 && error == *said)
		return;
	*said = error;
	ring_answer(hand, error == 0 ? CLINUX_RING_EMBODIED : CLINUX_RING_STUCK, ring_failed(CLINUX_RING_LATE, error));
}

struct ring_outcome ring_see_through(struct ring_hand *hand, struct ring_running *running, uint64_t *deadline, int *said)
{
	struct ring_outcome outcome;
	uint64_t limit;

	while (*deadline == 0) {
		struct pollfd entries[2] = { { .fd = running->result, .events = POLLIN },
					     { .fd = hand->socket, .events = POLLIN } };

		if (poll(entries, 2, -1) < 0)
			continue;
		if (entries[0].revents) {
			ring_step_finish(running, 0, CLINUX_RING_PUT, &outcome);
			return outcome;
		}
		if (entries[1].revents) {
			struct clinux_ring_command command = ring_next_command(hand);

			ring_is_recall(hand, &command, deadline);
		}
	}
	limit = *deadline;
	while (!ring_step_finish(running, limit, CLINUX_RING_PUT, &outcome)) {
		recall_instead(hand, said);
		limit = hand->is_embodiment_recalled ? 0 : ring_now() + RETRY_AFTER;
	}
	return outcome;
}

/* 1: nobody hears this hand any more. */
static int is_alone(const struct ring_hand *hand)
{
	struct pollfd entry = { .fd = hand->socket };

	return poll(&entry, 1, 0) > 0 && entry.revents & POLLHUP;
}

/* Until the embodiment is of no use (1), or nobody is left to be told that it is not. */
static int insist(struct ring_hand *hand, int *said)
{
	for (;;) {
		int error = recall_embodiment(hand);

		if (error == 0)
			return 1;
		if (error != *said)
			ring_answer(hand, CLINUX_RING_STUCK, ring_failed(CLINUX_RING_LATE, error));
		*said = error;
		if (is_alone(hand))
			return 0;
		ring_pause(RETRY_AFTER);
	}
}

void ring_recall(struct ring_hand *hand, uint64_t deadline)
{
	struct ring_running running;
	struct ring_outcome outcome;
	int said = 0;

	/* Nothing else can be tried without a process: so it is tried until there is one. */
	while (ring_step_start(hand, withdraw, &running) < 0) {
		if (ring_now() >= deadline)
			recall_instead(hand, &said);
		ring_pause(10000000);
	}
	if (hand->probe >= 0)
		close(hand->file);
	outcome = ring_see_through(hand, &running, &deadline, &said);
	/*
	 * A request that its thread has not come to yet is in none of the tables that are searched for what to cancel
	 * (io_uring/cancel.c), and a program can keep a thread from it by a page fault. A disk's lock shows such a request; nothing
	 * does for a socket, so that is made useless in any case.
	 */
	if (outcome.stage != 0 || (hand->order.embodiment == CLINUX_RING_SOCKET && !hand->is_shared)) {
		if (!insist(hand, &said))
			return;
	}
	ring_answer(hand, outcome.stage != 0 ? CLINUX_RING_EMBODIED : CLINUX_RING_RECALLED, outcome);
}

void ring_take_back(struct ring_hand *hand)
{
	int said = 0, result;

	if (hand->order.embodiment == CLINUX_RING_DISK) {
		result = ring_loop_find(hand);
		if (result == -ENXIO)
			return ring_answer(hand, CLINUX_RING_RECALLED, ring_done);
		if (result < 0)
			return ring_answer(hand, CLINUX_RING_STUCK, ring_failed(CLINUX_RING_LOOP, -result));
	}
	if (insist(hand, &said))
		ring_answer(hand, CLINUX_RING_RECALLED, ring_done);
}
