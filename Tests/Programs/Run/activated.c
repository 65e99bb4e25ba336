// SPDX-License-Identifier: Apache-2.0
/*
 * A program that takes its objects as sd_listen_fds(3) says, and tells what they are.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void tell_socket(int fd)
{
	struct sockaddr_in name = { 0 };
	socklen_t length = sizeof(name);
	int listening = 0, type = 0;

	getsockname(fd, (struct sockaddr *)&name, &length);
	length = sizeof(listening);
	getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length);
	length = sizeof(type);
	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length);
	printf("socket of type %d, port %d, %s\n", type, ntohs(name.sin_port), listening ? "listening" : "not listening");
}

int main(void)
{
	const char *count = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID"), *names = getenv("LISTEN_FDNAMES");

	printf("fds %s, names %s, pid %s\n", count ?: "-", names ?: "-",
	       !pid ? "-" : atoi(pid) == getpid() ? "its own" : "another's");
	for (int fd = 3; count && fd < 3 + atoi(count); fd++) {
		struct stat status;

		if (fstat(fd, &status)) {
			printf("%d: %s\n", fd, strerrorname_np(errno));
			continue;
		}
		printf("%d: close-on-exec %d, access %d, blocking %d, ", fd, fcntl(fd, F_GETFD) & FD_CLOEXEC,
		       fcntl(fd, F_GETFL) & O_ACCMODE, !(fcntl(fd, F_GETFL) & O_NONBLOCK));
		if (S_ISSOCK(status.st_mode)) {
			tell_socket(fd);
			continue;
		}
		char text[6] = "";

		printf("file: %zd %s\n", read(fd, text, 5), text);
	}
	for (int fd = 3 + (count ? atoi(count) : 0); fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("%d is open too\n", fd);
	return 0;
}
