/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STEPS_H
#define STEPS_H

#include "../../../kmodule-sim/bpf/row.h"
#include "../../../kmodule-sim/include/postern_entity.h"

/* One step of a vector, split into words: its verb, positional words and key=value words. */
struct step {
	char *words[32];
	int count;
	const char *expected; /* after =>, or NULL */
};

/* Where limit sets of one vector are kept by name. */
struct story {
	struct postern_entity *entity;
	postern_u32 limits[26];
};

const char *step_value(const struct step *step, const char *key);
int step_has(const struct step *step, const char *word);
postern_u64 step_number(const struct step *step, const char *key, postern_u64 fallback);

/* Runs one step; what it came to is written to result ("granted", a reason, "refused(detail)"). 0, or -1: malformed. */
int step_run(struct story *story, const struct step *step, char *result, unsigned int size);

/* bpf.c: 1 where the program runs here, 0 where it may not be loaded (why has been printed). */
int bpf_start(const char *object_file);
int bpf_run(struct row *row);
void bpf_stop(void);

extern int conformance_disagreements;
extern int conformance_bpf_decisions;

#endif
