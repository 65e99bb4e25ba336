/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a tagged object and an operation to a verdict: who is it, which association has it, and the one decision function.
 *
 * A process is named by its leader's start and exec count, read from the running task: fork and exec change them by
 * themselves, so that no hook has to be in time, and nothing is allocated on the way, so that nothing can be refused for
 * want of memory.
 */
#ifndef POSTERN_AUTHORIZE_H
#define POSTERN_AUTHORIZE_H

#include "maps.h"

/* One operation at one door. */
struct attempt {
	__u32 object;
	__u32 opcode;
	__u32 door;
	__u32 reason;
	__u32 rule;
	__u32 reserved;
	struct postern_process process;
	struct postern_operands operands;
};

/* What an answer of the decision function may be overruled by. */
#define RULE_NONE 0
#define RULE_ANY_OPERATION 1 /* a live association is enough, whatever it covers */
#define RULE_MMAP 2	     /* only with mmap: true */
#define RULE_NEVER 3	     /* no association covers it */

#define EACCES 13

static __always_inline void identify(struct postern_process *process, struct task_struct *leader)
{
	process->tgid = leader->tgid;
	process->exec_epoch = leader->self_exec_id;
	process->start = leader->start_boottime;
}

static __always_inline bool is_same(const struct postern_process *left, const struct postern_process *right)
{
	return left->start == right->start && left->tgid == right->tgid && left->exec_epoch == right->exec_epoch;
}

/* Issuer kernel: the broker, which the programs themselves notice the end of. */
static __always_inline bool is_broker(const struct postern_process *process)
{
	return control.alive && is_same(process, &control.broker);
}

static __always_inline bool is_broker_running(void)
{
	struct postern_process me;

	identify(&me, bpf_get_current_task_btf()->group_leader);
	return is_broker(&me);
}

/* The record of an object and process, in whatever state: the broker's, else what a hook has made. */
static __always_inline struct postern_association *find(__u32 object, const struct postern_process *process)
{
	struct postern_direct_key key = { .process = *process, .object = object };
	struct postern_association *record;
	__u32 *number = bpf_map_lookup_elem(&associations, &key);

	if (!number)
		return bpf_map_lookup_elem(&bound, &key);
	record = bpf_map_lookup_elem(&records, number);
	/* The number may mean another one by now. */
	if (record && record->object == object && is_same(&record->process, process))
		return record;
	return 0;
}

static __always_inline void describe_current(struct postern_direct_event *event)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file *executable;

	event->time = bpf_ktime_get_boot_ns();
	event->thread = task->pid;
	event->uid = (__u32)bpf_get_current_uid_gid();
	executable = BPF_CORE_READ(task, mm, exe_file);
	event->executable_inode = BPF_CORE_READ(executable, f_inode, i_ino);
	event->executable_device = BPF_CORE_READ(executable, f_inode, i_sb, s_dev);
	bpf_get_current_comm(event->command, sizeof(event->command));
}

/* Counts exactly, describes as far as the buffer holds. */
__noinline int direct_tell(struct attempt *attempt, __u32 kind, const struct postern_process *ancestor)
{
	struct postern_direct_event *event;
	struct postern_object *object;
	__u32 number;

	if (!attempt || !ancestor)
		return 0;
	number = attempt->object;
	if (kind == POSTERN_EVENT_REFUSED)
		count(attempt->reason & 15);
	else
		count(POSTERN_COUNTER_USED + kind - POSTERN_EVENT_USED);
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count(kind == POSTERN_EVENT_REFUSED ? POSTERN_COUNTER_LOST_REFUSALS : POSTERN_COUNTER_LOST_OTHERS);
		if (kind == POSTERN_EVENT_REFUSED)
			count(POSTERN_COUNTER_LOST_BY_REASON + (attempt->reason & 15));
		return 0;
	}
	__builtin_memset(event, 0, sizeof(*event));
	describe_current(event);
	event->kind = kind;
	event->reason = attempt->reason;
	event->opcode = attempt->opcode;
	event->object = attempt->object;
	event->door = attempt->door;
	event->process = attempt->process;
	event->ancestor = *ancestor;
	event->operands = attempt->operands;
	object = bpf_map_lookup_elem(&objects, &number);
	event->generation = object ? object->generation : 0;
	bpf_ringbuf_submit(event, 0);
	return 0;
}

static __always_inline int refuse(struct attempt *attempt, __u32 reason)
{
	attempt->reason = reason;
	direct_tell(attempt, POSTERN_EVENT_REFUSED, &attempt->process);
	return -postern_reason_errno(reason);
}

/*
 * An SQPOLL thread works for whoever shares the ring, so that its process says nothing about who asks
 * (io_uring/sqpoll.c names it; only threads of its own process could rename it).
 */
static __always_inline bool hides_its_issuer(struct task_struct *task)
{
	char name[16];

	if (!(task->flags & PF_IO_WORKER))
		return false;
	bpf_get_current_comm(name, sizeof(name));
	return name[0] == 'i' && name[4] == 's' && name[5] == 'q';
}

static __always_inline __u32 decide(__u32 object, __u32 opcode, const struct postern_operands *operands,
				    const struct postern_association *record)
{
	struct postern_facts facts = {
		.request = POSTERN_REQUEST_INSTRUCTION,
		.issuer = POSTERN_ISSUER_PROCESS,
		.conditions = POSTERN_CONDITION_VISIBLE,
		.opcode = opcode,
		.operands = operands,
		.association = record,
	};

	facts.object = bpf_map_lookup_elem(&objects, &object);
	if (record) {
		__u32 shared = record->limits;

		if (shared)
			facts.limits = bpf_map_lookup_elem(&limits, &shared);
		if (record->expiry)
			facts.now = bpf_ktime_get_boot_ns();
	}
	return postern_decide(&facts);
}

/* The decision in a place of its own, so that the verifier goes through it once, and not for each way to a record. */
__noinline int direct_decide(const struct postern_association *record, __u32 object, __u32 opcode,
			     const struct postern_operands *operands)
{
	return record && operands ? decide(object, opcode, operands, record) : POSTERN_REASON_UNDECIDABLE;
}

__noinline int direct_decide_plain(const struct postern_association *record, __u32 object, __u32 opcode)
{
	return record ? decide(object, opcode, &direct_none, record) : POSTERN_REASON_UNDECIDABLE;
}

int direct_adopt(struct attempt *attempt);

/* The kept verdicts of which one lets the operation in. Any of them is of a live association of this generation. */
static __always_inline __u32 verdicts_for(__u32 opcode, __u32 rule)
{
	return rule == RULE_ANY_OPERATION ? ~0u : 1u << (opcode & 31);
}

/* Granted without being decided again. What a hook has made has no verdicts until the broker has taken it over. */
static __always_inline bool keeps_verdict(const struct postern_association *record, __u32 verdicts)
{
	return postern_kept_verdicts(record) & verdicts &&
	       (!record->expiry || !postern_past(record->expiry, bpf_ktime_get_boot_ns()));
}

/* Why not, or GRANTED. */
static __always_inline __u32 judge(struct attempt *attempt, __u32 opcode, const struct postern_operands *operands,
				   struct postern_association **record)
{
	__u32 reason;

	if (hides_its_issuer(bpf_get_current_task_btf()))
		return POSTERN_REASON_UNDECIDABLE;
	*record = find(attempt->object, &attempt->process);
	if (!*record && direct_adopt(attempt))
		*record = find(attempt->object, &attempt->process);
	if (*record && operands == &direct_none && attempt->rule <= RULE_ANY_OPERATION &&
	    keeps_verdict(*record, verdicts_for(opcode, attempt->rule)))
		return POSTERN_REASON_GRANTED;
	if (!*record)
		reason = decide(attempt->object, opcode, operands, 0);
	else if (operands == &direct_none)
		reason = (__u32)direct_decide_plain(*record, attempt->object, opcode);
	else
		reason = (__u32)direct_decide(*record, attempt->object, opcode, operands);
	/* Operation and limit come after everything that ends an association: it is live, and of this generation. */
	if (attempt->rule == RULE_ANY_OPERATION &&
	    (reason == POSTERN_REASON_OPERATION || reason == POSTERN_REASON_LIMIT))
		reason = POSTERN_REASON_GRANTED;
	if (reason != POSTERN_REASON_GRANTED || attempt->rule == RULE_NONE || attempt->rule == RULE_ANY_OPERATION)
		return reason;
	if (attempt->rule == RULE_MMAP && *record && (*record)->flags & POSTERN_ASSOCIATION_MMAP)
		return POSTERN_REASON_GRANTED;
	return POSTERN_REASON_OPERATION;
}

/* In one step: the broker may be taking other flags away at this moment, and they are not to come back. */
static __always_inline void forget_first_use(struct postern_association *record)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	const __u32 mask = ~((__u32)POSTERN_ASSOCIATION_FIRST_USE << 24);
#else
	const __u32 mask = ~(__u32)POSTERN_ASSOCIATION_FIRST_USE;
#endif

	/* The word ends with the flags. */
	__sync_fetch_and_and((__u32 *)&record->state, mask);
}

static __always_inline int judge_and_tell(struct attempt *attempt, __u32 opcode,
					  const struct postern_operands *operands)
{
	struct postern_association *record = 0;
	__u32 reason;

	identify(&attempt->process, bpf_get_current_task_btf()->group_leader);
	if (is_broker(&attempt->process))
		return 0;
	reason = judge(attempt, opcode, operands, &record);
	if (reason != POSTERN_REASON_GRANTED)
		return refuse(attempt, reason);
	if (record && record->flags & (POSTERN_ASSOCIATION_FIRST_USE | POSTERN_ASSOCIATION_ALL_USES)) {
		forget_first_use(record);
		direct_tell(attempt, POSTERN_EVENT_USED, &attempt->process);
	}
	return 0;
}

/* Whoever it is, with operands or without: 0, or a negative errno. */
__noinline int direct_judge(struct attempt *attempt)
{
	return attempt ? judge_and_tell(attempt, attempt->opcode, &attempt->operands) : -EACCES;
}

/* The same without operands. */
__noinline int direct_judge_plain(struct attempt *attempt)
{
	return attempt ? judge_and_tell(attempt, attempt->opcode, &direct_none) : -EACCES;
}

/* What the system call ends with; of a function of its own the verifier knows no bounds, and a hook's answer needs them. */
static __always_inline int bounded(int result)
{
	/* The compiler knows them, and would leave the comparison out. */
	barrier_var(result);
	if (result >= 0)
		return 0;
	return result < -4095 ? -EACCES : result;
}

/* More than the five ticks after which any processor moves jiffies on where the one that should does not, at 100 Hz. */
#define EXPIRY_IS_NEAR 100000000ull

/*
 * Whether a record that expires has not yet. For a tag in its place the clock is read once in a jiffy, unless the end is
 * near: what is left then is more than a jiffy lasts. Jiffies stand still for longer only while no processor takes ticks
 * (a suspended machine, a paused virtual one), and the tick with which it goes on ends that.
 */
static __noinline bool is_unexpired(const struct postern_association *record, __u64 *checked, __u64 jiffy)
{
	__u64 now = bpf_ktime_get_boot_ns();
	__u64 expiry = record->expiry;

	if (postern_past(expiry, now))
		return false;
	/* The jiffy was read before the clock: nothing of a later one is noted. */
	if (checked && expiry - now > EXPIRY_IS_NEAR)
		*checked = jiffy;
	return true;
}

/*
 * Whether it is the process that the tag names first, and a verdict is kept for it; all else is decided from the beginning.
 */
static __always_inline bool is_owners(kept_tag *tag, __u32 verdicts, bool in_place)
{
	const struct postern_association *record = bpf_map_lookup_elem(&records, &(*tag)->owner);
	const struct postern_association *volatile kept = record;
	const struct task_struct *task;
	__u64 jiffy;

	if (!record)
		return false;
	task = bpf_get_current_task_btf();
	record = kept;
	if (record->object != (*tag)->object)
		return false;
	/* A thread whose own number is its process's is the leader, and no worker of io_uring. */
	if ((__u32)task->pid != record->process.tgid) {
		if (task->flags & PF_IO_WORKER)
			return false;
		task = task->group_leader;
		if ((__u32)task->tgid != record->process.tgid)
			return false;
	}
	if ((__u32)task->self_exec_id != record->process.exec_epoch || task->start_boottime != record->process.start)
		return false;
	if (!(postern_kept_verdicts(record) & verdicts))
		return false;
	if (!record->expiry)
		return true;
	jiffy = bpf_jiffies64();
	if (in_place && *checked_of(*tag) == jiffy)
		return true;
	return is_unexpired(kept, in_place ? checked_of(*tag) : 0, jiffy);
}

static __always_inline struct attempt attempted(const struct postern_tag *tag, __u32 opcode, __u32 door, __u32 rule)
{
	return (struct attempt){
		.object = tag->object,
		.opcode = opcode,
		.door = door,
		.rule = rule,
	};
}

/* An operation without operands that a limit could speak of: 0, or the error that the system call ends with. */
static __noinline int authorize_anew(const struct postern_tag *tag, __u32 opcode, __u32 door, __u32 rule)
{
	struct attempt attempt = attempted(tag, opcode, door, rule);

	return bounded(direct_judge_plain(&attempt));
}

static __always_inline int authorize(struct postern_tag *tag, __u32 opcode, __u32 door, __u32 rule)
{
	kept_tag kept = tag;

	if (rule <= RULE_ANY_OPERATION && is_owners(&kept, verdicts_for(opcode, rule), false))
		return 0;
	return authorize_anew(kept, opcode, door, rule);
}

/* One end for what nothing is to be said of; the compiler would have it more than once, with jumps between. */
static __always_inline int nothing_refused(void)
{
	__u64 zero;

	asm volatile("%0 = 0" : "=r"(zero));
	return (int)zero;
}

#endif
