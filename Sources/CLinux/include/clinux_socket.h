/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets, files and block devices: what Swift cannot import, with addresses in one flat form. */
#ifndef CLINUX_SOCKET_H
#define CLINUX_SOCKET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* An IPv4 or IPv6 address. family 0 means none. high and low are its bytes as big-endian numbers; IPv4 is the upper half of high. */
struct clinux_address {
	uint64_t high;
	uint64_t low;
	uint16_t family;
	uint16_t port; /* host order */
};

/* What fstat(2) says of a file, in numbers that do not depend on the C library. */
struct clinux_file_status {
	uint64_t device;
	uint64_t inode;
	uint64_t links;
	uint64_t special_device; /* of a block or character device */
	uint64_t size;
	uint32_t mode;
	uint32_t block_size;
};

/* What a block device says of itself. */
struct clinux_block_geometry {
	uint64_t size;	   /* bytes */
	uint64_t sequence; /* of the medium, 0 where the kernel does not count (before 5.15) */
	uint32_t logical_block;
	uint32_t physical_block;
	uint32_t read_only;
	uint32_t rotational;
};

/* What a socket says of itself, whoever made it. */
struct clinux_socket_facts {
	int32_t domain;
	int32_t type;
	int32_t protocol;
	int32_t listening;
	int32_t filter_locked;
	int32_t local_family;
	uint64_t network; /* SO_NETNS_COOKIE, since 5.14 */
	uint64_t cookie;
	struct clinux_address local; /* AF_INET, AF_INET6 */
	int32_t interface_index;     /* AF_PACKET */
	uint16_t packet_protocol;    /* AF_PACKET, host order */
	uint16_t path_length;	     /* AF_UNIX */
	uint8_t path[108];
};

struct sockaddr_storage;

/* The kernel's form of an address, and back; the size is 0, and the family, where there is none. */
unsigned int clinux_socket_address(const struct clinux_address *from, struct sockaddr_storage *to);
void clinux_flat_address(const struct sockaddr_storage *from, unsigned int size, struct clinux_address *to);

/* All others: the system call's result, or -1 and errno. Descriptors that they return are close-on-exec. */

/*
 * socket(2), non-blocking; namespace_path is a network namespace's file or NULL.
 * setns(2) switches a thread, so the call is made on a thread of its own that ends
 * before this returns: no thread of the caller's is ever in another namespace.
 */
int clinux_socket(const char *namespace_path, int family, int type, int protocol);
int clinux_socket_bind_address(int fd, const struct clinux_address *address);
int clinux_socket_bind_unix(int fd, const char *path);
int clinux_socket_connect_unix(int fd, const char *path);
/* protocol in host order; 0: receives nothing. */
int clinux_socket_bind_packet(int fd, int interface_index, uint16_t protocol);
/* The interface's index in the network namespace of the socket fd. */
int clinux_socket_interface_index(int fd, const char *name);
int clinux_socket_connect_address(int fd, const struct clinux_address *address);
int clinux_socket_local_address(int fd, struct clinux_address *address);
/* The accepted connection is blocking, as accept(2) gives it. */
int clinux_socket_accept(int fd, struct clinux_address *address);
/* Never raises SIGPIPE. */
ssize_t clinux_socket_send(int fd, const void *bytes, size_t count, int flags, const struct clinux_address *address);
ssize_t clinux_socket_receive(int fd, void *bytes, size_t capacity, int flags, struct clinux_address *address);

/* ENOTSOCK for anything that is no socket. */
int clinux_socket_kind(int fd, struct clinux_socket_facts *facts);
int clinux_socket_facts(int fd, struct clinux_socket_facts *facts);
/*
 * Ends receiving and connecting for everybody who holds the socket, for good: a filter that drops everything, locked,
 * then shutdown(2), and what was queued before is thrown away. Filter and shutdown are done, whichever fails; where they
 * were done before it succeeds again. EPERM: a holder has locked a filter of its own before, or we have no CAP_NET_ADMIN
 * for a TCP socket (net/core/sock.c of 2026).
 */
int clinux_socket_recall(int fd);

/* Any file, without opening it for use; O_PATH. */
int clinux_file_pin(const char *path, int follow);
/* Opens for use what the O_PATH descriptor fd stands for. */
int clinux_file_reopen(int fd, int flags);
/* Whether fd lies on a file system that stands for the kernel itself: 1, 0, or -1 with errno. */
int clinux_file_is_kernels(int fd);
/* Device and inode of any descriptor, from what the kernel has: no file system's server is asked (statx(2)). */
int clinux_cached_identity(int fd, uint64_t *device, uint64_t *inode);
int clinux_file_status(int fd, struct clinux_file_status *status);
/* preadv2(2) with RWF_NOWAIT: fails with EAGAIN where it would have to wait for the device. */
ssize_t clinux_file_read_cached(int fd, void *bytes, size_t count, off_t offset);
int clinux_file_punch_hole(int fd, off_t offset, off_t length);

int clinux_block_geometry(int fd, struct clinux_block_geometry *geometry);
int clinux_block_discard(int fd, uint64_t offset, uint64_t length);

/*
 * What the kernel calls a socket's protocol ("TCP", "UDPv6", "UNIX-STREAM"), with its NUL: the bytes stored, or -1.
 * Unlike SO_TYPE it asks no security hook of a socket's, so it is told whatever may be done with the socket.
 */
ssize_t clinux_socket_protocol_name(int fd, char *name, size_t size);
/*
 * bind(2) on a socket that is bound already: 0 where the kernel would have allowed it, and nothing was changed. ENOTCONN
 * where it is not bound.
 */
int clinux_socket_bind_again(int fd);

#endif
