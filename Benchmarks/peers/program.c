/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that is started and ends. With a port it wants a socket by LISTEN_FDS that listens there, as sd_listen_fds(3)
 * and sd_is_socket_inet(3) look at it.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int count, char **arguments)
{
	const char *pid = getenv("LISTEN_PID"), *number = getenv("LISTEN_FDS");
	struct sockaddr_in name;
	socklen_t size = sizeof(name);
	int listening = 0;
	socklen_t option = sizeof(listening);

	if (count < 2)
		return 0;
	if (!pid || !number || atoi(pid) != (int)getpid() || atoi(number) != 1)
		return 2;
	if (getsockopt(3, SOL_SOCKET, SO_ACCEPTCONN, &listening, &option) || !listening)
		return 3;
	if (getsockname(3, (struct sockaddr *)&name, &size) || name.sin_family != AF_INET ||
	    name.sin_port != htons((in_port_t)atoi(arguments[1])))
		return 4;
	return 0;
}
