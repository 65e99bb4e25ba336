/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libpostern: privileged objects for programs that are not privileged.
 *
 * A program opens an object by name and gets a descriptor. The broker (posternd) checks every operation on it, can take
 * it back at any moment, and records what it refuses. See libpostern(3).
 *
 * Results.     Calls return 0, a count or a descriptor, and a negative errno value (-EACCES) on failure. errno itself is
 *              not a result. After a failure postern_last_reason() tells whether it was a refusal, and its message.
 * Refusals.    -EKEYEXPIRED  this process is not associated with the object (after fork), or its time is over; it may
 *                            call postern_revalidate() and repeat. By default the library does so, once.
 *              -EKEYREJECTED refused for good: revalidation or open said no.
 *              -EKEYREVOKED  revoked.           -ESTALE  the object was replaced: open it again.
 *              -ENOENT       no such object, or none that this process may know of.
 *              -EACCES       the operation is not granted, or the verdict could not be found.
 *              -EPERM        an operand is outside the limits.
 *              -EBUSY        held exclusively by another process.    -EDQUOT  too many processes, requests or objects.
 * Any call.    -EBADF        not a descriptor from postern_open(), or closed.
 *              -EFAULT       a pointer is NULL that must not be.     -EINVAL  an argument is impossible.
 *              -ENOTCONN     the broker has gone away; whether the operation was carried out is not known.
 *              -EPROTO       the broker sent what makes no sense; the descriptor is of no further use.
 *              Anything else is what the object itself answered (-EIO, -ENXIO, -ENOSPC ...).
 * Paths.       The broker gives out a channel (mediated), or the object's own descriptor (direct) where the policy, the
 *              object and the kernel allow it; postern_path() tells which. The calls are the same. What differs on the
 *              path direct is said where it does; in short: each call is a plain system call that the kernel checks, so
 *              read(2), send(2) and the like on the descriptor do the same; the descriptor's readiness is the object's
 *              own; -EACCES, -EPERM and -ENOENT are refusals only where postern_last_reason() says so, since the object
 *              itself can answer so too; POSTERN_PAYLOAD bounds batches only.
 *              Path ring (only where the policy names it): the descriptor is an io_uring, and every call a request on it. Of a
 *              socket no options, of a disk's info what the device that stands for the range says. A udp
 *              socket that may send to one place only is connected to it: no address can be named. After a revoke calls fail
 *              with -EKEYREVOKED, or -EKEYEXPIRED where the expiry is past, also where the broker has ended.
 * Threads.     Every call may be made by any number of threads, on the same descriptor too.
 * fork(2).     A child may go on with the descriptors it inherited; its first call on one gets it a channel of its own
 *              (path direct: it keeps the descriptor) and asks the broker to associate it. A child never reads its
 *              parent's answers. Not for children of vfork(2) or a bare clone(2): they get -EKEYEXPIRED. Descriptors are
 *              close-on-exec.
 * Signals.     No call is async-signal-safe, and fork() must not be called from a handler that interrupted one.
 *              Waiting calls go on after a handler has returned.
 * poll(2).     A descriptor is readable when accept, receive or wait can succeed, when a submitted instruction has
 *              completed, or when the broker has taken something back. It can be readable for nothing: use O_NONBLOCK.
 *              Only these functions, poll, select, epoll, fcntl(F_GETFL, F_SETFL, F_GETFD, F_SETFD) and close are for
 *              it: read(2) and the like take from the library what it needs. A dup(2) of it is not known here.
 *              Path direct: it is readable and writable when the object is, and any system call may be made on it; one
 *              on a dup(2) is checked likewise. O_NONBLOCK belongs to the object's open file, which forked children share.
 */
#ifndef POSTERN_H
#define POSTERN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Operations: one bit each, to be or-ed. */
#define POSTERN_READ	  (UINT32_C(1) << 0)
#define POSTERN_WRITE	  (UINT32_C(1) << 1)
#define POSTERN_FLUSH	  (UINT32_C(1) << 2)
#define POSTERN_DISCARD	  (UINT32_C(1) << 3)
#define POSTERN_INFO	  (UINT32_C(1) << 4)
#define POSTERN_BIND	  (UINT32_C(1) << 5)
#define POSTERN_LISTEN	  (UINT32_C(1) << 6)
#define POSTERN_ACCEPT	  (UINT32_C(1) << 7)
#define POSTERN_CONNECT	  (UINT32_C(1) << 8)
#define POSTERN_SEND	  (UINT32_C(1) << 9)
#define POSTERN_RECEIVE	  (UINT32_C(1) << 10)
#define POSTERN_SHUTDOWN  (UINT32_C(1) << 11)
#define POSTERN_GETOPTION (UINT32_C(1) << 12)
#define POSTERN_SETOPTION (UINT32_C(1) << 13)
#define POSTERN_TRANSFER  (UINT32_C(1) << 14)
#define POSTERN_CONTROL	  (UINT32_C(1) << 15)
#define POSTERN_WAIT	  (UINT32_C(1) << 16)

/* Why something was refused. */
#define POSTERN_UNDECIDABLE    1
#define POSTERN_NO_SUCH_OBJECT 2
#define POSTERN_STALE	       3
#define POSTERN_REVOKED	       4
#define POSTERN_NOT_ASSOCIATED 5
#define POSTERN_EXPIRED	       6
#define POSTERN_OPERATION      7
#define POSTERN_LIMIT	       8
#define POSTERN_BUSY	       9
#define POSTERN_QUOTA	       10
#define POSTERN_REFUSED	       11

/* How operations travel: postern_path(). */
#define POSTERN_PATH_MEDIATED 0
#define POSTERN_PATH_RING     1
#define POSTERN_PATH_DIRECT   2
#define POSTERN_PATH_HANDOVER 3

/* The most bytes in one instruction, either way. Reads and writes of disks of any length are split by the library. */
#define POSTERN_PAYLOAD 65536

/* A connection to the broker. */
typedef struct postern postern;

/* ---- the broker ---- */

/*
 * Connects to the broker.
 *
 * socket_path: NULL for $POSTERN_SOCKET, else /run/postern/postern.sock for root and
 * $XDG_RUNTIME_DIR/postern/postern.sock for others. *out is the caller's, to be given to postern_disconnect();
 * NULL on failure. Errors: those of connect(2): -ENOENT and -ECONNREFUSED mean that no broker listens there.
 */
int postern_connect(const char *socket_path, postern **out);

/*
 * Ends a connection; NULL is allowed.
 *
 * No other thread may be using it, and it must not be used again. Descriptors that were opened through it stay open.
 */
void postern_disconnect(postern *connection);

/*
 * Whether a call that fails with -EKEYEXPIRED revalidates by itself and is repeated once. On by default.
 *
 * Holds for every descriptor of this connection, those that are open too.
 */
void postern_set_automatic_revalidation(postern *connection, int on);

/*
 * This thread's last failure: a POSTERN_ reason, or 0 if it was no refusal.
 *
 * message (may be NULL) gets what the policy says to the user, cut to capacity - 1 bytes, always ended by a zero byte
 * where capacity > 0; empty where it says nothing. Calls that succeed change nothing.
 */
int postern_last_reason(char *message, size_t capacity);

/* The word for a reason ("not-associated"); "unknown" for other numbers. Static, async-signal-safe. */
const char *postern_reason_name(int reason);

/* ---- descriptors ---- */

/*
 * Opens an object and returns a descriptor for it, close-on-exec.
 *
 * operations: what is needed, or 0 for all that the grant covers. The descriptor is the caller's, to be given to
 * postern_close(). Errors: refusals; -EMFILE.
 */
int postern_open(postern *connection, const char *object, uint32_t operations);

/*
 * Closes a descriptor from postern_open(). The association ends with the last descriptor.
 *
 * Path direct: the broker is told afterwards, which takes a fraction of a second where it does not answer. It cannot see
 * a plain close(2): the association then ends with the process.
 * Calls of other threads that are waiting go on waiting, as with close(2). A plain close(2) is allowed too, but keeps
 * some memory until the number is given out again.
 */
int postern_close(int fd);

/*
 * Asks for an association again, by hand: in a forked child, or after expiry.
 *
 * Errors: -EKEYREJECTED: the second error; the policy's words are in postern_last_reason().
 */
int postern_revalidate(int fd);

/*
 * The path that the descriptor has, a POSTERN_PATH_ value: POSTERN_PATH_MEDIATED, POSTERN_PATH_DIRECT or POSTERN_PATH_RING.
 *
 * On the path direct it is the object's own descriptor: plain system calls on it do what these functions do, and the
 * kernel checks both alike.
 */
int postern_path(int fd);

/* ---- disks and buses ---- */

/*
 * Reads size bytes at offset of the object's range; fewer at its end, 0 beyond it.
 *
 * Disks: any size. Buses: at most POSTERN_PAYLOAD, else -EMSGSIZE. After an error the buffer's contents are not defined.
 * Path direct: of a bus one read(2), which waits as O_NONBLOCK says.
 */
ssize_t postern_read(int fd, void *buffer, size_t size, off_t offset);

/*
 * Writes size bytes at offset of the object's range.
 *
 * What goes beyond the range's end is refused (-EPERM). More than POSTERN_PAYLOAD bytes (disks only, else -EMSGSIZE)
 * are written piece by piece: where one fails, the count of the bytes before it is returned, and the next call fails.
 * Path direct: a write that crosses a disk's end is refused as a whole; on a line it waits as O_NONBLOCK says.
 */
ssize_t postern_write(int fd, const void *buffer, size_t size, off_t offset);

/* Has what was written reach the medium. Path direct: fsync(2), which the kernel does not check. */
int postern_flush(int fd);

/* Tells a disk that length bytes from offset are not needed any more. */
int postern_discard(int fd, off_t offset, off_t length);

/* What a disk says of itself, cut to size: 32 bytes, little-endian, laid out as libpostern(3) says. Returns their number. */
ssize_t postern_info(int fd, void *buffer, size_t size);

/*
 * One bus transaction: writes out_len bytes, then reads in_len bytes. Returns how many were read.
 *
 * Each at most POSTERN_PAYLOAD, else -EMSGSIZE. The two may overlap. Path direct: -EOPNOTSUPP, and no object that knows
 * it is given out so.
 */
ssize_t postern_transfer(int fd, const void *out, size_t out_len, void *in, size_t in_len);

/*
 * A device request of the object's allow-list (ioctl(2)); argument has size bytes, as many as the request has, which are
 * read and written as it says.
 *
 * For USBDEVFS_CONTROL and USBDEVFS_BULK, whose structures have pointers, see libpostern(3).
 */
int postern_control(int fd, unsigned long request, void *argument, size_t size);

/*
 * Waits for the object's next event (a GPIO edge) and stores at most size bytes of it. With O_NONBLOCK: -EAGAIN.
 *
 * Path direct: poll(2) for something to read, which the kernel does not check; stores nothing and returns 0.
 */
ssize_t postern_wait(int fd, void *event, size_t size);

/* ---- sockets ---- */

/* Binds the socket to the address of its definition; it is bound since it was opened, so this checks the grant only. */
int postern_bind(int fd);

/* Starts listening. */
int postern_listen(int fd, int backlog);

/*
 * Accepts a connection and returns it: an ordinary descriptor, the caller's, for read(2), write(2) and close(2).
 *
 * flags: SOCK_NONBLOCK, SOCK_CLOEXEC. address and length as in accept(2); both NULL, or neither (*length is 0 on return
 * where the peer has no address). With O_NONBLOCK on fd: -EAGAIN instead of waiting. -EMFILE: the connection is lost.
 */
int postern_accept(int fd, struct sockaddr *address, socklen_t *length, int flags);

/* Connects a datagram or raw socket to an address within the limits. IPv4 and IPv6. */
int postern_connect_to(int fd, const struct sockaddr *address, socklen_t length);

/*
 * Sends one datagram; address NULL for the connected peer.
 *
 * flags: MSG_DONTWAIT (as O_NONBLOCK: -EAGAIN), MSG_NOSIGNAL (always so). Others: -EOPNOTSUPP.
 */
ssize_t postern_send(int fd, const void *buffer, size_t size, int flags, const struct sockaddr *address,
		     socklen_t length);

/*
 * Receives one datagram; what does not fit is lost.
 *
 * flags: MSG_DONTWAIT (as O_NONBLOCK: -EAGAIN), MSG_TRUNC (return the whole datagram's length). Others: -EOPNOTSUPP.
 * address and length: as in postern_accept().
 */
ssize_t postern_receive(int fd, void *buffer, size_t size, int flags, struct sockaddr *address, socklen_t *length);

/* shutdown(2). */
int postern_shutdown(int fd, int how);

/* getsockopt(2) and setsockopt(2), for the options that the grant names. */
int postern_getsockopt(int fd, int level, int name, void *value, socklen_t *length);
int postern_setsockopt(int fd, int level, int name, const void *value, socklen_t length);

/* ---- a ring of one's own ---- */

/*
 * On the path ring (postern_path() says POSTERN_PATH_RING) the functions above work as on others; fd is the library's own ring.
 * These put an object into a ring that the application made, for liburing or its own code:
 *
 *   1. make it with IORING_SETUP_R_DISABLED, without IORING_SETUP_SQPOLL and IORING_SETUP_SINGLE_ISSUER, and register its buffers;
 *   2. postern_ring_open(): the broker restricts it, enables it, and puts the object into the slot;
 *   3. every request, also NOP, timeouts and cancellations, carries IOSQE_FIXED_FILE, with fd = slot where it is about the object.
 *
 * Requests that are not granted complete with -EACCES; after a revoke, expiry or the broker's end new ones with -EBADF, those
 * under way with -ECANCELED or, where the socket was shut down first, as that says: a receive 0, an accept -EINVAL, a send -EPIPE.
 * After fork(2) a child must not use the ring (madvise(2) MADV_DONTFORK keeps it from it): it makes one of its own and calls
 * postern_ring_revalidate().
 */
struct postern_ring {
	uint64_t association; /* for postern_ring_close() */
	uint64_t opcodes;     /* bit N: IORING_OP number N is granted */
	uint64_t length;      /* bytes of the object's range; 0: it has none */
	uint64_t expiry;      /* CLOCK_BOOTTIME, nanoseconds; 0: never */
	uint64_t ring;        /* the broker's number of the ring, for postern_ring_close() */
	uint32_t operations;  /* POSTERN_ bits */
	uint32_t slot;
};

/* The ring stays the caller's; one that was refused is of no use any more. Errors: refusals; -EINVAL. */
int postern_ring_open(postern *connection, const char *object, uint32_t operations, int ring, struct postern_ring *out);
/* In a forked child: the same for an object that an ancestor holds, with the ancestor's operations. */
int postern_ring_revalidate(postern *connection, const char *object, int ring, struct postern_ring *out);
/* Gives this ring up, and with the last one of the object the association; before or after the ring is closed. */
int postern_ring_close(postern *connection, const struct postern_ring *ring);

/* ---- without waiting ---- */

/* Complete with -EAGAIN rather than wait for the object. */
#define POSTERN_NONBLOCK 1u

struct postern_instruction {
	uint32_t operation;		/* one POSTERN_ bit */
	uint32_t flags;			/* 0 or POSTERN_NONBLOCK */
	uint64_t user_data;		/* comes back with the completion */
	uint64_t offset;		/* read, write, discard */
	const void *out;		/* bytes to write or send; copied by postern_submit() */
	size_t out_length;		/* discard: how many bytes */
	void *in;			/* where what is read goes: must stay valid until the completion is collected */
	size_t in_length;
	uint32_t request;		/* control: the request; listen: backlog; shutdown: how */
	socklen_t address_length;	/* 0 for none */
	const struct sockaddr *address; /* connect, send; copied */
};

struct postern_completion {
	uint64_t user_data;
	int64_t result; /* as of the call of that name; accept: the descriptor, close-on-exec; negative: -errno */
	int32_t reason; /* a POSTERN_ reason, or 0 */
	socklen_t address_length;
	struct sockaddr_storage address; /* of the sender or the accepted peer */
};

/*
 * Sends instructions in batches, without waiting for any of them.
 *
 * Returns how many were taken, from the first on; fewer than count where a later one is malformed or where completions
 * must be collected first, 0 where not even one fits. Errors: the first one's. The instructions themselves may be reused on
 * return. What completes with -EKEYEXPIRED is not repeated: call postern_revalidate() and submit it again.
 *
 * Path direct: each is carried out before the call returns, and waits as O_NONBLOCK or POSTERN_NONBLOCK says; at most 1,024
 * completions wait to be collected.
 */
int postern_submit(int fd, const struct postern_instruction *instructions, unsigned count);

/*
 * Collects what has completed, in no particular order, and without waiting: fd is readable when there is something. Path
 * direct: in order, and fd says nothing of it.
 *
 * Returns how many entries were filled, 0 where there is nothing.
 */
int postern_complete(int fd, struct postern_completion *completions, unsigned capacity);

#ifdef __cplusplus
}
#endif

#endif
