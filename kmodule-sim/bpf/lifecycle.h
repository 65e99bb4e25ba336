/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fork and exec. Neither gives anybody an association: at a fork it is noted whom the child descends from, at an exec what
 * the process was, and the first operation afterwards makes the association, once, if the decision function lets it.
 */
#ifndef POSTERN_LIFECYCLE_H
#define POSTERN_LIFECYCLE_H

#include "authorize.h"

static __always_inline struct postern_direct_lineage *lineage_of(struct task_struct *leader)
{
	struct postern_direct_lineage *lineage = bpf_task_storage_get(&lineages, leader, 0, 0);

	return lineage && lineage->exec_epoch == (__u32)leader->self_exec_id ? lineage : 0;
}

/* Whether what runs now is what on-exec: keep demands of the application. */
static __always_inline bool is_kept_executable(__u32 application)
{
	struct postern_direct_application *known = bpf_map_lookup_elem(&applications, &application);
	struct inode *inode;

	if (!known)
		return false;
	if (!known->has_executable)
		return true;
	inode = BPF_CORE_READ(bpf_get_current_task_btf(), mm, exe_file, f_inode);
	return BPF_CORE_READ(inode, i_ino) == known->executable_inode &&
	       BPF_CORE_READ(inode, i_sb, s_dev) == known->executable_device;
}

/* DEPARTED: what was given to be used after the exec only (postern open). */
static __always_inline bool may_keep(const struct postern_association *record, const struct postern_object *object)
{
	if (record->state != POSTERN_STATE_LIVE && record->state != POSTERN_STATE_DEPARTED)
		return false;
	if (!(record->flags & POSTERN_ASSOCIATION_KEEP))
		return false;
	if (record->generation != object->generation)
		return false;
	return !postern_past(record->expiry, bpf_ktime_get_boot_ns()) && is_kept_executable(record->application);
}

/*
 * The fork protocol, as far as it needs no asking. A child was of its parent's application when it was forked, in the same
 * namespaces, and of no more than the broker counts afterwards: so all conditions hold.
 */
__noinline int direct_may_inherit(const struct postern_association *ancestor, __u32 number, __u64 forked)
{
	struct postern_object *object = bpf_map_lookup_elem(&objects, &number);
	struct postern_establishment establishment = {
		.lineage = POSTERN_LINEAGE_DESCENDED,
		.forked = forked,
	};
	struct postern_facts facts = {
		.request = POSTERN_REQUEST_REVALIDATE,
		.issuer = POSTERN_ISSUER_PROCESS,
		.conditions = POSTERN_CONDITION_ALL,
		.now = bpf_ktime_get_boot_ns(),
		.object = object,
		.establishment = &establishment,
		.ancestor = ancestor,
	};

	if (!ancestor || !object || ancestor->on_fork != POSTERN_ON_FORK_INHERIT)
		return 0;
	establishment.generation = object->generation;
	establishment.application = ancestor->application;
	return postern_decide(&facts) == POSTERN_REASON_GRANTED;
}

/* Looked at again when the new one can be seen already: who takes the old one back looks for new ones after that. */
static __always_inline bool still_stands(const struct postern_association *from)
{
	return *(volatile const __u8 *)&from->state == POSTERN_STATE_LIVE ||
	       *(volatile const __u8 *)&from->state == POSTERN_STATE_DEPARTED;
}

static __always_inline int make_association(struct attempt *attempt, struct postern_direct_lineage *lineage,
					    const struct postern_association *from,
					    const struct postern_process *ancestor)
{
	struct postern_direct_key key = { .process = attempt->process, .object = attempt->object };
	struct postern_association made = *from;
	__u32 before;

	made.process = attempt->process;
	made.state = POSTERN_STATE_LIVE;
	made.flags &= ~POSTERN_ASSOCIATION_DEPARTED;
	/* Nobody would take back a verdict that is kept here. */
	made.membership = 0;
	made.since = bpf_ktime_get_boot_ns();
	if (bpf_map_update_elem(&bound, &key, &made, BPF_NOEXIST))
		return 0;
	/* Atomic operations whose result is used are barriers; BPF has no other. */
	before = __sync_fetch_and_or(&lineage->flags, POSTERN_LINEAGE_HOLDS);
	barrier_var(before);
	/* The broker may have made one meanwhile, after which it takes away what hooks have made: that one speaks. */
	if (!still_stands(from) || bpf_map_lookup_elem(&associations, &key)) {
		bpf_map_delete_elem(&bound, &key);
		return 0;
	}
	direct_tell(attempt, POSTERN_EVENT_BOUND, ancestor);
	return 1;
}

/* 1: the process that attempts has an association now. */
__noinline int direct_adopt(struct attempt *attempt)
{
	struct postern_association *record = 0;
	struct postern_direct_lineage *lineage;
	struct postern_process ancestor = { 0 };
	struct postern_object *object;
	__u64 forked = 0;
	__u32 number;

	if (!attempt)
		return 0;
	number = attempt->object;
	lineage = lineage_of(bpf_get_current_task_btf()->group_leader);
	object = bpf_map_lookup_elem(&objects, &number);
	if (!lineage || !object)
		return 0;
	if (lineage->flags & POSTERN_LINEAGE_KEPT) {
		ancestor = lineage->previous;
		record = find(number, &ancestor);
		if (record && may_keep(record, object))
			return make_association(attempt, lineage, record, &ancestor);
		record = 0;
	}
	/* The first that has a record speaks. */
	for (__u32 i = 0; i < POSTERN_DIRECT_ANCESTORS && i < lineage->count; i++) {
		ancestor = lineage->ancestors[i].process;
		forked = lineage->ancestors[i].forked;
		record = find(number, &ancestor);
		if (record)
			break;
	}
	if (!record || !direct_may_inherit(record, number, forked))
		return 0;
	return make_association(attempt, lineage, record, &ancestor);
}

SEC("lsm/task_alloc")
int BPF_PROG(direct_task_alloc, struct task_struct *child, unsigned long clone_flags)
{
	struct task_struct *leader = bpf_get_current_task_btf()->group_leader;
	struct postern_direct_lineage made = { 0 };
	struct postern_direct_lineage *own;

	if (clone_flags & CLONE_THREAD)
		return 0;
	own = lineage_of(leader);
	if (!own)
		return 0;
	made.exec_epoch = own->exec_epoch;
	made.flags = own->flags & (POSTERN_LINEAGE_TRACEABLE | POSTERN_LINEAGE_HAND);
	made.count = own->count;
	if (own->flags & (POSTERN_LINEAGE_HOLDS | POSTERN_LINEAGE_KEPT)) {
		identify(&made.ancestors[0].process, leader);
		made.ancestors[0].forked = bpf_ktime_get_boot_ns();
		/* Beyond the last place the farthest holders are forgotten: a nearer one of them all has what it uses itself. */
		for (__u32 i = 1; i < POSTERN_DIRECT_ANCESTORS; i++)
			made.ancestors[i] = own->ancestors[i - 1];
		made.count += made.count < POSTERN_DIRECT_ANCESTORS;
	} else {
		__builtin_memcpy(made.ancestors, own->ancestors, sizeof(made.ancestors));
	}
	/* Without memory for it the child descends from nobody, and is refused; a hand would not be guarded. */
	if (!bpf_task_storage_get(&lineages, child, &made, BPF_LOCAL_STORAGE_GET_F_CREATE) &&
	    made.flags & POSTERN_LINEAGE_HAND)
		return -12; /* ENOMEM */
	return 0;
}

/* A thread that execs becomes the leader, with a storage of its own: the leader's has to be with it before that. */
SEC("lsm/bprm_creds_from_file")
int BPF_PROG(direct_exec_thread, struct linux_binprm *program, struct file *file)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct postern_direct_lineage *lineage;
	struct postern_direct_lineage copy;

	if (task->pid == task->tgid)
		return 0;
	lineage = lineage_of(task->group_leader);
	if (!lineage)
		return 0;
	copy = *lineage;
	lineage = bpf_task_storage_get(&lineages, task, &copy, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (lineage)
		*lineage = copy;
	return 0;
}

/* The broker has ended: it has no hands any more, and another one may take its place. */
static __always_inline void end_broker(void)
{
	control.hands.start = 0;
	control.alive = 0;
}

/* After begin_new_exec() has counted the exec (fs/exec.c): what the process was is noted, and all else forgotten. */
SEC("lsm/bprm_committed_creds")
int BPF_PROG(direct_exec, struct linux_binprm *program)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct postern_direct_lineage *lineage = bpf_task_storage_get(&lineages, task, 0, 0);

	/* What the broker executes is another program, and nothing else would ever say that the broker has ended. */
	if ((__u32)task->tgid == control.broker.tgid && task->start_boottime == control.broker.start)
		end_broker();
	if (!lineage)
		return 0;
	/* Set-user-ID and the like: another user than the one who was judged. */
	if (lineage->exec_epoch + 1 != (__u32)task->self_exec_id || BPF_CORE_READ_BITFIELD(program, secureexec) ||
	    !(lineage->flags & (POSTERN_LINEAGE_HOLDS | POSTERN_LINEAGE_KEPT))) {
		bpf_task_storage_delete(&lineages, task);
		return 0;
	}
	/* What has used nothing since its last exec is still, to whoever asks, what it was before that. */
	if (lineage->flags & POSTERN_LINEAGE_HOLDS) {
		identify(&lineage->previous, task);
		lineage->previous.exec_epoch = lineage->exec_epoch;
	}
	lineage->exec_epoch = task->self_exec_id;
	lineage->flags = POSTERN_LINEAGE_KEPT | (lineage->flags & POSTERN_LINEAGE_TRACEABLE);
	lineage->count = 0;
	return 0;
}

/* The last thread of the broker has begun to end: from now on another one may claim its place. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(direct_exit, struct task_struct *task)
{
	struct task_struct *leader = task->group_leader;
	struct postern_process process;

	if (!control.alive || (__u32)task->tgid != control.broker.tgid)
		return 0;
	identify(&process, leader);
	if (is_same(&process, &control.broker) && BPF_CORE_READ(task, signal, live.counter) == 0)
		end_broker();
	return 0;
}

/* The name of the process that a pidfd holds (bpf_iter_link_info.task.pid_fd), as the other programs see it. */
SEC("iter/task")
int direct_identity(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	struct postern_process process;

	if (!task || task->pid != task->tgid)
		return 0;
	identify(&process, task);
	bpf_seq_write(context->meta->seq, &process, sizeof(process));
	return 0;
}

#endif
