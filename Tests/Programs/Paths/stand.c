/* SPDX-License-Identifier: Apache-2.0 */
/* A program that stands somewhere in the file system and opens what it is told, one line at a time (PathTests). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static sem_t ready;
static pid_t made;
static char words[6][8192];

static void answer(int failed)
{
	if (failed)
		printf("error %d\n", errno);
	else
		printf("ok\n");
}

static int put(int fd, int number)
{
	if (fd < 0)
		return -1;
	if (fd != number) {
		if (dup2(fd, number) < 0)
			return -1;
		close(fd);
	}
	return 0;
}

/* "file DEVICE INODE" or "error ERRNO": openat2(2) with FLAGS and RESOLVE, or openat(2) where RESOLVE is 0. */
static void try_open(int directory, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = resolve };
	struct stat status;
	int fd;

	if (resolve)
		fd = (int)syscall(SYS_openat2, directory, path, &how, sizeof(how));
	else
		fd = openat(directory, path, (int)how.flags);
	if (fd < 0) {
		printf("error %d\n", errno);
		return;
	}
	fstat(fd, &status);
	printf("file %llu %llu\n", (unsigned long long)status.st_dev, (unsigned long long)status.st_ino);
	close(fd);
}

/* A thread with a working directory (and, asked for, descriptors) of its own, which then waits for ever. */
static void *stand(void *files)
{
	int failed = unshare(files ? CLONE_FS | CLONE_FILES : CLONE_FS) || chdir(words[1]);

	if (!failed && files)
		failed = put(open(words[2], O_RDONLY | O_CLOEXEC), 9);
	made = failed ? -errno : gettid();
	sem_post(&ready);
	for (;;)
		pause();
	return NULL;
}

/* Lets the link words[1] lead to words[2] and words[3] in turn. */
static void *swap(void *unused)
{
	char link[8200];

	snprintf(link, sizeof(link), "%s.next", words[1]);
	sem_post(&ready);
	for (unsigned int turn = 0;; turn++) {
		unlink(link);
		if (symlink(words[2 + turn % 2], link) || rename(link, words[1]))
			abort();
	}
	return unused;
}

/* Mounts the link source itself on the link target itself. */
static int mount_over(const char *source, const char *target)
{
	int tree = open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	int result = tree < 0 ? -1 : move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);

	if (tree >= 0)
		close(tree);
	return result;
}

static void start(void *(*body)(void *), void *argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, body, argument))
		abort();
	while (sem_wait(&ready))
		;
}

static int is(const char *word)
{
	return !strcmp(words[0], word);
}

int main(void)
{
	static char line[32768];

	setvbuf(stdout, NULL, _IOLBF, 0);
	sem_init(&ready, 0, 0);
	/* Ends by itself where the test has died. */
	alarm(900);
	while (fgets(line, sizeof(line), stdin)) {
		char *rest = line;

		line[strcspn(line, "\n")] = 0;
		for (int index = 0; index < 6; index++) {
			char *word = strsep(&rest, " ");

			snprintf(words[index], sizeof(words[index]), "%s", word ? word : "");
		}
		if (is("pid"))
			printf("%d\n", getpid());
		else if (is("cwd"))
			answer(chdir(words[1]));
		else if (is("chroot"))
			answer(chroot(words[1]));
		else if (is("fd"))
			answer(put(open(words[1], O_RDONLY | O_NONBLOCK | O_CLOEXEC), atoi(words[2])));
		else if (is("open"))
			try_open(atoi(words[1]), words[2], strtoull(words[3], NULL, 10), strtoull(words[4], NULL, 10));
		else if (is("thread")) {
			start(stand, *words[2] ? words : NULL);
			printf("%d\n", made);
		} else if (is("mounts"))
			answer(unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
		else if (is("tmpfs"))
			answer(mount("tmpfs", words[1], "tmpfs", *words[2] ? MS_NODEV : 0, NULL));
		else if (is("proc"))
			answer(mount("proc", words[1], "proc", 0, NULL));
		else if (is("bind"))
			answer(mount(words[1], words[2], NULL, MS_BIND, NULL));
		else if (is("over"))
			answer(mount_over(words[1], words[2]));
		else if (is("node"))
			answer(mknod(words[1], S_IFCHR | 0666, makedev(atoi(words[2]), atoi(words[3]))));
		else if (is("user"))
			answer(setresgid(atoi(words[1]), atoi(words[1]), atoi(words[1])) ||
			       setresuid(atoi(words[1]), atoi(words[1]), atoi(words[1])));
		else if (is("umask"))
			printf("%o\n", umask((mode_t)strtoul(words[1], NULL, 8)));
		else if (is("swap")) {
			start(swap, NULL);
			printf("ok\n");
		} else
			printf("what?\n");
	}
	return 0;
}
