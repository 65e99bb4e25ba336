/* SPDX-License-Identifier: Apache-2.0 */
/* Ways around the doors, each by a holder or a stranger who tries, and what has no door at all. */
#include "attacks.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

struct attempt {
	struct scene scene;
	long (*act)(struct scene *scene);
};

static long act(void *context)
{
	struct attempt *attempt = context;

	return attempt->act(&attempt->scene);
}


long perform(void (*set_up)(struct scene *), long (*what)(struct scene *), uint32_t kind, uint32_t operations,
		    uint32_t tag_flags)
{
	struct attempt attempt = { .act = what };
	struct actor actor;
	long result;

	clear();
	default_limits();
	define_object(OBJECT, kind);
	scene_open(&attempt.scene);
	set_up(&attempt.scene);
	result = tag(attempt.scene.fd, OBJECT, owner_to_name(), tag_flags);
	if (!result) {
		actor_start(&actor, act, &attempt);
		if (operations) {
			keep_if_owned(associate(actor.pid, OBJECT, operations));
			hold(actor.pid, 0);
		}
		actor_go(&actor);
		result = actor_end(&actor);
	}
	scene_close(&attempt.scene);
	return result;
}

void expect(const char *name, long result, long expected)
{
	bool good = expected == 0 ? result >= 0 : result == expected;

	report(good, name, "%s, and not %s", named(result), expected ? named(expected) : "success");
}

/* Commands of a socket or device by io_uring, which are nobody's. */
static long socket_command(struct scene *s)
{
	struct io_uring_sqe entry = { .opcode = IORING_OP_URING_CMD, .fd = s->fd };

	return uring_once(&entry);
}

static void null_device(struct scene *s)
{
	s->fd = open("/dev/null", O_RDWR);
}

struct sqpoll {
	struct uring uring;
	struct scene *scene;
};

static long submit_to(void *context)
{
	struct sqpoll *shared = context;
	struct io_uring_sqe entry = { .opcode = IORING_OP_READ, .fd = shared->scene->fd,
				      .addr = (uint64_t)shared->scene->memory, .len = 64 };
	long result = uring_submit(&shared->uring, &entry);

	return result < 0 ? result : uring_wait(&shared->uring, 3000, NULL);
}

static long read_by_parents_thread(struct scene *s)
{
	struct sqpoll shared = { .scene = s };
	long result = uring_open(&shared.uring, IORING_SETUP_SQPOLL);

	return result < 0 ? result : in_child(submit_to, &shared);
}

static long read_by_own_thread(struct scene *s)
{
	struct sqpoll shared = { .scene = s };
	long result = uring_open(&shared.uring, IORING_SETUP_SQPOLL);

	return result < 0 ? result : submit_to(&shared);
}

static long read_by_parents_ring(struct scene *s)
{
	struct sqpoll shared = { .scene = s };
	long result = uring_open(&shared.uring, 0);

	return result < 0 ? result : in_child(submit_to, &shared);
}

static long reopen(struct scene *s)
{
	char path[64];
	long fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->fd);
	fd = ERR(open(path, O_RDONLY));
	return fd < 0 ? fd : ERR(read((int)fd, s->memory, 16));
}

static long reopen_as_nobody(struct scene *s)
{
	if (setresuid(65534, 65534, 65534))
		return -EIO;
	return reopen(s);
}

static void mapped_file(struct scene *s)
{
	plain_file(s);
	s->mapping = mmap(NULL, 4096, PROT_READ, MAP_SHARED, s->fd, 0);
}

static long use_mapping(struct scene *s)
{
	char *moved = mremap(s->mapping, 4096, 8192, MREMAP_MAYMOVE);

	if (moved == MAP_FAILED || mprotect(moved, 4096, PROT_READ | PROT_WRITE))
		return -errno;
	moved[0] = 'x';
	return 0;
}

static long map_file(struct scene *s)
{
	return mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, s->fd, 0) == MAP_FAILED ? -errno : 0;
}

static long without_door(struct scene *s)
{
	struct pollfd ready = { .fd = s->fd, .events = POLLIN };

	if (fsync(s->fd) || lseek(s->fd, 100, SEEK_SET) != 100 || poll(&ready, 1, 0) != 1)
		return -errno;
	return fcntl(s->fd, F_SETFL, O_APPEND);
}

static long tag_it(struct scene *s)
{
	return ERR(ioctl(s->fd, POSTERN_DIRECT_TAG, 0));
}

static long accept_and_use(struct scene *s)
{
	long fd = ERR(accept(s->fd, NULL, NULL));
	char data[8];

	if (fd < 0)
		return fd;
	if (send(s->peer, "data", 4, 0) != 4)
		return -EIO;
	if (recv((int)fd, data, sizeof(data), 0) < 0 || send((int)fd, "back", 4, MSG_NOSIGNAL) < 0)
		return -errno;
	return shutdown((int)fd, SHUT_WR) ? -errno : fd;
}

static long receive_four(void *context)
{
	char data[8];

	return ERR(recv(*(int *)context, data, sizeof(data), 0));
}

/* Whether a forked child gets anywhere with a connection that its parent accepted. */
static long accept_for_child(struct scene *s)
{
	int fd = accept(s->fd, NULL, NULL);

	if (fd < 0)
		return -errno;
	if (send(s->peer, "data", 4, 0) != 4)
		return -EIO;
	return in_child(receive_four, &fd);
}

static void late_client(struct scene *s)
{
	tcp_unconnected(s);
	close(s->fd);
	s->fd = s->other;
	s->other = -1;
}

static long connect_and_accept(struct scene *s, long (*then)(struct scene *))
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(s->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	s->peer = socket(AF_INET, SOCK_STREAM, 0);
	if (listen(s->fd, 4) || connect(s->peer, (void *)&to, sizeof(to)))
		return -errno;
	return then(s);
}

static void tcp_bound(struct scene *s)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);

	s->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(s->fd, (void *)&address, length) || getsockname(s->fd, (void *)&address, &length))
		die("bind");
	s->port = ntohs(address.sin_port);
}

static long tcp_accept(struct scene *s)
{
	return connect_and_accept(s, accept_and_use);
}

static long tcp_accept_for_child(struct scene *s)
{
	return connect_and_accept(s, accept_for_child);
}

static void unix_bound(struct scene *s)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "\0recall" };

	s->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(s->fd, (void *)&name, 9))
		die("bind");
}

static long unix_connect(struct scene *s, long (*then)(struct scene *))
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "\0recall" };

	s->peer = socket(AF_UNIX, SOCK_STREAM, 0);
	if (listen(s->fd, 4) || connect(s->peer, (void *)&name, 9))
		return -errno;
	return then(s);
}

static long unix_accept(struct scene *s)
{
	return unix_connect(s, accept_and_use);
}

static long unix_accept_for_child(struct scene *s)
{
	return unix_connect(s, accept_for_child);
}

static uint32_t file_tag_count(void)
{
	uint64_t key, next;
	uint32_t count = 0;
	int more = bpf_map_get_next_key(stand.file_tags, NULL, &next);

	for (; !more; more = bpf_map_get_next_key(stand.file_tags, &key, &next)) {
		key = next;
		count++;
	}
	return count;
}

#define LISTENING (OP(LISTEN) | OP(ACCEPT))
#define RECALL POSTERN_TAG_RECALL_ACCEPTED

static void test_rings(void)
{
	/* Sockets have commands since 6.7, null(4) since 6.1. */
	if (kernel_is_at_least(6, 7))
		expect("a socket command of a ring: refused for a holder too",
		       perform(tcp_with_data, socket_command, SOCKET, ALL_OPERATIONS, 0), -EACCES);
	expect("a device command of a ring: refused for a holder too",
	       perform(null_device, socket_command, POSTERN_KIND_BUS, ALL_OPERATIONS, 0), -EACCES);
	stand_detach("uring_command");
	expect("twin, without its hook: a stranger gets in",
	       perform(null_device, socket_command, POSTERN_KIND_BUS, 0, 0), 0);
	stand_attach("uring_command");
	expect("by the parent's SQPOLL thread: refused",
	       perform(zero_device, read_by_parents_thread, POSTERN_KIND_BUS, OP(READ), 0), -EACCES);
	expect("by one's own SQPOLL thread: refused", perform(zero_device, read_by_own_thread, POSTERN_KIND_BUS, OP(READ), 0),
	       -EACCES);
	expect("by the parent's ring: the child is who asks",
	       perform(zero_device, read_by_parents_ring, POSTERN_KIND_BUS, OP(READ), 0), -EKEYEXPIRED);
	stand_detach("file_permission");
	expect("twin, the parent's SQPOLL thread without the hook: a child gets in",
	       perform(zero_device, read_by_parents_thread, POSTERN_KIND_BUS, OP(READ), 0), 0);
	stand_attach("file_permission");
}

static void test_accepted(void)
{
	expect("a connection of accepted: leave is the application's own, tcp",
	       perform(tcp_bound, tcp_accept_for_child, SOCKET, LISTENING, 0), 0);
	expect("a connection of accepted: recall works for its holder, tcp",
	       perform(tcp_bound, tcp_accept, SOCKET, LISTENING, RECALL), 0);
	expect("a connection of accepted: recall is refused to a child, tcp",
	       perform(tcp_bound, tcp_accept_for_child, SOCKET, LISTENING, RECALL), -EKEYEXPIRED);
	expect("a connection of accepted: leave is the application's own, unix",
	       perform(unix_bound, unix_accept_for_child, SOCKET, LISTENING, 0), 0);
	expect("a connection of accepted: recall works for its holder, unix",
	       perform(unix_bound, unix_accept, SOCKET, LISTENING, RECALL), 0);
	expect("a connection of accepted: recall is refused to a child, unix",
	       perform(unix_bound, unix_accept_for_child, SOCKET, LISTENING, RECALL), -EKEYEXPIRED);
	stand_detach("unix_connect");
	expect("twin, without its hook: a child gets in, unix",
	       perform(unix_bound, unix_accept_for_child, SOCKET, LISTENING, RECALL), 0);
	stand_attach("unix_connect");
	expect("a listener is not tagged for recall: who waits there would not be",
	       perform(late_client, accept_and_use, SOCKET, LISTENING, RECALL), -EINVAL);
}

#define MANY 5000

static long read_all(void *context)
{
	const int *files = context;
	char byte;

	for (int i = 0; i < MANY; i++)
		if (pread(files[i], &byte, 1, 0) != (i % 2 ? -1 : 1))
			return -EILSEQ;
	return 0;
}

/* More tags than there are places where they are found at once, of two objects in turn. */
static void test_many(void)
{
	struct rlimit limit = { 16384, 16384 };
	struct actor actor;
	int *files = calloc(MANY, sizeof(*files));
	uint32_t left;
	long result;
	char byte;

	clear();
	default_limits();
	define_object(OBJECT, POSTERN_KIND_BUS);
	define_object(OTHER_OBJECT, POSTERN_KIND_BUS);
	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < MANY; i++) {
		files[i] = open("/dev/zero", O_RDONLY);
		if (files[i] < 0 || tag(files[i], i % 2 ? OTHER_OBJECT : OBJECT, 1, 0))
			die("tag");
	}
	actor_start(&actor, read_all, files);
	associate(actor.pid, OBJECT, OP(READ));
	actor_go(&actor);
	expect("of many open files each keeps its own tag", actor_end(&actor), 0);
	for (int i = 0; i < MANY; i++)
		close(files[i]);
	left = file_tag_count();
	for (int i = 0; i < MANY; i++)
		files[i] = open("/dev/zero", O_RDONLY);
	stand.control->alive = 0;
	for (int i = result = 0; i < MANY; i++)
		result += pread(files[i], &byte, 1, 0) != 1;
	if (stand_claim() != -POSTERN_DIRECT_DONE)
		die("claim");
	for (int i = 0; i < MANY; i++)
		close(files[i]);
	free(files);
	report(left == 0 && result == 0, "those that are closed leave none to the next ones", "%u left, %ld refused", left, result);
}

void test_attacks(void)
{
	uint32_t tags;

	test_addresses();
	test_rings();
	test_accepted();
	expect("reopening by /proc as nobody: the file's mode decides",
	       perform(plain_file, reopen_as_nobody, POSTERN_KIND_DISK, OP(READ), 0), -EACCES);
	expect("reopening by /proc as root: another file, untagged", perform(plain_file, reopen, POSTERN_KIND_DISK, 0, 0), 0);
	expect("mmap without mmap: true: refused for a holder too",
	       perform(plain_file, map_file, POSTERN_KIND_DISK, ALL_OPERATIONS, 0), -EACCES);
	expect("what was mapped before the tag stays so", perform(mapped_file, use_mapping, POSTERN_KIND_DISK, 0, 0), 0);
	expect("fsync, lseek, poll and F_SETFL have no door", perform(plain_file, without_door, POSTERN_KIND_DISK, 0, 0), 0);
	expect("the tag request of a stranger: an ioctl like others", perform(zero_device, tag_it, POSTERN_KIND_BUS, 0, 0),
	       -EKEYEXPIRED);
	tags = file_tag_count();
	perform(zero_device, reopen, POSTERN_KIND_BUS, 0, 0);
	perform(plain_file, reopen, POSTERN_KIND_DISK, 0, 0);
	test_many();
	report(file_tag_count() == tags && tags == 0, "a closed file leaves no tag", "%u before, %u after", tags,
	       file_tag_count());
}
