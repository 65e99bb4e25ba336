/* SPDX-License-Identifier: Apache-2.0 */
/* What root who is not the broker can do to the broker, to its hands, and to processes that hold something; and what hands can. */
#include "attacks.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

static pid_t target;
static char secret[16] = "secret";

static long attach_to(void *context)
{
	(void)context;
	return ERR(ptrace(PTRACE_ATTACH, target, 0, 0));
}

static long seize(void *context)
{
	(void)context;
	return ERR(ptrace(PTRACE_SEIZE, target, 0, 0));
}

static long open_memory(void *context)
{
	char path[64];

	(void)context;
	snprintf(path, sizeof(path), "/proc/%d/mem", target);
	return ERR(open(path, O_RDWR));
}

static long read_memory(void *context)
{
	char copy[16];
	struct iovec local = { copy, sizeof(copy) }, remote = { secret, sizeof(secret) };

	(void)context;
	return ERR(process_vm_readv(target, &local, 1, &remote, 1, 0));
}

static long write_memory(void *context)
{
	char copy[16] = "other";
	struct iovec local = { copy, sizeof(copy) }, remote = { secret, sizeof(secret) };

	(void)context;
	return ERR(process_vm_writev(target, &local, 1, &remote, 1, 0));
}

static long take_descriptor(void *context)
{
	(void)context;
	return ERR(syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, target, 0), 1, 0));
}

static long read_status(void *context)
{
	char path[64];

	(void)context;
	snprintf(path, sizeof(path), "/proc/%d/status", target);
	return ERR(open(path, O_RDONLY));
}

static const struct {
	const char *name;
	long (*act)(void *);
} ways[] = {
	{ "PTRACE_ATTACH", attach_to },	       { "PTRACE_SEIZE", seize },
	{ "/proc/PID/mem", open_memory },      { "process_vm_readv", read_memory },
	{ "process_vm_writev", write_memory }, { "pidfd_getfd", take_descriptor },
};

static long refused(long (*act)(void *))
{
	/* The file of its memory says so in its own way. */
	return act == open_memory ? -EACCES : -EPERM;
}

static void trace_all_ways(const char *whom, long expected)
{
	char name[128];

	for (unsigned int i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		snprintf(name, sizeof(name), "%s of %s: %s", ways[i].name, whom, expected ? "refused" : "works");
		expect(name, as_stranger(ways[i].act), expected ? refused(ways[i].act) : 0);
	}
}

static pid_t idle(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	return pid;
}

static long ask_to_be_traced(void *context)
{
	(void)context;
	return ERR(ptrace(PTRACE_TRACEME, 0, 0, 0));
}

/* The child of a holder, which could inherit. */
static long child_waits(void *context)
{
	long result;
	pid_t child = fork();

	(void)context;
	if (child == 0) {
		pause();
		_exit(0);
	}
	/* Not by this process: it is of the holder's own family, but a tracer all the same. */
	result = ERR(ptrace(PTRACE_SEIZE, child, 0, 0));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return result;
}

static long of_holder(long (*act)(void *), uint32_t flags)
{
	struct actor actor;

	actor_start(&actor, act, NULL);
	hold(actor.pid, flags);
	actor_go(&actor);
	return actor_end(&actor);
}

static void test_processes(void)
{
	target = getpid();
	trace_all_ways("the broker", -EPERM);
	target = idle();
	trace_all_ways("somebody else", 0);
	end(target);
	target = idle();
	hold(target, 0);
	trace_all_ways("a holder", -EPERM);
	expect("the status of a holder can be read", as_stranger(read_status), 0);
	end(target);
	target = idle();
	hold(target, POSTERN_LINEAGE_TRACEABLE);
	trace_all_ways("a traceable holder", 0);
	end(target);
	expect("PTRACE_TRACEME of a holder: refused", of_holder(ask_to_be_traced, 0), -EPERM);
	expect("PTRACE_TRACEME of a traceable holder: works", of_holder(ask_to_be_traced, POSTERN_LINEAGE_TRACEABLE), 0);
	expect("tracing a holder's child, which could inherit: refused", of_holder(child_waits, 0), -EPERM);
	expect("tracing a traceable holder's child: works", of_holder(child_waits, POSTERN_LINEAGE_TRACEABLE), 0);
	stand_detach("guard_trace");
	target = getpid();
	expect("twin, without its hook the broker's memory is written", as_stranger(write_memory), 0);
	stand_attach("guard_trace");
}

/* ---- hands ---- */

/* A process like the one that forks hands: does what it is told, itself or by a child so many generations below. */
struct forker {
	pid_t pid;
	int orders, results;
};

struct order {
	long (*act)(void *);
	pid_t target;
	int generations;
};

static long obey(const struct order *order)
{
	struct order below = *order;

	if (order->generations == 0)
		return order->act(NULL);
	below.generations--;
	return in_child((long (*)(void *))obey, &below);
}

static struct forker start_forker(void)
{
	struct forker forker;
	int orders[2], results[2];

	if (pipe2(orders, O_CLOEXEC) || pipe2(results, O_CLOEXEC))
		die("pipe");
	forker.pid = fork();
	if (forker.pid == 0) {
		struct order order;

		close(orders[1]);
		while (read(orders[0], &order, sizeof(order)) == sizeof(order)) {
			long result;

			target = order.target;
			result = obey(&order);
			if (write(results[1], &result, sizeof(result)) != sizeof(result))
				break;
		}
		_exit(0);
	}
	close(orders[0]);
	close(results[1]);
	forker.orders = orders[1];
	forker.results = results[0];
	return forker;
}

static void end_forker(struct forker *forker)
{
	close(forker->orders);
	close(forker->results);
	end(forker->pid);
}

/* As the broker does it. */
static void name_hands(pid_t pid)
{
	struct postern_process named = { 0 };

	stand.control->hands.start = 0;
	if (!pid)
		return;
	identify(pid, &named);
	note(pid, POSTERN_LINEAGE_HAND);
	stand.control->hands = named;
}

static long by(struct forker *forker, int generations, long (*act)(void *))
{
	struct order order = { .act = act, .target = target, .generations = generations };
	long result = -EIO;

	if (write(forker->orders, &order, sizeof(order)) != sizeof(order) ||
	    read(forker->results, &result, sizeof(result)) != sizeof(result))
		return -EIO;
	return result;
}

/* By a child that has become another program: 0, or a negative errno. */
static long take_by_program(void *context)
{
	char number[16];
	int status;
	pid_t pid;

	(void)context;
	snprintf(number, sizeof(number), "%d", target);
	pid = fork();
	if (pid == 0) {
		execl("/proc/self/exe", "doors", TAKE, number, (char *)NULL);
		_exit(255);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

int take_after_exec(const char *pid)
{
	long result;

	target = atoi(pid);
	result = take_descriptor(NULL);
	return result < 0 ? (int)-result : 0;
}

/* Leaves a child that lives until it is ended: its number. */
static long leave_child(void *context)
{
	(void)context;
	return idle();
}

/* What a hand may do with a holder, and nobody else in its place. */
static void test_what_hands_can(struct forker *forker)
{
	char name[128];

	name_hands(0);
	expect("pidfd_getfd of a holder where no hands are named: refused", by(forker, 1, take_descriptor), -EPERM);
	name_hands(forker->pid);
	expect("pidfd_getfd of a holder by a hand: works", by(forker, 1, take_descriptor), 0);
	expect("by the process that forks hands: refused", by(forker, 0, take_descriptor), -EPERM);
	expect("by a hand's child: refused", by(forker, 2, take_descriptor), -EPERM);
	expect("by a hand that runs another program: refused", by(forker, 0, take_by_program), -EPERM);
	expect("by a stranger: refused", as_stranger(take_descriptor), -EPERM);
	for (unsigned int i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		if (ways[i].act == take_descriptor)
			continue;
		snprintf(name, sizeof(name), "%s of a holder by a hand: refused", ways[i].name);
		expect(name, by(forker, 1, ways[i].act), refused(ways[i].act));
	}
}

static void test_hands_are_guarded(struct forker *forker)
{
	pid_t hand, below;

	target = forker->pid;
	trace_all_ways("the process that forks hands", -EPERM);
	expect("pidfd_getfd of it by a hand: refused", by(forker, 1, take_descriptor), -EPERM);
	target = hand = (pid_t)by(forker, 0, leave_child);
	trace_all_ways("a hand", -EPERM);
	expect("pidfd_getfd of it by another hand: refused", by(forker, 1, take_descriptor), -EPERM);
	target = below = (pid_t)by(forker, 1, leave_child);
	trace_all_ways("a hand's child that has outlived it", -EPERM);
	end(hand);
	end(below);
	target = getpid();
	expect("pidfd_getfd of the broker by a hand: refused", by(forker, 1, take_descriptor), -EPERM);
}

/* Nothing is left of the right when another process is named, the broker has ended, or another one has come. */
static void test_former_hands(struct forker *former, pid_t holder)
{
	struct forker next = start_forker();
	struct postern_process me = stand.control->broker;
	pid_t broker;

	target = holder;
	name_hands(next.pid);
	expect("by a hand of the process that was named now: works", by(&next, 1, take_descriptor), 0);
	expect("by one of the former: refused", by(former, 1, take_descriptor), -EPERM);
	stand.control->alive = 0;
	expect("by a hand whose broker has ended: refused", by(&next, 1, take_descriptor), -EPERM);
	broker = fork();
	if (broker == 0) {
		if (stand_claim() != -POSTERN_DIRECT_DONE)
			_exit(1);
		name_hands(next.pid);
		raise(SIGSTOP);
		pause();
	}
	waitpid(broker, NULL, WUNTRACED);
	expect("by a hand that another broker has named: works", by(&next, 1, take_descriptor), 0);
	end(broker);
	report(stand.control->hands.start == 0, "with a broker that is killed its hands are forgotten", "they stay");
	stand.control->hands.tgid = 1;
	stand.control->hands.start = 1;
	if (stand_claim() != -POSTERN_DIRECT_DONE)
		die("claim");
	report(stand.control->hands.start == 0 && !memcmp(&stand.control->broker, &me, sizeof(me)),
	       "who claims the broker's place has no hands yet", "it has");
	end_forker(&next);
}

/* Those who are left from before the hook was detached would have its link open, too. */
static void test_without_hook(void)
{
	struct forker forker;

	stand_detach("guard_trace");
	forker = start_forker();
	name_hands(forker.pid);
	target = idle();
	hold(target, 0);
	expect("twin, without its hook a stranger takes a holder's descriptor", as_stranger(take_descriptor), 0);
	expect("twin, and a hand's child", by(&forker, 2, take_descriptor), 0);
	end(target);
	target = forker.pid;
	expect("twin, and a stranger reads what the process that forks hands has", as_stranger(read_memory), 0);
	end_forker(&forker);
	stand_attach("guard_trace");
}

static void test_hands(void)
{
	struct forker forker = start_forker();
	pid_t holder = idle();

	hold(holder, 0);
	target = holder;
	test_what_hands_can(&forker);
	test_hands_are_guarded(&forker);
	test_former_hands(&forker, holder);
	end(holder);
	end_forker(&forker);
	test_without_hook();
	name_hands(0);
}

void test_tracing(void)
{
	test_processes();
	test_hands();
}
