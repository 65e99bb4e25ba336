/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one mediated operation costs, against a bare ping-pong over the same kind of socket.
 *
 * The client speaks the raw protocol, one datagram an operation: `info`, which does no system call, and a
 * read of 64 bytes that the page cache holds. The bare brokers are threads of no library: recvmsg(2) with
 * SO_PASSCRED, sendmsg(2) of as many bytes as Postern answers; "with pread" reads the same bytes before it
 * answers; "with epoll" waits for its one client as a broker of many must. Kinds are interleaved in short
 * rounds, so that other work on the machine meets all alike; figures are medians over the rounds.
 *
 * Usage: mediated SOCKET BROKER-PID IMAGE [one-cpu | two-cpus]
 */
#include "protocol.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define ROUNDS 401
#define OPERATIONS 60
#define BATCH 32u

enum kind { BARE, BARE_EPOLL, INFO, BARE_READ, BARE_READ_EPOLL, READ, BATCHED, KINDS };

struct peer {
	int fd;
	pid_t pid;
	uint8_t request[BATCH_HEADER + BATCH * INSTRUCTION];
	size_t request_size, reply_size;
	unsigned operations;
};

static void serve(int fd, int image, int polling, size_t reply_size)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(16 * sizeof(int))];
	} ancillary;
	static uint8_t request[65536 + 4096], reply[4096];
	int waiting = epoll_create1(EPOLL_CLOEXEC), on = 1;
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP };

	if (waiting < 0 || epoll_ctl(waiting, EPOLL_CTL_ADD, fd, &event) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		die("bare broker");
	for (;;) {
		struct iovec part = { request, sizeof(request) };
		struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = ancillary.bytes,
					  .msg_controllen = sizeof(ancillary.bytes) };
		ssize_t count;

		if (polling && epoll_wait(waiting, &event, 1, -1) != 1)
			die("epoll_wait");
		count = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
		if (count <= 0)
			_exit(0);
		if (message.msg_controllen == 0)
			die("no credentials");
		if (image >= 0 && pread(image, reply + BATCH_HEADER + COMPLETION, 64, 0) != 64)
			die("pread");
		part = (struct iovec){ reply, reply_size };
		message = (struct msghdr){ .msg_iov = &part, .msg_iovlen = 1 };
		if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			die("sendmsg");
	}
}

static struct peer bare(int image, int polling, size_t reply_size)
{
	struct peer peer = { .operations = 1, .reply_size = reply_size };
	int pair[2];

	peer.request_size = instructions(peer.request, 1, OPCODE_INFO, 32);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		die("socketpair");
	peer.pid = fork();
	if (peer.pid < 0)
		die("fork");
	if (peer.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		serve(pair[1], image, polling, reply_size);
	}
	close(pair[1]);
	peer.fd = pair[0];
	return peer;
}

static struct peer postern(int channel, pid_t broker, unsigned count, uint8_t opcode, uint64_t length)
{
	struct peer peer = { .fd = channel, .pid = broker, .operations = count };

	peer.request_size = instructions(peer.request, count, opcode, length);
	peer.reply_size = BATCH_HEADER + count * (COMPLETION + length);
	return peer;
}

static void once(const struct peer *peer)
{
	uint8_t reply[8192];

	if (send(peer->fd, peer->request, peer->request_size, MSG_NOSIGNAL) < 0)
		die("send");
	if (recv(peer->fd, reply, sizeof(reply), 0) != (ssize_t)peer->reply_size)
		die("a reply of another size");
}

/* Nanoseconds an operation over one round. */
static double measure(const struct peer *peer)
{
	int count = peer->operations == 1 ? OPERATIONS : OPERATIONS / 8;
	double start;

	for (int warm = 0; warm < 3; warm++)
		once(peer);
	start = now();
	for (int index = 0; index < count; index++)
		once(peer);
	return (now() - start) / count / peer->operations;
}

static void report(const char *placement, const char *key, double value, const char *unit, const char *relation,
		   double bar)
{
	char name[128];

	snprintf(name, sizeof(name), "mediated.%s.%s", placement, key);
	figure(name, value, unit, relation, bar);
}

static void compare(const struct peer *peers, const char *placement, int client, int server)
{
	static double rounds[KINDS][ROUNDS];
	double cost[KINDS];

	place(getpid(), client);
	for (int kind = 0; kind < KINDS; kind++)
		place(peers[kind].pid, server);
	for (int round = 0; round < ROUNDS; round++)
		for (int kind = 0; kind < KINDS; kind++)
			rounds[kind][round] = measure(&peers[kind]);
	for (int kind = 0; kind < KINDS; kind++)
		cost[kind] = median(rounds[kind], ROUNDS);
	report(placement, "bare", cost[BARE], "ns", "-", 0);
	report(placement, "bare-epoll", cost[BARE_EPOLL], "ns", "-", 0);
	report(placement, "info", cost[INFO], "ns", "-", 0);
	report(placement, "info/bare", cost[INFO] / cost[BARE], "x", "<=", 1.25);
	report(placement, "info/bare-epoll", cost[INFO] / cost[BARE_EPOLL], "x", "-", 0);
	report(placement, "bare-read", cost[BARE_READ], "ns", "-", 0);
	report(placement, "read", cost[READ], "ns", "-", 0);
	report(placement, "read/bare-read", cost[READ] / cost[BARE_READ], "x", "<=", 1.25);
	report(placement, "read/bare-read-epoll", cost[READ] / cost[BARE_READ_EPOLL], "x", "-", 0);
	report(placement, "read/bare", cost[READ] / cost[BARE], "x", "-", 0);
	report(placement, "batch-of-32", cost[BATCHED], "ns", "-", 0);
	report(placement, "batch-of-32/one", cost[BATCHED] / cost[INFO], "x", "<=", 0.35);
}

int main(int count, char **arguments)
{
	struct peer peers[KINDS];
	int connection, channel, image;
	pid_t broker;

	if (count != 4 && count != 5) {
		fprintf(stderr, "usage: %s SOCKET BROKER-PID IMAGE [one-cpu | two-cpus]\n", arguments[0]);
		return 64;
	}
	broker = atoi(arguments[2]);
	image = open(arguments[3], O_RDONLY | O_CLOEXEC);
	if (image < 0)
		die(arguments[3]);
	peers[BARE] = bare(-1, 0, BATCH_HEADER + COMPLETION + 32);
	peers[BARE_EPOLL] = bare(-1, 1, BATCH_HEADER + COMPLETION + 32);
	peers[BARE_READ] = bare(image, 0, BATCH_HEADER + COMPLETION + 64);
	peers[BARE_READ_EPOLL] = bare(image, 1, BATCH_HEADER + COMPLETION + 64);
	connection = connect_broker(arguments[1]);
	channel = open_object(connection, "image");
	peers[INFO] = postern(channel, broker, 1, OPCODE_INFO, 32);
	peers[READ] = postern(channel, broker, 1, OPCODE_READ, 64);
	peers[BATCHED] = postern(channel, broker, BATCH, OPCODE_INFO, 32);

	if (processor(1) != processor(0) && (count == 4 || strcmp(arguments[4], "two-cpus") == 0))
		compare(peers, "two-cpus", processor(0), processor(1));
	if (count == 4 || strcmp(arguments[4], "one-cpu") == 0)
		compare(peers, "one-cpu", processor(0), processor(0));
	for (int kind = 0; kind < KINDS; kind++)
		if (peers[kind].pid != broker)
			kill(peers[kind].pid, SIGKILL);
	return 0;
}
