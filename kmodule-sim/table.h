/* SPDX-License-Identifier: Apache-2.0 */
/* Layout of the association table; private to kmodule-sim. ARCHITECTURE.md says why it looks like this. */
#ifndef POSTERN_TABLE_H
#define POSTERN_TABLE_H

#include <stddef.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "postern_entity.h"

#define TABLE_MAGIC 0x4e52455453504e00ull
#define TABLE_VERSION 1u
#define TABLE_SLOT_BITS 24
#ifndef TABLE_OVERLAP_BUCKETS
#define TABLE_OVERLAP_BUCKETS 256
#endif

/* One cache line of an index: number 0 is an empty place. */
#define TABLE_PLACES 8u
struct table_line {
	postern_u32 hashes[TABLE_PLACES];
	postern_u32 numbers[TABLE_PLACES];
} __attribute__((aligned(64)));

/*
 * An open-addressed hash: home line by the hash's top bits, linear probing from
 * its first place, deletion by shifting back. At most half full, so that nearly
 * every search ends in its home line, whose eight hashes are compared without a
 * branch. It doubles into the other of two reserved regions, so that its memory
 * follows its content.
 */
struct table_index {
	postern_u64 offset[2]; /* of the regions */
	postern_u32 region;
	postern_u32 bits; /* log2 of its places */
	postern_u32 used;
	postern_u32 max_bits;
};

/* Records of one size: numbered from 1, taken from a free list or from the untouched end. */
struct table_pool {
	postern_u64 offset;
	postern_u32 capacity;
	postern_u32 end; /* first number never used */
	postern_u32 free;
	postern_u32 used;
};

struct table_header {
	postern_u64 magic;
	postern_u32 version;
	postern_u32 abi_version;
	postern_u64 size;
	postern_u64 seed[2];
	postern_u64 changes;
	postern_u64 objects; /* offset */
	postern_u64 links;   /* offset */
	postern_u32 object_capacity;
	postern_u32 live;
	struct table_pool associations;
	struct table_pool processes;
	struct table_pool applications;
	struct table_pool memberships;
	struct table_pool limits;
	struct table_index association_index;
	struct table_index process_index;
	struct table_index application_index;
	postern_u32 overlaps[TABLE_OVERLAP_BUCKETS]; /* objects by footprint */
};

/* What only changes touch, apart from the record that checks touch. */
struct table_link {
	postern_u32 next_in_membership;
	postern_u32 previous_in_membership;
	postern_u32 next_of_object;
	postern_u32 previous_of_object;
	postern_u64 ancestor;
};

struct table_process {
	struct postern_process process;
	postern_u32 memberships;
	postern_u32 records;
	postern_u32 next_free;
	postern_u32 reserved;
};

struct table_application {
	postern_u32 id;
	postern_u32 memberships;
	postern_u32 processes; /* memberships with a live association */
	postern_u32 live;
	postern_u32 records;
	postern_u32 next_free;
	postern_u32 reserved[2];
};

/* A process's associations for one application: what quotas count, and both drop lists at once. */
struct table_membership {
	postern_u32 process;
	postern_u32 application;
	postern_u32 first;
	postern_u32 live;
	postern_u32 records;
	postern_u32 next_of_process;
	postern_u32 next_of_application;
	postern_u32 previous_of_application; /* next_free while unused */
};

struct table_limits {
	struct postern_limits limits;
	postern_u32 references;
	postern_u32 next_free;
} __attribute__((aligned(64)));

/* The owner's view: addresses of this mapping. Entries move when an index grows. */
struct postern_entity {
	struct table_header *header;
	struct postern_object *objects;
	struct postern_association *records;
	struct table_link *links;
	struct table_process *processes;
	struct table_application *applications;
	struct table_membership *memberships;
	struct table_limits *limits;
	struct table_line *association_lines;
	unsigned int association_bits;
	int descriptor;
	size_t size;
};

static inline void *table_at(const struct postern_entity *entity, postern_u64 offset)
{
	return (char *)entity->header + offset;
}

static inline postern_u32 table_fold(postern_u64 left, postern_u64 right)
{
	unsigned __int128 product = (unsigned __int128)left * right;
	postern_u64 folded = (postern_u64)product ^ (postern_u64)(product >> 64);

	folded *= 0x9e3779b97f4a7c15ull;
	return (postern_u32)(folded >> 32);
}

/* Seeded, so that nobody can choose pids that collide. */
static inline postern_u32 table_hash(const struct table_header *header, postern_u32 object,
				     const struct postern_process *process)
{
	postern_u64 left = process->start ^ ((postern_u64)process->exec_epoch << 44 | process->exec_epoch >> 20);
	postern_u64 right = (postern_u64)process->tgid << 32 | object;

	return table_fold(left ^ header->seed[0], right ^ header->seed[1]);
}

/* One branch instead of three. */
static inline int table_same_process(const struct postern_process *left, const struct postern_process *right)
{
	return ((left->tgid ^ right->tgid) | (left->exec_epoch ^ right->exec_epoch) | (left->start ^ right->start)) == 0;
}

static inline int table_limits_exist(const struct postern_entity *entity, postern_u32 index)
{
	return index > 0 && index < entity->header->limits.end && entity->limits[index].references > 0;
}

static inline postern_u64 table_id(const struct postern_entity *entity, postern_u32 slot)
{
	return (postern_u64)entity->records[slot].reuse << TABLE_SLOT_BITS | slot;
}

/* Bit N: place N has this hash. */
static inline unsigned int table_matches(const struct table_line *line, postern_u32 hash)
{
#if defined(__SSE2__)
	__m128i wanted = _mm_set1_epi32((int)hash);
	const __m128i *hashes = (const __m128i *)line->hashes;
	__m128i low = _mm_cmpeq_epi32(_mm_load_si128(hashes), wanted);
	__m128i high = _mm_cmpeq_epi32(_mm_load_si128(hashes + 1), wanted);

	return (unsigned int)_mm_movemask_ps(_mm_castsi128_ps(low)) |
	       (unsigned int)_mm_movemask_ps(_mm_castsi128_ps(high)) << 4;
#else
	unsigned int mask = 0;

	for (unsigned int place = 0; place < TABLE_PLACES; place++)
		mask |= (unsigned int)(line->hashes[place] == hash) << place;
	return mask;
#endif
}

/* The number whose record same() recognizes, or 0. Places fill from the front, so a line with an empty last place ends the search. */
static inline __attribute__((always_inline)) postern_u32
table_search(const struct postern_entity *entity, const struct table_line *lines, unsigned int bits, postern_u32 hash,
	     int (*same)(const struct postern_entity *entity, postern_u32 number, const void *key), const void *key)
{
	postern_u32 mask = (1u << (bits - 3)) - 1;

	for (postern_u32 line = hash >> (35 - bits);; line = (line + 1) & mask) {
		for (unsigned int found = table_matches(&lines[line], hash); found; found &= found - 1) {
			postern_u32 number = lines[line].numbers[__builtin_ctz(found)];

			if (number && same(entity, number, key))
				return number;
		}
		if (!lines[line].numbers[TABLE_PLACES - 1])
			return 0;
	}
}

struct table_key {
	const struct postern_process *process;
	postern_u32 object;
};

static inline int table_is_association(const struct postern_entity *entity, postern_u32 number, const void *key)
{
	const struct table_key *wanted = key;
	const struct postern_association *record = &entity->records[number];

	return record->object == wanted->object && table_same_process(&record->process, wanted->process);
}

/* The association of this object and process, in whatever state, or 0. */
static inline postern_u32 table_find(const struct postern_entity *entity, postern_u32 object,
				     const struct postern_process *process)
{
	struct table_key key = { process, object };

	return table_search(entity, entity->association_lines, entity->association_bits,
			    table_hash(entity->header, object, process), table_is_association, &key);
}

static inline struct postern_object *table_object(const struct postern_entity *entity, postern_u32 id)
{
	return id < entity->header->object_capacity ? &entity->objects[id] : NULL;
}

void table_refresh(struct postern_entity *entity);
void table_gather(const struct postern_entity *entity, postern_u64 offset, postern_u64 bytes);

/* table_index.c */
int table_index_reserve(struct postern_entity *entity, struct table_index *index);
void table_index_insert(struct postern_entity *entity, struct table_index *index, postern_u32 hash, postern_u32 number);
void table_index_remove(struct postern_entity *entity, struct table_index *index, postern_u32 hash, postern_u32 number);
postern_u32 table_find_process(const struct postern_entity *entity, const struct postern_process *process);
postern_u32 table_find_application(const struct postern_entity *entity, postern_u32 id);
postern_u32 table_index_count(const struct postern_entity *entity, const struct table_index *index);
postern_u32 table_process_hash(const struct table_header *header, const struct postern_process *process);
postern_u32 table_application_hash(const struct table_header *header, postern_u32 id);

/* table.c; a slot is a record's number. Insert takes a reference on record->limits; 0: the table is full, nothing changed. */
postern_u32 table_insert(struct postern_entity *entity, const struct postern_association *record, postern_u64 ancestor);
void table_set_state(struct postern_entity *entity, postern_u32 slot, enum postern_association_state state);
void table_remove(struct postern_entity *entity, postern_u32 slot);
int table_rename(struct postern_entity *entity, postern_u32 slot, const struct postern_process *process);
void table_release_limits(struct postern_entity *entity, postern_u32 index);
postern_u32 table_overlap_bucket(const struct table_header *header, const struct postern_object *object);

#endif
