/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moves bytes and descriptors between a test and a broker, as another process and user than the test's: one command a
 * line, one answer a line. It knows nothing of the protocol.
 *
 *	connect PATH			-> socket number, or -errno
 *	send SOCKET HEX [COUNT [FD]]	-> bytes sent, or -errno; with COUNT descriptors attached, copies of FD
 *	receive SOCKET MILLISECONDS	-> HEX [FD...], "closed", "timeout" or -errno
 *	close FD			-> 0
 *	null				-> a descriptor of /dev/null
 *	linger				-> a TCP socket whose close blocks: unsent bytes, SO_LINGER, a peer that never reads
 *	fork				the child answers "child PID" and takes the commands from then on
 *	leave				the child ends, its parent goes on
 *	daemon				fork, and the parent ends at once: the child goes on
 *	children COUNT SOCKET HEX	that many children one after the other, each sends and ends
 *	many COUNT PATH			-> how many connections of COUNT could be made and were not closed at once
 *	threads COUNT			-> how many threads of COUNT could be made; they live on, and do nothing
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define ATTACHED 253

static unsigned char bytes[140000];
static char line[300000];

static size_t decode(const char *hex)
{
	size_t count = 0;

	if (!hex || *hex == '-')
		return 0;
	for (; hex[0] && hex[1]; hex += 2) {
		char digits[3] = { hex[0], hex[1], 0 };

		bytes[count++] = (unsigned char)strtoul(digits, NULL, 16);
	}
	return count;
}

static long say(long result)
{
	printf("%ld\n", result < 0 ? -(long)errno : result);
	return result;
}

static int dial(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static long deliver(int fd, const char *hex, int count, int attached)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(ATTACHED * sizeof(int))];
	} control = { 0 };
	struct iovec part = { .iov_base = bytes, .iov_len = decode(hex) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (count > 0) {
		struct cmsghdr *header = &control.align;

		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
		for (int i = 0; i < count; i++)
			((int *)(void *)CMSG_DATA(header))[i] = attached;
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void receive(int fd, int timeout)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(ATTACHED * sizeof(int))];
	} control;
	struct iovec part = { .iov_base = bytes, .iov_len = sizeof(bytes) };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct pollfd entry = { .fd = fd, .events = POLLIN };
	ssize_t size;

	if (poll(&entry, 1, timeout) == 0) {
		puts("timeout");
		return;
	}
	size = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (size < 0) {
		say(-1);
		return;
	}
	if (size == 0) {
		puts("closed");
		return;
	}
	for (ssize_t i = 0; i < size; i++)
		printf("%02x", bytes[i]);
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header))
		for (size_t i = 0; i < (header->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++)
			printf(" %d", ((int *)(void *)CMSG_DATA(header))[i]);
	puts("");
}

static int lingering(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct linger forever = { .l_onoff = 1, .l_linger = 60 };
	socklen_t size = sizeof(address);
	int small = 4096;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &size) < 0 ||
	    connect(fd, (struct sockaddr *)&address, size) < 0)
		return -1;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL) > 0)
		;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &forever, sizeof(forever));
	/* The listener stays open: it is what never reads. */
	return fd;
}

static void children(int count, int fd, const char *hex)
{
	for (int i = 0; i < count; i++) {
		pid_t child = fork();

		if (child == 0) {
			deliver(fd, hex, 0, -1);
			_exit(0);
		}
		if (child > 0)
			waitpid(child, NULL, 0);
	}
	say(count);
}

static void many(int count, const char *path)
{
	int alive = 0;

	for (int i = 0; i < count; i++) {
		int fd = dial(path);
		struct pollfd entry = { .fd = fd, .events = POLLIN };

		/* Whoever is one too many is told so. */
		if (fd >= 0 && poll(&entry, 1, i < 64 ? 0 : 20) == 0)
			alive++;
	}
	say(alive);
}

static void *idle(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void threads(int count)
{
	pthread_attr_t small;
	pthread_t thread;
	int made = 0;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 1 << 16);
	while (made < count && pthread_create(&thread, &small, idle, NULL) == 0)
		made++;
	say(made);
}

static void branch(int parent_ends)
{
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		printf("child %d\n", getpid());
	} else if (child < 0) {
		say(-1);
	} else if (parent_ends) {
		_exit(0);
	} else {
		waitpid(child, NULL, 0);
	}
}

int main(void)
{
	setvbuf(stdin, NULL, _IONBF, 0);
	/* Whatever becomes of the test. */
	alarm(120);
	while (fgets(line, sizeof(line), stdin)) {
		char *words[6] = { 0 };
		char *rest;

		for (int i = 0; i < 6; i++)
			words[i] = strtok_r(i ? NULL : line, " \n", &rest);
		if (!words[0])
			continue;
#define IS(name) (strcmp(words[0], name) == 0)
#define NUMBER(index) (words[index] ? atoi(words[index]) : 0)
		if (IS("connect"))
			say(dial(words[1]));
		else if (IS("send"))
			say(deliver(NUMBER(1), words[2], NUMBER(3), NUMBER(4)));
		else if (IS("receive"))
			receive(NUMBER(1), NUMBER(2));
		else if (IS("close"))
			say(close(NUMBER(1)));
		else if (IS("null"))
			say(open("/dev/null", O_RDONLY | O_CLOEXEC));
		else if (IS("linger"))
			say(lingering());
		else if (IS("fork"))
			branch(0);
		else if (IS("daemon"))
			branch(1);
		else if (IS("leave")) {
			puts("0");
			fflush(stdout);
			_exit(0);
		}
		else if (IS("children"))
			children(NUMBER(1), NUMBER(2), words[3]);
		else if (IS("many"))
			many(NUMBER(1), words[2]);
		else if (IS("threads"))
			threads(NUMBER(1));
		else
			puts("what?");
		fflush(stdout);
	}
	return 0;
}
