/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "clinux_fork.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

ssize_t clinux_client_receive(int fd, void *data, size_t capacity, int flags, struct clinux_attached *out)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(out->descriptors))];
	} control;
	struct iovec part = { .iov_base = data, .iov_len = capacity };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t size = recvmsg(fd, &message, flags | MSG_CMSG_CLOEXEC);

	out->count = 0;
	out->data_truncated = 0;
	out->control_truncated = 0;
	if (size < 0)
		return -1;
	out->data_truncated = (message.msg_flags & MSG_TRUNC) != 0;
	out->control_truncated = (message.msg_flags & MSG_CTRUNC) != 0;
	if (message.msg_controllen == 0)
		return size;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		/* The kernel makes one header of all that were attached (net/core/scm.c), so they start at 0. */
		out->count = (int32_t)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(out->descriptors, CMSG_DATA(header), (size_t)out->count * sizeof(int));
	}
	return size;
}

int clinux_client_poll(int fd, int events, int timeout_ms)
{
	struct pollfd entry = { .fd = fd, .events = (short)events };
	int result = poll(&entry, 1, timeout_ms);

	return result <= 0 ? result : entry.revents;
}

int clinux_status_flags(int fd)
{
	return fcntl(fd, F_GETFL);
}

int clinux_set_flags(int fd, int nonblocking, int close_on_exec)
{
	int status = fcntl(fd, F_GETFL);

	if (status < 0)
		return -1;
	if (fcntl(fd, F_SETFL, nonblocking ? status | O_NONBLOCK : status & ~O_NONBLOCK) < 0)
		return -1;
	return fcntl(fd, F_SETFD, close_on_exec ? FD_CLOEXEC : 0);
}

const char *clinux_environment(const char *name)
{
	return secure_getenv(name);
}

/* As long as a message can be on the wire, and its end. */
static _Thread_local struct {
	int reason;
	int detail;
	char message[4097];
} last;

void clinux_set_last_reason(int reason, int detail, const char *message)
{
	size_t length = strnlen(message, sizeof(last.message) - 1);

	last.reason = reason;
	last.detail = detail;
	memcpy(last.message, message, length);
	last.message[length] = 0;
}

int clinux_last_reason(void)
{
	return last.reason;
}

int clinux_last_detail(void)
{
	return last.detail;
}

const char *clinux_last_message(void)
{
	return last.message;
}
