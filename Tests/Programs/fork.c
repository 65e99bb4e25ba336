/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that opens an object, forks, and goes on in parent and children.
 *
 * usage: fork OBJECT automatic|manual|denied|grandchild|parallel|threads|vfork|closed
 * OBJECT is a disk whose byte at offset N is N & 255.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <postern.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static int fd;
static const char *mode;

static void read_right(off_t offset)
{
	unsigned char bytes[16];

	EXPECT(postern_read(fd, bytes, sizeof(bytes), offset), sizeof(bytes));
	for (size_t index = 0; index < sizeof(bytes); index++)
		CHECK(bytes[index] == ((offset + index) & 255), "at %zu: %u", index, bytes[index]);
}

static void wait_for(pid_t child)
{
	int status;

	CHECK(waitpid(child, &status, 0) == child, "%s", strerror(errno));
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %#x", status);
}

static void in_child(void)
{
	char byte, message[256];
	struct pollfd entry = { .fd = fd, .events = POLLIN };

	if (!strcmp(mode, "manual")) {
		EXPECT(postern_read(fd, &byte, 1, 0), -EKEYEXPIRED);
		EXPECT(postern_last_reason(NULL, 0), POSTERN_NOT_ASSOCIATED);
		puts("child: first error, not-associated");
		EXPECT(postern_revalidate(fd), 0);
		puts("child: revalidated");
	}
	if (!strcmp(mode, "denied")) {
		EXPECT(postern_read(fd, &byte, 1, 0), -EKEYREJECTED);
		EXPECT(postern_last_reason(message, sizeof(message)), POSTERN_REFUSED);
		printf("child: second error, refused: %s\n", message);
		_exit(0);
	}
	/* The parent's answers are out of reach: what the number means now is readable, so that a poll loop calls. */
	if (!strcmp(mode, "automatic"))
		CHECK(poll(&entry, 1, 0) == 1 && entry.revents == POLLIN, "revents %#x", entry.revents);
	for (int round = 0; round < 100; round++)
		read_right(round);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC, "close-on-exec was lost");
	puts("child: read");
}

static atomic_int stop;

static void *reader(void *unused)
{
	(void)unused;
	while (!stop)
		read_right(rand() & 255);
	return NULL;
}

int main(int argc, char **argv)
{
	postern *connection;
	pid_t children[8];
	pthread_t threads[4];

	setvbuf(stdout, NULL, _IOLBF, 0);
	CHECK(argc == 3, "usage: fork OBJECT MODE");
	mode = argv[2];
	EXPECT(postern_connect(NULL, &connection), 0);
	fd = postern_open(connection, argv[1], POSTERN_READ);
	CHECK(fd >= 0, "open: %s", strerror(-fd));
	if (!strcmp(mode, "manual"))
		postern_set_automatic_revalidation(connection, 0);
	read_right(3);
	if (!strcmp(mode, "threads")) {
		for (int index = 0; index < 4; index++)
			CHECK(pthread_create(&threads[index], NULL, reader, NULL) == 0, "pthread_create");
		/* Whatever a thread is doing at the fork, the child must be able to go on. */
		for (int round = 0; round < 20; round++) {
			pid_t child = fork();

			if (child == 0) {
				in_child();
				_exit(0);
			}
			wait_for(child);
		}
		stop = 1;
		for (int index = 0; index < 4; index++)
			pthread_join(threads[index], NULL);
	} else if (!strcmp(mode, "vfork")) {
		char byte;
		pid_t child = vfork();

		if (child == 0)
			_exit(postern_read(fd, &byte, 1, 0) == -EKEYEXPIRED ? 0 : 1);
		wait_for(child);
	} else if (!strcmp(mode, "parallel")) {
		for (int index = 0; index < 8; index++) {
			children[index] = fork();
			if (children[index] == 0) {
				in_child();
				_exit(0);
			}
		}
		for (int index = 0; index < 8; index++)
			wait_for(children[index]);
	} else if (!strcmp(mode, "closed")) {
		/* The number was closed with close(2) and means something else now: the fork leaves that alone. */
		int pipes[2];
		pid_t child;
		char byte = 0;

		CHECK(pipe(pipes) == 0 && dup2(pipes[0], fd) == fd, "dup2");
		child = fork();
		if (child == 0) {
			CHECK(read(fd, &byte, 1) == 1 && byte == 'x', "the pipe is gone");
			CHECK(postern_read(fd, &byte, 1, 0) == -EBADF, "a pipe is not ours");
			_exit(0);
		}
		CHECK(write(pipes[1], "x", 1) == 1, "write");
		wait_for(child);
		EXPECT(postern_read(fd, &byte, 1, 0), -EBADF);
		EXPECT(postern_close(fd), -EBADF);
		return 0;
	} else {
		pid_t child = fork();

		if (child == 0) {
			if (!strcmp(mode, "grandchild")) {
				pid_t grandchild = fork();

				if (grandchild == 0) {
					in_child();
					_exit(0);
				}
				wait_for(grandchild);
			}
			in_child();
			_exit(0);
		}
		for (int round = 0; round < 100; round++)
			read_right(round);
		wait_for(child);
	}
	read_right(7);
	puts("parent: read");
	EXPECT(postern_close(fd), 0);
	EXPECT(postern_close(fd), -EBADF);
	postern_disconnect(connection);
	return 0;
}
