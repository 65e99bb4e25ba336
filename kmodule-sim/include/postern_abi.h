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
	POSTERN_ISSUER_KERNEL = 0,
	POSTERN_ISSUER_PROCESS = 1,
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

#endif
