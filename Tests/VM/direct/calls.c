/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls with nothing in between:
 *
 *	KIND SLOT			one of the kinds of `call` below
 *	accept SLOT NEW			waits for a connection
 *	send-to SLOT ADDRESS PORT, connect SLOT PORT, connect-unix SLOT PATH	IPv4, or a unix socket
 *	udp SLOT, tcp SLOT, unix SLOT, file SLOT PATH				plain ones
 *	setsockopt SLOT LEVEL NAME VALUE
 *	ioctl SLOT REQUEST		with a page of memory
 *	map SLOT read|write		"mapped BYTE"
 */
#define _GNU_SOURCE
#include "actor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "uring.h"

static _Thread_local _Alignas(4096) char page[4096];

static long asynchronous_read(int fd)
{
	struct iocb request = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (unsigned int)fd,
		.aio_buf = (unsigned long)page,
		.aio_nbytes = sizeof(page),
	};
	struct iocb *list = &request;
	struct io_event event = { .res = 0 };
	aio_context_t context = 0;
	long result;

	if (syscall(SYS_io_setup, 1, &context) != 0)
		return -1;
	result = syscall(SYS_io_submit, context, 1, &list);
	if (result == 1)
		result = syscall(SYS_io_getevents, context, 1, 1, &event, NULL) == 1 ? event.res : -1;
	if (result < -1) {
		errno = (int)-result;
		result = -1;
	}
	syscall(SYS_io_destroy, context);
	return result;
}

static long ring_request(int fd, unsigned char opcode)
{
	struct io_uring_sqe entry = {
		.opcode = opcode,
		.fd = fd,
		.addr = (unsigned long)page,
		.len = opcode == IORING_OP_READ ? sizeof(page) : 1,
		.msg_flags = opcode == IORING_OP_READ ? 0 : MSG_DONTWAIT,
	};
	long result = uring_once(&entry);

	if (result < 0) {
		errno = (int)-result;
		return -1;
	}
	return result;
}

long call(const char *kind, int fd)
{
	char byte = 'x';

	if (!strcmp(kind, "pread"))
		return pread(fd, page, sizeof(page), 0);
	if (!strcmp(kind, "pwrite"))
		return pwrite(fd, page, 512, 0);
	if (!strcmp(kind, "read"))
		return read(fd, page, sizeof(page));
	if (!strcmp(kind, "write"))
		return write(fd, &byte, 1);
	if (!strcmp(kind, "send"))
		return send(fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (!strcmp(kind, "recv"))
		return recv(fd, page, sizeof(page), MSG_DONTWAIT);
	if (!strcmp(kind, "recv-waiting"))
		return recv(fd, page, sizeof(page), 0);
	if (!strcmp(kind, "accept-waiting"))
		return accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (!strcmp(kind, "getsockname")) {
		socklen_t length = sizeof(page);

		return getsockname(fd, (struct sockaddr *)page, &length);
	}
	if (!strcmp(kind, "listen"))
		return listen(fd, 16);
	if (!strcmp(kind, "shutdown"))
		return shutdown(fd, SHUT_RDWR);
	if (!strcmp(kind, "fsync"))
		return fsync(fd);
	if (!strcmp(kind, "aio"))
		return asynchronous_read(fd);
	if (!strcmp(kind, "ring-read"))
		return ring_request(fd, IORING_OP_READ);
	if (!strcmp(kind, "ring-send"))
		return ring_request(fd, IORING_OP_SEND);
	errno = ENOSYS;
	return -1;
}

static int is_kind(const char *word)
{
	static const char *const kinds[] = {
		"pread",	"pwrite",      "read",	 "write",    "send",  "recv", "recv-waiting", "accept-waiting",
		"getsockname", "listen",      "shutdown", "fsync", "aio", "ring-read",    "ring-send",
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(kinds[i], word))
			return 1;
	return 0;
}

static struct sockaddr_in internet(const char *host, const char *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };

	inet_pton(AF_INET, host, &address.sin_addr);
	return address;
}

static long accept_into(int fd, const char *wanted)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };
	int connection;

	poll(&entry, 1, 3000);
	connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (connection >= 0)
		hold(wanted, connection);
	return connection < 0 ? -1 : 0;
}

static void hold_new(const char *wanted, int fd)
{
	if (fd >= 0)
		hold(wanted, fd);
	say_result(fd < 0 ? -1 : 0);
}

static void map(int fd, int writing)
{
	char *bytes = mmap(NULL, 4096, writing ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);

	if (bytes == MAP_FAILED) {
		say_result(-1);
		return;
	}
	say("mapped %d", bytes[0] != 0);
	munmap(bytes, 4096);
}

static long set_option(char **word)
{
	int value = atoi(word[4]);

	return setsockopt(slot(word[1]), atoi(word[2]), atoi(word[3]), &value, sizeof(value));
}

int handle_call(char **word)
{
	int fd = slot(word[1]);

	if (is_kind(word[0])) {
		say_result(call(word[0], fd));
	} else if (!strcmp(word[0], "accept")) {
		say_result(accept_into(fd, word[2]));
	} else if (!strcmp(word[0], "send-to")) {
		/* What a raw icmp socket sends: an echo request; of any other it is the data. */
		static const unsigned char echo[8] = { 8, 0, 0xf7, 0xff, 0, 0, 0, 0 };
		struct sockaddr_in address = internet(word[2], word[3]);

		say_result(sendto(fd, echo, sizeof(echo), MSG_DONTWAIT, (struct sockaddr *)&address, sizeof(address)));
	} else if (!strcmp(word[0], "connect")) {
		struct sockaddr_in address = internet("127.0.0.1", word[2]);

		say_result(connect(fd, (struct sockaddr *)&address, sizeof(address)));
	} else if (!strcmp(word[0], "connect-unix")) {
		struct sockaddr_un address = { .sun_family = AF_UNIX };

		strncpy(address.sun_path, word[2], sizeof(address.sun_path) - 1);
		say_result(connect(fd, (struct sockaddr *)&address, sizeof(address)));
	} else if (!strcmp(word[0], "udp")) {
		hold_new(word[1], socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	} else if (!strcmp(word[0], "tcp")) {
		hold_new(word[1], socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	} else if (!strcmp(word[0], "unix")) {
		hold_new(word[1], socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	} else if (!strcmp(word[0], "file")) {
		hold_new(word[1], open(word[2], O_RDWR | O_CLOEXEC | O_NOCTTY));
	} else if (!strcmp(word[0], "setsockopt")) {
		say_result(set_option(word));
	} else if (!strcmp(word[0], "ioctl")) {
		say_result(ioctl(fd, strtoul(word[2], NULL, 0), page));
	} else if (!strcmp(word[0], "map")) {
		map(fd, !strcmp(word[2], "write"));
	} else {
		return 0;
	}
	return 1;
}
