/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that holds one application's ring for the broker. It never makes a call on the ring itself: each is made by a
 * child of its own, because the application may hold the ring's lock.
 */
#define _GNU_SOURCE
#include "ring_hand.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clinux_process.h"

/* io_uring_enter(2): every flag but IOSQE_FIXED_FILE, which is required. None of them names a file or anybody's rights. */
#define ALLOWED_FLAGS                                                                                                     \
	(IOSQE_FIXED_FILE | IOSQE_IO_DRAIN | IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_ASYNC | IOSQE_BUFFER_SELECT |         \
	 IOSQE_CQE_SKIP_SUCCESS)
/* How long it has to empty a ring whose broker has ended. */
#define OWN_PATIENCE 1000000000ULL
/* When what failed is tried again, in nanoseconds. */
#define RETRY_AFTER 100000000

/* What a child of a hand does, and how it went. */
struct outcome {
	uint32_t stage;
	int32_t error;
};

typedef struct outcome step(struct ring_hand *hand);

/* A child that runs a step. */
struct running {
	pid_t pid;
	int result;
};

static const struct outcome done;

static struct outcome failed(uint32_t stage, int error)
{
	return (struct outcome){ .stage = stage, .error = error };
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_BOOTTIME, &time);
	return (uint64_t)time.tv_sec * 1000000000ULL + (uint64_t)time.tv_nsec;
}

static void pause_for(long nanoseconds)
{
	struct timespec time = { .tv_nsec = nanoseconds };

	nanosleep(&time, NULL);
}

static void answer(const struct ring_hand *hand, uint32_t kind, struct outcome outcome)
{
	struct clinux_ring_answer message = {
		.kind = kind, .stage = outcome.stage, .error = outcome.error, .device = hand->device
	};

	/* A broker that has ended or does not read: what is done is done all the same. */
	send(hand->socket, &message, sizeof(message), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static int start(struct ring_hand *hand, step *run, struct running *out)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		struct outcome outcome;

		/* The broker hears of a hand's end by its socket. */
		close(hand->socket);
		close(ends[0]);
		outcome = run(hand);
		_exit(write(ends[1], &outcome, sizeof(outcome)) == sizeof(outcome) ? 0 : 1);
	}
	close(ends[1]);
	if (pid < 0) {
		int code = -errno;

		close(ends[0]);
		return code;
	}
	out->pid = pid;
	out->result = ends[0];
	return 0;
}

/* Milliseconds for poll(2), rounded up; 0 deadline: for ever. */
static int until(uint64_t deadline)
{
	uint64_t time = now();

	if (deadline == 0)
		return -1;
	return time >= deadline ? 0 : (int)((deadline - time) / 1000000 + 1);
}

/* 1: it has ended, and `outcome` is how; 0: not before the deadline. */
static int finish(struct running *running, uint64_t deadline, uint32_t stage, struct outcome *outcome)
{
	struct pollfd entry = { .fd = running->result, .events = POLLIN };
	int result;

	do {
		result = poll(&entry, 1, until(deadline));
	} while ((result < 0 && errno == EINTR) || (result == 0 && (deadline == 0 || now() < deadline)));
	if (result == 0)
		return 0;
	if (read(running->result, outcome, sizeof(*outcome)) != (ssize_t)sizeof(*outcome))
		*outcome = failed(stage, ECHILD);
	close(running->result);
	while (waitpid(running->pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 1;
}

/* Runs a step to its end; one that takes too long is killed, which works once the ring's lock is free. */
static struct outcome run(struct ring_hand *hand, step *what, uint64_t deadline, uint32_t stage)
{
	struct running running;
	struct outcome outcome;
	int result = start(hand, what, &running);

	if (result < 0)
		return failed(stage, -result);
	if (finish(&running, deadline, stage, &outcome))
		return outcome;
	kill(running.pid, SIGKILL);
	close(running.result);
	return failed(CLINUX_RING_LATE, ETIMEDOUT);
}

/*
 * 1: the ring has a thread of its own, as far as the kernel shows it (proc(5), fdinfo); -EOPNOTSUPP: it is no ring;
 * -EAGAIN: nothing is shown while the ring's lock is held (io_uring/fdinfo.c).
 */
static int has_thread(int ring)
{
	static const char kind[] = "anon_inode:[io_uring]";
	char path[64], text[4096], *line;
	ssize_t size;
	int file, thread = -1;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", ring);
	size = readlink(path, text, sizeof(text) - 1);
	if (size != (ssize_t)sizeof(kind) - 1 || memcmp(text, kind, sizeof(kind) - 1))
		return -EOPNOTSUPP;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", ring);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return -errno;
	size = read(file, text, sizeof(text) - 1);
	close(file);
	if (size < 0)
		return -EIO;
	text[size] = 0;
	line = strstr(text, "SqThread:");
	if (!line || sscanf(line, "SqThread: %d", &thread) != 1)
		return -EAGAIN;
	return thread != -1;
}

/*
 * The kernel itself says what the ring is: only a disabled one takes restrictions (EBADFD), and only one that has none yet
 * (EBUSY). Until it is enabled it would take other register calls from the application, so nothing is put into it before.
 */
static struct outcome restrict_and_enable(struct ring_hand *hand)
{
	struct io_uring_restriction rules[CLINUX_RING_RULES];
	int32_t none[CLINUX_RING_SLOTS];
	uint64_t works = 0;
	unsigned int count = 0;
	int result = clinux_ring_probe(hand->ring, &works);

	if (result < 0)
		return failed(CLINUX_RING_PROBE, -result);
	memset(rules, 0, sizeof(rules));
	for (unsigned int opcode = 0; opcode < 64; opcode++) {
		if (!(hand->order.opcodes & works & UINT64_C(1) << opcode))
			continue;
		rules[count].opcode = IORING_RESTRICTION_SQE_OP;
		rules[count++].sqe_op = (uint8_t)opcode;
	}
	rules[count].opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED;
	rules[count++].sqe_flags = IOSQE_FIXED_FILE;
	rules[count].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	rules[count++].sqe_flags = ALLOWED_FLAGS;
	rules[count].opcode = IORING_RESTRICTION_REGISTER_OP;
	rules[count++].register_op = IORING_REGISTER_FILES_UPDATE;
	rules[count].opcode = IORING_RESTRICTION_REGISTER_OP;
	rules[count++].register_op = IORING_REGISTER_SYNC_CANCEL;
	result = ring_register(hand->ring, IORING_REGISTER_RESTRICTIONS, rules, count);
	if (result < 0)
		return failed(CLINUX_RING_RESTRICT, -result);
	memset(none, 0xff, sizeof(none));
	result = ring_register(hand->ring, IORING_REGISTER_FILES, none, CLINUX_RING_SLOTS);
	if (result < 0)
		return failed(CLINUX_RING_FILES, -result);
	result = ring_register(hand->ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	if (result < 0)
		return failed(CLINUX_RING_ENABLE, -result);
	/* The restrictions are in force if a register call that they do not name is refused. */
	result = ring_register(hand->ring, IORING_UNREGISTER_EVENTFD, NULL, 0);
	return result == -EACCES ? done : failed(CLINUX_RING_VERIFY, -result);
}

static int empty(const struct ring_hand *hand)
{
	int32_t none[CLINUX_RING_SLOTS];
	struct io_uring_files_update update = { .fds = (uint64_t)(uintptr_t)none };

	memset(none, 0xff, sizeof(none));
	return ring_register(hand->ring, IORING_REGISTER_FILES_UPDATE, &update, CLINUX_RING_SLOTS);
}

/* By another process than the one that enabled the ring, whose ring a SINGLE_ISSUER one would have become: EEXIST. */
static struct outcome try_from_outside(struct ring_hand *hand)
{
	int result = empty(hand);

	return result < 0 ? failed(CLINUX_RING_OUTSIDE, -result) : done;
}

static struct outcome put(struct ring_hand *hand)
{
	int32_t number = hand->file;
	struct io_uring_files_update update = { .fds = (uint64_t)(uintptr_t)&number };
	int result = ring_register(hand->ring, IORING_REGISTER_FILES_UPDATE, &update, 1);

	return result == 1 ? done : failed(CLINUX_RING_PUT, result < 0 ? -result : EIO);
}

static struct outcome settle(const struct ring_hand *hand)
{
	if (!hand->order.writable)
		return done;
	if (fsync(hand->loop) < 0 || fsync(hand->object) < 0)
		return failed(CLINUX_RING_PUT, errno);
	return done;
}

/*
 * By the object's own file and not all of the ring's requests: an application could submit others without end. What was
 * submitted before and has no file yet (links, IOSQE_ASYNC) finds the slot empty. Requests that cannot be cancelled (a read
 * that waits for the device) are waited for.
 */
static struct outcome withdraw(struct ring_hand *hand)
{
	struct io_uring_sync_cancel_reg all = {
		.fd = hand->file,
		.flags = IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_FD,
		.timeout = { .tv_nsec = 10000000 },
	};
	int result = empty(hand), nothing = 0;

	if (result < 0)
		return failed(CLINUX_RING_PUT, -result);
	while (nothing < 2) {
		result = ring_register(hand->ring, IORING_REGISTER_SYNC_CANCEL, &all, 1);
		if (result == 0 || result == -ENOENT) {
			nothing++;
			continue;
		}
		if (result < 0 && result != -ETIME && result != -EALREADY && result != -EINTR && result != -EAGAIN)
			return failed(CLINUX_RING_PUT, -result);
		nothing = 0;
		pause_for(100000);
	}
	if (hand->probe < 0)
		return done;
	/* The lock belongs to the open file that was in the slot: it is free when no request has that any more. */
	close(hand->file);
	while (flock(hand->probe, LOCK_EX | LOCK_NB) < 0)
		pause_for(100000);
	/* What was written is in the device's cache, which would reach the object later, over what the next holder writes. */
	return settle(hand);
}

static struct outcome take(struct ring_hand *hand)
{
	int result;

	hand->ring = clinux_pidfd_get(hand->target, hand->order.number);
	if (hand->ring < 0)
		return failed(CLINUX_RING_TAKE, errno);
	while ((result = has_thread(hand->ring)) == -EAGAIN) {
		if (now() >= hand->order.deadline)
			return failed(CLINUX_RING_LATE, ETIMEDOUT);
		pause_for(1000000);
	}
	if (result < 0)
		return failed(CLINUX_RING_PROBE, -result);
	return result == 0 ? done : failed(CLINUX_RING_POLLED, EINVAL);
}

static struct outcome prepare(struct ring_hand *hand)
{
	struct outcome outcome = take(hand);

	if (outcome.stage == 0)
		outcome = run(hand, restrict_and_enable, hand->order.deadline, CLINUX_RING_RESTRICT);
	if (outcome.stage == 0)
		outcome = run(hand, try_from_outside, hand->order.deadline, CLINUX_RING_OUTSIDE);
	if (outcome.stage == 0 && hand->order.embodiment == CLINUX_RING_DISK) {
		int result = ring_loop_make(hand);

		if (result < 0)
			outcome = failed(CLINUX_RING_LOOP, -result);
	} else if (outcome.stage == 0) {
		hand->file = hand->object;
	}
	return outcome;
}

/* The next command; the broker's end is one to recall. */
static struct clinux_ring_command next(const struct ring_hand *hand)
{
	struct clinux_ring_command command = { 0 };
	ssize_t size;

	do {
		size = recv(hand->socket, &command, sizeof(command), 0);
	} while (size < 0 && errno == EINTR);
	if (size != (ssize_t)sizeof(command) || (command.kind != CLINUX_RING_GIVE && command.kind != CLINUX_RING_RECALL))
		command = (struct clinux_ring_command){ .kind = CLINUX_RING_RECALL, .deadline = now() + OWN_PATIENCE };
	return command;
}

/*
 * Once more after a grace period, by which the packets are in the queue that passed the former filter a moment ago
 * (net/core/filter.c). It takes some milliseconds, which a broker with many sockets would not have.
 */
static int recall_socket(int fd)
{
	if (clinux_socket_recall(fd) < 0 || syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0 ||
	    clinux_socket_recall(fd) < 0)
		return errno;
	return 0;
}

/* What is in the slot is made useless where it is: 0, or an errno. */
static int recall_embodiment(struct ring_hand *hand)
{
	int error = 0;

	if (hand->is_embodiment_recalled)
		return 0;
	if (hand->order.embodiment == CLINUX_RING_DISK)
		error = -ring_loop_recall(hand);
	else
		error = recall_socket(hand->object);
	hand->is_embodiment_recalled = error == 0;
	return error;
}

/* The ring cannot be emptied: says whether what is in it is of no use; an errno that was said already is not said again. */
static void recall_instead(struct ring_hand *hand, int *said)
{
	int error;

	if (hand->is_embodiment_recalled)
		return;
	error = recall_embodiment(hand);
	if (error != 0 && error == *said)
		return;
	*said = error;
	answer(hand, error == 0 ? CLINUX_RING_EMBODIED : CLINUX_RING_STUCK, failed(CLINUX_RING_LATE, error));
}

/* What a command to recall says; 1: it is one. */
static int is_recall(struct ring_hand *hand, const struct clinux_ring_command *command, uint64_t *deadline)
{
	if (command->kind != CLINUX_RING_RECALL)
		return 0;
	hand->is_shared = command->is_shared != 0;
	*deadline = command->deadline ? command->deadline : 1;
	return 1;
}

/* Waits for a step; from the deadline on the embodiment is of no use. A deadline of 0: a command may still set it. */
static struct outcome see_through(struct ring_hand *hand, struct running *running, uint64_t *deadline, int *said)
{
	struct outcome outcome;
	uint64_t limit;

	while (*deadline == 0) {
		struct pollfd entries[2] = { { .fd = running->result, .events = POLLIN },
					     { .fd = hand->socket, .events = POLLIN } };

		if (poll(entries, 2, -1) < 0)
			continue;
		if (entries[0].revents) {
			finish(running, 0, CLINUX_RING_PUT, &outcome);
			return outcome;
		}
		if (entries[1].revents) {
			struct clinux_ring_command command = next(hand);

			is_recall(hand, &command, deadline);
		}
	}
	limit = *deadline;
	while (!finish(running, limit, CLINUX_RING_PUT, &outcome)) {
		recall_instead(hand, said);
		limit = hand->is_embodiment_recalled ? 0 : now() + RETRY_AFTER;
	}
	return outcome;
}

/* 1: nobody hears this hand any more. */
static int is_alone(const struct ring_hand *hand)
{
	struct pollfd entry = { .fd = hand->socket };

	return poll(&entry, 1, 0) > 0 && entry.revents & POLLHUP;
}

/* Until the embodiment is of no use (1), or nobody is left to be told that it is not. */
static int insist(struct ring_hand *hand, int *said)
{
	for (;;) {
		int error = recall_embodiment(hand);

		if (error == 0)
			return 1;
		if (error != *said)
			answer(hand, CLINUX_RING_STUCK, failed(CLINUX_RING_LATE, error));
		*said = error;
		if (is_alone(hand))
			return 0;
		pause_for(RETRY_AFTER);
	}
}

static void recall(struct ring_hand *hand, uint64_t deadline)
{
	struct running running;
	struct outcome outcome;
	int said = 0;

	/* Nothing else can be tried without a process: so it is tried until there is one. */
	while (start(hand, withdraw, &running) < 0) {
		if (now() >= deadline)
			recall_instead(hand, &said);
		pause_for(10000000);
	}
	if (hand->probe >= 0)
		close(hand->file);
	outcome = see_through(hand, &running, &deadline, &said);
	/*
	 * A request that its thread has not come to yet is in none of the tables that are searched for what to cancel
	 * (io_uring/cancel.c), and a program can keep a thread from it by a page fault. A disk's lock shows such a request; nothing
	 * does for a socket, so that is made useless in any case.
	 */
	if (outcome.stage != 0 || (hand->order.embodiment == CLINUX_RING_SOCKET && !hand->is_shared)) {
		if (!insist(hand, &said))
			return;
	}
	answer(hand, outcome.stage != 0 ? CLINUX_RING_EMBODIED : CLINUX_RING_RECALLED, outcome);
}

/* Takes back what another hand has given that has been killed. */
static void take_back(struct ring_hand *hand)
{
	int said = 0, result;

	if (hand->order.embodiment == CLINUX_RING_DISK) {
		result = ring_loop_find(hand);
		if (result == -ENXIO)
			return answer(hand, CLINUX_RING_RECALLED, done);
		if (result < 0)
			return answer(hand, CLINUX_RING_STUCK, failed(CLINUX_RING_LOOP, -result));
	}
	if (insist(hand, &said))
		answer(hand, CLINUX_RING_RECALLED, done);
}

/* A child that was too late waits for the ring's lock yet; as long as it does, this hand is counted. */
static void refuse(const struct ring_hand *hand, struct outcome outcome)
{
	answer(hand, CLINUX_RING_REFUSED, outcome);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}

void ring_hand_run(struct ring_hand *hand)
{
	uint64_t deadline = 0;
	int is_given = 0, said = 0;
	struct outcome outcome;

	signal(SIGCHLD, SIG_DFL);
	hand->ring = hand->file = hand->loop = hand->probe = -1;
	if (hand->order.is_taking_back)
		return take_back(hand);
	outcome = prepare(hand);
	if (outcome.stage != 0)
		return refuse(hand, outcome);
	answer(hand, CLINUX_RING_PREPARED, outcome);
	while (deadline == 0) {
		struct clinux_ring_command command = next(hand);
		struct running running;
		int result;

		if (is_recall(hand, &command, &deadline))
			break;
		if (is_given)
			continue;
		result = start(hand, put, &running);
		if (result < 0)
			return refuse(hand, failed(CLINUX_RING_PUT, -result));
		is_given = 1;
		/* However long it takes: afterwards it is known whether there is something to take back. */
		outcome = see_through(hand, &running, &deadline, &said);
		if (outcome.stage != 0 && deadline == 0)
			return refuse(hand, outcome);
		if (deadline == 0)
			answer(hand, CLINUX_RING_GIVEN, outcome);
	}
	if (!is_given)
		return answer(hand, CLINUX_RING_RECALLED, done);
	recall(hand, deadline);
}
