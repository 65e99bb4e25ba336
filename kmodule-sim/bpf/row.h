/* SPDX-License-Identifier: Apache-2.0 */
/* Facts without pointers, as they travel between the conformance runner and check.bpf.c. */
#ifndef POSTERN_ROW_H
#define POSTERN_ROW_H

#include "../include/postern_check.h"

#define ROW_OPERANDS 0x1u
#define ROW_OBJECT 0x2u
#define ROW_ASSOCIATION 0x4u
#define ROW_LIMITS 0x8u
#define ROW_ESTABLISHMENT 0x10u
#define ROW_ANCESTOR 0x20u

struct row {
	postern_u32 request;
	postern_u32 issuer;
	postern_u32 failed;
	postern_u32 conditions;
	postern_u64 now;
	postern_u32 opcode;
	postern_u32 present; /* ROW_*: the others are null pointers */
	postern_u32 reason;  /* out */
	postern_u32 detail;  /* out */
	struct postern_operands operands;
	struct postern_object object;
	struct postern_association association;
	struct postern_establishment establishment;
	struct postern_association ancestor;
	struct postern_limits limits;
};

#endif
