/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A socket file on behalf of another process (unix(7)). The file's owner is the thread's fsuid and fsgid, its mode the
 * socket's less the thread's umask; all three, and the working directory, belong to the calling thread alone.
 */
#define _GNU_SOURCE
#include "clinux_path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static _Thread_local int is_separate;

int clinux_thread_own_surroundings(void)
{
	if (unshare(CLONE_FS))
		return -1;
	is_separate = 1;
	return 0;
}

int clinux_thread_own_descriptors(const int *kept, size_t count)
{
	unsigned int first = 3;

	if (unshare(CLONE_FILES))
		return -1;
	for (size_t i = 0; i < count; i++) {
		unsigned int number = (unsigned int)kept[i];

		if (number > first && syscall(SYS_close_range, first, number - 1, 0))
			return -1;
		if (number >= first)
			first = number + 1;
	}
	return (int)syscall(SYS_close_range, first, ~0U, 0);
}

struct capabilities {
	struct __user_cap_header_struct head;
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
};

/* The C library's wrappers change every thread of the process; these change the calling one. */
static int get_capabilities(struct capabilities *capabilities)
{
	memset(capabilities, 0, sizeof(*capabilities));
	capabilities->head.version = _LINUX_CAPABILITY_VERSION_3;
	return (int)syscall(SYS_capget, &capabilities->head, capabilities->data);
}

static int set_capabilities(struct capabilities *capabilities)
{
	return (int)syscall(SYS_capset, &capabilities->head, capabilities->data);
}

/* setfsuid(2) tells no error; an impossible id changes nothing and tells what is. */
static int owner(uint32_t uid, uint32_t gid)
{
	setfsgid(gid);
	setfsuid(uid);
	return (uint32_t)setfsuid((uid_t)-1) == uid && (uint32_t)setfsgid((gid_t)-1) == gid ? 0 : -1;
}

int clinux_unix_bind_as(int fd, int directory, const uint8_t *name, size_t length, const struct clinux_bind_as *as)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct capabilities before;
	uint32_t uid, gid;
	mode_t mask;
	int here, result = -1, code;

	if (!is_separate || !length || length > sizeof(address.sun_path) || memchr(name, 0, length)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(address.sun_path, name, length);
	if (get_capabilities(&before))
		return -1;
	here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (here < 0)
		return -1;
	if (fchdir(directory)) {
		code = errno;
		close(here);
		errno = code;
		return -1;
	}
	uid = (uint32_t)setfsuid((uid_t)-1);
	gid = (uint32_t)setfsgid((gid_t)-1);
	mask = umask((mode_t)as->umask & 0777);

	/* Leaving fsuid 0 takes CAP_DAC_OVERRIDE from the effective set (capabilities(7)); the grant is the permission. */
	if (owner(as->uid, as->gid))
		errno = EPERM;
	else if (!set_capabilities(&before))
		result = bind(fd, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
	code = errno;

	/* Coming back to fsuid 0 would add capabilities that had been given up for the time. */
	if (owner(uid, gid) || set_capabilities(&before) || fchdir(here))
		abort();
	umask(mask);
	close(here);
	errno = code;
	return result;
}
