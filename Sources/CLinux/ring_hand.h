/* SPDX-License-Identifier: Apache-2.0 */
/* Private to CLinux: a hand. */
#ifndef CLINUX_RING_HAND_H
#define CLINUX_RING_HAND_H

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

/* Until the ring is empty, or nothing was put into it; its descriptors are the process's own. */
void ring_hand_run(struct ring_hand *hand);

/* Makes `loop`, `file` and `probe` of the object and the order's range: 0, or a negative errno. */
int ring_loop_make(struct ring_hand *hand);
/* Opens the device that another hand has made, as `loop`: -ENXIO where that is gone. */
int ring_loop_find(struct ring_hand *hand);
/* Every operation on it, and every one to come, finds a device of no size: 0, or a negative errno. */
int ring_loop_recall(struct ring_hand *hand);

#endif
