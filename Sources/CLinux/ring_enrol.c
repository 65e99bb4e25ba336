/* SPDX-License-Identifier: Apache-2.0 */
/* Takes an application's ring and restricts it. Nothing is in it yet. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clinux_process.h"
#include "ring_hand.h"

/* io_uring_enter(2): every flag but IOSQE_FIXED_FILE, which is required. None of them names a file or anybody's rights. */
#define ALLOWED_FLAGS                                                                                                     \
	(IOSQE_FIXED_FILE | IOSQE_IO_DRAIN | IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_ASYNC | IOSQE_BUFFER_SELECT |         \
	 IOSQE_CQE_SKIP_SUCCESS)

/*
 * 1: the ring has a thread of its own, as far as the kernel shows it (proc(5), fdinfo); -EOPNOTSUPP: it is no ring;
 * -EAGAIN: nothing is shown while the ring's lock is held (io_uring/fdinfo.c).
 */
static int has_thread(int ring)
{
	static const char kind[] = "anon_inode:[io_uring]";
	char path[64], text[4096], *line;
	ssize_t size;
	int file, thread = -1;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", ring);
	size = readlink(path, text, sizeof(text) - 1);
	if (size != (ssize_t)sizeof(kind) - 1 || memcmp(text, kind, sizeof(kind) - 1))
		return -EOPNOTSUPP;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", ring);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return -errno;
	size = read(file, text, sizeof(text) - 1);
	close(file);
	if (size < 0)
		return -EIO;
	text[size] = 0;
	line = strstr(text, "SqThread:");
	if (!line || sscanf(line, "SqThread: %d", &thread) != 1)
		return -EAGAIN;
	return thread != -1;
}

/*
 * The kernel itself says what the ring is: only a disabled one takes restrictions (EBADFD), and only one that has none yet
 * (EBUSY). Until it is enabled it would take other register calls from the application, so nothing is put into it before.
 */
static struct ring_outcome restrict_and_enable(struct ring_hand *hand)
{
	struct io_uring_restriction rules[CLINUX_RING_RULES];
	int32_t none[CLINUX_RING_SLOTS];
	uint64_t works = 0;
	unsigned int count = 0;
	int result = clinux_ring_probe(hand->ring, &works);

	if (result < 0)
		return ring_failed(CLINUX_RING_PROBE, -result);
	memset(rules, 0, sizeof(rules));
	for (unsigned int opcode = 0; opcode < 64; opcode++) {
		if (!(hand->order.opcodes & works & UINT64_C(1) << opcode))
			continue;
		rules[count].opcode = IORING_RESTRICTION_SQE_OP;
		rules[count++].sqe_op = (uint8_t)opcode;
	}
	rules[count].opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED;
	rules[count++].sqe_flags = IOSQE_FIXED_FILE;
	rules[count].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	rules[count++].sqe_flags = ALLOWED_FLAGS;
	rules[count].opcode = IORING_RESTRICTION_REGISTER_OP;
	rules[count++].register_op = IORING_REGISTER_FILES_UPDATE;
	rules[count].opcode = IORING_RESTRICTION_REGISTER_OP;
	rules[count++].register_op = IORING_REGISTER_SYNC_CANCEL;
	result = ring_register(hand->ring, IORING_REGISTER_RESTRICTIONS, rules, count);
	if (result < 0)
		return ring_failed(CLINUX_RING_RESTRICT, -result);
	memset(none, 0xff, sizeof(none));
	result = ring_register(hand->ring, IORING_REGISTER_FILES, none, CLINUX_RING_SLOTS);
	if (result < 0)
		return ring_failed(CLINUX_RING_FILES, -result);
	result = ring_register(hand->ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	if (result < 0)
		return ring_failed(CLINUX_RING_ENABLE, -result);
	/* The restrictions are in force if a register call that they do not name is refused. */
	result = ring_register(hand->ring, IORING_UNREGISTER_EVENTFD, NULL, 0);
	return result == -EACCES ? ring_done : ring_failed(CLINUX_RING_VERIFY, -result);
}

/* By another process than the one that enabled the ring, whose ring a SINGLE_ISSUER one would have become: EEXIST. */
static struct ring_outcome try_from_outside(struct ring_hand *hand)
{
	int result = ring_empty(hand);

	return result < 0 ? ring_failed(CLINUX_RING_OUTSIDE, -result) : ring_done;
}

static struct ring_outcome take(struct ring_hand *hand)
{
	int result;

	hand->ring = clinux_pidfd_get(hand->target, hand->order.number);
	if (hand->ring < 0)
		return ring_failed(CLINUX_RING_TAKE, errno);
	while ((result = has_thread(hand->ring)) == -EAGAIN) {
		if (ring_now() >= hand->order.deadline)
			return ring_failed(CLINUX_RING_LATE, ETIMEDOUT);
		ring_pause(1000000);
	}
	if (result < 0)
		return ring_failed(CLINUX_RING_PROBE, -result);
	return result == 0 ? ring_done : ring_failed(CLINUX_RING_POLLED, EINVAL);
}

struct ring_outcome ring_prepare(struct ring_hand *hand)
{
	struct ring_outcome outcome = take(hand);

	if (outcome.stage == 0)
		outcome = ring_step_run(hand, restrict_and_enable, hand->order.deadline, CLINUX_RING_RESTRICT);
	if (outcome.stage == 0)
		outcome = ring_step_run(hand, try_from_outside, hand->order.deadline, CLINUX_RING_OUTSIDE);
	if (outcome.stage == 0 && hand->order.embodiment == CLINUX_RING_DISK) {
		int result = ring_loop_make(hand);

		if (result < 0)
			outcome = ring_failed(CLINUX_RING_LOOP, -result);
	} else if (outcome.stage == 0) {
		hand->file = hand->object;
	}
	return outcome;
}
