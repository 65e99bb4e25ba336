/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DOORS_ATTACKS_H
#define DOORS_ATTACKS_H

#include "doors.h"

#define SOCKET POSTERN_KIND_SOCKET

/* What a holder gets of an act on what the set-up makes; a stranger, where operations are 0. */
long perform(void (*set_up)(struct scene *), long (*what)(struct scene *), uint32_t kind, uint32_t operations,
	     uint32_t tag_flags);
/* A line for a result: 0 expects any success. */
void expect(const char *name, long result, long expected);

/* By a child, which is root and not the broker. */
long as_stranger(long (*act)(void *));
void end(pid_t pid);

void test_addresses(void);
void test_tracing(void);

#endif
