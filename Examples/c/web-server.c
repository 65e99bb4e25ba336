/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small web server on a port that it may not bind itself.
 *
 * usage: web-server [OBJECT]        an object of kind socket, listen: "tcp://..."; default "web"
 *
 * It needs a grant for bind, listen and accept on that object, no capability and no root. The connections that it
 * accepts are ordinary descriptors.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <postern.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char page[] = "<!doctype html><title>Postern</title><p>Served by process %ld, which may not bind this port.\n";

static int fail(const char *what, int error)
{
	char message[512];
	int reason = postern_last_reason(message, sizeof(message));

	fprintf(stderr, "web-server: %s: %s", what, strerror(-error));
	if (reason)
		fprintf(stderr, ": %s%s%s", postern_reason_name(reason), *message ? ": " : "", message);
	fputc('\n', stderr);
	return 1;
}

static void answer(int connection, const struct sockaddr *peer, socklen_t length)
{
	struct timeval patience = { .tv_sec = 5 };
	char request[4096], body[256], head[256], host[64] = "?";
	size_t got = 0;
	int size;

	setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	for (;;) {
		ssize_t more = read(connection, request + got, sizeof(request) - 1 - got);

		if (more <= 0)
			return;
		got += (size_t)more;
		request[got] = 0;
		if (strstr(request, "\r\n\r\n"))
			break;
		if (got == sizeof(request) - 1)
			return;
	}
	if (length > 0)
		getnameinfo(peer, length, host, sizeof(host), NULL, 0, NI_NUMERICHOST);
	request[strcspn(request, "\r\n")] = 0;
	printf("%s %s\n", host, request);
	if (strncmp(request, "GET ", 4) != 0) {
		static const char refused[] = "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\nContent-Length: 0\r\n"
					      "Connection: close\r\n\r\n";

		send(connection, refused, sizeof(refused) - 1, MSG_NOSIGNAL);
		return;
	}
	size = snprintf(body, sizeof(body), page, (long)getpid());
	snprintf(head, sizeof(head),
		 "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", size);
	if (send(connection, head, strlen(head), MSG_NOSIGNAL | MSG_MORE) > 0)
		send(connection, body, (size_t)size, MSG_NOSIGNAL);
}

int main(int argc, char **argv)
{
	const char *object = argc > 1 ? argv[1] : "web";
	struct pollfd entry;
	postern *broker;
	int listener, result;

	setvbuf(stdout, NULL, _IOLBF, 0);
	result = postern_connect(NULL, &broker);
	if (result < 0)
		return fail("the broker", result);
	listener = postern_open(broker, object, POSTERN_BIND | POSTERN_LISTEN | POSTERN_ACCEPT);
	if (listener < 0)
		return fail(object, listener);
	result = postern_bind(listener);
	if (result == 0)
		result = postern_listen(listener, 64);
	if (result < 0)
		return fail(object, result);
	/* Readable can turn out to be nothing (the client left again): then accept must not wait. */
	if (fcntl(listener, F_SETFL, O_NONBLOCK) < 0)
		return fail("fcntl", -errno);
	printf("web-server: serving %s\n", object);

	entry = (struct pollfd){ .fd = listener, .events = POLLIN };
	for (;;) {
		struct sockaddr_storage peer;
		socklen_t length = sizeof(peer);
		int connection;

		/* Other descriptors of a real program would stand beside it. */
		if (poll(&entry, 1, -1) < 0 && errno != EINTR)
			return fail("poll", -errno);
		connection = postern_accept(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
		if (connection == -EAGAIN)
			continue;
		if (connection < 0)
			return fail(object, connection);
		answer(connection, (struct sockaddr *)&peer, length);
		close(connection);
	}
}
