// SPDX-License-Identifier: Apache-2.0
/*
 * Opens a device or file in every way that a program may, and prints what it gets: to be compared with what
 * root gets without Postern.
 *
 * Usage: opens DEVICE LINK, where LINK is a symbolic link to DEVICE.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void close_on_exec_of(int fd, char *text, size_t size)
{
	char path[64], line[128];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	FILE *info = fopen(path, "re");

	snprintf(text, size, "?");
	while (info && fgets(line, sizeof(line), info))
		if (sscanf(line, "flags: %127s", line) == 1)
			snprintf(text, size, "%s", line);
	if (info)
		fclose(info);
}

/* Prints the result of one open and gives the descriptor, -1 where there is none. */
static int told(const char *what, int fd)
{
	if (fd < 0) {
		printf("%s: %s\n", what, strerrorname_np(errno));
		return -1;
	}
	_Alignas(4096) static char bytes[4096];
	char flags[128];
	ssize_t count = pread(fd, bytes, sizeof(bytes), 0);
	const char *failure = count < 0 ? strerrorname_np(errno) : "";
	struct stat status;

	close_on_exec_of(fd, flags, sizeof(flags));
	fstat(fd, &status);
	printf("%s: number %d, flags %s, status %x, read %zd%s %.5s, end %lld, device %lx\n", what, fd, flags,
	       (unsigned)fcntl(fd, F_GETFL), count, failure, count > 0 ? bytes : "-", (long long)lseek(fd, 0, SEEK_END),
	       (unsigned long)status.st_rdev);
	return fd;
}

static void try(const char *what, int fd)
{
	if (told(what, fd) >= 0)
		close(fd);
}

static int openat2_(int directory, const char *path, unsigned long long flags, unsigned long long resolve)
{
	struct open_how how = { .flags = flags, .resolve = resolve };

	return syscall(SYS_openat2, directory, path, &how, sizeof(how));
}

int main(int count, char **arguments)
{
	if (count < 3)
		return 64;
	const char *device = arguments[1], *link = arguments[2];
	char folder[4096], through[64];

	snprintf(folder, sizeof(folder), "%s", device);
	*strrchr(folder, '/') = 0;
	const char *base = strrchr(device, '/') + 1;

	try("open O_RDONLY", syscall(SYS_open, device, O_RDONLY));
	try("open O_WRONLY", syscall(SYS_open, device, O_WRONLY));
	try("open O_RDWR", syscall(SYS_open, device, O_RDWR));
	try("open of access mode 3", syscall(SYS_open, device, O_ACCMODE));
	try("openat", openat(AT_FDCWD, device, O_RDONLY));
	try("openat with a folder that is not used", openat(-1, device, O_RDONLY));
	try("O_CLOEXEC", openat(AT_FDCWD, device, O_RDONLY | O_CLOEXEC));
	try("O_NONBLOCK", openat(AT_FDCWD, device, O_RDONLY | O_NONBLOCK));
	try("O_SYNC", openat(AT_FDCWD, device, O_RDONLY | O_SYNC));
	try("O_DSYNC", openat(AT_FDCWD, device, O_RDONLY | O_DSYNC));
	try("O_DIRECT", openat(AT_FDCWD, device, O_RDONLY | O_DIRECT));
	try("O_APPEND", openat(AT_FDCWD, device, O_RDONLY | O_APPEND));
	try("O_ASYNC", openat(AT_FDCWD, device, O_RDONLY | O_ASYNC));
	try("O_EXCL", openat(AT_FDCWD, device, O_RDONLY | O_EXCL));
	try("O_NOCTTY", openat(AT_FDCWD, device, O_RDONLY | O_NOCTTY));
	try("O_CREAT", openat(AT_FDCWD, device, O_RDONLY | O_CREAT, 0600));
	try("O_CREAT and O_EXCL", openat(AT_FDCWD, device, O_RDONLY | O_CREAT | O_EXCL, 0600));
	try("O_DIRECTORY", openat(AT_FDCWD, device, O_RDONLY | O_DIRECTORY));
	try("O_PATH", openat(AT_FDCWD, device, O_PATH));
	try("O_TMPFILE", openat(AT_FDCWD, device, O_TMPFILE | O_RDWR, 0600));
	try("O_NOFOLLOW", openat(AT_FDCWD, device, O_RDONLY | O_NOFOLLOW));
	try("a slash at the end", openat(AT_FDCWD, strcat(strcpy(through, base), "/"), O_RDONLY));
	try("a link", openat(AT_FDCWD, link, O_RDONLY));
	try("a link with O_NOFOLLOW", openat(AT_FDCWD, link, O_RDONLY | O_NOFOLLOW));
	try("the empty name", openat(AT_FDCWD, "", O_RDONLY));
	try("no memory", openat(AT_FDCWD, (const char *)8, O_RDONLY));
	try("too long", openat(AT_FDCWD, memset(calloc(1, 5001), '/', 5000), O_RDONLY));

	int directory = open(folder, O_RDONLY | O_DIRECTORY);
	int pathed = open(folder, O_PATH);

	try("relative to a folder", openat(directory, base, O_RDONLY));
	try("relative to a folder by O_PATH", openat(pathed, base, O_RDONLY));
	try("relative to no descriptor", openat(500, base, O_RDONLY));
	try("openat2", openat2_(AT_FDCWD, device, O_RDONLY, 0));
	try("openat2 beneath", openat2_(directory, base, O_RDONLY, RESOLVE_BENEATH));
	try("openat2 beneath, from outside", openat2_(directory, device, O_RDONLY, RESOLVE_BENEATH));
	try("openat2 in root", openat2_(directory, base, O_RDONLY, RESOLVE_IN_ROOT));
	try("openat2 without links", openat2_(AT_FDCWD, link, O_RDONLY, RESOLVE_NO_SYMLINKS));
	try("openat2 without other mounts", openat2_(directory, base, O_RDONLY, RESOLVE_NO_XDEV));
	try("openat2 with an unknown flag", openat2_(AT_FDCWD, device, 1ULL << 40, 0));
	try("openat2 of another size", syscall(SYS_openat2, AT_FDCWD, device, &(struct open_how){}, 7));
	if (chdir(folder))
		return 1;
	try("relative to the working directory", openat(AT_FDCWD, base, O_RDONLY));

	/* Reopening what is open (proc(5)): by O_PATH, and by what was opened. */
	int path = open(device, O_PATH);

	snprintf(through, sizeof(through), "/proc/self/fd/%d", path);
	try("an O_PATH descriptor again", open(through, O_RDONLY));
	close(path);
	int opened = open(device, O_RDONLY);

	snprintf(through, sizeof(through), "/proc/self/fd/%d", opened);
	try("/proc/self/fd", open(through, O_RDONLY));
	snprintf(through, sizeof(through), "/proc/thread-self/fd/%d", opened);
	try("/proc/thread-self/fd", open(through, O_RDONLY));
	snprintf(through, sizeof(through), "/dev/fd/%d", opened);
	try("/dev/fd", open(through, O_RDONLY));
	dup2(opened, 0);
	try("/dev/stdin", open("/dev/stdin", O_RDONLY));
	/* Last: it empties a file. */
	try("creat", syscall(SYS_creat, device, 0600));
	return 0;
}
