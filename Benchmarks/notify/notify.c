/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an intercepted bind(2) costs: socket, bind and close in a loop, by a program that `postern run` has started and
 * that has its grant already, beside the same program under a supervisor that does no more than it must to be as safe, and
 * beside one without a filter. By turns, so that what the machine does meanwhile hits all alike.
 *
 * Usage: notify POSTERN SOCKET BROKER-PID PORT
 *	  notify work PORT	the program: waits for a byte, works, says how long it took
 */
#include "../mediated/measure.h"
#include "supervisor.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/wait.h>

#define ROUNDS 201
#define BINDS 100
#define WARM 50

enum kind { PLAIN, MINIMAL, POSTERN, KINDS };

struct worker {
	pid_t pid;
	/* Of the supervisor, where there is one. */
	pid_t supervisor;
	int in;
	int out;
};

static struct sockaddr_in address = { .sin_family = AF_INET };

static int work(void)
{
	char byte;

	while (read(0, &byte, 1) == 1) {
		double start = now(), spent;

		for (int i = 0; i < BINDS; i++) {
			int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

			if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
				die("bind");
			close(fd);
		}
		spent = (now() - start) / BINDS;
		if (write(1, &spent, sizeof(spent)) != sizeof(spent))
			return 1;
	}
	return 0;
}

static long answer(const struct caller *caller)
{
	return bind_for(caller, &address);
}

static struct worker start(enum kind kind, char *const *line)
{
	struct worker worker = { 0 };
	int in[2], out[2], pair[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		die("pipe");
	worker.pid = fork();
	if (!worker.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in[0], 0);
		dup2(out[1], 1);
		if (kind == MINIMAL && pass(pair[1], trap_bind()))
			die("seccomp");
		execv(line[0], line);
		die(line[0]);
	}
	if (kind == MINIMAL) {
		int listener = pass(pair[0], -1);

		worker.supervisor = fork();
		if (!worker.supervisor) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			supervise(listener, answer);
		}
		close(listener);
	}
	close(in[0]);
	close(out[1]);
	close(pair[0]);
	close(pair[1]);
	worker.in = in[1];
	worker.out = out[0];
	return worker;
}

static double measure(const struct worker *worker)
{
	double spent;

	if (write(worker->in, "", 1) != 1 || read(worker->out, &spent, sizeof(spent)) != sizeof(spent)) {
		fprintf(stderr, "benchmark: a program could not bind\n");
		exit(1);
	}
	return spent;
}

static void compare(const struct worker *workers, pid_t broker, const char *placement, int program, int supervisor)
{
	static double rounds[KINDS][ROUNDS];
	static const char *const names[KINDS] = { "plain", "minimal", "postern" };
	double cost[KINDS];
	char name[64];

	place(getpid(), program);
	place(broker, supervisor);
	place(workers[MINIMAL].supervisor, supervisor);
	for (int kind = 0; kind < KINDS; kind++) {
		place(workers[kind].pid, program);
		for (int i = 0; i < WARM; i++)
			measure(&workers[kind]);
	}
	for (int round = 0; round < ROUNDS; round++)
		for (int kind = 0; kind < KINDS; kind++)
			rounds[kind][round] = measure(&workers[kind]);
	for (int kind = 0; kind < KINDS; kind++) {
		cost[kind] = median(rounds[kind], ROUNDS);
		snprintf(name, sizeof(name), "notify.%s.%s", placement, names[kind]);
		figure(name, cost[kind], "ns", "-", 0);
	}
	snprintf(name, sizeof(name), "notify.%s.postern/minimal", placement);
	figure(name, cost[POSTERN] / cost[MINIMAL], "x", "<=", 1.3);
}

int main(int count, char **arguments)
{
	struct worker workers[KINDS];
	pid_t broker;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (count == 3 && !strcmp(arguments[1], "work")) {
		address.sin_port = htons((in_port_t)atoi(arguments[2]));
		return work();
	}
	if (count != 5) {
		fprintf(stderr, "usage: %s POSTERN SOCKET BROKER-PID PORT\n", arguments[0]);
		return 64;
	}
	broker = atoi(arguments[3]);
	address.sin_port = htons((in_port_t)atoi(arguments[4]));
	char *plain[] = { "/proc/self/exe", "work", arguments[4], NULL };
	char self[4096];
	ssize_t size = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (size < 0)
		die("readlink");
	self[size] = 0;
	plain[0] = self;
	char *postern[] = { arguments[1], "--socket", arguments[2], "run", "--", self, "work", arguments[4], NULL };

	workers[PLAIN] = start(PLAIN, plain);
	workers[MINIMAL] = start(MINIMAL, plain);
	workers[POSTERN] = start(POSTERN, postern);
	for (int kind = 0; kind < KINDS; kind++)
		measure(&workers[kind]);
	if (processor(0) != processor(1))
		compare(workers, broker, "two-cpus", processor(0), processor(1));
	compare(workers, broker, "one-cpu", processor(0), processor(0));
	for (int kind = 0; kind < KINDS; kind++) {
		kill(workers[kind].pid, SIGKILL);
		waitpid(workers[kind].pid, NULL, 0);
	}
	return 0;
}
