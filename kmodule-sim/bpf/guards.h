/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guards of the programs and maps themselves, and of the processes that a stranger could work through: while they stand,
 * root has no way to them but to end the broker and take its place.
 */
#ifndef POSTERN_GUARDS_H
#define POSTERN_GUARDS_H

#include "files.h"

#define EPERM 1

/* bpf(2) commands. */
#define BPF_LINK_GET_FD_BY_ID 30

__noinline int direct_guard(__u32 door, __u32 number)
{
	struct attempt attempt = { .door = door, .opcode = POSTERN_OP_COUNT, .reason = POSTERN_REASON_REFUSED };

	identify(&attempt.process, bpf_get_current_task_btf()->group_leader);
	if (is_broker(&attempt.process))
		return 0;
	attempt.operands.request = number;
	direct_tell(&attempt, POSTERN_EVENT_GUARDED, &attempt.process);
	return -EPERM;
}

SEC("lsm/bpf_map")
int BPF_PROG(direct_guard_map, struct bpf_map *map, unsigned int mode)
{
	__u32 id = map->id;

	for (__u32 i = 0; i < POSTERN_DIRECT_GUARDED; i++) {
		if (i >= control.guarded_maps_count)
			break;
		if (control.guarded_maps[i] == id)
			return bounded(direct_guard(POSTERN_DOOR_MAP, id));
	}
	return 0;
}

SEC("lsm/bpf_prog")
int BPF_PROG(direct_guard_program, struct bpf_prog *program)
{
	__u32 id = program->aux->id;

	for (__u32 i = 0; i < POSTERN_DIRECT_GUARDED; i++) {
		if (i >= control.guarded_programs_count)
			break;
		if (control.guarded_programs[i] == id)
			return bounded(direct_guard(POSTERN_DOOR_PROGRAM, id));
	}
	return 0;
}

/* CAP_SYS_ADMIN of the initial user namespace: whoever has it could have loaded these programs, or others. */
static __always_inline bool is_administrator(void)
{
	const struct cred *cred = bpf_get_current_task_btf()->cred;
	__u64 capabilities = 0;

	bpf_core_read(&capabilities, sizeof(capabilities), &cred->cap_effective);
	return BPF_CORE_READ(cred, user_ns, level) == 0 && capabilities >> CAP_SYS_ADMIN & 1;
}

SEC("lsm/bpf")
int BPF_PROG(direct_guard_call, int command, union bpf_attr *attributes, unsigned int size)
{
	struct postern_process me;

	if (command == POSTERN_DIRECT_CLAIM) {
		identify(&me, bpf_get_current_task_btf()->group_leader);
		if (is_broker(&me))
			return -POSTERN_DIRECT_DONE;
		if (!is_administrator())
			return -EPERM;
		if (__sync_val_compare_and_swap(&control.alive, 0, 1))
			return -16; /* EBUSY */
		/* Nobody whom an earlier broker has named. */
		control.hands.start = 0;
		control.broker = me;
		return -POSTERN_DIRECT_DONE;
	}
	/* A link of ours has one of our programs, but the hook is not told which link is meant. */
	if (command == BPF_LINK_GET_FD_BY_ID && control.guarded_programs_count && !is_broker_running())
		return bounded(direct_guard(POSTERN_DOOR_LINK, 0));
	return 0;
}

static __always_inline bool is_pins_folder(struct inode *inode)
{
	return inode->i_ino == control.pins_inode && inode->i_sb->s_dev == control.pins_device && control.pins_inode;
}

SEC("lsm/inode_unlink")
int BPF_PROG(direct_guard_unlink, struct inode *folder, struct dentry *entry)
{
	return is_pins_folder(folder) ? bounded(direct_guard(POSTERN_DOOR_PIN, 0)) : 0;
}

SEC("lsm/inode_rename")
int BPF_PROG(direct_guard_rename, struct inode *from, struct dentry *entry, struct inode *to)
{
	struct inode *moved = entry->d_inode;

	if (is_pins_folder(from) || is_pins_folder(to) || (moved && is_pins_folder(moved)))
		return bounded(direct_guard(POSTERN_DOOR_PIN, 0));
	return 0;
}

/* A lazy umount of the BPF file system would drop every pin. */
SEC("lsm/sb_umount")
int BPF_PROG(direct_guard_umount, struct vfsmount *mount, int flags)
{
	if (control.pins_inode && mount->mnt_sb->s_dev == control.pins_device)
		return bounded(direct_guard(POSTERN_DOOR_PIN, 0));
	return 0;
}

/*
 * A hand of the path ring that takes a descriptor, as it does with a ring: forked by the process that the broker has named,
 * which lives, and the program that this was. It may do nothing else to a holder; what it takes that is an object it cannot use.
 */
static __always_inline bool is_hand_taking(void)
{
	struct task_struct *leader = bpf_get_current_task_btf()->group_leader;
	struct task_struct *parent = BPF_CORE_READ(leader, real_parent, group_leader);
	struct postern_process forks = {
		.tgid = BPF_CORE_READ(parent, tgid),
		.exec_epoch = BPF_CORE_READ(parent, self_exec_id),
		.start = BPF_CORE_READ(parent, start_boottime),
	};

	return control.alive && control.hands.start && is_same(&forks, &control.hands) &&
	       (__u32)leader->self_exec_id == forks.exec_epoch && current_call() == NR_PIDFD_GETFD;
}

/*
 * The broker, its hands, and processes that hold an object or could come to hold one without being asked about (on-fork:
 * inherit, on-exec: keep): whoever traces one works through it.
 */
enum guarded { GUARDED_NOT, GUARDED_HOLDER, GUARDED_OWN };

static __always_inline enum guarded guarded_as(struct task_struct *task)
{
	struct task_struct *leader = task->group_leader;
	struct postern_direct_lineage *lineage;
	struct postern_process process;

	identify(&process, leader);
	if (is_broker(&process))
		return GUARDED_OWN;
	lineage = bpf_task_storage_get(&lineages, leader, 0, 0);
	if (!lineage || lineage->exec_epoch != process.exec_epoch)
		return GUARDED_NOT;
	if (lineage->flags & POSTERN_LINEAGE_HAND)
		return GUARDED_OWN;
	if (lineage->flags & POSTERN_LINEAGE_TRACEABLE)
		return GUARDED_NOT;
	return lineage->count || lineage->flags & (POSTERN_LINEAGE_HOLDS | POSTERN_LINEAGE_KEPT) ? GUARDED_HOLDER : GUARDED_NOT;
}

/* Reading (ps(1), lsof(8)) stays what the kernel makes of it; what attaches, or reaches memory or descriptors, does not. */
SEC("lsm/ptrace_access_check")
int BPF_PROG(direct_guard_trace, struct task_struct *child, unsigned int mode)
{
	enum guarded guarded;

	if (!(mode & PTRACE_MODE_ATTACH))
		return 0;
	guarded = guarded_as(child);
	if (guarded == GUARDED_NOT || (guarded == GUARDED_HOLDER && is_hand_taking()))
		return 0;
	return bounded(direct_guard(POSTERN_DOOR_TRACE, child->tgid));
}

SEC("lsm/ptrace_traceme")
int BPF_PROG(direct_guard_traceme, struct task_struct *parent)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return guarded_as(task) != GUARDED_NOT ? bounded(direct_guard(POSTERN_DOOR_TRACE, task->tgid)) : 0;
}

#endif
