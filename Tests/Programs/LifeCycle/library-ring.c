// SPDX-License-Identifier: Apache-2.0
/*
 * A program with a ring of its own (liburing), which it has an object put into and then misuses. Does what it is told one line
 * at a time, and answers with one: a number, or an error's name.
 *
 * Usage: library-ring SOCKET
 *   ring [sqpoll|single|enabled|restricted|files]...   makes a disabled ring with buffers registered, and what is said
 *   open OBJECT [NUMBER]     offers it, or another descriptor
 *   begin OBJECT             offers it by a thread of its own; begun: says what came of it
 *   aside                    keeps the ring and what it has aside, so that the next one is made beside it; former REQUEST: a request
 *                            on it; former-close: gives it up
 *   on-signal REQUEST        keeps the ring through an exec of itself on SIGUSR1, and does the request until it fails
 *   grow                     so many mapped pages that the kernel needs a while to take them apart
 *   twin PATH                an unrestricted ring with this file in slot 0, as a broker without guards would make it
 *   twin-udp ADDRESS PORT    the same with a socket, as twin-tcp does; `empty` empties the slots and cancels nothing
 *   to ADDRESS PORT          where the request send-to goes; join: where the socket that is in the slot of a twin is connected to
 *   do REQUEST               submits one request and waits for it
 *   chain REQUEST REQUEST    submits two, linked, and says what came of each
 *   start REQUEST            submits it; `end` waits for the next completion, `ends` says how many there are
 *   register CALL            a register call
 *   own PATH                 puts a file of the program's own into slot 1
 *   share REQUEST            a forked child that keeps the ring does the request
 *   inherit OBJECT           a forked child that has inherited the ring; offer: it offers that, and says what came of it; leave-child:
 *                            it ends
 *   steal PID NUMBER         takes a ring that was made like the own one from a process that it may trace
 *   again OBJECT REQUEST     a forked child makes a ring of its own, revalidates, and does the request
 *   later OBJECT             the same two seconds later, without a request; says nothing before
 *   exec REQUEST             executes itself with the ring open, waits half a second, does the request and ends
 *   stall REQUEST            submits it by a thread that a page fault keeps in the kernel, out of anybody's reach (needs
 *                            CAP_SYS_PTRACE); says whether it is kept there
 *   stalled                  whether it still is, and ends it
 *   lock REQUEST             the same, kept before the request and with the ring's lock held; `unlock` ends it, says what came
 *   apart                    another process empties the slots; says whether it still waits for the lock half a second later
 *   put-apart                another process fills slot 0 of a twin, and is killed; says whether it still waits for the lock
 *   connect ADDRESS PORT     a connection that stays
 *   close                    gives the object up, and keeps the ring
 *   child OBJECT REQUEST     a forked child revalidates, stalls the request, and gives the object up; says whether it is kept
 *   child-end                ends that, and says what came
 *   cancel                   what a broker without guards does: empties the slots, and cancels until there is nothing to cancel
 *   put BYTE                 writes 64 MiB of it to slot 0
 *   twin-disk IMAGE          like twin, with a loop device made of it; `leave` takes it out, says so, and closes it a little later
 */
#define _GNU_SOURCE
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "ring-kept.h"
#include "ring-passed.h"
#include "ring-program.h"

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

static long connect_to(const char *address, const char *port)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, address, &name.sin_addr);
	return connect(file, (struct sockaddr *)&name, sizeof(name)) < 0 ? -errno : 0;
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

/* Two requests, the second to be begun once the first has succeeded. */
static void chain(const char *first, const char *second)
{
	const char *what[] = { first, second };
	int results[2] = { -ENODATA, -ENODATA };

	for (uintptr_t index = 0; index < 2; index++) {
		if (queue(what[index]) < 0)
			return say(-ENOSYS);
		queued->user_data = index + 2;
		if (index == 0)
			queued->flags |= IOSQE_IO_LINK;
	}
	io_uring_submit(&ring);
	for (int count = 0; count < 2; count++) {
		struct __kernel_timespec time = { .tv_sec = 5 };
		struct io_uring_cqe *completion;

		if (io_uring_wait_cqe_timeout(&ring, &completion, &time) < 0)
			break;
		if (completion->user_data >= 2 && completion->user_data < 4)
			results[completion->user_data - 2] = completion->res;
		io_uring_cqe_seen(&ring, completion);
	}
	for (int index = 0; index < 2; index++) {
		if (results[index] < 0)
			printf("%s%s", index ? " " : "", strerrorname_np(-results[index]) ?: "unknown");
		else
			printf("%s%d", index ? " " : "", results[index]);
	}
	printf("\n");
	fflush(stdout);
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
		return resume(arguments[2], arguments[3], count > 4);
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
		} else if (!strncmp(line, "begin", 5)) {
			say(begin(first));
		} else if (!strncmp(line, "begun", 5)) {
			say_begun();
		} else if (!strncmp(line, "aside", 5)) {
			put_aside(&given);
			say(0);
		} else if (!strncmp(line, "former-close", 12)) {
			say(postern_ring_close(connection, &former_given));
		} else if (!strncmp(line, "former", 6)) {
			say(perform_formerly(first));
		} else if (!strncmp(line, "on-signal", 9)) {
			say(keep_for_signal(arguments, first));
		} else if (!strncmp(line, "grow", 4)) {
			say(grow());
		} else if (!strncmp(line, "inherit", 7)) {
			inherit(first);
		} else if (!strncmp(line, "offer", 5)) {
			if (write(child_goes, "", 1) != 1)
				say(-errno);
		} else if (!strncmp(line, "leave-child", 11)) {
			close(child_goes);
			wait(NULL);
			say(0);
		} else if (!strncmp(line, "steal", 5)) {
			say(steal(first, second));
		} else if (!strncmp(line, "chain", 5)) {
			chain(first, second);
		} else if (!strncmp(line, "put-apart", 9)) {
			say(put_apart());
		} else if (!strncmp(line, "number", 6)) {
			say(ring.ring_fd);
		} else if (!strncmp(line, "twin-udp", 8)) {
			say(twin_socket(SOCK_DGRAM, first, second));
		} else if (!strncmp(line, "twin-tcp", 8)) {
			say(twin_socket(SOCK_STREAM, first, second));
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
		} else if (!strncmp(line, "to ", 3) || !strncmp(line, "join ", 5)) {
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
			if (keep_for_exec(arguments, first) == 0)
				execute(0);
			say(-errno);
		} else if (!strncmp(line, "stalled", 7)) {
			say(!kept.is_over);
			close(kept.faults);
		} else if (!strncmp(line, "stall", 5)) {
			say(stall(first));
		} else if (!strncmp(line, "cancel", 6)) {
			say(cancel());
		} else if (!strncmp(line, "put", 3)) {
			say(put(first[0]));
		} else if (!strncmp(line, "lock", 4)) {
			say(lock_ring(first));
		} else if (!strncmp(line, "unlock", 6)) {
			close(kept.faults);
			say(finish(5));
		} else if (!strncmp(line, "apart", 5)) {
			say(empty_apart());
		} else if (!strncmp(line, "child-end", 9)) {
			if (write(child_waits, "", 1) != 1)
				say(-errno);
		} else if (!strncmp(line, "child", 5)) {
			leave_in_child(first, second);
		} else if (!strncmp(line, "connect", 7)) {
			say(connect_to(first, second));
		} else if (!strncmp(line, "close", 5)) {
			say(postern_ring_close(connection, &given));
		} else {
			say(-ENOSYS);
		}
	}
	return 0;
}
