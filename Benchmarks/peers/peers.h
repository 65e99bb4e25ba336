/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmark of all ways to a privileged object is made of: operations, ways to do them, and what they share. */
#ifndef PEERS_H
#define PEERS_H

#include "../mediated/measure.h"

#include <netinet/in.h>
#include <postern.h>
#include <stdint.h>
#include <sys/socket.h>

#define NOBODY 65534
#define UDP_RING_PEER 2005	/* as the policy of `run` says */
#define LENGTH (8u << 20)	/* bytes of the disk */
#define LARGEST 65536u
#define DEEPEST 64u
#define MOST_SAMPLES 64u	/* of one command */

enum operation { OPEN_DISK, BIND_PORT, START_PROGRAM, READ, WRITE, UDP_SEND, UDP_RECEIVE, TCP_SEND, TCP_RECEIVE };

/* What a client is told to do, `samples` times; a sample is `depth` operations of `size` bytes. */
struct task {
	uint32_t operation, size, depth, samples;
	int32_t processor;
};

/* One way. Everything of it that is measured is done by a client process of its own. */
struct way {
	const char *name;
	/* In the benchmark, as root: starts what serves. What cannot be started is said in `why`. */
	void (*prepare)(struct way *way);
	/* In the client, before it becomes nobody. */
	void (*enter)(struct way *way);
	/* In the client, as nobody. */
	void (*open)(struct way *way);
	int (*offers)(const struct task *task);
	/* This is what is timed. */
	void (*perform)(const struct task *task);
	/* Undoes it, untimed. */
	void (*release)(const struct task *task);
	/* What the client is started by, ended by NULL; NULL: it is a child that only forks. */
	const char *const *prefix;
	/* The client stays root. */
	int root;
	/* Takes milliseconds, so that it has a tenth of the samples. */
	int slow;
	/* Not empty: why this way is not measured. */
	char why[400];

	pid_t servers[4];
	int server_count, socket;
	pid_t client;
	int in, out;
};

extern struct way plain, ring_unrestricted, mediated, in_memory, direct, ring, handed_over, run, seqpacket, notify, traced, bus, polkit,
	fuse, launch, listen_fds, sudo, authbind;

/* What the client holds, where the way gives it descriptors. */
struct held {
	int disk, udp, tcp, listener;
	/* The other ends. */
	int udp_peer, tcp_peer;
	/* What was acquired in this sample. */
	int acquired;
	char *bytes;
};

extern struct held held;
extern const struct sockaddr_in port_80, udp_here, tcp_here, udp_ring_here;

/* A setting of the script `run`, or NULL. */
static inline const char *setting(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static inline const char *needed(const char *name)
{
	const char *value = setting(name);

	if (!value) {
		fprintf(stderr, "benchmark: %s is not set: start this with Benchmarks/peers/run\n", name);
		exit(1);
	}
	return value;
}

static inline void cannot(struct way *way, const char *why)
{
	snprintf(way->why, sizeof(way->why), "%s", why ? why : strerror(errno));
}

static inline int on_disk(const struct task *task)
{
	return task->operation == READ || task->operation == WRITE;
}

static inline int at_once(const struct task *task)
{
	return task->depth == 1;
}

/* Ends the client: an operation of which not every byte was done is not one to be measured. */
static inline void expect(ssize_t result, size_t wanted, const char *what)
{
	if (result != (ssize_t)wanted) {
		fprintf(stderr, "benchmark: %s: %zd of %zu: %s\n", what, result, wanted, strerror(errno));
		exit(1);
	}
}

/* peers.c */
void become_nobody(void);
/* A child that ends with its parent; its number goes among those who serve. */
pid_t server(struct way *way);
/* What the samples are followed by, and what must be there before them, that is not measured. */
void before(const struct task *task);
void after(const struct task *task);

/* plain.c: also for ways that hand out the object's own descriptor. */
void open_all(struct way *way);
int loopback_socket(int type, uint16_t port);
void connect_to(int fd, const struct sockaddr_in *name);
struct sockaddr_in name_of(int fd);
int accept_peer(int listener, int (*accept_one)(int listener));
void open_disk(const struct task *task);
void close_acquired(const struct task *task);
void bind_port(const struct task *task);
void operate_plainly(const struct task *task);

/* postern.c */
postern *library(void);
void broker_serves(struct way *way);
/* The result; where the broker refused, way->why says so. */
int was_granted(struct way *way, const char *object, int result);

/* launch.c */
void start_program(const char *const *line, int descriptor);
int only_starts(const struct task *task);
int only_binds(const struct task *task);

#endif
