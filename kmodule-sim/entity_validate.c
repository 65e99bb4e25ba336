/* SPDX-License-Identifier: Apache-2.0 */
/* The table's invariants, each with a number of its own. Walks everything: for tests. */
#include <stdlib.h>

#include "entity.h"

struct seen {
	postern_u32 records;
	postern_u32 live;
	postern_u32 processes;
};

static int validate_record(const struct postern_entity *entity, postern_u32 slot, postern_u32 *limit_references)
{
	const struct table_header *header = entity->header;
	const struct postern_association *record = &entity->records[slot];
	const struct table_membership *membership = &entity->memberships[record->membership];

	if (record->state > POSTERN_STATE_DEPARTED)
		return 10;
	if (table_find(entity, record->object, &record->process) != slot)
		return 11;
	if (record->object >= header->object_capacity || !record->membership)
		return 12;
	if (!table_same_process(&entity->processes[membership->process].process, &record->process))
		return 13;
	if (entity->applications[membership->application].id != record->application)
		return 14;
	if (record->limits && !table_limits_exist(entity, record->limits))
		return 15;
	if (record->limits && record->state != POSTERN_STATE_LIVE && record->state != POSTERN_STATE_DEPARTED)
		return 16;
	if (record->state == POSTERN_STATE_LIVE && record->generation != entity->objects[record->object].generation)
		return 17;
	limit_references[record->limits]++;
	return 0;
}

static int validate_membership(const struct postern_entity *entity, postern_u32 number, postern_u32 *process_records,
			       struct seen *applications)
{
	const struct table_membership *membership = &entity->memberships[number];
	struct seen seen = { 0 };
	postern_u32 previous = 0;

	for (postern_u32 slot = membership->first; slot; slot = entity->links[slot].next_in_membership) {
		if (entity->records[slot].membership != number || entity->links[slot].previous_in_membership != previous)
			return 20;
		seen.records++;
		seen.live += entity->records[slot].state == POSTERN_STATE_LIVE;
		previous = slot;
	}
	if (seen.records != membership->records || seen.live != membership->live || seen.records == 0)
		return 21;
	process_records[membership->process] += seen.records;
	applications[membership->application].records += seen.records;
	applications[membership->application].live += seen.live;
	applications[membership->application].processes += seen.live > 0;
	return 0;
}

static int validate_object(const struct postern_entity *entity, const struct postern_object *object)
{
	struct seen seen = { 0 };
	postern_u32 previous = 0;

	for (postern_u32 slot = object->first; slot; slot = entity->links[slot].next_of_object) {
		if (entity->records[slot].object != object->id || entity->links[slot].previous_of_object != previous)
			return 30;
		seen.records++;
		seen.live += entity->records[slot].state == POSTERN_STATE_LIVE;
		previous = slot;
	}
	if (seen.records != object->records || seen.live != object->live)
		return 31;
	return !object->present && object->live ? 32 : 0;
}

/* Visits every membership through its process, which also proves that each can be found. */
static int validate_lists(const struct postern_entity *entity, postern_u32 *process_records, struct seen *applications)
{
	const struct table_header *header = entity->header;
	postern_u32 memberships = 0;
	int error;

	for (postern_u32 process = 1; process < header->processes.end; process++) {
		const struct table_process *record = &entity->processes[process];

		if (table_find_process(entity, &record->process) != process)
			continue;
		for (postern_u32 number = record->memberships; number;
		     number = entity->memberships[number].next_of_process) {
			error = validate_membership(entity, number, process_records, applications);
			if (error)
				return error;
			memberships++;
		}
		if (process_records[process] != record->records || record->records == 0)
			return 40;
	}
	if (memberships != header->memberships.used)
		return 41;
	memberships = 0;
	for (postern_u32 number = 1; number < header->applications.end; number++) {
		const struct table_application *record = &entity->applications[number];
		postern_u32 previous = 0;

		if (table_find_application(entity, record->id) != number)
			continue;
		if (applications[number].records != record->records || applications[number].live != record->live ||
		    applications[number].processes != record->processes)
			return 42;
		for (postern_u32 next = record->memberships; next; next = entity->memberships[next].next_of_application) {
			if (entity->memberships[next].previous_of_application != previous)
				return 43;
			previous = next;
			memberships++;
		}
	}
	return memberships != header->memberships.used ? 44 : 0;
}

static int validate(const struct postern_entity *entity, postern_u32 *limit_references, postern_u32 *process_records,
		    struct seen *applications)
{
	const struct table_header *header = entity->header;
	struct seen seen = { 0 };
	int error;

	for (postern_u32 slot = 1; slot < header->associations.end; slot++) {
		if (entity->records[slot].state == POSTERN_STATE_FREE)
			continue;
		seen.records++;
		seen.live += entity->records[slot].state == POSTERN_STATE_LIVE;
		error = validate_record(entity, slot, limit_references);
		if (error)
			return error;
	}
	if (seen.records != header->associations.used || seen.live != header->live)
		return 1;
	if (table_index_count(entity, &header->association_index) != header->associations.used ||
	    header->association_index.used != header->associations.used)
		return 2;
	if (table_index_count(entity, &header->process_index) != header->processes.used)
		return 3;
	if (table_index_count(entity, &header->application_index) != header->applications.used)
		return 4;
	for (postern_u32 index = 1; index < header->limits.end; index++)
		if (entity->limits[index].references < limit_references[index])
			return 5;
	seen = (struct seen){ 0 };
	for (postern_u32 id = 0; id < header->object_capacity && seen.records < header->associations.used; id++) {
		error = validate_object(entity, &entity->objects[id]);
		if (error)
			return error;
		seen.records += entity->objects[id].records;
	}
	return validate_lists(entity, process_records, applications);
}

int postern_entity_validate(const struct postern_entity *entity)
{
	const struct table_header *header = entity->header;
	postern_u32 *limit_references = calloc(header->limits.end + 1ull, sizeof(*limit_references));
	postern_u32 *process_records = calloc(header->processes.end + 1ull, sizeof(*process_records));
	struct seen *applications = calloc(header->applications.end + 1ull, sizeof(*applications));
	int result = -1;

	if (limit_references && process_records && applications)
		result = validate(entity, limit_references, process_records, applications);
	free(limit_references);
	free(process_records);
	free(applications);
	return result;
}
