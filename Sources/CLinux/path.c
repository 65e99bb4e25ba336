/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "clinux_path.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

const uint64_t clinux_type_proc = PROC_SUPER_MAGIC;
const uint64_t clinux_type_apparmor = AAFS_MAGIC;
const uint64_t clinux_type_fuse = FUSE_SUPER_MAGIC;

/* include/linux/statfs.h: reported in f_flags, but in no header for programs */
#define STATFS_NOSYMFOLLOW 0x2000

int clinux_path_open(int directory, const uint8_t *path, enum clinux_path_open how, uint64_t resolve)
{
	static const uint64_t flags[] = {
		[CLINUX_PATH_ENTRY] = O_PATH | O_NOFOLLOW,
		[CLINUX_PATH_DIRECTORY] = O_PATH | O_NOFOLLOW | O_DIRECTORY,
		[CLINUX_PATH_FOLLOW] = O_PATH,
		[CLINUX_PATH_READ] = O_RDONLY | O_NOCTTY | O_NONBLOCK,
	};
	struct open_how request = { .flags = flags[how] | O_CLOEXEC, .resolve = resolve };

	return (int)syscall(SYS_openat2, directory, path, &request, sizeof(request));
}

int clinux_path_facts(int fd, struct clinux_path_facts *out)
{
	struct statx status;
	struct statfs system;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &status))
		return -1;
	memset(out, 0, sizeof(*out));
	out->device = ((uint64_t)status.stx_dev_major << 32) | status.stx_dev_minor;
	out->inode = status.stx_ino;
	out->mount = status.stx_mnt_id;
	out->mode = status.stx_mode;
	out->uid = status.stx_uid;
	if (!S_ISLNK(status.stx_mode) && !S_ISDIR(status.stx_mode))
		return 0;
	if (fstatfs(fd, &system))
		return -1;
	out->type = (uint32_t)system.f_type;
	out->no_symlinks = (system.f_flags & STATFS_NOSYMFOLLOW) != 0;
	return 0;
}

ssize_t clinux_path_read_link(int fd, uint8_t *text, size_t capacity)
{
	return readlinkat(fd, "", (char *)text, capacity);
}

int clinux_file_is_on_devpts(int fd)
{
	struct statfs system;

	if (fstatfs(fd, &system))
		return -1;
	return (uint32_t)system.f_type == DEVPTS_SUPER_MAGIC;
}

int clinux_file_set_blocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -1;
	return fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}
