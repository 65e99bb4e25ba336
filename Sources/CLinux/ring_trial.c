/* SPDX-License-Identifier: Apache-2.0 */
/* For trying the path ring: a process that has a ring, and is not the broker. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ring.h"

static void close_between(int after, int before)
{
	if (after + 1 < before)
		syscall(SYS_close_range, after + 1, before - 1, 0);
}

pid_t clinux_ring_stand_in(int ring, int socket)
{
	/* Without the handlers of pthread_atfork(3), one of which would put something else in the ring's place. */
	pid_t child = _Fork();
	char byte;

	if (child != 0)
		return child < 0 ? -errno : child;
	/* Nothing but system calls: it is the child of a process with threads. */
	close_between(-1, ring < socket ? ring : socket);
	close_between(ring < socket ? ring : socket, ring < socket ? socket : ring);
	syscall(SYS_close_range, (ring < socket ? socket : ring) + 1, ~0u, 0);
	while (read(socket, &byte, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}
