/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A byte range of a disk as a device of its own (loop(4)). LOOP_CLR_FD does not take one back that is open: it only has it go
 * with its last user (drivers/block/loop.c). LOOP_SET_STATUS64 does, with an offset behind everything there is.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "ring_hand.h"

/* Others may take the free device first, and may look at a new one (udev holds a shared lock meanwhile). */
#define TRIES 200

static void pause_a_little(void)
{
	struct timespec time = { .tv_nsec = 5000000 };

	nanosleep(&time, NULL);
}

/* As the kernel gives a device's number in loop_info64 (huge_encode_dev). */
static uint64_t encode(dev_t device)
{
	unsigned int low = minor(device);

	return (low & 0xff) | (uint64_t)major(device) << 8 | (uint64_t)(low & ~0xffU) << 12;
}

/* A free device of ours: its descriptor, or a negative errno. */
static int claim(const struct ring_hand *hand, char *path, size_t size)
{
	struct loop_config wanted = {
		.fd = (uint32_t)hand->object,
		.block_size = 512,
		.info = { .lo_offset = hand->order.offset,
			  .lo_sizelimit = hand->order.length,
			  .lo_flags = LO_FLAGS_AUTOCLEAR | (hand->order.writable ? 0 : LO_FLAGS_READ_ONLY) },
	};
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), code = 0;

	if (control < 0)
		return -errno;
	for (int attempt = 0; attempt < TRIES; attempt++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE), loop;

		if (number < 0) {
			code = -errno;
			break;
		}
		snprintf(path, size, "/dev/loop%d", number);
		loop = open(path, O_RDWR | O_CLOEXEC);
		if (loop < 0) {
			code = -errno;
			break;
		}
		if (ioctl(loop, LOOP_CONFIGURE, &wanted) == 0) {
			close(control);
			return loop;
		}
		code = -errno;
		close(loop);
		if (code != -EBUSY)
			break;
		pause_a_little();
	}
	close(control);
	return code;
}

int ring_loop_make(struct ring_hand *hand)
{
	char path[32];
	uint64_t size = 0;
	int error = 0;

	hand->loop = claim(hand, path, sizeof(path));
	if (hand->loop < 0)
		return hand->loop;
	if (sscanf(path, "/dev/loop%d", &hand->device) != 1)
		return -EINVAL;
	if (ioctl(hand->loop, BLKGETSIZE64, &size) < 0)
		return -errno;
	if (size != hand->order.length)
		return -ERANGE;
	hand->file = open(path, (hand->order.writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (hand->file < 0)
		return -errno;
	hand->probe = open(path, O_RDONLY | O_CLOEXEC);
	if (hand->probe < 0)
		return -errno;
	for (int attempt = 0; attempt < TRIES; attempt++) {
		if (flock(hand->file, LOCK_EX | LOCK_NB) == 0)
			return 0;
		error = -errno;
		pause_a_little();
	}
	return error;
}

int ring_loop_find(struct ring_hand *hand)
{
	struct loop_info64 information;
	struct stat object;
	char path[32];

	snprintf(path, sizeof(path), "/dev/loop%d", hand->order.number);
	/* It stays what it is as long as it is open here. */
	hand->loop = open(path, O_RDWR | O_CLOEXEC);
	if (hand->loop < 0)
		return errno == ENOENT ? -ENXIO : -errno;
	if (ioctl(hand->loop, LOOP_GET_STATUS64, &information) < 0 || fstat(hand->object, &object) < 0)
		return -errno;
	/* The number is somebody else's by now. */
	if (information.lo_device != encode(object.st_dev) || information.lo_inode != object.st_ino ||
	    information.lo_offset != hand->order.offset || information.lo_sizelimit != hand->order.length)
		return -ENXIO;
	return 0;
}

int clinux_ring_loop_recall(int loop, uint64_t length)
{
	struct loop_info64 information;
	uint64_t size = 1;

	for (int attempt = 0; attempt < TRIES; attempt++) {
		if (ioctl(loop, LOOP_GET_STATUS64, &information) < 0)
			return -errno;
		/* So far behind everything that no position within the device can be added without an overflow. */
		information.lo_offset = ((uint64_t)INT64_MAX - length) & ~UINT64_C(511);
		information.lo_sizelimit = 0;
		if (ioctl(loop, LOOP_SET_STATUS64, &information) == 0)
			break;
		/* Somebody has written to it while it was being changed. */
		if (errno != EAGAIN && errno != EBUSY)
			return -errno;
		pause_a_little();
	}
	if (ioctl(loop, BLKGETSIZE64, &size) < 0)
		return -errno;
	return size == 0 ? 0 : -EAGAIN;
}
