/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The path direct: every operation on a privileged object's own descriptor is checked by the kernel, on entry of each
 * system call, by one program for each hook. Threats and what is left open: SECURITY.md.
 */
#include "guards.h"

/* The check that a hook would make of this question, for tests of the maps' contents on any kernel. */
SEC("syscall")
int direct_check(void *context)
{
	struct attempt attempt = { 0 };
	struct postern_direct_question *asked;
	struct postern_association *record;
	struct postern_facts facts = {
		.request = POSTERN_REQUEST_INSTRUCTION,
		.issuer = POSTERN_ISSUER_PROCESS,
		.conditions = POSTERN_CONDITION_VISIBLE,
	};
	__u32 key = 0;

	asked = bpf_map_lookup_elem(&question, &key);
	if (!asked)
		return 1;
	attempt.object = asked->object;
	attempt.process = asked->process;
	attempt.operands = asked->operands;
	record = find(attempt.object, &attempt.process);
	if (asked->inherits) {
		asked->reason = record && direct_may_inherit(record, attempt.object, asked->now) ?
					POSTERN_REASON_GRANTED :
					POSTERN_REASON_REFUSED;
		return 0;
	}
	facts.object = bpf_map_lookup_elem(&objects, &attempt.object);
	facts.association = record;
	facts.opcode = asked->opcode;
	facts.operands = &attempt.operands;
	facts.now = asked->now;
	if (record) {
		__u32 shared = record->limits;

		if (shared)
			facts.limits = bpf_map_lookup_elem(&limits, &shared);
	}
	asked->reason = postern_decide(&facts);
	return 0;
}

/* Some of the helpers are for programs of this licence only. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
