/* SPDX-License-Identifier: Apache-2.0 */
/* Doors of sockets. */
#include "doors.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <fcntl.h>

#ifndef SOL_TCP
#define SOL_TCP 6
#endif

static long do_send(struct scene *s)
{
	return ERR(send(s->fd, s->memory, 16, MSG_NOSIGNAL));
}

static long do_sendmsg(struct scene *s)
{
	struct iovec vector = { s->memory, 16 };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };

	return ERR(sendmsg(s->fd, &message, MSG_NOSIGNAL));
}

static long do_sendmmsg(struct scene *s)
{
	struct iovec vector = { s->memory, 16 };
	struct mmsghdr messages[2] = { { .msg_hdr = { .msg_iov = &vector, .msg_iovlen = 1 } } };

	messages[1] = messages[0];
	return ERR(sendmmsg(s->fd, messages, 2, MSG_NOSIGNAL));
}

static long do_write(struct scene *s)
{
	return ERR(write(s->fd, s->memory, 16));
}

static struct sockaddr_in loopback(const struct scene *s)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(s->port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static long do_sendto(struct scene *s)
{
	struct sockaddr_in to = loopback(s);

	return ERR(sendto(s->fd, s->memory, 16, 0, (void *)&to, sizeof(to)));
}

/* udp_sendmsg takes an address without a family for one of its own. */
static long do_sendto_unspecified(struct scene *s)
{
	struct sockaddr_in to = loopback(s);

	to.sin_family = AF_UNSPEC;
	return ERR(sendto(s->fd, s->memory, 16, 0, (void *)&to, sizeof(to)));
}

static long do_send_zerocopy(struct scene *s)
{
	return ERR(send(s->fd, s->memory, 4096, MSG_ZEROCOPY | MSG_NOSIGNAL));
}

static long do_recv(struct scene *s)
{
	return ERR(recv(s->fd, s->memory, 64, MSG_DONTWAIT));
}

static long do_peek(struct scene *s)
{
	return ERR(recv(s->fd, s->memory, 64, MSG_DONTWAIT | MSG_PEEK));
}

static long do_recvmsg(struct scene *s)
{
	struct iovec vector = { s->memory, 64 };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };

	return ERR(recvmsg(s->fd, &message, MSG_DONTWAIT));
}

static long do_recvmmsg(struct scene *s)
{
	struct iovec vector = { s->memory, 64 };
	struct mmsghdr messages[2] = { { .msg_hdr = { .msg_iov = &vector, .msg_iovlen = 1 } } };

	messages[1] = messages[0];
	return ERR(recvmmsg(s->fd, messages, 2, MSG_DONTWAIT, NULL));
}

static long do_read(struct scene *s)
{
	return ERR(read(s->fd, s->memory, 64));
}

static long do_splice_out(struct scene *s)
{
	return ERR(splice(s->fd, NULL, s->pipe[1], NULL, 64, SPLICE_F_NONBLOCK));
}

static long do_splice_in(struct scene *s)
{
	if (write(s->pipe[1], s->memory, 16) != 16)
		return -EIO;
	return ERR(splice(s->pipe[0], NULL, s->fd, NULL, 16, 0));
}

static long do_sendfile_to(struct scene *s)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	off_t offset = 0;

	return ERR(sendfile(s->fd, fd, &offset, 16));
}

/* The mapping is of the socket file, so that it has a door of its own before this one is reached. */
static long do_zerocopy_receive(struct scene *s)
{
	struct tcp_zerocopy_receive request = { 0 };
	socklen_t length = sizeof(request);
	char copy[64];

	request.address = (uint64_t)s->mapping;
	request.copybuf_address = (uint64_t)copy;
	request.copybuf_len = sizeof(copy);
	if (getsockopt(s->fd, SOL_TCP, TCP_ZEROCOPY_RECEIVE, &request, &length))
		return -errno;
	return request.length + request.copybuf_len;
}

static void tcp_mapped(struct scene *s)
{
	tcp_with_data(s);
	s->mapping = mmap(NULL, 4096, PROT_READ, MAP_SHARED, s->fd, 0);
}

static long do_mmap(struct scene *s)
{
	void *mapped = mmap(NULL, 4096, PROT_READ, MAP_SHARED, s->fd, 0);

	return mapped == MAP_FAILED ? -errno : 0;
}

static long do_shutdown(struct scene *s)
{
	return ERR(shutdown(s->fd, SHUT_WR));
}

static long do_accept(struct scene *s)
{
	return ERR(accept(s->fd, NULL, NULL));
}

static long do_accept4(struct scene *s)
{
	return ERR(accept4(s->fd, NULL, NULL, SOCK_NONBLOCK));
}

static long do_listen(struct scene *s)
{
	return ERR(listen(s->fd, 4));
}

static long do_connect(struct scene *s)
{
	struct sockaddr_in to = loopback(s);

	return ERR(connect(s->fd, (void *)&to, sizeof(to)));
}

/* It connects too, by another way (tcp_sendmsg_fastopen). */
static long do_fastopen(struct scene *s)
{
	struct sockaddr_in to = loopback(s);

	return ERR(sendto(s->fd, s->memory, 16, MSG_FASTOPEN | MSG_NOSIGNAL, (void *)&to, sizeof(to)));
}

static void unbound(struct scene *s)
{
	s->fd = socket(AF_INET, SOCK_DGRAM, 0);
}

static long do_bind(struct scene *s)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	return ERR(bind(s->fd, (void *)&to, sizeof(to)));
}

static void unix_pair(struct scene *s)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		die("socketpair");
	s->fd = pair[0];
	s->peer = pair[1];
	send(s->peer, "data", 4, 0);
}

static void unix_datagrams(struct scene *s)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair))
		die("socketpair");
	s->fd = pair[0];
	s->peer = pair[1];
	for (int i = 0; i < 3; i++)
		send(s->peer, "data", 4, 0);
}

static void unix_listener(struct scene *s)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "\0doors" };

	s->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(s->fd, (void *)&name, 8) || listen(s->fd, 4))
		die("unix listener");
	s->peer = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(s->peer, (void *)&name, 8))
		die("unix connect");
}

static void packet_socket(struct scene *s)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(3),
				       .sll_ifindex = (int)if_nametoindex("lo") };
	int other = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	s->fd = socket(AF_PACKET, SOCK_RAW, htons(3));
	if (s->fd < 0 || bind(s->fd, (void *)&address, sizeof(address)))
		die("packet");
	sendto(other, "x", 1, 0, (void *)&to, sizeof(to));
	close(other);
}

static void raw_icmp(struct scene *s)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char echo[8] = { 8, 0, (char)0xf7, (char)0xff };

	s->fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	sendto(s->fd, echo, sizeof(echo), 0, (void *)&to, sizeof(to));
}

#define DOOR(title, watched, op, door, where, how, ...) \
	{ .name = title, .hooks = watched, .needs = OP(op), .number = POSTERN_DOOR_##door, .kind = POSTERN_KIND_SOCKET, \
	  .set_up = where, .operate = how, __VA_ARGS__ }
#define LIMITED .has_limit = true

const struct door socket_doors[] = {
	DOOR("tcp send", "sendmsg", SEND, SEND, tcp_pair, do_send),
	DOOR("tcp sendmsg", "sendmsg", SEND, SEND, tcp_pair, do_sendmsg),
	DOOR("tcp sendmmsg", "sendmsg", SEND, SEND, tcp_pair, do_sendmmsg),
	DOOR("tcp write", "file_permission sendmsg", SEND, WRITE, tcp_pair, do_write),
	DOOR("tcp send, MSG_ZEROCOPY", "sendmsg", SEND, SEND, tcp_pair, do_send_zerocopy),
	DOOR("udp send", "sendmsg", SEND, SEND, udp_pair, do_send),
	DOOR("udp sendto", "sendmsg", SEND, SEND, udp_pair, do_sendto, LIMITED),
	DOOR("udp sendto without a family", "sendmsg", SEND, SEND, udp_pair, do_sendto_unspecified, LIMITED),
	DOOR("tcp recv", "recvmsg", RECEIVE, RECEIVE, tcp_with_data, do_recv),
	DOOR("tcp recv, MSG_PEEK", "recvmsg", RECEIVE, RECEIVE, tcp_with_data, do_peek),
	DOOR("tcp recvmsg", "recvmsg", RECEIVE, RECEIVE, tcp_with_data, do_recvmsg),
	DOOR("tcp read", "file_permission recvmsg", RECEIVE, READ, tcp_with_data, do_read),
	DOOR("udp recv", "recvmsg", RECEIVE, RECEIVE, udp_with_data, do_recv),
	DOOR("udp recvmmsg", "recvmsg", RECEIVE, RECEIVE, udp_with_data, do_recvmmsg),
	DOOR("splice out of a socket", "file_permission", RECEIVE, READ, tcp_with_data, do_splice_out),
	DOOR("splice into a socket", "file_permission sendmsg", SEND, WRITE, tcp_pair, do_splice_in),
	DOOR("sendfile to a socket", "file_permission sendmsg", SEND, WRITE, tcp_pair, do_sendfile_to),
	DOOR("TCP_ZEROCOPY_RECEIVE", "getsockopt", RECEIVE, GETOPTION, tcp_mapped, do_zerocopy_receive),
	DOOR("mmap of a tcp socket", "mmap_file", RECEIVE, MMAP, tcp_pair, do_mmap, .flags = POSTERN_ASSOCIATION_MMAP),
	DOOR("shutdown", "shutdown", SHUTDOWN, SHUTDOWN, tcp_pair, do_shutdown),
	DOOR("accept", "accept", ACCEPT, ACCEPT, tcp_listener_with_client, do_accept),
	DOOR("accept4", "accept", ACCEPT, ACCEPT, tcp_listener_with_client, do_accept4),
	DOOR("listen", "listen", LISTEN, LISTEN, tcp_listener, do_listen),
	DOOR("connect", "connect", CONNECT, CONNECT, tcp_unconnected, do_connect, LIMITED),
	DOOR("bind", "bind", BIND, BIND, unbound, do_bind),
	DOOR("unix send", "sendmsg", SEND, SEND, unix_pair, do_send),
	DOOR("unix recv", "recvmsg", RECEIVE, RECEIVE, unix_pair, do_recv),
	DOOR("unix splice out", "file_permission", RECEIVE, READ, unix_pair, do_splice_out),
	DOOR("unix datagram send", "sendmsg", SEND, SEND, unix_datagrams, do_send),
	DOOR("unix datagram recvmmsg", "recvmsg", RECEIVE, RECEIVE, unix_datagrams, do_recvmmsg),
	DOOR("unix accept", "accept", ACCEPT, ACCEPT, unix_listener, do_accept),
	DOOR("packet recv", "recvmsg", RECEIVE, RECEIVE, packet_socket, do_recv),
	DOOR("raw icmp recv", "recvmsg", RECEIVE, RECEIVE, raw_icmp, do_recv),
	DOOR("tcp fast open", "sendmsg", CONNECT, SEND, tcp_unconnected, do_fastopen, LIMITED),
};
const int socket_door_count = sizeof(socket_doors) / sizeof(*socket_doors);
