// SPDX-License-Identifier: Apache-2.0
/*
 * Binds a port and opens a device again and again while a timer interrupts it every millisecond, and counts
 * what came of it.
 *
 * Usage: interrupted DEVICE TURNS restart|no-restart
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t ticks;

static void tick(int number)
{
	(void)number;
	ticks++;
}

struct outcomes {
	long done, interrupted, wrong;
};

static void count(struct outcomes *outcomes, const char *what, int result)
{
	if (result >= 0)
		outcomes->done++;
	else if (errno == EINTR)
		outcomes->interrupted++;
	else if (outcomes->wrong++ == 0)
		printf("first wrong %s: %s\n", what, strerrorname_np(errno));
}

static int descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 1000; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

int main(int arguments, char **argument)
{
	if (arguments < 4)
		return 64;
	struct sigaction action = { .sa_handler = tick, .sa_flags = strcmp(argument[3], "restart") ? 0 : SA_RESTART };
	struct itimerval timer = { .it_interval = { .tv_usec = 1000 }, .it_value = { .tv_usec = 1000 } };
	struct sockaddr_in web = { .sin_family = AF_INET, .sin_port = htons(80),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct outcomes binds = { 0 }, opens = { 0 };

	int open_before = descriptors();

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	for (long turn = 0; turn < atol(argument[2]); turn++) {
		int connection = socket(AF_INET, SOCK_STREAM, 0);
		int result = bind(connection, (struct sockaddr *)&web, sizeof(web));

		count(&binds, "bind", result);
		struct sockaddr_in name;
		socklen_t length = sizeof(name);

		/* A bind that was interrupted may or may not have happened; one that succeeded must have. */
		getsockname(connection, (struct sockaddr *)&name, &length);
		if (result == 0 && name.sin_port != htons(80))
			puts("a bind that succeeded did not happen");
		close(connection);
		int file = open(argument[1], O_RDONLY);

		count(&opens, "open", file);
		char byte;

		if (file >= 0 && pread(file, &byte, 1, 0) != 1)
			puts("an open that succeeded gave something else");
		if (file >= 0)
			close(file);
	}
	timer = (struct itimerval){ 0 };
	setitimer(ITIMER_REAL, &timer, NULL);
	printf("interrupted at all: %s\n", ticks ? "yes" : "no");
	printf("binds: %ld done, %ld wrong\n", binds.done + binds.interrupted, binds.wrong);
	printf("opens: %ld done, %ld wrong\n", opens.done + opens.interrupted, opens.wrong);
	printf("EINTR: %s\n", binds.interrupted + opens.interrupted ? "seen" : "never");
	printf("descriptors left: %d\n", descriptors() - open_before);
	return 0;
}
