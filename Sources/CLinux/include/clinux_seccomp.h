/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seccomp user notification (seccomp_unotify(2)): what libseccomp 2.5 lacks, and what makes it safe to wait on a
 * listener that others hold too.
 */
#ifndef CLINUX_SECCOMP_H
#define CLINUX_SECCOMP_H

#include <stddef.h>
#include <stdint.h>

/* All of them: 0 or a number, or -1 with errno. */

/* A memory file for a program of libseccomp's, and the ledger's; close-on-exec, may be sealed. */
int clinux_memory_file(const char *name);

/*
 * Puts a classic BPF program (struct sock_filter, size in bytes) on the calling thread only and returns its listener,
 * close-on-exec. Sets no_new_privs. Callers wait killably after RECV where the kernel can (since 5.19).
 */
int clinux_seccomp_install(const void *program, size_t size);

struct clinux_notification {
	uint64_t id;
	int32_t thread; /* in our pid namespace; 0: not visible there */
	uint32_t architecture;
	int32_t number;
	uint32_t reserved;
	uint64_t arguments[6];
};

/* Whether the notification waits for its answer; -1 with ENOENT where not. */
int clinux_seccomp_is_valid(int listener, uint64_t id);

/* SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (since 6.6): caller and supervisor take turns on one processor. */
int clinux_seccomp_wake_synchronously(int listener);

/* What a broker that dies leaves to whoever goes on: the notifications it has received and not answered. */
#define CLINUX_LEDGER_SLOTS 256
struct clinux_ledger;

/*
 * One notification without waiting. -1 with EAGAIN: there is none (or another holder of the listener took it at the same
 * moment); with ENOENT: its caller went away. With a ledger the kernel writes it there, so that it is never lost with us.
 */
int clinux_seccomp_receive(int listener, struct clinux_ledger *ledger, struct clinux_notification *out);

/* The part of clinux_seccomp_receive that follows poll(2): EAGAIN within tens of milliseconds where there is nothing. */
int clinux_seccomp_take(int listener, struct clinux_ledger *ledger, struct clinux_notification *out);

/* After `take`: stops the calling thread's timer, which else goes on ticking for the next one. */
void clinux_seccomp_rest(void);

/* Answers with a value, or with a positive error number, or lets the kernel make the call. -1 with ENOENT: it is gone. */
int clinux_seccomp_answer(int listener, uint64_t id, int64_t value, int32_t error, int let_through);

/* Puts fd into the caller's table and answers with its number there, in one step (since 5.14). */
int clinux_seccomp_inject(int listener, uint64_t id, int fd, int close_on_exec);

/* The ledger in a new sealed memory file; NULL with errno. *fd is the caller's. */
struct clinux_ledger *clinux_ledger_create(int *fd);
/* Maps a ledger for reading; NULL with errno, EINVAL for what is none. */
const struct clinux_ledger *clinux_ledger_attach(int fd);
void clinux_ledger_unmap(const struct clinux_ledger *ledger);
/* 1, or 0 where no slot is free. */
int clinux_ledger_begin(struct clinux_ledger *ledger, uint64_t id);
void clinux_ledger_end(struct clinux_ledger *ledger, uint64_t id);
/* Fills at most CLINUX_LEDGER_SLOTS + 1 numbers, returns how many. *any: whether *highest means anything. */
int clinux_ledger_read(const struct clinux_ledger *ledger, uint64_t *ids, uint64_t *highest, int *any);

#endif
