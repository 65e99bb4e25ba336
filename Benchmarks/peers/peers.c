/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every way to a privileged object, measured in one run: what acquiring it costs, and what one operation on it does.
 *
 * Each way has a client, an ordinary user's process. For each operation all ways take turns, in short rounds, so that other
 * work on the machine meets all alike. Each sample is timed by itself; reading the clock is in it, and how long that takes
 * is said.
 *
 * Usage: peers		started by Benchmarks/peers/run, which sets what is needed; samples go to standard output
 *	  peers count WAY OPERATION SIZE DEPTH TIMES	that often, untimed, for counting system calls
 *	  peers client WAY	for itself
 */
#include "peers.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static struct way *const ways[] = {
	&plain, &launch, &ring_unrestricted, &ring, &direct, &mediated, &in_memory, &run, &handed_over,
	&seqpacket, &notify, &traced, &fuse, &bus, &polkit, &listen_fds, &sudo, &authbind,
};
#define WAYS (sizeof(ways) / sizeof(*ways))

static const char *const names[] = {
	[OPEN_DISK] = "open disk", [BIND_PORT] = "bind port", [START_PROGRAM] = "start program", [READ] = "read",
	[WRITE] = "write", [UDP_SEND] = "udp send", [UDP_RECEIVE] = "udp receive", [TCP_SEND] = "tcp send",
	[TCP_RECEIVE] = "tcp receive",
};

/* Sizes of sockets' operations such that a whole batch fits into a socket's buffer, which nobody empties meanwhile. */
static const struct task tasks[] = {
	{ OPEN_DISK, 0, 1, 0, 0 },	{ BIND_PORT, 0, 1, 0, 0 },	{ START_PROGRAM, 0, 1, 0, 0 },
#define DISK(operation, size) { operation, size, 1, 0, 0 }, { operation, size, 8, 0, 0 }, { operation, size, 64, 0, 0 }
	DISK(READ, 64), DISK(READ, 4096), DISK(READ, 65536), DISK(WRITE, 64), DISK(WRITE, 4096), DISK(WRITE, 65536),
#define SOCKET(operation, largest) { operation, 64, 1, 0, 0 }, { operation, 64, 8, 0, 0 }, { operation, 64, 64, 0, 0 }, \
	{ operation, 4096, 1, 0, 0 }, { operation, 4096, 8, 0, 0 }, { operation, largest, 1, 0, 0 }
	SOCKET(UDP_SEND, 32768), SOCKET(UDP_RECEIVE, 32768), SOCKET(TCP_SEND, 65536), SOCKET(TCP_RECEIVE, 65536),
};
#define TASKS (sizeof(tasks) / sizeof(*tasks))

struct held held = { -1, -1, -1, -1, -1, -1, -1, NULL };
#define LOOPBACK(port) { .sin_family = AF_INET, .sin_port = __builtin_bswap16(port), .sin_addr = { __builtin_bswap32(INADDR_LOOPBACK) } }
const struct sockaddr_in port_80 = LOOPBACK(80), udp_here = LOOPBACK(2000), tcp_here = LOOPBACK(2002),
			 udp_ring_here = LOOPBACK(2004);

void become_nobody(void)
{
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
		die("setresuid");
	/* Changing the user has cleared it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

pid_t server(struct way *way)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	else
		way->servers[way->server_count++] = pid;
	return pid;
}

static void whole(int fd, size_t size)
{
	expect(recv(fd, held.bytes, size, MSG_WAITALL), size, "what was to be there");
}

void before(const struct task *task)
{
	if (task->operation == UDP_RECEIVE || task->operation == TCP_RECEIVE) {
		int fd = task->operation == UDP_RECEIVE ? held.udp_peer : held.tcp_peer;

		for (unsigned i = 0; i < task->depth; i++)
			expect(send(fd, held.bytes, task->size, MSG_NOSIGNAL), task->size, "send beforehand");
	}
}

void after(const struct task *task)
{
	if (task->operation == UDP_SEND)
		for (unsigned i = 0; i < task->depth; i++)
			whole(held.udp_peer, task->size);
	if (task->operation == TCP_SEND)
		for (unsigned i = 0; i < task->depth; i++)
			whole(held.tcp_peer, task->size);
}

static uint64_t nanoseconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void once(const struct way *way, const struct task *task, uint64_t *sample)
{
	uint64_t start;

	before(task);
	start = nanoseconds();
	way->perform(task);
	*sample = nanoseconds() - start;
	after(task);
	if (way->release)
		way->release(task);
}

static void get_ready(struct way *way)
{
	held.bytes = mmap(NULL, LARGEST * DEEPEST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (held.bytes == MAP_FAILED)
		die("mmap");
	memset(held.bytes, 'p', LARGEST * DEEPEST);
	signal(SIGPIPE, SIG_IGN);
	if (way->enter)
		way->enter(way);
	if (!way->root && !way->prefix)
		become_nobody();
	if (way->open)
		way->open(way);
}

/* Says whether it can, then does what it is told. */
static int client(struct way *way)
{
	struct task task;
	uint64_t samples[MOST_SAMPLES], warm;

	get_ready(way);
	expect(write(1, way->why, sizeof(way->why)), sizeof(way->why), "why");
	while (read(0, &task, sizeof(task)) == sizeof(task)) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(task.processor, &set);
		if (sched_setaffinity(0, sizeof(set), &set) < 0)
			die("sched_setaffinity");
		for (unsigned i = 0; i < 3; i++)
			once(way, &task, &warm);
		for (unsigned i = 0; i < task.samples; i++)
			once(way, &task, &samples[i]);
		expect(write(1, samples, task.samples * sizeof(*samples)), task.samples * sizeof(*samples), "samples");
	}
	return 0;
}

static void start(struct way *way, const char *self)
{
	int in[2], out[2];

	if (way->prepare)
		way->prepare(way);
	if (*way->why)
		return;
	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		die("pipe");
	way->client = fork();
	if (way->client < 0)
		die("fork");
	if (way->client == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in[0], 0);
		dup2(out[1], 1);
		if (way->prefix) {
			const char *line[12];
			int count = 0;

			for (; way->prefix[count]; count++)
				line[count] = way->prefix[count];
			line[count++] = self;
			line[count++] = "client";
			line[count++] = way->name;
			line[count] = NULL;
			become_nobody();
			execvp(line[0], (char *const *)line);
			die(line[0]);
		}
		exit(client(way));
	}
	close(in[0]);
	close(out[1]);
	way->in = in[1];
	way->out = out[0];
	if (read(way->out, way->why, sizeof(way->why)) != sizeof(way->why))
		cannot(way, "its client ended at once");
}

static unsigned offered(const struct way *way, const struct task *task, int apart)
{
	return !*way->why && way->offers(task) && (!apart || way->server_count > 0);
}

/* One turn of a way: how many samples it has in one. A large batch is many operations as it is. */
static unsigned turn(const struct way *way, const struct task *task, unsigned samples)
{
	return way->slow || task->depth == DEEPEST ? (samples + 9) / 10 : samples;
}

static void ask(const struct way *way, struct task task, uint64_t *samples)
{
	size_t size = task.samples * sizeof(*samples), got = 0;
	ssize_t count = write(way->in, &task, sizeof(task));

	while (count > 0 && got < size) {
		count = read(way->out, (char *)samples + got, size - got);
		got += count > 0 ? (size_t)count : 0;
	}
	if (count <= 0) {
		fprintf(stderr, "benchmark: %s ended at %s of %u bytes\n", way->name, names[task.operation], task.size);
		exit(1);
	}
}

static void compare(unsigned rounds, unsigned samples, int apart)
{
	static uint64_t *values[WAYS];

	for (unsigned w = 0; w < WAYS; w++) {
		if (!values[w])
			values[w] = calloc(rounds * samples, sizeof(**values));
		if (!values[w])
			die("calloc");
		for (int i = 0; i < ways[w]->server_count && !*ways[w]->why; i++)
			place(ways[w]->servers[i], processor(apart));
	}
	place(getpid(), processor(0));
	for (unsigned t = 0; t < TASKS; t++) {
		struct task task = tasks[t];

		task.processor = processor(0);
		for (unsigned round = 0; round < rounds; round++) {
			for (unsigned w = 0; w < WAYS; w++) {
				task.samples = turn(ways[w], &task, samples);
				if (offered(ways[w], &task, apart))
					ask(ways[w], task, values[w] + round * task.samples);
			}
		}
		for (unsigned w = 0; w < WAYS; w++) {
			unsigned total = rounds * turn(ways[w], &task, samples);

			if (!offered(ways[w], &task, apart))
				continue;
			printf("samples\t%s\t%u\t%u\t%s\t%s\t", names[task.operation], task.size, task.depth, ways[w]->name,
			       apart ? "two processors" : "one processor");
			for (unsigned i = 0; i < total; i++)
				printf("%" PRIu64 "%c", values[w][i], i + 1 == total ? '\n' : ' ');
		}
		fflush(stdout);
	}
}

static void say_what_the_clock_takes(void)
{
	static uint64_t samples[10000];
	double cost[1000];

	for (int round = 0; round < 1000; round++) {
		uint64_t begun = nanoseconds();

		for (int i = 0; i < 10; i++)
			samples[i] = nanoseconds();
		cost[round] = (double)(samples[9] - begun) / 10;
	}
	printf("context\tclock\t%.0f\n", median(cost, 1000));
}

static struct way *find(const char *name)
{
	for (unsigned w = 0; w < WAYS; w++)
		if (!strcmp(ways[w]->name, name))
			return ways[w];
	fprintf(stderr, "benchmark: no such way: %s\n", name);
	exit(64);
}

static int count_calls(char **arguments)
{
	struct way *way = find(arguments[0]);
	struct task task = { 0, (uint32_t)atoi(arguments[2]), (uint32_t)atoi(arguments[3]), 0, 0 };
	uint64_t sample;

	while (task.operation < sizeof(names) / sizeof(*names) && strcmp(names[task.operation], arguments[1]))
		task.operation++;
	if (way->prepare)
		way->prepare(way);
	if (!*way->why)
		get_ready(way);
	if (*way->why) {
		fprintf(stderr, "benchmark: %s: %s\n", way->name, way->why);
		return 1;
	}
	for (int i = atoi(arguments[4]); i > 0; i--)
		once(way, &task, &sample);
	return 0;
}

int main(int count, char **arguments)
{
	unsigned rounds = (unsigned)atoi(setting("PEERS_ROUNDS") ? setting("PEERS_ROUNDS") : "40");
	unsigned samples = (unsigned)atoi(setting("PEERS_SAMPLES") ? setting("PEERS_SAMPLES") : "50");
	char self[4096];
	ssize_t size = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (size < 0)
		die("readlink");
	self[size] = 0;
	if (count == 3 && !strcmp(arguments[1], "client"))
		return client(find(arguments[2]));
	if (count == 7 && !strcmp(arguments[1], "count"))
		return count_calls(arguments + 2);
	if (count != 1 || rounds < 1 || samples < 1 || samples > MOST_SAMPLES) {
		fprintf(stderr, "usage: peers [client WAY | count WAY OPERATION SIZE DEPTH TIMES]\n");
		return 64;
	}
	signal(SIGPIPE, SIG_IGN);
	say_what_the_clock_takes();
	for (unsigned w = 0; w < WAYS; w++) {
		printf("way\t%s\n", ways[w]->name);
		start(ways[w], self);
		if (*ways[w]->why)
			printf("gap\t%s\t%s\n", ways[w]->name, ways[w]->why);
	}
	fflush(stdout);
	compare(rounds, samples, 0);
	if (processor(1) != processor(0))
		compare(rounds, samples, 1);
	for (unsigned w = 0; w < WAYS; w++) {
		if (ways[w]->client <= 0)
			continue;
		close(ways[w]->in);
		kill(ways[w]->client, SIGKILL);
		waitpid(ways[w]->client, NULL, 0);
	}
	return 0;
}
