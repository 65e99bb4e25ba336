/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The authorization decision: one function, in every entity.
 *
 * Freestanding: no library, no allocation, loops bounded by constants, so that
 * the same lines are compiled natively, into the LSM program and into the test
 * harness that runs as BPF. It reads nothing but the facts it is given; whoever
 * collects them says which look-ups failed. Everything that is not plainly
 * allowed is denied.
 */
#ifndef POSTERN_CHECK_H
#define POSTERN_CHECK_H

#include "postern_abi.h"

/* Always inlined: the BPF verifier then sees one program, and a native caller's facts stay in registers. */
#define POSTERN_INLINE static inline __attribute__((always_inline))

#define POSTERN_FAMILY_INET 2u
#define POSTERN_FAMILY_INET6 10u

/* What is known of an open or a revalidation beyond the object and the asker's own record. */
struct postern_establishment {
	postern_u32 requested;	/* open: operations asked for */
	postern_u32 granted;	/* open: operations of the deciding grant; 0: no grant matches */
	postern_u32 generation; /* of the object when the rest was found out */
	postern_u8 lineage;	/* revalidation: enum postern_lineage */
	postern_u8 reserved[3];
	postern_u32 application; /* that the asker belongs to */
	postern_u32 reserved1;
	postern_u64 forked; /* revalidation: boottime ns by which the asker's line had been forked off the ancestor; 0: unknown */
};

/* All that one decision may depend on. A null pointer is "there is none". */
struct postern_facts {
	postern_u32 request;	/* enum postern_request */
	postern_u32 issuer;	/* enum postern_issuer */
	postern_u32 failed;	/* POSTERN_LOOKUP_* */
	postern_u32 conditions; /* POSTERN_CONDITION_* */
	postern_u64 now;	/* boottime ns */
	postern_u32 opcode;
	postern_u32 reserved;
	const struct postern_operands *operands;
	const struct postern_object *object;
	const struct postern_association *association; /* the asker's own record for this object */
	const struct postern_limits *limits;	       /* that the association names */
	const struct postern_establishment *establishment;
	const struct postern_association *ancestor; /* the record of the holder that the asker descends from */
};

POSTERN_INLINE int postern_past(postern_u64 expiry, postern_u64 now)
{
	return expiry != 0 && now >= expiry;
}

/* 128 bits of an address in network order, as numbers. */
struct postern_address_bits {
	postern_u64 high;
	postern_u64 low;
};

/* In postern_limits and postern_operands an address stands at a multiple of eight bytes. */
POSTERN_INLINE postern_u64 postern_network_word(const postern_u8 *bytes)
{
	postern_u64 word;

	__builtin_memcpy(&word, __builtin_assume_aligned(bytes, 8), sizeof(word));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	word = __builtin_bswap64(word);
#endif
	return word;
}

/*
 * Whether the first bits of two addresses agree; length <= 128. Without a branch, each of which the verifier would follow
 * for every address of a limit: a prefix fills length / 64 words, and of the next one the first length % 64 bits.
 */
POSTERN_INLINE int postern_prefix_matches(const struct postern_address_bits *bits, const postern_u8 *pattern,
					  unsigned int length)
{
	postern_u64 begun = ~(~0ull >> (length & 63));
	postern_u64 full = length >> 6;
	postern_u64 high_mask = begun | (0ull - ((full | full >> 1) & 1));
	postern_u64 low_mask = (begun & (0ull - (full & 1))) | (0ull - (full >> 1));
	postern_u64 high = (bits->high ^ postern_network_word(pattern)) & high_mask;
	postern_u64 low = (bits->low ^ postern_network_word(pattern + 8)) & low_mask;

	return (high | low) == 0;
}

/* ::ffff:0:0/96 (RFC 4291): an IPv6 socket reaches an IPv4 host through it, so an IPv6 pattern must not speak for it. */
POSTERN_INLINE int postern_is_mapped(const struct postern_operands *operands)
{
	if (operands->family != POSTERN_FAMILY_INET6)
		return 0;
	for (unsigned int i = 0; i < 10; i++)
		if (operands->address[i])
			return 0;
	return operands->address[10] == 0xff && operands->address[11] == 0xff;
}

POSTERN_INLINE int postern_address_allowed(const struct postern_limits *limits, const struct postern_operands *operands,
					   unsigned int use)
{
	int mapped = postern_is_mapped(operands);
	unsigned int family = mapped ? POSTERN_FAMILY_INET : operands->family;
	unsigned int width = family == POSTERN_FAMILY_INET ? 32 : 128;
	struct postern_address_bits bits = { postern_network_word(operands->address),
					     postern_network_word(operands->address + 8) };

	if (family != POSTERN_FAMILY_INET && family != POSTERN_FAMILY_INET6)
		return 0;
	/* The inner address stands in the last four bytes. */
	if (mapped)
		bits.high = bits.low << 32;
	for (unsigned int i = 0; i < POSTERN_MAX_ADDRESSES; i++) {
		const struct postern_address_limit *allowed = &limits->addresses[i];

		if (i >= limits->address_count)
			break;
		if (!(allowed->uses & use))
			continue;
		if (allowed->family != family)
			continue;
		if (allowed->prefix_length > width)
			continue;
		if (operands->port < allowed->port_first)
			continue;
		if (operands->port > allowed->port_last)
			continue;
		if (postern_prefix_matches(&bits, allowed->address, allowed->prefix_length))
			return 1;
	}
	return 0;
}

POSTERN_INLINE int postern_option_allowed(const struct postern_limits *limits, postern_u32 option)
{
	for (unsigned int i = 0; i < POSTERN_MAX_OPTIONS; i++) {
		if (i >= limits->option_count)
			break;
		if (limits->options[i] == option)
			return 1;
	}
	return 0;
}

POSTERN_INLINE int postern_control_allowed(const struct postern_limits *limits, postern_u32 request)
{
	for (unsigned int i = 0; i < POSTERN_MAX_CONTROLS; i++) {
		if (i >= limits->control_count)
			break;
		if (limits->controls[i] == request)
			return 1;
	}
	return 0;
}

/* Whether offset and length stay inside the range; the subtraction cannot wrap once the first comparison has passed. */
POSTERN_INLINE int postern_range_holds(const struct postern_limits *limits, const struct postern_operands *operands)
{
	return operands->offset <= limits->range_length && operands->length <= limits->range_length - operands->offset;
}

/* Operands against the list that a limit of the opcode is. */
POSTERN_INLINE int postern_is_listed(const struct postern_limits *limits, postern_u32 opcode,
				     const struct postern_operands *operands)
{
	switch (opcode) {
	case POSTERN_OP_CONNECT:
		return postern_address_allowed(limits, operands, POSTERN_ADDRESS_CONNECT);
	case POSTERN_OP_SEND:
		return postern_address_allowed(limits, operands, POSTERN_ADDRESS_SEND);
	case POSTERN_OP_SETOPTION:
		return postern_option_allowed(limits, operands->request);
	case POSTERN_OP_CONTROL:
		return postern_control_allowed(limits, operands->request);
	default:
		return 0;
	}
}

/* An entity may go through the lists in a function of its own. */
#ifndef POSTERN_IS_LISTED
#define POSTERN_IS_LISTED postern_is_listed
#endif

/*
 * Operands against limits. limits may be null: then nothing is allowed that
 * needs one. A read at or past the end is allowed: it gives 0 bytes.
 */
POSTERN_INLINE int postern_within_limits(const struct postern_limits *limits, postern_u32 kind, postern_u32 opcode,
					 const struct postern_operands *operands)
{
	postern_u32 flags = limits ? limits->flags : 0;

	if ((flags & POSTERN_LIMIT_LENGTH) && operands->length > limits->max_length)
		return 0;
	switch (opcode) {
	case POSTERN_OP_READ:
		return (flags & POSTERN_LIMIT_RANGE) || kind != POSTERN_KIND_DISK;
	case POSTERN_OP_WRITE:
	case POSTERN_OP_DISCARD:
		if (!(flags & POSTERN_LIMIT_RANGE))
			return kind != POSTERN_KIND_DISK;
		return postern_range_holds(limits, operands);
	case POSTERN_OP_CONNECT:
		return (flags & POSTERN_LIMIT_CONNECT) && POSTERN_IS_LISTED(limits, opcode, operands);
	case POSTERN_OP_SEND:
		if (!(flags & POSTERN_LIMIT_SEND))
			return 0;
		return operands->family == 0 || POSTERN_IS_LISTED(limits, opcode, operands);
	case POSTERN_OP_SETOPTION:
		return (flags & POSTERN_LIMIT_OPTIONS) && POSTERN_IS_LISTED(limits, opcode, operands);
	case POSTERN_OP_CONTROL:
		return (flags & POSTERN_LIMIT_CONTROL) && POSTERN_IS_LISTED(limits, opcode, operands);
	default:
		return 1;
	}
}

/* Whether both the association and the object's kind know the opcode. */
POSTERN_INLINE int postern_covers(const struct postern_association *association, const struct postern_object *object,
				  postern_u32 opcode)
{
	if (opcode >= POSTERN_OP_COUNT)
		return 0;
	return (association->operations & object->operations) >> opcode & 1u;
}

POSTERN_INLINE enum postern_reason postern_decide_instruction(const struct postern_facts *facts)
{
	const struct postern_association *association = facts->association;
	const struct postern_object *object = facts->object;

	if (!facts->operands)
		return POSTERN_REASON_UNDECIDABLE;
	if (association && association->limits && !facts->limits)
		return POSTERN_REASON_UNDECIDABLE;
	if (!object || !object->present)
		return POSTERN_REASON_NO_SUCH_OBJECT;
	if (!(facts->conditions & POSTERN_CONDITION_VISIBLE))
		return POSTERN_REASON_NO_SUCH_OBJECT;
	if (!association)
		return POSTERN_REASON_NOT_ASSOCIATED;
	if (association->state == POSTERN_STATE_STALE)
		return POSTERN_REASON_STALE;
	if (association->generation != object->generation)
		return POSTERN_REASON_STALE;
	if (association->state == POSTERN_STATE_REVOKED)
		return POSTERN_REASON_REVOKED;
	if (association->state != POSTERN_STATE_LIVE && association->state != POSTERN_STATE_EXPIRED)
		return POSTERN_REASON_NOT_ASSOCIATED;
	if (association->state == POSTERN_STATE_EXPIRED)
		return POSTERN_REASON_EXPIRED;
	if (postern_past(association->expiry, facts->now))
		return POSTERN_REASON_EXPIRED;
	if (!postern_covers(association, object, facts->opcode))
		return POSTERN_REASON_OPERATION;
	if (!postern_within_limits(facts->limits, object->kind, facts->opcode, facts->operands))
		return POSTERN_REASON_LIMIT;
	return POSTERN_REASON_GRANTED;
}

/* The ancestor's record, as far as it speaks for the asker: descended from it, and of the same application. */
POSTERN_INLINE const struct postern_association *postern_ancestor(const struct postern_facts *facts)
{
	if (facts->request != POSTERN_REQUEST_REVALIDATE)
		return 0;
	if (facts->establishment->lineage != POSTERN_LINEAGE_DESCENDED)
		return 0;
	if (!facts->ancestor || facts->ancestor->application != facts->establishment->application)
		return 0;
	return facts->ancestor;
}

/*
 * Whether the ancestor's record lets the asker have one of its own: the ancestor
 * holds the object, or has ended and held it when the asker's line was forked.
 */
POSTERN_INLINE enum postern_detail postern_lineage_detail(const struct postern_facts *facts)
{
	const struct postern_association *ancestor = postern_ancestor(facts);

	if (!ancestor)
		return POSTERN_DETAIL_NOT_DESCENDED;
	if (ancestor->state == POSTERN_STATE_EXPIRED)
		return POSTERN_DETAIL_ANCESTOR_EXPIRED;
	if (ancestor->state != POSTERN_STATE_LIVE && ancestor->state != POSTERN_STATE_DEPARTED)
		return POSTERN_DETAIL_NOT_DESCENDED;
	if (ancestor->state == POSTERN_STATE_DEPARTED && facts->establishment->forked < ancestor->since)
		return POSTERN_DETAIL_NOT_DESCENDED;
	if (postern_past(ancestor->expiry, facts->now))
		return POSTERN_DETAIL_ANCESTOR_EXPIRED;
	if (ancestor->on_fork != POSTERN_ON_FORK_REVALIDATE && ancestor->on_fork != POSTERN_ON_FORK_INHERIT)
		return POSTERN_DETAIL_FORK_DENIED;
	return POSTERN_DETAIL_NONE;
}

/* What a refused open or revalidation stands for; none: nothing refuses it. */
POSTERN_INLINE enum postern_detail postern_refusal_detail(const struct postern_facts *facts)
{
	if (!(facts->conditions & POSTERN_CONDITION_NAMESPACE))
		return POSTERN_DETAIL_NAMESPACE;
	if (!(facts->conditions & POSTERN_CONDITION_SELECTOR))
		return POSTERN_DETAIL_SELECTOR;
	if (!(facts->conditions & POSTERN_CONDITION_UNTRACED))
		return POSTERN_DETAIL_TRACER;
	if (!(facts->conditions & POSTERN_CONDITION_PATH))
		return POSTERN_DETAIL_PATH_UNAVAILABLE;
	if (facts->request == POSTERN_REQUEST_REVALIDATE)
		return postern_lineage_detail(facts);
	return POSTERN_DETAIL_NONE;
}

POSTERN_INLINE enum postern_reason postern_decide_establishment(const struct postern_facts *facts)
{
	const struct postern_establishment *establishment = facts->establishment;
	const struct postern_association *own = facts->association;
	const struct postern_association *ancestor;
	const struct postern_object *object = facts->object;
	int open = facts->request == POSTERN_REQUEST_OPEN;

	if (!establishment)
		return POSTERN_REASON_UNDECIDABLE;
	ancestor = postern_ancestor(facts);
	if (!open && establishment->lineage == POSTERN_LINEAGE_UNKNOWN)
		return POSTERN_REASON_UNDECIDABLE;
	if (!object || !object->present)
		return POSTERN_REASON_NO_SUCH_OBJECT;
	if (!(facts->conditions & POSTERN_CONDITION_VISIBLE))
		return POSTERN_REASON_NO_SUCH_OBJECT;
	if (open && !establishment->granted)
		return POSTERN_REASON_NO_SUCH_OBJECT;
	if (open && !(facts->conditions & POSTERN_CONDITION_SELECTOR))
		return POSTERN_REASON_NO_SUCH_OBJECT;
	if (establishment->generation != object->generation)
		return POSTERN_REASON_STALE;
	if (ancestor && ancestor->state == POSTERN_STATE_STALE)
		return POSTERN_REASON_STALE;
	if (ancestor && ancestor->generation != object->generation)
		return POSTERN_REASON_STALE;
	if (!(facts->conditions & POSTERN_CONDITION_NOT_REVOKED))
		return POSTERN_REASON_REVOKED;
	if (own && own->state == POSTERN_STATE_REVOKED)
		return POSTERN_REASON_REVOKED;
	if (ancestor && ancestor->state == POSTERN_STATE_REVOKED)
		return POSTERN_REASON_REVOKED;
	if (open && !establishment->requested)
		return POSTERN_REASON_OPERATION;
	if (open && (establishment->requested & ~(establishment->granted & object->operations)))
		return POSTERN_REASON_OPERATION;
	if (!(facts->conditions & POSTERN_CONDITION_EXCLUSIVE))
		return POSTERN_REASON_BUSY;
	if (!(facts->conditions & POSTERN_CONDITION_QUOTA))
		return POSTERN_REASON_QUOTA;
	if (postern_refusal_detail(facts) != POSTERN_DETAIL_NONE)
		return POSTERN_REASON_REFUSED;
	return POSTERN_REASON_GRANTED;
}

/*
 * The authorization check. Clauses stand in the order of precedence of
 * enum postern_reason, so the first that applies is the one that is told.
 */
POSTERN_INLINE enum postern_reason postern_decide(const struct postern_facts *facts)
{
	if (facts->request != POSTERN_REQUEST_INSTRUCTION && facts->request != POSTERN_REQUEST_OPEN &&
	    facts->request != POSTERN_REQUEST_REVALIDATE)
		return POSTERN_REASON_UNDECIDABLE;
	if (facts->issuer == POSTERN_ISSUER_KERNEL)
		return POSTERN_REASON_GRANTED;
	if (facts->issuer != POSTERN_ISSUER_PROCESS)
		return POSTERN_REASON_UNDECIDABLE;
	if (facts->failed)
		return POSTERN_REASON_UNDECIDABLE;
	if (facts->request == POSTERN_REQUEST_INSTRUCTION)
		return postern_decide_instruction(facts);
	return postern_decide_establishment(facts);
}

#endif
