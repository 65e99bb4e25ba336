/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that is kept in the kernel while it submits, for as long as its program likes; needs CAP_SYS_PTRACE. */
#ifndef RING_KEPT_H
#define RING_KEPT_H

#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "ring-program.h"

/* A page that userfaultfd(2) leaves missing keeps who touches it, in the kernel too, until that is closed. */
static struct {
	int faults;
	char *memory;
	unsigned int count; /* what is submitted */
	volatile int is_over;
} kept;

static int make_missing(void)
{
	struct uffdio_api version = { .api = UFFD_API };
	struct uffdio_register missing = { .range.len = 4096, .mode = UFFDIO_REGISTER_MODE_MISSING };

	kept.memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	kept.faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	missing.range.start = (uintptr_t)kept.memory;
	if (kept.memory == MAP_FAILED || kept.faults < 0 || ioctl(kept.faults, UFFDIO_API, &version) < 0 ||
	    ioctl(kept.faults, UFFDIO_REGISTER, &missing) < 0)
		return -errno;
	return 0;
}

static void *submit_kept(void *nothing)
{
	/* This argument is read after the submission. */
	syscall(SYS_io_uring_enter, ring.ring_fd, kept.count, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, kept.memory,
		sizeof(struct io_uring_getevents_arg));
	kept.is_over = 1;
	for (;;)
		pause();
	return nothing;
}

/* Has a thread submit what is queued: 1 as soon as it is kept. */
static long submit_apart(unsigned int count)
{
	struct pollfd fault = { .fd = kept.faults, .events = POLLIN };
	pthread_t thread;

	for (unsigned int index = 0; index < count; index++)
		ring.sq.array[(*ring.sq.ktail + index) & *ring.sq.kring_mask] =
			(ring.sq.sqe_tail - count + index) & *ring.sq.kring_mask;
	ring.sq.sqe_head = ring.sq.sqe_tail;
	io_uring_smp_store_release(ring.sq.ktail, *ring.sq.ktail + count);
	kept.count = count;
	kept.is_over = 0;
	if (pthread_create(&thread, NULL, submit_kept, NULL))
		return -EAGAIN;
	return poll(&fault, 1, 10000) == 1 && !kept.is_over;
}

static long stall(const char *what)
{
	int result = make_missing();

	if (result == 0)
		result = queue(what);
	if (result < 0)
		return result;
	return submit_apart(1) == 1 && io_uring_smp_load_acquire(ring.sq.khead) == *ring.sq.ktail;
}

/* What a timeout says is read while it is submitted. */
static long lock_ring(const char *what)
{
	int result = make_missing();
	struct io_uring_sqe *entry = io_uring_get_sqe(&ring);

	if (result < 0 || !entry)
		return result < 0 ? result : -EAGAIN;
	io_uring_prep_timeout(entry, (struct __kernel_timespec *)kept.memory, 0, 0);
	entry->flags |= IOSQE_FIXED_FILE;
	entry->user_data = ASIDE;
	result = queue(what);
	return result < 0 ? result : submit_apart(2);
}

/* Somebody puts the object into its slot, waits for the lock, and is killed. 1: that is so. */
static pid_t filler = -1;

static long put_apart(void)
{
	filler = fork();
	if (filler == 0) {
		struct io_uring_files_update update = { .fds = (uint64_t)(uintptr_t)&outside };

		close(kept.faults);
		register_call(IORING_REGISTER_FILES_UPDATE, &update, 1);
		_exit(0);
	}
	usleep(300000);
	kill(filler, SIGKILL);
	usleep(100000);
	return waitpid(filler, NULL, WNOHANG) == 0;
}

/* 1: whoever empties the slots waits for the lock. */
static long empty_apart(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		alarm(60);
		close(kept.faults);
		empty();
		_exit(0);
	}
	usleep(500000);
	return waitpid(pid, NULL, WNOHANG) == 0;
}

/* In a child that shares the object's socket: gives it up while a request of its own is kept, and says what that got later. */
static int child_waits = -1;

static void leave_in_child(const char *object, const char *what)
{
	struct postern_ring given;
	int ends[2], result;
	char byte;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return say(-errno);
	child_waits = ends[1];
	if (fork() > 0)
		return;
	alarm(60);
	close(ends[1]);
	has_ring = 0; /* the parent's */
	result = make("");
	if (result == 0)
		result = postern_ring_revalidate(connection, object, ring.ring_fd, &given);
	if (result == 0)
		result = (int)stall(what);
	if (result > 0 && postern_ring_close(connection, &given) < 0)
		result = 0;
	say(result);
	if (read(ends[0], &byte, 1) == 1) {
		close(kept.faults);
		say(finish(5));
	}
	_exit(0);
}

#endif
