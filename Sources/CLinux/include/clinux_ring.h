/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_uring(7) over its system calls, for both sides of the path ring. Results: 0 or a count, or a negative errno.
 *
 * The application's side: a disabled ring that forked children do not get. One thread at a time in push and take; submit and
 * wait may be called by any number.
 *
 * The broker's side: hands, processes that hold one application's ring each. The broker itself makes no call on a ring, since
 * an application can hold its lock for as long as it likes (io_uring/register.c takes uring_lock, uninterruptibly).
 */
#ifndef CLINUX_RING_H
#define CLINUX_RING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "clinux_socket.h"

/* ---- the application's side ---- */

struct clinux_ring;

struct clinux_ring_request {
	uint8_t opcode;
	uint8_t flags; /* IOSQE_FIXED_FILE is added */
	uint16_t priority;
	int32_t slot;
	uint64_t offset; /* or the second address */
	uint64_t address;
	uint32_t length;
	uint32_t operation_flags;
	uint64_t user_data;
};

struct clinux_ring_completion {
	uint64_t user_data;
	int32_t result;
	uint32_t flags;
};

/* io_uring_setup(2) with IORING_SETUP_R_DISABLED and `flags`, mapped with MADV_DONTFORK. */
int clinux_ring_create(uint32_t entries, uint32_t flags, struct clinux_ring **out);
/* In a forked child the memory was never there, and every call fails with -EOWNERDEAD. */
void clinux_ring_destroy(struct clinux_ring *ring);
/* In a forked child a socket that polls readable is there instead. */
int clinux_ring_number(const struct clinux_ring *ring);
/* Puts a ring under the number of one that was inherited, unless that number has come to mean something else. */
void clinux_ring_replace(struct clinux_ring *ring, struct clinux_ring *former);
/* -EAGAIN: no room before something has been submitted. */
int clinux_ring_push(struct clinux_ring *ring, const struct clinux_ring_request *request);
/* Submits what was pushed; how many. */
int clinux_ring_submit(struct clinux_ring *ring);
/* Waits until there is a completion, for `nanoseconds` at most (negative: for ever). -ETIME, -EINTR. */
int clinux_ring_wait(struct clinux_ring *ring, int64_t nanoseconds);
/* 1: one was taken; 0: there is none. */
int clinux_ring_take(struct clinux_ring *ring, struct clinux_ring_completion *out);
/* Bit N: opcode N works here (IORING_REGISTER_PROBE); only before the ring is enabled. */
int clinux_ring_probe(int ring, uint64_t *opcodes);

/* Memory for the structures of sendmsg(2), recvmsg(2) and accept(2), which the kernel reads until the completion. */
struct clinux_ring_parcel;
struct clinux_ring_parcel *clinux_ring_parcel_create(void *bytes, size_t count, const struct clinux_address *address);
void clinux_ring_parcel_destroy(struct clinux_ring_parcel *parcel);
uint64_t clinux_ring_parcel_header(struct clinux_ring_parcel *parcel);
/* For accept: where address and length go. */
uint64_t clinux_ring_parcel_address(struct clinux_ring_parcel *parcel);
uint64_t clinux_ring_parcel_length(struct clinux_ring_parcel *parcel);
/* Whom the kernel named; `is_accept`: by address and length. */
void clinux_ring_parcel_peer(const struct clinux_ring_parcel *parcel, int is_accept, struct clinux_address *out);

/* ---- the broker's side ---- */

/* How many slots a ring has; the object is in slot 0, the others are the application's. */
#define CLINUX_RING_SLOTS 16

enum clinux_ring_embodiment {
	CLINUX_RING_SOCKET = 1, /* the object's descriptor is the socket */
	CLINUX_RING_DISK = 2,	/* it is what a loop device is made of */
};

/* What a hand is for. With it go its end of a SOCK_SEQPACKET pair, the application's pidfd and the object, in this order. */
struct clinux_ring_order {
	int32_t number; /* of the ring in the application; taking back a disk: of the loop device */
	uint32_t embodiment;
	uint64_t opcodes; /* bit N: IORING_OP number N */
	uint64_t offset;  /* disk: bytes */
	uint64_t length;
	uint32_t writable;
	uint32_t is_taking_back; /* the hand that gave it is gone: the embodiment is taken back at once, whatever has it */
	uint64_t deadline;	 /* CLOCK_BOOTTIME, ns: when it is too late to be prepared */
};

enum clinux_ring_command_kind {
	CLINUX_RING_GIVE = 1,
	CLINUX_RING_RECALL = 2,
};

struct clinux_ring_command {
	uint32_t kind;
	uint32_t is_shared; /* RECALL: others keep the socket; what is in no table of the kernel's may outlive this */
	uint64_t deadline;  /* RECALL: when the embodiment is recalled instead of waiting */
};

enum clinux_ring_answer_kind {
	CLINUX_RING_PREPARED = 1, /* restricted and enabled, and empty; a disk's loop device is attached */
	CLINUX_RING_GIVEN = 2,	  /* the object is in its slot */
	CLINUX_RING_REFUSED = 3,  /* `stage` and `error` say why; the hand ends */
	CLINUX_RING_RECALLED = 4, /* nothing holds the object any more; the hand ends */
	CLINUX_RING_EMBODIED = 5, /* the ring could not be emptied in time; what is in it is of no use any more */
	CLINUX_RING_STUCK = 6,	  /* neither: `error` is of recalling the embodiment */
	CLINUX_RING_UNKNOWN = 7,  /* whether the object is in its slot cannot be told: it is to be recalled */
};

enum clinux_ring_stage {
	CLINUX_RING_TAKE = 1,	  /* pidfd_getfd(2) */
	CLINUX_RING_POLLED = 2,	  /* it has a thread of its own (IORING_SETUP_SQPOLL) */
	CLINUX_RING_PROBE = 3,	  /* no ring, or one that answers nothing */
	CLINUX_RING_RESTRICT = 4, /* EBADFD: enabled already; EBUSY: restricted already; EINVAL: an old kernel */
	CLINUX_RING_FILES = 5,	  /* EBUSY: it has files already */
	CLINUX_RING_ENABLE = 6,	  /* EBADFD: somebody else enabled it */
	CLINUX_RING_VERIFY = 7,	  /* it takes what the restrictions forbid */
	CLINUX_RING_OUTSIDE = 8,  /* EEXIST: it listens to one thread only (IORING_SETUP_SINGLE_ISSUER) */
	CLINUX_RING_LOOP = 9,	  /* the loop device */
	CLINUX_RING_LATE = 10,	  /* the application held the ring's lock */
	CLINUX_RING_PUT = 11,	  /* the object into its slot */
};

struct clinux_ring_answer {
	uint32_t kind;
	uint32_t stage;
	int32_t error;	/* errno */
	int32_t device; /* disk: the number of the loop device */
};

/* Hands are forked from a process that does nothing else: this is it. Returns when the broker has ended. */
int clinux_ring_serve(int socket);
/* Every operation on the loop device, and every one to come, finds a device of no size: 0, or a negative errno. */
int clinux_ring_loop_recall(int loop, uint64_t length);
/* Has it fork a hand; the descriptors stay open here. */
int clinux_ring_order(int socket, const struct clinux_ring_order *order, const int descriptors[3]);
/* For a trial: a child that has these two descriptors and no other, and ends with the socket's other end. */
pid_t clinux_ring_stand_in(int ring, int socket);

#endif
