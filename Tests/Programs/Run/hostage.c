// SPDX-License-Identifier: Apache-2.0
/*
 * Holds up whoever looks at a program's memory or files, for as long as it likes.
 *
 *	serve FOLDER		as root: mounts a file system (fuse(4)) that everybody may look at, serves it as an ordinary
 *				user, and never answers a read. Prints "mounted", and "held" at each read.
 *	bind FILE PORT		an address that lies in a file there
 *	open FILE		a path that lies there
 *	resolve FOLDER		a path that leads through a file whose attributes are never told
 *	exec FILE		runs it
 *	ask FILE SOCKET		keeps its memory map to itself, by reading its own memory that lies in a file there while another
 *				thread waits to change the map, and asks the broker for an object then. Prints "asked".
 */
#define _GNU_SOURCE
#include "../LifeCycle/wire.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define NOBODY 65534
#define SILENT 3

static int device;
static char room[1 << 17];

static void answer(uint64_t unique, int error, const void *body, size_t size)
{
	struct fuse_out_header head = { .len = (uint32_t)(sizeof(head) + size), .error = -error, .unique = unique };
	struct iovec parts[2] = {
		{ .iov_base = &head, .iov_len = sizeof(head) }, { .iov_base = (void *)body, .iov_len = size },
	};

	if (writev(device, parts, 2) < 0)
		fprintf(stderr, "fuse: %s\n", strerror(errno));
}

static struct fuse_attr attributes(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node, .size = 1 << 20, .mode = node == 1 ? S_IFDIR | 0755 : S_IFREG | 0755, .nlink = 1, .uid = NOBODY,
		.gid = NOBODY, .blksize = 4096,
	};
}

static void serve_one(const struct fuse_in_header *request, const void *body)
{
	switch (request->opcode) {
	case FUSE_INIT: {
		const struct fuse_init_in *asked = body;
		struct fuse_init_out reply = {
			.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .max_readahead = asked->max_readahead,
			.max_write = 4096,
		};

		answer(request->unique, 0, &reply, sizeof(reply));
		return;
	}
	case FUSE_LOOKUP: {
		uint64_t node = !strcmp(body, "silent") ? SILENT : 2;
		struct fuse_entry_out reply = { .nodeid = node, .entry_valid = 3600, .attr_valid = node == SILENT ? 0 : 3600 };

		reply.attr = attributes(node);
		answer(request->unique, 0, &reply, sizeof(reply));
		return;
	}
	case FUSE_GETATTR: {
		struct fuse_attr_out reply = { .attr_valid = 3600, .attr = attributes(request->nodeid) };

		if (request->nodeid == SILENT)
			break;
		answer(request->unique, 0, &reply, sizeof(reply));
		return;
	}
	case FUSE_OPEN: {
		struct fuse_open_out reply = { 0 };

		answer(request->unique, 0, &reply, sizeof(reply));
		return;
	}
	case FUSE_READ:
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_ACCESS:
		answer(request->unique, 0, NULL, 0);
		return;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return;
	default:
		answer(request->unique, ENOSYS, NULL, 0);
		return;
	}
	puts("held");
	fflush(stdout);
}

static int serve(const char *folder)
{
	char options[128];
	struct pollfd entries[2] = { { .events = POLLIN }, { .fd = 0, .events = POLLIN } };

	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=%d,group_id=%d,allow_other,default_permissions",
		 device, NOBODY, NOBODY);
	if (device < 0 || mount("hostage", folder, "fuse.hostage", MS_NOSUID | MS_NODEV, options) ||
	    setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY)) {
		printf("%s\n", strerrorname_np(errno));
		return 69;
	}
	puts("mounted");
	fflush(stdout);
	entries[0].fd = device;
	while (poll(entries, 2, -1) > 0 && !entries[1].revents) {
		ssize_t size = read(device, room, sizeof(room));

		if (size < 0 && errno == ENODEV)
			break;
		if (size >= (ssize_t)sizeof(struct fuse_in_header))
			serve_one((struct fuse_in_header *)room, room + sizeof(struct fuse_in_header));
	}
	return 0;
}

/* Without read-ahead the reader waits for the answer itself, and no signal ends that once it was asked. */
static void *map(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	void *memory = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE, fd, 0);

	if (fd < 0 || memory == MAP_FAILED || madvise(memory, 1 << 20, MADV_RANDOM))
		exit(69);
	return memory;
}

/* The kernel has the map locked for readers while it waits for the page (mm/memory.c, __access_remote_vm). */
static void *read_own(void *memory)
{
	char byte;

	/* The other thread is to have its stack. */
	usleep(100000);
	if (pread(open("/proc/self/mem", O_RDONLY | O_CLOEXEC), &byte, 1, (off_t)(uintptr_t)memory) != 1)
		exit(69);
	return NULL;
}

/* Behind who waits to write no more readers are let in (rwsem). */
static void *change_map(void *unused)
{
	usleep(300000);
	mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return unused;
}

static int ask(const char *file, const char *socket)
{
	int first = wire_connect(socket), broker = wire_connect(socket);
	struct wire_outcome outcome;
	pthread_t threads[2];

	/* Once before, so that no page is missing later. */
	if (broker < 0 || wire_send_open(first, "image", 1) < 0 || wire_reply(first, &outcome) < 0 ||
	    pthread_create(&threads[0], NULL, read_own, map(file)) || pthread_create(&threads[1], NULL, change_map, NULL))
		return 69;
	usleep(700000);
	if (wire_send_open(broker, "image", 1) < 0 || write(1, "asked\n", 6) != 6)
		return 69;
	pause();
	return 0;
}

int main(int count, char **arguments)
{
	const char *what = count > 2 ? arguments[1] : "";
	long result = 0;

	alarm(120);
	if (!strcmp(what, "serve"))
		return serve(arguments[2]);
	if (!strcmp(what, "bind") && count == 4) {
		struct sockaddr *address = map(arguments[2]);

		result = bind(socket(AF_INET, SOCK_STREAM, 0), address, sizeof(struct sockaddr_in));
	} else if (!strcmp(what, "open") && count == 3) {
		result = open(map(arguments[2]), O_RDONLY);
	} else if (!strcmp(what, "resolve") && count == 3) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/silent", arguments[2]);
		result = open(path, O_RDONLY);
	} else if (!strcmp(what, "exec") && count == 3) {
		result = execl(arguments[2], arguments[2], NULL);
	} else if (!strcmp(what, "ask") && count == 4) {
		return ask(arguments[2], arguments[3]);
	} else {
		return 64;
	}
	puts(result < 0 ? strerrorname_np(errno) : "ok");
	return 0;
}
