/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "table.h"

/* Of 2 MiB, a huge page. */
#define RECORDS_OF_A_PIECE 32768u

/* next is the free-list link inside the record that pool->free names. */
static postern_u32 take(struct table_pool *pool, const postern_u32 *next)
{
	postern_u32 number = pool->free;

	if (number)
		pool->free = *next;
	else if (pool->end <= pool->capacity)
		number = pool->end++;
	else
		return 0;
	pool->used++;
	return number;
}

static void give(struct table_pool *pool, postern_u32 number, postern_u32 *next)
{
	*next = pool->free;
	pool->free = number;
	pool->used--;
}

static int has_room(const struct table_pool *pool)
{
	return pool->free || pool->end <= pool->capacity;
}

static postern_u32 find_membership(const struct postern_entity *entity, postern_u32 process, postern_u32 application)
{
	postern_u32 number = entity->processes[process].memberships;

	while (number && entity->memberships[number].application != application)
		number = entity->memberships[number].next_of_process;
	return number;
}

static postern_u32 make_process(struct postern_entity *entity, const struct postern_process *process)
{
	struct table_header *header = entity->header;
	postern_u32 number = take(&header->processes, &entity->processes[header->processes.free].next_free);
	struct table_process *record = &entity->processes[number];

	*record = (struct table_process){ .process = *process };
	table_index_insert(entity, &header->process_index, table_process_hash(header, process), number);
	return number;
}

static postern_u32 make_application(struct postern_entity *entity, postern_u32 id)
{
	struct table_header *header = entity->header;
	postern_u32 number = take(&header->applications, &entity->applications[header->applications.free].next_free);
	struct table_application *record = &entity->applications[number];

	*record = (struct table_application){ .id = id };
	table_index_insert(entity, &header->application_index, table_application_hash(header, id), number);
	return number;
}

static postern_u32 make_membership(struct postern_entity *entity, postern_u32 process, postern_u32 application)
{
	struct table_pool *pool = &entity->header->memberships;
	postern_u32 number = take(pool, &entity->memberships[pool->free].previous_of_application);
	postern_u32 next = entity->applications[application].memberships;

	entity->memberships[number] = (struct table_membership){
		.process = process,
		.application = application,
		.next_of_process = entity->processes[process].memberships,
		.next_of_application = next,
	};
	entity->processes[process].memberships = number;
	entity->applications[application].memberships = number;
	if (next)
		entity->memberships[next].previous_of_application = number;
	return number;
}

/* Finds or makes the membership; 0 where there is no room for what it needs, nothing made. */
static postern_u32 obtain_membership(struct postern_entity *entity, const struct postern_process *process, postern_u32 id)
{
	struct table_header *header = entity->header;
	postern_u32 owner = table_find_process(entity, process);
	postern_u32 application = table_find_application(entity, id);
	postern_u32 number = owner && application ? find_membership(entity, owner, application) : 0;

	if (number)
		return number;
	if (!has_room(&header->memberships))
		return 0;
	if (!owner && (!has_room(&header->processes) || table_index_reserve(entity, &header->process_index)))
		return 0;
	if (!application && (!has_room(&header->applications) || table_index_reserve(entity, &header->application_index)))
		return 0;
	if (!owner)
		owner = make_process(entity, process);
	if (!application)
		application = make_application(entity, id);
	return make_membership(entity, owner, application);
}

static void free_application(struct postern_entity *entity, postern_u32 number)
{
	struct table_header *header = entity->header;
	struct table_application *record = &entity->applications[number];

	table_index_remove(entity, &header->application_index, table_application_hash(header, record->id), number);
	give(&header->applications, number, &record->next_free);
}

static void free_process(struct postern_entity *entity, postern_u32 number)
{
	struct table_header *header = entity->header;
	struct table_process *record = &entity->processes[number];

	table_index_remove(entity, &header->process_index, table_process_hash(header, &record->process), number);
	give(&header->processes, number, &record->next_free);
}

static void free_membership(struct postern_entity *entity, postern_u32 number)
{
	struct table_membership *membership = &entity->memberships[number];
	struct table_process *process = &entity->processes[membership->process];
	struct table_application *application = &entity->applications[membership->application];
	postern_u32 *next = &process->memberships;

	while (*next != number)
		next = &entity->memberships[*next].next_of_process;
	*next = membership->next_of_process;
	if (membership->previous_of_application)
		entity->memberships[membership->previous_of_application].next_of_application =
			membership->next_of_application;
	else
		application->memberships = membership->next_of_application;
	if (membership->next_of_application)
		entity->memberships[membership->next_of_application].previous_of_application =
			membership->previous_of_application;
	if (!process->memberships)
		free_process(entity, membership->process);
	if (!application->memberships)
		free_application(entity, membership->application);
	give(&entity->header->memberships, number, &membership->previous_of_application);
}

static void link_membership(struct postern_entity *entity, postern_u32 slot, postern_u32 number)
{
	struct table_membership *membership = &entity->memberships[number];
	struct table_link *link = &entity->links[slot];

	entity->records[slot].membership = number;
	link->next_in_membership = membership->first;
	link->previous_in_membership = 0;
	if (membership->first)
		entity->links[membership->first].previous_in_membership = slot;
	membership->first = slot;
	membership->records++;
	entity->processes[membership->process].records++;
	entity->applications[membership->application].records++;
}

static void unlink_membership(struct postern_entity *entity, postern_u32 slot)
{
	postern_u32 number = entity->records[slot].membership;
	struct table_membership *membership = &entity->memberships[number];
	struct table_link *link = &entity->links[slot];

	if (link->previous_in_membership)
		entity->links[link->previous_in_membership].next_in_membership = link->next_in_membership;
	else
		membership->first = link->next_in_membership;
	if (link->next_in_membership)
		entity->links[link->next_in_membership].previous_in_membership = link->previous_in_membership;
	entity->processes[membership->process].records--;
	entity->applications[membership->application].records--;
	if (--membership->records == 0)
		free_membership(entity, number);
}

static void link_object(struct postern_entity *entity, postern_u32 slot)
{
	struct postern_object *object = &entity->objects[entity->records[slot].object];
	struct table_link *link = &entity->links[slot];

	link->next_of_object = object->first;
	link->previous_of_object = 0;
	if (object->first)
		entity->links[object->first].previous_of_object = slot;
	object->first = slot;
	object->records++;
}

static void unlink_object(struct postern_entity *entity, postern_u32 slot)
{
	struct postern_object *object = &entity->objects[entity->records[slot].object];
	struct table_link *link = &entity->links[slot];

	if (link->previous_of_object)
		entity->links[link->previous_of_object].next_of_object = link->next_of_object;
	else
		object->first = link->next_of_object;
	if (link->next_of_object)
		entity->links[link->next_of_object].previous_of_object = link->previous_of_object;
	object->records--;
}

/* Keeps the counts that quotas, exclusiveness and statistics go by. */
static void count_live(struct postern_entity *entity, postern_u32 slot, int live)
{
	struct postern_association *record = &entity->records[slot];
	struct table_membership *membership = &entity->memberships[record->membership];
	struct table_application *application = &entity->applications[membership->application];
	postern_u32 step = live ? 1u : (postern_u32)-1;

	if (membership->live == (live ? 0u : 1u))
		application->processes += step;
	membership->live += step;
	application->live += step;
	entity->objects[record->object].live += step;
	entity->header->live += step;
}

void table_release_limits(struct postern_entity *entity, postern_u32 index)
{
	struct table_limits *limits = &entity->limits[index];

	if (!index)
		return;
	if (--limits->references == 0)
		give(&entity->header->limits, index, &limits->next_free);
}

postern_u32 table_insert(struct postern_entity *entity, const struct postern_association *record, postern_u64 ancestor)
{
	struct table_header *header = entity->header;
	postern_u32 membership;
	postern_u32 reuse;
	postern_u32 slot;

	if (!has_room(&header->associations) || table_index_reserve(entity, &header->association_index))
		return 0;
	membership = obtain_membership(entity, &record->process, record->application);
	if (!membership)
		return 0;
	slot = take(&header->associations, &entity->records[header->associations.free].membership);
	reuse = entity->records[slot].reuse;
	entity->records[slot] = *record;
	entity->records[slot].reuse = reuse;
	entity->links[slot].ancestor = ancestor;
	link_membership(entity, slot, membership);
	link_object(entity, slot);
	if (record->limits)
		entity->limits[record->limits].references++;
	if (record->state == POSTERN_STATE_LIVE)
		count_live(entity, slot, 1);
	table_index_insert(entity, &header->association_index, table_hash(header, record->object, &record->process), slot);
	/* Each piece of the records once, when the last of it has just been used for the first time. */
	if ((slot + 1) % RECORDS_OF_A_PIECE == 0 && reuse == 0)
		table_gather(entity, header->associations.offset + (slot + 1 - RECORDS_OF_A_PIECE) * sizeof(*record),
			     RECORDS_OF_A_PIECE * sizeof(*record));
	return slot;
}

/* Tombstones give their limits back; evidence keeps them, for the child that revalidates. */
void table_set_state(struct postern_entity *entity, postern_u32 slot, enum postern_association_state state)
{
	struct postern_association *record = &entity->records[slot];

	if (record->state == POSTERN_STATE_LIVE && state != POSTERN_STATE_LIVE) {
		count_live(entity, slot, 0);
		entity->header->changes++;
	}
	record->state = (postern_u8)state;
	if (state != POSTERN_STATE_LIVE && state != POSTERN_STATE_DEPARTED) {
		table_release_limits(entity, record->limits);
		record->limits = 0;
	}
}

void table_remove(struct postern_entity *entity, postern_u32 slot)
{
	struct table_header *header = entity->header;
	struct postern_association *record = &entity->records[slot];
	postern_u32 reuse = record->reuse + 1;

	table_set_state(entity, slot, POSTERN_STATE_FREE);
	table_index_remove(entity, &header->association_index, table_hash(header, record->object, &record->process), slot);
	unlink_object(entity, slot);
	unlink_membership(entity, slot);
	memset(record, 0, sizeof(*record));
	record->reuse = reuse;
	entity->links[slot] = (struct table_link){ 0 };
	/* A slot whose reuse count is spent stays out of use, so that no id comes twice. */
	if (reuse == 0) {
		header->associations.used--;
		return;
	}
	give(&header->associations, slot, &record->membership);
}

/* Gives a record another process; -ENOSPC: no room for that process, nothing changed. */
int table_rename(struct postern_entity *entity, postern_u32 slot, const struct postern_process *process)
{
	struct table_header *header = entity->header;
	struct postern_association *record = &entity->records[slot];
	postern_u32 membership = obtain_membership(entity, process, record->application);
	int live = record->state == POSTERN_STATE_LIVE;

	if (!membership)
		return -ENOSPC;
	table_index_remove(entity, &header->association_index, table_hash(header, record->object, &record->process), slot);
	if (live)
		count_live(entity, slot, 0);
	unlink_membership(entity, slot);
	record->process = *process;
	link_membership(entity, slot, membership);
	if (live)
		count_live(entity, slot, 1);
	table_index_insert(entity, &header->association_index, table_hash(header, record->object, process), slot);
	header->changes++;
	return 0;
}

postern_u32 table_overlap_bucket(const struct table_header *header, const struct postern_object *object)
{
	return table_fold(object->device ^ header->seed[0], object->inode ^ header->seed[1]) % TABLE_OVERLAP_BUCKETS;
}
