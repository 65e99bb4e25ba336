/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one operation costs with the LSM programs of the path direct, against the same operation without any: run by
 * Benchmarks/run-direct in a machine whose kernel lets them in. Where one instruction is one nanosecond (boot --icount),
 * the figures are instructions.
 *
 * A child operates, because this process is the broker, whom nothing is refused to and nothing is looked up for.
 */
#include "../../Tests/VM/doors/doors.h"

#include <fcntl.h>
#include <linux/random.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define REPEATS 400
#define ROUNDS 7

static int zero, block, plain, udp[2], tcp[2], local[2], entropy;
static char *page;

static void read_block(void)
{
	if (pread(block, page, 4096, 0) != 4096)
		_exit(1);
}

static void read_zero(void)
{
	if (pread(zero, page, 512, 0) != 512)
		_exit(1);
}

static void read_plain(void)
{
	if (pread(plain, page, 512, 0) != 512)
		_exit(1);
}

static void exchange(const int pair[2])
{
	if (send(pair[0], page, 64, 0) != 64 || recv(pair[1], page, 64, 0) != 64)
		_exit(1);
}

static void exchange_udp(void)
{
	exchange(udp);
}

static void exchange_tcp(void)
{
	exchange(tcp);
}

static void exchange_local(void)
{
	exchange(local);
}

static void control(void)
{
	int count;

	if (ioctl(entropy, RNDGETENTCNT, &count))
		_exit(1);
}

static const struct {
	const char *name;
	void (*run)(void);
} operations[] = {
	{ "4 KiB O_DIRECT read, null_blk", read_block }, { "512 B read, /dev/zero", read_zero },
	{ "512 B read, regular file", read_plain },	 { "UDP send + receive", exchange_udp },
	{ "TCP send + receive", exchange_tcp },		 { "unix datagram send + receive", exchange_local },
	{ "ioctl", control },
};
#define OPERATIONS (sizeof(operations) / sizeof(*operations))

struct shared {
	double result[OPERATIONS];
};

static int ascending(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

/* ns for one operation: the median of some rounds. */
static double measure(void (*run)(void))
{
	double rounds[ROUNDS], start;

	for (int i = 0; i < REPEATS / 4; i++)
		run();
	for (int round = 0; round < ROUNDS; round++) {
		start = seconds();
		for (int i = 0; i < REPEATS; i++)
			run();
		rounds[round] = (seconds() - start) / REPEATS * 1e9;
	}
	qsort(rounds, ROUNDS, sizeof(*rounds), ascending);
	return rounds[ROUNDS / 2];
}

static void operator(int commands, int answers, struct shared *shared)
{
	char byte;

	while (read(commands, &byte, 1) == 1) {
		for (unsigned int i = 0; i < OPERATIONS; i++)
			shared->result[i] = measure(operations[i].run);
		if (write(answers, "", 1) != 1)
			_exit(1);
	}
	_exit(0);
}

static int commands[2], answers[2];
static struct shared *shared;
static double base[OPERATIONS];

/* One way of holding, measured: a line of ratios to the first one, which is without programs. */
static void row(const char *name)
{
	char byte;

	if (write(commands[1], "", 1) != 1 || read(answers[0], &byte, 1) != 1)
		die("the process that operates has ended");
	printf("%-34s", name);
	for (unsigned int i = 0; i < OPERATIONS; i++) {
		if (base[i] == 0)
			base[i] = shared->result[i];
		printf(" %8.0f %6.3f", shared->result[i], shared->result[i] / base[i]);
	}
	printf("\n");
	fflush(stdout);
}

static void tag_all(uint32_t owner)
{
	int all[] = { zero, block, plain, udp[0], udp[1], tcp[0], tcp[1], local[0], local[1], entropy };

	for (unsigned int i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (tag(all[i], OBJECT, owner, 0))
			die("tag");
}

static void open_all(void)
{
	struct scene scene;

	page = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	scene_open(&scene);
	zero_device(&scene);
	zero = scene.fd;
	plain_file(&scene);
	plain = scene.fd;
	udp_pair(&scene);
	udp[0] = scene.fd;
	udp[1] = scene.peer;
	tcp_pair(&scene);
	tcp[0] = scene.fd;
	tcp[1] = scene.peer;
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, local))
		die("socketpair");
	entropy = open("/dev/random", O_RDONLY);
	block = open("/dev/nullb0", O_RDONLY | O_DIRECT);
	if (block < 0)
		die("/dev/nullb0");
}

/* The least that hooks cost: programs that only return, at the hooks that the operations come by. */
static void row_of_empty_programs(void)
{
	static const char *const hooks[] = { "file_permission", "file_ioctl", "socket_sendmsg", "socket_recvmsg" };
	/* r0 = 0; exit */
	static const struct bpf_insn nothing[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K }, { .code = BPF_JMP | BPF_EXIT } };
	int programs[4], links[4];

	for (unsigned int i = 0; i < 4; i++) {
		LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_LSM_MAC);

		options.attach_btf_id = (__u32)libbpf_find_vmlinux_btf_id(hooks[i], BPF_LSM_MAC);
		programs[i] = bpf_prog_load(BPF_PROG_TYPE_LSM, "empty", "GPL", nothing, 2, &options);
		links[i] = programs[i] < 0 ? -1 : bpf_raw_tracepoint_open(NULL, programs[i]);
		if (links[i] < 0)
			die("an empty program");
	}
	row("empty programs");
	for (unsigned int i = 0; i < 4; i++) {
		close(links[i]);
		close(programs[i]);
	}
}

/* Other processes' associations, up to so many. */
static void fill(uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		struct postern_process process = { .tgid = 100000 + i, .exec_epoch = 1, .start = 1000 + i };

		associate_process(&process, OBJECT, ALL_OPERATIONS);
	}
}

int main(int count, char **arguments)
{
	uint32_t most = count > 2 ? (uint32_t)atoi(arguments[2]) : 1000000, number;
	struct postern_association *record;
	char name[64];
	pid_t pid;

	if (count < 2)
		return 64;
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	open_all();
	if (pipe2(commands, O_CLOEXEC) || pipe2(answers, O_CLOEXEC))
		die("pipe");
	pid = fork();
	if (pid == 0) {
		close(commands[1]);
		operator(commands[0], answers[1], shared);
	}
	printf("%-34s", "ns, and against no programs");
	for (unsigned int i = 0; i < OPERATIONS; i++)
		printf(" [%u] %11s", i + 1, "");
	printf("\n");
	row("no programs");
	row("no programs, again");
	row_of_empty_programs();
	stand_capacity = most + 4096;
	stand_open(arguments[1]);
	define_object(OBJECT, POSTERN_KIND_BUS);
	default_limits();
	row("attached, nothing tagged");
	number = associate(pid, OBJECT, ALL_OPERATIONS);
	record = &stand.records[number];
	/* A send needs a limit that lets it; nothing else of this is looked at. */
	stand.limits[1].flags = POSTERN_LIMIT_SEND | POSTERN_LIMIT_CONTROL;
	tag_all(number);
	row("tagged, owner, decided anew");
	keep_verdicts(number);
	row("tagged, owner");
	default_limits();
	keep_verdicts(number);
	row("tagged, owner, all limits");
	record->expiry = UINT64_MAX;
	row("tagged, owner, all limits, expiry");
	record->expiry = 0;
	tag_all(0);
	for (uint32_t size = 10, before = 1; size <= most; before = size, size *= size == 10 ? 1000 : 100) {
		fill(before, size);
		snprintf(name, sizeof(name), "tagged, index, %u associations", size);
		row(name);
	}
	printf("\n");
	for (unsigned int i = 0; i < OPERATIONS; i++)
		printf("[%u] %s\n", i + 1, operations[i].name);
	printf("programs: %d, loaded in %.3f s, attached in %.3f s\n", stand.link_count, stand.load_seconds,
	       stand.attach_seconds);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return 0;
}
