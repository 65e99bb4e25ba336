/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least broker in C that does what Postern does on the path mediated, in the same frames: it knows each sender by the
 * kernel's credentials and a pidfd, checks operation, generation, expiry and range, and performs. It hands descriptors over
 * too. It keeps no journal, cannot be told to take anything back, and never sees an exec.
 */
#include "peers.h"

#include "../mediated/protocol.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/un.h>

/* In the place of a batch's magic number. */
#define ASK_FOR_DESCRIPTOR 0x4f50

struct grant {
	uid_t user;
	uint32_t operations, generation;
	uint64_t expiry, length;
};

struct association {
	pid_t pid;
	int pidfd;
	uint32_t generation;
};

static const struct grant granted = { NOBODY, 1u << OPCODE_READ | 1u << 1, 1, UINT64_MAX, LENGTH };
static struct association holder = { -1, -1, 0 };
static int channel = -1;

static uint64_t boottime(void)
{
	struct timespec time;

	clock_gettime(CLOCK_BOOTTIME, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* A descriptor or -errno. */
static int associate(const struct ucred *sender)
{
	int pidfd, disk;

	if (sender->uid != granted.user)
		return -EACCES;
	pidfd = (int)syscall(SYS_pidfd_open, sender->pid, 0);
	if (pidfd < 0)
		return -EACCES;
	if (holder.pidfd >= 0)
		close(holder.pidfd);
	holder = (struct association){ sender->pid, pidfd, granted.generation };
	disk = open(needed("PEERS_DISK"), O_RDWR | O_CLOEXEC);
	return disk < 0 ? -errno : disk;
}

/* Whether this sender may; 0 or -errno. */
static int check(const struct ucred *sender, const struct instruction *wanted)
{
	struct pollfd life = { .fd = holder.pidfd, .events = POLLIN };

	if (sender->pid != holder.pid || poll(&life, 1, 0) != 0)
		return -EKEYEXPIRED;
	if (holder.generation != granted.generation)
		return -ESTALE;
	if (granted.expiry <= boottime())
		return -EKEYEXPIRED;
	if (wanted->action > 1 || !(granted.operations & 1u << wanted->action))
		return -EACCES;
	if (wanted->offset > granted.length || wanted->length > granted.length - wanted->offset ||
	    wanted->length > LARGEST)
		return -EPERM;
	return 0;
}

static size_t perform_frame(int disk, const struct ucred *sender, const uint8_t *request, size_t size, uint8_t *reply)
{
	struct batch_header header;
	struct instruction wanted;
	struct completion completion = { 0 };
	uint8_t *payload = reply + BATCH_HEADER + COMPLETION;
	int refused;

	if (size < BATCH_HEADER + INSTRUCTION)
		return 0;
	memcpy(&header, request, sizeof(header));
	memcpy(&wanted, request + BATCH_HEADER, sizeof(wanted));
	if (header.magic != 0x0149 || header.count != 1 || size != BATCH_HEADER + INSTRUCTION + header.payload ||
	    (wanted.action == 1 && wanted.length != header.payload))
		return 0;
	completion.cookie = wanted.cookie;
	refused = check(sender, &wanted);
	if (refused) {
		completion.result = refused;
		completion.reason = 1;
	} else if (wanted.action == OPCODE_READ) {
		completion.result = pread(disk, payload, wanted.length, (off_t)wanted.offset);
		completion.payload = completion.result > 0 ? (uint32_t)completion.result : 0;
	} else {
		completion.result = pwrite(disk, request + BATCH_HEADER + INSTRUCTION, wanted.length, (off_t)wanted.offset);
	}
	if (!refused && completion.result < 0)
		completion.result = -errno;
	header = (struct batch_header){ 0x0143, 1, completion.payload };
	memcpy(reply, &header, sizeof(header));
	memcpy(reply + BATCH_HEADER, &completion, sizeof(completion));
	return BATCH_HEADER + COMPLETION + completion.payload;
}

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(16 * sizeof(int))];
};

static void hand_over(int fd, int descriptor)
{
	union control control = { 0 };
	int32_t result = descriptor < 0 ? descriptor : 0;
	struct iovec part = { &result, sizeof(result) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (descriptor >= 0) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(sizeof(int));
		control.align = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.align), &descriptor, sizeof(int));
	}
	if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		_exit(1);
	if (descriptor >= 0)
		close(descriptor);
}

/* One message; 0 where the client has gone. */
static int serve_one(int fd, int disk)
{
	static uint8_t request[BATCH_HEADER + INSTRUCTION + LARGEST], reply[BATCH_HEADER + COMPLETION + LARGEST];
	union control control;
	struct iovec part = { request, sizeof(request) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t count = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *found = count > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	struct ucred sender;
	size_t size;

	if (!found || found->cmsg_type != SCM_CREDENTIALS || message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return 0;
	memcpy(&sender, CMSG_DATA(found), sizeof(sender));
	if (count == 2) {
		hand_over(fd, associate(&sender));
		return 1;
	}
	size = perform_frame(disk, &sender, request, (size_t)count, reply);
	return size > 0 && send(fd, reply, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
}

static void serve(int listener)
{
	int waiting = epoll_create1(EPOLL_CLOEXEC), on = 1, disk = open(needed("PEERS_DISK"), O_RDWR | O_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN, .data.fd = listener };

	if (waiting < 0 || disk < 0 || epoll_ctl(waiting, EPOLL_CTL_ADD, listener, &event))
		_exit(1);
	while (epoll_wait(waiting, &event, 1, -1) == 1) {
		int fd = event.data.fd;

		if (fd == listener) {
			fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
			event = (struct epoll_event){ .events = EPOLLIN | EPOLLRDHUP, .data.fd = fd };
			if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) ||
			    epoll_ctl(waiting, EPOLL_CTL_ADD, fd, &event))
				_exit(1);
		} else if (!serve_one(fd, disk)) {
			close(fd);
		}
	}
}

static struct sockaddr_un address(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	snprintf(name.sun_path, sizeof(name.sun_path), "%s/seqpacket", needed("PEERS_SCRATCH"));
	return name;
}

static void prepare(struct way *way)
{
	struct sockaddr_un name = address();
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	unlink(name.sun_path);
	if (listener < 0 || bind(listener, (struct sockaddr *)&name, sizeof(name)) || listen(listener, 8))
		die(name.sun_path);
	if (server(way) == 0) {
		serve(listener);
		_exit(1);
	}
	close(listener);
}

/* The broker's own user connects, so that its socket need not be everybody's; who sends is what is checked. */
static void enter(struct way *way)
{
	struct sockaddr_un name = address();

	(void)way;
	channel = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (channel < 0 || connect(channel, (struct sockaddr *)&name, sizeof(name)))
		die(name.sun_path);
}

static void acquire(const struct task *task)
{
	static const uint16_t request = ASK_FOR_DESCRIPTOR;
	union control control;
	int32_t result = -1;
	struct iovec part = { &result, sizeof(result) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };

	(void)task;
	expect(send(channel, &request, sizeof(request), MSG_NOSIGNAL), sizeof(request), "send");
	expect(recvmsg(channel, &message, MSG_CMSG_CLOEXEC), sizeof(result), "recvmsg");
	errno = -result;
	if (result != 0 || !CMSG_FIRSTHDR(&message))
		die("the broker refused, or no descriptor came");
	memcpy(&held.acquired, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
}

static void open_first(struct way *way)
{
	(void)way;
	acquire(NULL);
	close_acquired(NULL);
}

static int offers(const struct task *task)
{
	return at_once(task) && (on_disk(task) || task->operation == OPEN_DISK);
}

static void operate(const struct task *task)
{
	static uint8_t bytes[BATCH_HEADER + INSTRUCTION + LARGEST];
	int writes = task->operation == WRITE;
	struct batch_header header = { 0x0149, 1, writes ? task->size : 0 };
	struct instruction wanted = { .action = writes ? 1 : OPCODE_READ, .cookie = 1, .length = task->size,
				      .payload = header.payload };
	size_t size = BATCH_HEADER + INSTRUCTION + header.payload;
	struct completion completion;

	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + BATCH_HEADER, &wanted, sizeof(wanted));
	if (writes)
		memcpy(bytes + BATCH_HEADER + INSTRUCTION, held.bytes, task->size);
	expect(send(channel, bytes, size, MSG_NOSIGNAL), size, "send");
	size = BATCH_HEADER + COMPLETION + (writes ? 0 : task->size);
	expect(recv(channel, bytes, sizeof(bytes), 0), size, "recv");
	completion = first_completion(bytes);
	expect(completion.result, task->size, "the broker");
	if (!writes)
		memcpy(held.bytes, bytes + BATCH_HEADER + COMPLETION, task->size);
}

static void perform(const struct task *task)
{
	if (task->operation == OPEN_DISK)
		acquire(task);
	else
		operate(task);
}

struct way seqpacket = { .name = "C broker, SEQPACKET", .prepare = prepare, .enter = enter, .open = open_first,
			 .offers = offers, .perform = perform, .release = close_acquired };
