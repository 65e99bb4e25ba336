/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a library needs to live through fork(2): locks that no child finds locked, and descriptors that are put out of
 * the application's reach in the child (pthread_atfork(3), signal-safety(7)).
 */
#ifndef CLINUX_FORK_H
#define CLINUX_FORK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A mutex with a condition. The prepare handler takes every one of them, so none is held by a thread that the child
 * does not have; the child makes them anew. None may be created or destroyed while another is held.
 */
struct clinux_fork_lock;

/* NULL where there is no memory. */
struct clinux_fork_lock *clinux_fork_lock_create(void);
void clinux_fork_lock_destroy(struct clinux_fork_lock *lock);
void clinux_fork_lock_take(struct clinux_fork_lock *lock);
void clinux_fork_lock_release(struct clinux_fork_lock *lock);
/* Held on call and on return. */
void clinux_fork_lock_wait(struct clinux_fork_lock *lock);
void clinux_fork_lock_wake(struct clinux_fork_lock *lock);

/* How many forks lie between the first process and this one, plus one; counted by the child handler. */
uint64_t clinux_fork_generation(void);
/* This process came from a vfork(2) or a bare clone(2), which run no handlers. */
int clinux_fork_unseen(void);

/*
 * A socket to the broker whose number the application may know. It is recognized by its cookie (SO_COOKIE), so that a
 * number which the application has closed and used again is never touched.
 */
struct clinux_client;

enum clinux_client_in_child {
	CLINUX_CHILD_CLOSES = 0,
	/* The socket moves to a private number; the number that is known gets a socket that is always readable. */
	CLINUX_CHILD_KEEPS = 1,
};

/* Takes fd over, also on failure: NULL with errno. */
struct clinux_client *clinux_client_create(int fd, enum clinux_client_in_child in_child);
/* Closes what is still ours and frees. */
void clinux_client_destroy(struct clinux_client *client);
/* Closes what is still ours. 0, or -1 with errno EBADF where the application had closed the number already. */
int clinux_client_close(struct clinux_client *client);
/* The number that the application knows, or -1 once it is closed. */
int clinux_client_number(const struct clinux_client *client);
/* 0 where the number still means this socket (or its stand-in), else -1 with errno EBADF. */
int clinux_client_check(const struct clinux_client *client);
/* The socket as inherited from the parent, or -1 with errno EBADF. */
int clinux_client_inherited(const struct clinux_client *client);
/* Puts fd, which is taken over, in the place of what the application knows. 0, or -1 with errno. */
int clinux_client_replace(struct clinux_client *client, int fd);

/* What came with a datagram; all numbers belong to the caller. */
struct clinux_attached {
	int32_t descriptors[16];
	int32_t count;
	int32_t data_truncated;
	int32_t control_truncated;
};

/* recvmsg(2) with MSG_CMSG_CLOEXEC; -1 with errno. */
ssize_t clinux_client_receive(int fd, void *data, size_t capacity, int flags, struct clinux_attached *out);

/* poll(2) on one descriptor; the events that hold, or -1 with errno. */
int clinux_client_poll(int fd, int events, int timeout_ms);

/* fcntl(2) on somebody's number: the status flags, or -1 with errno. */
int clinux_status_flags(int fd);
/* Sets or clears O_NONBLOCK and FD_CLOEXEC. 0, or -1 with errno. */
int clinux_set_flags(int fd, int nonblocking, int close_on_exec);

/* secure_getenv(3): NULL in a set-user-ID program. */
const char *clinux_environment(const char *name);

/* The calling thread's last refusal: a reason's code (0: none) and the policy's message. */
void clinux_set_last_reason(int reason, int detail, const char *message);
int clinux_last_reason(void);
int clinux_last_detail(void);
/* Never NULL; valid until the thread's next clinux_set_last_reason. */
const char *clinux_last_message(void);

#endif
