// SPDX-License-Identifier: Apache-2.0
/*
 * A broker that lacks one guard, so that a test sees the attack win which the real one refuses. It speaks just enough of
 * the protocol for the actor program and gives "AAAA" to whoever it believes.
 *
 * Usage: twin SOCKET GUARD [TRUSTED-PROGRAM]
 *   channel      whoever holds the channel is believed
 *   pid          whoever sends under the number of the process that opened is believed
 *   one-message  the program is looked at once, and the answer goes to the connection
 */
#define _GNU_SOURCE
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include "wire.h"

#define CLIENTS 32
#define LIFETIME 100

static struct {
	int fd;
	bool is_channel;
	pid_t opener;
} clients[CLIENTS];

static unsigned int count;
static const char *guard, *trusted;

static void add(int fd, bool is_channel, pid_t opener)
{
	int on = 1;

	if (count == CLIENTS)
		exit(3);
	setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	clients[count].fd = fd;
	clients[count].is_channel = is_channel;
	clients[count++].opener = opener;
}

static void reply(int fd, uint16_t type, uint32_t length, int attached)
{
	uint8_t message[24 + 64] = { 0x50, 0x53, 0x54, 0x4e, 1, 0 };

	memcpy(message + 6, &type, 2);
	memcpy(message + 8, &length, 4);
	wire_send(fd, message, 24 + length, attached, 0, 0);
}

static void refuse(int fd)
{
	/* no-such-object, ENOENT, no message */
	uint8_t message[24 + 10] = { 0x50, 0x53, 0x54, 0x4e, 1, 0, 1, 0, 10 };

	message[24] = 2;
	message[28] = ENOENT;
	wire_send(fd, message, sizeof(message), -1, 0, 0);
}

static void opened(int fd, pid_t opener)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		exit(3);
	add(pair[0], true, opener);
	reply(fd, 7, 50, pair[1]);
	close(pair[1]);
}

static bool runs_trusted(pid_t pid)
{
	char link[64], path[PATH_MAX];
	ssize_t length;

	if (!trusted)
		return true;
	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	length = readlink(link, path, sizeof(path) - 1);
	path[length < 0 ? 0 : length] = 0;
	return !strcmp(path, trusted);
}

static void answer(unsigned int index, const uint8_t *message, pid_t sender)
{
	int fd = clients[index].fd;
	uint16_t type;

	memcpy(&type, message + 6, 2);
	if (type == 2) {
		reply(fd, 3, 13, -1);
	} else if (type == 4 && !runs_trusted(sender)) {
		refuse(fd);
	} else if (type == 4 && strcmp(guard, "one-message")) {
		reply(fd, 5, 16, -1);
	} else {
		opened(fd, sender);
	}
}

static void perform(unsigned int index, const uint8_t *message, pid_t sender)
{
	uint8_t completion[8 + WIRE_COMPLETION + 4] = { 0x43, 1, 1, 0 };
	bool believed = strcmp(guard, "pid") || sender == clients[index].opener;
	size_t length = sizeof(completion);

	memcpy(completion + 8, message + 8 + 8, 8);
	if (believed) {
		completion[4] = 4;
		completion[16] = 4;
		completion[32] = 4;
		memcpy(completion + 8 + WIRE_COMPLETION, "AAAA", 4);
	} else {
		int64_t result = -EKEYEXPIRED;

		memcpy(completion + 16, &result, 8);
		completion[24] = 5;
		length -= 4;
	}
	wire_send(clients[index].fd, completion, length, -1, 0, 0);
}

static void serve(unsigned int index)
{
	uint8_t message[4096];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * 4)];
	} control;
	struct iovec vector = { .iov_base = message, .iov_len = sizeof(message) };
	struct msghdr header = {
		.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control),
	};
	struct ucred sender = { 0 };
	struct cmsghdr *item;
	ssize_t length = recvmsg(clients[index].fd, &header, MSG_CMSG_CLOEXEC);

	if (length <= 0) {
		close(clients[index].fd);
		clients[index].fd = -1;
		return;
	}
	for (item = CMSG_FIRSTHDR(&header); item; item = CMSG_NXTHDR(&header, item))
		if (item->cmsg_level == SOL_SOCKET && item->cmsg_type == SCM_CREDENTIALS)
			memcpy(&sender, CMSG_DATA(item), sizeof(sender));
	if (clients[index].is_channel)
		perform(index, message, sender.pid);
	else
		answer(index, message, sender.pid);
}

int main(int argc, char **arguments)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct pollfd ready[CLIENTS + 1];
	int on = 1, listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	unsigned int i, polled;

	if (argc < 3)
		return 64;
	alarm(LIFETIME);
	guard = arguments[2];
	trusted = argc > 3 ? arguments[3] : NULL;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", arguments[1]);
	setsockopt(listener, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 16) < 0)
		return 1;
	printf("ready\n");
	fflush(stdout);
	while (1) {
		ready[0] = (struct pollfd){ .fd = listener, .events = POLLIN };
		polled = count;
		for (i = 0; i < polled; i++)
			ready[i + 1] = (struct pollfd){ .fd = clients[i].fd, .events = POLLIN };
		if (poll(ready, polled + 1, -1) < 0)
			return 1;
		for (i = 0; i < polled; i++)
			if (ready[i + 1].revents)
				serve(i);
		if (ready[0].revents)
			add(accept(listener, NULL, NULL), false, 0);
	}
}
