/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "clinux_socket.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct socket_request {
	int namespace;
	int family;
	int type;
	int protocol;
	int result;
	int error;
};

static void *make_socket_elsewhere(void *argument)
{
	struct socket_request *request = argument;

	request->result = setns(request->namespace, CLONE_NEWNET);
	if (request->result == 0)
		request->result = socket(request->family, request->type, request->protocol);
	request->error = errno;
	return NULL;
}

int clinux_socket(const char *namespace_path, int family, int type, int protocol)
{
	struct socket_request request = {
		.family = family,
		.type = type | SOCK_CLOEXEC | SOCK_NONBLOCK,
		.protocol = protocol,
	};
	sigset_t all, before;
	pthread_t thread;
	int error;

	if (!namespace_path)
		return socket(request.family, request.type, request.protocol);

	request.namespace = open(namespace_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (request.namespace < 0)
		return -1;
	/* The thread must take no signal that is meant for the caller's threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, NULL, make_socket_elsewhere, &request);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error == 0) {
		pthread_join(thread, NULL);
		error = request.result < 0 ? request.error : 0;
	}
	close(request.namespace);
	if (error) {
		errno = error;
		return -1;
	}
	return request.result;
}

union any_address {
	struct sockaddr generic;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;
	struct sockaddr_ll packet;
	struct sockaddr_storage storage;
};

static socklen_t to_socket_address(const struct clinux_address *from, union any_address *to)
{
	uint64_t words[2] = { htobe64(from->high), htobe64(from->low) };

	memset(to, 0, sizeof(*to));
	if (from->family == AF_INET) {
		to->v4.sin_family = AF_INET;
		to->v4.sin_port = htons(from->port);
		memcpy(&to->v4.sin_addr, words, sizeof(to->v4.sin_addr));
		return sizeof(to->v4);
	}
	if (from->family == AF_INET6) {
		to->v6.sin6_family = AF_INET6;
		to->v6.sin6_port = htons(from->port);
		memcpy(&to->v6.sin6_addr, words, sizeof(to->v6.sin6_addr));
		return sizeof(to->v6);
	}
	return 0;
}

static void from_socket_address(const union any_address *from, socklen_t length, struct clinux_address *to)
{
	uint64_t words[2] = { 0, 0 };

	memset(to, 0, sizeof(*to));
	if (length >= sizeof(from->v4) && from->generic.sa_family == AF_INET) {
		to->port = ntohs(from->v4.sin_port);
		memcpy(words, &from->v4.sin_addr, sizeof(from->v4.sin_addr));
	} else if (length >= sizeof(from->v6) && from->generic.sa_family == AF_INET6) {
		to->port = ntohs(from->v6.sin6_port);
		memcpy(words, &from->v6.sin6_addr, sizeof(from->v6.sin6_addr));
	} else {
		return;
	}
	to->family = from->generic.sa_family;
	to->high = be64toh(words[0]);
	to->low = be64toh(words[1]);
}

unsigned int clinux_socket_address(const struct clinux_address *from, struct sockaddr_storage *to)
{
	union any_address raw;
	socklen_t length = to_socket_address(from, &raw);

	memcpy(to, &raw.storage, sizeof(*to));
	return length;
}

void clinux_flat_address(const struct sockaddr_storage *from, unsigned int size, struct clinux_address *to)
{
	union any_address raw;

	memcpy(&raw.storage, from, sizeof(*from));
	from_socket_address(&raw, size, to);
}

/* A path of exactly the array's size is legal without its NUL (unix(7)), but no tool could name it: refused. */
static int to_unix_address(const char *path, union any_address *to)
{
	size_t length = strlen(path);

	memset(to, 0, sizeof(*to));
	if (length >= sizeof(to->local.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	to->local.sun_family = AF_UNIX;
	memcpy(to->local.sun_path, path, length);
	return 0;
}

int clinux_socket_bind_address(int fd, const struct clinux_address *address)
{
	union any_address raw;
	socklen_t length = to_socket_address(address, &raw);

	return bind(fd, &raw.generic, length);
}

int clinux_socket_bind_unix(int fd, const char *path)
{
	union any_address raw;

	if (to_unix_address(path, &raw))
		return -1;
	return bind(fd, &raw.generic, sizeof(raw.local));
}

int clinux_socket_connect_unix(int fd, const char *path)
{
	union any_address raw;

	if (to_unix_address(path, &raw))
		return -1;
	return connect(fd, &raw.generic, sizeof(raw.local));
}

int clinux_socket_bind_packet(int fd, int interface_index, uint16_t protocol)
{
	union any_address raw;

	memset(&raw, 0, sizeof(raw));
	raw.packet.sll_family = AF_PACKET;
	raw.packet.sll_protocol = htons(protocol);
	raw.packet.sll_ifindex = interface_index;
	return bind(fd, &raw.generic, sizeof(raw.packet));
}

int clinux_socket_interface_index(int fd, const char *name)
{
	struct ifreq request;
	size_t length = strlen(name);

	if (length == 0 || length >= sizeof(request.ifr_name)) {
		errno = ENODEV;
		return -1;
	}
	memset(&request, 0, sizeof(request));
	memcpy(request.ifr_name, name, length);
	if (ioctl(fd, SIOCGIFINDEX, &request))
		return -1;
	return request.ifr_ifindex;
}

int clinux_socket_connect_address(int fd, const struct clinux_address *address)
{
	union any_address raw;
	socklen_t length = to_socket_address(address, &raw);

	return connect(fd, &raw.generic, length);
}

int clinux_socket_local_address(int fd, struct clinux_address *address)
{
	union any_address raw;
	socklen_t length = sizeof(raw);

	memset(&raw, 0, sizeof(raw));
	if (getsockname(fd, &raw.generic, &length))
		return -1;
	from_socket_address(&raw, length, address);
	return 0;
}

int clinux_socket_accept(int fd, struct clinux_address *address)
{
	union any_address raw;
	socklen_t length = sizeof(raw);
	int connection;

	memset(&raw, 0, sizeof(raw));
	connection = accept4(fd, &raw.generic, &length, SOCK_CLOEXEC);
	if (connection >= 0)
		from_socket_address(&raw, length, address);
	return connection;
}

ssize_t clinux_socket_send(int fd, const void *bytes, size_t count, int flags, const struct clinux_address *address)
{
	union any_address raw;
	socklen_t length = address ? to_socket_address(address, &raw) : 0;

	return sendto(fd, bytes, count, flags | MSG_NOSIGNAL, length ? &raw.generic : NULL, length);
}

ssize_t clinux_socket_receive(int fd, void *bytes, size_t capacity, int flags, struct clinux_address *address)
{
	union any_address raw;
	socklen_t length = sizeof(raw);
	ssize_t count;

	memset(&raw, 0, sizeof(raw));
	count = recvfrom(fd, bytes, capacity, flags, &raw.generic, &length);
	if (count >= 0)
		from_socket_address(&raw, length, address);
	return count;
}

/* Since 5.14; the header's value on every architecture that this project runs on (asm-generic/socket.h). */
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static int number_option(int fd, int name, void *value, socklen_t size)
{
	socklen_t length = size;

	if (getsockopt(fd, SOL_SOCKET, name, value, &length))
		return -1;
	if (length != size) {
		errno = EINVAL;
		return -1;
	}
	return 0;
}

int clinux_socket_kind(int fd, struct clinux_socket_facts *facts)
{
	return number_option(fd, SO_DOMAIN, &facts->domain, sizeof(facts->domain)) ||
	       number_option(fd, SO_TYPE, &facts->type, sizeof(facts->type)) ||
	       number_option(fd, SO_PROTOCOL, &facts->protocol, sizeof(facts->protocol)) ||
	       number_option(fd, SO_NETNS_COOKIE, &facts->network, sizeof(facts->network)) ? -1 : 0;
}

int clinux_socket_facts(int fd, struct clinux_socket_facts *facts)
{
	union any_address raw;
	socklen_t length = sizeof(raw);

	memset(facts, 0, sizeof(*facts));
	memset(&raw, 0, sizeof(raw));
	if (clinux_socket_kind(fd, facts) ||
	    number_option(fd, SO_ACCEPTCONN, &facts->listening, sizeof(facts->listening)) ||
	    number_option(fd, SO_LOCK_FILTER, &facts->filter_locked, sizeof(facts->filter_locked)) ||
	    number_option(fd, SO_COOKIE, &facts->cookie, sizeof(facts->cookie)) || getsockname(fd, &raw.generic, &length))
		return -1;
	facts->local_family = length >= sizeof(raw.generic.sa_family) ? raw.generic.sa_family : AF_UNSPEC;
	from_socket_address(&raw, length, &facts->local);
	if (facts->local_family == AF_PACKET) {
		facts->interface_index = raw.packet.sll_ifindex;
		facts->packet_protocol = ntohs(raw.packet.sll_protocol);
	} else if (facts->local_family == AF_UNIX && length > offsetof(struct sockaddr_un, sun_path)) {
		length -= offsetof(struct sockaddr_un, sun_path);
		if (length > sizeof(facts->path))
			length = sizeof(facts->path);
		/* A path is followed by its NUL; an abstract name begins with one and has its length. */
		if (raw.local.sun_path[0])
			length = strnlen(raw.local.sun_path, length);
		memcpy(facts->path, raw.local.sun_path, length);
		facts->path_length = (uint16_t)length;
	}
	return 0;
}

/* BPF_RET|BPF_K 0: accept no byte of any packet. */
static const struct sock_filter nothing = { .code = BPF_RET | BPF_K, .k = 0 };

/* SO_GET_FILTER counts instructions; EINVAL: there are more than one. */
static int drops_everything(int fd)
{
	struct sock_filter filter;
	socklen_t count = 1;

	return !getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, &filter, &count) && count == 1 &&
	       filter.code == nothing.code && filter.k == nothing.k;
}

/* More than any socket's queue holds. */
#define DRAIN_AT_MOST (1 << 20)

/* What was queued before goes to nobody. */
static int drain(int fd)
{
	int listening = 0, domain = 0, type = 0;
	char byte;

	if (number_option(fd, SO_ACCEPTCONN, &listening, sizeof(listening)) ||
	    number_option(fd, SO_DOMAIN, &domain, sizeof(domain)) || number_option(fd, SO_TYPE, &type, sizeof(type)))
		return -1;
	for (int count = 0; count < DRAIN_AT_MOST; count++) {
		/* A unix listener that was shut down has no more to wait for, and a tcp one has lost its queue by that. */
		if (listening && domain == AF_UNIX) {
			int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

			if (connection >= 0)
				close(connection);
			else if (errno == EINVAL || errno == EAGAIN)
				return 0;
		} else if (type == SOCK_DGRAM || type == SOCK_RAW || type == SOCK_PACKET) {
			if (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT | MSG_TRUNC) < 0 && errno == EAGAIN)
				return 0;
		} else {
			return 0;
		}
	}
	errno = EBUSY;
	return -1;
}

int clinux_socket_recall(int fd)
{
	struct sock_fprog program = { .len = 1, .filter = (struct sock_filter *)&nothing };
	int on = 1, locked = 0, error = 0;

	/* The filter first: a holder that listens again right after the shutdown must find it. */
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ||
	    setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on))) {
		error = errno;
		/* It was recalled before, under another holder's name. */
		if (error == EPERM && drops_everything(fd) && !number_option(fd, SO_LOCK_FILTER, &locked, sizeof(locked)) && locked)
			error = 0;
	}
	/* ENOTCONN: there was nothing to end. EOPNOTSUPP: packet(7) has no shutdown. */
	if (shutdown(fd, SHUT_RDWR) && errno != ENOTCONN && errno != EOPNOTSUPP && !error)
		error = errno;
	if (error) {
		errno = error;
		return -1;
	}
	return drain(fd);
}
