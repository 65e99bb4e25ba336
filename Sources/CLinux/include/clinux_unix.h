/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLINUX_UNIX_H
#define CLINUX_UNIX_H

#include <stdint.h>
#include <sys/types.h>

struct clinux_peer {
	int32_t pid;
	uint32_t uid;
	uint32_t gid;
};

/* SO_PEERCRED (unix(7)); -1 with errno. */
int clinux_unix_peer(int fd, struct clinux_peer *out);

enum clinux_unix_type {
	CLINUX_UNIX_MESSAGES, /* SOCK_SEQPACKET */
	CLINUX_UNIX_STREAM,
};

/*
 * A listener at path with the given file mode, non-blocking and close-on-exec. A socket that nobody
 * answers on is replaced, anything else at path is left alone. -1 with errno (EADDRINUSE: somebody answers).
 */
int clinux_unix_listen(const char *path, enum clinux_unix_type type, mode_t mode, int backlog);

/* Gives the socket at path (nothing else, no link) this mode; -1 with errno, EBADF for what is no socket. */
int clinux_unix_set_mode(const char *path, mode_t mode);

/*
 * A connection to path, blocking, close-on-exec; -1 with errno. Where timeout_ms is not 0 this and every later send and
 * receive fails with EAGAIN after so long.
 */
int clinux_unix_connect(const char *path, int timeout_ms);

/* The next connection, non-blocking and close-on-exec; -1 with errno. */
int clinux_unix_accept(int listener);

#endif
