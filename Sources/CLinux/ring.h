/* SPDX-License-Identifier: Apache-2.0 */
/* Private to CLinux: what both sides of the path ring use. */
#ifndef CLINUX_RING_PRIVATE_H
#define CLINUX_RING_PRIVATE_H

#include <linux/io_uring.h>

#include "clinux_ring.h"

/* io_uring_register(2): a count, or a negative errno. */
int ring_register(int ring, unsigned int operation, void *argument, unsigned int count);

#endif
