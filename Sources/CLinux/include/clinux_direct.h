/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The LSM programs of the path direct and their maps, over libbpf, which is looked for at run time (libbpf.so.1): a broker
 * without it, and every client, does without. Calls that return int: 0, or a negative errno, and then nothing has changed
 * unless said otherwise. One thread at a time.
 */
#ifndef CLINUX_DIRECT_H
#define CLINUX_DIRECT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "postern_direct.h"

struct clinux_direct;

/* How far a start came, for words that a person can act on. */
enum clinux_direct_stage {
	CLINUX_DIRECT_LIBRARY = 1, /* libbpf.so.1 is not there, or lacks a call */
	CLINUX_DIRECT_OBJECT = 2,  /* the file with the programs */
	CLINUX_DIRECT_PINS = 3,	   /* the folder in the BPF file system */
	CLINUX_DIRECT_CLAIM = 4,   /* EBUSY: another broker lives */
	CLINUX_DIRECT_LAYOUT = 5,  /* pinned maps of another version */
	CLINUX_DIRECT_LOAD = 6,	   /* the kernel refused a program or a map; `detail` names it */
	CLINUX_DIRECT_ATTACH = 7,
	CLINUX_DIRECT_TRIAL = 8, /* something was not decided as it should be */
};

struct clinux_direct_failure {
	int32_t stage;
	int32_t error; /* errno */
	char detail[160];
};

/* 0: the path's default. Pinned maps keep the sizes that they have. */
struct clinux_direct_sizes {
	uint32_t objects;
	uint32_t records;
	uint32_t limits;
	uint32_t applications;
};

/* Loads a program of the type that the path needs, which does nothing, and forgets it. */
int clinux_direct_probe(struct clinux_direct_failure *failure);

/*
 * Takes over what is pinned in the folder `pins`, or loads it from `object_file` and pins it; an enforcement that was there
 * goes on without a gap. With `maps_only` no program but direct_check is loaded and nothing is pinned (pins: NULL).
 */
int clinux_direct_open(const char *object_file, const char *pins, const struct clinux_direct_sizes *sizes, int maps_only,
		       struct clinux_direct **out, struct clinux_direct_failure *failure);
/* Frees the caller's side; what is pinned goes on. */
void clinux_direct_close(struct clinux_direct *direct);
/* Takes the place of a broker that has ended and removes what is pinned. EBUSY: one lives. ENOENT: nothing is pinned. */
int clinux_direct_unload(const char *pins);

/* 1: maps that were pinned already. */
int clinux_direct_is_inherited(const struct clinux_direct *direct);
void clinux_direct_counts(const struct clinux_direct *direct, uint32_t *programs, uint32_t *attached, uint32_t *maps,
			  uint64_t *load_ns, uint64_t *attach_ns);

enum clinux_direct_class {
	CLINUX_DIRECT_GUARDS = 0, /* life cycle and guards: attached by open */
	CLINUX_DIRECT_FILES = 1,
	CLINUX_DIRECT_SOCKETS = 2, /* beside FILES */
};

/* Attaches the programs of a class and pins the links; those that are attached already stay. */
int clinux_direct_attach(struct clinux_direct *direct, enum clinux_direct_class which,
			 struct clinux_direct_failure *failure);

/* Detaches them: nothing may be tagged that needs them. */
int clinux_direct_detach(struct clinux_direct *direct, enum clinux_direct_class which);

/*
 * A child process, a socket, one call that is allowed and two that are not: 0, or what was not as it should be. The last
 * number of each map is for it. FILES and SOCKETS are attached. EACCES and EKEYREVOKED of it are counted and told, too.
 */
int clinux_direct_trial(struct clinux_direct *direct, struct clinux_direct_failure *failure);

/* The name of a process as the programs see it. */
int clinux_direct_identity(struct clinux_direct *direct, int pidfd, struct postern_process *out);
/* Adds flags to a process's lineage, POSTERN_LINEAGE_*; before it has the descriptor. */
int clinux_direct_holds(struct clinux_direct *direct, int pidfd, const struct postern_process *process, uint32_t flags);
/* 1: what the process was before its last exec, of which on-exec: keep may take something along; 0: nothing; or -errno. */
int clinux_direct_previous(struct clinux_direct *direct, int pidfd, struct postern_process *out);
/*
 * The holders that a process descends from, nearest first, and when its line was forked off each; the arrays have
 * POSTERN_DIRECT_ANCESTORS places. How many there are, or -errno; 0 where it has executed since.
 */
int clinux_direct_ancestors(struct clinux_direct *direct, int pidfd, struct postern_process *processes, uint64_t *forked);
/*
 * Whose children may take rings from holders, and whom nobody traces from now on, nor its children; one at a time. -1: nobody.
 */
int clinux_direct_name_hands(struct clinux_direct *direct, int pidfd);
/* EINVAL: it cannot be tagged. */
int clinux_direct_tag(struct clinux_direct *direct, int fd, uint32_t object, uint32_t owner, uint32_t flags);
/* 1: the socket is an object. */
int clinux_direct_is_tagged(struct clinux_direct *direct, int fd);
/* A socket is no object any more. */
int clinux_direct_untag(struct clinux_direct *direct, int fd);

void clinux_direct_capacities(const struct clinux_direct *direct, struct clinux_direct_sizes *out);
/* Numbers beyond a map's size: -ENOSPC. */
int clinux_direct_put_object(struct clinux_direct *direct, const struct postern_object *object);
int clinux_direct_get_object(struct clinux_direct *direct, uint32_t id, struct postern_object *out);
int clinux_direct_put_limits(struct clinux_direct *direct, uint32_t number, const struct postern_limits *limits);
/* ENOENT: there is no such number. */
int clinux_direct_get_limits(struct clinux_direct *direct, uint32_t number, struct postern_limits *out);
int clinux_direct_put_application(struct clinux_direct *direct, uint32_t number,
				  const struct postern_direct_application *application);
int clinux_direct_get_record(struct clinux_direct *direct, uint32_t number, struct postern_association *out);
/* Writes a record under a free number and makes it found, in place of another one of the same process and object. */
int clinux_direct_add(struct clinux_direct *direct, uint32_t number, const struct postern_association *record);
/* Changes a record of the same process and object where it stands. */
int clinux_direct_change(struct clinux_direct *direct, uint32_t number, const struct postern_association *record);
/* Nobody finds it any more; the number must not be used before clinux_direct_wait. */
int clinux_direct_remove(struct clinux_direct *direct, uint32_t number);
/* Until every check that began before has ended. */
int clinux_direct_wait(void);

/* Associations that a hook has made: the next one after `*key` (all zero: the first). ENOENT: no more. */
int clinux_direct_next_bound(struct clinux_direct *direct, struct postern_direct_key *key,
			     struct postern_association *out);
int clinux_direct_forget_bound(struct clinux_direct *direct, const struct postern_direct_key *key);

/* Readable while events wait; -1 with maps_only. */
int clinux_direct_events_number(const struct clinux_direct *direct);
/* Up to `capacity` events; how many. */
int clinux_direct_take_events(struct clinux_direct *direct, struct postern_direct_event *out, size_t capacity);
/* Sums over all processors; POSTERN_COUNTER_COUNT numbers. */
int clinux_direct_counters(struct clinux_direct *direct, uint64_t *out);
struct postern_direct_control *clinux_direct_control(struct clinux_direct *direct);

int clinux_direct_put_name(struct clinux_direct *direct, uint32_t kind, uint64_t number,
			   const struct postern_direct_name *name);
int clinux_direct_forget_name(struct clinux_direct *direct, uint32_t kind, uint64_t number);
int clinux_direct_next_name(struct clinux_direct *direct, struct postern_direct_name_key *key,
			    struct postern_direct_name *out);

/* The check that a hook would make, by direct_check (BPF_PROG_TEST_RUN). */
int clinux_direct_ask(struct clinux_direct *direct, struct postern_direct_question *question);

/*
 * Sends every thread of a process that runs or waits in the kernel back through the checks (ptrace(2): SEIZE, INTERRUPT,
 * wait, DETACH; SIGSTOP and SIGCONT where it cannot be traced in half of the time), and is over when all have been there, or
 * at `deadline` (CLOCK_BOOTTIME, ns): -ETIMEDOUT. `left`: how many threads could not be sent. ESRCH: it has ended. On a
 * thread of the caller's that ends then, and with it what it may still trace.
 */
int clinux_direct_barrier(pid_t pid, uint64_t deadline, uint32_t *left);

#endif
