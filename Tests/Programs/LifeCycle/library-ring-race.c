// SPDX-License-Identifier: Apache-2.0
/*
 * Submits to a ring without a pause, 64 requests deep, while its object is revoked again and again. Counts what succeeded although
 * the revoke had returned: a completion that the kernel posted after that, whenever it was submitted.
 *
 * Usage: library-ring-race SOCKET POSTERN OBJECT APPLICATION OPERATIONS KIND ADDRESS PORT ROUNDS ATTEMPTS [hold|twin]
 *   KIND  disk: reads; udp: receives, blocked, in workers and polled, while datagrams come; tcp: multishot accepts and polls
 *   hold  also keeps the ring's lock, with requests that go through many buffers
 *   twin  no broker: the program's own slot, emptied without a cancel
 * Prints: ATTEMPTS SUCCESSES LATE REVOKES HELD, where LATE is to be 0, and HELD is in how many rounds a register call waited for the
 * lock, for two milliseconds at least.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <postern.h>

#define DEPTH 64
#define OWN 2 /* user data of what is not about the object */
#define BUFFERS 65535

static struct io_uring ring;
static struct sockaddr_in name;
static const char *kind;
static char buffers[BUFFERS];
static int holds, is_twin, twin_file;
static atomic_int is_revoked, is_over;
/* The completions before this one were posted before the revoke returned. */
static unsigned int revoked_at;
static atomic_long attempts, successes, late, own_requests;
static char memory[DEPTH][512];

static void prepare(struct io_uring_sqe *entry, long number)
{
	entry->user_data = 1;
	if (!strcmp(kind, "disk")) {
		io_uring_prep_read(entry, 0, memory[number % DEPTH], 512, (number % 16) * 512);
	} else if (number % 8 == 0) {
		io_uring_prep_poll_add(entry, 0, POLLIN);
	} else if (!strcmp(kind, "udp")) {
		io_uring_prep_recv(entry, 0, memory[number % DEPTH], 512, 0);
	} else {
		io_uring_prep_multishot_accept(entry, 0, NULL, NULL, 0);
	}
	entry->user_data = 1;
	entry->flags |= IOSQE_FIXED_FILE;
	if (number % 3 == 0 && strcmp(kind, "tcp"))
		entry->flags |= IOSQE_ASYNC;
}

static void *hammer(void *nothing)
{
	long after = 0, number = 0;
	int in_flight = 0;
	int knows = 0, loops = 0, has_success = 0;
	unsigned int last_success = 0;

	/* The twin's armed requests stay: it goes on for so long that what feeds them comes. */
	while (after < 500 && (!knows || loops++ < 500)) {
		struct io_uring_cqe *completion;
		struct __kernel_timespec time = { .tv_nsec = 2000000 };

		while (in_flight < DEPTH) {
			struct io_uring_sqe *entry = io_uring_get_sqe(&ring);

			if (!entry)
				break;
			prepare(entry, number++);
			in_flight++;
			after += knows;
			atomic_fetch_add(&attempts, 1);
		}
		for (int count = 0; holds && !knows && count < 4; count++) {
			struct io_uring_sqe *entry = io_uring_get_sqe(&ring);

			if (!entry)
				break;
			if (count % 2 == 0)
				io_uring_prep_provide_buffers(entry, buffers, 1, BUFFERS, 1, 0);
			else
				io_uring_prep_remove_buffers(entry, BUFFERS, 1);
			entry->user_data = OWN;
			entry->flags |= IOSQE_FIXED_FILE;
		}
		io_uring_submit(&ring);
		if (!knows && atomic_load(&is_revoked)) {
			knows = 1;
			/* Taken before this thread has heard of it. */
			if (has_success && (int)(last_success - revoked_at) >= 0)
				atomic_fetch_add(&late, 1);
		}
		io_uring_wait_cqe_timeout(&ring, &completion, &time);
		while (io_uring_peek_cqe(&ring, &completion) == 0) {
			int is_late = knows && (int)(*ring.cq.khead - revoked_at) >= 0;
			int is_success = completion->res > 0 || (completion->res == 0 && !strcmp(kind, "tcp"));

			if (completion->user_data == 1) {
				if (!(completion->flags & IORING_CQE_F_MORE))
					in_flight--;
				if (is_success && !strcmp(kind, "tcp") && completion->res > 2 && !(completion->res & ~0xffff))
					close(completion->res);
				if (is_success)
					atomic_fetch_add(&successes, 1);
				/* A multishot request tries again with each connection. */
				if (completion->flags & IORING_CQE_F_MORE)
					atomic_fetch_add(&attempts, 1);
				if (is_success && !knows) {
					has_success = 1;
					last_success = *ring.cq.khead;
				}
				if (is_success && is_late)
					atomic_fetch_add(&late, 1);
			} else if (completion->res >= 0) {
				atomic_fetch_add(&own_requests, 1);
			}
			io_uring_cqe_seen(&ring, completion);
		}
	}
	return nothing;
}

/* What makes blocked requests succeed, if anything can. */
static void *feed(void *nothing)
{
	while (!atomic_load(&is_over)) {
		int is_udp = !strcmp(kind, "udp");
		int file = socket(AF_INET, (is_udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);

		if (is_udp)
			for (int count = 0; count < 200; count++)
				sendto(file, "x", 1, 0, (struct sockaddr *)&name, sizeof(name));
		else
			connect(file, (struct sockaddr *)&name, sizeof(name));
		close(file);
		usleep(is_udp ? 200 : 100);
	}
	return nothing;
}

static int run(char *const *line)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, 1);
		execv(line[0], line);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int update(unsigned int slot, int file, unsigned int count)
{
	int slots[16];
	struct io_uring_files_update wanted = { .offset = slot, .fds = (uint64_t)(uintptr_t)slots };

	for (unsigned int index = 0; index < count; index++)
		slots[index] = file;
	return (int)syscall(SYS_io_uring_register, ring.ring_fd, IORING_REGISTER_FILES_UPDATE, &wanted, count);
}

static long microseconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* 1: whoever makes a register call waits for the lock, which those requests hold. */
static int is_held(void)
{
	for (int attempt = 0; attempt < 50; attempt++) {
		long before = microseconds();

		if (update(1, -1, 1) != 1)
			return 0;
		if (microseconds() - before >= 2000)
			return atomic_load(&own_requests) > 0;
		usleep(1000);
	}
	return 0;
}

static int open_twin(void)
{
	int slots[16], on = 1;

	memset(slots, 0xff, sizeof(slots));
	twin_file = socket(AF_INET, (strcmp(kind, "udp") ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
	setsockopt(twin_file, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(twin_file, (struct sockaddr *)&name, sizeof(name)) < 0)
		return -errno;
	listen(twin_file, 128);
	slots[0] = twin_file;
	return io_uring_register_files(&ring, slots, 16) < 0 ||
	       syscall(SYS_io_uring_register, ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0;
}

int main(int count, char **arguments)
{
	pthread_t feeder;
	postern *connection = NULL;
	long rounds, wanted, revokes = 0, held = 0;

	if (count < 11)
		return 64;
	alarm(1800);
	kind = arguments[6];
	name.sin_family = AF_INET;
	inet_pton(AF_INET, arguments[7], &name.sin_addr);
	name.sin_port = htons((uint16_t)atoi(arguments[8]));
	rounds = atol(arguments[9]);
	wanted = atol(arguments[10]);
	holds = count > 11 && !strcmp(arguments[11], "hold");
	is_twin = count > 11 && !strcmp(arguments[11], "twin");
	if (!is_twin && postern_connect(arguments[1], &connection) < 0)
		return 69;
	if (strcmp(kind, "disk"))
		pthread_create(&feeder, NULL, feed, NULL);
	for (long round = 1; round <= rounds; round++) {
		struct io_uring_params parameters = { .flags = IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE, .cq_entries = 4096 };
		char *revoke[] = { arguments[2], "--socket", arguments[1], "revoke", "--object", arguments[3], NULL };
		char *grant[] = { arguments[2], "--socket", arguments[1], "grant", "--application", arguments[4], "--object",
				  arguments[3], "--operations", arguments[5], NULL };
		struct postern_ring given;
		pthread_t thread;
		int result;

		if (io_uring_queue_init_params(256, &ring, &parameters) < 0)
			return 71;
		result = is_twin ? open_twin() : postern_ring_open(connection, arguments[3], 0, ring.ring_fd, &given);
		if (result < 0) {
			fprintf(stderr, "round %ld: %s\n", round, strerror(-result));
			return 1;
		}
		atomic_store(&is_revoked, 0);
		atomic_store(&own_requests, 0);
		pthread_create(&thread, NULL, hammer, NULL);
		while (atomic_load(&attempts) < wanted / rounds * round && atomic_load(&attempts) < DEPTH * 100 * round)
			usleep(500);
		held += holds && is_held();
		usleep((useconds_t)(rand() % 20000));
		if (is_twin)
			update(0, -1, 16);
		else if (run(revoke) != 0)
			return 2;
		else
			revokes++;
		revoked_at = __atomic_load_n(ring.cq.ktail, __ATOMIC_ACQUIRE);
		atomic_store(&is_revoked, 1);
		pthread_join(thread, NULL);
		io_uring_queue_exit(&ring);
		if (is_twin)
			close(twin_file);
		else if (run(grant) != 0)
			return 3;
	}
	atomic_store(&is_over, 1);
	if (strcmp(kind, "disk"))
		pthread_join(feeder, NULL);
	printf("%ld %ld %ld %ld %ld\n", atomic_load(&attempts), atomic_load(&successes), atomic_load(&late), revokes, held);
	return 0;
}
