/* SPDX-License-Identifier: Apache-2.0 */
/* Nobody in between: plain system calls, as root where that is needed. */
#include "peers.h"

#include <fcntl.h>
#include <netinet/tcp.h>

/* Bound; port 0: to any. */
int loopback_socket(int type, uint16_t port)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = port_80.sin_addr };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)))
		die("socket");
	return fd;
}

void connect_to(int fd, const struct sockaddr_in *name)
{
	if (connect(fd, (const struct sockaddr *)name, sizeof(*name)))
		die("connect");
}

struct sockaddr_in name_of(int fd)
{
	struct sockaddr_in name;
	socklen_t size = sizeof(name);

	if (getsockname(fd, (struct sockaddr *)&name, &size))
		die("getsockname");
	return name;
}

static int accept_plainly(int listener)
{
	return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

/* Connects held.tcp_peer to the listener and returns the accepted end. Small messages are sent at once. */
int accept_peer(int listener, int (*accept_one)(int listener))
{
	int on = 1, fd = accept_one(listener);

	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ||
	    setsockopt(held.tcp_peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
		die("accept");
	return fd;
}

void open_all(struct way *way)
{
	struct sockaddr_in name;

	(void)way;
	held.disk = open(needed("PEERS_DISK"), O_RDWR | O_CLOEXEC);
	if (held.disk < 0)
		die("the disk");
	held.udp = loopback_socket(SOCK_DGRAM, 0);
	held.udp_peer = loopback_socket(SOCK_DGRAM, 0);
	name = name_of(held.udp_peer);
	connect_to(held.udp, &name);
	name = name_of(held.udp);
	connect_to(held.udp_peer, &name);
	held.listener = loopback_socket(SOCK_STREAM, 0);
	held.tcp_peer = loopback_socket(SOCK_STREAM, 0);
	if (listen(held.listener, 1))
		die("listen");
	name = name_of(held.listener);
	connect_to(held.tcp_peer, &name);
	held.tcp = accept_peer(held.listener, accept_plainly);
}

void open_disk(const struct task *task)
{
	(void)task;
	held.acquired = open(needed("PEERS_DISK"), O_RDWR | O_CLOEXEC);
	if (held.acquired < 0)
		die("open");
}

void bind_port(const struct task *task)
{
	(void)task;
	held.acquired = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(held.acquired, (const struct sockaddr *)&port_80, sizeof(port_80)))
		die("bind");
}

void close_acquired(const struct task *task)
{
	(void)task;
	if (held.acquired >= 0)
		close(held.acquired);
	held.acquired = -1;
}

/* On the descriptors of `held`. */
void operate_plainly(const struct task *task)
{
	size_t size = task->size;

	switch (task->operation) {
	case READ:
		expect(pread(held.disk, held.bytes, size, 0), size, "pread");
		break;
	case WRITE:
		expect(pwrite(held.disk, held.bytes, size, 0), size, "pwrite");
		break;
	case UDP_SEND:
		expect(send(held.udp, held.bytes, size, MSG_NOSIGNAL), size, "send");
		break;
	case UDP_RECEIVE:
		expect(recv(held.udp, held.bytes, size, 0), size, "recv");
		break;
	case TCP_SEND:
		expect(send(held.tcp, held.bytes, size, MSG_NOSIGNAL), size, "send");
		break;
	case TCP_RECEIVE:
		expect(recv(held.tcp, held.bytes, size, MSG_WAITALL), size, "recv");
		break;
	default:
		die("an operation that is not one");
	}
}

static int plain_offers(const struct task *task)
{
	return at_once(task) && task->operation != START_PROGRAM;
}

static void perform_plain(const struct task *task)
{
	if (task->operation == OPEN_DISK)
		open_disk(task);
	else if (task->operation == BIND_PORT)
		bind_port(task);
	else
		operate_plainly(task);
}

/* Root, because nobody else may open this disk and bind this port: it is what every other way is measured against. */
struct way plain = { .name = "plain", .open = open_all, .offers = plain_offers, .perform = perform_plain,
		     .release = close_acquired, .root = 1 };
