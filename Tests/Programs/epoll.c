/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accepts connections that it makes itself, told of them by epoll(7), poll(2) and select(2) on the brokered descriptor.
 *
 * usage: epoll OBJECT PORT        a tcp listener on 127.0.0.1:PORT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <postern.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <unistd.h>

#include "check.h"

static struct sockaddr_in address = { .sin_family = AF_INET };

static int dial(void)
{
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(connect(client, (struct sockaddr *)&address, sizeof(address)) == 0, "connect: %s", strerror(errno));
	return client;
}

static int readable(int which, int epoll, int fd, int patience)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };
	struct timeval timeout = { .tv_sec = patience / 1000, .tv_usec = patience % 1000 * 1000 };
	struct epoll_event event;
	fd_set set;

	switch (which % 3) {
	case 0:
		return epoll_wait(epoll, &event, 1, patience);
	case 1:
		return poll(&entry, 1, patience);
	default:
		FD_ZERO(&set);
		FD_SET(fd, &set);
		return select(fd + 1, &set, NULL, NULL, &timeout);
	}
}

int main(int argc, char **argv)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct rlimit limit, lower;
	postern *connection;
	int fd, epoll, clients[8];

	CHECK(argc == 3, "usage: epoll OBJECT PORT");
	address.sin_port = htons((uint16_t)atoi(argv[2]));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	EXPECT(postern_connect(NULL, &connection), 0);
	fd = postern_open(connection, argv[1], POSTERN_BIND | POSTERN_LISTEN | POSTERN_ACCEPT);
	CHECK(fd >= 0, "open: %s", strerror(-fd));
	EXPECT(postern_listen(fd, 16), 0);
	EXPECT(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	EXPECT(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);

	for (int round = 0; round < 60; round++) {
		int count = round % 8 + 1;

		for (int index = 0; index < count; index++)
			clients[index] = dial();
		for (int index = 0; index < count; index++) {
			struct sockaddr_in peer, own;
			socklen_t length = sizeof(peer), own_length = sizeof(own);
			int accepted;

			/* It can be readable for nothing; what waits must always be told. */
			do {
				CHECK(readable(round, epoll, fd, 5000) == 1, "round %d: %d of %d told", round, index, count);
				accepted = postern_accept(fd, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
			} while (accepted == -EAGAIN);
			CHECK(accepted >= 0, "accept: %s", strerror(-accepted));
			CHECK(length == sizeof(peer) && peer.sin_addr.s_addr == address.sin_addr.s_addr, "peer");
			CHECK(getsockname(clients[index], (struct sockaddr *)&own, &own_length) == 0, "getsockname");
			CHECK(peer.sin_port == own.sin_port, "connections come in order");
			CHECK(fcntl(accepted, F_GETFD) == FD_CLOEXEC && !(fcntl(accepted, F_GETFL) & O_NONBLOCK), "flags");
			CHECK(write(accepted, "x", 1) == 1, "an ordinary descriptor");
			close(accepted);
		}
		for (int index = 0; index < count; index++)
			close(clients[index]);
		EXPECT(postern_accept(fd, NULL, NULL, 0), -EAGAIN);
	}
	/* No busy loop: nothing waits, so nothing is told. */
	while (readable(1, epoll, fd, 0) == 1)
		EXPECT(postern_accept(fd, NULL, NULL, 0), -EAGAIN);
	CHECK(readable(1, epoll, fd, 100) == 0, "readable for nothing");

	/* No number left for what is accepted: told as accept(2) does, and the descriptor goes on. */
	clients[0] = dial();
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
	lower = limit;
	lower.rlim_cur = (rlim_t)dup(0);
	close((int)lower.rlim_cur);
	CHECK(readable(1, epoll, fd, 5000) == 1, "not told");
	CHECK(setrlimit(RLIMIT_NOFILE, &lower) == 0, "setrlimit");
	EXPECT(postern_accept(fd, NULL, NULL, 0), -EMFILE);
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
	clients[1] = dial();
	CHECK(readable(1, epoll, fd, 5000) == 1, "not told");
	CHECK(postern_accept(fd, NULL, NULL, 0) > 0, "accept");

	EXPECT(postern_close(fd), 0);
	puts("accepted");
	return 0;
}
