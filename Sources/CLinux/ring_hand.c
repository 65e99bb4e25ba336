/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that holds one application's ring for the broker. It never makes a call on the ring itself: each is made by a
 * child of its own, because the application may hold the ring's lock.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "clinux_message.h"
#include "ring_hand.h"

/* How long it has to empty a ring whose broker has ended. */
#define OWN_PATIENCE 1000000000ULL

void ring_answer(const struct ring_hand *hand, uint32_t kind, struct ring_outcome outcome)
{
	struct clinux_ring_answer message = {
		.kind = kind, .stage = outcome.stage, .error = outcome.error, .device = hand->device
	};

	/* A broker that has ended or does not read: what is done is done all the same. */
	clinux_send(hand->socket, &message, sizeof(message), NULL, 0, &hand->loop,
		    kind == CLINUX_RING_PREPARED && hand->loop >= 0, MSG_DONTWAIT);
}

struct clinux_ring_command ring_next_command(const struct ring_hand *hand)
{
	struct clinux_ring_command command = { 0 };
	ssize_t size;

	do {
		size = recv(hand->socket, &command, sizeof(command), 0);
	} while (size < 0 && errno == EINTR);
	if (size != (ssize_t)sizeof(command) || (command.kind != CLINUX_RING_GIVE && command.kind != CLINUX_RING_RECALL))
		command = (struct clinux_ring_command){ .kind = CLINUX_RING_RECALL, .deadline = ring_now() + OWN_PATIENCE };
	return command;
}

int ring_is_recall(struct ring_hand *hand, const struct clinux_ring_command *command, uint64_t *deadline)
{
	if (command->kind != CLINUX_RING_RECALL)
		return 0;
	hand->is_shared = command->is_shared != 0;
	*deadline = command->deadline ? command->deadline : 1;
	return 1;
}

static struct ring_outcome put(struct ring_hand *hand)
{
	int32_t number = hand->file;
	struct io_uring_files_update update = { .fds = (uint64_t)(uintptr_t)&number };
	int result = ring_register(hand->ring, IORING_REGISTER_FILES_UPDATE, &update, 1);

	return result == 1 ? ring_done : ring_failed(CLINUX_RING_PUT, result < 0 ? -result : EIO);
}

/* A child that was too late waits for the ring's lock yet; as long as it does, this hand is counted. */
static void refuse(const struct ring_hand *hand, struct ring_outcome outcome)
{
	ring_answer(hand, CLINUX_RING_REFUSED, outcome);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}

void ring_hand_run(struct ring_hand *hand)
{
	uint64_t deadline = 0;
	int is_given = 0, said = 0;
	struct ring_outcome outcome;

	signal(SIGCHLD, SIG_DFL);
	hand->ring = hand->file = hand->loop = hand->probe = -1;
	if (hand->order.is_taking_back)
		return ring_take_back(hand);
	outcome = ring_prepare(hand);
	if (outcome.stage != 0)
		return refuse(hand, outcome);
	ring_answer(hand, CLINUX_RING_PREPARED, outcome);
	while (deadline == 0) {
		struct clinux_ring_command command = ring_next_command(hand);
		struct ring_running running;
		int result;

		if (ring_is_recall(hand, &command, &deadline))
			break;
		if (is_given)
			continue;
		result = ring_step_start(hand, put, &running);
		if (result < 0)
			return refuse(hand, ring_failed(CLINUX_RING_PUT, -result));
		is_given = 1;
		/* However long it takes: afterwards it is known whether there is something to take back. */
		outcome = ring_see_through(hand, &running, &deadline, &said);
		if (deadline != 0)
			break;
		/* Who is killed while he waits for the ring's lock ends after the call has done its work. */
		if (outcome.error == ECHILD)
			ring_answer(hand, CLINUX_RING_UNKNOWN, outcome);
		else if (outcome.stage != 0)
			return refuse(hand, outcome);
		else
			ring_answer(hand, CLINUX_RING_GIVEN, outcome);
	}
	if (!is_given)
		return ring_answer(hand, CLINUX_RING_RECALLED, ring_done);
	ring_recall(hand, deadline);
}
