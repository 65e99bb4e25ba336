/* SPDX-License-Identifier: Apache-2.0 */
/* Private to CLinux: one opened set of programs and maps. */
#ifndef CLINUX_DIRECT_PRIVATE_H
#define CLINUX_DIRECT_PRIVATE_H

#include <limits.h>

#include "clinux_direct.h"
#include "libbpf.h"

enum direct_map {
	DIRECT_CONTROL,
	DIRECT_OBJECTS,
	DIRECT_RECORDS,
	DIRECT_LIMITS,
	DIRECT_APPLICATIONS,
	DIRECT_ASSOCIATIONS,
	DIRECT_BOUND,
	DIRECT_LINEAGES,
	DIRECT_SOCKET_TAGS,
	DIRECT_FILE_TAGS,
	DIRECT_CACHED_TAGS,
	DIRECT_NAMES,
	DIRECT_EVENTS,
	DIRECT_COUNTERS,
	DIRECT_QUESTION,
	DIRECT_MAPS,
};

/* A map as it is mapped here. */
struct direct_array {
	void *bytes;
	size_t size;
	uint32_t count;
};

struct clinux_direct {
	const struct libbpf_calls *calls;
	struct bpf_object *object;
	int loaded; /* 0: everything is as it was pinned */
	char pins[PATH_MAX];
	int maps[DIRECT_MAPS];
	int identity;
	int check;
	int inherited;
	uint32_t programs;
	uint32_t attached;
	uint64_t load_ns;
	uint64_t attach_ns;
	struct postern_direct_control *control;
	struct direct_array objects;
	struct direct_array records;
	struct direct_array limits;
	struct direct_array applications;
	struct ring_buffer *ring;
	struct postern_direct_event *taken;
	size_t taken_count;
	size_t taken_capacity;
};

extern const char *const direct_map_names[DIRECT_MAPS];

uint64_t direct_now(void);
int direct_fail(struct clinux_direct_failure *failure, enum clinux_direct_stage stage, int error, const char *detail);
/* Maps what is mapped and opens the ring; the descriptors in `maps` are there. */
int direct_map_everything(struct clinux_direct *direct, int maps_only);
void direct_unmap_everything(struct clinux_direct *direct);
/* direct_attach.c */
int direct_guard(struct clinux_direct *direct);
int direct_links_are_pinned(const struct clinux_direct *direct, enum clinux_direct_class which);
/* Has the kernel's hooks that not every kernel has, and only those, loaded; 0 or -errno. */
int direct_choose_programs(struct clinux_direct *direct, int maps_only);

#endif
