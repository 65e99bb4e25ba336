/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that operate without a pause while their associations expire, and no broker who would end them: what the
 * programs refuse by the clock alone.
 *
 * The bound is the machine's tick. CLOCK_MONOTONIC_COARSE moves with jiffies, right after them (timekeeping.c), so that
 * an operation which begins when it is past the expiry finds the jiffy past it, too: it has to be refused, however late
 * a loaded host lets the guest have its ticks. By the exact clock an operation may only be late where the tick is.
 */
#include "doors.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define PROCESSES 2
/* With POSTERN_SOAK, else a quarter. */
#define ROUNDS 12
#define LIFE_NS 300000000ull
/* What the programs let be near: the shortest by which the tick has to be behind where an operation is late. */
#define NEAR_NS 100000000ull

struct shared {
	volatile uint64_t expiry; /* 0: between two rounds */
	volatile int end;
	struct {
		volatile uint64_t granted;
		volatile uint64_t refused;
		volatile uint64_t early;	/* refused before the end */
		volatile uint64_t late_by_tick; /* granted when the tick was past the end */
		volatile uint64_t late;		/* granted when the clock was past the end, and the tick not far behind */
		volatile uint64_t worst;	/* ns by which the clock was past the end, whatever the tick */
	} of[PROCESSES];
};

static int zero, udp[2];

/* Comparable with boottime, which is ahead of it only by what the machine has slept: nothing, here. */
static uint64_t tick(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static long operate(unsigned int which)
{
	char data[64];

	switch (which % 3) {
	case 0:
		return ERR(pread(zero, data, sizeof(data), 0));
	case 1:
		return ERR(send(udp[0], data, 16, MSG_DONTWAIT));
	default:
		return ERR(recv(udp[1], data, sizeof(data), MSG_DONTWAIT));
	}
}

static void hammer(struct shared *shared, int number)
{
	__typeof__(&shared->of[0]) own = &shared->of[number];

	for (unsigned int i = 0; !shared->end; i++) {
		uint64_t expiry = shared->expiry, by_tick = tick(), before = boottime(), after;
		bool refused = operate(i) == -EKEYEXPIRED;

		after = boottime();
		/* Only what was within one round says anything. */
		if (!expiry || shared->expiry != expiry)
			continue;
		own->granted += !refused;
		own->refused += refused;
		own->early += refused && after < expiry;
		if (refused || before < expiry)
			continue;
		own->late_by_tick += by_tick >= expiry;
		own->late += before < by_tick + NEAR_NS;
		if (before - expiry > own->worst)
			own->worst = before - expiry;
	}
	_exit(0);
}

/* How many places of cached tags say that the clock need not be asked. */
static unsigned int count_checked(void)
{
	static struct postern_cached_tag tags[POSTERN_CACHED_TAGS];
	struct bpf_map *map = bpf_object__find_map_by_name(stand.object, ".data.cached_tags");
	unsigned int count = 0;
	uint32_t key = 0;

	if (!map || bpf_map_lookup_elem(bpf_map__fd(map), &key, tags))
		die("cached_tags");
	for (unsigned int i = 0; i < POSTERN_CACHED_TAGS; i++)
		count += tags[i].checked != 0;
	return count;
}

/* Rounds of lives; whether the kernel's records say when they end is what the twin leaves out. */
static void run(struct shared *shared, bool expires)
{
	const int rounds = getenv("POSTERN_SOAK") ? ROUNDS : ROUNDS / 4;
	uint32_t numbers[PROCESSES];
	pid_t pids[PROCESSES];

	memset(shared, 0, sizeof(*shared));
	clear();
	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			hammer(shared, i);
		numbers[i] = associate(pids[i], OBJECT, ALL_OPERATIONS);
	}
	sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 1 });
	for (int round = 0; round < rounds; round++) {
		uint64_t expiry = boottime() + LIFE_NS;

		for (int i = 0; i < PROCESSES; i++) {
			stand.records[numbers[i]].expiry = expires ? expiry : 0;
			keep_verdicts(numbers[i]);
		}
		shared->expiry = expiry;
		usleep((LIFE_NS + NEAR_NS) / 1000);
		shared->expiry = 0;
	}
	shared->end = 1;
	sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){ 0 });
	for (int i = 0; i < PROCESSES; i++)
		waitpid(pids[i], NULL, 0);
}

void test_expiry(void)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t worst = 0;
	unsigned int checked;
	struct scene scene;

	scene_open(&scene);
	zero_device(&scene);
	zero = scene.fd;
	udp_pair(&scene);
	udp[0] = scene.fd;
	udp[1] = scene.peer;
	default_limits();
	define_object(OBJECT, POSTERN_KIND_SOCKET);
	/* The first process is whom the tags name; the other one is found by the index. */
	if (tag(zero, OBJECT, 1, 0) || tag(udp[0], OBJECT, 1, 0) || tag(udp[1], OBJECT, 1, 0))
		die("tag");
	checked = count_checked();
	run(shared, true);
	checked = count_checked() - checked;
	for (int i = 0; i < PROCESSES; i++) {
		const char *who = i == 0 ? "whom the tag names" : "who is found by the index";
		char name[128];

		printf("# expiry, %s: %llu operations granted, %llu refused, at worst %llu us after the end\n", who,
		       (unsigned long long)shared->of[i].granted, (unsigned long long)shared->of[i].refused,
		       (unsigned long long)shared->of[i].worst / 1000);
		snprintf(name, sizeof(name), "expiry, %s: operations were granted and refused, none too early", who);
		report(shared->of[i].granted > 100 && shared->of[i].refused > 100 && !shared->of[i].early, name,
		       "%llu, %llu, %llu too early", (unsigned long long)shared->of[i].granted,
		       (unsigned long long)shared->of[i].refused, (unsigned long long)shared->of[i].early);
		snprintf(name, sizeof(name), "expiry, %s: nothing is granted once the tick is past the end", who);
		report(!shared->of[i].late_by_tick, name, "%llu", (unsigned long long)shared->of[i].late_by_tick);
		snprintf(name, sizeof(name), "expiry, %s: nor once the clock is, while the machine has its ticks", who);
		report(!shared->of[i].late, name, "%llu", (unsigned long long)shared->of[i].late);
	}
	report(checked >= 3, "expiry: for the owner the clock was not read each time", "%u places", checked);
	run(shared, false);
	for (int i = 0; i < PROCESSES; i++)
		worst += shared->of[i].late_by_tick;
	report(worst > 0, "twin, without the record's expiry: operations after it are granted, and seen", "none");
	munmap(shared, sizeof(*shared));
	close(zero);
	close(udp[0]);
	close(udp[1]);
}
