/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uses an object until it is taken back, and checks what it is told then.
 *
 * usage: revoked OBJECT read|accept        prints "ready" once it is at work
 */
#define _GNU_SOURCE
#include <poll.h>
#include <postern.h>
#include <unistd.h>

#include "check.h"

int main(int argc, char **argv)
{
	struct pollfd entry;
	postern *connection;
	char bytes[16];
	long result;
	int fd, accepts;

	setvbuf(stdout, NULL, _IOLBF, 0);
	CHECK(argc == 3, "usage: revoked OBJECT read|accept");
	accepts = !strcmp(argv[2], "accept");
	EXPECT(postern_connect(NULL, &connection), 0);
	fd = postern_open(connection, argv[1], accepts ? POSTERN_LISTEN | POSTERN_ACCEPT : POSTERN_READ);
	CHECK(fd >= 0, "open: %s", strerror(-fd));
	if (accepts)
		EXPECT(postern_listen(fd, 8), 0);
	puts("ready");
	do
		result = accepts ? postern_accept(fd, NULL, NULL, 0) : postern_read(fd, bytes, sizeof(bytes), 0);
	while (result > 0);
	EXPECT(result, -EKEYREVOKED);
	EXPECT(postern_last_reason(NULL, 0), POSTERN_REVOKED);
	/* A poll loop does not hang on it, and asking again gets the same answer. */
	entry = (struct pollfd){ .fd = fd, .events = POLLIN };
	CHECK(poll(&entry, 1, 0) >= 0, "poll");
	result = accepts ? postern_accept(fd, NULL, NULL, 0) : postern_read(fd, bytes, sizeof(bytes), 0);
	EXPECT(result, -EKEYREVOKED);
	puts("revoked");
	EXPECT(postern_close(fd), 0);
	return 0;
}
