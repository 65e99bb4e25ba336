/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the broker writes into the maps, and reads from them. The programs read records while they change: what makes a
 * record valid (its process, its state) is written last, and taken away first.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "direct.h"

static int map_array(struct clinux_direct *direct, enum direct_map which, size_t element, struct direct_array *out)
{
	struct bpf_map_info info;
	__u32 size = sizeof(info);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *bytes;

	memset(&info, 0, sizeof(info));
	if (direct->calls->bpf_obj_get_info_by_fd(direct->maps[which], &info, &size) != 0)
		return -errno;
	if (info.value_size != element)
		return -EPROTO;
	/* Elements are 8 bytes aligned (kernel/bpf/arraymap.c). */
	out->size = (((size_t)info.max_entries * ((element + 7) & ~(size_t)7)) + page - 1) & ~(page - 1);
	bytes = mmap(NULL, out->size, PROT_READ | PROT_WRITE, MAP_SHARED, direct->maps[which], 0);
	if (bytes == MAP_FAILED)
		return -errno;
	out->bytes = bytes;
	out->count = info.max_entries;
	return 0;
}

static void unmap_array(struct direct_array *array)
{
	if (array->bytes)
		munmap(array->bytes, array->size);
	memset(array, 0, sizeof(*array));
}

static int take(void *context, void *data, size_t size)
{
	struct clinux_direct *direct = context;

	if (size < sizeof(*direct->taken))
		return 0;
	memcpy(&direct->taken[direct->taken_count++], data, sizeof(*direct->taken));
	/* Anything else than 0 ends the call; this event is consumed all the same (libbpf, ringbuf_process_ring). */
	return direct->taken_count == direct->taken_capacity ? -ENOBUFS : 0;
}

int direct_map_everything(struct clinux_direct *direct, int maps_only)
{
	struct direct_array control = { 0 };
	int error;

	error = map_array(direct, DIRECT_CONTROL, sizeof(*direct->control), &control);
	if (error != 0)
		return error;
	direct->control = control.bytes;
	error = map_array(direct, DIRECT_OBJECTS, sizeof(struct postern_object), &direct->objects);
	if (error == 0)
		error = map_array(direct, DIRECT_RECORDS, sizeof(struct postern_association), &direct->records);
	if (error == 0)
		error = map_array(direct, DIRECT_LIMITS, sizeof(struct postern_limits), &direct->limits);
	if (error == 0)
		error = map_array(direct, DIRECT_APPLICATIONS, sizeof(struct postern_direct_application),
				  &direct->applications);
	if (error != 0 || maps_only)
		return error;
	direct->ring = direct->calls->ring_buffer__new(direct->maps[DIRECT_EVENTS], take, direct, NULL);
	return direct->ring ? 0 : -errno;
}

void direct_unmap_everything(struct clinux_direct *direct)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (direct->ring)
		direct->calls->ring_buffer__free(direct->ring);
	direct->ring = NULL;
	if (direct->control)
		munmap(direct->control, (sizeof(*direct->control) + page - 1) & ~(page - 1));
	direct->control = NULL;
	unmap_array(&direct->objects);
	unmap_array(&direct->records);
	unmap_array(&direct->limits);
	unmap_array(&direct->applications);
}

int clinux_direct_identity(struct clinux_direct *direct, int pidfd, struct postern_process *out)
{
	union bpf_iter_link_info target;
	LIBBPF_OPTS(bpf_link_create_opts, options);
	ssize_t got;
	int iterator;
	int link;

	memset(&target, 0, sizeof(target));
	target.task.pid_fd = (__u32)pidfd;
	options.iter_info = &target;
	options.iter_info_len = sizeof(target);
	link = direct->calls->bpf_link_create(direct->identity, 0, BPF_TRACE_ITER, &options);
	if (link < 0)
		return -errno;
	iterator = direct->calls->bpf_iter_create(link);
	if (iterator < 0) {
		int error = errno;

		close(link);
		return -error;
	}
	got = read(iterator, out, sizeof(*out));
	close(iterator);
	close(link);
	return got == (ssize_t)sizeof(*out) ? 0 : -ESRCH;
}

int clinux_direct_holds(struct clinux_direct *direct, int pidfd, const struct postern_process *process, uint32_t flags)
{
	struct postern_direct_lineage lineage;
	int map = direct->maps[DIRECT_LINEAGES];

	memset(&lineage, 0, sizeof(lineage));
	if (direct->calls->bpf_map_lookup_elem(map, &pidfd, &lineage) == 0 &&
	    lineage.exec_epoch == process->exec_epoch) {
		lineage.flags |= flags;
	} else {
		memset(&lineage, 0, sizeof(lineage));
		lineage.exec_epoch = process->exec_epoch;
		lineage.flags = flags;
	}
	return direct->calls->bpf_map_update_elem(map, &pidfd, &lineage, BPF_ANY) == 0 ? 0 : -errno;
}

/* 1: the lineage speaks for the program image that runs now; 0: there is none that does. */
static int lineage_of(struct clinux_direct *direct, int pidfd, struct postern_direct_lineage *lineage)
{
	struct postern_process named;
	int error;

	if (direct->calls->bpf_map_lookup_elem(direct->maps[DIRECT_LINEAGES], &pidfd, lineage) != 0)
		return errno == ENOENT ? 0 : -errno;
	/* After the look: what has executed meanwhile has another name by now. */
	error = clinux_direct_identity(direct, pidfd, &named);
	if (error != 0)
		return error;
	return named.exec_epoch == lineage->exec_epoch;
}

int clinux_direct_previous(struct clinux_direct *direct, int pidfd, struct postern_process *out)
{
	struct postern_direct_lineage lineage;
	int result = lineage_of(direct, pidfd, &lineage);

	if (result <= 0)
		return result;
	*out = lineage.previous;
	return (lineage.flags & POSTERN_LINEAGE_KEPT) != 0;
}

int clinux_direct_ancestors(struct clinux_direct *direct, int pidfd, struct postern_process *processes, uint64_t *forked)
{
	struct postern_direct_lineage lineage;
	int result = lineage_of(direct, pidfd, &lineage);
	uint32_t count;

	if (result <= 0)
		return result;
	count = lineage.count < POSTERN_DIRECT_ANCESTORS ? lineage.count : POSTERN_DIRECT_ANCESTORS;
	for (uint32_t i = 0; i < count; i++) {
		processes[i] = lineage.ancestors[i].process;
		forked[i] = lineage.ancestors[i].forked;
	}
	return (int)count;
}

int clinux_direct_name_hands(struct clinux_direct *direct, int pidfd)
{
	struct postern_process *place = &direct->control->hands;
	struct postern_process named;
	int error;

	__atomic_store_n(&place->start, 0u, __ATOMIC_SEQ_CST);
	if (pidfd < 0)
		return 0;
	error = clinux_direct_identity(direct, pidfd, &named);
	if (error == 0)
		error = clinux_direct_holds(direct, pidfd, &named, POSTERN_LINEAGE_HAND);
	if (error != 0)
		return error;
	place->tgid = named.tgid;
	place->exec_epoch = named.exec_epoch;
	/* Nothing matches before it is whole. */
	__atomic_store_n(&place->start, named.start, __ATOMIC_SEQ_CST);
	return 0;
}

int clinux_direct_tag(struct clinux_direct *direct, int fd, uint32_t object, uint32_t owner, uint32_t flags)
{
	direct->control->pending = (struct postern_tag){ .object = object, .owner = owner, .flags = flags };
	/* No driver answers so: it is the program that has done it. */
	if (syscall(SYS_ioctl, fd, (unsigned long)POSTERN_DIRECT_TAG, 0ul) == 0)
		return -EINVAL;
	return errno == POSTERN_DIRECT_DONE ? 0 : -EINVAL;
}

int clinux_direct_is_tagged(struct clinux_direct *direct, int fd)
{
	struct postern_tag tag;

	return direct->calls->bpf_map_lookup_elem(direct->maps[DIRECT_SOCKET_TAGS], &fd, &tag) == 0;
}

int clinux_direct_untag(struct clinux_direct *direct, int fd)
{
	return clinux_direct_tag(direct, fd, 0, 0, 0);
}

void clinux_direct_capacities(const struct clinux_direct *direct, struct clinux_direct_sizes *out)
{
	out->objects = direct->objects.count;
	out->records = direct->records.count;
	out->limits = direct->limits.count;
	out->applications = direct->applications.count;
}

static struct postern_object *object_at(struct clinux_direct *direct, uint32_t number)
{
	return number < direct->objects.count ? (struct postern_object *)direct->objects.bytes + number : NULL;
}

static struct postern_association *record_at(struct clinux_direct *direct, uint32_t number)
{
	return number > 0 && number < direct->records.count ?
		       (struct postern_association *)direct->records.bytes + number :
		       NULL;
}

/* Asks the decision function which verdicts a record may keep; last, when everything that it asks about stands. */
static void keep_verdicts(struct clinux_direct *direct, struct postern_association *record)
{
	const struct postern_limits *limits = NULL;

	if (record->limits > 0 && record->limits < direct->limits.count)
		limits = (const struct postern_limits *)direct->limits.bytes + record->limits;
	__atomic_store_n(&record->membership,
			 postern_verdicts_to_keep(object_at(direct, record->object), record, limits), __ATOMIC_SEQ_CST);
}

static void forget_verdicts(struct clinux_direct *direct, struct postern_association *record)
{
	(void)direct;
	__atomic_store_n(&record->membership, 0u, __ATOMIC_SEQ_CST);
}

/* Of all records of an object. */
static void visit_records(struct clinux_direct *direct, uint32_t object,
			  void (*visit)(struct clinux_direct *direct, struct postern_association *record))
{
	for (uint32_t number = 1; number < direct->records.count; number++) {
		struct postern_association *record = record_at(direct, number);

		if (record->object == object && record->state != POSTERN_STATE_FREE)
			visit(direct, record);
	}
}

static void store_object(struct postern_object *place, const struct postern_object *object)
{
	/* What makes older associations void comes first, what lets in new ones last. */
	if (!object->present)
		__atomic_store_n(&place->present, object->present, __ATOMIC_SEQ_CST);
	__atomic_store_n(&place->generation, object->generation, __ATOMIC_SEQ_CST);
	place->id = object->id;
	place->operations = object->operations;
	place->kind = object->kind;
	place->exclusive = object->exclusive;
	place->flags = object->flags;
	place->device = object->device;
	place->inode = object->inode;
	place->range_offset = object->range_offset;
	place->range_length = object->range_length;
	__atomic_store_n(&place->present, object->present, __ATOMIC_SEQ_CST);
}

int clinux_direct_put_object(struct clinux_direct *direct, const struct postern_object *object)
{
	struct postern_object *place = object_at(direct, object->id);
	int was_present;

	if (!place)
		return -ENOSPC;
	was_present = place->present;
	if (was_present)
		visit_records(direct, object->id, forget_verdicts);
	store_object(place, object);
	if (was_present)
		visit_records(direct, object->id, keep_verdicts);
	return 0;
}

int clinux_direct_get_object(struct clinux_direct *direct, uint32_t id, struct postern_object *out)
{
	const struct postern_object *place = object_at(direct, id);

	/* One that was never written has no kind. */
	if (!place || place->id != id || place->kind == 0)
		return -ENOENT;
	*out = *place;
	return 0;
}

int clinux_direct_put_limits(struct clinux_direct *direct, uint32_t number, const struct postern_limits *limits)
{
	if (number == 0 || number >= direct->limits.count)
		return -ENOSPC;
	((struct postern_limits *)direct->limits.bytes)[number] = *limits;
	return 0;
}

int clinux_direct_get_limits(struct clinux_direct *direct, uint32_t number, struct postern_limits *out)
{
	if (number == 0 || number >= direct->limits.count)
		return -ENOENT;
	*out = ((struct postern_limits *)direct->limits.bytes)[number];
	return 0;
}

int clinux_direct_put_application(struct clinux_direct *direct, uint32_t number,
				  const struct postern_direct_application *application)
{
	if (number >= direct->applications.count)
		return -ENOSPC;
	((struct postern_direct_application *)direct->applications.bytes)[number] = *application;
	return 0;
}

int clinux_direct_get_record(struct clinux_direct *direct, uint32_t number, struct postern_association *out)
{
	const struct postern_association *place = record_at(direct, number);

	if (!place || place->state == POSTERN_STATE_FREE)
		return -ENOENT;
	*out = *place;
	return 0;
}

static struct postern_direct_key key_of(const struct postern_association *record)
{
	return (struct postern_direct_key){ .process = record->process, .object = record->object };
}

int clinux_direct_change(struct clinux_direct *direct, uint32_t number, const struct postern_association *record)
{
	struct postern_association *place = record_at(direct, number);

	if (!place)
		return -ENOSPC;
	/* Less authority first: whoever reads in between is refused. */
	forget_verdicts(direct, place);
	if (record->state != POSTERN_STATE_LIVE)
		__atomic_store_n(&place->state, record->state, __ATOMIC_SEQ_CST);
	place->operations = record->operations;
	place->generation = record->generation;
	place->expiry = record->expiry;
	place->limits = record->limits;
	place->on_fork = record->on_fork;
	place->application = record->application;
	place->since = record->since;
	place->path = record->path;
	/* The programs clear FIRST_USE by themselves. */
	place->flags = record->flags;
	__atomic_store_n(&place->state, record->state, __ATOMIC_SEQ_CST);
	keep_verdicts(direct, place);
	return 0;
}

int clinux_direct_add(struct clinux_direct *direct, uint32_t number, const struct postern_association *record)
{
	struct postern_association *place = record_at(direct, number);
	struct postern_direct_key key = key_of(record);
	int error;

	if (!place)
		return -ENOSPC;
	forget_verdicts(direct, place);
	__atomic_store_n(&place->state, (postern_u8)POSTERN_STATE_FREE, __ATOMIC_SEQ_CST);
	place->object = record->object;
	error = clinux_direct_change(direct, number, record);
	if (error != 0)
		return error;
	__atomic_store_n(&place->process.tgid, record->process.tgid, __ATOMIC_SEQ_CST);
	place->process.exec_epoch = record->process.exec_epoch;
	__atomic_store_n(&place->process.start, record->process.start, __ATOMIC_SEQ_CST);
	if (direct->calls->bpf_map_update_elem(direct->maps[DIRECT_ASSOCIATIONS], &key, &number, BPF_ANY) == 0)
		return 0;
	error = -errno;
	memset(place, 0, sizeof(*place));
	return error;
}

int clinux_direct_remove(struct clinux_direct *direct, uint32_t number)
{
	struct postern_association *place = record_at(direct, number);
	int map = direct->maps[DIRECT_ASSOCIATIONS];
	struct postern_direct_key key;
	uint32_t found;

	if (!place)
		return -ENOSPC;
	key = key_of(place);
	forget_verdicts(direct, place);
	__atomic_store_n(&place->state, (postern_u8)POSTERN_STATE_FREE, __ATOMIC_SEQ_CST);
	/* Another record of this process and object may have taken its place. */
	if (direct->calls->bpf_map_lookup_elem(map, &key, &found) == 0 && found == number)
		direct->calls->bpf_map_delete_elem(map, &key);
	/* A tag may go on naming the number: no process is called 0. */
	memset(&place->process, 0, sizeof(place->process));
	place->object = 0;
	return 0;
}

int clinux_direct_wait(void)
{
	/* synchronize_rcu(): programs run in read-side sections. */
	return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0 ? 0 : -errno;
}

int clinux_direct_next_bound(struct clinux_direct *direct, struct postern_direct_key *key,
			     struct postern_association *out)
{
	static const struct postern_direct_key none;
	int map = direct->maps[DIRECT_BOUND];
	struct postern_direct_key next;
	int first = memcmp(key, &none, sizeof(none)) == 0;

	do {
		if (direct->calls->bpf_map_get_next_key(map, first ? NULL : key, &next) != 0)
			return -errno;
		*key = next;
		first = 0;
	} while (direct->calls->bpf_map_lookup_elem(map, key, out) != 0);
	return 0;
}

int clinux_direct_forget_bound(struct clinux_direct *direct, const struct postern_direct_key *key)
{
	return direct->calls->bpf_map_delete_elem(direct->maps[DIRECT_BOUND], key) == 0 ? 0 : -errno;
}

int clinux_direct_events_number(const struct clinux_direct *direct)
{
	return direct->ring ? direct->calls->ring_buffer__epoll_fd(direct->ring) : -1;
}

int clinux_direct_take_events(struct clinux_direct *direct, struct postern_direct_event *out, size_t capacity)
{
	int result;

	if (!direct->ring || capacity == 0)
		return 0;
	direct->taken = out;
	direct->taken_count = 0;
	direct->taken_capacity = capacity;
	result = direct->calls->ring_buffer__consume(direct->ring);
	direct->taken = NULL;
	return result < 0 && result != -ENOBUFS ? result : (int)direct->taken_count;
}

int clinux_direct_counters(struct clinux_direct *direct, uint64_t *out)
{
	int processors = direct->calls->libbpf_num_possible_cpus();
	uint64_t *values;

	if (processors <= 0)
		return processors < 0 ? processors : -EINVAL;
	values = calloc((size_t)processors, sizeof(*values));
	if (!values)
		return -ENOMEM;
	for (uint32_t i = 0; i < POSTERN_COUNTER_COUNT; i++) {
		out[i] = 0;
		if (direct->calls->bpf_map_lookup_elem(direct->maps[DIRECT_COUNTERS], &i, values) != 0) {
			int error = errno;

			free(values);
			return -error;
		}
		for (int processor = 0; processor < processors; processor++)
			out[i] += values[processor];
	}
	free(values);
	return 0;
}

struct postern_direct_control *clinux_direct_control(struct clinux_direct *direct)
{
	return direct->control;
}

int clinux_direct_put_name(struct clinux_direct *direct, uint32_t kind, uint64_t number,
			   const struct postern_direct_name *name)
{
	struct postern_direct_name_key key = { .kind = kind, .number = number };

	return direct->calls->bpf_map_update_elem(direct->maps[DIRECT_NAMES], &key, name, BPF_ANY) == 0 ? 0 : -errno;
}

int clinux_direct_forget_name(struct clinux_direct *direct, uint32_t kind, uint64_t number)
{
	struct postern_direct_name_key key = { .kind = kind, .number = number };

	return direct->calls->bpf_map_delete_elem(direct->maps[DIRECT_NAMES], &key) == 0 ? 0 : -errno;
}

int clinux_direct_next_name(struct clinux_direct *direct, struct postern_direct_name_key *key,
			    struct postern_direct_name *out)
{
	struct postern_direct_name_key next;
	int first = key->kind == 0;

	if (direct->calls->bpf_map_get_next_key(direct->maps[DIRECT_NAMES], first ? NULL : key, &next) != 0)
		return -errno;
	*key = next;
	return direct->calls->bpf_map_lookup_elem(direct->maps[DIRECT_NAMES], key, out) == 0 ? 0 : -errno;
}

int clinux_direct_ask(struct clinux_direct *direct, struct postern_direct_question *question)
{
	LIBBPF_OPTS(bpf_test_run_opts, options);
	int map = direct->maps[DIRECT_QUESTION];
	uint32_t key = 0;

	if (direct->calls->bpf_map_update_elem(map, &key, question, BPF_ANY) != 0)
		return -errno;
	if (direct->calls->bpf_prog_test_run_opts(direct->check, &options) != 0)
		return -errno;
	if (options.retval != 0)
		return -EINVAL;
	return direct->calls->bpf_map_lookup_elem(map, &key, question) == 0 ? 0 : -errno;
}
