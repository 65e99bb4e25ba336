/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A supervisor of system calls with nothing but what it takes to be safe: the calls that it answers by a seccomp
 * notification (seccomp_unotify(2)), and a bind(2) on behalf of the caller. Needs the right to trace the caller.
 */
#ifndef SUPERVISOR_H
#define SUPERVISOR_H

#include "../mediated/measure.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* Who waits for an answer, and in which call. */
struct caller {
	pid_t pid;
	int number;
	const uint64_t *arguments;
	/* Where the kernel tells whether it still waits; -1: it is stopped, and stays so. */
	int listener;
	uint64_t id;
};

/* Whether what was read of the caller was its own: past this, its pid may have been somebody else's. */
static inline int still_waits(const struct caller *caller)
{
	return caller->listener < 0 || !ioctl(caller->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &caller->id);
}

/* Sends a descriptor; with -1 receives one and returns it. */
static inline int pass(int socket, int fd)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char byte = 0;
	struct iovec part = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control),
	};

	if (fd < 0) {
		if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message))
			memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
		return fd;
	}
	control.align.cmsg_level = SOL_SOCKET;
	control.align.cmsg_type = SCM_RIGHTS;
	control.align.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	return sendmsg(socket, &message, 0) == 1 ? 0 : -1;
}

/* Installs a filter on the calling thread; returns the listener where the filter notifies one, else 0; -1 on failure. */
static inline int install(struct sock_filter *code, size_t size, int notifies)
{
	struct sock_fprog program = { .len = (unsigned short)(size / sizeof(*code)), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			    notifies ? SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV : 0,
			    &program);
}

static inline int trap_bind(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bind, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return install(code, sizeof(code), 1);
}

static inline int socket_option(int fd, int name)
{
	int value = -1;
	socklen_t size = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &size) ? -1 : value;
}

static inline uint64_t network_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) ? 0 : cookie;
}

static inline uint64_t own_network(void)
{
	static uint64_t cookie;

	if (!cookie) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		cookie = network_of(fd);
		close(fd);
	}
	return cookie;
}

/* bind(2) to the one address that is granted, on the caller's own tcp socket in this network. Returns 0 or -errno. */
static inline long bind_for(const struct caller *caller, const struct sockaddr_in *granted)
{
	struct sockaddr_in name;
	struct iovec local = { .iov_base = &name, .iov_len = sizeof(name) };
	struct iovec remote = { .iov_base = (void *)caller->arguments[1], .iov_len = sizeof(name) };
	int pidfd, fd;
	long result = -EACCES;

	if (caller->arguments[2] != sizeof(name) ||
	    process_vm_readv(caller->pid, &local, 1, &remote, 1, 0) != sizeof(name) || name.sin_family != AF_INET ||
	    name.sin_port != granted->sin_port || name.sin_addr.s_addr != granted->sin_addr.s_addr)
		return -EACCES;
	pidfd = (int)syscall(SYS_pidfd_open, caller->pid, 0);
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, (int)caller->arguments[0], 0);
	close(pidfd);
	if (fd < 0)
		return -EACCES;
	if (socket_option(fd, SO_DOMAIN) == AF_INET && socket_option(fd, SO_TYPE) == SOCK_STREAM &&
	    socket_option(fd, SO_PROTOCOL) == IPPROTO_TCP && network_of(fd) == own_network() && still_waits(caller))
		result = bind(fd, (struct sockaddr *)&name, sizeof(name)) ? -errno : 0;
	close(fd);
	return result;
}

/* Answers until the last supervised process has ended; answer() returns what the call shall, or -errno. */
static inline void supervise(int listener, long (*answer)(const struct caller *caller))
{
	struct pollfd entry = { .fd = listener, .events = POLLIN };

	ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	while (poll(&entry, 1, -1) > 0 && entry.revents & POLLIN) {
		struct seccomp_notif request = { 0 };
		struct seccomp_notif_resp response = { 0 };
		struct caller caller = { .listener = listener };
		long result;

		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request))
			continue;
		caller.pid = (pid_t)request.pid;
		caller.number = request.data.nr;
		caller.arguments = (const uint64_t *)request.data.args;
		caller.id = request.id;
		result = answer(&caller);
		response.id = request.id;
		response.error = result < 0 ? (int)result : 0;
		response.val = result < 0 ? 0 : result;
		ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
	}
	_exit(0);
}

#endif
