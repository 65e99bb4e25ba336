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

/* Stands in for postern_decide() in the table under test (POSTERN_DECIDE). */
enum postern_reason conformance_decide(const struct postern_facts *facts)
{
	enum postern_reason reason = postern_decide(facts);
	struct row row;

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
