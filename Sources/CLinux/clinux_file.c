/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "clinux_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/statfs.h>
#include <sys/uio.h>

int clinux_file_pin(const char *path, int follow)
{
	return open(path, O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
}

int clinux_file_reopen(int fd, int flags)
{
	/* A supervisor's thread has descriptors of its own. */
	char path[40];

	snprintf(path, sizeof(path), "/proc/thread-self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC | O_NOCTTY);
}

int clinux_cached_identity(int fd, uint64_t *device, uint64_t *inode)
{
	struct statx raw;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &raw))
		return -1;
	*device = makedev(raw.stx_dev_major, raw.stx_dev_minor);
	*inode = raw.stx_ino;
	return 0;
}

int clinux_file_status(int fd, struct clinux_file_status *status)
{
	struct stat raw;

	if (fstat(fd, &raw))
		return -1;
	status->device = raw.st_dev;
	status->inode = raw.st_ino;
	status->links = raw.st_nlink;
	status->special_device = raw.st_rdev;
	status->size = (uint64_t)raw.st_size;
	status->mode = raw.st_mode;
	status->block_size = (uint32_t)raw.st_blksize;
	return 0;
}

/* fs/configfs/mount.c and ipc/mqueue.c, which linux/magic.h does not have */
#define CONFIGFS_MAGIC 0x62656570
#define MQUEUE_MAGIC 0x19800202

int clinux_file_is_kernels(int fd)
{
	struct statfs system;

	if (fstatfs(fd, &system))
		return -1;
	switch ((uint32_t)system.f_type) {
	case PROC_SUPER_MAGIC:
	case SYSFS_MAGIC:
	case BPF_FS_MAGIC:
	case DEBUGFS_MAGIC:
	case TRACEFS_MAGIC:
	case SECURITYFS_MAGIC:
	case SELINUX_MAGIC:
	case SMACK_MAGIC:
	case AAFS_MAGIC:
	case CGROUP_SUPER_MAGIC:
	case CGROUP2_SUPER_MAGIC:
	case RDTGROUP_SUPER_MAGIC:
	case CONFIGFS_MAGIC:
	case MQUEUE_MAGIC:
	case DEVPTS_SUPER_MAGIC:
	case BINDERFS_SUPER_MAGIC:
	case BINFMTFS_MAGIC:
	case PSTOREFS_MAGIC:
	case EFIVARFS_MAGIC:
	case OPENPROM_SUPER_MAGIC:
	case USBDEVICE_SUPER_MAGIC:
	case XENFS_SUPER_MAGIC:
	case NSFS_MAGIC:
	case PIPEFS_MAGIC:
	case SOCKFS_MAGIC:
	case ANON_INODE_FS_MAGIC:
	case DMA_BUF_MAGIC:
	case DEVMEM_MAGIC:
	case SECRETMEM_MAGIC:
		return 1;
	default:
		return 0;
	}
}

ssize_t clinux_file_read_cached(int fd, void *bytes, size_t count, off_t offset)
{
	struct iovec vector = { .iov_base = bytes, .iov_len = count };

	return preadv2(fd, &vector, 1, offset, RWF_NOWAIT);
}

int clinux_file_punch_hole(int fd, off_t offset, off_t length)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
}

int clinux_block_geometry(int fd, struct clinux_block_geometry *geometry)
{
	uint64_t size = 0, sequence = 0;
	int logical = 0, read_only = 0;
	unsigned int physical = 0;
	unsigned short rotational = 0;

	if (ioctl(fd, BLKGETSIZE64, &size) || ioctl(fd, BLKSSZGET, &logical) || ioctl(fd, BLKPBSZGET, &physical) ||
	    ioctl(fd, BLKROGET, &read_only) || ioctl(fd, BLKROTATIONAL, &rotational))
		return -1;
#ifdef BLKGETDISKSEQ
	if (ioctl(fd, BLKGETDISKSEQ, &sequence))
		sequence = 0;
#endif
	geometry->size = size;
	geometry->sequence = sequence;
	geometry->logical_block = (uint32_t)logical;
	geometry->physical_block = physical;
	geometry->read_only = read_only != 0;
	geometry->rotational = rotational != 0;
	return 0;
}

int clinux_block_discard(int fd, uint64_t offset, uint64_t length)
{
	uint64_t range[2] = { offset, length };

	return ioctl(fd, BLKDISCARD, range);
}
