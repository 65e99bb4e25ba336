/* SPDX-License-Identifier: Apache-2.0 */
#include "stand.h"

#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

struct stand stand;
uint32_t stand_capacity;
bool stand_owned;
int failures;
static struct ring_buffer *ring;
static struct bpf_link *identities;
static uint32_t next_record = 1;

void die(const char *what)
{
	printf("FAIL %s: %s\n", what, strerror(errno));
	exit(1);
}

double seconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

uint64_t boottime(void)
{
	struct timespec time;

	clock_gettime(CLOCK_BOOTTIME, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

bool kernel_is_at_least(int major, int minor)
{
	struct utsname name;
	int has_major = 0, has_minor = 0;

	uname(&name);
	sscanf(name.release, "%d.%d", &has_major, &has_minor);
	return has_major > major || (has_major == major && has_minor >= minor);
}

const char *named(long result)
{
	static char texts[16][32];
	static int next;
	char *text = texts[next++ % 16];
	const char *name = result < 0 ? strerrorname_np((int)-result) : NULL;

	if (name)
		snprintf(text, sizeof(texts[0]), "%s", name);
	else
		snprintf(text, sizeof(texts[0]), "%ld", result);
	return text;
}

void report(bool good, const char *name, const char *format, ...)
{
	const char *way = stand_owned ? "owner, " : "";
	va_list list;

	if (good) {
		printf("ok %s%s\n", way, name);
	} else {
		printf("FAIL %s%s: ", way, name);
		va_start(list, format);
		vprintf(format, list);
		va_end(list);
		printf("\n");
		failures++;
	}
	fflush(stdout);
}

void skip(const char *name, const char *why)
{
	printf("skip %s: %s\n", name, why);
	fflush(stdout);
}

static void *map_of(const char *name, int *fd)
{
	struct bpf_map *map = bpf_object__find_map_by_name(stand.object, name);
	size_t size;
	void *memory;

	if (!map)
		die(name);
	*fd = bpf_map__fd(map);
	if (bpf_map__type(map) != BPF_MAP_TYPE_ARRAY || !(bpf_map__map_flags(map) & BPF_F_MMAPABLE))
		return NULL;
	size = ((bpf_map__value_size(map) + 7) / 8 * 8 * bpf_map__max_entries(map) + 4095) / 4096 * 4096;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (memory == MAP_FAILED)
		die(name);
	return memory;
}

static bool is_listed(const char *names, const char *program)
{
	size_t length = strlen(program);

	for (const char *at = names; (at = strstr(at, program)); at += length)
		if ((at == names || at[-1] == ' ') && (at[length] == 0 || at[length] == ' '))
			return true;
	return false;
}

static void attach(int i)
{
	stand.links[i] = bpf_program__attach(stand.programs[i]);
	if (!stand.links[i])
		die(bpf_program__name(stand.programs[i]));
}

void stand_detach(const char *names)
{
	for (int i = 0; i < stand.link_count; i++)
		if (stand.links[i] && is_listed(names, bpf_program__name(stand.programs[i]) + 7)) {
			bpf_link__destroy(stand.links[i]);
			stand.links[i] = NULL;
		}
}

void stand_attach(const char *names)
{
	for (int i = 0; i < stand.link_count; i++)
		if (!stand.links[i] && is_listed(names, bpf_program__name(stand.programs[i]) + 7))
			attach(i);
}

static int take_event(void *context, void *data, size_t size)
{
	void **pair = context;
	void (*each)(const struct postern_direct_event *, void *) = pair[0];

	(void)size;
	if (each)
		each(data, pair[1]);
	return 0;
}

static void *event_context[2];

int drain(void (*each)(const struct postern_direct_event *event, void *context), void *context)
{
	event_context[0] = each;
	event_context[1] = context;
	return ring_buffer__consume(ring);
}

int stand_claim(void)
{
	return (int)ERR(syscall(SYS_bpf, POSTERN_DIRECT_CLAIM, NULL, 0));
}

/* What the object file leaves to the loader, by a ? before the section's name, is there for kernels that have the hook. */
static void choose_programs(void)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, stand.object) {
		const char *section = bpf_program__section_name(program);

		if (!bpf_program__autoload(program))
			bpf_program__set_autoload(program, libbpf_find_vmlinux_btf_id(strchr(section, '/') + 1,
										     BPF_LSM_MAC) > 0);
	}
}

static void attach_all(void)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, stand.object) {
		const char *section = bpf_program__section_name(program);

		if (!bpf_program__autoload(program) || (!strstr(section, "lsm/") && !strstr(section, "tp_btf/")))
			continue;
		stand.programs[stand.link_count] = program;
		attach(stand.link_count++);
	}
}

void stand_open(const char *path)
{
	double start = seconds();
	int events, unused;

	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	stand.object = bpf_object__open_file(path, NULL);
	if (!stand.object)
		die(path);
	choose_programs();
	if (stand_capacity) {
		bpf_map__set_max_entries(bpf_object__find_map_by_name(stand.object, "records"), stand_capacity);
		bpf_map__set_max_entries(bpf_object__find_map_by_name(stand.object, "associations"), stand_capacity);
	}
	if (bpf_object__load(stand.object))
		die("load");
	stand.load_seconds = seconds() - start;
	stand.control = map_of(".data.control", &unused);
	stand.objects = map_of("objects", &unused);
	stand.records = map_of("records", &unused);
	stand.limits = map_of("limits", &unused);
	stand.applications = map_of("applications", &unused);
	map_of("associations", &stand.associations);
	map_of("bound", &stand.bound);
	map_of("lineages", &stand.lineages);
	map_of("file_tags", &stand.file_tags);
	map_of("counters", &stand.counters);
	map_of("events", &events);
	stand.processors = libbpf_num_possible_cpus();
	ring = ring_buffer__new(events, take_event, event_context, NULL);
	if (!ring)
		die("events");
	start = seconds();
	attach_all();
	stand.attach_seconds = seconds() - start;
	if (stand_claim() != -POSTERN_DIRECT_DONE)
		die("claim");
}

void identify(pid_t pid, struct postern_process *process)
{
	struct bpf_program *program = bpf_object__find_program_by_name(stand.object, "direct_identity");
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	union bpf_iter_link_info info = { .task.pid_fd = (__u32)pidfd };
	DECLARE_LIBBPF_OPTS(bpf_iter_attach_opts, options, .link_info = &info, .link_info_len = sizeof(info));
	int iterator;

	identities = bpf_program__attach_iter(program, &options);
	if (pidfd < 0 || !identities)
		die("identity");
	iterator = bpf_iter_create(bpf_link__fd(identities));
	if (iterator < 0 || read(iterator, process, sizeof(*process)) != sizeof(*process))
		die("identity");
	close(iterator);
	bpf_link__destroy(identities);
	close(pidfd);
}

void define_object(uint32_t object, uint32_t kind)
{
	struct postern_object *defined = &stand.objects[object];

	memset(defined, 0, sizeof(*defined));
	defined->id = object;
	defined->generation = 1;
	defined->operations = ALL_OPERATIONS;
	defined->kind = (uint8_t)kind;
	defined->present = 1;
	defined->range_length = UINT64_MAX;
}

long tag(int fd, uint32_t object, uint32_t owner, uint32_t flags)
{
	long result;

	stand.control->pending = (struct postern_tag){ .object = object, .owner = owner, .flags = flags };
	result = ERR(ioctl(fd, POSTERN_DIRECT_TAG, 0));
	return result == -POSTERN_DIRECT_DONE ? 0 : result ? result : -EIO;
}

uint32_t associate_process(const struct postern_process *process, uint32_t object, uint32_t operations)
{
	struct postern_direct_key key = { .process = *process, .object = object };
	uint32_t number = next_record++;
	struct postern_association *record = &stand.records[number];

	memset(record, 0, sizeof(*record));
	record->process = *process;
	record->object = object;
	record->generation = stand.objects[object].generation;
	record->operations = operations;
	record->path = POSTERN_PATH_DIRECT;
	record->limits = 1;
	record->application = 1;
	record->since = 1;
	__sync_synchronize();
	record->state = POSTERN_STATE_LIVE;
	if (bpf_map_update_elem(stand.associations, &key, &number, BPF_ANY))
		die("associate");
	return number;
}

void keep_verdicts(uint32_t number)
{
	struct postern_association *record = &stand.records[number];

	record->membership =
		postern_verdicts_to_keep(&stand.objects[record->object], record, &stand.limits[record->limits]);
}

uint32_t owner_to_name(void)
{
	return stand_owned ? 1 : 0;
}

void keep_if_owned(uint32_t number)
{
	if (stand_owned)
		keep_verdicts(number);
}

void revoke_record(uint32_t number)
{
	stand.records[number].membership = 0;
	stand.records[number].state = POSTERN_STATE_REVOKED;
}

uint32_t associate(pid_t pid, uint32_t object, uint32_t operations)
{
	struct postern_process process;

	identify(pid, &process);
	return associate_process(&process, object, operations);
}

void note(pid_t pid, uint32_t flags)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct postern_direct_lineage lineage = { 0 };
	struct postern_process process;

	identify(pid, &process);
	bpf_map_lookup_elem(stand.lineages, &pidfd, &lineage);
	lineage.exec_epoch = process.exec_epoch;
	lineage.flags |= flags;
	if (bpf_map_update_elem(stand.lineages, &pidfd, &lineage, BPF_ANY))
		die("lineage");
	close(pidfd);
}

void hold(pid_t pid, uint32_t flags)
{
	note(pid, POSTERN_LINEAGE_HOLDS | flags);
}

void clear(void)
{
	struct postern_direct_key key;

	while (!bpf_map_get_next_key(stand.associations, NULL, &key))
		bpf_map_delete_elem(stand.associations, &key);
	while (!bpf_map_get_next_key(stand.bound, NULL, &key))
		bpf_map_delete_elem(stand.bound, &key);
	memset(stand.records, 0, next_record * sizeof(*stand.records));
	next_record = 1;
}

uint64_t counted(uint32_t counter)
{
	uint64_t values[64] = { 0 };
	uint64_t sum = 0;

	if (bpf_map_lookup_elem(stand.counters, &counter, values))
		die("counters");
	for (int i = 0; i < stand.processors && i < 64; i++)
		sum += values[i];
	return sum;
}

uint64_t counted_refusals(void)
{
	uint64_t sum = 0;

	for (uint32_t reason = 1; reason < POSTERN_REASON_COUNT; reason++)
		sum += counted(reason);
	return sum;
}
