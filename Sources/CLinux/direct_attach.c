/* SPDX-License-Identifier: Apache-2.0 */
/* Links of the programs to their hooks, and what the guards are to guard. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "direct.h"

static int starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* Of a program that is attached to a hook, by its section; -1: it is none. */
static int class_of(const char *section)
{
	const char *const files[] = { "lsm/file_", "lsm/mmap_file", "lsm/uring_cmd", "lsm/path_truncate" };

	if (starts_with(section, "tp_btf/"))
		return CLINUX_DIRECT_GUARDS;
	if (!starts_with(section, "lsm/"))
		return -1;
	if (starts_with(section, "lsm/socket_") || starts_with(section, "lsm/unix_") || starts_with(section, "lsm/sk_"))
		return CLINUX_DIRECT_SOCKETS;
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (starts_with(section, files[i]))
			return CLINUX_DIRECT_FILES;
	return CLINUX_DIRECT_GUARDS;
}

int direct_choose_programs(struct clinux_direct *direct, int maps_only)
{
	const struct libbpf_calls *calls = direct->calls;
	struct bpf_program *program = NULL;

	while ((program = calls->bpf_object__next_program(direct->object, program))) {
		const char *section = calls->bpf_program__section_name(program);
		int wanted = 1;

		if (maps_only)
			wanted = strcmp(calls->bpf_program__name(program), "direct_check") == 0;
		else if (!calls->bpf_program__autoload(program))
			/* A hook that some kernels do not have, and then do not need. */
			wanted = calls->libbpf_find_vmlinux_btf_id(section + strlen("lsm/"), BPF_LSM_MAC) > 0;
		if (calls->bpf_program__set_autoload(program, wanted) != 0)
			return -errno;
	}
	return 0;
}

/* The next program of a class that this kernel has the hook of. */
static struct bpf_program *next_of(const struct clinux_direct *direct, enum clinux_direct_class which,
				   struct bpf_program *program)
{
	do
		program = direct->calls->bpf_object__next_program(direct->object, program);
	while (program && (!direct->calls->bpf_program__autoload(program) ||
			   class_of(direct->calls->bpf_program__section_name(program)) != (int)which));
	return program;
}

static void link_pin(const struct clinux_direct *direct, const char *name, const char *suffix, char *out, size_t size)
{
	snprintf(out, size, "%s/link_%s%s", direct->pins, name, suffix);
}

int direct_links_are_pinned(const struct clinux_direct *direct, enum clinux_direct_class which)
{
	struct bpf_program *program = NULL;

	while ((program = next_of(direct, which, program))) {
		char path[PATH_MAX + 64];

		link_pin(direct, direct->calls->bpf_program__name(program), "", path, sizeof(path));
		if (access(path, F_OK) != 0)
			return 0;
	}
	return 1;
}

/* The number of the program that a pinned link runs, or 0. */
static __u32 program_of(const struct clinux_direct *direct, const char *pin)
{
	struct bpf_link_info info;
	__u32 size = sizeof(info);
	int link = direct->calls->bpf_obj_get(pin);

	if (link < 0)
		return 0;
	memset(&info, 0, sizeof(info));
	if (direct->calls->bpf_obj_get_info_by_fd(link, &info, &size) != 0)
		info.prog_id = 0;
	close(link);
	return info.prog_id;
}

/* The number of the program that a pinned link runs, if it is the very one that is loaded here; else 0. */
static __u32 same_program(const struct clinux_direct *direct, const char *pin, int program)
{
	union bpf_attr attributes;
	struct bpf_prog_info mine;
	struct bpf_prog_info theirs;
	__u32 size = sizeof(mine);
	__u32 linked = program_of(direct, pin);
	int other;
	int same = 0;

	if (!linked)
		return 0;
	memset(&attributes, 0, sizeof(attributes));
	memset(&mine, 0, sizeof(mine));
	memset(&theirs, 0, sizeof(theirs));
	attributes.prog_id = linked;
	other = (int)syscall(SYS_bpf, BPF_PROG_GET_FD_BY_ID, &attributes, sizeof(attributes));
	if (other < 0)
		return 0;
	if (direct->calls->bpf_obj_get_info_by_fd(program, &mine, &size) == 0) {
		size = sizeof(theirs);
		same = direct->calls->bpf_obj_get_info_by_fd(other, &theirs, &size) == 0 &&
		       memcmp(mine.tag, theirs.tag, sizeof(mine.tag)) == 0;
	}
	close(other);
	return same ? linked : 0;
}

/* Links of LSM programs cannot be updated: the new one stands beside the old one before that goes. */
static int attach(struct clinux_direct *direct, struct bpf_program *program)
{
	const char *name = direct->calls->bpf_program__name(program);
	char fresh[PATH_MAX + 64];
	char pin[PATH_MAX + 64];
	struct bpf_link *link;
	int error = 0;

	link_pin(direct, name, "", pin, sizeof(pin));
	link_pin(direct, name, "_next", fresh, sizeof(fresh));
	if (same_program(direct, pin, direct->calls->bpf_program__fd(program)))
		return 0;
	link = direct->calls->bpf_program__attach(program);
	if (!link)
		return -errno;
	unlink(fresh);
	error = direct->calls->bpf_link__pin(link, fresh);
	if (error == 0) {
		unlink(pin);
		if (rename(fresh, pin) != 0)
			error = -errno;
	}
	/* The pin holds it; an error leaves the older one, if there was one, where it was. */
	direct->calls->bpf_link__destroy(link);
	return error;
}

int clinux_direct_attach(struct clinux_direct *direct, enum clinux_direct_class which,
			 struct clinux_direct_failure *failure)
{
	struct bpf_program *program = NULL;
	uint64_t start = direct_now();

	if (!direct->loaded) {
		if (direct_links_are_pinned(direct, which))
			return 0;
		return direct_fail(failure, CLINUX_DIRECT_ATTACH, ENOENT, "programs that were not loaded");
	}
	while ((program = next_of(direct, which, program))) {
		int error = attach(direct, program);

		if (error != 0)
			return direct_fail(failure, CLINUX_DIRECT_ATTACH, -error,
					   direct->calls->bpf_program__name(program));
		direct->attached++;
	}
	direct->attach_ns += direct_now() - start;
	return 0;
}

int clinux_direct_detach(struct clinux_direct *direct, enum clinux_direct_class which)
{
	struct bpf_program *program = NULL;

	while ((program = next_of(direct, which, program))) {
		char pin[PATH_MAX + 64];

		link_pin(direct, direct->calls->bpf_program__name(program), "", pin, sizeof(pin));
		if (unlink(pin) != 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

/*
 * Of each program the one that is to run: where `attach` keeps a link, the one that an earlier broker has loaded. The copy of
 * it that is loaded here is attached to nothing.
 */
static int guard_programs(struct clinux_direct *direct)
{
	struct postern_direct_control *control = direct->control;
	struct bpf_program *program = NULL;
	__u32 count = 0;

	while ((program = direct->calls->bpf_object__next_program(direct->object, program))) {
		const int number = direct->calls->bpf_program__fd(program);
		char pin[PATH_MAX + 64];
		struct bpf_prog_info info;
		__u32 size = sizeof(info);
		__u32 kept;

		if (!direct->calls->bpf_program__autoload(program))
			continue;
		memset(&info, 0, sizeof(info));
		if (count >= POSTERN_DIRECT_GUARDED || direct->calls->bpf_obj_get_info_by_fd(number, &info, &size) != 0)
			return -ENOSPC;
		link_pin(direct, direct->calls->bpf_program__name(program), "", pin, sizeof(pin));
		kept = same_program(direct, pin, number);
		control->guarded_programs[count++] = kept ? kept : info.id;
	}
	control->guarded_programs_count = count;
	return 0;
}

int direct_guard(struct clinux_direct *direct)
{
	struct postern_direct_control *control = direct->control;
	struct stat folder;
	int error;

	if (stat(direct->pins, &folder) != 0)
		return -errno;
	for (int i = 0; i < DIRECT_MAPS; i++) {
		struct bpf_map_info info;
		__u32 size = sizeof(info);

		memset(&info, 0, sizeof(info));
		if (direct->calls->bpf_obj_get_info_by_fd(direct->maps[i], &info, &size) != 0)
			return -errno;
		control->guarded_maps[i] = info.id;
	}
	control->guarded_maps_count = DIRECT_MAPS;
	error = guard_programs(direct);
	if (error != 0)
		return error;
	/* As the kernel numbers devices: major << 20 | minor. */
	control->pins_device = major(folder.st_dev) << 20 | minor(folder.st_dev);
	control->pins_inode = folder.st_ino;
	return 0;
}
