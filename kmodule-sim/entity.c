/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry points that decide: check, associate (open) and revalidate. The others stand in entity_changes.c and
 * entity_objects.c.
 */
#include <errno.h>
#include <string.h>

#include "entity.h"

void entity_describe(const struct postern_entity *entity, postern_u32 slot, struct postern_association_info *out)
{
	out->id = table_id(entity, slot);
	out->ancestor = entity->links[slot].ancestor;
	out->record = entity->records[slot];
}

static const struct postern_limits *limits_of(const struct postern_entity *entity, postern_u32 index)
{
	return table_limits_exist(entity, index) ? &entity->limits[index].limits : NULL;
}

int postern_entity_check(struct postern_entity *entity, struct postern_check_arguments *arguments)
{
	const struct postern_instruction_abi *instruction = &arguments->instruction;
	struct postern_association *record;
	postern_u32 slot = 0;
	struct postern_facts facts = {
		.request = POSTERN_REQUEST_INSTRUCTION,
		.issuer = instruction->issuer,
		.failed = arguments->failed,
		.conditions = arguments->conditions,
		.now = arguments->now,
		.opcode = instruction->opcode,
		.operands = &instruction->operands,
	};

	arguments->association = 0;
	arguments->generation = 0;
	arguments->expiry = 0;
	arguments->has_range = 0;
	arguments->range_offset = 0;
	arguments->range_length = 0;
	if (instruction->issuer != POSTERN_ISSUER_KERNEL) {
		facts.object = table_object(entity, instruction->object);
		slot = table_find(entity, instruction->object, &instruction->process);
	}
	record = &entity->records[slot];
	if (slot) {
		facts.association = record;
		facts.limits = limits_of(entity, record->limits);
	}
	arguments->reason = POSTERN_DECIDE(&facts);
	if (facts.object)
		arguments->generation = facts.object->generation;
	if (!slot)
		return 0;
	arguments->association = table_id(entity, slot);
	if (arguments->reason == POSTERN_REASON_GRANTED) {
		arguments->expiry = record->expiry;
		if (facts.limits && (facts.limits->flags & POSTERN_LIMIT_RANGE)) {
			arguments->has_range = 1;
			arguments->range_offset = facts.limits->range_offset;
			arguments->range_length = facts.limits->range_length;
		}
	} else if (arguments->reason == POSTERN_REASON_EXPIRED && record->state == POSTERN_STATE_LIVE) {
		table_set_state(entity, slot, POSTERN_STATE_EXPIRED);
	}
	return 0;
}

/* Whether a process other than this one holds the object; associations found past their expiry become tombstones. */
static int held_by_another(struct postern_entity *entity, const struct postern_object *object,
			   const struct postern_process *process, postern_u64 now)
{
	postern_u32 slot = object->first;

	if (!object->live)
		return 0;
	while (slot) {
		struct postern_association *record = &entity->records[slot];

		if (record->state == POSTERN_STATE_LIVE) {
			if (postern_past(record->expiry, now))
				table_set_state(entity, slot, POSTERN_STATE_EXPIRED);
			else if (!table_same_process(&record->process, process))
				return 1;
		}
		slot = entity->links[slot].next_of_object;
	}
	return 0;
}

/* Overflow-safe: compares the distance of the two beginnings with the length of the earlier range. */
static int overlap(const struct postern_object *left, const struct postern_object *right)
{
	if (left->device != right->device)
		return 0;
	if (left->inode != right->inode)
		return 0;
	if (left->range_offset < right->range_offset)
		return right->range_offset - left->range_offset < left->range_length;
	return left->range_offset - right->range_offset < right->range_length;
}

/* Exclusive speaks of devices and bytes, not of names (DESIGN section 6), so other objects count too. */
static int exclusive_conflict(struct postern_entity *entity, const struct postern_object *object,
			      const struct postern_process *process, postern_u64 now)
{
	postern_u32 number;

	if (object->exclusive && held_by_another(entity, object, process, now))
		return 1;
	if (!(object->flags & POSTERN_OBJECT_FOOTPRINT))
		return 0;
	number = entity->header->overlaps[table_overlap_bucket(entity->header, object)];
	while (number) {
		const struct postern_object *other = &entity->objects[number - 1];

		number = other->next_overlap;
		if (!object->exclusive && !other->exclusive)
			continue;
		if (overlap(object, other) && held_by_another(entity, other, process, now))
			return 1;
	}
	return 0;
}

static int quota_left(struct postern_entity *entity, const struct postern_associate_arguments *arguments)
{
	postern_u32 application = table_find_application(entity, arguments->application);
	postern_u32 process = table_find_process(entity, &arguments->process);
	postern_u32 number = process ? entity->processes[process].memberships : 0;

	for (; number; number = entity->memberships[number].next_of_process)
		if (entity->memberships[number].application == application && entity->memberships[number].live)
			return 1;
	/* Application 0 is nobody's and empty. */
	if (entity->applications[application].processes < arguments->quota)
		return 1;
	/* Full only in appearance, perhaps: what has expired does not count. */
	for (number = entity->applications[application].memberships; number;
	     number = entity->memberships[number].next_of_application) {
		postern_u32 slot = entity->memberships[number].first;

		for (; slot; slot = entity->links[slot].next_in_membership)
			if (entity->records[slot].state == POSTERN_STATE_LIVE &&
			    postern_past(entity->records[slot].expiry, arguments->now))
				table_set_state(entity, slot, POSTERN_STATE_EXPIRED);
	}
	return entity->applications[application].processes < arguments->quota;
}

static postern_u64 earlier(postern_u64 left, postern_u64 right)
{
	if (!left || !right)
		return left ? left : right;
	return left < right ? left : right;
}

static void answer(const struct postern_entity *entity, struct postern_associate_arguments *arguments, postern_u32 slot)
{
	if (slot)
		entity_describe(entity, slot, &arguments->association);
	else
		memset(&arguments->association, 0, sizeof(arguments->association));
}

/* A second open of the same object by the same process and application adds to the association; there is one per pair. */
static void extend(struct postern_entity *entity, postern_u32 slot, const struct postern_association *wanted)
{
	struct postern_association *record = &entity->records[slot];

	if (wanted->limits)
		entity->limits[wanted->limits].references++;
	table_release_limits(entity, record->limits);
	record->limits = wanted->limits;
	record->operations |= wanted->operations;
	record->expiry = wanted->expiry;
	record->path = wanted->path;
	record->on_fork = wanted->on_fork;
	record->flags = wanted->flags;
	entity->header->changes++;
}

int entity_establish(struct postern_entity *entity, struct postern_associate_arguments *arguments,
		     enum postern_request request)
{
	struct postern_object *object = table_object(entity, arguments->object);
	postern_u32 own = table_find(entity, arguments->object, &arguments->process);
	postern_u32 ancestor = 0;
	postern_u64 ancestor_id = 0;
	struct postern_association wanted;
	struct postern_establishment establishment = {
		.requested = arguments->requested,
		.granted = arguments->granted,
		.generation = arguments->generation,
		.lineage = arguments->lineage,
		.application = arguments->application,
		.forked = arguments->forked,
	};
	struct postern_facts facts = {
		.request = request,
		.issuer = POSTERN_ISSUER_PROCESS,
		.failed = arguments->failed,
		.conditions = arguments->conditions,
		.now = arguments->now,
		.object = object,
		.establishment = &establishment,
	};

	/* Record 0 is nobody's and always free. */
	if (entity->records[own].state == POSTERN_STATE_LIVE &&
	    postern_past(entity->records[own].expiry, arguments->now))
		table_set_state(entity, own, POSTERN_STATE_EXPIRED);
	if (own)
		facts.association = &entity->records[own];
	if (request == POSTERN_REQUEST_REVALIDATE)
		ancestor = table_find(entity, arguments->object, &arguments->ancestor);
	/* Nobody is its own ancestor. */
	if (ancestor && ancestor != own)
		facts.ancestor = &entity->records[ancestor];
	if (request == POSTERN_REQUEST_OPEN && arguments->limits && !table_limits_exist(entity, arguments->limits))
		facts.failed |= POSTERN_LOOKUP_LIMITS;
	if (object && exclusive_conflict(entity, object, &arguments->process, arguments->now))
		facts.conditions &= ~POSTERN_CONDITION_EXCLUSIVE;
	if (!quota_left(entity, arguments))
		facts.conditions &= ~POSTERN_CONDITION_QUOTA;

	arguments->existing = 0;
	arguments->reason = POSTERN_DECIDE(&facts);
	arguments->detail = POSTERN_DETAIL_NONE;
	if (arguments->reason == POSTERN_REASON_REFUSED)
		arguments->detail = postern_refusal_detail(&facts);
	if (arguments->reason != POSTERN_REASON_GRANTED) {
		answer(entity, arguments, own);
		return 0;
	}

	wanted = (struct postern_association){
		.process = arguments->process,
		.object = arguments->object,
		.generation = object->generation,
		.operations = arguments->requested,
		.state = POSTERN_STATE_LIVE,
		.path = arguments->path,
		.on_fork = arguments->on_fork,
		.flags = arguments->flags & POSTERN_ASSOCIATION_KEEP,
		.expiry = arguments->expiry,
		.since = arguments->now,
		.limits = arguments->limits,
		.application = arguments->application,
	};
	if (ancestor) {
		const struct postern_association *holder = &entity->records[ancestor];

		ancestor_id = table_id(entity, ancestor);
		wanted.operations = holder->operations;
		wanted.limits = holder->limits;
		wanted.on_fork = holder->on_fork;
		wanted.flags = holder->flags & POSTERN_ASSOCIATION_KEEP;
		wanted.expiry = earlier(arguments->expiry, holder->expiry);
	}
	if (entity->records[own].state == POSTERN_STATE_LIVE &&
	    entity->records[own].application == arguments->application) {
		if (request == POSTERN_REQUEST_OPEN)
			extend(entity, own, &wanted);
		arguments->existing = 1;
		answer(entity, arguments, own);
		return 0;
	}
	if (own)
		table_remove(entity, own);
	own = table_insert(entity, &wanted, ancestor_id);
	if (!own)
		arguments->reason = POSTERN_REASON_QUOTA;
	answer(entity, arguments, own);
	return 0;
}
