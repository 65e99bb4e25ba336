/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Postern: on the path mediated through its library, as a C program uses it, one operation at a time and in batches; the
 * paths that hand out the object's own descriptor; and port 80 for a program that `postern run` has started.
 */
#include "peers.h"

#include "../mediated/protocol.h"

#include <netinet/tcp.h>
#include <poll.h>

/* The setting that has the broker's socket. */
static const char *broker = "PEERS_BROKER";

postern *library(void)
{
	static postern *connected;

	if (!connected && postern_connect(needed(broker), &connected) < 0)
		die("postern_connect");
	return connected;
}

void broker_serves(struct way *way)
{
	way->servers[way->server_count++] = atoi(needed("PEERS_BROKER_PID"));
}

int was_granted(struct way *way, const char *object, int result)
{
	char message[128];

	if (result < 0) {
		int reason = postern_last_reason(message, sizeof(message));

		snprintf(way->why, sizeof(way->why), "%s: the broker said %s%s%s", object,
			 reason ? postern_reason_name(reason) : strerror(-result), *message ? ": " : "", message);
	}
	return result;
}

/* A descriptor of the library, or an error and the reason. */
static int open_by_library(struct way *way, const char *object)
{
	return was_granted(way, object, postern_open(library(), object, 0));
}

static int accept_by_library(int listener)
{
	return postern_accept(listener, NULL, NULL, SOCK_CLOEXEC);
}

/* Where the object listens; what is accepted is an ordinary descriptor. */
static void connect_tcp(void)
{
	if (postern_listen(held.listener, 1) < 0)
		die("postern_listen");
	held.tcp_peer = loopback_socket(SOCK_STREAM, 0);
	connect_to(held.tcp_peer, &tcp_here);
	held.tcp = accept_peer(held.listener, accept_by_library);
}

static void open_mediated(struct way *way)
{
	struct sockaddr_in name;

	held.disk = open_by_library(way, "disk");
	held.udp = open_by_library(way, "udp");
	held.listener = open_by_library(way, "tcp");
	if (*way->why)
		return;
	held.udp_peer = loopback_socket(SOCK_DGRAM, 0);
	connect_to(held.udp_peer, &udp_here);
	name = name_of(held.udp_peer);
	if (postern_connect_to(held.udp, (struct sockaddr *)&name, sizeof(name)) < 0)
		die("postern_connect_to");
	connect_tcp();
}

static void one(const struct task *task)
{
	size_t size = task->size;

	switch (task->operation) {
	case READ:
		expect(postern_read(held.disk, held.bytes, size, 0), size, "postern_read");
		break;
	case WRITE:
		expect(postern_write(held.disk, held.bytes, size, 0), size, "postern_write");
		break;
	case UDP_SEND:
		expect(postern_send(held.udp, held.bytes, size, 0, NULL, 0), size, "postern_send");
		break;
	case UDP_RECEIVE:
		expect(postern_receive(held.udp, held.bytes, size, 0, NULL, NULL), size, "postern_receive");
		break;
	default:
		operate_plainly(task);
	}
}

static void wait_for(int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };

	if (poll(&entry, 1, -1) < 0)
		die("poll");
}

static void batch(const struct task *task)
{
	static const uint32_t operations[] = { [READ] = POSTERN_READ, [WRITE] = POSTERN_WRITE, [UDP_SEND] = POSTERN_SEND,
					       [UDP_RECEIVE] = POSTERN_RECEIVE };
	static struct postern_instruction list[DEEPEST];
	static struct postern_completion completions[DEEPEST];
	int out = task->operation == WRITE || task->operation == UDP_SEND, fd = on_disk(task) ? held.disk : held.udp;
	unsigned submitted = 0, completed = 0;

	for (unsigned i = 0; i < task->depth; i++) {
		char *bytes = held.bytes + (size_t)i * task->size;

		list[i] = (struct postern_instruction){ .operation = operations[task->operation], .user_data = i };
		if (on_disk(task))
			list[i].offset = (uint64_t)i * task->size;
		if (out) {
			list[i].out = bytes;
			list[i].out_length = task->size;
		} else {
			list[i].in = bytes;
			list[i].in_length = task->size;
		}
	}
	while (completed < task->depth) {
		int taken = 0, done;

		if (submitted < task->depth)
			taken = postern_submit(fd, list + submitted, task->depth - submitted);
		if (taken < 0)
			die("postern_submit");
		submitted += (unsigned)taken;
		done = postern_complete(fd, completions, DEEPEST);
		if (done < 0)
			die("postern_complete");
		for (int i = 0; i < done; i++)
			expect((ssize_t)completions[i].result, task->size, "a batched operation");
		completed += (unsigned)done;
		if (done == 0 && (taken == 0 || submitted == task->depth))
			wait_for(fd);
	}
}

static void acquire(const char *object)
{
	held.acquired = postern_open(library(), object, 0);
	if (held.acquired < 0)
		die("postern_open");
}

static void release(const struct task *task)
{
	(void)task;
	if (held.acquired >= 0 && postern_close(held.acquired) < 0)
		die("postern_close");
	held.acquired = -1;
}

static void perform_mediated(const struct task *task)
{
	if (task->operation == OPEN_DISK)
		acquire("disk");
	else if (task->depth == 1)
		one(task);
	else
		batch(task);
}

/* An accepted connection is the application's own: there is nothing to batch. */
static int mediated_offers(const struct task *task)
{
	if (task->operation == TCP_SEND || task->operation == TCP_RECEIVE)
		return at_once(task);
	return task->operation == OPEN_DISK || task->operation >= READ;
}

struct way mediated = { .name = "Postern, mediated", .prepare = broker_serves, .open = open_mediated,
			.offers = mediated_offers, .perform = perform_mediated, .release = release };

/* The same by a broker whose journal is in memory: what of opening is not waiting until the record is on the disk. */

static void other_broker_serves(struct way *way)
{
	way->servers[way->server_count++] = atoi(needed("PEERS_MEMORY_BROKER_PID"));
}

static void open_at_other(struct way *way)
{
	int fd;

	broker = "PEERS_MEMORY_BROKER";
	fd = open_by_library(way, "disk");
	if (fd >= 0 && postern_close(fd) < 0)
		die("postern_close");
}

static int only_opens(const struct task *task)
{
	return task->operation == OPEN_DISK;
}

struct way in_memory = { .name = "Postern, journal in memory", .prepare = other_broker_serves, .open = open_at_other,
			 .offers = only_opens, .perform = perform_mediated, .release = release };

/* The path direct: the descriptors are the objects' own. */

static void open_direct(struct way *way)
{
	held.disk = open_by_library(way, "disk-direct");
	if (held.disk < 0 && setting("PEERS_DOCTOR_DIRECT"))
		cannot(way, setting("PEERS_DOCTOR_DIRECT"));
}

static int direct_offers(const struct task *task)
{
	return at_once(task) && (on_disk(task) || task->operation == OPEN_DISK);
}

static void perform_direct(const struct task *task)
{
	if (task->operation == OPEN_DISK)
		acquire("disk-direct");
	else
		operate_plainly(task);
}

struct way direct = { .name = "Postern, direct", .prepare = broker_serves, .open = open_direct, .offers = direct_offers,
		      .perform = perform_direct, .release = release };

/* A program that is started with a listening socket, as LISTEN_FDS: `postern open` asks for it and becomes the program. */
static void start_with_object(const struct task *task)
{
	const char *const line[] = { needed("PEERS_POSTERN"), "open", "web", "--socket", needed("PEERS_BROKER"), "--",
				     needed("PEERS_PROGRAM"), "82", NULL };

	(void)task;
	start_program(line, -1);
}

struct way handed_over = { .name = "Postern, open", .prepare = broker_serves, .offers = only_starts,
			.perform = start_with_object, .slow = 1 };

/* An unmodified program below `postern run`. */

static const char *by_run[] = { NULL, "--socket", NULL, "run", "--", NULL };

static void prepare_run(struct way *way)
{
	by_run[0] = needed("PEERS_POSTERN");
	by_run[2] = needed("PEERS_BROKER");
	broker_serves(way);
}

struct way run = { .name = "Postern, run", .prepare = prepare_run, .offers = only_binds, .perform = bind_port,
		   .release = close_acquired, .prefix = by_run };
