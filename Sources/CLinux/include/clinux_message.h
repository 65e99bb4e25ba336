/* SPDX-License-Identifier: Apache-2.0 */
/* One datagram of a SOCK_SEQPACKET unix socket with its control messages (unix(7), cmsg(3)). */
#ifndef CLINUX_MESSAGE_H
#define CLINUX_MESSAGE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>

/* What the kernel lets anybody attach to one message: SCM_MAX_FD, net/scm.h. */
#define CLINUX_MAX_ATTACHED 253

struct clinux_received {
	int32_t pid; /* SCM_CREDENTIALS, or 0 where the kernel gave none */
	uint32_t uid;
	uint32_t gid;
	int32_t pidfd; /* SCM_PIDFD, or -1; the caller owns it */
	int32_t descriptor_count;
	int32_t data_truncated;
	int32_t control_truncated;
	int32_t descriptors[CLINUX_MAX_ATTACHED]; /* SCM_RIGHTS; the caller owns the first descriptor_count */
};

/* recvmsg(2) with MSG_CMSG_CLOEXEC; -1 with errno. Descriptors are handed over only with a result >= 0. */
ssize_t clinux_receive(int fd, void *data, size_t capacity, int flags, struct clinux_received *out);

/*
 * epoll_wait(2), but no cancellation point: no thread that waits so is ever cancelled, and it is called twice for
 * each instruction.
 */
int clinux_epoll_wait(int epoll, struct epoll_event *events, int capacity, int timeout);

/* sendmsg(2) of two parts with MSG_NOSIGNAL and, where count > 0, descriptors attached; they stay open here. */
ssize_t clinux_send(int fd, const void *head, size_t head_size, const void *tail, size_t tail_size,
		    const int *descriptors, size_t count, int flags);

#endif
