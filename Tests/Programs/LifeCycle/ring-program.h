/* SPDX-License-Identifier: Apache-2.0 */
/* A program's own ring, made for a broker or in its place, and requests on it. Included by one source each. */
#ifndef RING_PROGRAM_H
#define RING_PROGRAM_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <postern.h>

/* User data of what nobody asks for. */
#define ASIDE 1

static postern *connection;
static struct io_uring ring;
static int has_ring, outside = -1;
/* A page of its own: Linux 6.1 registers no buffer in memory of a file, as the page is that .data ends in (io_uring/rsrc.c). */
static char bytes[4096] __attribute__((aligned(4096)));
static int personality;

static long register_call(unsigned int operation, void *argument, unsigned int count)
{
	long result = syscall(SYS_io_uring_register, ring.ring_fd, operation, argument, count);

	return result < 0 ? -errno : result;
}

static void say(long result)
{
	if (result < 0)
		printf("%s\n", strerrorname_np((int)-result) ?: "unknown");
	else
		printf("%ld\n", result);
	fflush(stdout);
}

/* After a refusal: its reason too. */
static void say_refusal(int result)
{
	int reason = result < 0 ? postern_last_reason(NULL, 0) : 0;

	if (reason)
		printf("%s %s\n", strerrorname_np(-result), postern_reason_name(reason));
	else
		say(result);
	fflush(stdout);
}

/* How the ring is mapped, for a program that is executed with it. */
static struct io_uring_params parameters;

static int make(const char *words)
{
	struct iovec buffer = { bytes, sizeof(bytes) };
	int result;

	if (has_ring)
		io_uring_queue_exit(&ring);
	memset(&parameters, 0, sizeof(parameters));
	parameters.flags = IORING_SETUP_R_DISABLED;
	if (strstr(words, "sqpoll"))
		parameters.flags |= IORING_SETUP_SQPOLL;
	if (strstr(words, "single"))
		parameters.flags |= 1U << 12;
	if (strstr(words, "enabled"))
		parameters.flags &= ~IORING_SETUP_R_DISABLED;
	result = io_uring_queue_init_params(256, &ring, &parameters);
	if (result < 0)
		return result;
	has_ring = 1;
	result = io_uring_register_buffers(&ring, &buffer, 1);
	if (result < 0)
		return result;
	personality = io_uring_register_personality(&ring);
	if (strstr(words, "restricted")) {
		struct io_uring_restriction rule = { .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITE };

		return (int)register_call(IORING_REGISTER_RESTRICTIONS, &rule, 1);
	}
	if (strstr(words, "files"))
		return io_uring_register_files(&ring, &(int){ 0 }, 1);
	return 0;
}

static int twin(const char *path)
{
	int result = make(""), slots[16];

	memset(slots, 0xff, sizeof(slots));
	outside = slots[0] = open(path, O_RDWR | O_CLOEXEC);
	if (result < 0 || outside < 0)
		return result < 0 ? result : -errno;
	result = io_uring_register_files(&ring, slots, 16);
	return result < 0 ? result : (int)register_call(IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

static int twin_socket(int type, const char *address, const char *port)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	int result = make(""), slots[16];

	memset(slots, 0xff, sizeof(slots));
	inet_pton(AF_INET, address, &name.sin_addr);
	slots[0] = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	if (result < 0 || bind(slots[0], (struct sockaddr *)&name, sizeof(name)) < 0 ||
	    (type == SOCK_STREAM && listen(slots[0], 16) < 0))
		return result < 0 ? result : -errno;
	outside = slots[0];
	result = io_uring_register_files(&ring, slots, 16);
	return result < 0 ? result : (int)register_call(IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

static int empty(void)
{
	int slots[16];
	struct io_uring_files_update update = { .fds = (uint64_t)(uintptr_t)slots };

	memset(slots, 0xff, sizeof(slots));
	return (int)register_call(IORING_REGISTER_FILES_UPDATE, &update, 16);
}

/* Where send-to goes. */
static struct sockaddr_in destination = { .sin_family = AF_INET };
/* What was queued last. */
static struct io_uring_sqe *queued;

static int queue(const char *what)
{
	struct io_uring_sqe *entry = io_uring_get_sqe(&ring);
	static struct __kernel_timespec time = { .tv_nsec = 1000000 };
	static struct iovec halves[2] = { { bytes, 256 }, { bytes + 256, 256 } };
	static struct iovec words[2] = { { "over", 4 }, { "written", 7 } };
	static struct msghdr incoming = { .msg_iov = halves, .msg_iovlen = 2 };
	static struct msghdr outgoing = { .msg_name = &destination, .msg_namelen = sizeof(destination), .msg_iov = words,
					  .msg_iovlen = 2 };
	int slot = 0;

	if (!entry)
		return -EAGAIN;
	queued = entry;
	entry->user_data = 0;
	if (!strcmp(what, "read") || !strcmp(what, "read-personality"))
		io_uring_prep_read(entry, slot, bytes, 512, 0);
	else if (!strcmp(what, "readv"))
		io_uring_prep_readv(entry, slot, halves, 2, 0);
	else if (!strcmp(what, "writev"))
		io_uring_prep_writev(entry, slot, words, 2, 0);
	else if (!strcmp(what, "write-buffer"))
		io_uring_prep_write_fixed(entry, slot, bytes, 512, 1024, 0);
	else if (!strcmp(what, "discard"))
		io_uring_prep_fallocate(entry, slot, 3 /* FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE */, 4096, 4096);
	else if (!strcmp(what, "send-message"))
		io_uring_prep_sendmsg(entry, slot, &outgoing, MSG_NOSIGNAL);
	else if (!strcmp(what, "receive-message"))
		io_uring_prep_recvmsg(entry, slot, &incoming, 0);
	else if (!strcmp(what, "shutdown"))
		io_uring_prep_shutdown(entry, slot, SHUT_RDWR);
	else if (!strcmp(what, "polls"))
		io_uring_prep_poll_multishot(entry, slot, POLLIN);
	else if (!strcmp(what, "link-timeout"))
		io_uring_prep_link_timeout(entry, &time, 0);
	else if (!strcmp(what, "read-buffer"))
		io_uring_prep_read_fixed(entry, slot, bytes, 512, 0, 0);
	else if (!strcmp(what, "read-own"))
		io_uring_prep_read(entry, 1, bytes, 512, 0);
	else if (!strcmp(what, "read-beyond"))
		io_uring_prep_read(entry, slot, bytes, 512, 1 << 20);
	else if (!strcmp(what, "write"))
		io_uring_prep_write(entry, slot, "overwritten", 11, 0);
	else if (!strcmp(what, "flush"))
		io_uring_prep_fsync(entry, slot, 0);
	else if (!strcmp(what, "nop") || !strcmp(what, "nop-plain"))
		io_uring_prep_nop(entry);
	else if (!strcmp(what, "timeout"))
		io_uring_prep_timeout(entry, &time, 0, 0);
	else if (!strcmp(what, "plain"))
		io_uring_prep_read(entry, outside >= 0 ? outside : 0, bytes, 512, 0);
	else if (!strcmp(what, "personality"))
		io_uring_prep_write(entry, slot, "overwritten", 11, 0);
	else if (!strcmp(what, "install"))
		io_uring_prep_rw(54, entry, slot, NULL, 0, 0); /* FIXED_FD_INSTALL, since 6.8 */
	else if (!strcmp(what, "message"))
		io_uring_prep_rw(IORING_OP_MSG_RING, entry, slot, NULL, 0, 0);
	else if (!strcmp(what, "command"))
		io_uring_prep_rw(IORING_OP_URING_CMD, entry, slot, NULL, 0, 0);
	else if (!strcmp(what, "openat") || !strcmp(what, "openat-plain"))
		io_uring_prep_openat(entry, AT_FDCWD, "/dev/null", O_RDONLY, 0);
	else if (!strcmp(what, "splice"))
		io_uring_prep_splice(entry, slot, 0, 1, -1, 512, SPLICE_F_FD_IN_FIXED);
	else if (!strcmp(what, "files"))
		io_uring_prep_files_update(entry, &(int){ 0 }, 1, 1);
	else if (!strcmp(what, "receive"))
		io_uring_prep_recv(entry, slot, bytes, sizeof(bytes), 0);
	else if (!strcmp(what, "receive-worker"))
		io_uring_prep_recv(entry, slot, bytes, sizeof(bytes), 0);
	else if (!strcmp(what, "receive-later"))
		io_uring_prep_recv(entry, slot, bytes, sizeof(bytes), 0);
	else if (!strcmp(what, "send"))
		io_uring_prep_send(entry, slot, "hello", 5, MSG_NOSIGNAL);
	else if (!strcmp(what, "send-to")) {
		io_uring_prep_send(entry, slot, "hello", 5, MSG_NOSIGNAL);
		io_uring_prep_send_set_addr(entry, (struct sockaddr *)&destination, sizeof(destination));
	} else if (!strcmp(what, "accept"))
		io_uring_prep_accept(entry, slot, NULL, NULL, 0);
	else if (!strcmp(what, "accepts"))
		io_uring_prep_multishot_accept(entry, slot, NULL, NULL, 0);
	else if (!strcmp(what, "poll"))
		io_uring_prep_poll_add(entry, slot, POLLIN);
	else
		return -ENOSYS;
	if (strcmp(what, "plain") && strcmp(what, "nop-plain") && strcmp(what, "openat-plain"))
		entry->flags |= IOSQE_FIXED_FILE;
	/* By the thread's own work, when it leaves the kernel; IORING_RECVSEND_POLL_FIRST. */
	if (!strcmp(what, "receive-later"))
		entry->ioprio = 1;
	if (!strcmp(what, "receive-worker"))
		entry->flags |= IOSQE_ASYNC;
	if (strstr(what, "personality") || !strcmp(what, "openat-plain"))
		entry->personality = (uint16_t)personality;
	return 0;
}

static int prepare(const char *what)
{
	int result = queue(what);

	return result < 0 ? result : io_uring_submit(&ring);
}

static long finish(int seconds)
{
	struct __kernel_timespec time = { .tv_sec = seconds };
	struct io_uring_cqe *completion;
	int result = io_uring_wait_cqe_timeout(&ring, &completion, &time);

	if (result < 0)
		return result;
	result = completion->res;
	if (completion->user_data == ASIDE) {
		io_uring_cqe_seen(&ring, completion);
		return finish(seconds);
	}
	io_uring_cqe_seen(&ring, completion);
	return result;
}

static long perform(const char *what)
{
	int result = prepare(what);

	return result < 0 ? result : finish(5);
}

#endif
