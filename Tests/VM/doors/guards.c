/* SPDX-License-Identifier: Apache-2.0 */
/* What root who is not the broker can do to the programs, their maps and pins, and to the broker's place. */
#include "attacks.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#define PINS "/sys/fs/bpf/doors"

static uint32_t map_id, program_id, link_id;

long as_stranger(long (*act)(void *))
{
	return in_child(act, NULL);
}

void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void guard_all(void)
{
	struct bpf_program *program;
	struct bpf_map *map;
	struct stat status;
	char path[128];

	mkdir(PINS, 0700);
	bpf_object__for_each_map(map, stand.object) {
		struct bpf_map_info info = { 0 };
		__u32 length = sizeof(info);

		bpf_obj_get_info_by_fd(bpf_map__fd(map), &info, &length);
		stand.control->guarded_maps[stand.control->guarded_maps_count++] = info.id;
		map_id = info.id;
	}
	bpf_object__for_each_program(program, stand.object) {
		struct bpf_prog_info info = { 0 };
		__u32 length = sizeof(info);

		if (bpf_program__fd(program) < 0)
			continue;
		bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &length);
		stand.control->guarded_programs[stand.control->guarded_programs_count++] = info.id;
		program_id = info.id;
	}
	for (int i = 0; i < 2; i++) {
		struct bpf_link_info info = { 0 };
		__u32 length = sizeof(info);

		bpf_obj_get_info_by_fd(bpf_link__fd(stand.links[i]), &info, &length);
		link_id = info.id;
		snprintf(path, sizeof(path), PINS "/link%d", i);
		if (bpf_obj_pin(bpf_link__fd(stand.links[i]), path))
			die(path);
	}
	if (bpf_obj_pin(stand.associations, PINS "/associations") || stat(PINS, &status))
		die(PINS);
	stand.control->pins_device = (uint32_t)(major(status.st_dev) << 20 | minor(status.st_dev));
	stand.control->pins_inode = status.st_ino;
}

static long map_by_id(void *context)
{
	(void)context;
	return ERR(bpf_map_get_fd_by_id(map_id));
}

static long program_by_id(void *context)
{
	(void)context;
	return ERR(bpf_prog_get_fd_by_id(program_id));
}

static long link_by_id(void *context)
{
	(void)context;
	return ERR(bpf_link_get_fd_by_id(link_id));
}

static long map_by_pin(void *context)
{
	(void)context;
	return ERR(bpf_obj_get(PINS "/associations"));
}

static long own_map(void *context)
{
	(void)context;
	return ERR(bpf_map_create(BPF_MAP_TYPE_ARRAY, "own", 4, 4, 1, NULL));
}

static long link_by_pin(void)
{
	return ERR(bpf_obj_get(PINS "/link0"));
}

static long update_link(void *context)
{
	long link = link_by_pin();

	(void)context;
	return link < 0 ? link : ERR(bpf_link_update((int)link, bpf_program__fd(stand.programs[1]), NULL));
}

static long detach_link(void *context)
{
	long link = link_by_pin();

	(void)context;
	return link < 0 ? link : ERR(bpf_link_detach((int)link));
}

static long unlink_pin(void *context)
{
	(void)context;
	return ERR(unlink(PINS "/link0"));
}

static long rename_pin(void *context)
{
	(void)context;
	return ERR(rename(PINS "/link0", "/sys/fs/bpf/elsewhere"));
}

static long rename_folder(void *context)
{
	(void)context;
	return ERR(rename(PINS, "/sys/fs/bpf/elsewhere"));
}

static long exchange_folder(void *context)
{
	(void)context;
	mkdir("/sys/fs/bpf/other", 0700);
	return ERR(syscall(SYS_renameat2, AT_FDCWD, "/sys/fs/bpf/other", AT_FDCWD, PINS, 2));
}

static long unmount(void *context)
{
	(void)context;
	return ERR(umount2("/sys/fs/bpf", MNT_DETACH));
}

static void test_things(void)
{
	uint64_t before = counted(POSTERN_COUNTER_GUARDED);

	expect("a map by number: refused", as_stranger(map_by_id), -EPERM);
	expect("a program by number: refused", as_stranger(program_by_id), -EPERM);
	expect("a link by number: refused", as_stranger(link_by_id), -EPERM);
	expect("a map by its pin: refused", as_stranger(map_by_pin), -EPERM);
	report(counted(POSTERN_COUNTER_GUARDED) - before == 4, "each of them was counted", "%d",
	       (int)(counted(POSTERN_COUNTER_GUARDED) - before));
	expect("a map of one's own is", as_stranger(own_map), 0);
	expect("a link by its pin cannot be updated", as_stranger(update_link), -EINVAL);
	expect("a link by its pin cannot be detached", as_stranger(detach_link), -EOPNOTSUPP);
	expect("a pin is not unlinked", as_stranger(unlink_pin), -EPERM);
	expect("a pin is not renamed", as_stranger(rename_pin), -EPERM);
	expect("the folder of the pins is not renamed", as_stranger(rename_folder), -EPERM);
	expect("the folder of the pins is not exchanged", as_stranger(exchange_folder), -EPERM);
	expect("their file system is not unmounted", as_stranger(unmount), -EPERM);
	expect("the broker has a map by number", map_by_id(NULL), 0);
	stand_detach("guard_map guard_program guard_call");
	expect("twin, without their hooks a stranger has the map", as_stranger(map_by_id), 0);
	expect("twin, and the program", as_stranger(program_by_id), 0);
	expect("twin, and the link", as_stranger(link_by_id), 0);
	stand_attach("guard_map guard_program guard_call");
	stand_detach("guard_unlink");
	expect("twin, without its hook a stranger unlinks a pin", as_stranger(unlink_pin), 0);
	stand_attach("guard_unlink");
}

static long claim(void *context)
{
	(void)context;
	return stand_claim();
}

static long claim_as_nobody(void *context)
{
	(void)context;
	if (setresuid(65534, 65534, 65534))
		return -EIO;
	return stand_claim();
}

static long claim_in_namespace(void *context)
{
	(void)context;
	if (setresuid(65534, 65534, 65534) || unshare(CLONE_NEWUSER))
		return -EIO;
	return stand_claim();
}

/* In each of two: whether it got it. */
static int claim_twice(void)
{
	int *start = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	volatile int *won = start + 8;
	pid_t pids[2];
	int sum = 0;

	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			while (!*(volatile int *)start)
				;
			won[i] = stand_claim() == -POSTERN_DIRECT_DONE;
			/* It lives until the other one has tried. */
			usleep(200000);
			_exit(0);
		}
	}
	*(volatile int *)start = 1;
	for (int i = 0; i < 2; i++) {
		waitpid(pids[i], NULL, 0);
		sum += won[i];
	}
	return sum;
}

/* This process is the broker of all of it: what comes after it has given that up is tried from its child. */
static void test_claims(void)
{
	int once = 0, status;
	pid_t broker;

	expect("a claim while the broker lives: refused", as_stranger(claim), -EBUSY);
	/* As if it had ended; it claims again in the end. */
	stand.control->alive = 0;
	expect("a claim without CAP_SYS_ADMIN: refused", as_stranger(claim_as_nobody), -EPERM);
	expect("a claim from a user namespace: refused", as_stranger(claim_in_namespace), -EPERM);
	broker = fork();
	if (broker == 0) {
		if (stand_claim() != -POSTERN_DIRECT_DONE)
			_exit(1);
		raise(SIGSTOP);
		pause();
	}
	waitpid(broker, &status, WUNTRACED);
	expect("another broker's place is not this one's", stand_claim(), -EBUSY);
	kill(broker, SIGKILL);
	for (int i = 0; i < 1000 && stand.control->alive; i++)
		usleep(1000);
	expect("after kill -9, while it is a zombie, the place is free", stand_claim(), -POSTERN_DIRECT_DONE);
	waitpid(broker, NULL, 0);
	stand.control->alive = 0;
	broker = fork();
	if (broker == 0) {
		if (stand_claim() != -POSTERN_DIRECT_DONE)
			_exit(1);
		execl("/bin/sleep", "sleep", "5", (char *)NULL);
	}
	for (int i = 0; i < 2000 && (!stand.control->alive || stand.control->broker.tgid != (uint32_t)broker); i++)
		usleep(1000);
	for (int i = 0; i < 2000 && stand.control->alive; i++)
		usleep(1000);
	expect("when the broker executes something, the place is free", stand_claim(), -POSTERN_DIRECT_DONE);
	end(broker);
	for (int i = 0; i < 20; i++) {
		stand.control->alive = 0;
		once += claim_twice() == 1;
	}
	report(once == 20, "of two that claim at once, one gets it", "%d of 20", once);
	stand.control->alive = 0;
	if (stand_claim() != -POSTERN_DIRECT_DONE)
		die("claim");
}

void test_guards(void)
{
	clear();
	guard_all();
	test_things();
	test_tracing();
	test_claims();
	/* So that what is pinned goes with this process. */
	unlink(PINS "/link0");
	unlink(PINS "/link1");
	unlink(PINS "/associations");
	rmdir(PINS);
}
