// SPDX-License-Identifier: Apache-2.0
/*
 * A program that knows nothing of the fork protocol and leaves it to libpostern. Prints a line for each process.
 *
 * Usage: library SOCKET OBJECT [manual]: with "manual", without automatic revalidation.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <postern.h>

static void try_read(const char *who, int fd)
{
	char bytes[5] = "", message[128] = "";
	ssize_t count = postern_read(fd, bytes, 4, 0);
	int reason;

	if (count >= 0) {
		printf("%s %zd %s\n", who, count, bytes);
	} else {
		reason = postern_last_reason(message, sizeof(message));
		printf("%s %s %s%s%s\n", who, strerror((int)-count), reason ? postern_reason_name(reason) : "no reason",
		       message[0] ? ": " : "", message);
	}
	fflush(stdout);
}

static void in_child(const char *who, int fd, int levels)
{
	pid_t pid = fork();

	if (pid == 0) {
		alarm(60);
		if (levels > 1)
			in_child(who, fd, levels - 1);
		else
			try_read(who, fd);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

int main(int count, char **arguments)
{
	postern *connection;
	int fd, error;

	if (count < 3)
		return 64;
	alarm(60);
	error = postern_connect(arguments[1], &connection);
	if (error < 0)
		return 69;
	if (count > 3)
		postern_set_automatic_revalidation(connection, 0);
	fd = postern_open(connection, arguments[2], POSTERN_READ);
	if (fd < 0)
		return 1;
	try_read("parent", fd);
	in_child("child", fd, 1);
	in_child("grandchild", fd, 2);
	try_read("parent", fd);
	postern_close(fd);
	postern_disconnect(connection);
	return 0;
}
