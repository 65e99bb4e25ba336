/* SPDX-License-Identifier: Apache-2.0 */
/* The table of doors against the table of reasons. */
#include "doors.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum condition {
	HOLDER,
	INDEXED,  /* with a verdict that is kept */
	OWNER,	  /* whom the tag names, as in all that follow */
	EXPIRING, /* the same, for an hour */
	CHILD,
	GIVEN,	/* a stranger who was sent the descriptor */
	FETCHED, /* a stranger who took it with pidfd_getfd(2) */
	OPERATION,
	LIMIT,
	STALE,
	REVOKED,
	EXPIRED,
	CONDITIONS,
};

static const struct {
	const char *name;
	long expected;
} conditions[CONDITIONS] = {
	[HOLDER] = { "holder", 0 },
	[INDEXED] = { "holder with a verdict", 0 },
	[OWNER] = { "holder whom the tag names", 0 },
	[EXPIRING] = { "holder for an hour", 0 },
	[CHILD] = { "forked child", -EKEYEXPIRED },
	[GIVEN] = { "stranger, SCM_RIGHTS", -EKEYEXPIRED },
	[FETCHED] = { "stranger, pidfd_getfd", -EKEYEXPIRED },
	[OPERATION] = { "operation not granted", -EACCES },
	[LIMIT] = { "limit", -EPERM },
	[STALE] = { "generation", -ESTALE },
	[REVOKED] = { "revoked", -EKEYREVOKED },
	[EXPIRED] = { "expired", -EKEYEXPIRED },
};

struct trial {
	const struct door *door;
	struct scene *scene;
	enum condition condition;
	int socket[2];
	pid_t keeper;
};

static long operate(void *context)
{
	struct trial *trial = context;

	return trial->door->operate(trial->scene);
}

static long act(void *context)
{
	struct trial *trial = context;
	struct scene *scene = trial->scene;
	long fd = -1;

	if (trial->condition == CHILD)
		return in_child(operate, trial);
	if (trial->condition == GIVEN || trial->condition == FETCHED) {
		int number = scene->fd;

		close(number);
		if (trial->condition == GIVEN)
			fd = receive_descriptor(trial->socket[1]);
		else
			fd = ERR(syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, trial->keeper, 0), number, 0));
		if (fd < 0)
			return fd;
		if (fd != number)
			dup2((int)fd, number);
	}
	return operate(trial);
}

static pid_t start_keeper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	return pid;
}

struct seen {
	int refused;
	int received;
	uint32_t door;
	uint32_t object;
};

static void see(const struct postern_direct_event *event, void *context)
{
	struct seen *seen = context;

	if (event->kind == POSTERN_EVENT_RECEIVED)
		seen->received++;
	if (event->kind != POSTERN_EVENT_REFUSED)
		return;
	seen->refused++;
	seen->door = event->door;
	seen->object = event->object;
}

static void impose(const struct door *door, enum condition condition, struct postern_association *record)
{
	switch (condition) {
	case OPERATION:
		record->operations &= ~door->needs;
		break;
	case LIMIT:
		stand.limits[1].address_count = 0;
		stand.limits[1].control_count = 0;
		stand.limits[1].option_count = 0;
		break;
	case STALE:
		stand.objects[OBJECT].generation++;
		break;
	case REVOKED:
		record->state = POSTERN_STATE_REVOKED;
		break;
	case EXPIRING:
		record->expiry = boottime() + 3600 * 1000000000ull;
		break;
	case EXPIRED:
		record->expiry = 1;
		break;
	default:
		break;
	}
}

/* The result of the door's operation; what was recorded of it in `seen` and `counted`. */
static long try(const struct door *door, enum condition condition, const char *off, struct seen *seen,
		uint64_t *refusals)
{
	struct trial trial = { .door = door, .condition = condition };
	struct scene scene;
	struct actor actor;
	uint64_t before;
	long result;

	stand_owned = condition != HOLDER && condition != INDEXED;
	clear();
	default_limits();
	define_object(OBJECT, door->kind);
	scene_open(&scene);
	trial.scene = &scene;
	door->set_up(&scene);
	result = tag(scene.fd, OBJECT, owner_to_name(), door->tag_flags);
	if (result)
		return result;
	stand_detach(off);
	if (condition == FETCHED)
		trial.keeper = start_keeper();
	if (condition == GIVEN)
		socketpair(AF_UNIX, SOCK_STREAM, 0, trial.socket);
	actor_start(&actor, act, &trial);
	if (condition != GIVEN && condition != FETCHED) {
		uint32_t number = associate(actor.pid, OBJECT, ALL_OPERATIONS);

		stand.records[number].flags = door->flags;
		impose(door, condition, &stand.records[number]);
		if (condition != HOLDER)
			keep_verdicts(number);
	}
	drain(NULL, NULL);
	before = counted_refusals();
	if (condition == GIVEN)
		send_descriptor(trial.socket[0], scene.fd);
	stand_owned = false;
	actor_go(&actor);
	result = actor_end(&actor);
	stand_attach(off);
	*refusals = counted_refusals() - before;
	memset(seen, 0, sizeof(*seen));
	drain(see, seen);
	if (trial.keeper) {
		kill(trial.keeper, SIGKILL);
		waitpid(trial.keeper, NULL, 0);
	}
	if (condition == GIVEN) {
		close(trial.socket[0]);
		close(trial.socket[1]);
	}
	scene_close(&scene);
	return result;
}

static bool applies(const struct door *door, enum condition condition)
{
	if (condition == LIMIT)
		return door->has_limit;
	return condition != OPERATION || !door->is_description;
}

/* One line for a door: every condition, or the first that was not as it has to be. */
static void test_door(const struct door *door)
{
	char name[96];

	snprintf(name, sizeof(name), "%s", door->name);
	if (!kernel_is_at_least(6, door->since)) {
		skip(name, "this kernel has no such call");
		return;
	}
	for (enum condition condition = 0; condition < CONDITIONS; condition++) {
		bool refuses = conditions[condition].expected != 0;
		struct seen seen = { 0 };
		uint64_t refusals = 0;
		long result;

		if (!applies(door, condition))
			continue;
		result = try(door, condition, "", &seen, &refusals);
		if (refuses ? result != conditions[condition].expected : result < 0) {
			report(false, name, "%s: %s", conditions[condition].name, named(result));
			return;
		}
		if (refusals != refuses || seen.refused != refuses) {
			report(false, name, "%s: %d refusals counted, %d described", conditions[condition].name, (int)refusals,
			       seen.refused);
			return;
		}
		if (refuses && (seen.door != door->number || seen.object != OBJECT)) {
			report(false, name, "%s: recorded as door %u, object %u", conditions[condition].name, seen.door,
			       seen.object);
			return;
		}
		if ((condition == GIVEN || condition == FETCHED) && seen.received != 1) {
			report(false, name, "%s: the receipt was recorded %d times", conditions[condition].name,
			       seen.received);
			return;
		}
	}
	report(true, name, " ");
}

/* Whether the stranger gets in while nothing watches the door: else its test could not fail. */
static void test_twin(const struct door *door)
{
	struct seen seen;
	uint64_t refusals;
	char name[128];
	long result;

	if (!kernel_is_at_least(6, door->since))
		return;
	snprintf(name, sizeof(name), "twin, %s without its hooks: a stranger gets in", door->name);
	result = try(door, GIVEN, door->hooks, &seen, &refusals);
	report(result >= 0, name, "%s", named(result));
}

/* Detaching waits for every task. Outside the soak each kernel has the twins of every other door that both have. */
static bool has_twin_here(const struct door *door, int number)
{
	return getenv("POSTERN_SOAK") || door->since > 1 || (number % 2 == 1) == kernel_is_at_least(6, 12);
}

static void test_table(const struct door *doors, int count)
{
	for (int i = 0; i < count; i++)
		test_door(&doors[i]);
	for (int i = 0; i < count; i++)
		if (has_twin_here(&doors[i], i))
			test_twin(&doors[i]);
}

void test_doors(void)
{
	test_table(file_doors, file_door_count);
	test_table(socket_doors, socket_door_count);
	test_table(option_doors, option_door_count);
	test_table(uring_doors, uring_door_count);
}
