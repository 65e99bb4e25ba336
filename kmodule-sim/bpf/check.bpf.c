/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decision function as a program of its own, run by BPF_PROG_TEST_RUN: what
 * the verifier accepts and computes here is what the LSM program will compute.
 *
 * The map definition follows libbpf's BTF form; bpf_map_lookup_elem is helper 1
 * (include/uapi/linux/bpf.h).
 */
#include "row.h"

#define SEC(name) __attribute__((section(name), used))

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;

struct {
	int (*type)[2]; /* BPF_MAP_TYPE_ARRAY */
	int (*max_entries)[1];
	postern_u32 *key;
	struct row *value;
} rows SEC(".maps");

SEC("syscall")
int check(void *context)
{
	postern_u32 key = 0;
	struct row *row = bpf_map_lookup_elem(&rows, &key);
	struct postern_facts facts = { 0 };

	(void)context;
	if (!row)
		return 1;
	facts.request = row->request;
	facts.issuer = row->issuer;
	facts.failed = row->failed;
	facts.conditions = row->conditions;
	facts.now = row->now;
	facts.opcode = row->opcode;
	facts.operands = row->present & ROW_OPERANDS ? &row->operands : 0;
	facts.object = row->present & ROW_OBJECT ? &row->object : 0;
	facts.association = row->present & ROW_ASSOCIATION ? &row->association : 0;
	facts.limits = row->present & ROW_LIMITS ? &row->limits : 0;
	facts.establishment = row->present & ROW_ESTABLISHMENT ? &row->establishment : 0;
	facts.ancestor = row->present & ROW_ANCESTOR ? &row->ancestor : 0;
	row->reason = postern_decide(&facts);
	row->detail = row->reason == POSTERN_REASON_REFUSED ? postern_refusal_detail(&facts) : POSTERN_DETAIL_NONE;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
