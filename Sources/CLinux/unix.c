/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "clinux_unix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* How long somebody who listens already is given to say so. */
#define PROBE_MS 1000

static int address_of(const char *path, struct sockaddr_un *address)
{
	size_t length = strlen(path);

	if (length >= sizeof(address->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	memcpy(address->sun_path, path, length + 1);
	return 0;
}

static int fail(int fd)
{
	int code = errno;

	if (fd >= 0)
		close(fd);
	errno = code;
	return -1;
}

static int connect_to(const char *path, int type, int timeout_ms)
{
	struct timeval timeout = { .tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000 };
	struct sockaddr_un address;
	int fd;

	if (address_of(path, &address) < 0)
		return -1;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	/* connect(2) of a unix socket waits, as long as a send would, where the listener's queue is full. */
	if (timeout_ms && (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
			   setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0))
		return fail(fd);
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		if (errno != EINTR)
			return fail(fd);
	return fd;
}

int clinux_unix_connect(const char *path, int timeout_ms)
{
	return connect_to(path, SOCK_SEQPACKET, timeout_ms);
}

/* Through O_PATH: whoever may write the folder could put a link to another file there. */
int clinux_unix_set_mode(const char *path, mode_t mode)
{
	int node = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char link[32];
	struct stat status;
	int result = -1;

	if (node < 0)
		return -1;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", node);
	if (fstat(node, &status) == 0) {
		errno = EBADF;
		if (S_ISSOCK(status.st_mode))
			result = (status.st_mode & 07777) == mode ? 0 : chmod(link, mode);
	}
	return result < 0 ? fail(node) : close(node);
}

int clinux_unix_listen(const char *path, enum clinux_unix_type type, mode_t mode, int backlog)
{
	int kind = type == CLINUX_UNIX_STREAM ? SOCK_STREAM : SOCK_SEQPACKET;
	struct sockaddr_un address;
	struct stat status;
	int fd;

	if (address_of(path, &address) < 0)
		return -1;
	if (lstat(path, &status) == 0 && S_ISSOCK(status.st_mode)) {
		int probe = connect_to(path, kind, PROBE_MS);

		if (probe >= 0)
			close(probe);
		/* EAGAIN: its queue is full. EPROTOTYPE: it is of the other type. */
		if (probe >= 0 || errno == EAGAIN || errno == EPROTOTYPE) {
			errno = EADDRINUSE;
			return -1;
		}
		if (errno == ECONNREFUSED)
			unlink(path);
	}
	fd = socket(AF_UNIX, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	/*
	 * Not by umask(2), which is every thread's: bind(2) makes the file with the socket's mode & ~umask, and what the
	 * umask took is added while nobody can connect, before listen(2).
	 */
	if (fchmod(fd, mode) < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    clinux_unix_set_mode(path, mode) < 0 || listen(fd, backlog) < 0)
		return fail(fd);
	return fd;
}

int clinux_unix_accept(int listener)
{
	return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

int clinux_unix_peer(int fd, struct clinux_peer *out)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -1;
	*out = (struct clinux_peer){ .pid = peer.pid, .uid = peer.uid, .gid = peer.gid };
	return 0;
}
