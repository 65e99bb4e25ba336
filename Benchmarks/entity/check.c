/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns of one postern_entity_check(), without identity look-up.
 *
 * hot:    256 and 1,024 associations (or all there are) in random order, table of 10 to 1,000,000
 * random: uniformly random over 1,000,000 associations of 10,000 processes, against a
 *         random 8-byte read in a memfd of the size of what a look-up can touch (records
 *         and index, without links, so the smaller and faster footprint).
 * Both are measured dependent (which association or word comes next depends on
 * the answer before: latency) and independent (the processor may overlap them).
 * Medians of ROUNDS rounds, the kinds interleaved.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "postern_entity.h"

#define PROCESSES 10000u
#define HOT 1024u
#define ROUNDS 31
#define CHECKS 100000u

static uint64_t state = 88172645463325252ull;

static uint64_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Processor time of this thread: other work on the machine is not ours. */
static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int ascending(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static double median(double *values)
{
	qsort(values, ROUNDS, sizeof(*values), ascending);
	return values[ROUNDS / 2];
}

static void die(const char *text)
{
	perror(text);
	exit(1);
}

/* Association number n belongs to process n mod PROCESSES and object n / PROCESSES. */
static struct postern_process process_of(uint32_t n)
{
	return (struct postern_process){ .tgid = 1000 + n % PROCESSES, .start = 100000 + (n % PROCESSES) * 7ull };
}

static uint64_t resident(void)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	char line[512];
	uint64_t total = 0, kib;
	int ours = 0;

	if (!file)
		die("smaps");
	while (fgets(line, sizeof(line), file)) {
		if (strchr(line, '-') && strchr(line, ':') && strstr(line, " rw-"))
			ours = strstr(line, "postern-associations") != NULL;
		if (ours && sscanf(line, "Rss: %" SCNu64, &kib) == 1)
			total += kib * 1024;
	}
	fclose(file);
	return total;
}

static struct postern_entity *fill(uint32_t count, uint64_t *bytes)
{
	struct postern_entity_configuration configuration = { 0 };
	struct postern_limits_arguments limits = { 0 };
	struct postern_entity *entity;
	uint64_t before;

	if (postern_entity_create(&configuration, &entity) != 0)
		die("create");
	limits.limits.flags = POSTERN_LIMIT_RANGE;
	limits.limits.range_length = 1 << 20;
	if (postern_entity_ioctl(entity, POSTERN_ENTITY_DEFINE_LIMITS, &limits) != 0)
		die("limits");
	for (uint32_t id = 0; id <= count / PROCESSES; id++) {
		struct postern_object_arguments object = { .object = { .id = id, .kind = POSTERN_KIND_DISK,
								       .operations = 0x1f } };

		if (postern_entity_ioctl(entity, POSTERN_ENTITY_ADD_OBJECT, &object) != 0)
			die("object");
	}
	before = resident();
	for (uint32_t n = 0; n < count; n++) {
		struct postern_associate_arguments open = {
			.process = process_of(n), .object = n / PROCESSES, .application = 1,
			.conditions = 0xff, .requested = 3, .granted = 3, .generation = 1,
			.limits = limits.index, .quota = PROCESSES, .now = 1,
		};

		if (postern_entity_ioctl(entity, POSTERN_ENTITY_ASSOCIATE, &open) != 0 || open.reason != 0)
			die("associate");
	}
	*bytes = resident() - before;
	return entity;
}

static void prepare(struct postern_check_arguments *check)
{
	memset(check, 0, sizeof(*check));
	check->instruction.issuer = POSTERN_ISSUER_PROCESS;
	check->instruction.operands.length = 512;
	check->conditions = POSTERN_CONDITION_VISIBLE;
	check->now = 1000;
}

/* Which associations are asked about, in order; drawn beforehand, read in sequence. */
static inline __attribute__((always_inline)) double measure(struct postern_entity *entity, const uint32_t *order, uint32_t mask, int dependent)
{
	struct postern_check_arguments check;
	uint64_t wrong = 0;
	uint64_t carried = 0;
	double start;

	prepare(&check);
	start = now();
	for (uint32_t i = 0; i < CHECKS; i++) {
		uint32_t n = order[(i + carried) & mask];

		check.instruction.process = process_of(n);
		check.instruction.object = n / PROCESSES;
		postern_entity_check(entity, &check);
		wrong += check.reason;
		/* always 0, but the processor cannot know before the answer is there */
		if (dependent)
			carried = check.reason | check.association >> 60;
	}
	if (wrong)
		die("refused");
	return (now() - start) / CHECKS;
}

/* The loop of measure() without the check: what drawing and filling in costs. */
static double overhead(const uint32_t *order, uint32_t mask)
{
	struct postern_check_arguments check;
	double start;

	prepare(&check);
	start = now();
	for (uint32_t i = 0; i < CHECKS; i++) {
		uint32_t n = order[i & mask];

		check.instruction.process = process_of(n);
		check.instruction.object = n / PROCESSES;
		__asm__ volatile("" : : "r"(&check) : "memory");
	}
	return (now() - start) / CHECKS;
}

static inline __attribute__((always_inline)) double reads(const uint64_t *memory, const uint32_t *order, uint32_t mask, int dependent)
{
	uint64_t carried = 0, sum = 0;
	double start = now();

	for (uint32_t i = 0; i < CHECKS; i++) {
		uint64_t value = memory[(uint64_t)order[(i + carried) & mask] * 8];

		sum += value;
		if (dependent)
			carried = value;
	}
	__asm__ volatile("" : : "r"(sum));
	return (now() - start) / CHECKS;
}

static uint32_t *draw(uint32_t *length, uint32_t below, uint32_t distinct)
{
	uint32_t *order = malloc((1u << 20) * sizeof(*order));
	uint32_t *pool = malloc(distinct * sizeof(*pool));

	if (!order || !pool)
		die("malloc");
	for (uint32_t i = 0; i < distinct; i++)
		pool[i] = distinct == below ? i : (uint32_t)(next_random() % below);
	for (uint32_t i = 0; i < 1u << 20; i++)
		order[i] = pool[next_random() % distinct];
	free(pool);
	*length = 1u << 20;
	return order;
}

int main(void)
{
	static const uint32_t sizes[] = { 10, 1000, 100000, 1000000 };
	double hot[ROUNDS], hot_few[ROUNDS], hot_dependent[ROUNDS], empty[ROUNDS];
	double random[ROUNDS], random_dependent[ROUNDS], plain[ROUNDS], plain_dependent[ROUNDS];
	struct postern_entity *entity = NULL;
	uint32_t length;
	uint64_t bytes = 0, *memory;
	size_t footprint;
	uint32_t *order, *few;
	int file;

	printf("%-34s %14s %14s %14s\n", "hot working set", "256: ns", "1,024: ns", "1,024 dependent");
	for (unsigned int s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		double start = now();

		postern_entity_destroy(entity);
		entity = fill(sizes[s], &bytes);
		start = (now() - start) / sizes[s];
		order = draw(&length, sizes[s], sizes[s] < HOT ? sizes[s] : HOT);
		few = draw(&length, sizes[s], sizes[s] < HOT / 4 ? sizes[s] : HOT / 4);
		for (int round = 0; round < ROUNDS; round++) {
			empty[round] = overhead(order, HOT * 4 - 1);
			hot_few[round] = measure(entity, few, HOT * 4 - 1, 0);
			hot[round] = measure(entity, order, HOT * 4 - 1, 0);
			hot_dependent[round] = measure(entity, order, HOT * 4 - 1, 1);
		}
		printf("  table of %-23u %14.1f %14.1f %14.1f   loop itself %.1f, insert %.0f ns, resident %.1f B each\n",
		       sizes[s], median(hot_few), median(hot), median(hot_dependent), median(empty), start,
		       (double)bytes / sizes[s]);
		free(order);
		free(few);
	}
	footprint = 1000000ull * 64 + (8ull << 21);
	file = memfd_create("postern-bench", MFD_CLOEXEC);
	if (file < 0 || ftruncate(file, (off_t)footprint) != 0)
		die("memfd");
	memory = mmap(NULL, footprint, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
	if (memory == MAP_FAILED)
		die("mmap");
	order = draw(&length, 1000000, 1000000);
	uint32_t *lines = draw(&length, (uint32_t)(footprint / 64), (uint32_t)(footprint / 64));
	for (int round = 0; round < ROUNDS; round++) {
		random[round] = measure(entity, order, length - 1, 0);
		plain[round] = reads(memory, lines, length - 1, 0);
		random_dependent[round] = measure(entity, order, length - 1, 1);
		plain_dependent[round] = reads(memory, lines, length - 1, 1);
	}
	double a = median(random), b = median(plain), c = median(random_dependent), d = median(plain_dependent);

	printf("random over 1,000,000, %zu MiB:\n", footprint >> 20);
	printf("  independent: check %.1f ns, read %.1f ns, ratio %.2f\n", a, b, a / b);
	printf("  dependent:   check %.1f ns, read %.1f ns, ratio %.2f\n", c, d, c / d);
	free(order);
	free(lines);
	postern_entity_destroy(entity);
	return 0;
}
