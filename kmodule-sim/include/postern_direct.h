/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the LSM programs of the path direct and the broker share: the layouts of the maps.
 *
 * The kernel checks each operation against `records`, which holds the associations of this path as the table has them:
 * with processes named as the kernel names them (start in boottime nanoseconds, exec_epoch the task's self_exec_id).
 * Who changes a layout raises POSTERN_DIRECT_LAYOUT: a broker refuses to take over maps of another one.
 */
#ifndef POSTERN_DIRECT_H
#define POSTERN_DIRECT_H

#include "postern_check.h"

#ifndef POSTERN_DIRECT_LAYOUT
#define POSTERN_DIRECT_LAYOUT 3u
#endif

/* Commands that mean something to the programs only, and only from the broker; the answer is POSTERN_DIRECT_DONE. */
#define POSTERN_DIRECT_CLAIM 0x50535443	     /* bpf(2) command: become the broker, where none lives */
#define POSTERN_DIRECT_TAG 0x50535454u	     /* ioctl(2) request: control.pending becomes the file's or socket's tag */
#define POSTERN_DIRECT_DONE 114		     /* EALREADY: no kernel answers these calls so */

#define POSTERN_DIRECT_ANCESTORS 8
#define POSTERN_DIRECT_FILTER_WORDS 16
#define POSTERN_DIRECT_GUARDED 64

/* Flags of an association that only this path knows, above those of postern_abi.h. */
#define POSTERN_ASSOCIATION_MMAP 0x4u	     /* mmap: true */
#define POSTERN_ASSOCIATION_TRACEABLE 0x8u   /* the application is traceable */
#define POSTERN_ASSOCIATION_FIRST_USE 0x10u  /* audit: first-use; cleared by the first */
#define POSTERN_ASSOCIATION_ALL_USES 0x20u   /* audit: all */
#define POSTERN_ASSOCIATION_RECALLS 0x40u    /* accepted: recall; for the broker, which tags */
#define POSTERN_ASSOCIATION_LENT 0x80u	     /* the broker has the socket open, too; for the broker after this one */

struct postern_direct_key {
	struct postern_process process;
	postern_u32 object;
	postern_u32 reserved;
};

#define POSTERN_TAG_RECALL_ACCEPTED 0x1u /* accepted: recall */
#define POSTERN_TAG_OWN 0x2u		  /* a socket of the program's own, which nobody else was lent (postern run) */

/* What makes a socket or an open file a privileged object. */
struct postern_tag {
	postern_u32 object;
	postern_u32 owner; /* a number in `records` that is tried first; 0: none */
	postern_u64 self;  /* the socket that was tagged; another one is a connection that it accepted */
	postern_u32 flags; /* POSTERN_TAG_* */
	postern_u32 reserved;
};

/*
 * Tags of files and sockets whose places were free when they were tagged, found without a search. A place is not taken
 * from one before that is freed, so that what an operation reads there is its own. The programs' own.
 */
struct postern_cached_tag {
	postern_u64 tagged; /* the address of the kernel's struct file or sock; 1: being filled */
	struct postern_tag tag;
	postern_u64 checked; /* the jiffy during which the owner's expiry need not be looked at again */
	postern_u64 reserved[3];
};

#define POSTERN_CACHED_TAGS 2048

/* No reason has this number. */
#define POSTERN_TOLD_LOST_OTHERS 15u

/* One word of memory that the broker and the programs share. */
struct postern_direct_control {
	postern_u32 layout;
	postern_u32 alive; /* 1: the broker lives; the programs clear it when it has ended */
	struct postern_process broker;
	/* Whose children take rings from holders (the path ring); start 0: nobody. The programs clear it when the broker has ended. */
	struct postern_process hands;
	struct postern_tag pending;
	/* The folder of the pins, which nobody else may change. */
	postern_u64 pins_inode;
	postern_u32 pins_device;
	postern_u32 guarded_maps_count;
	postern_u32 guarded_programs_count;
	postern_u32 types; /* a bit for each type of file (inode(7)) of which any was tagged; the programs' own */
	postern_u32 guarded_maps[POSTERN_DIRECT_GUARDED];     /* ids */
	postern_u32 guarded_programs[POSTERN_DIRECT_GUARDED]; /* ids */
	postern_u64 program_digest; /* of the file that the programs were loaded from */
	/*
	 * By reason: refusals that were not described, as the journal has them; under POSTERN_TOLD_LOST_OTHERS everything
	 * else. The broker's own.
	 */
	postern_u64 told_lost[16];
	/* A bit for each tagged open file's device or inode number, folded; a bit that is not set is no object. */
	postern_u64 filter[POSTERN_DIRECT_FILTER_WORDS];
};

#define POSTERN_LINEAGE_HOLDS 0x1u /* it has or had an association of this path under `exec_epoch` */
#define POSTERN_LINEAGE_KEPT 0x2u  /* `previous` is what it was before its last exec */
#define POSTERN_LINEAGE_TRACEABLE 0x4u /* the application is traceable */
#define POSTERN_LINEAGE_HAND 0x8u /* it holds rings for a broker, or forks who does: nobody traces it */

/*
 * Whom a process descends from, in its leader's task storage. It speaks only while exec_epoch is the leader's: what a
 * program was before an exec is nothing to the next one.
 */
struct postern_direct_lineage {
	postern_u32 exec_epoch;
	postern_u32 flags; /* POSTERN_LINEAGE_* */
	postern_u32 count;
	postern_u32 reserved;
	struct postern_process previous;
	/* Holders, nearest first; forked: boottime ns by which the line had been forked off. */
	struct {
		struct postern_process process;
		postern_u64 forked;
	} ancestors[POSTERN_DIRECT_ANCESTORS];
};

/* What an application's processes have to go on being through an exec, for on-exec: keep. */
struct postern_direct_application {
	postern_u64 executable_inode;
	postern_u32 executable_device; /* as the kernel numbers it: major << 20 | minor */
	postern_u32 has_executable;
};

#define POSTERN_NAME_OBJECT 1u
#define POSTERN_NAME_APPLICATION 2u
#define POSTERN_NAME_GRANT 3u /* number: application << 32 | object; no text */

/* What a number means, for the broker after this one; the programs do not read it. */
struct postern_direct_name_key {
	postern_u32 kind; /* POSTERN_NAME_* */
	postern_u32 reserved;
	postern_u64 number;
};

struct postern_direct_name {
	postern_u64 digest; /* of what the policy says of it: another one is another object, application or grant */
	char text[128];
};

enum postern_direct_event_kind {
	POSTERN_EVENT_REFUSED = 1,
	POSTERN_EVENT_USED = 2,
	POSTERN_EVENT_BOUND = 3,    /* an association was made: on-fork: inherit, or on-exec: keep */
	POSTERN_EVENT_RECEIVED = 4, /* a process without an association received the descriptor */
	POSTERN_EVENT_GUARDED = 5,  /* somebody wanted one of the broker's own things */
};

/* Through which hook: the journal says so. */
enum postern_direct_door {
	POSTERN_DOOR_NONE = 0,
	POSTERN_DOOR_READ = 1,
	POSTERN_DOOR_WRITE = 2,
	POSTERN_DOOR_IOCTL = 3,
	POSTERN_DOOR_MMAP = 4,
	POSTERN_DOOR_URING_COMMAND = 5,
	POSTERN_DOOR_RECEIVE_DESCRIPTOR = 6,
	POSTERN_DOOR_SEND = 7,
	POSTERN_DOOR_RECEIVE = 8,
	POSTERN_DOOR_ACCEPT = 9,
	POSTERN_DOOR_CONNECT = 10,
	POSTERN_DOOR_BIND = 11,
	POSTERN_DOOR_LISTEN = 12,
	POSTERN_DOOR_GETOPTION = 13,
	POSTERN_DOOR_SETOPTION = 14,
	POSTERN_DOOR_SHUTDOWN = 15,
	POSTERN_DOOR_NAME = 16,
	POSTERN_DOOR_MAP = 17,
	POSTERN_DOOR_PROGRAM = 18,
	POSTERN_DOOR_LINK = 19,
	POSTERN_DOOR_PIN = 20,
	POSTERN_DOOR_TRACE = 21,
	POSTERN_DOOR_COUNT = 22,
};

struct postern_direct_event {
	postern_u64 time; /* boottime ns */
	postern_u32 kind; /* enum postern_direct_event_kind */
	postern_u32 reason;
	postern_u32 opcode;
	postern_u32 object;
	postern_u32 door;
	postern_u32 thread;
	struct postern_process process;
	/* Bound: whose association it derives from. */
	struct postern_process ancestor;
	postern_u32 uid;
	postern_u32 generation;
	postern_u64 executable_inode;
	postern_u32 executable_device; /* as the kernel numbers it */
	postern_u32 reserved;
	struct postern_operands operands;
	char command[16];
};

/* Per-processor counters: one for each reason, by its number, and these. */
#define POSTERN_COUNTER_USED 16u
#define POSTERN_COUNTER_BOUND 17u
#define POSTERN_COUNTER_RECEIVED 18u
#define POSTERN_COUNTER_GUARDED 19u
#define POSTERN_COUNTER_LOST_REFUSALS 20u /* counted by reason, and not described */
#define POSTERN_COUNTER_LOST_OTHERS 21u
#define POSTERN_COUNTER_LOST_BY_REASON 24u   /* and the reason: the same, one by one */
#define POSTERN_COUNTER_COUNT 40u

/* For a test of the maps' contents without a process: the check that a hook would make (direct_check). */
struct postern_direct_question {
	struct postern_process process;
	postern_u32 object;
	postern_u32 opcode;
	struct postern_operands operands;
	postern_u64 now;
	postern_u32 reason; /* out */
	postern_u32 inherits; /* 1: whether who descends from `process`, forked off by `now`, may inherit its association */
};

/*
 * The verdicts that the broker keeps with a record, in the place of `membership`, which is the table's own: bit N is set
 * where opcode N is granted without operands, as long as the record has not expired. They are the decision function's, asked
 * whenever the record, its object or its limits change; without a bit the programs ask it themselves.
 */
POSTERN_INLINE postern_u32 postern_kept_verdicts(const struct postern_association *record)
{
	return record->membership;
}

POSTERN_INLINE postern_u32 postern_verdicts_to_keep(const struct postern_object *object,
						    const struct postern_association *record,
						    const struct postern_limits *limits)
{
	static const struct postern_operands none;
	struct postern_facts facts = {
		.request = POSTERN_REQUEST_INSTRUCTION,
		.issuer = POSTERN_ISSUER_PROCESS,
		.conditions = POSTERN_CONDITION_VISIBLE,
		.operands = &none,
		.object = object,
		.association = record,
		.limits = limits,
	};
	postern_u32 verdicts = 0;

	/* Every use is to be told. */
	if (record->flags & (POSTERN_ASSOCIATION_FIRST_USE | POSTERN_ASSOCIATION_ALL_USES))
		return 0;
	for (facts.opcode = 0; facts.opcode < POSTERN_OP_COUNT; facts.opcode++)
		if (postern_decide(&facts) == POSTERN_REASON_GRANTED)
			verdicts |= 1u << facts.opcode;
	return verdicts;
}

/* errno(3) of a reason: what a system call fails with. The table of DESIGN's reasons, as asm-generic numbers it. */
POSTERN_INLINE int postern_reason_errno(postern_u32 reason)
{
	switch (reason) {
	case POSTERN_REASON_GRANTED:
		return 0;
	case POSTERN_REASON_NO_SUCH_OBJECT:
		return 2; /* ENOENT */
	case POSTERN_REASON_STALE:
		return 116; /* ESTALE */
	case POSTERN_REASON_REVOKED:
		return 128; /* EKEYREVOKED */
	case POSTERN_REASON_NOT_ASSOCIATED:
	case POSTERN_REASON_EXPIRED:
		return 127; /* EKEYEXPIRED */
	case POSTERN_REASON_LIMIT:
		return 1; /* EPERM */
	case POSTERN_REASON_BUSY:
		return 16; /* EBUSY */
	case POSTERN_REASON_QUOTA:
		return 122; /* EDQUOT */
	case POSTERN_REASON_REFUSED:
		return 129; /* EKEYREJECTED */
	default:
		return 13; /* EACCES */
	}
}

/* The bit of control.filter for a device or inode number. */
POSTERN_INLINE postern_u32 postern_filter_bit(postern_u64 number)
{
	return (postern_u32)(number ^ number >> 10 ^ number >> 20) % (64u * POSTERN_DIRECT_FILTER_WORDS);
}

POSTERN_ASSERT_SIZE(struct postern_direct_key, 24);
POSTERN_ASSERT_SIZE(struct postern_tag, 24);
POSTERN_ASSERT_SIZE(struct postern_cached_tag, 64);
POSTERN_ASSERT_SIZE(struct postern_direct_lineage, 32 + 24 * POSTERN_DIRECT_ANCESTORS);
POSTERN_ASSERT_SIZE(struct postern_direct_event, 144);
POSTERN_ASSERT_SIZE(struct postern_direct_question, 80);

#endif
