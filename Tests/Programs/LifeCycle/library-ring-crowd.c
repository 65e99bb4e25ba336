// SPDX-License-Identifier: Apache-2.0
/*
 * A crowd of clients that open objects, use them, fork, execute themselves and are killed, at random; most through rings of their
 * own, some through the library's. Prints what they did, and what they were told that nobody should be.
 *
 * Usage: library-ring-crowd SOCKET SEED ADDRESS FOLDER CLIENTS SECONDS
 *        library-ring-crowd SOCKET SEED ADDRESS FOLDER MEMORY RING again    (a client that executes itself)
 * Needs the objects image (a disk), dns (udp://ADDRESS:7777), web (tcp://ADDRESS:7778) and local (unix:FOLDER/open/local).
 * Prints: OPENS REFUSALS USES FORKS EXECS KILLS STRANGE, and each kind of strange answer as CALL:ERROR:COUNT.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <postern.h>

#define DEEPEST 3
/* Seconds. */
#define LONGEST 900

/* Where an answer came from. */
enum call { CONNECT, MAKE, OPEN, REVALIDATE, REQUEST, CALL, CALLS };
static const char *const calls[CALLS] = { "connect", "make", "open", "revalidate", "request", "call" };
#define ERRORS 256

/* What all have in common: in a file, so that it outlasts an exec. */
struct account {
	atomic_int is_over;
	atomic_long opens, refusals, uses, forks, execs, rings;
	atomic_long strange[CALLS][ERRORS];
};

static struct account *account;
static int memory_file;
static char *self, *socket_path, *address, *folder;
static uint64_t state;
static char bytes[4096];

static uint64_t next(void)
{
	uint64_t mixed = state += UINT64_C(0x9e3779b97f4a7c15);

	mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
	return mixed ^ mixed >> 31;
}

static unsigned int below(unsigned int count)
{
	return (unsigned int)(next() % count);
}

static void rest(unsigned int most)
{
	usleep(1000 * below(most));
}

/* Gives the result, and counts an error that no program has to expect here. */
static int note(enum call call, long result)
{
	/* A revoke, an end or an expiry; of what waits; a listener that was shut down; a disk that has no size any more; a
	 * kill of who waits in a worker. */
	static const int expected[] = { EKEYREVOKED, EKEYREJECTED, EKEYEXPIRED, ESTALE, EBADF, ECANCELED, EAGAIN, EINVAL, ENOSPC,
					EINTR };
	int is_expected = result >= 0;

	for (size_t index = 0; index < sizeof(expected) / sizeof(*expected); index++)
		is_expected |= result == -expected[index];
	if (!is_expected)
		atomic_fetch_add(&account->strange[call][-result % ERRORS], 1);
	return (int)result;
}

/* What a program holds: an object in a ring of its own, or a descriptor of the library's. */
struct held {
	const char *object;
	int descriptor; /* -1: a ring of its own */
	struct io_uring ring;
	struct postern_ring given;
	int in_flight;
	off_t turn; /* the place in the file that is locked by whom the ring is used */
};

static int make_ring(struct held *held)
{
	struct io_uring_params parameters = { .flags = IORING_SETUP_R_DISABLED };

	held->descriptor = -1;
	held->in_flight = 0;
	held->turn = atomic_fetch_add(&account->rings, 1);
	return io_uring_queue_init_params(64, &held->ring, &parameters);
}

static int hold(postern *connection, struct held *held)
{
	static const char *const objects[] = { "image", "dns", "web", "local" };
	int result;

	held->object = objects[below(4)];
	if (below(4) == 0) {
		result = held->descriptor = postern_open(connection, held->object, 0);
		if (result >= 0)
			fcntl(result, F_SETFL, O_NONBLOCK);
	} else {
		result = make_ring(held);
		if (result < 0)
			return note(MAKE, result);
		result = postern_ring_open(connection, held->object, 0, held->ring.ring_fd, &held->given);
		if (result < 0)
			io_uring_queue_exit(&held->ring);
	}
	atomic_fetch_add(result < 0 ? &account->refusals : &account->opens, 1);
	return note(OPEN, result);
}

static void let_go(postern *connection, struct held *held)
{
	if (held->descriptor >= 0) {
		postern_close(held->descriptor);
		return;
	}
	/* Some only close the ring: it goes on being held, until the process ends. */
	if (below(16))
		postern_ring_close(connection, &held->given);
	io_uring_queue_exit(&held->ring);
}

static void queue(struct held *held)
{
	struct io_uring_sqe *entry = io_uring_get_sqe(&held->ring);
	int is_disk = !strcmp(held->object, "image"), is_udp = !strcmp(held->object, "dns");

	if (!entry)
		return;
	if (below(6) == 0)
		io_uring_prep_poll_add(entry, 0, POLLIN);
	else if (is_disk && below(2))
		io_uring_prep_write(entry, 0, bytes, 512, 512 * below(16));
	else if (is_disk)
		io_uring_prep_read(entry, 0, bytes, 512, 512 * below(16));
	else if (is_udp)
		io_uring_prep_recv(entry, 0, bytes, sizeof(bytes), 0);
	else if (below(2))
		io_uring_prep_multishot_accept(entry, 0, NULL, NULL, 0);
	else
		io_uring_prep_accept(entry, 0, NULL, NULL, 0);
	entry->user_data = entry->opcode;
	entry->flags |= IOSQE_FIXED_FILE;
	if (below(3) == 0 && (is_disk || is_udp))
		entry->flags |= IOSQE_ASYNC;
	held->in_flight++;
}

/*
 * A ring whose memory two processes use at once loses count of itself: completions are taken twice, and requests sent half
 * written. A lock of a process (fcntl(2)) goes with it when it is killed.
 */
static void lock_turn(const struct held *held, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = held->turn, .l_len = 1 };

	while (fcntl(memory_file, F_SETLKW, &lock) < 0 && errno == EINTR)
		;
}

/* Most of what is blocked stays so, for a revoke, an exec or a kill to find it. */
static int use_ring(struct held *held)
{
	struct __kernel_timespec time = { .tv_nsec = 3000000 };
	struct io_uring_cqe *completion;
	int error = 0;

	lock_turn(held, F_WRLCK);
	/* What others have sent since. */
	held->ring.sq.sqe_head = held->ring.sq.sqe_tail = *held->ring.sq.ktail;
	for (unsigned int count = below(4) + 1; count && held->in_flight < 32; count--)
		queue(held);
	io_uring_submit(&held->ring);
	io_uring_wait_cqe_timeout(&held->ring, &completion, &time);
	while (io_uring_peek_cqe(&held->ring, &completion) == 0) {
		if (completion->res >= 0)
			atomic_fetch_add(&account->uses, 1);
		else
			error = note(REQUEST, completion->res);
		if (completion->user_data == IORING_OP_ACCEPT && completion->res > 2)
			close(completion->res);
		if (!(completion->flags & IORING_CQE_F_MORE))
			held->in_flight--;
		io_uring_cqe_seen(&held->ring, completion);
	}
	lock_turn(held, F_UNLCK);
	return error;
}

static int use_library(struct held *held)
{
	ssize_t result;

	if (!strcmp(held->object, "image"))
		result = below(2) ? postern_read(held->descriptor, bytes, 512, 512 * below(16))
				  : postern_write(held->descriptor, bytes, 512, 512 * below(16));
	else if (!strcmp(held->object, "dns"))
		result = postern_receive(held->descriptor, bytes, sizeof(bytes), 0, NULL, NULL);
	else
		result = postern_accept(held->descriptor, NULL, NULL, SOCK_CLOEXEC);
	if (result >= 0)
		atomic_fetch_add(&account->uses, 1);
	if (result > 2 && strcmp(held->object, "image") && strcmp(held->object, "dns"))
		close((int)result);
	return result == -EAGAIN ? 0 : note(CALL, result);
}

static int use(struct held *held)
{
	return held->descriptor >= 0 ? use_library(held) : use_ring(held);
}

/* Something comes to whoever listens. */
static void poke(void)
{
	struct sockaddr_in name = { .sin_family = AF_INET };
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	unsigned int which = below(3);
	int type = which == 0 ? SOCK_DGRAM : SOCK_STREAM;
	int file = socket(which == 2 ? AF_UNIX : AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	inet_pton(AF_INET, address, &name.sin_addr);
	name.sin_port = htons(which == 0 ? 7777 : 7778);
	snprintf(local.sun_path, sizeof(local.sun_path), "%s/open/local", folder);
	if (which == 0)
		sendto(file, "x", 1, 0, (struct sockaddr *)&name, sizeof(name));
	else if (which == 1)
		connect(file, (struct sockaddr *)&name, sizeof(name));
	else
		connect(file, (struct sockaddr *)&local, sizeof(local));
	close(file);
}

static void in_child(postern *connection, struct held *held, int depth);

static void branch(postern *connection, struct held *held, int depth)
{
	uint64_t seed = next();
	pid_t pid = depth < DEEPEST ? fork() : -1;

	if (pid == 0) {
		state = seed;
		in_child(connection, held, depth + 1);
		_exit(0);
	}
	if (pid < 0)
		return;
	atomic_fetch_add(&account->forks, 1);
	/* Others are left to themselves, and outlive who made them. */
	if (below(2))
		waitpid(pid, NULL, 0);
}

/* Goes on with what it has inherited, or asks for a ring of its own. */
static void in_child(postern *connection, struct held *held, int depth)
{
	struct held own = { .object = held->object };
	int result = 0;

	alarm(20);
	if (held->descriptor < 0 && below(4)) {
		result = make_ring(&own);
		if (result == 0)
			result = postern_ring_revalidate(connection, held->object, own.ring.ring_fd, &own.given);
		note(REVALIDATE, result);
		held = &own;
	}
	for (unsigned int count = below(8); result == 0 && count && !atomic_load(&account->is_over); count--) {
		result = use(held);
		if (below(8) == 0)
			branch(connection, held, depth);
		rest(20);
	}
	if (below(3) == 0)
		kill(getpid(), SIGKILL);
}

/* With the ring, and everything that waits on it. */
static void execute(struct held *held)
{
	char seed[24], memory[16], ring[16];

	snprintf(seed, sizeof(seed), "%llu", (unsigned long long)next());
	snprintf(memory, sizeof(memory), "%d", memory_file);
	snprintf(ring, sizeof(ring), "%d", held->descriptor < 0 ? held->ring.ring_fd : -1);
	if (held->descriptor < 0)
		fcntl(held->ring.ring_fd, F_SETFD, 0);
	atomic_fetch_add(&account->execs, 1);
	execl("/proc/self/exe", self, socket_path, seed, address, folder, memory, ring, "again", (char *)NULL);
}

static void live(void)
{
	postern *connection;
	int result = postern_connect(socket_path, &connection);

	alarm(LONGEST);
	note(CONNECT, result);
	while (result == 0 && !atomic_load(&account->is_over)) {
		struct held held;

		rest(30);
		if (hold(connection, &held) < 0) {
			rest(100);
			continue;
		}
		for (unsigned int count = below(12); count && !atomic_load(&account->is_over); count--) {
			if (use(&held) < 0)
				break;
			poke();
			if (below(10) == 0)
				branch(connection, &held, 0);
			if (below(40) == 0)
				execute(&held);
			rest(30);
		}
		let_go(connection, &held);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	_exit(0);
}

static pid_t client(void)
{
	uint64_t seed = next();
	pid_t pid = fork();

	if (pid == 0) {
		state = seed;
		live();
	}
	return pid;
}

static void report(long kills)
{
	long strange = 0;

	for (int call = 0; call < CALLS; call++)
		for (int error = 0; error < ERRORS; error++)
			strange += atomic_load(&account->strange[call][error]);
	printf("%ld %ld %ld %ld %ld %ld %ld", atomic_load(&account->opens), atomic_load(&account->refusals),
	       atomic_load(&account->uses), atomic_load(&account->forks), atomic_load(&account->execs), kills, strange);
	for (int call = 0; call < CALLS; call++)
		for (int error = 0; error < ERRORS; error++)
			if (atomic_load(&account->strange[call][error]))
				printf(" %s:%s:%ld", calls[call], strerrorname_np(error) ?: "?",
				       atomic_load(&account->strange[call][error]));
	printf("\n");
}

static void crowd(unsigned int clients, unsigned int seconds)
{
	pid_t *pids = calloc(clients, sizeof(*pids)), pid;
	time_t end = time(NULL) + seconds;
	long kills = 0;

	for (unsigned int index = 0; index < clients; index++)
		pids[index] = client();
	while (time(NULL) < end) {
		unsigned int index = below(clients);

		rest(400);
		kills += kill(pids[index], SIGKILL) == 0;
		/* Its children come to us, as do all that lose their parent. */
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			for (unsigned int other = 0; other < clients; other++)
				if (pids[other] == pid)
					pids[other] = client();
	}
	/* Half of them end by themselves. */
	for (unsigned int index = 0; index < clients / 2; index++)
		kills += kill(pids[index], SIGKILL) == 0;
	atomic_store(&account->is_over, 1);
	while (wait(NULL) > 0 || errno == EINTR)
		;
	report(kills);
}

int main(int count, char **arguments)
{
	if (count < 7)
		return 64;
	self = arguments[0];
	socket_path = arguments[1];
	state = strtoull(arguments[2], NULL, 10);
	address = arguments[3];
	folder = arguments[4];
	memory_file = count > 7 ? atoi(arguments[5]) : memfd_create("account", 0);
	if (count == 7 && ftruncate(memory_file, sizeof(*account)) < 0)
		return 71;
	account = mmap(NULL, sizeof(*account), PROT_READ | PROT_WRITE, MAP_SHARED, memory_file, 0);
	if (account == MAP_FAILED)
		return 71;
	if (count > 7) {
		rest(50);
		close(atoi(arguments[6]));
		live();
	}
	alarm(LONGEST);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	crowd((unsigned int)atoi(arguments[5]), (unsigned int)atoi(arguments[6]));
	return 0;
}
