/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "table.h"

static struct table_line *lines_of(const struct postern_entity *entity, const struct table_index *index)
{
	return table_at(entity, index->offset[index->region]);
}

static postern_u32 *number_at(struct table_line *lines, postern_u32 position)
{
	return &lines[position / TABLE_PLACES].numbers[position % TABLE_PLACES];
}

static postern_u32 *hash_at(struct table_line *lines, postern_u32 position)
{
	return &lines[position / TABLE_PLACES].hashes[position % TABLE_PLACES];
}

static postern_u32 home_of(postern_u32 hash, unsigned int bits)
{
	return (hash >> (35 - bits)) * TABLE_PLACES;
}

static void place(struct table_line *lines, unsigned int bits, postern_u32 hash, postern_u32 number)
{
	postern_u32 mask = (1u << bits) - 1;
	postern_u32 position = home_of(hash, bits);

	while (*number_at(lines, position))
		position = (position + 1) & mask;
	*number_at(lines, position) = number;
	*hash_at(lines, position) = hash;
}

/* Doubles into the other region, which is all zero, and gives the old one's memory back. */
static void grow(struct postern_entity *entity, struct table_index *index)
{
	struct table_line *old = lines_of(entity, index);
	postern_u32 old_size = 1u << index->bits;
	struct table_line *new = table_at(entity, index->offset[!index->region]);

	for (postern_u32 position = 0; position < old_size; position++)
		if (*number_at(old, position))
			place(new, index->bits + 1, *hash_at(old, position), *number_at(old, position));
	index->region = !index->region;
	index->bits++;
	/* MADV_REMOVE punches a hole: the region reads as zero again. */
	if (madvise(old, old_size / TABLE_PLACES * sizeof(*old), MADV_REMOVE) != 0)
		memset(old, 0, old_size / TABLE_PLACES * sizeof(*old));
	table_refresh(entity);
	table_gather(entity, index->offset[index->region], sizeof(*new) / TABLE_PLACES << index->bits);
}

/* Makes room for one more entry in an index at most half full. */
int table_index_reserve(struct postern_entity *entity, struct table_index *index)
{
	if ((postern_u64)(index->used + 1) * 2 <= 1ull << index->bits)
		return 0;
	if (index->bits >= index->max_bits)
		return -ENOSPC;
	grow(entity, index);
	return 0;
}

void table_index_insert(struct postern_entity *entity, struct table_index *index, postern_u32 hash, postern_u32 number)
{
	place(lines_of(entity, index), index->bits, hash, number);
	index->used++;
}

/* Knuth 6.4 R: what follows the hole moves back into it where its home allows that, so no search ends too early. */
void table_index_remove(struct postern_entity *entity, struct table_index *index, postern_u32 hash, postern_u32 number)
{
	struct table_line *lines = lines_of(entity, index);
	postern_u32 mask = (1u << index->bits) - 1;
	postern_u32 hole = home_of(hash, index->bits);
	postern_u32 position;

	while (*number_at(lines, hole) != number) {
		if (!*number_at(lines, hole))
			return;
		hole = (hole + 1) & mask;
	}
	for (position = (hole + 1) & mask; *number_at(lines, position); position = (position + 1) & mask) {
		postern_u32 home = home_of(*hash_at(lines, position), index->bits);

		if (((position - home) & mask) < ((position - hole) & mask))
			continue;
		*number_at(lines, hole) = *number_at(lines, position);
		*hash_at(lines, hole) = *hash_at(lines, position);
		hole = position;
	}
	*number_at(lines, hole) = 0;
	*hash_at(lines, hole) = 0;
	index->used--;
}

postern_u32 table_index_count(const struct postern_entity *entity, const struct table_index *index)
{
	struct table_line *lines = lines_of(entity, index);
	postern_u32 count = 0;

	for (postern_u32 position = 0; position < 1u << index->bits; position++)
		count += *number_at(lines, position) != 0;
	return count;
}

postern_u32 table_process_hash(const struct table_header *header, const struct postern_process *process)
{
	return table_hash(header, 0, process);
}

postern_u32 table_application_hash(const struct table_header *header, postern_u32 id)
{
	return table_fold(header->seed[0], header->seed[1] ^ id);
}

static int is_process(const struct postern_entity *entity, postern_u32 number, const void *key)
{
	return table_same_process(&entity->processes[number].process, key);
}

postern_u32 table_find_process(const struct postern_entity *entity, const struct postern_process *process)
{
	const struct table_index *index = &entity->header->process_index;

	return table_search(entity, lines_of(entity, index), index->bits, table_process_hash(entity->header, process),
			    is_process, process);
}

static int is_application(const struct postern_entity *entity, postern_u32 number, const void *key)
{
	return entity->applications[number].id == *(const postern_u32 *)key;
}

postern_u32 table_find_application(const struct postern_entity *entity, postern_u32 id)
{
	const struct table_index *index = &entity->header->application_index;

	return table_search(entity, lines_of(entity, index), index->bits, table_application_hash(entity->header, id),
			    is_application, &id);
}
