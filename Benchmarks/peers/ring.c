/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_uring, default flags, registered files: without restrictions, and as the path ring of Postern, whose slots the broker
 * fills. No registered buffers: between the page cache and memory the kernel copies faster without (they are a bvec to it).
 */
#include "peers.h"

#include <liburing.h>

/* A ring and where in it the object is. */
struct place {
	struct io_uring *ring;
	int slot;
};

static struct place disk, udp, tcp;

/* NULL: way->why says why not. */
static struct io_uring *make_ring(struct way *way, unsigned flags)
{
	struct io_uring *ring = calloc(1, sizeof(*ring));
	cpu_set_t workers;

	CPU_ZERO(&workers);
	CPU_SET(processor(0), &workers);
	if (!ring || io_uring_queue_init(DEEPEST, ring, flags) < 0)
		cannot(way, "io_uring_setup was refused");
	/* The kernel's workers, for what would block, where the client is. */
	else if (io_uring_register_iowq_aff(ring, sizeof(workers), &workers) < 0)
		cannot(way, "placing its workers was refused");
	else
		return ring;
	return NULL;
}

static void open_unrestricted(struct way *way)
{
	struct io_uring *ring;
	int files[3];

	open_all(way);
	files[0] = held.disk;
	files[1] = held.udp;
	files[2] = held.tcp;
	ring = make_ring(way, 0);
	if (!ring)
		return;
	if (io_uring_register_files(ring, files, 3) < 0)
		cannot(way, "registering files was refused");
	disk = (struct place){ ring, 0 };
	udp = (struct place){ ring, 1 };
	tcp = (struct place){ ring, 2 };
}

static int unrestricted_offers(const struct task *task)
{
	return task->operation >= READ;
}

static struct place place_of(const struct task *task)
{
	if (on_disk(task))
		return disk;
	return task->operation == UDP_SEND || task->operation == UDP_RECEIVE ? udp : tcp;
}

/* The udp socket's ring takes no request that could name an address. */
static int writes_datagrams;

static void prepare(struct io_uring_sqe *entry, const struct task *task, int slot, unsigned i)
{
	char *bytes = held.bytes + (size_t)i * task->size;

	switch (task->operation) {
	case READ:
		io_uring_prep_read(entry, slot, bytes, task->size, (uint64_t)i * task->size);
		break;
	case WRITE:
		io_uring_prep_write(entry, slot, bytes, task->size, (uint64_t)i * task->size);
		break;
	case UDP_SEND:
	case TCP_SEND:
		if (writes_datagrams)
			io_uring_prep_write(entry, slot, bytes, task->size, 0);
		else
			io_uring_prep_send(entry, slot, bytes, task->size, MSG_NOSIGNAL);
		break;
	default:
		io_uring_prep_recv(entry, slot, bytes, task->size, task->operation == UDP_RECEIVE ? 0 : MSG_WAITALL);
	}
	io_uring_sqe_set_flags(entry, IOSQE_FIXED_FILE);
}

static void submit(const struct task *task)
{
	const struct place place = place_of(task);
	struct io_uring_cqe *completion;

	for (unsigned i = 0; i < task->depth; i++)
		prepare(io_uring_get_sqe(place.ring), task, place.slot, i);
	if (io_uring_submit_and_wait(place.ring, task->depth) != (int)task->depth)
		die("io_uring_enter");
	for (unsigned i = 0; i < task->depth; i++) {
		if (io_uring_wait_cqe(place.ring, &completion) < 0)
			die("io_uring");
		expect(completion->res, task->size, "io_uring");
		io_uring_cqe_seen(place.ring, completion);
	}
}

struct way ring_unrestricted = { .name = "io_uring, unrestricted", .open = open_unrestricted, .offers = unrestricted_offers,
				 .perform = submit, .root = 1 };

/* The path ring: one for each object, as every open makes one. */

static struct postern_ring acquired;
static struct io_uring *acquired_ring;

static struct place enrol(struct way *way, const char *object, struct postern_ring *enrolled)
{
	struct io_uring *ring = make_ring(way, IORING_SETUP_R_DISABLED);

	if (!ring || was_granted(way, object, postern_ring_open(library(), object, 0, ring->ring_fd, enrolled)) < 0)
		return (struct place){ NULL, 0 };
	return (struct place){ ring, (int)enrolled->slot };
}

static void open_restricted(struct way *way)
{
	struct postern_ring enrolled;

	disk = enrol(way, "disk-ring", &enrolled);
	if (*way->why) {
		if (setting("PEERS_DOCTOR_RING"))
			cannot(way, setting("PEERS_DOCTOR_RING"));
		return;
	}
	udp = enrol(way, "udp-ring", &enrolled);
	writes_datagrams = 1;
	held.udp_peer = loopback_socket(SOCK_DGRAM, UDP_RING_PEER);
	connect_to(held.udp_peer, &udp_ring_here);
}

static int restricted_offers(const struct task *task)
{
	return task->operation == OPEN_DISK || on_disk(task) || task->operation == UDP_SEND || task->operation == UDP_RECEIVE;
}

static void perform(const struct task *task)
{
	struct way way = { .why = "" };

	if (task->operation != OPEN_DISK)
		return submit(task);
	acquired_ring = enrol(&way, "disk-ring", &acquired).ring;
	if (*way.why) {
		fprintf(stderr, "benchmark: %s\n", way.why);
		exit(1);
	}
}

static void release(const struct task *task)
{
	(void)task;
	if (!acquired_ring)
		return;
	if (postern_ring_close(library(), &acquired) < 0)
		die("postern_ring_close");
	io_uring_queue_exit(acquired_ring);
	free(acquired_ring);
	acquired_ring = NULL;
}

struct way ring = { .name = "Postern, ring", .prepare = broker_serves, .open = open_restricted, .offers = restricted_offers,
		    .perform = perform, .release = release };
