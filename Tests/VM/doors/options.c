/* SPDX-License-Identifier: Apache-2.0 */
/* Doors of what is set and asked, of sockets and of terminals. */
#include "doors.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

static long do_setsockopt(struct scene *s)
{
	int on = 1;

	return ERR(setsockopt(s->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)));
}

static long do_getsockopt(struct scene *s)
{
	int value;
	socklen_t length = sizeof(value);

	return ERR(getsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &value, &length));
}

static long do_type(struct scene *s)
{
	int value;
	socklen_t length = sizeof(value);

	return ERR(getsockopt(s->fd, SOL_SOCKET, SO_TYPE, &value, &length));
}

static long do_getsockname(struct scene *s)
{
	struct sockaddr_in address;
	socklen_t length = sizeof(address);

	return ERR(getsockname(s->fd, (void *)&address, &length));
}

static long do_getpeername(struct scene *s)
{
	struct sockaddr_in address;
	socklen_t length = sizeof(address);

	return ERR(getpeername(s->fd, (void *)&address, &length));
}

static long do_waiting(struct scene *s)
{
	int count;

	return ERR(ioctl(s->fd, FIONREAD, &count));
}

static void limit_sockets(struct scene *s)
{
	tcp_pair(s);
	stand.limits[1].control_count = 3;
	stand.limits[1].controls[1] = SIOCGSKNS;
	stand.limits[1].controls[2] = TIOCGPTPEER;
}

static long do_namespace(struct scene *s)
{
	return ERR(ioctl(s->fd, SIOCGSKNS, 0));
}

static void terminal(struct scene *s)
{
	limit_sockets(s);
	close(s->fd);
	s->fd = posix_openpt(O_RDWR | O_NOCTTY);
	if (s->fd < 0 || unlockpt(s->fd))
		die("pty");
}

static long do_peer_terminal(struct scene *s)
{
	return ERR(ioctl(s->fd, TIOCGPTPEER, O_RDWR | O_NOCTTY));
}

static void packet_to_map(struct scene *s)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(3),
				       .sll_ifindex = (int)if_nametoindex("lo") };

	s->fd = socket(AF_PACKET, SOCK_RAW, htons(3));
	if (s->fd < 0 || bind(s->fd, (void *)&address, sizeof(address)))
		die("packet");
}

static long do_packet_ring(struct scene *s)
{
	struct tpacket_req request = { .tp_block_size = 4096, .tp_block_nr = 4, .tp_frame_size = 2048, .tp_frame_nr = 8 };

	return ERR(setsockopt(s->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)));
}

#define DOOR(title, watched, op, door, where, how, ...) \
	{ .name = title, .hooks = watched, .needs = OP(op), .number = POSTERN_DOOR_##door, .kind = POSTERN_KIND_SOCKET, \
	  .set_up = where, .operate = how, __VA_ARGS__ }
#define LIMITED .has_limit = true
#define SAYS .is_description = true

const struct door option_doors[] = {
	DOOR("setsockopt", "setsockopt", SETOPTION, SETOPTION, tcp_pair, do_setsockopt, LIMITED),
	DOOR("PACKET_RX_RING", "setsockopt", RECEIVE, SETOPTION, packet_to_map, do_packet_ring,
	     .flags = POSTERN_ASSOCIATION_MMAP),
	DOOR("getsockopt", "getsockopt", GETOPTION, GETOPTION, tcp_pair, do_getsockopt),
	DOOR("SO_TYPE", "getsockopt", GETOPTION, GETOPTION, tcp_pair, do_type, SAYS),
	DOOR("getsockname", "getsockname", GETOPTION, NAME, tcp_pair, do_getsockname, SAYS),
	DOOR("getpeername", "getpeername", GETOPTION, NAME, tcp_pair, do_getpeername, SAYS),
	DOOR("FIONREAD of a socket", "file_ioctl", CONTROL, IOCTL, tcp_pair, do_waiting, SAYS),
	DOOR("SIOCGSKNS", "file_ioctl", CONTROL, IOCTL, limit_sockets, do_namespace, LIMITED),
	DOOR("TIOCGPTPEER", "file_ioctl", CONTROL, IOCTL, terminal, do_peer_terminal, LIMITED),
};
const int option_door_count = sizeof(option_doors) / sizeof(*option_doors);
