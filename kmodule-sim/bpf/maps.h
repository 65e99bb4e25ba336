/* SPDX-License-Identifier: Apache-2.0 */
/* The maps of the path direct. The loader may give other sizes (`struct clinux_direct_sizes`); the broker takes these. */
#ifndef POSTERN_MAPS_H
#define POSTERN_MAPS_H

#include "kernel.h"

#include "../include/postern_abi.h"

/*
 * The functions of these programs that are not static are verified by themselves, once for each program that calls them,
 * and not again for each way that leads to them: it would take seconds otherwise. They have to be told what no caller
 * does, that a pointer is null.
 */
__noinline int direct_is_listed(const struct postern_limits *limits, __u32 opcode,
				const struct postern_operands *operands);

/* Operands of what has none; it is in no list. */
static const struct postern_operands direct_none;

#define POSTERN_IS_LISTED(limits, opcode, operands) \
	((operands) != &direct_none && direct_is_listed(limits, opcode, operands))

#include "../include/postern_direct.h"

__noinline int direct_is_listed(const struct postern_limits *limits, __u32 opcode,
				const struct postern_operands *operands)
{
	return limits && operands && postern_is_listed(limits, opcode, operands);
}

/* Read at fixed addresses, without a look-up, and mapped by the broker. */
struct postern_direct_control control SEC(".data.control") = { .layout = POSTERN_DIRECT_LAYOUT };

/* Objects by number, associations by record number, shared limits by number: what a check reads. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct postern_object);
} objects SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct postern_association);
} records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct postern_limits);
} limits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct postern_direct_application);
} applications SEC(".maps");

/* The record number of an object and process. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct postern_direct_key);
	__type(value, __u32);
} associations SEC(".maps");

/* Associations that a hook has made; the broker moves them to `records`. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct postern_direct_key);
	__type(value, struct postern_association);
} bound SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct postern_direct_lineage);
} lineages SEC(".maps");

/* A TCP connection's socket is a clone of its listener's and gets its tag in the same step. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct postern_tag);
} socket_tags SEC(".maps");

/* Open files, by the address of the kernel's struct file, until the file is freed. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, struct postern_tag);
} file_tags SEC(".maps");

/* The broker's own notes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct postern_direct_name_key);
	__type(value, struct postern_direct_name);
} names SEC(".maps");

/* At a fixed address like `control`: nothing is looked up, and nothing can be missing. */
struct postern_cached_tag cached_tags[POSTERN_CACHED_TAGS] SEC(".data.cached_tags") = { 0 };

static __always_inline struct postern_cached_tag *place_of(__u64 tagged)
{
	__u32 place = (__u32)tagged;

	/* Half of a pointer is a number to the verifier. Fibonacci hashing: the product's upper bits are the place. */
	place *= 0x9e3779b1;
	return (void *)cached_tags + (place >> 15 & (POSTERN_CACHED_TAGS - 1) * sizeof(struct postern_cached_tag));
}

/* Where a tag is kept over calls: on the stack, because a register for it would be saved even where nothing is tagged. */
typedef struct postern_tag *volatile kept_tag;

/* Whether a tag is in its place. */
static __always_inline bool has_place(__u64 tagged, kept_tag *tag)
{
	struct postern_cached_tag *cached = place_of(tagged);

	if (cached->tagged != tagged)
		return false;
	*tag = &cached->tag;
	return true;
}

static __always_inline __u64 *checked_of(struct postern_tag *tag)
{
	struct postern_cached_tag *place = (void *)tag - __builtin_offsetof(struct postern_cached_tag, tag);

	return &place->checked;
}

static __always_inline void cache_tag(__u64 tagged, const struct postern_tag *tag)
{
	struct postern_cached_tag *cached = place_of(tagged);

	if (cached->tagged != tagged && __sync_val_compare_and_swap(&cached->tagged, 0, 1))
		return;
	cached->tag = *tag;
	cached->checked = 0;
	/* Seen only with its tag. */
	__sync_lock_test_and_set(&cached->tagged, tagged);
}

static __always_inline void forget_tag(__u64 tagged)
{
	struct postern_cached_tag *cached = place_of(tagged);

	if (cached->tagged == tagged)
		__sync_lock_test_and_set(&cached->tagged, 0);
}

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, POSTERN_COUNTER_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct postern_direct_question);
} question SEC(".maps");

static __always_inline void count(__u32 counter)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &counter);

	/* Per processor, and a program is not moved while it runs; on one processor it may be preempted by another one. */
	if (value)
		__sync_fetch_and_add(value, 1);
}

#endif
