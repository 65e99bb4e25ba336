/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that were blocked when their association was revoked, and what arrives after that. */
#include "barrier.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/uhid.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>

struct blocked {
	const char *name;
	uint32_t kind;
	void (*set_up)(struct scene *scene);
	long (*operate)(struct scene *scene);
	void (*feed)(struct scene *scene);
	bool is_checked_again; /* when it goes on, also without a barrier */
	int workers;
};

static long do_recv(struct scene *s)
{
	return ERR(recv(s->fd, s->memory, 64, 0));
}

static long do_read(struct scene *s)
{
	return ERR(read(s->fd, s->memory, 64));
}

static long do_accept(struct scene *s)
{
	return ERR(accept(s->fd, NULL, NULL));
}

/* The first message is there already: 2 is what came after the revoke. */
static long do_recvmmsg(struct scene *s)
{
	struct iovec vector = { s->memory, 64 };
	struct mmsghdr messages[2] = { { .msg_hdr = { .msg_iov = &vector, .msg_iovlen = 1 } } };
	long result;

	messages[1] = messages[0];
	result = ERR(recvmmsg(s->fd, messages, 2, 0, NULL));
	return result == 1 ? -EINTR : result;
}

static long do_splice(struct scene *s)
{
	return ERR(splice(s->fd, NULL, s->pipe[1], NULL, 64, 0));
}

static long do_aio(struct scene *s)
{
	struct iocb block = { .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = (uint32_t)s->fd,
			      .aio_buf = (uint64_t)s->memory, .aio_nbytes = 64 };
	struct iocb *list = &block;
	aio_context_t context = 0;
	struct io_event event;

	if (syscall(SYS_io_setup, 4, &context) || syscall(SYS_io_submit, context, 1, &list) != 1)
		return -errno;
	return syscall(SYS_io_getevents, context, 1, 1, &event, NULL) == 1 ? event.res : -EIO;
}

static long ring(struct scene *s, struct io_uring_sqe entry)
{
	struct uring uring;
	long result = uring_open(&uring, 0);

	(void)s;
	if (result >= 0)
		result = uring_submit(&uring, &entry);
	return result < 0 ? result : uring_wait(&uring, 8000, NULL);
}

static long ring_recv(struct scene *s)
{
	return ring(s, (struct io_uring_sqe){ .opcode = IORING_OP_RECV, .fd = s->fd, .addr = (uint64_t)s->memory, .len = 64 });
}

static long ring_recv_async(struct scene *s)
{
	return ring(s, (struct io_uring_sqe){ .opcode = IORING_OP_RECV, .fd = s->fd, .addr = (uint64_t)s->memory, .len = 64,
					      .flags = IOSQE_ASYNC });
}

static long ring_accept(struct scene *s)
{
	return ring(s, (struct io_uring_sqe){ .opcode = IORING_OP_ACCEPT, .fd = s->fd });
}

static long ring_read(struct scene *s)
{
	return ring(s, (struct io_uring_sqe){ .opcode = IORING_OP_READ, .fd = s->fd, .addr = (uint64_t)s->memory, .len = 64,
					      .off = UINT64_MAX, .flags = IOSQE_ASYNC });
}

static long ring_splice(struct scene *s)
{
	return ring(s, (struct io_uring_sqe){ .opcode = IORING_OP_SPLICE, .fd = s->pipe[1], .off = UINT64_MAX, .len = 64,
					      .splice_fd_in = s->fd, .splice_off_in = UINT64_MAX });
}

static void send_late(struct scene *s)
{
	send(s->peer, "late", 4, MSG_NOSIGNAL);
}

static void write_late(struct scene *s)
{
	if (write(s->peer, "late\n", 5) != 5)
		die("late");
}

static void connect_late(struct scene *s)
{
	s->peer = connected(SOCK_STREAM, s->port);
}

static void one_message(struct scene *s)
{
	udp_pair(s);
	send(s->peer, "early", 5, 0);
}

static void terminal(struct scene *s)
{
	struct termios raw;

	s->peer = posix_openpt(O_RDWR | O_NOCTTY);
	if (s->peer < 0 || unlockpt(s->peer))
		die("pty");
	s->fd = open(ptsname(s->peer), O_RDWR | O_NOCTTY);
	tcgetattr(s->fd, &raw);
	cfmakeraw(&raw);
	tcsetattr(s->fd, TCSANOW, &raw);
}

static void hid_device(struct scene *s)
{
	static const unsigned char report[] = { 0x06, 0x00, 0xff, 0x09, 0x01, 0xa1, 0x01, 0x09, 0x02, 0x15, 0x00, 0x26,
						0xff, 0x00, 0x75, 0x08, 0x95, 0x08, 0x81, 0x02, 0xc0 };
	struct uhid_event event = { .type = UHID_CREATE2 };
	char path[64];

	s->peer = open("/dev/uhid", O_RDWR);
	strcpy((char *)event.u.create2.name, "doors");
	memcpy(event.u.create2.rd_data, report, sizeof(report));
	event.u.create2.rd_size = sizeof(report);
	event.u.create2.bus = 3;
	event.u.create2.vendor = 0x1234;
	event.u.create2.product = 0x5678;
	if (s->peer < 0 || write(s->peer, &event, sizeof(event)) != sizeof(event))
		die("uhid");
	for (int i = 0; i < 200 && s->fd < 0; i++) {
		for (int n = 0; n < 8 && s->fd < 0; n++) {
			snprintf(path, sizeof(path), "/dev/hidraw%d", n);
			s->fd = open(path, O_RDWR);
		}
		usleep(10000);
	}
	if (s->fd < 0)
		die("hidraw");
}

static void hid_late(struct scene *s)
{
	struct uhid_event event = { .type = UHID_INPUT2, .u.input2 = { .size = 8, .data = "late" } };

	if (write(s->peer, &event, sizeof(event)) != sizeof(event))
		die("uhid");
}

static void unix_pair(struct scene *s)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		die("socketpair");
	s->fd = pair[0];
	s->peer = pair[1];
}

#define SOCKET POSTERN_KIND_SOCKET
#define BUS POSTERN_KIND_BUS

static const struct blocked all[] = {
	{ "recv, udp", SOCKET, udp_pair, do_recv, send_late, false, 0 },
	{ "recv, tcp", SOCKET, tcp_pair, do_recv, send_late, false, 0 },
	{ "recv, unix", SOCKET, unix_pair, do_recv, send_late, false, 0 },
	{ "read, tcp", SOCKET, tcp_pair, do_read, send_late, false, 0 },
	{ "splice, tcp", SOCKET, tcp_pair, do_splice, send_late, false, 0 },
	{ "recvmmsg with its first message", SOCKET, one_message, do_recvmmsg, send_late, false, 0 },
	{ "accept", SOCKET, tcp_listener, do_accept, connect_late, false, 0 },
	{ "read of a terminal", BUS, terminal, do_read, write_late, false, 0 },
	{ "read of a hidraw device", BUS, hid_device, do_read, hid_late, false, 0 },
	{ "AIO read, tcp", SOCKET, tcp_pair, do_aio, send_late, false, 0 },
	{ "io_uring recv, armed", SOCKET, udp_pair, ring_recv, send_late, true, 0 },
	{ "io_uring recv, IOSQE_ASYNC", SOCKET, udp_pair, ring_recv_async, send_late, true, 0 },
	{ "io_uring accept, armed", SOCKET, tcp_listener, ring_accept, connect_late, true, 0 },
	{ "io_uring read of a terminal, IOSQE_ASYNC", BUS, terminal, ring_read, write_late, true, 0 },
	{ "io_uring splice, tcp", SOCKET, tcp_pair, ring_splice, send_late, false, 1 },
};

struct trial {
	struct scene scene;
	const struct blocked *blocked;
};

static long act(void *context)
{
	struct trial *trial = context;

	return trial->blocked->operate(&trial->scene);
}

/* In which call it is; another one than before when it has got to the one that is to be revoked. */
static void call_of(pid_t pid, char text[128])
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	file = fopen(path, "r");
	if (!file || !fgets(text, 128, file))
		text[0] = 0;
	if (file)
		fclose(file);
}

static void wait_until_blocked(pid_t pid, const char *before)
{
	char now[128] = "";

	for (int i = 0; i < 2000; i++) {
		call_of(pid, now);
		if (strcmp(now, before) && strncmp(now, "running", 7))
			break;
		usleep(1000);
	}
	usleep(20000);
}

/* What the blocked call ends with; how long the barrier took, and whom it reached. */
static long try(const struct blocked *blocked, enum barrier barrier, double *took, struct reached *reached)
{
	struct trial trial = { .blocked = blocked };
	struct actor actor;
	uint32_t number;
	char before[128];
	double start;
	long result;

	clear();
	default_limits();
	define_object(OBJECT, blocked->kind);
	scene_open(&trial.scene);
	/* A call that waits on a pipe would not be this one. */
	fcntl(trial.scene.pipe[1], F_SETFL, 0);
	blocked->set_up(&trial.scene);
	if (tag(trial.scene.fd, OBJECT, owner_to_name(), 0))
		die("tag");
	actor_start(&actor, act, &trial);
	number = associate(actor.pid, OBJECT, ALL_OPERATIONS);
	keep_if_owned(number);
	call_of(actor.pid, before);
	actor_go(&actor);
	wait_until_blocked(actor.pid, before);
	start = seconds();
	revoke_record(number);
	raise_barrier(actor.pid, barrier, reached);
	*took = seconds() - start;
	usleep(10000);
	blocked->feed(&trial.scene);
	result = actor_end(&actor);
	scene_close(&trial.scene);
	return result;
}

static void test_blocked(const struct blocked *blocked)
{
	static const char *const names[BARRIERS] = { "nothing", "tracing", "stopping" };
	struct reached reached;
	char name[128];
	double took;
	long result;

	for (enum barrier barrier = BARRIER_NONE; barrier < BARRIERS; barrier++) {
		bool wins = barrier == BARRIER_NONE && !blocked->is_checked_again;

		result = try(blocked, barrier, &took, &reached);
		snprintf(name, sizeof(name), "%sa blocked %s, revoked with %s, gets %s of what comes later",
			 wins ? "twin, " : "", blocked->name, names[barrier], wins ? "some" : "nothing");
		if (barrier == BARRIER_TRACE && (reached.unreachable || reached.workers < blocked->workers))
			report(false, name, "%d threads reached, %d workers, %d unreachable", reached.threads, reached.workers,
			       reached.unreachable);
		else
			report(wins ? result >= 0 : result < 0 && result != -ETIME, name, "%s", named(result));
		printf("# %s, barrier %.1f ms\n", named(result), took * 1e3);
	}
}

void test_revoke(void)
{
	for (unsigned int i = 0; i < sizeof(all) / sizeof(*all); i++)
		test_blocked(&all[i]);
	test_in_flight();
}
