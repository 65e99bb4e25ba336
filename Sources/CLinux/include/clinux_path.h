/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of another process: openat2(2), statx(2), and what Swift's Glibc module leaves out of open(2). */
#ifndef CLINUX_PATH_H
#define CLINUX_PATH_H

#include <linux/openat2.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* How clinux_path_open opens; always close-on-exec. */
enum clinux_path_open {
	CLINUX_PATH_ENTRY,     /* O_PATH | O_NOFOLLOW: a symbolic link itself */
	CLINUX_PATH_DIRECTORY, /* O_PATH | O_NOFOLLOW | O_DIRECTORY: mounts what is mounted on demand */
	CLINUX_PATH_FOLLOW,    /* O_PATH */
	CLINUX_PATH_READ,      /* O_RDONLY */
};

/* openat2(2); path ends with a zero byte. A descriptor, or -1 with errno. */
int clinux_path_open(int directory, const uint8_t *path, enum clinux_path_open how, uint64_t resolve);

struct clinux_path_facts {
	uint64_t device;
	uint64_t inode;
	uint64_t mount; /* STATX_MNT_ID */
	uint64_t type;	/* of the file system: linux/magic.h */
	uint32_t mode;
	uint32_t uid;
	uint32_t no_symlinks; /* mounted nosymfollow */
};

/* statx(2) and, for symbolic links and directories, fstatfs(2). 0, or -1 with errno. */
int clinux_path_facts(int fd, struct clinux_path_facts *out);

extern const uint64_t clinux_type_proc;
extern const uint64_t clinux_type_apparmor;
extern const uint64_t clinux_type_fuse;

/* The text of the symbolic link that fd pins; capacity bytes mean that it was cut. */
ssize_t clinux_path_read_link(int fd, uint8_t *text, size_t capacity);

/* 1: a pseudoterminal's file, whose number means something in its own devpts(5) only; 0; -1 with errno. */
int clinux_file_is_on_devpts(int fd);

/* fcntl(2) F_SETFL without O_NONBLOCK. */
int clinux_file_set_blocking(int fd);

/* Bits of open(2) as the kernel of this machine numbers them; the C library's O_LARGEFILE is 0 on 64 bits. */
extern const uint64_t clinux_o_accmode, clinux_o_wronly, clinux_o_rdwr, clinux_o_creat, clinux_o_excl, clinux_o_noctty,
	clinux_o_trunc, clinux_o_append, clinux_o_nonblock, clinux_o_dsync, clinux_o_sync, clinux_o_async,
	clinux_o_direct, clinux_o_largefile, clinux_o_directory, clinux_o_nofollow, clinux_o_noatime, clinux_o_cloexec,
	clinux_o_path, clinux_o_tmpfile;

/* unshare(2) CLONE_FS for the calling thread: a root, working directory and umask of its own. 0, or -1 with errno. */
int clinux_thread_own_surroundings(void);

/*
 * unshare(2) CLONE_FILES for the calling thread: descriptors of its own, of all that there are those below 3 and these,
 * in ascending order. 0, or -1 with errno.
 */
int clinux_thread_own_descriptors(const int *kept, size_t count);

struct clinux_bind_as {
	uint32_t uid;
	uint32_t gid;
	uint32_t umask;
};

/*
 * bind(2) of a unix socket to name (at most 108 bytes, no zero byte among them) with working directory directory, as
 * that owner and with that umask, but with our capabilities. Only on a thread that clinux_thread_own_surroundings made
 * separate (EINVAL). Everything is as before afterwards, or the process aborts. 0, or -1 with errno.
 */
int clinux_unix_bind_as(int fd, int directory, const uint8_t *name, size_t length, const struct clinux_bind_as *as);

#endif
