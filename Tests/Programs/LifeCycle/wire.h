/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wire protocol, written from PROTOCOL.md alone and without the library, so that a test decides itself which process
 * sends what and when. Little-endian machines only. Every call waits at most WIRE_PATIENCE milliseconds.
 */
#ifndef POSTERN_TESTS_WIRE_H
#define POSTERN_TESTS_WIRE_H

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

#define WIRE_PATIENCE 10000
#define WIRE_BODY 65536
#define WIRE_BATCH 64
#define WIRE_INSTRUCTION 56
#define WIRE_COMPLETION 48

enum wire_opcode {
	WIRE_READ = 0,
	WIRE_INFO = 4,
	WIRE_BIND = 5,
	WIRE_LISTEN = 6,
	WIRE_ACCEPT = 7,
};

/* What came of a request or an instruction. */
struct wire_outcome {
	int64_t result;		/* >= 0 done; else -errno */
	uint16_t reason;	/* 0: not refused */
	uint16_t detail;
	uint16_t kind;		/* of a completion: 0 completion, 1 ready, 2 changed */
	uint64_t cookie;
	uint64_t channel;
	uint64_t association;
	uint64_t nonce[2];
	int descriptor;		/* attached to the answer, or -1 */
	char message[256];
	char data[64];		/* the beginning of what was read */
};

static inline const char *wire_reason(unsigned int number)
{
	static const char *const names[] = {
		"ok", "undecidable", "no-such-object", "stale", "revoked", "not-associated",
		"expired", "operation", "limit", "busy", "quota", "refused",
	};

	return number < sizeof(names) / sizeof(*names) ? names[number] : "?";
}

static inline const char *wire_detail(unsigned int number)
{
	static const char *const names[] = {
		"", "namespace", "tracer", "fork-denied", "not-descended", "execed", "path-unavailable",
		"selector", "nonce", "ancestor-expired", "object-unavailable", "broker-own", "audit-full",
	};

	return number < sizeof(names) / sizeof(*names) ? names[number] : "?";
}

static inline void wire_local(struct wire_outcome *outcome, int error)
{
	memset(outcome, 0, sizeof(*outcome));
	outcome->descriptor = -1;
	outcome->result = -error;
}

/* Sends one message, with a descriptor where that is not -1, and with a claimed pid where that is not 0. */
static inline int wire_send(int fd, const void *bytes, size_t length, int attached, pid_t claimed, int flags)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec vector = { .iov_base = (void *)bytes, .iov_len = length };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
	struct cmsghdr *header;

	memset(&control, 0, sizeof(control));
	if (attached >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int));
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &attached, sizeof(int));
	} else if (claimed) {
		struct ucred credentials = { .pid = claimed, .uid = getuid(), .gid = getgid() };

		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(credentials));
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_CREDENTIALS;
		header->cmsg_len = CMSG_LEN(sizeof(credentials));
		memcpy(CMSG_DATA(header), &credentials, sizeof(credentials));
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL | flags) == (ssize_t)length ? 0 : -errno;
}

/* Receives one message within the time given: its length, -errno, or -EPIPE at the end. */
static inline ssize_t wire_receive(int fd, void *bytes, size_t capacity, int *attached, int milliseconds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec vector = { .iov_base = bytes, .iov_len = capacity };
	struct msghdr message = {
		.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control),
	};
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	struct cmsghdr *header;
	ssize_t length;

	*attached = -1;
	if (poll(&ready, 1, milliseconds) < 1)
		return -ETIMEDOUT;
	length = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	if (length < 0)
		return -errno;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
		memcpy(attached, CMSG_DATA(header), sizeof(int));
	return length ? length : -EPIPE;
}

/* Sends one request of the control connection. */
static inline int wire_request(int fd, uint16_t type, const void *body, uint32_t length, int attached, pid_t claimed)
{
	static _Thread_local uint64_t request;
	uint8_t message[24 + 4096];
	uint32_t magic = 0x4e545350;	/* "PSTN" */
	uint16_t version = 1;

	if (length > 4096)
		return -EMSGSIZE;
	memset(message, 0, 24);
	request++;
	memcpy(message, &magic, 4);
	memcpy(message + 4, &version, 2);
	memcpy(message + 6, &type, 2);
	memcpy(message + 8, &length, 4);
	memcpy(message + 16, &request, 8);
	if (length)
		memcpy(message + 24, body, length);
	return wire_send(fd, message, 24 + length, attached, claimed, 0);
}

/* Receives one reply of the control connection and gives its type, or -errno. */
static inline int wire_reply(int fd, struct wire_outcome *outcome)
{
	static uint8_t message[24 + WIRE_BODY];
	const uint8_t *body = message + 24;
	uint16_t type, text;
	ssize_t length;
	int32_t number;

	wire_local(outcome, 0);
	length = wire_receive(fd, message, sizeof(message), &outcome->descriptor, WIRE_PATIENCE);
	if (length < 24) {
		wire_local(outcome, length < 0 ? (int)-length : EPROTO);
		return (int)outcome->result;
	}
	memcpy(&type, message + 6, 2);
	switch (type) {
	case 1:	/* refused */
		memcpy(&outcome->reason, body, 2);
		memcpy(&outcome->detail, body + 2, 2);
		memcpy(&number, body + 4, 4);
		outcome->result = -number;
		memcpy(&text, body + 8, 2);
		snprintf(outcome->message, sizeof(outcome->message), "%.*s", (int)text, (const char *)body + 10);
		break;
	case 31:	/* failed */
		memcpy(&number, body, 4);
		outcome->result = -number;
		memcpy(&text, body + 4, 2);
		snprintf(outcome->message, sizeof(outcome->message), "%.*s", (int)text, (const char *)body + 6);
		break;
	case 5:	/* challenge */
		memcpy(outcome->nonce, body, 16);
		break;
	case 7:	/* opened */
		memcpy(&outcome->association, body, 8);
		memcpy(&outcome->channel, body + 8, 8);
		break;
	case 9:	/* adopted */
		memcpy(&outcome->channel, body, 8);
		break;
	case 11:	/* revalidated */
		memcpy(&outcome->association, body, 8);
		break;
	}
	return type;
}

/* Connects to the broker and says hello: a descriptor or -errno. */
static inline int wire_connect(const char *path)
{
	static const uint8_t hello[] = { 1, 0, 4, 0, 't', 'e', 's', 't' };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct wire_outcome outcome;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	if (wire_request(fd, 2, hello, sizeof(hello), -1, 0) < 0 || wire_reply(fd, &outcome) != 3) {
		close(fd);
		return -EPROTO;
	}
	return fd;
}

/* Sends the first message of an open. */
static inline int wire_send_open(int fd, const char *object, uint32_t operations)
{
	uint8_t body[2 + 255 + 7];
	uint16_t length = (uint16_t)strlen(object);

	memcpy(body, &length, 2);
	memcpy(body + 2, object, length);
	memcpy(body + 2 + length, &operations, 4);
	body[2 + length + 4] = 0;
	body[2 + length + 5] = 255;
	body[2 + length + 6] = 0;	/* nothing but mediated */
	return wire_request(fd, 4, body, (uint32_t)length + 9, -1, 0);
}

/* Answers a challenge; gives the reply's type. */
static inline int wire_confirm(int fd, const uint64_t nonce[2], struct wire_outcome *outcome)
{
	if (wire_request(fd, 6, nonce, 16, -1, 0) < 0) {
		wire_local(outcome, EPIPE);
		return -EPIPE;
	}
	return wire_reply(fd, outcome);
}

static inline int wire_open(int fd, const char *object, uint32_t operations, struct wire_outcome *outcome)
{
	uint64_t nonce[2];

	if (wire_send_open(fd, object, operations) < 0) {
		wire_local(outcome, EPIPE);
		return -EPIPE;
	}
	if (wire_reply(fd, outcome) != 5)
		return (int)outcome->result;
	memcpy(nonce, outcome->nonce, sizeof(nonce));
	return wire_confirm(fd, nonce, outcome);
}

static inline int wire_adopt(int fd, int channel, struct wire_outcome *outcome)
{
	if (wire_request(fd, 8, NULL, 0, channel, 0) < 0) {
		wire_local(outcome, errno);
		return -EPIPE;
	}
	return wire_reply(fd, outcome);
}

static inline int wire_revalidate(int fd, uint64_t channel, struct wire_outcome *outcome)
{
	uint64_t nonce[2];

	if (wire_request(fd, 10, &channel, 8, -1, 0) < 0) {
		wire_local(outcome, EPIPE);
		return -EPIPE;
	}
	if (wire_reply(fd, outcome) != 5)
		return (int)outcome->result;
	memcpy(nonce, outcome->nonce, sizeof(nonce));
	return wire_confirm(fd, nonce, outcome);
}

/* Sends `count` equal instructions in one datagram, with cookies from `cookie` on. */
static inline int wire_issue(int channel, uint8_t opcode, uint64_t offset, uint64_t length, unsigned int count,
			     uint64_t cookie, pid_t claimed, int flags)
{
	uint8_t message[8 + WIRE_BATCH * WIRE_INSTRUCTION];
	uint16_t magic = 0x0149, frames = (uint16_t)count;
	unsigned int i;

	memset(message, 0, sizeof(message));
	memcpy(message, &magic, 2);
	memcpy(message + 2, &frames, 2);
	for (i = 0; i < count; i++) {
		uint8_t *frame = message + 8 + i * WIRE_INSTRUCTION;
		uint64_t number = cookie + i;

		frame[0] = opcode;
		memcpy(frame + 8, &number, 8);
		memcpy(frame + 16, &offset, 8);
		memcpy(frame + 24, &length, 8);
	}
	return wire_send(channel, message, 8 + (size_t)count * WIRE_INSTRUCTION, -1, claimed, flags);
}

/* Receives one datagram of completions and gives how many, or -errno. The first one's data is kept. */
static inline int wire_collect(int channel, struct wire_outcome outcomes[WIRE_BATCH], int milliseconds)
{
	static _Thread_local uint8_t message[8 + WIRE_BATCH * WIRE_COMPLETION + WIRE_BODY];
	size_t payload;
	uint16_t frames;
	ssize_t length;
	int descriptor;
	unsigned int i;

	length = wire_receive(channel, message, sizeof(message), &descriptor, milliseconds);
	if (length < 0)
		return (int)length;
	memcpy(&frames, message + 2, 2);
	payload = 8 + (size_t)frames * WIRE_COMPLETION;
	for (i = 0; i < frames && i < WIRE_BATCH; i++) {
		const uint8_t *frame = message + 8 + i * WIRE_COMPLETION;
		struct wire_outcome *outcome = outcomes + i;
		uint32_t carried;
		uint16_t flags;

		wire_local(outcome, 0);
		memcpy(&outcome->cookie, frame, 8);
		memcpy(&outcome->result, frame + 8, 8);
		memcpy(&outcome->reason, frame + 16, 2);
		memcpy(&outcome->detail, frame + 18, 2);
		memcpy(&flags, frame + 20, 2);
		outcome->kind = frame[22];
		memcpy(&carried, frame + 24, 4);
		if (flags & 1)
			outcome->descriptor = descriptor;
		snprintf(outcome->data, sizeof(outcome->data), "%.*s", (int)carried, (const char *)message + payload);
		payload += carried;
	}
	return frames;
}

#endif
