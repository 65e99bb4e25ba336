/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated entity: the association table in a memory file and its entry
 * points, each like an ioctl(2): one request number, one argument struct, 0 or a
 * negative errno. A denial is not an error: it stands in the argument's reason.
 *
 * An entity has one owner at a time, which also keeps calls from overlapping.
 * The mapping holds no pointers, so that its memory file can be handed on and
 * attached elsewhere.
 */
#ifndef POSTERN_ENTITY_H
#define POSTERN_ENTITY_H

#include "postern_abi.h"

struct postern_entity;

/* Capacities; 0 takes the default. Memory is reserved, and used only as records come. */
struct postern_entity_configuration {
	postern_u32 associations; /* default 1,048,575; at most 2^24 - 1; tombstones included */
	postern_u32 processes;	  /* default 65,536 */
	postern_u32 applications; /* default 4,096 */
	postern_u32 objects;	  /* default 1,048,576: object numbers below this */
	postern_u32 limits;	  /* default 65,536 */
};

/* One association or tombstone, copied out. */
struct postern_association_info {
	postern_u64 id;
	postern_u64 ancestor; /* id of the association it was derived from, or 0 */
	struct postern_association record;
};

struct postern_object_arguments {
	struct postern_object object; /* in, add: a generation to begin with, or 0; generation and counts out */
	struct postern_association_info *dropped;
	postern_u32 capacity;
	postern_u32 count; /* how many live associations were dropped; more than capacity with -ENOSPC: nothing was changed */
};

struct postern_limits_arguments {
	struct postern_limits limits;
	postern_u32 index;
	postern_u32 references;
};

/* Open (associate) and revalidate. */
struct postern_associate_arguments {
	struct postern_process process;
	postern_u32 object;
	postern_u32 application;
	postern_u32 failed;	/* POSTERN_LOOKUP_* that the caller's own look-ups add */
	postern_u32 conditions; /* POSTERN_CONDITION_*; the entity clears EXCLUSIVE and QUOTA where its table says so */
	postern_u32 reserved;
	postern_u32 requested; /* open */
	postern_u32 granted;   /* open */
	postern_u32 generation;
	postern_u32 limits; /* open; a reference is added */
	postern_u32 quota;  /* live process resources that the application may have at once */
	postern_u64 now;
	postern_u64 expiry; /* of the new association; a revalidation also ends with its ancestor's */
	postern_u64 forked; /* revalidate */
	struct postern_process ancestor; /* revalidate */
	postern_u8 lineage;		 /* revalidate */
	postern_u8 path;
	postern_u8 on_fork; /* open */
	postern_u8 flags;   /* open: POSTERN_ASSOCIATION_KEEP */
	/* out */
	postern_u32 reason;
	postern_u32 detail;
	postern_u32 existing; /* the process had a live one already, which this answer is about */
	struct postern_association_info association;
};

struct postern_check_arguments {
	struct postern_instruction_abi instruction;
	postern_u64 now;
	postern_u32 failed;
	postern_u32 conditions; /* VISIBLE, or 0 */
	/* out */
	postern_u32 reason;
	postern_u32 generation;
	postern_u64 association; /* the record that decided, also of a refusal; 0: none */
	postern_u64 expiry;
	postern_u64 range_offset;
	postern_u64 range_length;
	postern_u32 has_range;
	postern_u32 reserved;
};

#define POSTERN_SELECT_OBJECT 0x1u
#define POSTERN_SELECT_PROCESS 0x2u
#define POSTERN_SELECT_APPLICATION 0x4u
#define POSTERN_SELECT_ID 0x8u

/* Which associations; all that are selected must agree, none selected is all. */
struct postern_selector {
	postern_u32 fields; /* POSTERN_SELECT_* */
	postern_u32 object;
	postern_u32 application;
	postern_u32 states; /* bit N: enum postern_association_state N; 0: every state */
	postern_u64 id;
	struct postern_process process;
};

/*
 * Drop: live associations and evidence become tombstones of this state; REVOKED
 * also overwrites other tombstones. Pardon: REVOKED tombstones become DROPPED.
 * Expire: every association past its expiry becomes EXPIRED.
 */
struct postern_drop_arguments {
	struct postern_selector selector;
	postern_u32 state;
	postern_u32 reserved;
	postern_u64 now;	 /* expire */
	postern_u64 next_expiry; /* expire, out: the earliest that is left, or 0 */
	struct postern_association_info *dropped; /* those that were live, as they were */
	postern_u32 capacity;
	postern_u32 count; /* as in postern_object_arguments */
};

/* The end of a process, or of its program image (exec). */
struct postern_process_arguments {
	struct postern_process process;
	postern_u32 exec_epoch; /* exec: the new one */
	postern_u32 evidence;	/* keep live records as DEPARTED, revoked ones as they are */
	const postern_u64 *kept; /* exec: associations that stay */
	postern_u32 kept_count;
	postern_u32 capacity;
	struct postern_association_info *dropped;
	postern_u32 count;
	postern_u32 reserved;
};

struct postern_iterate_arguments {
	struct postern_selector selector;
	struct postern_association_info *out;
	postern_u32 capacity;
	postern_u32 count;
	postern_u32 cursor; /* in: 0 to begin; out: where to go on, 0 at the end */
	postern_u32 reserved;
};

/* One record by its key. */
struct postern_record_arguments {
	struct postern_process process;
	postern_u32 object;
	postern_u32 reserved;
	struct postern_association_info association;
};

struct postern_count_arguments {
	postern_u32 application;
	postern_u32 processes; /* process resources with at least one live association */
	postern_u32 live;
	postern_u32 records;
};

struct postern_statistics {
	postern_u64 changes; /* grows whenever a positive verdict given before may no longer stand */
	postern_u64 bytes;   /* of memory in use by records, links and indexes */
	postern_u32 live;
	postern_u32 tombstones;
	postern_u32 processes;
	postern_u32 applications;
	postern_u32 memberships;
	postern_u32 limits;
	postern_u32 capacity;
	postern_u32 reserved;
};

enum postern_entity_request {
	POSTERN_ENTITY_CHECK = 1,	    /* postern_check_arguments */
	POSTERN_ENTITY_ASSOCIATE = 2,	    /* postern_associate_arguments */
	POSTERN_ENTITY_REVALIDATE = 3,	    /* postern_associate_arguments */
	POSTERN_ENTITY_ADD_OBJECT = 4,	    /* postern_object_arguments */
	POSTERN_ENTITY_REPLACE_OBJECT = 5,  /* postern_object_arguments */
	POSTERN_ENTITY_REMOVE_OBJECT = 6,   /* postern_object_arguments */
	POSTERN_ENTITY_OBJECT = 7,	    /* postern_object_arguments */
	POSTERN_ENTITY_DEFINE_LIMITS = 8,   /* postern_limits_arguments */
	POSTERN_ENTITY_RELEASE_LIMITS = 9,  /* postern_limits_arguments */
	POSTERN_ENTITY_LIMITS = 10,	    /* postern_limits_arguments */
	POSTERN_ENTITY_DROP = 11,	    /* postern_drop_arguments */
	POSTERN_ENTITY_PARDON = 12,	    /* postern_drop_arguments */
	POSTERN_ENTITY_EXPIRE = 13,	    /* postern_drop_arguments */
	POSTERN_ENTITY_EXIT = 14,	    /* postern_process_arguments */
	POSTERN_ENTITY_EXEC = 15,	    /* postern_process_arguments */
	POSTERN_ENTITY_ITERATE = 16,	    /* postern_iterate_arguments */
	POSTERN_ENTITY_COUNT = 17,	    /* postern_count_arguments */
	POSTERN_ENTITY_STATISTICS = 18,	    /* postern_statistics */
	POSTERN_ENTITY_RECORD = 19,	    /* postern_record_arguments */
};

/* A new, empty table in a sealed memory file. */
int postern_entity_create(const struct postern_entity_configuration *configuration, struct postern_entity **out);
/* The table of another process's memory file; duplicates descriptor. -EINVAL: not a table of this version. */
int postern_entity_attach(int descriptor, struct postern_entity **out);
void postern_entity_destroy(struct postern_entity *entity);
/* The memory file, owned by the entity. */
int postern_entity_descriptor(const struct postern_entity *entity);

/* -EINVAL: malformed argument; -ENOENT: no such object, limits or process; -ENOSPC: table or dropped list full; -EEXIST. */
int postern_entity_ioctl(struct postern_entity *entity, unsigned int request, void *argument);

int postern_entity_check(struct postern_entity *entity, struct postern_check_arguments *arguments);

/* 0, or a number that says which invariant of the table does not hold. For tests. */
int postern_entity_validate(const struct postern_entity *entity);

POSTERN_ASSERT_SIZE(struct postern_association_info, 80);

#endif
