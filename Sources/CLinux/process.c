/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "clinux_process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/kcmp.h>
#include <linux/netlink.h>
#include <malloc.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

int clinux_pidfd_open(pid_t pid, unsigned int flags)
{
	return (int)syscall(SYS_pidfd_open, pid, flags);
}

int clinux_pidfd_send_signal(int pidfd, int signal)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

int clinux_pidfd_open_thread(pid_t tid)
{
	/* PIDFD_THREAD (linux/pidfd.h) is younger than the headers that we build with. */
	return (int)syscall(SYS_pidfd_open, tid, O_EXCL);
}

int clinux_pidfd_get(int pidfd, int number)
{
	return (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
}

int clinux_share_descriptors(pid_t one, pid_t other)
{
	long order = syscall(SYS_kcmp, one, other, KCMP_FILES, 0, 0);

	return order < 0 ? -1 : order == 0;
}

int clinux_read_memory(pid_t tid, uint64_t address, void *bytes, size_t count)
{
	struct iovec here = { .iov_base = bytes, .iov_len = count };
	struct iovec there = { .iov_base = (void *)(uintptr_t)address, .iov_len = count };
	ssize_t got;

	do {
		got = process_vm_readv(tid, &here, 1, &there, 1, 0);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	return (size_t)got == count ? 0 : -EFAULT;
}


int clinux_boottime_timer(void)
{
	return timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
}

int clinux_arm_timer(int fd, uint64_t boottime)
{
	struct itimerspec when = {
		.it_value = { .tv_sec = (time_t)(boottime / 1000000000u), .tv_nsec = (long)(boottime % 1000000000u) },
	};

	return timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL);
}

int clinux_process_events_open(void)
{
	const enum proc_cn_mcast_op operation = PROC_CN_MCAST_LISTEN;
	union {
		struct nlmsghdr header;
		char bytes[NLMSG_LENGTH(sizeof(struct cn_msg) + sizeof(operation))];
	} request = { .header = { .nlmsg_len = sizeof(request.bytes), .nlmsg_type = NLMSG_DONE } };
	struct cn_msg *connector = NLMSG_DATA(&request.header);
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC };
	int size = 8 << 20;
	int fd = socket(PF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR);

	if (fd < 0)
		return -1;
	connector->id = (struct cb_id){ .idx = CN_IDX_PROC, .val = CN_VAL_PROC };
	connector->len = sizeof(operation);
	memcpy(connector->data, &operation, sizeof(operation));
	/* A fork bomb fills the default buffer in milliseconds; FORCE needs CAP_NET_ADMIN, as the connector does. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    send(fd, request.bytes, sizeof(request.bytes), MSG_NOSIGNAL) < 0) {
		int code = errno;

		close(fd);
		errno = code;
		return -1;
	}
	return fd;
}

int clinux_process_events_next(int fd, struct clinux_process_event *out)
{
	union {
		struct nlmsghdr align;
		char bytes[NLMSG_SPACE(sizeof(struct cn_msg) + sizeof(struct proc_event))];
	} buffer;
	struct sockaddr_nl sender;
	socklen_t sender_size = sizeof(sender);
	struct proc_event event;
	const struct cn_msg *connector;
	ssize_t size = recvfrom(fd, &buffer, sizeof(buffer), MSG_DONTWAIT, (struct sockaddr *)&sender, &sender_size);

	if (size < 0)
		return errno == EAGAIN ? 0 : -1;
	*out = (struct clinux_process_event){ .kind = CLINUX_EVENT_OTHER };
	/* Only the kernel (port 0) speaks here; another process could send to our port. */
	if (sender.nl_pid != 0 || size < (ssize_t)NLMSG_LENGTH(sizeof(struct cn_msg)))
		return 1;
	connector = NLMSG_DATA(&buffer.align);
	if (connector->id.idx != CN_IDX_PROC || connector->id.val != CN_VAL_PROC ||
	    size < (ssize_t)NLMSG_LENGTH(sizeof(struct cn_msg) + offsetof(struct proc_event, event_data) + 16))
		return 1;
	memset(&event, 0, sizeof(event));
	memcpy(&event, connector->data,
	       connector->len < sizeof(event) ? connector->len : sizeof(event));
	out->timestamp = event.timestamp_ns;
	switch ((unsigned int)event.what) {
	case PROC_EVENT_FORK:
		if (event.event_data.fork.child_pid != event.event_data.fork.child_tgid)
			return 1;
		out->kind = CLINUX_EVENT_FORK;
		out->tgid = event.event_data.fork.child_tgid;
		out->parent = event.event_data.fork.parent_tgid;
		return 1;
	case PROC_EVENT_EXEC:
		out->kind = CLINUX_EVENT_EXEC;
		out->tgid = event.event_data.exec.process_tgid;
		return 1;
	case PROC_EVENT_EXIT:
		/* Leaders only: a process whose leader ends first is seen to end by its pidfd. */
		if (event.event_data.exit.process_pid != event.event_data.exit.process_tgid)
			return 1;
		out->kind = CLINUX_EVENT_EXIT;
		out->tgid = event.event_data.exit.process_tgid;
		return 1;
	}
	return 1;
}

void clinux_name_thread(const char *name)
{
	prctl(PR_SET_NAME, name, 0, 0, 0);
}

void clinux_keep_freed_memory(int bytes)
{
	mallopt(M_TRIM_THRESHOLD, bytes);
}
