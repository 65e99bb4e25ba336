// SPDX-License-Identifier: Apache-2.0
/*
 * An ordinary program that takes ways around what is looked at. Prints one line: what each way came to, "ok" or an error.
 *
 *	abis PORT FILE			the 32-bit and the x32 ABI
 *	ring PORT FILE			io_uring
 *	sizes FILE			openat2 with sizes of struct open_how that are and are not allowed
 *	vfork PORT, sharing PORT	a child that shares the memory and has its caller wait; one that shares the descriptors too
 *	mounts IMAGE OTHER		in a mount namespace of its own, in which names mean other files
 *	jail FOLDER PATH		binds a unix socket to PATH in a root of its own
 *	processes PID			opens the descriptors of that process, and of its own what it has not
 *	identity			the real and the effective user
 *	hold FILE			opens it and keeps it until its input ends
 *	write FILE			asks for the right to write
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* linux/io_uring.h of Linux 6.11 */
#define OP_BIND 56
/* asm/unistd_32.h */
#define I386_OPEN 5
#define I386_BIND 361
#define X32_BIT 0x40000000

static const char *name_of(long result)
{
	return result >= 0 ? "ok" : strerrorname_np((int)-result);
}

static struct sockaddr_in *address_of(int port)
{
	/* Where 32 bits lead to it too. */
	struct sockaddr_in *address = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	address->sin_family = AF_INET;
	address->sin_port = htons((in_port_t)port);
	return address;
}

static sigjmp_buf back;

static void no_such_abi(int number)
{
	(void)number;
	siglongjmp(back, 1);
}

static long call32(long number, long first, long second, long third)
{
	long result = -ENOSYS;

#ifdef __x86_64__
	signal(SIGSEGV, no_such_abi);
	if (!sigsetjmp(back, 1))
		__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(first), "c"(second), "d"(third)
				 : "memory", "r8", "r9", "r10", "r11");
	signal(SIGSEGV, SIG_DFL);
#endif
	return result;
}

static int abis(int port, const char *file)
{
	struct sockaddr_in *address = address_of(port);
	char *path = (char *)address + 4096;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	long opened, bound, x32;

	strncpy(path, file, 4095);
	bound = call32(I386_BIND, fd, (long)address, sizeof(*address));
	opened = call32(I386_OPEN, (long)path, O_RDONLY, 0);
	x32 = syscall(X32_BIT | SYS_bind, fd, address, sizeof(*address));
	printf("bind=%s open=%s x32=%s\n", name_of((int)bound), name_of((int)opened), name_of(x32 < 0 ? -errno : x32));
	return 0;
}

static long on_ring(int ring, struct io_uring_sqe *entries, unsigned *tail, unsigned *array,
		    const struct io_uring_params *sizes, unsigned char *queue, const struct io_uring_sqe *entry)
{
	unsigned index = *tail & (sizes->sq_entries - 1);
	struct io_uring_cqe *completed = (struct io_uring_cqe *)(queue + sizes->cq_off.cqes);
	unsigned *head = (unsigned *)(queue + sizes->cq_off.head);
	unsigned at;

	entries[index] = *entry;
	array[index] = index;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	at = *head & (sizes->cq_entries - 1);
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return completed[at].res;
}

static int ring(int port, const char *file)
{
	struct sockaddr_in *address = address_of(port);
	struct io_uring_params sizes = { 0 };
	struct io_uring_sqe open = { .opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (uintptr_t)file };
	struct io_uring_sqe bind = { .opcode = OP_BIND, .addr = (uintptr_t)address, .addr2 = sizeof(*address) };
	int fd = (int)syscall(SYS_io_uring_setup, 4, &sizes);
	unsigned char *queue, *entries;
	long opened;

	if (fd < 0) {
		printf("absent\n");
		return 0;
	}
	queue = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	entries = mmap(NULL, sizes.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       IORING_OFF_SQES);
	if (queue == MAP_FAILED || entries == MAP_FAILED || !(sizes.features & IORING_FEAT_SINGLE_MMAP))
		return 69;
	bind.fd = socket(AF_INET, SOCK_STREAM, 0);
	opened = on_ring(fd, (struct io_uring_sqe *)entries, (unsigned *)(queue + sizes.sq_off.tail),
			 (unsigned *)(queue + sizes.sq_off.array), &sizes, queue, &open);
	printf("open=%s bind=%s\n", name_of(opened),
	       name_of(on_ring(fd, (struct io_uring_sqe *)entries, (unsigned *)(queue + sizes.sq_off.tail),
			       (unsigned *)(queue + sizes.sq_off.array), &sizes, queue, &bind)));
	return 0;
}

static int sizes(const char *file)
{
	static const size_t all[] = { 0, 8, 23, 24, 25, 32, 4095, 4096, 4097, (size_t)1 << 32 | 24, SIZE_MAX };
	unsigned char *how = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (int dirty = 0; dirty < 2; dirty++)
		for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
			long result;

			memset(how, 0, 4096);
			if (dirty)
				how[24] = 1;
			result = syscall(SYS_openat2, AT_FDCWD, file, how, all[i]);
			printf("%zu:%s ", all[i], name_of(result < 0 ? -errno : result));
		}
	/* A structure that ends where nothing is mapped. */
	munmap(how + 4096, 4096);
	printf("edge:%s ", name_of(syscall(SYS_openat2, AT_FDCWD, file, how + 4096 - 24, 24) < 0 ? -errno : 0));
	printf("beyond:%s\n", name_of(syscall(SYS_openat2, AT_FDCWD, file, how + 4096 - 24, 32) < 0 ? -errno : 0));
	return 0;
}

static int the_port;

static int bind_port(void *descriptor)
{
	const int *given = descriptor;
	int fd = given ? *given : socket(AF_INET, SOCK_STREAM, 0);

	return bind(fd, (struct sockaddr *)address_of(the_port), sizeof(struct sockaddr_in)) ? errno : 0;
}

static int children(const char *kind)
{
	static char stack[65536] __attribute__((aligned(16)));
	int fd = socket(AF_INET, SOCK_STREAM, 0), status = 0;
	struct sockaddr_in name = { 0 };
	socklen_t size = sizeof(name);
	int shares = !strcmp(kind, "sharing");
	int flags = shares ? CLONE_VM | CLONE_FILES | SIGCHLD : CLONE_VM | CLONE_VFORK | SIGCHLD;
	int child = clone(bind_port, stack + sizeof(stack), flags, shares ? &fd : NULL);

	if (child < 0 || waitpid(child, &status, 0) != child)
		return 69;
	getsockname(fd, (struct sockaddr *)&name, &size);
	printf("child=%s port=%d\n", WEXITSTATUS(status) ? strerrorname_np(WEXITSTATUS(status)) : "ok", ntohs(name.sin_port));
	return 0;
}

static const char *outcome(const char *path, const struct stat *forbidden)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return strerrorname_np(errno);
	fstat(fd, &status);
	close(fd);
	return status.st_ino == forbidden->st_ino && status.st_dev == forbidden->st_dev ? "GAINED" : "ok";
}

static void say(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "%s: %s\n", file, strerror(errno));
	close(fd);
}

/* A user namespace in which the user is the same one: without it no file can be made there. */
static int own_namespaces(int flags)
{
	char map[64];
	unsigned user = getuid(), group = getgid();

	if (unshare(CLONE_NEWUSER | flags))
		return -1;
	say("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "%u %u 1", user, user);
	say("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "%u %u 1", group, group);
	say("/proc/self/gid_map", map);
	return 0;
}

static int mounts(const char *image, const char *other)
{
	struct stat forbidden;
	char jailed[PATH_MAX];

	if (stat(other, &forbidden) || own_namespaces(CLONE_NEWNS))
		return 69;
	printf("before=%s ", outcome(image, &forbidden));
	if (mount(other, image, NULL, MS_BIND, NULL))
		return 69;
	printf("over=%s ", outcome(image, &forbidden));
	umount2(image, MNT_DETACH);
	mount(image, other, NULL, MS_BIND, NULL);
	printf("under=%s ", outcome(other, &forbidden));
	umount2(other, MNT_DETACH);
	/* The forbidden file under the granted one's name in a root of its own. */
	if (mount("jail", "/mnt", "tmpfs", 0, NULL))
		return 69;
	snprintf(jailed, sizeof(jailed), "/mnt/file");
	close(open(jailed, O_CREAT | O_WRONLY, 0600));
	if (mount(other, jailed, NULL, MS_BIND, NULL) || chroot("/mnt") || chdir("/"))
		return 69;
	printf("root=%s up=%s\n", outcome("/file", &forbidden), outcome("/../../../file", &forbidden));
	return 0;
}

static int jail(const char *folder, const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(name.sun_path, path, sizeof(name.sun_path) - 1);
	if (own_namespaces(0) || chroot(folder) || chdir("/"))
		return 69;
	printf("bind=%s\n", bind(fd, (struct sockaddr *)&name, sizeof(name)) ? strerrorname_np(errno) : "ok");
	return 0;
}

static int processes(int pid)
{
	static const char *const others[] = { "exe", "root/etc/shadow", "cwd", "mem", "root/proc/self/mem" };
	char path[128];
	int gained = 0, denied = 0;

	for (int number = 0; number < 200; number++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, number);
		if (open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) >= 0)
			gained++;
		else
			denied++;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", number);
		if (fcntl(number, F_GETFD) >= 0)
			continue;
		if (open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) >= 0)
			gained++;
		else
			denied++;
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, others[i]);
		if (open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) >= 0)
			gained++;
		else
			denied++;
	}
	printf("gained=%d denied=%d\n", gained, denied);
	return 0;
}

int main(int count, char **arguments)
{
	const char *what = count > 1 ? arguments[1] : "";
	char byte;

	alarm(120);
	if (!strcmp(what, "identity")) {
		printf("user=%d effective=%d\n", (int)getuid(), (int)geteuid());
		return 0;
	}
	if (count == 4 && !strcmp(what, "abis"))
		return abis(atoi(arguments[2]), arguments[3]);
	if (count == 4 && !strcmp(what, "ring"))
		return ring(atoi(arguments[2]), arguments[3]);
	if (count == 3 && !strcmp(what, "sizes"))
		return sizes(arguments[2]);
	if (count == 3 && (!strcmp(what, "vfork") || !strcmp(what, "sharing"))) {
		the_port = atoi(arguments[2]);
		return children(what);
	}
	if (count == 4 && !strcmp(what, "mounts"))
		return mounts(arguments[2], arguments[3]);
	if (count == 4 && !strcmp(what, "jail"))
		return jail(arguments[2], arguments[3]);
	if (count == 3 && !strcmp(what, "processes"))
		return processes(atoi(arguments[2]));
	if (count == 3 && !strcmp(what, "write")) {
		puts(open(arguments[2], O_RDWR) < 0 ? strerrorname_np(errno) : "ok");
		return 0;
	}
	if (count == 3 && !strcmp(what, "hold")) {
		puts(open(arguments[2], O_RDONLY) < 0 ? strerrorname_np(errno) : "ok");
		fflush(stdout);
		return read(0, &byte, 1) < 0;
	}
	return 64;
}
