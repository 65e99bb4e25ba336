/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "clinux_message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef SCM_PIDFD
#define SCM_PIDFD 4
#endif

/*
 * Room for everything that a peer can attach: credentials, a pidfd, and the kernel's SCM_MAX_FD (net/scm.h)
 * descriptors. What did not fit the kernel would close in the receiving thread, and closing a stranger's descriptor
 * can block for as long as the stranger likes (SO_LINGER in socket(7), a FUSE file's flush).
 */
#define CONTROL_DESCRIPTORS CLINUX_MAX_ATTACHED

/* Bytes of a message that is small. */
#define SMALL 512

union control_buffer {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int)) +
		   CMSG_SPACE(CONTROL_DESCRIPTORS * sizeof(int))];
};

static void take_descriptors(const struct cmsghdr *header, struct clinux_received *out)
{
	size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t index = 0; index < count; index++) {
		int fd;

		memcpy(&fd, CMSG_DATA(header) + index * sizeof(int), sizeof(int));
		if (out->descriptor_count < CLINUX_MAX_ATTACHED)
			out->descriptors[out->descriptor_count++] = fd;
		else
			close(fd);
	}
}

ssize_t clinux_receive(int fd, void *data, size_t capacity, int flags, struct clinux_received *out)
{
	union control_buffer control;
	struct iovec part = { .iov_base = data, .iov_len = capacity };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t size;

	out->pid = 0;
	out->uid = 0;
	out->gid = 0;
	out->pidfd = -1;
	out->descriptor_count = 0;
	out->data_truncated = 0;
	out->control_truncated = 0;
	/*
	 * The C library's call is a cancellation point (pthreads(7)), which costs two atomic operations in a
	 * program with threads; one that does not wait need not be.
	 */
	if (flags & MSG_DONTWAIT)
		size = syscall(SYS_recvmsg, fd, &message, flags | MSG_CMSG_CLOEXEC);
	else
		size = recvmsg(fd, &message, flags | MSG_CMSG_CLOEXEC);
	if (size < 0)
		return -1;
	out->data_truncated = (message.msg_flags & MSG_TRUNC) != 0;
	out->control_truncated = (message.msg_flags & MSG_CTRUNC) != 0;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
		if (header->cmsg_level != SOL_SOCKET)
			continue;
		switch (header->cmsg_type) {
		case SCM_CREDENTIALS: {
			struct ucred sender;

			memcpy(&sender, CMSG_DATA(header), sizeof(sender));
			out->pid = sender.pid;
			out->uid = sender.uid;
			out->gid = sender.gid;
			break;
		}
		case SCM_PIDFD:
			/* The kernel puts a negative errno here where it could make no pidfd. */
			memcpy(&out->pidfd, CMSG_DATA(header), sizeof(out->pidfd));
			break;
		case SCM_RIGHTS:
			take_descriptors(header, out);
			break;
		}
	}
	return size;
}

int clinux_epoll_wait(int epoll, struct epoll_event *events, int capacity, int timeout)
{
	return (int)syscall(SYS_epoll_pwait, epoll, events, capacity, timeout, NULL, 8);
}

ssize_t clinux_send(int fd, const void *head, size_t head_size, const void *tail, size_t tail_size,
		    const int *descriptors, size_t count, int flags)
{
	union control_buffer control;
	struct iovec parts[2] = {
		{ .iov_base = (void *)head, .iov_len = head_size },
		{ .iov_base = (void *)tail, .iov_len = tail_size },
	};
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = tail_size > 0 ? 2 : 1 };

	if (count > CLINUX_MAX_ATTACHED) {
		errno = EINVAL;
		return -1;
	}
	flags |= MSG_NOSIGNAL;
	if (count == 0 && head_size + tail_size <= SMALL && (flags & MSG_DONTWAIT)) {
		/* A copy costs less than what the kernel does to take in a msghdr and its parts. */
		char whole[SMALL];

		if (head_size > 0)
			memcpy(whole, head, head_size);
		if (tail_size > 0)
			memcpy(whole + head_size, tail, tail_size);
		return syscall(SYS_sendto, fd, whole, head_size + tail_size, flags, NULL, 0);
	}
	if (count > 0) {
		struct cmsghdr *header;

		memset(&control, 0, sizeof(control));
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(header), descriptors, count * sizeof(int));
	}
	return sendmsg(fd, &message, flags);
}
