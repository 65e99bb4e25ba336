/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "table.h"

static postern_u64 *entries_of(const struct postern_entity *entity, const struct table_index *index)
{
	return table_at(entity, index->offset[index->region]);
}

static void place(postern_u64 *entries, unsigned int bits, postern_u64 entry)
{
	postern_u32 mask = (1u << bits) - 1;
	postern_u32 position = (postern_u32)(entry >> 32) >> (32 - bits);

	while (entries[position])
		position = (position + 1) & mask;
	entries[position] = entry;
}

/* Doubles into the other region, which is all zero, and gives the old one's memory back. */
static void grow(struct postern_entity *entity, struct table_index *index)
{
	postern_u64 *old = entries_of(entity, index);
	postern_u32 old_size = 1u << index->bits;
	postern_u64 *new = table_at(entity, index->offset[!index->region]);

	for (postern_u32 position = 0; position < old_size; position++)
		if (old[position])
			place(new, index->bits + 1, old[position]);
	index->region = !index->region;
	index->bits++;
	/* MADV_REMOVE punches a hole: the region reads as zero again. */
	if (madvise(old, (size_t)old_size * sizeof(*old), MADV_REMOVE) != 0)
		memset(old, 0, (size_t)old_size * sizeof(*old));
	table_refresh(entity);
}

/* Makes room for one more entry at a load of at most 3/4. */
int table_index_reserve(struct postern_entity *entity, struct table_index *index)
{
	if ((postern_u64)(index->used + 1) * 4 <= (3ull << index->bits))
		return 0;
	if (index->bits >= index->max_bits)
		return -ENOSPC;
	grow(entity, index);
	return 0;
}

void table_index_insert(struct postern_entity *entity, struct table_index *index, postern_u32 hash, postern_u32 number)
{
	place(entries_of(entity, index), index->bits, (postern_u64)hash << 32 | number);
	index->used++;
}

/* Knuth 6.4 R: what follows the hole moves back into it where its home allows that, so no search ends too early. */
void table_index_remove(struct postern_entity *entity, struct table_index *index, postern_u32 hash, postern_u32 number)
{
	postern_u64 *entries = entries_of(entity, index);
	postern_u64 wanted = (postern_u64)hash << 32 | number;
	unsigned int shift = 32 - index->bits;
	postern_u32 mask = (1u << index->bits) - 1;
	postern_u32 hole = hash >> shift;
	postern_u32 position;

	while (entries[hole] != wanted) {
		if (!entries[hole])
			return;
		hole = (hole + 1) & mask;
	}
	for (position = (hole + 1) & mask; entries[position]; position = (position + 1) & mask) {
		postern_u32 home = (postern_u32)(entries[position] >> 32) >> shift;

		if (((position - home) & mask) < ((position - hole) & mask))
			continue;
		entries[hole] = entries[position];
		hole = position;
	}
	entries[hole] = 0;
	index->used--;
}

postern_u32 table_process_hash(const struct table_header *header, const struct postern_process *process)
{
	return table_hash(header, 0, process);
}

postern_u32 table_application_hash(const struct table_header *header, postern_u32 id)
{
	return table_fold(header->seed[0], header->seed[1] ^ id);
}

postern_u32 table_find_process(const struct postern_entity *entity, const struct postern_process *process)
{
	const struct table_index *index = &entity->header->process_index;
	const postern_u64 *entries = entries_of(entity, index);
	postern_u32 hash = table_process_hash(entity->header, process);
	postern_u32 mask = (1u << index->bits) - 1;
	postern_u32 position = hash >> (32 - index->bits);

	for (; entries[position]; position = (position + 1) & mask) {
		postern_u32 number = (postern_u32)entries[position];

		if ((postern_u32)(entries[position] >> 32) == hash &&
		    table_same_process(&entity->processes[number].process, process))
			return number;
	}
	return 0;
}

postern_u32 table_find_application(const struct postern_entity *entity, postern_u32 id)
{
	const struct table_index *index = &entity->header->application_index;
	const postern_u64 *entries = entries_of(entity, index);
	postern_u32 hash = table_application_hash(entity->header, id);
	postern_u32 mask = (1u << index->bits) - 1;
	postern_u32 position = hash >> (32 - index->bits);

	for (; entries[position]; position = (position + 1) & mask) {
		postern_u32 number = (postern_u32)entries[position];

		if ((postern_u32)(entries[position] >> 32) == hash && entity->applications[number].id == id)
			return number;
	}
	return 0;
}
