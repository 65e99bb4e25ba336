/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "entity.h"

static int read_object(const struct postern_entity *entity, struct postern_object_arguments *arguments)
{
	const struct postern_object *object = table_object(entity, arguments->object.id);

	if (!object || !object->present)
		return -ENOENT;
	arguments->object = *object;
	arguments->count = 0;
	return 0;
}

static int read_limits(const struct postern_entity *entity, struct postern_limits_arguments *arguments)
{
	if (!table_limits_exist(entity, arguments->index))
		return -ENOENT;
	arguments->limits = entity->limits[arguments->index].limits;
	arguments->references = entity->limits[arguments->index].references;
	return 0;
}

static int read_record(const struct postern_entity *entity, struct postern_record_arguments *arguments)
{
	postern_u32 slot = table_find(entity, arguments->object, &arguments->process);

	if (!slot)
		return -ENOENT;
	entity_describe(entity, slot, &arguments->association);
	return 0;
}

static int count(const struct postern_entity *entity, struct postern_count_arguments *arguments)
{
	postern_u32 number = table_find_application(entity, arguments->application);

	arguments->processes = number ? entity->applications[number].processes : 0;
	arguments->live = number ? entity->applications[number].live : 0;
	arguments->records = number ? entity->applications[number].records : 0;
	return 0;
}

static postern_u64 touched(const struct table_pool *pool, postern_u64 size)
{
	return pool->end * size;
}

static postern_u64 index_bytes(const struct table_index *index)
{
	return (sizeof(struct table_line) / TABLE_PLACES) << index->bits;
}

static int statistics(const struct postern_entity *entity, struct postern_statistics *out)
{
	const struct table_header *header = entity->header;

	*out = (struct postern_statistics){
		.changes = header->changes,
		.bytes = sizeof(*header) +
			 touched(&header->associations, sizeof(struct postern_association) + sizeof(struct table_link)) +
			 touched(&header->processes, sizeof(struct table_process)) +
			 touched(&header->applications, sizeof(struct table_application)) +
			 touched(&header->memberships, sizeof(struct table_membership)) +
			 touched(&header->limits, sizeof(struct table_limits)) +
			 index_bytes(&header->association_index) + index_bytes(&header->process_index) +
			 index_bytes(&header->application_index),
		.live = header->live,
		.tombstones = header->associations.used - header->live,
		.processes = header->processes.used,
		.applications = header->applications.used,
		.memberships = header->memberships.used,
		.limits = header->limits.used,
		.capacity = header->associations.capacity,
	};
	return 0;
}

int postern_entity_ioctl(struct postern_entity *entity, unsigned int request, void *argument)
{
	if (!argument)
		return -EINVAL;
	switch ((enum postern_entity_request)request) {
	case POSTERN_ENTITY_CHECK:
		return postern_entity_check(entity, argument);
	case POSTERN_ENTITY_ASSOCIATE:
		return entity_establish(entity, argument, POSTERN_REQUEST_OPEN);
	case POSTERN_ENTITY_REVALIDATE:
		return entity_establish(entity, argument, POSTERN_REQUEST_REVALIDATE);
	case POSTERN_ENTITY_ADD_OBJECT:
		return entity_add_object(entity, argument);
	case POSTERN_ENTITY_REPLACE_OBJECT:
		return entity_replace_object(entity, argument);
	case POSTERN_ENTITY_REMOVE_OBJECT:
		return entity_remove_object(entity, argument);
	case POSTERN_ENTITY_OBJECT:
		return read_object(entity, argument);
	case POSTERN_ENTITY_DEFINE_LIMITS:
		return entity_define_limits(entity, argument);
	case POSTERN_ENTITY_RELEASE_LIMITS:
		return entity_release_limits(entity, argument);
	case POSTERN_ENTITY_LIMITS:
		return read_limits(entity, argument);
	case POSTERN_ENTITY_DROP:
		return entity_drop(entity, argument);
	case POSTERN_ENTITY_PARDON:
		return entity_pardon(entity, argument);
	case POSTERN_ENTITY_EXPIRE:
		return entity_expire(entity, argument);
	case POSTERN_ENTITY_EXIT:
		return entity_exit(entity, argument);
	case POSTERN_ENTITY_EXEC:
		return entity_exec(entity, argument);
	case POSTERN_ENTITY_ITERATE:
		return entity_iterate(entity, argument);
	case POSTERN_ENTITY_COUNT:
		return count(entity, argument);
	case POSTERN_ENTITY_STATISTICS:
		return statistics(entity, argument);
	case POSTERN_ENTITY_RECORD:
		return read_record(entity, argument);
	}
	return -EINVAL;
}
