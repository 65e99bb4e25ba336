// SPDX-License-Identifier: Apache-2.0
/*
 * Processes with an association each that read as fast as they can, in batches and several datagrams ahead. Told
 * "revoked" on standard input once `postern revoke` has returned, they go on for a number of further attempts, and count
 * those that succeed: of attempts made after that, and of attempts sent after one that was refused.
 *
 * Usage: hammer SOCKET OBJECT PROCESSES ATTEMPTS SEED
 */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "wire.h"

#define AHEAD 4
#define LIFETIME 900

struct counts {
	atomic_uint ready;
	atomic_bool revoked;
	atomic_ullong before;	/* successes while nothing was revoked */
	atomic_ullong attempts;	/* made after the revoke had returned */
	atomic_ullong late;	/* of those, successes */
	atomic_ullong disorder;	/* successes of what was sent after what was refused */
	atomic_uint broken;
	atomic_uint cause;	/* errno of what broke last */
};

static struct counts *counts;

static void broke(void)
{
	atomic_store(&counts->cause, (unsigned int)errno);
	atomic_fetch_add(&counts->broken, 1);
}

struct flight {
	uint64_t first;
	unsigned int count;
	unsigned int left;	/* not answered yet */
	bool after;
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* The flight with that cookie in it; NULL: there is none, or everything of it has been answered. */
static struct flight *flight_of(struct flight *flights, uint64_t cookie)
{
	for (int i = 0; i < AHEAD; i++)
		if (flights[i].left && cookie - flights[i].first < flights[i].count)
			return &flights[i];
	return NULL;
}

/*
 * One datagram of answers. What had been let in before a revoke may be answered after a refusal; what was sent after what
 * was refused may not have been let in.
 */
static bool settle(int channel, struct flight *flights, uint64_t *refused)
{
	struct wire_outcome outcomes[WIRE_BATCH];
	int count = wire_collect(channel, outcomes, WIRE_PATIENCE);
	int i;

	if (count < 0)
		errno = -count;
	for (i = 0; i < count; i++) {
		struct flight *flight = flight_of(flights, outcomes[i].cookie);

		if (outcomes[i].kind)
			continue;
		if (!flight) {
			errno = EPROTO;
			return false;
		}
		if (outcomes[i].reason) {
			/* A slow broker has too much waiting for now; that says nothing of the next one. */
			if (strcmp(wire_reason(outcomes[i].reason), "quota") && outcomes[i].cookie < *refused)
				*refused = outcomes[i].cookie;
		} else {
			if (outcomes[i].cookie > *refused)
				atomic_fetch_add(&counts->disorder, 1);
			atomic_fetch_add(flight->after ? &counts->late : &counts->before, 1);
		}
		if (flight->after)
			atomic_fetch_add(&counts->attempts, 1);
		flight->left--;
	}
	return count >= 0;
}

static void hammer(int channel, uint64_t seed, uint64_t wanted)
{
	struct flight flights[AHEAD] = { 0 };
	uint64_t refused = UINT64_MAX;
	uint64_t cookie = 1;

	while (atomic_load(&counts->attempts) < wanted) {
		for (int i = 0; i < AHEAD; i++) {
			struct flight *flight = &flights[i];

			if (flight->left)
				continue;
			flight->count = flight->left = 1 + next_random(&seed) % WIRE_BATCH;
			flight->first = cookie;
			/* Read before the attempt is made: what is counted as made afterwards was. */
			flight->after = atomic_load(&counts->revoked);
			if (wire_issue(channel, WIRE_READ, next_random(&seed) % 4096, 16, flight->count, cookie, 0, 0) < 0) {
				broke();
				return;
			}
			cookie += flight->count;
		}
		if (!settle(channel, flights, &refused)) {
			broke();
			return;
		}
	}
}

static void run(const char *path, int inherited, uint64_t seed, uint64_t wanted)
{
	struct wire_outcome outcome;
	int control = wire_connect(path);
	int channel;

	alarm(LIFETIME);
	if (control < 0 || wire_adopt(control, inherited, &outcome) != 9) {
		broke();
		return;
	}
	channel = outcome.descriptor;
	if (wire_revalidate(control, outcome.channel, &outcome) != 11) {
		broke();
		return;
	}
	atomic_fetch_add(&counts->ready, 1);
	hammer(channel, seed, wanted);
}

int main(int count, char **arguments)
{
	struct wire_outcome outcome;
	unsigned int processes, i;
	uint64_t wanted, seed;
	char line[64];
	int control;

	if (count != 6)
		return 64;
	alarm(LIFETIME);
	processes = (unsigned int)atoi(arguments[3]);
	wanted = strtoull(arguments[4], NULL, 10);
	seed = strtoull(arguments[5], NULL, 10);
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	control = wire_connect(arguments[1]);
	if (counts == MAP_FAILED || control < 0 || wire_open(control, arguments[2], 0, &outcome) != 7)
		return 1;
	for (i = 0; i < processes; i++) {
		if (fork() == 0) {
			run(arguments[1], outcome.descriptor, (seed ^ (i + 1) * 0x9e3779b97f4a7c15ull) | 1, wanted);
			_exit(0);
		}
	}
	while ((atomic_load(&counts->before) < 1000 || atomic_load(&counts->ready) < processes) &&
	       !atomic_load(&counts->broken))
		usleep(1000);
	printf("hammering with %u\n", atomic_load(&counts->ready));
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	atomic_store(&counts->revoked, true);
	while (wait(NULL) > 0)
		;
	printf("attempts %s late %llu disorder %llu broken %u\n",
	       atomic_load(&counts->attempts) >= wanted ? "enough" : "too few", atomic_load(&counts->late),
	       atomic_load(&counts->disorder), atomic_load(&counts->broken));
	if (atomic_load(&counts->broken))
		fprintf(stderr, "hammer: broken by %s\n", strerror((int)atomic_load(&counts->cause)));
	return 0;
}
