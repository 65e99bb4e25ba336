/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that a device works on while their association is revoked: nothing can call them back. The device's own count
 * of requests in flight (/sys/dev/block/MAJ:MIN/inflight) says when the last of them has ended.
 */
#include "barrier.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#define DELAY_SECONDS 0.4

/* What the holder and this process share: when its request had ended, as it saw it. */
struct shared {
	volatile int submitted;
	volatile long result;
	volatile double ended;
};

static int in_flight(dev_t device)
{
	char path[64];
	int reads = -1, writes = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/inflight", major(device), minor(device));
	file = fopen(path, "r");
	if (!file || fscanf(file, "%d %d", &reads, &writes) != 2)
		die(path);
	fclose(file);
	return reads + writes;
}

static void read_by_aio(int fd, void *page, struct shared *shared)
{
	struct iocb block = { .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = (uint32_t)fd, .aio_buf = (uint64_t)page,
			      .aio_nbytes = 4096 };
	struct iocb *list = &block;
	aio_context_t context = 0;
	struct io_event event = { 0 };
	long result;

	if (syscall(SYS_io_setup, 4, &context) || syscall(SYS_io_submit, context, 1, &list) != 1)
		shared->result = -errno;
	shared->submitted = 1;
	do {
		result = syscall(SYS_io_getevents, context, 1, 1, &event, NULL);
	} while (result < 0 && errno == EINTR);
	shared->ended = seconds();
	shared->result = event.res;
}

static void read_by_ring(int fd, void *page, struct shared *shared)
{
	struct io_uring_sqe entry = { .opcode = IORING_OP_READ, .fd = fd, .addr = (uint64_t)page, .len = 4096 };
	struct uring uring;

	uring_open(&uring, 0);
	uring_submit(&uring, &entry);
	shared->submitted = 1;
	shared->result = uring_wait(&uring, 5000, NULL);
	shared->ended = seconds();
}

/* Where the count stays empty, something else has to say when the last one has ended. */
static void test_device(const char *what, const char *path, bool by_ring, const char *wait)
{
	struct shared *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open(path, O_RDONLY | O_DIRECT), go[2], before, after;
	double revoked, barrier_ended, empty;
	struct reached reached;
	struct stat status;
	char name[128];
	uint32_t number;
	pid_t pid;

	if (fd < 0 || fstat(fd, &status) || pipe(go))
		die(path);
	clear();
	default_limits();
	define_object(OBJECT, POSTERN_KIND_DISK);
	if (tag(fd, OBJECT, owner_to_name(), 0))
		die("tag");
	pid = fork();
	if (pid == 0) {
		char byte;

		if (read(go[0], &byte, 1) == 1)
			(by_ring ? read_by_ring : read_by_aio)(fd, page, shared);
		_exit(0);
	}
	number = associate(pid, OBJECT, OP(READ));
	keep_if_owned(number);
	if (write(go[1], "", 1) != 1)
		die("pipe");
	while (!shared->submitted)
		usleep(1000);
	usleep(20000);
	before = in_flight(status.st_rdev);
	revoked = seconds();
	revoke_record(number);
	raise_barrier(pid, BARRIER_TRACE, &reached);
	barrier_ended = seconds();
	after = in_flight(status.st_rdev);
	if (wait && system(wait))
		die(wait);
	while (!wait && in_flight(status.st_rdev) && seconds() < revoked + 5)
		usleep(1000);
	empty = seconds();
	waitpid(pid, NULL, 0);
	snprintf(name, sizeof(name), "%s, %s: a request in flight goes on after the barrier%s", what,
		 by_ring ? "io_uring" : "AIO", wait ? ", and is not counted" : "");
	report(before == !wait && after == !wait && shared->result == 4096, name, "%d before, %d after, result %s", before,
	       after, named(shared->result));
	/* The holder cannot have seen the end earlier than it came, and was running only after that. */
	snprintf(name, sizeof(name), "%s, %s: %s when it has ended, and not before", what, by_ring ? "io_uring" : "AIO",
		 wait ? "the device can be suspended" : "none is in flight");
	/* A device that is suspended lets go of what it holds back, as soon as it is told. */
	report(shared->ended > barrier_ended && shared->ended < empty + 0.1 &&
		       (wait || (empty > barrier_ended + DELAY_SECONDS / 4 && shared->ended > empty - 0.1)),
	       name, "barrier %.3f, empty %.3f, ended %.3f", barrier_ended - revoked, empty - revoked, shared->ended - revoked);
	printf("# revoke to barrier %.3f s, to none in flight %.3f s, to the holder's end %.3f s\n", barrier_ended - revoked,
	       empty - revoked, shared->ended - revoked);
	close(fd);
	close(go[0]);
	close(go[1]);
	munmap((void *)shared, 4096);
}

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return good;
}

/* A null_blk device that takes its time, and devices over it. */
static bool make_devices(void)
{
	mkdir("/sys/kernel/config", 0700);
	mount("none", "/sys/kernel/config", "configfs", 0, NULL);
	if (mkdir("/sys/kernel/config/nullb/slow", 0700))
		/* The pass before this one made it. */
		return errno == EEXIST;
	return put("/sys/kernel/config/nullb/slow/irqmode", "2") &&
	       put("/sys/kernel/config/nullb/slow/completion_nsec", "400000000") &&
	       put("/sys/kernel/config/nullb/slow/size", "64") && put("/sys/kernel/config/nullb/slow/power", "1");
}

static const char *slow_device(void)
{
	static char path[64];
	char text[16] = "";
	int fd = open("/sys/kernel/config/nullb/slow/index", O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		die("null_blk");
	close(fd);
	snprintf(path, sizeof(path), "/dev/nullb%d", atoi(text));
	return access(path, F_OK) ? "/dev/slow" : path;
}

void test_in_flight(void)
{
	char command[256];
	const char *slow;

	if (!make_devices()) {
		skip("requests in flight", "null_blk cannot be configured");
		return;
	}
	slow = slow_device();
	test_device("null_blk", slow, false, NULL);
	test_device("null_blk", slow, true, NULL);
	snprintf(command, sizeof(command), "losetup /dev/loop0 >/dev/null 2>&1 || losetup --direct-io=on /dev/loop0 %s 2>&1", slow);
	if (system(command))
		skip("loop", "losetup failed");
	else
		test_device("loop", "/dev/loop0", false, NULL);
	if (system("test -e /dev/mapper/doors || dmsetup create doors --table '0 65536 delay /dev/nullb0 0 3000' --verifyudev --noudevsync >/dev/null 2>&1") ||
	    system("test -e /dev/mapper/doors || dmsetup mknodes doors"))
		skip("dm-delay", "dmsetup failed");
	else
		test_device("dm-delay", "/dev/mapper/doors", false,
			    "dmsetup suspend --noudevsync doors && dmsetup resume --noudevsync doors");
}
