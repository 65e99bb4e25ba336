/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words and record layouts shared by every entity (simulated, BPF) and the broker.
 *
 * Freestanding: compiled natively, for the bpf target, and imported by Swift.
 * Numbers here are wire and storage format: append, never renumber.
 */
#ifndef POSTERN_ABI_H
#define POSTERN_ABI_H

#if defined(__bpf__)
typedef unsigned char postern_u8;
typedef unsigned short postern_u16;
typedef unsigned int postern_u32;
typedef unsigned long long postern_u64;
#else
#include <stdint.h>
typedef uint8_t postern_u8;
typedef uint16_t postern_u16;
typedef uint32_t postern_u32;
typedef uint64_t postern_u64;
#endif

#define POSTERN_ABI_VERSION 1u

/* Operations a process resource may issue; bit N of an operation mask is opcode N. */
enum postern_opcode {
	POSTERN_OP_READ = 0,
	POSTERN_OP_WRITE = 1,
	POSTERN_OP_FLUSH = 2,
	POSTERN_OP_DISCARD = 3,
	POSTERN_OP_INFO = 4,
	POSTERN_OP_BIND = 5,
	POSTERN_OP_LISTEN = 6,
	POSTERN_OP_ACCEPT = 7,
	POSTERN_OP_CONNECT = 8,
	POSTERN_OP_SEND = 9,
	POSTERN_OP_RECEIVE = 10,
	POSTERN_OP_SHUTDOWN = 11,
	POSTERN_OP_GETOPTION = 12,
	POSTERN_OP_SETOPTION = 13,
	POSTERN_OP_TRANSFER = 14,
	POSTERN_OP_CONTROL = 15,
	POSTERN_OP_WAIT = 16,
	POSTERN_OP_COUNT = 17,
};

/*
 * Verdicts. 0 executes; the others are ordered: where several apply, the lowest
 * non-zero number is the one that is told.
 */
enum postern_reason {
	POSTERN_REASON_GRANTED = 0,
	POSTERN_REASON_UNDECIDABLE = 1,	   /* EACCES: a look-up failed */
	POSTERN_REASON_NO_SUCH_OBJECT = 2, /* ENOENT */
	POSTERN_REASON_STALE = 3,	   /* ESTALE: the object was replaced */
	POSTERN_REASON_REVOKED = 4,	   /* EKEYREVOKED */
	POSTERN_REASON_NOT_ASSOCIATED = 5, /* EKEYEXPIRED: first error */
	POSTERN_REASON_EXPIRED = 6,	   /* EKEYEXPIRED: first error */
	POSTERN_REASON_OPERATION = 7,	   /* EACCES */
	POSTERN_REASON_LIMIT = 8,	   /* EPERM */
	POSTERN_REASON_BUSY = 9,	   /* EBUSY */
	POSTERN_REASON_QUOTA = 10,	   /* EDQUOT */
	POSTERN_REASON_REFUSED = 11,	   /* EKEYREJECTED: second error */
	POSTERN_REASON_COUNT = 12,
};

enum postern_issuer {
	/* 0 is nobody, so that an instruction which nobody filled in is undecidable. */
	POSTERN_ISSUER_NONE = 0,
	POSTERN_ISSUER_PROCESS = 1,
	POSTERN_ISSUER_KERNEL = 2,
};

enum postern_path {
	POSTERN_PATH_MEDIATED = 0,
	POSTERN_PATH_RING = 1,
	POSTERN_PATH_DIRECT = 2,
	POSTERN_PATH_HANDOVER = 3,
};

/*
 * An association is live or a tombstone. A tombstone says what a process whose
 * association is gone is to be told, until the process ends. DEPARTED is the
 * record of a holder that has ended while children hold its channel: it proves
 * descent, it never authorizes.
 */
enum postern_association_state {
	POSTERN_STATE_FREE = 0,
	POSTERN_STATE_LIVE = 1,
	POSTERN_STATE_REVOKED = 2,
	POSTERN_STATE_EXPIRED = 3,
	POSTERN_STATE_STALE = 4,
	POSTERN_STATE_DROPPED = 5, /* reload or runtime grant ended: told not-associated */
	POSTERN_STATE_DEPARTED = 6,
};

enum postern_on_fork {
	POSTERN_ON_FORK_REVALIDATE = 0,
	POSTERN_ON_FORK_INHERIT = 1,
	POSTERN_ON_FORK_DENY = 2,
};

/*
 * A process resource. start is the process's start time in clock ticks since
 * boot (proc(5), stat field 22) or boottime nanoseconds for the BPF entity: an
 * entity compares it, it never interprets it. exec_epoch changes at each exec.
 */
struct postern_process {
	postern_u32 tgid;
	postern_u32 exec_epoch;
	postern_u64 start;
};

/* Which limits of struct postern_limits are in force. A kind of limit that an opcode needs and that is absent denies. */
#define POSTERN_LIMIT_RANGE 0x1u     /* range_length bounds write, discard and pci/disk offsets */
#define POSTERN_LIMIT_LENGTH 0x2u    /* max_length bounds the byte count of one operation */
#define POSTERN_LIMIT_CONNECT 0x4u   /* connect addresses are listed */
#define POSTERN_LIMIT_SEND 0x8u	     /* send addresses are listed */
#define POSTERN_LIMIT_OPTIONS 0x10u  /* setoption (level,name) pairs are listed */
#define POSTERN_LIMIT_CONTROL 0x20u  /* control request numbers are listed */

#define POSTERN_MAX_ADDRESSES 16
#define POSTERN_MAX_CONTROLS 32
#define POSTERN_MAX_OPTIONS 16

#define POSTERN_ADDRESS_CONNECT 0x1u
#define POSTERN_ADDRESS_SEND 0x2u

/* One allowed destination. family is AF_INET or AF_INET6; address in network order, IPv4 in the first 4 bytes. Ports in host order, inclusive. */
struct postern_address_limit {
	postern_u8 uses; /* POSTERN_ADDRESS_* */
	postern_u8 family;
	postern_u8 prefix_length;
	postern_u8 reserved;
	postern_u16 port_first;
	postern_u16 port_last;
	postern_u8 address[16];
};

struct postern_limits {
	postern_u32 flags; /* POSTERN_LIMIT_* */
	postern_u32 max_length;
	postern_u64 range_offset; /* of the embodiment, for the one who performs; never compared with operands */
	postern_u64 range_length;
	postern_u32 address_count;
	postern_u32 control_count;
	postern_u32 option_count;
	postern_u32 reserved;
	struct postern_address_limit addresses[POSTERN_MAX_ADDRESSES];
	postern_u32 controls[POSTERN_MAX_CONTROLS];
	postern_u32 options[POSTERN_MAX_OPTIONS]; /* level << 16 | name */
};

/* Operands of one semi-privileged instruction, as far as a limit can speak of them. Offsets are relative to the object's range. */
struct postern_operands {
	postern_u64 offset;
	postern_u64 length;
	postern_u32 request;	 /* control: request number; setoption: level << 16 | name */
	postern_u8 family;	 /* connect, send with address: AF_*; 0 = no address given */
	postern_u8 reserved0;
	postern_u16 port;	 /* host order */
	postern_u8 address[16];
};

struct postern_instruction_abi {
	postern_u32 opcode;
	postern_u32 issuer; /* enum postern_issuer */
	postern_u32 object;
	postern_u32 reserved;
	struct postern_process process;
	struct postern_operands operands;
};

enum postern_object_kind {
	POSTERN_KIND_SOCKET = 1,
	POSTERN_KIND_DISK = 2,
	POSTERN_KIND_BUS = 3,
};

/* What is asked. 0 is no request, so that facts nobody filled in are undecidable. */
enum postern_request {
	POSTERN_REQUEST_NONE = 0,
	POSTERN_REQUEST_INSTRUCTION = 1,
	POSTERN_REQUEST_OPEN = 2,
	POSTERN_REQUEST_REVALIDATE = 3,
};

/* Look-ups that failed; any of them makes a request undecidable. */
#define POSTERN_LOOKUP_IDENTITY 0x1u /* who asks */
#define POSTERN_LOOKUP_OBJECT 0x2u
#define POSTERN_LOOKUP_ASSOCIATION 0x4u
#define POSTERN_LOOKUP_LIMITS 0x8u
#define POSTERN_LOOKUP_LINEAGE 0x10u
#define POSTERN_LOOKUP_SELECTOR 0x20u
#define POSTERN_LOOKUP_QUOTA 0x40u
#define POSTERN_LOOKUP_AUDIT 0x80u /* the record of a grant cannot be queued */

/* Conditions that hold. A bit nobody set denies. */
#define POSTERN_CONDITION_VISIBLE 0x1u	     /* the asker may know that the object exists */
#define POSTERN_CONDITION_SELECTOR 0x2u	     /* the application's selector matches the asker */
#define POSTERN_CONDITION_NOT_REVOKED 0x4u   /* no standing revoke names the asker, its application or the object */
#define POSTERN_CONDITION_EXCLUSIVE 0x8u     /* no other process resource holds what must be held alone */
#define POSTERN_CONDITION_QUOTA 0x10u	     /* one more process resource, request and object is allowed */
#define POSTERN_CONDITION_PATH 0x20u	     /* the demanded path exists */
#define POSTERN_CONDITION_NAMESPACE 0x40u    /* the asker is in the pid and network namespace that it must be in */
#define POSTERN_CONDITION_UNTRACED 0x80u     /* no tracer, or the policy allows one */
#define POSTERN_CONDITION_ALL 0xffu

/* How the asker of a revalidation relates to the holder it names. */
enum postern_lineage {
	POSTERN_LINEAGE_NONE = 0,
	POSTERN_LINEAGE_DESCENDED = 1,
	POSTERN_LINEAGE_UNKNOWN = 2, /* fork events were lost */
};

/* What a `refused` stands for; a subset of the journal's closed list. */
enum postern_detail {
	POSTERN_DETAIL_NONE = 0,
	POSTERN_DETAIL_NAMESPACE = 1,
	POSTERN_DETAIL_TRACER = 2,
	POSTERN_DETAIL_FORK_DENIED = 3,
	POSTERN_DETAIL_NOT_DESCENDED = 4,
	POSTERN_DETAIL_PATH_UNAVAILABLE = 6,
	POSTERN_DETAIL_SELECTOR = 7,
	POSTERN_DETAIL_ANCESTOR_EXPIRED = 9,
};

#define POSTERN_OBJECT_FOOTPRINT 0x1u /* device, inode and range say what `exclusive` compares */

/* A privileged object, one cache line. A whole device has the range 0, UINT64_MAX. */
struct postern_object {
	postern_u32 id;
	postern_u32 generation;
	postern_u32 operations; /* that objects of this kind know at all */
	postern_u8 kind;	/* enum postern_object_kind */
	postern_u8 present;
	postern_u8 exclusive;
	postern_u8 flags; /* POSTERN_OBJECT_* */
	postern_u64 device;
	postern_u64 inode;
	postern_u64 range_offset;
	postern_u64 range_length;
	postern_u32 first;	  /* entity's own: associations of this object */
	postern_u32 live;	  /* entity's own: how many of them are live */
	postern_u32 next_overlap; /* entity's own: objects whose footprints may overlap */
	postern_u32 records;	  /* entity's own: how many associations and tombstones */
};

#define POSTERN_ASSOCIATION_DEPARTED 0x1u /* the process has ended; kept as evidence of descent */
#define POSTERN_ASSOCIATION_KEEP 0x2u	  /* on-exec: keep */

/* "This process may do that": all that a check reads, one cache line. */
struct postern_association {
	struct postern_process process;
	postern_u32 object;
	postern_u32 generation;
	postern_u32 operations;
	postern_u8 state; /* enum postern_association_state */
	postern_u8 path;
	postern_u8 on_fork;
	postern_u8 flags;   /* POSTERN_ASSOCIATION_* */
	postern_u64 expiry; /* boottime ns, 0: never */
	postern_u64 since;  /* boottime ns */
	postern_u32 limits; /* 0: none, so nothing that needs a limit is granted */
	postern_u32 application;
	postern_u32 reuse;	/* entity's own: how often this slot was used before */
	postern_u32 membership; /* entity's own: list of this process and application */
};

#ifdef __cplusplus
#define POSTERN_ASSERT_SIZE(type, size) static_assert(sizeof(type) == (size), #type)
#else
#define POSTERN_ASSERT_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)
#endif
POSTERN_ASSERT_SIZE(struct postern_process, 16);
POSTERN_ASSERT_SIZE(struct postern_address_limit, 24);
POSTERN_ASSERT_SIZE(struct postern_limits, 40 + 24 * 16 + 4 * 32 + 4 * 16);
POSTERN_ASSERT_SIZE(struct postern_operands, 40);
POSTERN_ASSERT_SIZE(struct postern_instruction_abi, 72);
POSTERN_ASSERT_SIZE(struct postern_object, 64);
POSTERN_ASSERT_SIZE(struct postern_association, 64);

#endif
