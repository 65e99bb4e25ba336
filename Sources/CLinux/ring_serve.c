/* SPDX-License-Identifier: Apache-2.0 */
/* The process that hands are forked from: small, without anything of the broker's in its memory. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clinux_message.h"
#include "ring_hand.h"

int clinux_ring_order(int socket, const struct clinux_ring_order *order, const int descriptors[3])
{
	ssize_t size = clinux_send(socket, order, sizeof(*order), NULL, 0, descriptors, 3, MSG_DONTWAIT);

	return size < 0 ? -errno : 0;
}

static void close_all(const struct clinux_received *received)
{
	for (int index = 0; index < received->descriptor_count; index++)
		close(received->descriptors[index]);
}

int clinux_ring_serve(int socket)
{
	struct ring_hand hand;
	struct clinux_received received;

	/* Nobody waits for a hand; the broker hears of its end by its socket. */
	signal(SIGCHLD, SIG_IGN);
	/* A service manager ends all of a service at once: the rings have to be emptied first, which the sockets' end brings about. */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		ssize_t size;
		pid_t pid;

		memset(&hand, 0, sizeof(hand));
		size = clinux_receive(socket, &hand.order, sizeof(hand.order), 0, &received);
		if (size < 0 && errno == EINTR)
			continue;
		if (size <= 0)
			return size < 0 ? -errno : 0;
		if (size != (ssize_t)sizeof(hand.order) || received.descriptor_count != 3 || received.control_truncated) {
			close_all(&received);
			continue;
		}
		pid = fork();
		if (pid == 0) {
			close(socket);
			hand.socket = received.descriptors[0];
			hand.target = received.descriptors[1];
			hand.object = received.descriptors[2];
			ring_hand_run(&hand);
			_exit(0);
		}
		/* Without a process the hand's socket closes, which the broker takes for a refusal. */
		close_all(&received);
	}
}
