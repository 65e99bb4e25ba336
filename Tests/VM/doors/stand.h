/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stand that the door tests work on: the LSM programs loaded and attached, their maps mapped, this process their
 * broker. What the broker does to the maps is done here in C, so that the programs are tested apart from it.
 */
#ifndef DOORS_STAND_H
#define DOORS_STAND_H

#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../../../kmodule-sim/include/postern_direct.h"

#define ALL_OPERATIONS ((1u << POSTERN_OP_COUNT) - 1)
#define ERR(call) ({ long result_ = (long)(call); result_ < 0 ? -(long)errno : result_; })

struct stand {
	struct bpf_object *object;
	struct postern_direct_control *control;
	struct postern_object *objects;
	struct postern_association *records;
	struct postern_limits *limits;
	struct postern_direct_application *applications;
	int associations;
	int bound;
	int lineages;
	int file_tags;
	int counters;
	int processors;
	struct bpf_link *links[64];
	struct bpf_program *programs[64];
	int link_count;
	double load_seconds;
	double attach_seconds;
};

extern struct stand stand;

/* How many associations the maps are to hold, if that is set before stand_open. */
extern uint32_t stand_capacity;

/* Loads and attaches the programs of the file and becomes their broker; ends the process when it cannot. */
void stand_open(const char *path);
/* Detaches the programs that the list names (direct_ left out, a space between two), or attaches them again. */
void stand_detach(const char *names);
void stand_attach(const char *names);

int stand_claim(void);
void identify(pid_t pid, struct postern_process *process);
void define_object(uint32_t object, uint32_t kind);
/* Tags a file or socket; 0 or a negative errno. */
long tag(int fd, uint32_t object, uint32_t owner, uint32_t flags);
/* As the broker does whenever the record, its object or its limits change; without it every operation is decided anew. */
void keep_verdicts(uint32_t number);
/*
 * Whether the tests' tags name the first record that is made (owner_to_name), whose verdicts they keep (keep_if_owned):
 * its process comes by another way through the programs, which every other one falls back from.
 */
extern bool stand_owned;
uint32_t owner_to_name(void);
void keep_if_owned(uint32_t number);
/* The record is refused from now on. */
void revoke_record(uint32_t number);
/* Makes an association of the process and gives the number of its record. */
uint32_t associate(pid_t pid, uint32_t object, uint32_t operations);
uint32_t associate_process(const struct postern_process *process, uint32_t object, uint32_t operations);
/* Adds to the flags of the process's lineage; hold says that it holds something, too. */
void note(pid_t pid, uint32_t flags);
void hold(pid_t pid, uint32_t flags);
/* Forgets every association and limit. */
void clear(void);

uint64_t counted(uint32_t counter);
uint64_t counted_refusals(void);
/* The events since the last call; each is handed to `each`, if that is not null. */
int drain(void (*each)(const struct postern_direct_event *event, void *context), void *context);

/* `ok NAME` or `FAIL NAME: why`. */
extern int failures;
void report(bool good, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
void skip(const char *name, const char *why);
const char *named(long result);
double seconds(void);
uint64_t boottime(void); /* ns, as the programs read it */
bool kernel_is_at_least(int major, int minor);
void die(const char *what) __attribute__((noreturn));

#endif
