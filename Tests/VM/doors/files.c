/* SPDX-License-Identifier: Apache-2.0 */
/* Doors of open files. */
#include "doors.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <linux/random.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static long do_read(struct scene *s)
{
	return ERR(read(s->fd, s->memory, 64));
}

static long do_pread(struct scene *s)
{
	return ERR(pread(s->fd, s->memory, 64, 0));
}

static long do_readv(struct scene *s)
{
	struct iovec vector = { s->memory, 64 };

	return ERR(readv(s->fd, &vector, 1));
}

static long do_preadv2(struct scene *s)
{
	struct iovec vector = { s->memory, 64 };

	return ERR(preadv2(s->fd, &vector, 1, 0, 0));
}

static long do_write(struct scene *s)
{
	return ERR(write(s->fd, s->memory, 64));
}

static long do_pwrite(struct scene *s)
{
	return ERR(pwrite(s->fd, s->memory, 64, 0));
}

static long do_writev(struct scene *s)
{
	struct iovec vector = { s->memory, 64 };

	return ERR(writev(s->fd, &vector, 1));
}

static long do_pwritev2(struct scene *s)
{
	struct iovec vector = { s->memory, 64 };

	return ERR(pwritev2(s->fd, &vector, 1, 0, 0));
}

static long do_splice_out(struct scene *s)
{
	return ERR(splice(s->fd, NULL, s->pipe[1], NULL, 64, SPLICE_F_NONBLOCK));
}

static long do_splice_in(struct scene *s)
{
	if (write(s->pipe[1], s->memory, 64) != 64)
		return -EIO;
	return ERR(splice(s->pipe[0], NULL, s->fd, NULL, 64, 0));
}

static long do_vmsplice_in(struct scene *s)
{
	struct iovec vector = { s->memory, 64 };

	if (vmsplice(s->pipe[1], &vector, 1, 0) != 64)
		return -EIO;
	return ERR(splice(s->pipe[0], NULL, s->fd, NULL, 64, 0));
}

/* Two pipes have no door; what comes out of the second one does. */
static long do_tee_in(struct scene *s)
{
	int second[2];

	if (write(s->pipe[1], s->memory, 64) != 64 || pipe(second) || tee(s->pipe[0], second[1], 64, 0) != 64)
		return -EIO;
	return ERR(splice(second[0], NULL, s->fd, NULL, 64, 0));
}

static long do_sendfile_from(struct scene *s)
{
	off_t offset = 0;

	return ERR(sendfile(s->pipe[1], s->fd, &offset, 64));
}

static long do_sendfile_to(struct scene *s)
{
	off_t offset = 0;

	return ERR(sendfile(s->fd, s->other, &offset, 64));
}

static long do_copy_from(struct scene *s)
{
	loff_t from = 0, to = 0;

	return ERR(copy_file_range(s->fd, &from, s->other, &to, 64, 0));
}

static long do_copy_to(struct scene *s)
{
	loff_t from = 0, to = 0;

	return ERR(copy_file_range(s->other, &from, s->fd, &to, 64, 0));
}

static long asynchronous(struct scene *s, int what)
{
	struct iocb block = { .aio_lio_opcode = (uint16_t)what, .aio_fildes = (uint32_t)s->fd,
			      .aio_buf = (uint64_t)s->memory, .aio_nbytes = 64 };
	struct iocb *list = &block;
	aio_context_t context = 0;
	struct io_event event;
	long result = ERR(syscall(SYS_io_setup, 4, &context));

	if (result < 0)
		return result;
	result = ERR(syscall(SYS_io_submit, context, 1, &list));
	if (result == 1)
		result = ERR(syscall(SYS_io_getevents, context, 1, 1, &event, NULL)) == 1 ? event.res : -EIO;
	syscall(SYS_io_destroy, context);
	return result;
}

static long do_aio_read(struct scene *s)
{
	return asynchronous(s, IOCB_CMD_PREAD);
}

static long do_aio_write(struct scene *s)
{
	return asynchronous(s, IOCB_CMD_PWRITE);
}

static long do_fallocate(struct scene *s)
{
	return ERR(fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
}

static long do_ftruncate(struct scene *s)
{
	return ERR(ftruncate(s->fd, 16));
}

static long map(struct scene *s, int protection, int flags)
{
	void *mapped = mmap(NULL, 4096, protection, flags, s->fd, 0);

	return mapped == MAP_FAILED ? -errno : 0;
}

static long do_mmap_private(struct scene *s)
{
	return map(s, PROT_READ, MAP_PRIVATE);
}

static long do_mmap_write(struct scene *s)
{
	return map(s, PROT_READ | PROT_WRITE, MAP_SHARED);
}

static long do_ioctl(struct scene *s)
{
	int count;

	return ERR(ioctl(s->fd, RNDGETENTCNT, &count));
}

/* A call of the 32-bit table from a 64-bit program. */
static long do_ioctl32(struct scene *s)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(54), "b"((long)s->fd), "c"((long)RNDGETENTCNT), "d"((long)s->memory)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)result;
}

static void block_device(struct scene *s)
{
	s->fd = open("/dev/nullb0", O_RDWR | O_DIRECT);
	if (s->fd < 0)
		die("/dev/nullb0");
}

static long do_block_read(struct scene *s)
{
	return ERR(pread(s->fd, s->memory, 4096, 0));
}

static long do_block_write(struct scene *s)
{
	return ERR(pwrite(s->fd, s->memory, 4096, 0));
}

static long do_block_size(struct scene *s)
{
	uint64_t size;

	return ERR(ioctl(s->fd, BLKGETSIZE64, &size));
}

static long do_block_flush(struct scene *s)
{
	return ERR(ioctl(s->fd, BLKFLSBUF, 0));
}

static long do_block_fallocate(struct scene *s)
{
	return ERR(fallocate(s->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0, 4096));
}

static long do_nonblocking(struct scene *s)
{
	int on = 1;

	return ERR(ioctl(s->fd, FIONBIO, &on));
}

#define FILE_DOOR(title, watched, op, door, where, how, ...) \
	{ .name = title, .hooks = watched, .needs = OP(op), .number = POSTERN_DOOR_##door, .kind = POSTERN_KIND_BUS, \
	  .set_up = where, .operate = how, __VA_ARGS__ }
#define DISK .kind = POSTERN_KIND_DISK
#define IO "file_permission"

#pragma GCC diagnostic ignored "-Woverride-init"
const struct door file_doors[] = {
	FILE_DOOR("read", IO, READ, READ, zero_device, do_read),
	FILE_DOOR("pread", IO, READ, READ, zero_device, do_pread),
	FILE_DOOR("readv", IO, READ, READ, zero_device, do_readv),
	FILE_DOOR("preadv2", IO, READ, READ, zero_device, do_preadv2),
	FILE_DOOR("write", IO, WRITE, WRITE, zero_device, do_write),
	FILE_DOOR("pwrite", IO, WRITE, WRITE, zero_device, do_pwrite),
	FILE_DOOR("writev", IO, WRITE, WRITE, zero_device, do_writev),
	FILE_DOOR("pwritev2", IO, WRITE, WRITE, zero_device, do_pwritev2),
	FILE_DOOR("splice out of a file", IO, READ, READ, plain_file, do_splice_out, DISK),
	FILE_DOOR("splice into a file", IO, WRITE, WRITE, plain_file, do_splice_in, DISK),
	FILE_DOOR("vmsplice, then splice into a file", IO, WRITE, WRITE, plain_file, do_vmsplice_in, DISK),
	FILE_DOOR("tee, then splice into a file", IO, WRITE, WRITE, plain_file, do_tee_in, DISK),
	FILE_DOOR("sendfile from a file", IO, READ, READ, plain_file, do_sendfile_from, DISK),
	FILE_DOOR("sendfile to a file", IO, WRITE, WRITE, plain_file, do_sendfile_to, DISK),
	FILE_DOOR("copy_file_range from a file", IO, READ, READ, plain_file, do_copy_from, DISK),
	FILE_DOOR("copy_file_range to a file", IO, WRITE, WRITE, plain_file, do_copy_to, DISK),
	FILE_DOOR("AIO read", IO, READ, READ, plain_file, do_aio_read, DISK),
	FILE_DOOR("AIO write", IO, WRITE, WRITE, plain_file, do_aio_write, DISK),
	FILE_DOOR("fallocate", IO, WRITE, WRITE, plain_file, do_fallocate, DISK),
	FILE_DOOR("ftruncate", "path_truncate file_truncate", WRITE, WRITE, plain_file, do_ftruncate, DISK),
	FILE_DOOR("mmap, private", "mmap_file", READ, MMAP, plain_file, do_mmap_private, DISK,
		  .flags = POSTERN_ASSOCIATION_MMAP),
	FILE_DOOR("mmap, shared and writable", "mmap_file", WRITE, MMAP, plain_file, do_mmap_write, DISK,
		  .flags = POSTERN_ASSOCIATION_MMAP),
	FILE_DOOR("ioctl", "file_ioctl", CONTROL, IOCTL, random_device, do_ioctl, .has_limit = true),
	FILE_DOOR("ioctl by int 0x80", "file_ioctl_compat file_ioctl", CONTROL, IOCTL, random_device, do_ioctl32,
		  .has_limit = true),
	FILE_DOOR("FIONBIO", "file_ioctl", CONTROL, IOCTL, zero_device, do_nonblocking, .is_description = true),
	FILE_DOOR("O_DIRECT read of a block device", IO, READ, READ, block_device, do_block_read, DISK),
	FILE_DOOR("O_DIRECT write to a block device", IO, WRITE, WRITE, block_device, do_block_write, DISK),
	FILE_DOOR("BLKGETSIZE64", "file_ioctl", INFO, IOCTL, block_device, do_block_size, DISK),
	FILE_DOOR("BLKFLSBUF", "file_ioctl", FLUSH, IOCTL, block_device, do_block_flush, DISK),
	FILE_DOOR("fallocate of a block device", IO, WRITE, WRITE, block_device, do_block_fallocate, DISK),
};
const int file_door_count = sizeof(file_doors) / sizeof(*file_doors);
