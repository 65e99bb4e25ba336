// SPDX-License-Identifier: Apache-2.0
/*
 * Looks every tenth of a second whether the socket 3 has been taken back from it (shutdown, and a locked filter). Ends
 * when it has, or after two seconds.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
	for (int turn = 0; turn < 20; turn++) {
		int locked = 0;
		socklen_t length = sizeof(locked);
		struct pollfd end = { .fd = 3, .events = POLLIN };

		getsockopt(3, SOL_SOCKET, SO_LOCK_FILTER, &locked, &length);
		if (locked && poll(&end, 1, 0) > 0) {
			int connection = accept(3, NULL, NULL);

			printf("taken back: accept gives %s\n", connection < 0 ? strerrorname_np(errno) : "a connection");
			return 0;
		}
		usleep(100000);
	}
	puts("still there");
	return 1;
}
