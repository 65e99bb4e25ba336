/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "clinux_socket.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/xattr.h>

ssize_t clinux_socket_protocol_name(int fd, char *name, size_t size)
{
	return fgetxattr(fd, "system.sockprotoname", name, size);
}

int clinux_socket_bind_again(int fd)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);

	memset(&address, 0, sizeof(address));
	if (getsockname(fd, (struct sockaddr *)&address, &length))
		return -1;
	if (address.ss_family == AF_UNIX) {
		if (length <= offsetof(struct sockaddr_un, sun_path)) {
			errno = ENOTCONN;
			return -1;
		}
		/* The path would be created anew first. One byte is no address, which is found after the check. */
		length = 1;
	}
	if (!bind(fd, (struct sockaddr *)&address, length))
		return 0;
	/* The check comes first (__sys_bind in net/socket.c), then the protocol sees that it is bound. */
	return errno == EINVAL || errno == EADDRINUSE ? 0 : -1;
}
