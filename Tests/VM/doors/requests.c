/* SPDX-License-Identifier: Apache-2.0 */
/* Doors by way of io_uring(7). */
#include "doors.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Numbers of requests that are younger than this machine's headers may be. */
#define OP_READ_MULTISHOT 49
#define OP_FTRUNCATE 55
#define OP_BIND 56
#define OP_LISTEN 57
#define SOCKET_COMMAND_SIOCINQ 0
#define SOCKET_COMMAND_SETSOCKOPT 3

static struct io_uring_sqe on(struct scene *s, int opcode)
{
	return (struct io_uring_sqe){
		.opcode = (uint8_t)opcode,
		.fd = s->fd,
		.addr = (uint64_t)s->memory,
		.len = 64,
	};
}

static long do_read(struct scene *s)
{
	struct io_uring_sqe entry = on(s, IORING_OP_READ);

	return uring_once(&entry);
}

static long do_readv(struct scene *s)
{
	struct io_uring_sqe entry = on(s, IORING_OP_READV);
	struct iovec vector = { s->memory, 64 };

	entry.addr = (uint64_t)&vector;
	entry.len = 1;
	return uring_once(&entry);
}

static long do_write(struct scene *s)
{
	struct io_uring_sqe entry = on(s, IORING_OP_WRITE);

	return uring_once(&entry);
}

/* In a worker of the kernel's, which belongs to the process. */
static long do_read_async(struct scene *s)
{
	struct io_uring_sqe entry = on(s, IORING_OP_READ);

	entry.flags = IOSQE_ASYNC;
	return uring_once(&entry);
}

static long fixed(struct scene *s, int opcode)
{
	struct io_uring_sqe entry = on(s, opcode);
	struct iovec vector = { s->memory, 4096 };
	struct uring uring;
	long result = uring_open(&uring, 0);

	if (result < 0)
		return result;
	if (uring_register(&uring, IORING_REGISTER_BUFFERS, &vector, 1) ||
	    uring_register(&uring, IORING_REGISTER_FILES, &s->fd, 1))
		return -EIO;
	entry.fd = 0;
	entry.flags = IOSQE_FIXED_FILE;
	result = uring_submit(&uring, &entry);
	return result < 0 ? result : uring_wait(&uring, 2000, NULL);
}

static long do_read_fixed(struct scene *s)
{
	return fixed(s, IORING_OP_READ_FIXED);
}

static long do_write_fixed(struct scene *s)
{
	return fixed(s, IORING_OP_WRITE_FIXED);
}

static long do_splice_out(struct scene *s)
{
	struct io_uring_sqe entry = { .opcode = IORING_OP_SPLICE, .fd = s->pipe[1], .off = UINT64_MAX, .len = 64,
				      .splice_fd_in = s->fd, .splice_off_in = UINT64_MAX };

	return uring_once(&entry);
}

static long do_splice_in(struct scene *s)
{
	struct io_uring_sqe entry = { .opcode = IORING_OP_SPLICE, .fd = s->fd, .off = UINT64_MAX, .len = 16,
				      .splice_fd_in = s->pipe[0], .splice_off_in = UINT64_MAX };

	if (write(s->pipe[1], s->memory, 16) != 16)
		return -EIO;
	return uring_once(&entry);
}

static long do_fallocate(struct scene *s)
{
	struct io_uring_sqe entry = { .opcode = IORING_OP_FALLOCATE, .fd = s->fd, .addr = 4096, .len = 3 };

	return uring_once(&entry);
}

static long do_ftruncate(struct scene *s)
{
	struct io_uring_sqe entry = { .opcode = OP_FTRUNCATE, .fd = s->fd, .off = 16 };

	return uring_once(&entry);
}

static long do_send(struct scene *s)
{
	struct io_uring_sqe entry = on(s, IORING_OP_SEND);

	return uring_once(&entry);
}

static long do_recv(struct scene *s)
{
	struct io_uring_sqe entry = on(s, IORING_OP_RECV);

	return uring_once(&entry);
}

static long do_recv_async(struct scene *s)
{
	struct io_uring_sqe entry = on(s, IORING_OP_RECV);

	entry.flags = IOSQE_ASYNC;
	return uring_once(&entry);
}

static long message(struct scene *s, int opcode)
{
	struct iovec vector = { s->memory, 64 };
	struct msghdr header = { .msg_iov = &vector, .msg_iovlen = 1 };
	struct io_uring_sqe entry = on(s, opcode);

	entry.addr = (uint64_t)&header;
	entry.len = 1;
	return uring_once(&entry);
}

static long do_sendmsg(struct scene *s)
{
	return message(s, IORING_OP_SENDMSG);
}

static long do_recvmsg(struct scene *s)
{
	return message(s, IORING_OP_RECVMSG);
}

static long do_send_zerocopy(struct scene *s)
{
	struct io_uring_sqe entry = on(s, OP_SEND_ZC);

	return uring_once(&entry);
}

/* The first of the completions of one request that goes on. */
static long do_recv_multishot(struct scene *s)
{
	struct io_uring_sqe buffers = { .opcode = IORING_OP_PROVIDE_BUFFERS, .fd = 4, .addr = (uint64_t)s->memory,
					.len = 64, .buf_group = 1 };
	struct io_uring_sqe entry = { .opcode = IORING_OP_RECV, .fd = s->fd, .ioprio = IORING_RECV_MULTISHOT,
				      .flags = IOSQE_BUFFER_SELECT, .buf_group = 1 };
	struct uring uring;
	long result = uring_open(&uring, 0);

	if (result < 0)
		return result;
	if (uring_submit(&uring, &buffers) < 0 || uring_wait(&uring, 1000, NULL) < 0)
		return -EIO;
	result = uring_submit(&uring, &entry);
	return result < 0 ? result : uring_wait(&uring, 2000, NULL);
}

static long do_read_multishot(struct scene *s)
{
	struct io_uring_sqe buffers = { .opcode = IORING_OP_PROVIDE_BUFFERS, .fd = 4, .addr = (uint64_t)s->memory,
					.len = 64, .buf_group = 1 };
	struct io_uring_sqe entry = { .opcode = OP_READ_MULTISHOT, .fd = s->fd, .off = UINT64_MAX,
				      .flags = IOSQE_BUFFER_SELECT, .buf_group = 1 };
	struct uring uring;
	long result = uring_open(&uring, 0);

	if (result < 0)
		return result;
	if (uring_submit(&uring, &buffers) < 0 || uring_wait(&uring, 1000, NULL) < 0)
		return -EIO;
	result = uring_submit(&uring, &entry);
	return result < 0 ? result : uring_wait(&uring, 2000, NULL);
}

static long do_accept(struct scene *s)
{
	struct io_uring_sqe entry = { .opcode = IORING_OP_ACCEPT, .fd = s->fd };

	return uring_once(&entry);
}

static long do_accept_multishot(struct scene *s)
{
	struct io_uring_sqe entry = { .opcode = IORING_OP_ACCEPT, .fd = s->fd, .ioprio = IORING_ACCEPT_MULTISHOT };

	return uring_once(&entry);
}

static struct sockaddr_in loopback(const struct scene *s)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(s->port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static long do_connect(struct scene *s)
{
	struct sockaddr_in to = loopback(s);
	struct io_uring_sqe entry = { .opcode = IORING_OP_CONNECT, .fd = s->fd, .addr = (uint64_t)&to, .off = sizeof(to) };

	return uring_once(&entry);
}

static void unbound(struct scene *s)
{
	s->fd = socket(AF_INET, SOCK_STREAM, 0);
}

static long do_bind(struct scene *s)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct io_uring_sqe entry = { .opcode = OP_BIND, .fd = s->fd, .addr = (uint64_t)&to, .off = sizeof(to) };

	return uring_once(&entry);
}

static long do_listen(struct scene *s)
{
	struct io_uring_sqe entry = { .opcode = OP_LISTEN, .fd = s->fd, .len = 4 };

	return uring_once(&entry);
}

static long do_shutdown(struct scene *s)
{
	struct io_uring_sqe entry = { .opcode = IORING_OP_SHUTDOWN, .fd = s->fd, .len = SHUT_WR };

	return uring_once(&entry);
}

static void terminal(struct scene *s)
{
	s->fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
	if (s->fd < 0 || unlockpt(s->fd))
		die("pty");
	s->peer = open(ptsname(s->fd), O_RDWR | O_NOCTTY);
	if (write(s->peer, "data\n", 5) != 5)
		die("pty");
}

#define DOOR(title, watched, op, door, what, where, how, ...) \
	{ .name = "io_uring " title, .hooks = watched, .needs = OP(op), .number = POSTERN_DOOR_##door, \
	  .kind = POSTERN_KIND_##what, .set_up = where, .operate = how, __VA_ARGS__ }
#define LIMITED .has_limit = true

const struct door uring_doors[] = {
	DOOR("read", "file_permission", READ, READ, BUS, zero_device, do_read),
	DOOR("readv", "file_permission", READ, READ, BUS, zero_device, do_readv),
	DOOR("write", "file_permission", WRITE, WRITE, BUS, zero_device, do_write),
	DOOR("read of a file, IOSQE_ASYNC", "file_permission", READ, READ, DISK, plain_file, do_read_async),
	DOOR("read, registered file and buffer", "file_permission", READ, READ, DISK, plain_file, do_read_fixed),
	DOOR("write, registered file and buffer", "file_permission", WRITE, WRITE, DISK, plain_file, do_write_fixed),
	DOOR("read of a terminal, multishot", "file_permission", READ, READ, BUS, terminal, do_read_multishot, .since = 7),
	DOOR("splice out of a file", "file_permission", READ, READ, DISK, plain_file, do_splice_out),
	DOOR("splice into a file", "file_permission", WRITE, WRITE, DISK, plain_file, do_splice_in),
	DOOR("fallocate", "file_permission", WRITE, WRITE, DISK, plain_file, do_fallocate),
	DOOR("ftruncate", "file_truncate", WRITE, WRITE, DISK, plain_file, do_ftruncate, .since = 9),
	DOOR("send", "sendmsg", SEND, SEND, SOCKET, tcp_pair, do_send),
	DOOR("sendmsg", "sendmsg", SEND, SEND, SOCKET, tcp_pair, do_sendmsg),
	DOOR("send_zc", "sendmsg", SEND, SEND, SOCKET, udp_pair, do_send_zerocopy),
	DOOR("recv", "recvmsg", RECEIVE, RECEIVE, SOCKET, tcp_with_data, do_recv),
	DOOR("recv, IOSQE_ASYNC", "recvmsg", RECEIVE, RECEIVE, SOCKET, tcp_with_data, do_recv_async),
	DOOR("recvmsg", "recvmsg", RECEIVE, RECEIVE, SOCKET, tcp_with_data, do_recvmsg),
	DOOR("recv, multishot", "recvmsg", RECEIVE, RECEIVE, SOCKET, udp_with_data, do_recv_multishot),
	DOOR("read of a socket", "file_permission recvmsg", RECEIVE, READ, SOCKET, tcp_with_data, do_read),
	DOOR("splice out of a socket", "file_permission", RECEIVE, READ, SOCKET, tcp_with_data, do_splice_out),
	DOOR("splice into a socket", "file_permission sendmsg", SEND, WRITE, SOCKET, tcp_pair, do_splice_in),
	DOOR("accept", "accept", ACCEPT, ACCEPT, SOCKET, tcp_listener_with_client, do_accept),
	DOOR("accept, multishot", "accept", ACCEPT, ACCEPT, SOCKET, tcp_listener_with_client, do_accept_multishot),
	DOOR("connect", "connect", CONNECT, CONNECT, SOCKET, tcp_unconnected, do_connect, LIMITED),
	DOOR("bind", "bind", BIND, BIND, SOCKET, unbound, do_bind, .since = 11),
	DOOR("listen", "listen", LISTEN, LISTEN, SOCKET, tcp_listener, do_listen, .since = 11),
	DOOR("shutdown", "shutdown", SHUTDOWN, SHUTDOWN, SOCKET, tcp_pair, do_shutdown),
};
const int uring_door_count = sizeof(uring_doors) / sizeof(*uring_doors);
