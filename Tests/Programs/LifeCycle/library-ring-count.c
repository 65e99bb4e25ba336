// SPDX-License-Identifier: Apache-2.0
/*
 * Reads through the library, as often as it is told, and says how many reads gave bytes.
 *
 * Usage: library-ring-count SOCKET OBJECT, then lines:
 *   open          for all that is granted
 *   again, close  opens the object once more, and gives that up
 *   read NUMBER
 *   fork          while a thread is blocked in a receive a child looks for a datagram; says what the child got
 *   child         a child looks for a datagram with O_NONBLOCK, which was set before the fork; says what it got
 *   received      what the thread got
 *   send [PORT]   five bytes, to that port of 127.0.0.1; says how many went or the error
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <postern.h>

static int fd = -1, other = -1;
static pthread_t receiver;

static void *receive(void *result)
{
	char bytes[64];

	*(ssize_t *)result = postern_receive(fd, bytes, sizeof(bytes), 0, NULL, NULL);
	return result;
}

int main(int count, char **arguments)
{
	char line[64], bytes[64];
	postern *connection;
	static ssize_t received;

	alarm(120);
	if (count < 3 || postern_connect(arguments[1], &connection) < 0)
		return 69;
	while (fgets(line, sizeof(line), stdin)) {
		long good = 0;

		if (!strncmp(line, "open", 4)) {
			fd = postern_open(connection, arguments[2], 0);
			printf("%d\n", fd < 0 ? fd : 0);
		} else if (!strncmp(line, "again", 5)) {
			other = postern_open(connection, arguments[2], 0);
			printf("%d\n", other < 0 ? other : 0);
		} else if (!strncmp(line, "close", 5)) {
			printf("%d\n", postern_close(other));
		} else if (!strncmp(line, "fork", 4)) {
			pthread_create(&receiver, NULL, receive, &received);
			usleep(100000);
			fflush(stdout);
			if (fork() == 0) {
				printf("%zd\n", postern_receive(fd, bytes, sizeof(bytes), MSG_DONTWAIT, NULL, NULL));
				fflush(stdout);
				_exit(0);
			}
			wait(NULL);
		} else if (!strncmp(line, "child", 5)) {
			fcntl(fd, F_SETFL, O_NONBLOCK);
			if (fork() == 0) {
				alarm(10);
				printf("%zd\n", postern_receive(fd, bytes, sizeof(bytes), 0, NULL, NULL));
				fflush(stdout);
				_exit(0);
			}
			wait(NULL);
		} else if (!strncmp(line, "received", 8)) {
			pthread_join(receiver, NULL);
			printf("%zd\n", received);
		} else if (!strncmp(line, "send", 4)) {
			struct sockaddr_in to = {
				.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(line + 4)),
				.sin_addr = { htonl(INADDR_LOOPBACK) },
			};
			int names = to.sin_port != 0;

			printf("%zd\n", postern_send(fd, "hello", 5, 0, names ? (struct sockaddr *)&to : NULL,
						    names ? sizeof(to) : 0));
		} else {
			for (long left = atol(line + 5); left > 0; left--)
				good += postern_read(fd, bytes, sizeof(bytes), 0) == sizeof(bytes);
			printf("%ld\n", good);
		}
		fflush(stdout);
	}
	return 0;
}
