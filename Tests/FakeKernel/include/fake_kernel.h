/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel that checks the calls on one descriptor, as far as the program that makes them can tell: a seccomp filter on the
 * calling thread and what it forks notifies of them, and somebody else answers with an errno or lets them through.
 */
#ifndef FAKE_KERNEL_H
#define FAKE_KERNEL_H

#include <stdint.h>

struct fake_call {
	uint64_t id;
	int32_t pid;
	/* The operation, as Opcode numbers it; -1: nothing came within the time. */
	int32_t operation;
};

/* Has calls on fd notified, of this thread and what it starts. The listener's number, or -errno. */
int fake_kernel_install(int fd);
/* The next call that waits for an answer. */
struct fake_call fake_kernel_receive(int listener, int milliseconds);
/* Fails the call with error, or lets it through where that is 0. */
void fake_kernel_answer(int listener, uint64_t id, int error);

/* gettid(2) */
int fake_kernel_thread(void);

struct fake_pair {
	int first;
	int second;
};

/* A connected pair of stream sockets, close-on-exec; -1 where there is none. */
struct fake_pair fake_kernel_streams(void);
/* The far and the near end of a pseudoterminal, raw and close-on-exec; -1 where there is none. */
struct fake_pair fake_kernel_terminal(void);

/* fork(2); in the child nothing but calls of the library and fake_kernel_end may follow. */
int fake_kernel_fork(void);
void fake_kernel_end(int code) __attribute__((noreturn));
/* The child's exit code, or -1 where it was killed, which it is after so many milliseconds. */
int fake_kernel_wait(int pid, int milliseconds);

#endif
