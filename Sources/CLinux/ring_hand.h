/* SPDX-License-Identifier: Apache-2.0 */
/* Private to CLinux: a hand. */
#ifndef CLINUX_RING_HAND_H
#define CLINUX_RING_HAND_H

#include <sys/types.h>

#include "ring.h"

/* The opcodes, two rules about flags, two register calls. */
#define CLINUX_RING_RULES (64 + 4)

struct ring_hand {
	struct clinux_ring_order order;
	int socket; /* to the broker */
	int target; /* the application's pidfd */
	int object;
	int ring;
	int file;  /* what goes into the slot */
	int loop;  /* disk: the device, to recall it by */
	int probe; /* disk: another open file of it, to see whether the lock of `file` is free */
	int device; /* disk: the device's number */
	int is_shared; /* others keep the socket */
	int is_embodiment_recalled;
};

/* What became of a step: all zero where it was done. */
struct ring_outcome {
	uint32_t stage;
	int32_t error;
};

static const struct ring_outcome ring_done;

static inline struct ring_outcome ring_failed(uint32_t stage, int error)
{
	return (struct ring_outcome){ .stage = stage, .error = error };
}

/* What a child of a hand does. */
typedef struct ring_outcome ring_step(struct ring_hand *hand);

/* A child that runs a step. */
struct ring_running {
	pid_t pid;
	int result;
};

/* CLOCK_BOOTTIME, nanoseconds. */
uint64_t ring_now(void);
void ring_pause(long nanoseconds);
int ring_step_start(struct ring_hand *hand, ring_step *run, struct ring_running *out);
/* 1: it has ended, and `outcome` is how, ECHILD where it was killed; 0: not before the deadline (0: none). */
int ring_step_finish(struct ring_running *running, uint64_t deadline, uint32_t stage, struct ring_outcome *outcome);
/* Runs a step to its end; one that takes too long is killed, which works once the ring's lock is free. */
struct ring_outcome ring_step_run(struct ring_hand *hand, ring_step *what, uint64_t deadline, uint32_t stage);

/* Until the ring is empty, or nothing was put into it; its descriptors are the process's own. */
void ring_hand_run(struct ring_hand *hand);

/* Tells the broker. */
void ring_answer(const struct ring_hand *hand, uint32_t kind, struct ring_outcome outcome);
/* The broker's next command; its end is one to recall. */
struct clinux_ring_command ring_next_command(const struct ring_hand *hand);
/* What a command to recall says; 1: it is one. */
int ring_is_recall(struct ring_hand *hand, const struct clinux_ring_command *command, uint64_t *deadline);

/* The application's ring, restricted, enabled and empty, and what goes into it. */
struct ring_outcome ring_prepare(struct ring_hand *hand);
/* Empties the slots: how many, or a negative errno. */
int ring_empty(const struct ring_hand *hand);
/* Waits for a step; from the deadline on the embodiment is of no use. A deadline of 0: a command may still set it. */
struct ring_outcome ring_see_through(struct ring_hand *hand, struct ring_running *running, uint64_t *deadline, int *said);
/* Nobody uses the object any more when it returns, or nobody is left to be told that somebody does. */
void ring_recall(struct ring_hand *hand, uint64_t deadline);
/* Takes back what another hand has given that has been killed. */
void ring_take_back(struct ring_hand *hand);

/* Makes `loop`, `file` and `probe` of the object and the order's range: 0, or a negative errno. */
int ring_loop_make(struct ring_hand *hand);
/* Opens the device that another hand has made, as `loop`: -ENXIO where that is gone. */
int ring_loop_find(struct ring_hand *hand);

#endif
