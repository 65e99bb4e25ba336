/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs vectors.txt through the simulated entity's entry points, and, with a
 * third argument, every decision made on the way once more as BPF.
 *
 *     conformance VECTORS [check.bpf.o]
 *
 * Exit status: 0 all as expected, 1 not, 2 malformed, 77 BPF asked for but not allowed here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "steps.h"

#include "postern_direct.h"

int conformance_disagreements;
int conformance_bpf_decisions;
static int bpf;

static void flatten(const struct postern_facts *facts, struct row *row)
{
	memset(row, 0, sizeof(*row));
	row->request = facts->request;
	row->issuer = facts->issuer;
	row->failed = facts->failed;
	row->conditions = facts->conditions;
	row->now = facts->now;
	row->opcode = facts->opcode;
#define COPY(field, bit)                        \
	if (facts->field) {                     \
		row->field = *facts->field;     \
		row->present |= bit;            \
	}
	COPY(operands, ROW_OPERANDS)
	COPY(object, ROW_OBJECT)
	COPY(association, ROW_ASSOCIATION)
	COPY(limits, ROW_LIMITS)
	COPY(establishment, ROW_ESTABLISHMENT)
	COPY(ancestor, ROW_ANCESTOR)
}

/*
 * A verdict that is kept with a record, and looked at again only for its expiry, has to be what postern_decide() says of an
 * operation without operands: for every opcode, of whatever else this decision was made.
 */
static void compare_kept(struct postern_facts asked)
{
	const struct postern_operands none = { 0 };
	struct postern_association record = *asked.association;
	postern_u32 kept;

	record.flags &= ~(POSTERN_ASSOCIATION_FIRST_USE | POSTERN_ASSOCIATION_ALL_USES);
	kept = postern_verdicts_to_keep(asked.object, &record, asked.limits);
	asked.request = POSTERN_REQUEST_INSTRUCTION;
	asked.issuer = POSTERN_ISSUER_PROCESS;
	asked.failed = 0;
	asked.conditions = POSTERN_CONDITION_VISIBLE;
	asked.operands = &none;
	for (asked.opcode = 0; asked.opcode < POSTERN_OP_COUNT; asked.opcode++) {
		int granted = postern_decide(&asked) == POSTERN_REASON_GRANTED;

		if (((kept >> asked.opcode & 1) && !postern_past(record.expiry, asked.now)) != granted) {
			fprintf(stderr, "  what is kept of opcode %u is not what is decided\n", asked.opcode);
			conformance_disagreements++;
		}
	}
}

/* Of these facts, and of the same with what no vector's association lives to see. */
static void compare_kept_around(const struct postern_facts *facts)
{
	struct postern_association expired;
	struct postern_object absent;
	struct postern_facts changed = *facts;

	if (!facts->object || !facts->association || (facts->association->limits && !facts->limits))
		return;
	compare_kept(*facts);
	absent = *facts->object;
	absent.present = 0;
	changed.object = &absent;
	compare_kept(changed);
	expired = *facts->association;
	expired.expiry = facts->now;
	changed.object = facts->object;
	changed.association = &expired;
	compare_kept(changed);
}

/* Stands in for postern_decide() in the table under test (POSTERN_DECIDE). */
enum postern_reason conformance_decide(const struct postern_facts *facts)
{
	enum postern_reason reason = postern_decide(facts);
	struct row row;

	compare_kept_around(facts);
	if (!bpf)
		return reason;
	flatten(facts, &row);
	conformance_bpf_decisions++;
	if (bpf_run(&row) != 0 || row.reason != reason) {
		fprintf(stderr, "  BPF says %u, native %u\n", row.reason, reason);
		conformance_disagreements++;
	}
	return reason;
}

static char *trim(char *text)
{
	char *end;

	while (*text == ' ' || *text == '\t')
		text++;
	end = text + strlen(text);
	while (end > text && strchr(" \t\n", end[-1]))
		*--end = 0;
	return text;
}

static int run_step(struct story *story, char *text, const char *name)
{
	struct step step = { 0 };
	char *arrow = strstr(text, "=>");
	char result[64] = "?";
	const char *expected;

	if (arrow) {
		*arrow = 0;
		step.expected = trim(arrow + 2);
	}
	for (char *save, *one = strtok_r(text, " \t\n", &save); one; one = strtok_r(NULL, " \t\n", &save))
		if (step.count < 32)
			step.words[step.count++] = one;
	if (step.count == 0 || step_run(story, &step, result, sizeof(result)) != 0) {
		fprintf(stderr, "%s: malformed step\n", name);
		exit(2);
	}
	expected = step.expected ? step.expected : "granted";
	if (strcmp(result, expected) == 0)
		return 0;
	printf("FAIL %s: %s: expected %s, got %s\n", name, step.words[0], expected, result);
	return 1;
}

static int run_vector(char *line)
{
	struct postern_entity_configuration configuration = {
		.associations = 64, .processes = 64, .applications = 16, .objects = 64, .limits = 64,
	};
	struct story story = { 0 };
	char *name = line;
	char *steps = strchr(line, '|');
	int failed = 0;
	int invariant;

	if (!steps || !strstr(steps, "=>")) {
		fprintf(stderr, "malformed vector: %s\n", line);
		exit(2);
	}
	*steps++ = 0;
	name = trim(name);
	if (postern_entity_create(&configuration, &story.entity) != 0) {
		perror("postern_entity_create");
		exit(2);
	}
	for (char *save, *one = strtok_r(steps, ";", &save); one && !failed; one = strtok_r(NULL, ";", &save))
		failed = run_step(&story, one, name);
	invariant = postern_entity_validate(story.entity);
	if (invariant) {
		printf("FAIL %s: invariant %d of the table\n", name, invariant);
		failed = 1;
	}
	postern_entity_destroy(story.entity);
	return failed;
}

int main(int count, char **arguments)
{
	char *line = NULL;
	size_t size = 0;
	int vectors = 0;
	int failed = 0;
	FILE *file;

	if (count < 2 || !(file = fopen(arguments[1], "re"))) {
		fprintf(stderr, "usage: conformance VECTORS [check.bpf.o]\n");
		return 2;
	}
	if (count > 2) {
		bpf = bpf_start(arguments[2]);
		if (!bpf) {
			fclose(file);
			return 77;
		}
	}
	while (getline(&line, &size, file) > 0) {
		char *text = trim(line);

		if (*text == 0 || *text == '#')
			continue;
		vectors++;
		failed += run_vector(text);
	}
	free(line);
	fclose(file);
	printf("%d vectors, %d failed", vectors, failed);
	if (bpf)
		printf(", %d decisions as BPF, %d differ", conformance_bpf_decisions, conformance_disagreements);
	printf("\n");
	if (bpf)
		bpf_stop();
	return failed || conformance_disagreements || vectors < 200;
}
