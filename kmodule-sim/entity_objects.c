/* SPDX-License-Identifier: Apache-2.0 */
/* Entry points that define objects and limits, and end what depends on them. */
#include <errno.h>

#include "entity.h"

static int valid_object(const struct postern_entity *entity, const struct postern_object *object)
{
	return object->id < entity->header->object_capacity && object->kind >= POSTERN_KIND_SOCKET &&
	       object->kind <= POSTERN_KIND_BUS;
}

static void link_overlap(struct postern_entity *entity, struct postern_object *object)
{
	postern_u32 *head = &entity->header->overlaps[table_overlap_bucket(entity->header, object)];

	if (!(object->flags & POSTERN_OBJECT_FOOTPRINT))
		return;
	object->next_overlap = *head;
	*head = object->id + 1;
}

static void unlink_overlap(struct postern_entity *entity, struct postern_object *object)
{
	postern_u32 *next = &entity->header->overlaps[table_overlap_bucket(entity->header, object)];

	if (!(object->flags & POSTERN_OBJECT_FOOTPRINT))
		return;
	while (*next != object->id + 1)
		next = &entity->objects[*next - 1].next_overlap;
	*next = object->next_overlap;
	object->next_overlap = 0;
}

static void describe_object(struct postern_object *object, const struct postern_object *from)
{
	object->id = from->id;
	object->operations = from->operations;
	object->kind = from->kind;
	object->exclusive = from->exclusive;
	object->flags = from->flags & POSTERN_OBJECT_FOOTPRINT;
	object->device = from->device;
	object->inode = from->inode;
	object->range_offset = from->range_offset;
	object->range_length = from->range_length;
}

int entity_add_object(struct postern_entity *entity, struct postern_object_arguments *arguments)
{
	struct postern_object *object;

	if (!valid_object(entity, &arguments->object))
		return -EINVAL;
	object = &entity->objects[arguments->object.id];
	if (object->present)
		return -EEXIST;
	describe_object(object, &arguments->object);
	object->present = 1;
	/* The caller may know of generations that were before this table. */
	object->generation = arguments->object.generation > object->generation ? arguments->object.generation :
										  object->generation + 1;
	link_overlap(entity, object);
	arguments->object = *object;
	arguments->count = 0;
	return 0;
}

static int end_object(struct postern_entity *entity, struct postern_object_arguments *arguments,
		      enum postern_association_state state)
{
	struct postern_drop_arguments drop = {
		.selector = { .fields = POSTERN_SELECT_OBJECT, .object = arguments->object.id },
		.state = state,
		.dropped = arguments->dropped,
		.capacity = arguments->capacity,
	};
	int error = entity_drop(entity, &drop);

	arguments->count = drop.count;
	if (!error)
		unlink_overlap(entity, &entity->objects[arguments->object.id]);
	return error;
}

int entity_replace_object(struct postern_entity *entity, struct postern_object_arguments *arguments)
{
	struct postern_object *object = table_object(entity, arguments->object.id);
	int error;

	if (!valid_object(entity, &arguments->object))
		return -EINVAL;
	if (!object->present)
		return -ENOENT;
	error = end_object(entity, arguments, POSTERN_STATE_STALE);
	if (error)
		return error;
	describe_object(object, &arguments->object);
	object->generation++;
	link_overlap(entity, object);
	entity->header->changes++;
	arguments->object = *object;
	return 0;
}

int entity_remove_object(struct postern_entity *entity, struct postern_object_arguments *arguments)
{
	struct postern_object *object = table_object(entity, arguments->object.id);
	int error;

	if (!object || !object->present)
		return -ENOENT;
	error = end_object(entity, arguments, POSTERN_STATE_DROPPED);
	if (error)
		return error;
	object->present = 0;
	object->flags = 0;
	entity->header->changes++;
	arguments->object = *object;
	return 0;
}

int entity_define_limits(struct postern_entity *entity, struct postern_limits_arguments *arguments)
{
	struct table_pool *pool = &entity->header->limits;
	const struct postern_limits *limits = &arguments->limits;
	postern_u32 index = pool->free;

	if (limits->address_count > POSTERN_MAX_ADDRESSES || limits->control_count > POSTERN_MAX_CONTROLS ||
	    limits->option_count > POSTERN_MAX_OPTIONS)
		return -EINVAL;
	if (index)
		pool->free = entity->limits[index].next_free;
	else if (pool->end <= pool->capacity)
		index = pool->end++;
	else
		return -ENOSPC;
	pool->used++;
	entity->limits[index].limits = *limits;
	entity->limits[index].references = 1;
	entity->limits[index].next_free = 0;
	arguments->index = index;
	arguments->references = 1;
	return 0;
}

int entity_release_limits(struct postern_entity *entity, struct postern_limits_arguments *arguments)
{
	if (!table_limits_exist(entity, arguments->index))
		return -ENOENT;
	table_release_limits(entity, arguments->index);
	arguments->references = entity->limits[arguments->index].references;
	return 0;
}
