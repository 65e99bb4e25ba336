/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "ring.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/time_types.h>
#include <netinet/in.h>
#include <endian.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct clinux_ring {
	int number;
	int is_inherited;   /* a forked child: `number` is a socket in its place */
	uint64_t cookie;    /* of that socket; 0: there is none */
	unsigned int *sq_head, *sq_tail, *sq_mask, *sq_entries, *sq_array;
	unsigned int *cq_head, *cq_tail, *cq_mask, *sq_flags;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	void *queues;
	size_t queues_size, sqes_size;
	struct clinux_ring *next, *previous;
};

static pthread_mutex_t list = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t registered = PTHREAD_ONCE_INIT;
static struct clinux_ring *rings;

int ring_register(int ring, unsigned int operation, void *argument, unsigned int count)
{
	long result = syscall(SYS_io_uring_register, ring, operation, argument, count);

	return result < 0 ? -errno : (int)result;
}

static int enter(const struct clinux_ring *ring, unsigned int submit, unsigned int wait, unsigned int flags, void *argument,
		 size_t size)
{
	long result = syscall(SYS_io_uring_enter, ring->number, submit, wait, flags, argument, size);

	return result < 0 ? -errno : (int)result;
}

static void before_fork(void)
{
	pthread_mutex_lock(&list);
}

static void in_parent(void)
{
	pthread_mutex_unlock(&list);
}

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) < 0 ? 0 : cookie;
}

/* O_NONBLOCK, which is the open file's, is what a program has said of the number. */
static void keep_nonblock(int from, int to)
{
	int flags = fcntl(from, F_GETFL);

	if (flags >= 0 && flags & O_NONBLOCK)
		fcntl(to, F_SETFL, O_NONBLOCK);
}

/*
 * The mapping is not there (MADV_DONTFORK), and with two submitters one of them would wait for ever for a lost completion. What
 * takes the ring's place polls readable, and keeps its number for the ring that the child may get. Async-signal-safe calls only.
 */
static void put_away(struct clinux_ring *ring)
{
	int pair[2];

	if (ring->is_inherited)
		return;
	ring->is_inherited = 1;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0) {
		close(ring->number);
		return;
	}
	send(pair[1], "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	keep_nonblock(ring->number, pair[0]);
	if (dup3(pair[0], ring->number, O_CLOEXEC) >= 0)
		ring->cookie = cookie_of(ring->number);
	else
		close(ring->number);
	close(pair[0]);
	close(pair[1]);
}

static void in_child(void)
{
	int code = errno;

	for (struct clinux_ring *ring = rings; ring; ring = ring->next)
		put_away(ring);
	pthread_mutex_init(&list, NULL);
	errno = code;
}

static void register_handlers(void)
{
	pthread_atfork(before_fork, in_parent, in_child);
}

/* Since 5.4 both queues are in one mapping (IORING_FEAT_SINGLE_MMAP). */
static int map(struct clinux_ring *ring, const struct io_uring_params *parameters)
{
	size_t sq = parameters->sq_off.array + parameters->sq_entries * sizeof(unsigned int);
	size_t cq = parameters->cq_off.cqes + parameters->cq_entries * sizeof(struct io_uring_cqe);
	char *base;

	if (!(parameters->features & IORING_FEAT_SINGLE_MMAP) || !(parameters->features & IORING_FEAT_EXT_ARG))
		return -EOPNOTSUPP;
	ring->queues_size = sq > cq ? sq : cq;
	ring->sqes_size = parameters->sq_entries * sizeof(struct io_uring_sqe);
	ring->queues = mmap(NULL, ring->queues_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->number,
			    IORING_OFF_SQ_RING);
	if (ring->queues == MAP_FAILED)
		return -errno;
	ring->sqes = mmap(NULL, ring->sqes_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->number,
			  IORING_OFF_SQES);
	if (ring->sqes == MAP_FAILED || madvise(ring->queues, ring->queues_size, MADV_DONTFORK) < 0 ||
	    madvise(ring->sqes, ring->sqes_size, MADV_DONTFORK) < 0) {
		int code = -errno;

		if (ring->sqes != MAP_FAILED)
			munmap(ring->sqes, ring->sqes_size);
		munmap(ring->queues, ring->queues_size);
		return code;
	}
	base = ring->queues;
	ring->sq_head = (unsigned int *)(base + parameters->sq_off.head);
	ring->sq_tail = (unsigned int *)(base + parameters->sq_off.tail);
	ring->sq_mask = (unsigned int *)(base + parameters->sq_off.ring_mask);
	ring->sq_entries = (unsigned int *)(base + parameters->sq_off.ring_entries);
	ring->sq_array = (unsigned int *)(base + parameters->sq_off.array);
	ring->sq_flags = (unsigned int *)(base + parameters->sq_off.flags);
	ring->cq_head = (unsigned int *)(base + parameters->cq_off.head);
	ring->cq_tail = (unsigned int *)(base + parameters->cq_off.tail);
	ring->cq_mask = (unsigned int *)(base + parameters->cq_off.ring_mask);
	ring->cqes = (struct io_uring_cqe *)(base + parameters->cq_off.cqes);
	for (unsigned int index = 0; index < parameters->sq_entries; index++)
		ring->sq_array[index] = index;
	return 0;
}

int clinux_ring_create(uint32_t entries, uint32_t flags, struct clinux_ring **out)
{
	struct io_uring_params parameters = { .flags = IORING_SETUP_R_DISABLED | flags };
	struct clinux_ring *ring = calloc(1, sizeof(*ring));
	int result;

	if (!ring)
		return -ENOMEM;
	pthread_once(&registered, register_handlers);
	/* Its descriptor is close-on-exec by itself (io_uring_setup(2)). */
	ring->number = (int)syscall(SYS_io_uring_setup, entries, &parameters);
	result = ring->number < 0 ? -errno : map(ring, &parameters);
	if (result < 0) {
		if (ring->number >= 0)
			close(ring->number);
		free(ring);
		return result;
	}
	pthread_mutex_lock(&list);
	ring->next = rings;
	if (rings)
		rings->previous = ring;
	rings = ring;
	pthread_mutex_unlock(&list);
	*out = ring;
	return 0;
}

void clinux_ring_destroy(struct clinux_ring *ring)
{
	pthread_mutex_lock(&list);
	if (ring->previous)
		ring->previous->next = ring->next;
	else
		rings = ring->next;
	if (ring->next)
		ring->next->previous = ring->previous;
	pthread_mutex_unlock(&list);
	if (ring->is_inherited) {
		if (ring->cookie && cookie_of(ring->number) == ring->cookie)
			close(ring->number);
	} else {
		munmap(ring->sqes, ring->sqes_size);
		munmap(ring->queues, ring->queues_size);
		close(ring->number);
	}
	free(ring);
}

int clinux_ring_number(const struct clinux_ring *ring)
{
	return ring->number;
}

void clinux_ring_replace(struct clinux_ring *ring, struct clinux_ring *former)
{
	/* The application may have closed the number, and somebody else may have it now. */
	if (!former->is_inherited || !former->cookie || cookie_of(former->number) != former->cookie)
		return;
	keep_nonblock(former->number, ring->number);
	if (dup3(ring->number, former->number, O_CLOEXEC) < 0)
		return;
	close(ring->number);
	ring->number = former->number;
	former->cookie = 0;
}

static unsigned int acquire(const unsigned int *word)
{
	return atomic_load_explicit((const _Atomic unsigned int *)word, memory_order_acquire);
}

static void release(unsigned int *word, unsigned int value)
{
	atomic_store_explicit((_Atomic unsigned int *)word, value, memory_order_release);
}

int clinux_ring_push(struct clinux_ring *ring, const struct clinux_ring_request *request)
{
	unsigned int tail;
	struct io_uring_sqe *entry;

	if (ring->is_inherited)
		return -EOWNERDEAD;
	tail = *ring->sq_tail;
	entry = &ring->sqes[tail & *ring->sq_mask];
	if (tail - acquire(ring->sq_head) >= *ring->sq_entries)
		return -EAGAIN;
	memset(entry, 0, sizeof(*entry));
	entry->opcode = request->opcode;
	entry->flags = request->flags | IOSQE_FIXED_FILE;
	entry->ioprio = request->priority;
	entry->fd = request->slot;
	entry->off = request->offset;
	entry->addr = request->address;
	entry->len = request->length;
	entry->rw_flags = (__kernel_rwf_t)request->operation_flags;
	entry->user_data = request->user_data;
	release(ring->sq_tail, tail + 1);
	return 0;
}

int clinux_ring_submit(struct clinux_ring *ring)
{
	unsigned int waiting;

	if (ring->is_inherited)
		return -EOWNERDEAD;
	waiting = acquire(ring->sq_tail) - acquire(ring->sq_head);
	return waiting == 0 ? 0 : enter(ring, waiting, 0, 0, NULL, 0);
}

int clinux_ring_wait(struct clinux_ring *ring, int64_t nanoseconds)
{
	struct __kernel_timespec time = { .tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000 };
	struct io_uring_getevents_arg argument = { .ts = (uint64_t)(uintptr_t)&time };

	if (ring->is_inherited)
		return -EOWNERDEAD;
	if (nanoseconds < 0)
		return enter(ring, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
	return enter(ring, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &argument, sizeof(argument));
}

int clinux_ring_take(struct clinux_ring *ring, struct clinux_ring_completion *out)
{
	unsigned int head;
	const struct io_uring_cqe *entry;

	if (ring->is_inherited)
		return 0;
	head = *ring->cq_head;
	if (head == acquire(ring->cq_tail)) {
		/* What did not fit waits in the kernel until somebody enters (IORING_FEAT_NODROP). */
		if (!(acquire(ring->sq_flags) & IORING_SQ_CQ_OVERFLOW))
			return 0;
		enter(ring, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0);
		if (head == acquire(ring->cq_tail))
			return 0;
	}
	entry = &ring->cqes[head & *ring->cq_mask];
	out->user_data = entry->user_data;
	out->result = entry->res;
	out->flags = entry->flags;
	release(ring->cq_head, head + 1);
	return 1;
}

int clinux_ring_probe(int ring, uint64_t *opcodes)
{
	/* The structure and 64 operations behind it. */
	_Alignas(struct io_uring_probe) char memory[sizeof(struct io_uring_probe) + 64 * sizeof(struct io_uring_probe_op)];
	struct io_uring_probe *probe = (struct io_uring_probe *)memory;
	int result;

	memset(memory, 0, sizeof(memory));
	result = ring_register(ring, IORING_REGISTER_PROBE, probe, 64);
	if (result < 0)
		return result;
	*opcodes = 0;
	for (unsigned int index = 0; index < probe->ops_len && index < 64; index++)
		if (probe->ops[index].flags & IO_URING_OP_SUPPORTED && probe->ops[index].op < 64)
			*opcodes |= UINT64_C(1) << probe->ops[index].op;
	return 0;
}

struct clinux_ring_parcel {
	struct msghdr header;
	struct iovec part;
	union {
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_storage storage;
	} address;
	socklen_t length;
};

struct clinux_ring_parcel *clinux_ring_parcel_create(void *bytes, size_t count, const struct clinux_address *address)
{
	struct clinux_ring_parcel *parcel = calloc(1, sizeof(*parcel));

	if (!parcel)
		return NULL;
	parcel->part.iov_base = bytes;
	parcel->part.iov_len = count;
	parcel->header.msg_iov = &parcel->part;
	parcel->header.msg_iovlen = 1;
	parcel->length = sizeof(parcel->address);
	if (!address) {
		parcel->header.msg_name = &parcel->address;
		parcel->header.msg_namelen = sizeof(parcel->address);
	} else if (address->family != 0) {
		parcel->header.msg_name = &parcel->address;
		parcel->header.msg_namelen = clinux_socket_address(address, &parcel->address.storage);
	}
	return parcel;
}

void clinux_ring_parcel_destroy(struct clinux_ring_parcel *parcel)
{
	free(parcel);
}

uint64_t clinux_ring_parcel_header(struct clinux_ring_parcel *parcel)
{
	return (uint64_t)(uintptr_t)&parcel->header;
}

uint64_t clinux_ring_parcel_address(struct clinux_ring_parcel *parcel)
{
	return (uint64_t)(uintptr_t)&parcel->address;
}

uint64_t clinux_ring_parcel_length(struct clinux_ring_parcel *parcel)
{
	return (uint64_t)(uintptr_t)&parcel->length;
}

void clinux_ring_parcel_peer(const struct clinux_ring_parcel *parcel, int is_accept, struct clinux_address *out)
{
	clinux_flat_address(&parcel->address.storage, is_accept ? parcel->length : parcel->header.msg_namelen, out);
}
