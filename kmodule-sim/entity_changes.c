/* SPDX-License-Identifier: Apache-2.0 */
/* Entry points that change or list associations: drops, the ends of processes. */
#include <errno.h>

#include "entity.h"

/* One walk over selected associations. The first pass only counts, so that a list that is too short changes nothing. */
struct sweep {
	struct postern_selector selector;
	void (*apply)(struct postern_entity *entity, struct sweep *sweep, postern_u32 slot);
	/* Whether apply would end a live association here. */
	int (*ends)(const struct postern_entity *entity, const struct sweep *sweep, postern_u32 slot);
	int counting;
	enum postern_association_state state;
	postern_u64 now;
	postern_u64 next_expiry;
	const struct postern_process_arguments *process;
	struct postern_association_info *out;
	postern_u32 capacity;
	postern_u32 count;
};

static int selected(const struct postern_entity *entity, const struct postern_selector *selector, postern_u32 slot)
{
	const struct postern_association *record = &entity->records[slot];

	if (record->state == POSTERN_STATE_FREE)
		return 0;
	if (selector->states && !(selector->states >> record->state & 1u))
		return 0;
	if ((selector->fields & POSTERN_SELECT_OBJECT) && record->object != selector->object)
		return 0;
	if ((selector->fields & POSTERN_SELECT_PROCESS) && !table_same_process(&record->process, &selector->process))
		return 0;
	if ((selector->fields & POSTERN_SELECT_APPLICATION) && record->application != selector->application)
		return 0;
	return !(selector->fields & POSTERN_SELECT_ID) || table_id(entity, slot) == selector->id;
}

static void visit(struct postern_entity *entity, struct sweep *sweep, postern_u32 slot)
{
	int ends;

	if (!selected(entity, &sweep->selector, slot))
		return;
	ends = entity->records[slot].state == POSTERN_STATE_LIVE && sweep->ends(entity, sweep, slot);
	if (!sweep->counting && ends)
		entity_describe(entity, slot, &sweep->out[sweep->count]);
	if (ends)
		sweep->count++;
	if (!sweep->counting)
		sweep->apply(entity, sweep, slot);
}

/* Each list's next number is read before the visit, which may free what it stands on. */
static void visit_membership(struct postern_entity *entity, struct sweep *sweep, postern_u32 number)
{
	postern_u32 slot = entity->memberships[number].first;

	while (slot) {
		postern_u32 next = entity->links[slot].next_in_membership;

		visit(entity, sweep, slot);
		slot = next;
	}
}

static void walk(struct postern_entity *entity, struct sweep *sweep)
{
	const struct postern_selector *selector = &sweep->selector;
	postern_u32 number;
	postern_u32 next;

	if (selector->fields & POSTERN_SELECT_ID) {
		number = (postern_u32)(selector->id & ((1u << TABLE_SLOT_BITS) - 1));
		if (number > 0 && number < entity->header->associations.end)
			visit(entity, sweep, number);
	} else if (selector->fields & POSTERN_SELECT_PROCESS) {
		number = table_find_process(entity, &selector->process);
		for (number = number ? entity->processes[number].memberships : 0; number; number = next) {
			next = entity->memberships[number].next_of_process;
			visit_membership(entity, sweep, number);
		}
	} else if (selector->fields & POSTERN_SELECT_OBJECT) {
		const struct postern_object *object = table_object(entity, selector->object);

		for (number = object ? object->first : 0; number; number = next) {
			next = entity->links[number].next_of_object;
			visit(entity, sweep, number);
		}
	} else if (selector->fields & POSTERN_SELECT_APPLICATION) {
		number = table_find_application(entity, selector->application);
		for (number = number ? entity->applications[number].memberships : 0; number; number = next) {
			next = entity->memberships[number].next_of_application;
			visit_membership(entity, sweep, number);
		}
	} else {
		for (number = 1; number < entity->header->associations.end; number++)
			visit(entity, sweep, number);
	}
}

static int run(struct postern_entity *entity, struct sweep *sweep)
{
	sweep->counting = 1;
	walk(entity, sweep);
	if (sweep->count > sweep->capacity || (sweep->count && !sweep->out))
		return -ENOSPC;
	sweep->counting = 0;
	sweep->count = 0;
	sweep->next_expiry = 0;
	walk(entity, sweep);
	return 0;
}

static int always(const struct postern_entity *entity, const struct sweep *sweep, postern_u32 slot)
{
	(void)entity, (void)sweep, (void)slot;
	return 1;
}

static int holds(const struct postern_association *record)
{
	return record->state == POSTERN_STATE_LIVE || record->state == POSTERN_STATE_DEPARTED;
}

static void bury(struct postern_entity *entity, postern_u32 slot, enum postern_association_state state)
{
	if (entity->records[slot].state == POSTERN_STATE_DEPARTED)
		entity->records[slot].flags |= POSTERN_ASSOCIATION_DEPARTED;
	table_set_state(entity, slot, state);
}

static void apply_drop(struct postern_entity *entity, struct sweep *sweep, postern_u32 slot)
{
	if (sweep->state == POSTERN_STATE_REVOKED || holds(&entity->records[slot]))
		bury(entity, slot, sweep->state);
}

static void apply_pardon(struct postern_entity *entity, struct sweep *sweep, postern_u32 slot)
{
	(void)sweep;
	if (entity->records[slot].state == POSTERN_STATE_REVOKED)
		table_set_state(entity, slot, POSTERN_STATE_DROPPED);
}

static int ends_by_expiry(const struct postern_entity *entity, const struct sweep *sweep, postern_u32 slot)
{
	return postern_past(entity->records[slot].expiry, sweep->now);
}

static void apply_expire(struct postern_entity *entity, struct sweep *sweep, postern_u32 slot)
{
	const struct postern_association *record = &entity->records[slot];

	if (!holds(record))
		return;
	if (ends_by_expiry(entity, sweep, slot))
		bury(entity, slot, POSTERN_STATE_EXPIRED);
	else if (record->expiry && (!sweep->next_expiry || record->expiry < sweep->next_expiry))
		sweep->next_expiry = record->expiry;
}

static void apply_end(struct postern_entity *entity, struct sweep *sweep, postern_u32 slot)
{
	struct postern_association *record = &entity->records[slot];

	if (sweep->process->evidence && (holds(record) || record->state == POSTERN_STATE_REVOKED)) {
		record->flags |= POSTERN_ASSOCIATION_DEPARTED;
		if (record->state == POSTERN_STATE_LIVE)
			table_set_state(entity, slot, POSTERN_STATE_DEPARTED);
		return;
	}
	table_remove(entity, slot);
}

static int kept(const struct postern_entity *entity, const struct sweep *sweep, postern_u32 slot)
{
	const struct postern_association *record = &entity->records[slot];

	if (record->state != POSTERN_STATE_LIVE || !(record->flags & POSTERN_ASSOCIATION_KEEP))
		return 0;
	for (postern_u32 i = 0; i < sweep->process->kept_count; i++)
		if (sweep->process->kept[i] == table_id(entity, slot))
			return 1;
	return 0;
}

static int ends_by_exec(const struct postern_entity *entity, const struct sweep *sweep, postern_u32 slot)
{
	return !kept(entity, sweep, slot);
}

/* The process lives on under a new identity: what is kept goes with it, and so does being revoked. */
static void apply_exec(struct postern_entity *entity, struct sweep *sweep, postern_u32 slot)
{
	struct postern_association *record = &entity->records[slot];
	struct postern_process after = record->process;
	int revoked = record->state == POSTERN_STATE_REVOKED;

	after.exec_epoch = sweep->process->exec_epoch;
	if ((revoked || kept(entity, sweep, slot)) && !table_find(entity, record->object, &after) &&
	    table_rename(entity, slot, &after) == 0)
		return;
	apply_end(entity, sweep, slot);
}

static int drop(struct postern_entity *entity, struct postern_drop_arguments *arguments, struct sweep *sweep)
{
	int error;

	sweep->selector = arguments->selector;
	sweep->now = arguments->now;
	sweep->out = arguments->dropped;
	sweep->capacity = arguments->capacity;
	error = run(entity, sweep);
	arguments->count = sweep->count;
	arguments->next_expiry = sweep->next_expiry;
	return error;
}

int entity_drop(struct postern_entity *entity, struct postern_drop_arguments *arguments)
{
	struct sweep sweep = { .apply = apply_drop, .ends = always };

	if (arguments->state < POSTERN_STATE_REVOKED || arguments->state > POSTERN_STATE_DROPPED)
		return -EINVAL;
	sweep.state = (enum postern_association_state)arguments->state;
	return drop(entity, arguments, &sweep);
}

int entity_pardon(struct postern_entity *entity, struct postern_drop_arguments *arguments)
{
	struct sweep sweep = { .apply = apply_pardon, .ends = always };

	arguments->selector.states = 1u << POSTERN_STATE_REVOKED;
	return drop(entity, arguments, &sweep);
}

int entity_expire(struct postern_entity *entity, struct postern_drop_arguments *arguments)
{
	struct sweep sweep = { .apply = apply_expire, .ends = ends_by_expiry };

	return drop(entity, arguments, &sweep);
}

static int end_process(struct postern_entity *entity, struct postern_process_arguments *arguments, struct sweep *sweep)
{
	int error;

	sweep->selector = (struct postern_selector){
		.fields = POSTERN_SELECT_PROCESS,
		.process = arguments->process,
	};
	sweep->process = arguments;
	sweep->out = arguments->dropped;
	sweep->capacity = arguments->capacity;
	error = run(entity, sweep);
	arguments->count = sweep->count;
	return error;
}

int entity_exit(struct postern_entity *entity, struct postern_process_arguments *arguments)
{
	struct sweep sweep = { .apply = apply_end, .ends = always };

	return end_process(entity, arguments, &sweep);
}

int entity_exec(struct postern_entity *entity, struct postern_process_arguments *arguments)
{
	struct sweep sweep = { .apply = apply_exec, .ends = ends_by_exec };

	if (arguments->exec_epoch == arguments->process.exec_epoch || (arguments->kept_count && !arguments->kept))
		return -EINVAL;
	return end_process(entity, arguments, &sweep);
}

int entity_iterate(const struct postern_entity *entity, struct postern_iterate_arguments *arguments)
{
	postern_u32 slot = arguments->cursor ? arguments->cursor : 1;
	postern_u32 end = entity->header->associations.end;

	arguments->count = 0;
	if (arguments->capacity == 0 || !arguments->out)
		return -EINVAL;
	/* An id names its slot. */
	if (arguments->selector.fields & POSTERN_SELECT_ID) {
		postern_u32 named = (postern_u32)(arguments->selector.id & ((1u << TABLE_SLOT_BITS) - 1));

		slot = named > slot ? named : slot;
		end = named + 1 < end ? named + 1 : end;
	}
	for (; slot < end; slot++) {
		if (!selected(entity, &arguments->selector, slot))
			continue;
		if (arguments->count == arguments->capacity)
			break;
		entity_describe(entity, slot, &arguments->out[arguments->count++]);
	}
	arguments->cursor = slot < end ? slot : 0;
	return 0;
}
