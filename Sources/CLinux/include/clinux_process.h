/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLINUX_PROCESS_H
#define CLINUX_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* pidfd_open(2), pidfd_send_signal(2): glibc 2.36 declares them where Swift does not look. */
int clinux_pidfd_open(pid_t pid, unsigned int flags);
int clinux_pidfd_send_signal(int pidfd, int signal);

/* A pidfd of one thread (PIDFD_THREAD, since 6.9); EINVAL where the kernel has none. */
int clinux_pidfd_open_thread(pid_t tid);
/* A copy of another process' descriptor, close-on-exec (pidfd_getfd(2)). */
int clinux_pidfd_get(int pidfd, int number);
/* Whether two threads have one descriptor table (kcmp(2)): 1, 0, or -1 with errno. */
int clinux_share_descriptors(pid_t one, pid_t other);
/* process_vm_readv(2) of one range, whole or not at all: 0, or a negative errno. EFAULT is about the other's memory. */
int clinux_read_memory(pid_t tid, uint64_t address, void *bytes, size_t count);

/* timerfd on CLOCK_BOOTTIME, non-blocking, close-on-exec; absolute nanoseconds, 0 disarms. */
int clinux_boottime_timer(void);
int clinux_arm_timer(int fd, uint64_t boottime);

/* What the proc connector reports (linux/cn_proc.h). */
enum clinux_process_event_kind {
	CLINUX_EVENT_OTHER = 0,
	CLINUX_EVENT_FORK = 1, /* a new process, not a new thread */
	CLINUX_EVENT_EXEC = 2,
	CLINUX_EVENT_EXIT = 3, /* the last thread of a process */
};

struct clinux_process_event {
	int32_t kind;
	int32_t tgid;	/* the process; for a fork the child */
	int32_t parent; /* fork: the parent's tgid */
	uint64_t timestamp;
};

/* A bound netlink socket that receives process events; needs CAP_NET_ADMIN in the initial namespaces. -1 with errno. */
int clinux_process_events_open(void);

/* One event without waiting; 0 none, 1 one, -1 with errno (ENOBUFS: events were lost). */
int clinux_process_events_next(int fd, struct clinux_process_event *out);

/* Names the calling thread; cut at the kernel's 15 bytes (prctl(2) PR_SET_NAME). */
void clinux_name_thread(const char *name);

/* Keeps so many bytes of freed memory (mallopt(3) M_TRIM_THRESHOLD). */
void clinux_keep_freed_memory(int bytes);

#endif
