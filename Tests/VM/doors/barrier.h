/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ends the operations of a process that had begun before its association was taken away: every thread leaves the
 * kernel once and comes in again, by the door.
 */
#ifndef DOORS_BARRIER_H
#define DOORS_BARRIER_H

#include "doors.h"

enum barrier {
	BARRIER_NONE,
	BARRIER_TRACE,	/* PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH */
	BARRIER_STOP,	/* SIGSTOP, SIGCONT: for whoever is traced already */
	BARRIERS,
};

struct reached {
	int threads;
	int workers;	 /* of them: the kernel's own, for its rings */
	int unreachable; /* they live, and could not be traced */
};

void raise_barrier(pid_t pid, enum barrier barrier, struct reached *reached);

#endif
