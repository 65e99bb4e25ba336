/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring(7) with nothing in between: one ring for each caller, requests one at a time or left waiting. */
#ifndef DOORS_URING_H
#define DOORS_URING_H

#include <linux/io_uring.h>
#include <stdbool.h>
#include <stdint.h>

/* Younger than this machine's headers may be. */
#define OP_SEND_ZC 47

struct uring {
	int fd;
	struct io_uring_params parameters;
	char *memory;
	struct io_uring_sqe *entries;
};

/* 0 or a negative errno. */
long uring_open(struct uring *uring, unsigned int flags);
void uring_close(struct uring *uring);
/* Hands a request in; what has ended is asked for with uring_wait. */
long uring_submit(struct uring *uring, const struct io_uring_sqe *entry);
/* The result of the next request that has ended, or -ETIME. */
long uring_wait(struct uring *uring, int milliseconds, struct io_uring_cqe *out);
/* One request in a ring of its own, waited for. */
long uring_once(const struct io_uring_sqe *entry);
long uring_register(struct uring *uring, unsigned int what, const void *argument, unsigned int count);
/* For IORING_SETUP_SQPOLL: true while the kernel's thread sleeps. */
bool uring_needs_wakeup(struct uring *uring);

#endif
