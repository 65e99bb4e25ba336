/* SPDX-License-Identifier: Apache-2.0 */
/* Ways past the addresses that a limit names. */
#include "attacks.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

static struct sockaddr_in6 mapped(const char *text, uint16_t port)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	inet_pton(AF_INET6, text, &address.sin6_addr);
	return address;
}

static void udp6(struct scene *s)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	socklen_t length = sizeof(any);

	s->peer = socket(AF_INET6, SOCK_DGRAM, 0);
	if (bind(s->peer, (void *)&any, sizeof(any)) || getsockname(s->peer, (void *)&any, &length))
		die("udp6");
	s->port = ntohs(any.sin6_port);
	s->fd = socket(AF_INET6, SOCK_DGRAM, 0);
}

/* A pattern of all of IPv6 does not speak for what is reached by IPv4. */
static void udp6_with_pattern(struct scene *s)
{
	udp6(s);
	stand.limits[1].addresses[0] = (struct postern_address_limit){
		.uses = POSTERN_ADDRESS_SEND, .family = AF_INET6, .port_last = 65535 };
}

static long send_to_mapped(struct scene *s)
{
	struct sockaddr_in6 to = mapped("::ffff:127.0.0.1", s->port);

	return ERR(sendto(s->fd, "x", 1, 0, (void *)&to, sizeof(to)));
}

static long send_to_six(struct scene *s)
{
	struct sockaddr_in6 to = mapped("::1", s->port);

	return ERR(sendto(s->fd, "x", 1, 0, (void *)&to, sizeof(to)));
}

/* An IPv4 address on an IPv6 socket (udpv6_sendmsg takes it). */
static long send_to_four(struct scene *s)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(s->port), .sin_addr.s_addr = htonl(0x0a000001) };

	return ERR(sendto(s->fd, "x", 1, 0, (void *)&to, sizeof(to)));
}

static long send_with_control(struct scene *s, int level, int type, const void *data, size_t size, int count)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(s->port), .sin_addr.s_addr = htonl(0x7f000001) };
	struct iovec vector = { "x", 1 };
	char space[128] = { 0 };
	struct msghdr with = { .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &vector, .msg_iovlen = 1,
			       .msg_control = space, .msg_controllen = CMSG_SPACE(size) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&with);
	struct mmsghdr both[2] = { { .msg_hdr = { .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &vector,
						  .msg_iovlen = 1 } } };

	header->cmsg_level = level;
	header->cmsg_type = type;
	header->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(header), data, size);
	if (count == 1)
		return ERR(sendmsg(s->fd, &with, 0));
	both[1].msg_hdr = with;
	return ERR(sendmmsg(s->fd, both, 2, 0));
}

/* Loose source route by way of another host. */
static const unsigned char route[] = { 131, 7, 4, 10, 0, 0, 1, 0 };

static long send_with_route(struct scene *s)
{
	return send_with_control(s, IPPROTO_IP, IP_RETOPTS, route, sizeof(route), 1);
}

/* Only the first of messages to one address is shown to the hook; the second one has the route. */
static long send_second_with_route(struct scene *s)
{
	return send_with_control(s, IPPROTO_IP, IP_RETOPTS, route, sizeof(route), 2);
}

static long send_routed_six(struct scene *s)
{
	static const unsigned char header[24] = { 0, 2, 2, 1, [8] = 0xfd, [23] = 1 };
	struct sockaddr_in6 to = mapped("::1", s->port);
	struct iovec vector = { "x", 1 };
	char space[128] = { 0 };
	struct msghdr message = { .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &vector, .msg_iovlen = 1,
				  .msg_control = space, .msg_controllen = CMSG_SPACE(sizeof(header)) };
	struct cmsghdr *control = CMSG_FIRSTHDR(&message);

	control->cmsg_level = IPPROTO_IPV6;
	control->cmsg_type = IPV6_RTHDR;
	control->cmsg_len = CMSG_LEN(sizeof(header));
	memcpy(CMSG_DATA(control), header, sizeof(header));
	return ERR(sendmsg(s->fd, &message, 0));
}

static long send_two(struct scene *s)
{
	struct iovec vector = { "x", 1 };
	struct mmsghdr both[2] = { { .msg_hdr = { .msg_iov = &vector, .msg_iovlen = 1 } } };

	both[1] = both[0];
	return ERR(sendmmsg(s->fd, both, 2, 0)) == 2 ? 0 : -EIO;
}

static void udp_unconnected(struct scene *s)
{
	udp_pair(s);
	close(s->fd);
	s->fd = socket(AF_INET, SOCK_DGRAM, 0);
}

static void raw_protocol(struct scene *s)
{
	s->fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	s->port = 9;
}

static long send_own_header(struct scene *s)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	unsigned char packet[28] = { 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 10, 0, 0, 1 };

	return ERR(sendto(s->fd, packet, sizeof(packet), 0, (void *)&to, sizeof(to)));
}

static void packet(struct scene *s)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(3),
				       .sll_ifindex = (int)if_nametoindex("lo") };

	s->fd = socket(AF_PACKET, SOCK_RAW, htons(3));
	if (s->fd < 0 || bind(s->fd, (void *)&address, sizeof(address)))
		die("packet");
}

static long bind_elsewhere(struct scene *s)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(3) };

	return ERR(bind(s->fd, (void *)&address, sizeof(address)));
}

static long send_elsewhere(struct scene *s)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(3), .sll_ifindex = 1, .sll_halen = 6 };

	return ERR(sendto(s->fd, s->memory, 64, 0, (void *)&address, sizeof(address)));
}

void test_addresses(void)
{
	expect("an IPv4-mapped address is what it maps", perform(udp6, send_to_mapped, SOCKET, OP(SEND), 0), 0);
	expect("an IPv6 address is not an IPv4 limit's", perform(udp6, send_to_six, SOCKET, OP(SEND), 0), -EPERM);
	expect("a limit of all IPv6 lets ::1 through", perform(udp6_with_pattern, send_to_six, SOCKET, OP(SEND), 0), 0);
	expect("a limit of all IPv6 is none of mapped addresses",
	       perform(udp6_with_pattern, send_to_mapped, SOCKET, OP(SEND), 0), -EPERM);
	expect("an IPv4 address on an IPv6 socket is checked", perform(udp6, send_to_four, SOCKET, OP(SEND), 0), -EPERM);
	expect("IP options of a datagram: refused", perform(udp_unconnected, send_with_route, SOCKET, OP(SEND), 0), -EPERM);
	expect("IP options of a sendmmsg's second datagram: refused",
	       perform(udp_unconnected, send_second_with_route, SOCKET, OP(SEND), 0), -EPERM);
	stand_detach("sendmsg");
	expect("twin, without its hook they are sent",
	       perform(udp_unconnected, send_second_with_route, SOCKET, OP(SEND), 0) == -EPERM ? -EPERM : 0, 0);
	stand_attach("sendmsg");
	expect("a routing header of a datagram: refused",
	       perform(udp6_with_pattern, send_routed_six, SOCKET, OP(SEND), 0), -EPERM);
	expect("sendmmsg on a connected socket sends all", perform(udp_pair, send_two, SOCKET, OP(SEND), 0), 0);
	expect("IP headers of one's own: refused", perform(raw_protocol, send_own_header, SOCKET, OP(SEND), 0), -EPERM);
	expect("a packet socket stays with its interface", perform(packet, bind_elsewhere, SOCKET, ALL_OPERATIONS, 0), -EACCES);
	stand_detach("bind");
	expect("twin, without its hook it does not", perform(packet, bind_elsewhere, SOCKET, ALL_OPERATIONS, 0), 0);
	stand_attach("bind");
	expect("a packet to an address: refused", perform(packet, send_elsewhere, SOCKET, OP(SEND), 0), -EPERM);
}
