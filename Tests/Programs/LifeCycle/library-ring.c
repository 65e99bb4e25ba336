// SPDX-License-Identifier: Apache-2.0
/*
 * A program with a ring of its own (liburing), which it has an object put into and then misuses. Does what it is told one line
 * at a time, and answers with one: a number, or an error's name.
 *
 * Usage: library-ring SOCKET
 *   ring [sqpoll|single|enabled|restricted|files]...   makes a disabled ring with buffers registered, and what is said
 *   open OBJECT [NUMBER]     offers it, or another descriptor
 *   twin PATH                an unrestricted ring with this file in slot 0, as a broker without guards would make it
 *   twin-udp ADDRESS PORT    the same with a socket; `empty` empties the slots and cancels nothing
 *   to ADDRESS PORT          where the request send-to goes; connect, where slot 0 of twin-udp does
 *   do REQUEST               submits one request and waits for it
 *   start REQUEST            submits it; `end` waits for the next completion, `ends` says how many there are
 *   register CALL            a register call
 *   own PATH                 puts a file of the program's own into slot 1
 *   share REQUEST            a forked child that keeps the ring does the request
 *   again OBJECT REQUEST     a forked child makes a ring of its own, revalidates, and does the request
 *   later OBJECT             the same two seconds later, without a request; says nothing before
 *   exec REQUEST             executes itself with the ring open, waits half a second, does the request and ends
 *   stall REQUEST FILE       submits it by a thread that a page of this file, which nobody delivers, keeps in the kernel, out of
 *                            anybody's reach; says whether it is kept there
 *   stalled                  whether it still is
 *   cancel                   what a broker without guards does: empties the slots, and cancels until there is nothing to cancel
 *   put BYTE                 writes 64 MiB of it to slot 0
 *   twin-disk IMAGE          like twin, with a loop device made of it; `leave` takes it out, says so, and closes it a little later
 *   lock                     holds the ring's lock most of the time, until the end
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/loop.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <postern.h>

static postern *connection;
static struct io_uring ring;
static int has_ring, outside = -1;
/* A page of its own: Linux 6.1 registers no buffer in memory of a file, as the page is that .data ends in (io_uring/rsrc.c). */
static char bytes[4096] __attribute__((aligned(4096)));
static int personality;

static long register_call(unsigned int operation, void *argument, unsigned int count)
{
	long result = syscall(SYS_io_uring_register, ring.ring_fd, operation, argument, count);

	return result < 0 ? -errno : result;
}

static void say(long result)
{
	if (result < 0)
		printf("%s\n", strerrorname_np((int)-result) ?: "unknown");
	else
		printf("%ld\n", result);
	fflush(stdout);
}

/* After a refusal: its reason too. */
static void say_refusal(int result)
{
	int reason = result < 0 ? postern_last_reason(NULL, 0) : 0;

	if (reason)
		printf("%s %s\n", strerrorname_np(-result), postern_reason_name(reason));
	else
		say(result);
	fflush(stdout);
}

/* How the ring is mapped, for a program that is executed with it. */
static struct io_uring_params parameters;

static int make(const char *words)
{
	struct iovec buffer = { bytes, sizeof(bytes) };
	int result;

	if (has_ring)
		io_uring_queue_exit(&ring);
	memset(&parameters, 0, sizeof(parameters));
	parameters.flags = IORING_SETUP_R_DISABLED;
	if (strstr(words, "sqpoll"))
		parameters.flags |= IORING_SETUP_SQPOLL;
	if (strstr(words, "single"))
		parameters.flags |= 1U << 12;
	if (strstr(words, "enabled"))
		parameters.flags &= ~IORING_SETUP_R_DISABLED;
	result = io_uring_queue_init_params(256, &ring, &parameters);
	if (result < 0)
		return result;
	has_ring = 1;
	result = io_uring_register_buffers(&ring, &buffer, 1);
	if (result < 0)
		return result;
	personality = io_uring_register_personality(&ring);
	if (strstr(words, "restricted")) {
		struct io_uring_restriction rule = { .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITE };

		return (int)register_call(IORING_REGISTER_RESTRICTIONS, &rule, 1);
	}
	if (strstr(words, "files"))
		return io_uring_register_files(&ring, &(int){ 0 }, 1);
	return 0;
}

static int twin(const char *path)
{
	int result = make(""), slots[16];

	memset(slots, 0xff, sizeof(slots));
	outside = slots[0] = open(path, O_RDWR | O_CLOEXEC);
	if (result < 0 || outside < 0)
		return result < 0 ? result : -errno;
	result = io_uring_register_files(&ring, slots, 16);
	return result < 0 ? result : (int)register_call(IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

static int twin_udp(const char *address, const char *port)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	int result = make(""), slots[16];

	memset(slots, 0xff, sizeof(slots));
	inet_pton(AF_INET, address, &name.sin_addr);
	slots[0] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (result < 0 || bind(slots[0], (struct sockaddr *)&name, sizeof(name)) < 0)
		return result < 0 ? result : -errno;
	outside = slots[0];
	result = io_uring_register_files(&ring, slots, 16);
	return result < 0 ? result : (int)register_call(IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

static int empty(void)
{
	int slots[16];
	struct io_uring_files_update update = { .fds = (uint64_t)(uintptr_t)slots };

	memset(slots, 0xff, sizeof(slots));
	return (int)register_call(IORING_REGISTER_FILES_UPDATE, &update, 16);
}

/* Where send-to goes. */
static struct sockaddr_in destination = { .sin_family = AF_INET };

static int queue(const char *what)
{
	struct io_uring_sqe *entry = io_uring_get_sqe(&ring);
	static struct __kernel_timespec time = { .tv_nsec = 1000000 };
	int slot = 0;

	if (!entry)
		return -EAGAIN;
	if (!strcmp(what, "read"))
		io_uring_prep_read(entry, slot, bytes, 512, 0);
	else if (!strcmp(what, "read-linked"))
		io_uring_prep_read(entry, slot, bytes, 512, 0);
	else if (!strcmp(what, "read-buffer"))
		io_uring_prep_read_fixed(entry, slot, bytes, 512, 0, 0);
	else if (!strcmp(what, "read-own"))
		io_uring_prep_read(entry, 1, bytes, 512, 0);
	else if (!strcmp(what, "read-beyond"))
		io_uring_prep_read(entry, slot, bytes, 512, 1 << 20);
	else if (!strcmp(what, "write"))
		io_uring_prep_write(entry, slot, "overwritten", 11, 0);
	else if (!strcmp(what, "flush"))
		io_uring_prep_fsync(entry, slot, 0);
	else if (!strcmp(what, "nop") || !strcmp(what, "nop-plain"))
		io_uring_prep_nop(entry);
	else if (!strcmp(what, "timeout"))
		io_uring_prep_timeout(entry, &time, 0, 0);
	else if (!strcmp(what, "plain"))
		io_uring_prep_read(entry, outside >= 0 ? outside : 0, bytes, 512, 0);
	else if (!strcmp(what, "personality"))
		io_uring_prep_write(entry, slot, "overwritten", 11, 0);
	else if (!strcmp(what, "install"))
		io_uring_prep_rw(54, entry, slot, NULL, 0, 0); /* FIXED_FD_INSTALL, since 6.8 */
	else if (!strcmp(what, "message"))
		io_uring_prep_rw(IORING_OP_MSG_RING, entry, slot, NULL, 0, 0);
	else if (!strcmp(what, "command"))
		io_uring_prep_rw(IORING_OP_URING_CMD, entry, slot, NULL, 0, 0);
	else if (!strcmp(what, "openat"))
		io_uring_prep_openat(entry, AT_FDCWD, "/dev/null", O_RDONLY, 0);
	else if (!strcmp(what, "splice"))
		io_uring_prep_splice(entry, slot, 0, 1, -1, 512, SPLICE_F_FD_IN_FIXED);
	else if (!strcmp(what, "files"))
		io_uring_prep_files_update(entry, &(int){ 0 }, 1, 1);
	else if (!strcmp(what, "receive"))
		io_uring_prep_recv(entry, slot, bytes, sizeof(bytes), 0);
	else if (!strcmp(what, "receive-worker"))
		io_uring_prep_recv(entry, slot, bytes, sizeof(bytes), 0);
	else if (!strcmp(what, "receive-later"))
		io_uring_prep_recv(entry, slot, bytes, sizeof(bytes), 0);
	else if (!strcmp(what, "send"))
		io_uring_prep_send(entry, slot, "hello", 5, MSG_NOSIGNAL);
	else if (!strcmp(what, "send-to")) {
		io_uring_prep_send(entry, slot, "hello", 5, MSG_NOSIGNAL);
		io_uring_prep_send_set_addr(entry, (struct sockaddr *)&destination, sizeof(destination));
	} else if (!strcmp(what, "accept"))
		io_uring_prep_accept(entry, slot, NULL, NULL, 0);
	else if (!strcmp(what, "accepts"))
		io_uring_prep_multishot_accept(entry, slot, NULL, NULL, 0);
	else if (!strcmp(what, "poll"))
		io_uring_prep_poll_add(entry, slot, POLLIN);
	else
		return -ENOSYS;
	if (strcmp(what, "plain") && strcmp(what, "nop-plain"))
		entry->flags |= IOSQE_FIXED_FILE;
	/* By the thread's own work, when it leaves the kernel; IORING_RECVSEND_POLL_FIRST. */
	if (!strcmp(what, "receive-later"))
		entry->ioprio = 1;
	if (!strcmp(what, "receive-worker"))
		entry->flags |= IOSQE_ASYNC;
	if (!strcmp(what, "read-linked"))
		entry->flags |= IOSQE_IO_LINK;
	if (!strcmp(what, "personality"))
		entry->personality = (uint16_t)personality;
	return 0;
}

static int prepare(const char *what)
{
	int result = queue(what);

	return result < 0 ? result : io_uring_submit(&ring);
}

static long finish(int seconds)
{
	struct __kernel_timespec time = { .tv_sec = seconds };
	struct io_uring_cqe *completion;
	int result = io_uring_wait_cqe_timeout(&ring, &completion, &time);

	if (result < 0)
		return result;
	result = completion->res;
	io_uring_cqe_seen(&ring, completion);
	return result;
}

static long perform(const char *what)
{
	int result = prepare(what);

	return result < 0 ? result : finish(5);
}

static int own(const char *path)
{
	int file = open(path, O_RDWR | O_CLOEXEC);
	struct io_uring_files_update update = { .offset = 1, .fds = (uint64_t)(uintptr_t)&file };

	return file < 0 ? -errno : (int)register_call(IORING_REGISTER_FILES_UPDATE, &update, 1);
}

static long register_by_name(const char *what)
{
	struct iovec buffer = { bytes, sizeof(bytes) };
	int event = 0;

	if (!strcmp(what, "buffers"))
		return register_call(IORING_REGISTER_BUFFERS, &buffer, 1);
	if (!strcmp(what, "eventfd"))
		return register_call(IORING_REGISTER_EVENTFD, &event, 1);
	if (!strcmp(what, "files"))
		return register_call(IORING_UNREGISTER_FILES, NULL, 0);
	if (!strcmp(what, "personality"))
		return register_call(IORING_REGISTER_PERSONALITY, NULL, 0);
	if (!strcmp(what, "restrictions"))
		return register_call(IORING_REGISTER_RESTRICTIONS, NULL, 0);
	if (!strcmp(what, "enable"))
		return register_call(IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	return -ENOSYS;
}

static void *hold_lock(void *nothing)
{
	size_t size = 64 << 20;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	for (;;) {
		struct io_uring_cqe *completion;

		for (int count = 0; count < 64; count++) {
			struct io_uring_sqe *entry = io_uring_get_sqe(&ring);

			if (!entry)
				break;
			io_uring_prep_read(entry, 1, memory, (unsigned int)size, 0);
			entry->flags |= IOSQE_FIXED_FILE;
		}
		io_uring_submit(&ring);
		while (io_uring_peek_cqe(&ring, &completion) == 0)
			io_uring_cqe_seen(&ring, completion);
	}
	return nothing;
}

static volatile int is_stalled;

static void *submit_stalled(void *memory)
{
	/* The argument is read after the submission. */
	syscall(SYS_io_uring_enter, ring.ring_fd, 1, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, memory,
		sizeof(struct io_uring_getevents_arg));
	is_stalled = 0;
	for (;;)
		pause();
	return memory;
}

static long stall(const char *what, const char *path)
{
	int file = open(path, O_RDONLY | O_CLOEXEC), result = queue(what);
	char *memory = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0);
	pthread_t thread;

	if (file < 0 || memory == MAP_FAILED || madvise(memory, 4096, MADV_RANDOM))
		return -errno;
	if (result < 0)
		return result;
	ring.sq.array[*ring.sq.ktail & *ring.sq.kring_mask] = (ring.sq.sqe_tail - 1) & *ring.sq.kring_mask;
	ring.sq.sqe_head = ring.sq.sqe_tail;
	io_uring_smp_store_release(ring.sq.ktail, *ring.sq.ktail + 1);
	is_stalled = 1;
	if (pthread_create(&thread, NULL, submit_stalled, memory))
		return -EAGAIN;
	for (int waited = 0; waited < 5000 && io_uring_smp_load_acquire(ring.sq.khead) != *ring.sq.ktail; waited++)
		usleep(1000);
	usleep(20000);
	return io_uring_smp_load_acquire(ring.sq.khead) == *ring.sq.ktail && is_stalled;
}

static long cancel(void)
{
	long result = empty();

	for (int nothing = 0; result >= 0 && nothing < 2;) {
		struct io_uring_sync_cancel_reg all = {
			.fd = outside, .flags = IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_FD, .timeout = { .tv_nsec = 10000000 },
		};
		long cancelled = register_call(IORING_REGISTER_SYNC_CANCEL, &all, 1);

		nothing = cancelled == 0 || cancelled == -ENOENT ? nothing + 1 : 0;
	}
	return result;
}

#define PUT_SIZE ((size_t)64 << 20)

static long put(int byte)
{
	struct io_uring_sqe *entry = io_uring_get_sqe(&ring);
	char *memory = malloc(PUT_SIZE);

	if (!entry || !memory)
		return -ENOMEM;
	memset(memory, byte, PUT_SIZE);
	io_uring_prep_write(entry, 0, memory, PUT_SIZE, 0);
	entry->flags |= IOSQE_FIXED_FILE;
	io_uring_submit(&ring);
	return finish(5);
}

static int loop = -1;

static int twin_disk(const char *path)
{
	struct loop_config wanted = { .block_size = 512, .info = { .lo_flags = LO_FLAGS_AUTOCLEAR } };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), image = open(path, O_RDWR | O_CLOEXEC);
	char name[32];

	snprintf(name, sizeof(name), "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
	loop = open(name, O_RDWR | O_CLOEXEC);
	wanted.fd = (unsigned int)image;
	if (loop < 0 || ioctl(loop, LOOP_CONFIGURE, &wanted) < 0)
		return -errno;
	close(image);
	return twin(name);
}

static void execute(char **arguments, const char *what)
{
	char number[16];
	int file = memfd_create("parameters", 0);

	if (write(file, &parameters, sizeof(parameters)) != sizeof(parameters))
		return;
	fcntl(ring.ring_fd, F_SETFD, 0);
	snprintf(number, sizeof(number), "%d %d", file, ring.ring_fd);
	execl("/proc/self/exe", arguments[0], arguments[1], number, what, (char *)NULL);
}

static int resume(const char *numbers, const char *what)
{
	int file, number, result;

	if (sscanf(numbers, "%d %d", &file, &number) != 2 ||
	    pread(file, &parameters, sizeof(parameters), 0) != sizeof(parameters))
		return 70;
	result = io_uring_queue_mmap(number, &parameters, &ring);
	if (result < 0) {
		say(result);
		return 70;
	}
	ring.features = parameters.features;
	usleep(500000);
	say(perform(what));
	return 0;
}

static void in_child_later(const char *object)
{
	struct postern_ring given;
	int result;

	if (fork() > 0)
		return;
	alarm(60);
	usleep(2000000);
	has_ring = 0; /* the parent's */
	result = make("");
	say_refusal(result < 0 ? result : postern_ring_revalidate(connection, object, ring.ring_fd, &given));
	_exit(0);
}

static void in_child(const char *object, const char *what)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct postern_ring given;
		int result;

		alarm(60);
		if (object) {
			has_ring = 0; /* the parent's */
			result = make("");
			if (result == 0)
				result = postern_ring_revalidate(connection, object, ring.ring_fd, &given);
			if (result < 0) {
				say_refusal(result);
				_exit(0);
			}
		}
		say(perform(what));
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	/* liburing's own count of what was submitted has missed what the child did. */
	ring.sq.sqe_head = ring.sq.sqe_tail = *ring.sq.ktail;
}

int main(int count, char **arguments)
{
	char line[256], first[200], second[200];
	struct postern_ring given = { 0 };

	alarm(120);
	if (count > 3)
		return resume(arguments[2], arguments[3]);
	if (count < 2 || postern_connect(arguments[1], &connection) < 0)
		return 69;
	while (fgets(line, sizeof(line), stdin)) {
		int number = -1;
		int words = sscanf(line, "%*s %199s %199s %d", first, second, &number);

		if (!strncmp(line, "ring", 4)) {
			say(make(line));
		} else if (!strncmp(line, "open", 4)) {
			number = words > 1 ? atoi(second) : ring.ring_fd;
			say_refusal(postern_ring_open(connection, first, 0, number, &given));
		} else if (!strncmp(line, "number", 6)) {
			say(ring.ring_fd);
		} else if (!strncmp(line, "twin-udp", 8)) {
			say(twin_udp(first, second));
		} else if (!strncmp(line, "twin-disk", 9)) {
			say(twin_disk(first));
		} else if (!strncmp(line, "leave", 5)) {
			say(empty());
			usleep(100000);
			close(outside);
			close(loop);
		} else if (!strncmp(line, "empty", 5)) {
			say(empty());
		} else if (!strncmp(line, "twin", 4)) {
			say(twin(first));
		} else if (!strncmp(line, "to ", 3) || !strncmp(line, "connect ", 8)) {
			inet_pton(AF_INET, first, &destination.sin_addr);
			destination.sin_port = htons((uint16_t)atoi(second));
			say(*line == 't' ? 0 : connect(outside, (struct sockaddr *)&destination, sizeof(destination)));
		} else if (!strncmp(line, "do ", 3)) {
			say(perform(first));
		} else if (!strncmp(line, "start", 5)) {
			say(prepare(first));
		} else if (!strncmp(line, "ends", 4)) {
			say(io_uring_cq_ready(&ring));
		} else if (!strncmp(line, "end", 3)) {
			say(finish(2));
		} else if (!strncmp(line, "register", 8)) {
			say(register_by_name(first));
		} else if (!strncmp(line, "own", 3)) {
			say(own(first));
		} else if (!strncmp(line, "share", 5)) {
			in_child(NULL, first);
		} else if (!strncmp(line, "again", 5)) {
			in_child(first, second);
		} else if (!strncmp(line, "later", 5)) {
			in_child_later(first);
		} else if (!strncmp(line, "exec", 4)) {
			execute(arguments, first);
			say(-errno);
		} else if (!strncmp(line, "stalled", 7)) {
			say(is_stalled);
		} else if (!strncmp(line, "stall", 5)) {
			say(stall(first, second));
		} else if (!strncmp(line, "cancel", 6)) {
			say(cancel());
		} else if (!strncmp(line, "put", 3)) {
			say(put(first[0]));
		} else if (!strncmp(line, "lock", 4)) {
			pthread_t thread;

			say(pthread_create(&thread, NULL, hold_lock, NULL));
		} else {
			say(-ENOSYS);
		}
	}
	return 0;
}
