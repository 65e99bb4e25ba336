/* SPDX-License-Identifier: Apache-2.0 */
/* As much of PROTOCOL.md as the benchmarks need, without the library. Little-endian machines only, as Postern is. */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include "measure.h"

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#define REQUEST_HELLO 2
#define REQUEST_OPEN 4
#define REQUEST_CONFIRM 6
#define REQUEST_REVOKE 22
#define REQUEST_RELOAD 26
#define REPLY_REFUSED 1
#define REPLY_CHALLENGE 5
#define REPLY_OPENED 7
#define REPLY_REVOCATIONS 23
#define REPLY_DONE 25

#define OPCODE_READ 0
#define OPCODE_INFO 4

#define BATCH_HEADER 8
#define INSTRUCTION 56
#define COMPLETION 48

struct control_header {
	uint32_t magic;
	uint16_t version, type;
	uint32_t length, reserved;
	uint64_t request;
} __attribute__((packed));

struct instruction {
	uint8_t action, flags, family, reserved0;
	uint32_t request;
	uint64_t cookie, offset, length;
	uint32_t payload;
	uint16_t port, reserved1;
	uint8_t address[16];
} __attribute__((packed));

struct completion {
	uint64_t cookie;
	int64_t result;
	uint16_t reason, detail, flags;
	uint8_t kind, family;
	uint32_t payload;
	uint16_t port, reserved;
	uint8_t address[16];
} __attribute__((packed));

struct batch_header {
	uint16_t magic, count;
	uint32_t payload;
} __attribute__((packed));

_Static_assert(sizeof(struct instruction) == INSTRUCTION, "PROTOCOL.md");
_Static_assert(sizeof(struct completion) == COMPLETION, "PROTOCOL.md");

/* Sends a request and takes its reply: its type, its body cut to the capacity, and a descriptor or -1. */
static inline uint16_t ask_broker(int fd, uint16_t type, const void *body, size_t size, void *reply, size_t *capacity,
				  int *attached)
{
	static uint64_t request;
	static char bytes[24 + 65536];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} ancillary;
	struct control_header header = { 0x4e545350, 1, type, (uint32_t)size, 0, ++request };
	struct iovec part = { bytes, sizeof(header) + size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	ssize_t count;

	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + sizeof(header), body, size);
	if (sendmsg(fd, &message, MSG_NOSIGNAL) < 0)
		die("control request");
	part.iov_len = sizeof(bytes);
	message.msg_control = ancillary.bytes;
	message.msg_controllen = sizeof(ancillary.bytes);
	count = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	if (count < (ssize_t)sizeof(header))
		die("control reply");
	memcpy(&header, bytes, sizeof(header));
	if (*capacity > header.length)
		*capacity = header.length;
	memcpy(reply, bytes + sizeof(header), *capacity);
	*attached = -1;
	if (CMSG_FIRSTHDR(&message) && CMSG_FIRSTHDR(&message)->cmsg_type == SCM_RIGHTS)
		memcpy(attached, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	return header.type;
}

/* The same where only one type of reply will do; `attached` is not NULL where a descriptor must come. */
static inline void control(int fd, uint16_t type, const void *body, size_t size, uint16_t expected, void *reply,
			   size_t capacity, int *attached)
{
	char bytes[1024] = "";
	size_t count = sizeof(bytes);
	int descriptor;
	uint16_t answer = ask_broker(fd, type, body, size, bytes, &count, &descriptor);

	if (answer != expected) {
		fprintf(stderr, "benchmark: request %u was answered with %u: %.*s\n", type, answer, (int)count, bytes);
		exit(1);
	}
	if (attached && descriptor < 0)
		die("no descriptor came");
	if (attached)
		*attached = descriptor;
	if (reply)
		memcpy(reply, bytes, capacity < count ? capacity : count);
}

static inline size_t put_string(uint8_t *at, const char *text)
{
	uint16_t length = (uint16_t)strlen(text);

	memcpy(at, &length, 2);
	memcpy(at + 2, text, length);
	return 2u + length;
}

/* A control connection on which hello was said. */
static inline int connect_broker(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	uint8_t body[64] = { 1, 0 };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die(path);
	control(fd, REQUEST_HELLO, body, 2 + put_string(body + 2, "benchmark"), 3, NULL, 0, NULL);
	return fd;
}

/* Opens an object on the path mediated with all that is granted; returns the channel. */
static inline int open_object(int connection, const char *object)
{
	uint8_t body[300], reply[1024];
	size_t size = put_string(body, object), count = sizeof(reply);
	int channel;
	uint16_t answer;

	memset(body + size, 0, 5);
	body[size + 5] = 255;	/* any path */
	body[size + 6] = 0;	/* which may be nothing but mediated */
	answer = ask_broker(connection, REQUEST_OPEN, body, size + 7, reply, &count, &channel);
	if (answer == REPLY_CHALLENGE) {
		memcpy(body, reply, 16);
		count = sizeof(reply);
		answer = ask_broker(connection, REQUEST_CONFIRM, body, 16, reply, &count, &channel);
	}
	if (answer == REPLY_OPENED && channel >= 0)
		return channel;
	/* Reason, detail, errno, and a string of what the policy says. */
	if (answer == REPLY_REFUSED && count >= 10)
		fprintf(stderr, "benchmark: opening %s: refused, reason %u, detail %u, %.*s\n", object, reply[0], reply[2],
			(int)(count - 10), (char *)reply + 10);
	else
		fprintf(stderr, "benchmark: opening %s: answered with %u\n", object, answer);
	exit(1);
}

/* Writes a datagram of `count` equal instructions; returns its size. */
static inline size_t instructions(uint8_t *at, unsigned count, uint8_t opcode, uint64_t length)
{
	struct batch_header header = { 0x0149, (uint16_t)count, 0 };

	memcpy(at, &header, sizeof(header));
	for (unsigned index = 0; index < count; index++) {
		struct instruction frame = { .action = opcode, .cookie = index + 1, .length = length };

		memcpy(at + BATCH_HEADER + index * INSTRUCTION, &frame, sizeof(frame));
	}
	return BATCH_HEADER + count * INSTRUCTION;
}

/* The first completion of a datagram that came. */
static inline struct completion first_completion(const uint8_t *bytes)
{
	struct completion frame;

	memcpy(&frame, bytes + BATCH_HEADER, sizeof(frame));
	return frame;
}

#endif
