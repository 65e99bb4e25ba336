/* SPDX-License-Identifier: Apache-2.0 */
/* Loading, taking over and removing the programs of the path direct. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "direct.h"

const char *const direct_map_names[DIRECT_MAPS] = {
	".data.control", "objects",   "records",	   "limits", "applications", "associations", "bound",    "lineages",
	"socket_tags",	 "file_tags", ".data.cached_tags", "names",  "events",	     "counters",     "question",
};

uint64_t direct_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int direct_fail(struct clinux_direct_failure *failure, enum clinux_direct_stage stage, int error, const char *detail)
{
	failure->stage = stage;
	failure->error = error;
	snprintf(failure->detail, sizeof(failure->detail), "%s", detail);
	return -error;
}

static const struct libbpf_calls *library(struct clinux_direct_failure *failure)
{
	const char *why = "";
	const struct libbpf_calls *calls = clinux_libbpf(&why);

	if (!calls)
		direct_fail(failure, CLINUX_DIRECT_LIBRARY, ENOENT, why);
	return calls;
}

int clinux_direct_probe(struct clinux_direct_failure *failure)
{
	/* r0 = 0; exit */
	const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options);
	const struct libbpf_calls *calls = library(failure);
	int hook;
	int program;

	if (!calls)
		return -ENOENT;
	hook = calls->libbpf_find_vmlinux_btf_id("file_permission", BPF_LSM_MAC);
	if (hook < 0)
		return direct_fail(failure, CLINUX_DIRECT_LOAD, -hook,
				   "the kernel has no type information for LSM programs (CONFIG_BPF_LSM, "
				   "CONFIG_DEBUG_INFO_BTF)");
	options.expected_attach_type = BPF_LSM_MAC;
	options.attach_btf_id = (uint32_t)hook;
	program = calls->bpf_prog_load(BPF_PROG_TYPE_LSM, "postern_probe", "GPL", nothing, 2, &options);
	if (program < 0)
		return direct_fail(failure, CLINUX_DIRECT_LOAD, -program, "a program of type LSM that does nothing");
	close(program);
	return 0;
}

/* FNV-1a over the file, so that the same programs are known again. */
static uint64_t digest_of(const char *path)
{
	uint64_t digest = 0xcbf29ce484222325u;
	unsigned char buffer[16384];
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (file < 0)
		return 0;
	while ((got = read(file, buffer, sizeof(buffer))) > 0)
		for (ssize_t i = 0; i < got; i++)
			digest = (digest ^ buffer[i]) * 0x100000001b3u;
	close(file);
	return got < 0 ? 0 : digest;
}

/* 0: the place is ours. EINVAL: no program answers. */
static int claim(void)
{
	union bpf_attr nothing;

	memset(&nothing, 0, sizeof(nothing));
	if (syscall(SYS_bpf, POSTERN_DIRECT_CLAIM, &nothing, sizeof(nothing)) == 0)
		return EINVAL;
	return errno == POSTERN_DIRECT_DONE ? 0 : errno;
}

static int make_folder(const char *pins, struct clinux_direct_failure *failure)
{
	char parent[PATH_MAX];
	struct statfs system;
	char *slash;

	snprintf(parent, sizeof(parent), "%s", pins);
	slash = strrchr(parent, '/');
	if (!slash || slash == parent)
		return direct_fail(failure, CLINUX_DIRECT_PINS, EINVAL, pins);
	*slash = 0;
	if (statfs(parent, &system) != 0)
		return direct_fail(failure, CLINUX_DIRECT_PINS, errno, parent);
	if ((unsigned long)system.f_type != BPF_FS_MAGIC && mount("bpf", parent, "bpf", 0, "mode=0700") != 0)
		return direct_fail(failure, CLINUX_DIRECT_PINS, errno, "no BPF file system is mounted there");
	if (mkdir(pins, 0700) != 0 && errno != EEXIST)
		return direct_fail(failure, CLINUX_DIRECT_PINS, errno, pins);
	return 0;
}

static void pin_of(const struct clinux_direct *direct, const char *name, char *out, size_t size)
{
	/* Names in a BPF file system have no dot; those of sections begin with .data. */
	snprintf(out, size, "%s/map_%s", direct->pins, name[0] == '.' ? strrchr(name, '.') + 1 : name);
}

static int open_pin(const struct clinux_direct *direct, const char *kind, const char *name)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s_%s", direct->pins, kind, name);
	return direct->calls->bpf_obj_get(path);
}

/* The maps of an earlier broker; ENOENT: there was none. */
static int open_pinned_maps(struct clinux_direct *direct)
{
	for (int i = 0; i < DIRECT_MAPS; i++) {
		char path[PATH_MAX + 64];

		pin_of(direct, direct_map_names[i], path, sizeof(path));
		direct->maps[i] = direct->calls->bpf_obj_get(path);
		if (direct->maps[i] < 0)
			return -errno;
	}
	return 0;
}

static void close_maps(struct clinux_direct *direct)
{
	for (int i = 0; i < DIRECT_MAPS; i++) {
		/* Those of an object belong to it. */
		if (!direct->loaded && direct->maps[i] >= 0)
			close(direct->maps[i]);
		direct->maps[i] = -1;
	}
}

static uint32_t entries(const struct clinux_direct *direct, enum direct_map which, uint32_t wanted)
{
	struct bpf_map_info info;
	__u32 size = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (direct->maps[which] >= 0 && direct->calls->bpf_obj_get_info_by_fd(direct->maps[which], &info, &size) == 0)
		return info.max_entries;
	return wanted;
}

static int prepare(struct clinux_direct *direct, const struct clinux_direct_sizes *sizes, int maps_only)
{
	const struct libbpf_calls *calls = direct->calls;
	const uint32_t wanted[DIRECT_MAPS] = {
		[DIRECT_OBJECTS] = sizes->objects,   [DIRECT_RECORDS] = sizes->records,
		[DIRECT_LIMITS] = sizes->limits,     [DIRECT_APPLICATIONS] = sizes->applications,
		[DIRECT_ASSOCIATIONS] = sizes->records,
	};

	for (int i = 0; i < DIRECT_MAPS; i++) {
		struct bpf_map *map = calls->bpf_object__find_map_by_name(direct->object, direct_map_names[i]);
		char path[PATH_MAX + 64];
		uint32_t count = entries(direct, (enum direct_map)i, wanted[i]);

		if (!map)
			return -ENOENT;
		/* The sizes of fixed maps are the file's. */
		if (wanted[i] && count && calls->bpf_map__set_max_entries(map, count) != 0)
			return -errno;
		pin_of(direct, direct_map_names[i], path, sizeof(path));
		if (!maps_only && calls->bpf_map__set_pin_path(map, path) != 0)
			return -errno;
	}
	return 0;
}

/* Whether the programs were compiled for the maps that this broker writes. */
static int is_same_layout(const struct clinux_direct *direct)
{
	struct bpf_map *map =
		direct->calls->bpf_object__find_map_by_name(direct->object, direct_map_names[DIRECT_CONTROL]);
	const struct postern_direct_control *initial;
	size_t size = 0;

	initial = map ? direct->calls->bpf_map__initial_value(map, &size) : NULL;
	return initial && size >= sizeof(*initial) && initial->layout == POSTERN_DIRECT_LAYOUT;
}

static int open_object(struct clinux_direct *direct, const char *object_file, int maps_only,
		       struct clinux_direct_failure *failure)
{
	int error;

	direct->object = direct->calls->bpf_object__open_file(object_file, NULL);
	if (!direct->object)
		return direct_fail(failure, CLINUX_DIRECT_OBJECT, errno, object_file);
	if (!is_same_layout(direct))
		return direct_fail(failure, CLINUX_DIRECT_OBJECT, EPROTO,
				   "they were made for another version of this broker");
	error = direct_choose_programs(direct, maps_only);
	return error == 0 ? 0 : direct_fail(failure, CLINUX_DIRECT_OBJECT, -error, object_file);
}

static int load(struct clinux_direct *direct, const struct clinux_direct_sizes *sizes, int maps_only,
		struct clinux_direct_failure *failure)
{
	const struct libbpf_calls *calls = direct->calls;
	struct bpf_program *program = NULL;
	int inherited[DIRECT_MAPS];
	uint64_t start = direct_now();
	int error;

	error = prepare(direct, sizes, maps_only);
	memcpy(inherited, direct->maps, sizeof(inherited));
	if (error == 0)
		error = calls->bpf_object__load(direct->object);
	for (int i = 0; i < DIRECT_MAPS; i++)
		if (inherited[i] >= 0)
			close(inherited[i]);
	if (error != 0)
		return direct_fail(failure, CLINUX_DIRECT_LOAD, -error, "the programs of this version");
	direct->loaded = 1;
	for (int i = 0; i < DIRECT_MAPS; i++)
		direct->maps[i] =
			calls->bpf_map__fd(calls->bpf_object__find_map_by_name(direct->object, direct_map_names[i]));
	while ((program = calls->bpf_object__next_program(direct->object, program)))
		direct->programs += calls->bpf_program__autoload(program) ? 1 : 0;
	direct->check = calls->bpf_program__fd(calls->bpf_object__find_program_by_name(direct->object, "direct_check"));
	if (!maps_only)
		direct->identity = calls->bpf_program__fd(
			calls->bpf_object__find_program_by_name(direct->object, "direct_identity"));
	direct->load_ns = direct_now() - start;
	return 0;
}

/* Who is to be let through: the one that loads, once its name in the kernel is known. */
static int become_broker(struct clinux_direct *direct)
{
	struct postern_process self;
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	int error;

	if (pidfd < 0)
		return -errno;
	error = clinux_direct_identity(direct, pidfd, &self);
	close(pidfd);
	if (error != 0)
		return error;
	clinux_direct_name_hands(direct, -1);
	direct->control->broker = self;
	__atomic_store_n(&direct->control->alive, 1u, __ATOMIC_SEQ_CST);
	return 0;
}

/* Pins the two programs that are not attached to a hook, so that a broker of the same version need not load anything. */
static int pin_programs(struct clinux_direct *direct)
{
	const struct {
		const char *name;
		int program;
	} pinned[] = { { "direct_identity", direct->identity }, { "direct_check", direct->check } };

	for (size_t i = 0; i < sizeof(pinned) / sizeof(*pinned); i++) {
		char path[PATH_MAX + 64];

		snprintf(path, sizeof(path), "%s/program_%s", direct->pins, pinned[i].name);
		unlink(path);
		if (direct->calls->bpf_obj_pin(pinned[i].program, path) != 0)
			return -errno;
	}
	return 0;
}

/* The maps are open; 1: the programs need not be loaded again. */
static int take_over(struct clinux_direct *direct, uint64_t digest)
{
	if (!digest || direct->control->program_digest != digest)
		return 0;
	/* What is not attached yet can only be attached by who has loaded it. */
	for (int which = CLINUX_DIRECT_GUARDS; which <= CLINUX_DIRECT_SOCKETS; which++)
		if (!direct_links_are_pinned(direct, (enum clinux_direct_class)which))
			return 0;
	direct->identity = open_pin(direct, "program", "direct_identity");
	direct->check = open_pin(direct, "program", "direct_check");
	return direct->identity >= 0 && direct->check >= 0;
}

static int open_pinned(struct clinux_direct *direct, const char *object_file, const struct clinux_direct_sizes *sizes,
		       struct clinux_direct_failure *failure)
{
	uint64_t digest = digest_of(object_file);
	int claimed = claim();
	int error;

	if (claimed != 0 && claimed != EINVAL)
		return direct_fail(failure, CLINUX_DIRECT_CLAIM, claimed, "");
	error = make_folder(direct->pins, failure);
	if (error == 0)
		error = open_object(direct, object_file, 0, failure);
	if (error != 0)
		return error;
	error = open_pinned_maps(direct);
	if (error == 0) {
		direct->inherited = 1;
		error = direct_map_everything(direct, 0);
		if (error != 0)
			return direct_fail(failure, CLINUX_DIRECT_PINS, -error, "the pinned maps cannot be mapped");
		if (direct->control->layout != POSTERN_DIRECT_LAYOUT)
			return direct_fail(failure, CLINUX_DIRECT_LAYOUT, EPROTO, "");
		if (take_over(direct, digest))
			return 0;
		direct_unmap_everything(direct);
	} else if (claimed == 0) {
		/* Programs answer, and their maps are not there: not this folder's. */
		return direct_fail(failure, CLINUX_DIRECT_PINS, -error, "the programs that run have other pins");
	} else {
		close_maps(direct);
	}
	error = load(direct, sizes, 0, failure);
	if (error != 0)
		return error;
	error = direct_map_everything(direct, 0);
	if (error != 0)
		return direct_fail(failure, CLINUX_DIRECT_LOAD, -error, "the maps cannot be mapped");
	error = become_broker(direct);
	if (error == 0)
		error = pin_programs(direct);
	if (error != 0)
		return direct_fail(failure, CLINUX_DIRECT_LOAD, -error, "direct_identity");
	error = direct_guard(direct);
	if (error != 0)
		return direct_fail(failure, CLINUX_DIRECT_PINS, -error, direct->pins);
	for (int which = CLINUX_DIRECT_GUARDS; which <= CLINUX_DIRECT_SOCKETS; which++) {
		/* Beside the older ones, which go when these stand: no moment without. */
		if (which != CLINUX_DIRECT_GUARDS &&
		    !direct_links_are_pinned(direct, (enum clinux_direct_class)which))
			continue;
		error = clinux_direct_attach(direct, (enum clinux_direct_class)which, failure);
		if (error != 0)
			return error;
	}
	direct->control->program_digest = digest;
	return 0;
}

int clinux_direct_open(const char *object_file, const char *pins, const struct clinux_direct_sizes *sizes, int maps_only,
		       struct clinux_direct **out, struct clinux_direct_failure *failure)
{
	const struct libbpf_calls *calls = library(failure);
	struct clinux_direct *direct;
	int error;

	if (!calls)
		return -ENOENT;
	direct = calloc(1, sizeof(*direct));
	if (!direct)
		return direct_fail(failure, CLINUX_DIRECT_LOAD, ENOMEM, "");
	direct->calls = calls;
	direct->identity = -1;
	direct->check = -1;
	for (int i = 0; i < DIRECT_MAPS; i++)
		direct->maps[i] = -1;
	snprintf(direct->pins, sizeof(direct->pins), "%s", pins ? pins : "");
	if (maps_only) {
		error = open_object(direct, object_file, 1, failure);
		if (error == 0)
			error = load(direct, sizes, 1, failure);
		if (error == 0)
			error = direct_map_everything(direct, 1);
	} else {
		error = open_pinned(direct, object_file, sizes, failure);
	}
	if (error != 0) {
		clinux_direct_close(direct);
		return error;
	}
	*out = direct;
	return 0;
}

void clinux_direct_close(struct clinux_direct *direct)
{
	direct_unmap_everything(direct);
	close_maps(direct);
	if (!direct->loaded && direct->identity >= 0)
		close(direct->identity);
	if (!direct->loaded && direct->check >= 0)
		close(direct->check);
	if (direct->object)
		direct->calls->bpf_object__close(direct->object);
	free(direct->taken);
	free(direct);
}

int clinux_direct_unload(const char *pins)
{
	int claimed = claim();
	struct dirent *entry;
	DIR *folder;

	if (claimed != 0 && claimed != EINVAL)
		return -claimed;
	folder = opendir(pins);
	if (!folder)
		return -errno;
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.' && unlinkat(dirfd(folder), entry->d_name, 0) != 0) {
			int error = errno;

			closedir(folder);
			return -error;
		}
	closedir(folder);
	if (rmdir(pins) != 0)
		return -errno;
	/* Links go some time after their last pin, and until then their programs answer. */
	for (int i = 0; i < 500 && claim() == 0; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	return 0;
}

int clinux_direct_is_inherited(const struct clinux_direct *direct)
{
	return direct->inherited;
}

void clinux_direct_counts(const struct clinux_direct *direct, uint32_t *programs, uint32_t *attached, uint32_t *maps,
			  uint64_t *load_ns, uint64_t *attach_ns)
{
	*programs = direct->programs;
	*attached = direct->attached;
	*maps = DIRECT_MAPS;
	*load_ns = direct->load_ns;
	*attach_ns = direct->attach_ns;
}
