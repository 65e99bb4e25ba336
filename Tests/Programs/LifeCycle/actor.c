// SPDX-License-Identifier: Apache-2.0
/*
 * A program that does what it is told, one line at a time, and answers each with one line: so that a test decides which
 * process forks, executes or asks, and when. It speaks the wire protocol itself (wire.h) and never through the library.
 *
 * Usage: actor SOCKET [CHANNEL-DESCRIPTOR CHANNEL-NUMBER [COMMAND...]]
 */
#define _GNU_SOURCE
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <fcntl.h>
#include "wire.h"

#define LINE 512
#define CHILDREN 8
/* No test takes this long; nobody is left behind where one fails. */
#define LIFETIME 100

extern char **environ;

struct child {
	pid_t pid;
	int commands;
};

static struct {
	const char *socket;
	int input;
	int control;
	pid_t controller;		/* whose `control` is */
	int channel;
	uint64_t number;		/* the channel's, for revalidate */
	uint64_t cookie;
	uint64_t association;
	pid_t claimed;
	int listener;
	uint16_t changed;
	char data[64];
	struct child children[CHILDREN];
	unsigned int count;
} self = { .control = -1, .channel = -1, .listener = -1, .cookie = 1 };

static void handle(char *line);

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	char line[LINE + 2];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line) - 1, format, arguments);
	va_end(arguments);
	if (length > (int)sizeof(line) - 2)
		length = sizeof(line) - 2;
	line[length] = '\n';
	if (write(STDOUT_FILENO, line, (size_t)length + 1) < 0)
		_exit(3);
}

static void say_outcome(const struct wire_outcome *outcome)
{
	const char *space = outcome->message[0] ? ": " : "";

	if (outcome->reason)
		say("%s%s%s%s%s", wire_reason(outcome->reason), outcome->detail ? " " : "",
		    outcome->detail ? wire_detail(outcome->detail) : "", space, outcome->message);
	else if (outcome->result < 0)
		say("%s%s%s", strerrorname_np((int)-outcome->result), space, outcome->message);
	else
		say("ok");
}

/* The control connection of this very process: a forked child makes its own. */
static int control(void)
{
	if (self.control < 0 || self.controller != getpid()) {
		self.control = wire_connect(self.socket);
		self.controller = getpid();
	}
	return self.control;
}

static int opcode(const char *name)
{
	static const struct {
		const char *name;
		int opcode;
	} known[] = {
		{ "read", WIRE_READ }, { "info", WIRE_INFO }, { "bind", WIRE_BIND }, { "listen", WIRE_LISTEN },
		{ "accept", WIRE_ACCEPT },
	};
	unsigned int i;

	for (i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strcmp(known[i].name, name))
			return known[i].opcode;
	return -1;
}

static int issue(int operation)
{
	return wire_issue(self.channel, (uint8_t)operation, 0, operation == WIRE_READ ? 4 : 0, 1, ++self.cookie,
			  self.claimed, 0);
}

/* Waits for the completion of the last instruction issued, or for the news that the association has ended. */
static void collect(struct wire_outcome *wanted, bool change, int milliseconds)
{
	struct wire_outcome outcomes[WIRE_BATCH];
	int count, i;

	while (!change || !self.changed) {
		count = wire_collect(self.channel, outcomes, milliseconds);
		if (count < 0) {
			wire_local(wanted, -count);
			return;
		}
		for (i = 0; i < count; i++) {
			if (outcomes[i].kind == 2)
				self.changed = outcomes[i].reason;
			if (outcomes[i].kind == 0 && outcomes[i].cookie == self.cookie) {
				*wanted = outcomes[i];
				memcpy(self.data, wanted->data, sizeof(self.data));
				if (!change)
					return;
			}
		}
	}
	wire_local(wanted, 0);
	wanted->reason = self.changed;
}

/* Whatever completion comes, also another process's. */
static void next(void)
{
	struct wire_outcome outcomes[WIRE_BATCH];
	int count;

	do {
		count = wire_collect(self.channel, outcomes, WIRE_PATIENCE);
	} while (count > 0 && outcomes[0].kind);
	say("%s", count < 0 ? strerrorname_np(-count) : outcomes[0].data);
}

static void perform(int operation)
{
	struct wire_outcome outcome;
	int error = issue(operation);

	if (error < 0)
		wire_local(&outcome, -error);
	else
		collect(&outcome, false, WIRE_PATIENCE);
	say_outcome(&outcome);
}

static void take(const struct wire_outcome *outcome)
{
	if (outcome->descriptor < 0)
		return;
	/* Inherited by what this program executes, as a careless program's would be. */
	self.channel = dup(outcome->descriptor);
	close(outcome->descriptor);
	self.number = outcome->channel;
	self.changed = 0;
}

static void open_object(const char *object)
{
	struct wire_outcome outcome;

	if (wire_open(control(), object, 0, &outcome) == 7) {
		take(&outcome);
		self.association = outcome.association;
	}
	say_outcome(&outcome);
}

static bool adopt(struct wire_outcome *outcome)
{
	if (wire_adopt(control(), self.channel, outcome) != 9)
		return false;
	take(outcome);
	return true;
}

static void loop(void)
{
	char line[LINE + 2];
	size_t length = 0;

	while (length < LINE && read(self.input, line + length, 1) == 1) {
		if (line[length] != '\n') {
			length++;
			continue;
		}
		line[length] = 0;
		length = 0;
		handle(line);
	}
	_exit(0);
}

static struct child *add_child(pid_t pid, int commands)
{
	struct child *child = &self.children[self.count++ % CHILDREN];

	child->pid = pid;
	child->commands = commands;
	return child;
}

/* The new process listens to its own pipe, and has no children. */
__attribute__((noreturn)) static void begin_child(int commands[2])
{
	alarm(LIFETIME);
	close(commands[1]);
	self.input = commands[0];
	self.count = 0;
	loop();
	_exit(0);
}

static void make_child(pid_t (*make)(long), long argument)
{
	int commands[2];
	pid_t pid;

	if (pipe2(commands, O_CLOEXEC) < 0)
		_exit(3);
	pid = make(argument);
	if (pid == 0)
		begin_child(commands);
	close(commands[0]);
	if (pid < 0)
		say("%s", strerrorname_np(errno));
	else
		say("%d", add_child(pid, commands[1])->pid);
}

static pid_t make_fork(long unused)
{
	(void)unused;
	return fork();
}

/* A child with the number wanted (clone3(2), set_tid), which has to be free. */
static pid_t make_numbered(long wanted)
{
	pid_t number = (pid_t)wanted;
	struct clone_args arguments = {
		.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&number, .set_tid_size = 1,
	};

	return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		say("%s: %s", path, strerrorname_np(errno));
	close(fd);
}

/* A child that is pid 1 of its own pid namespace, and root of its own user namespace. */
static pid_t make_namespace(long unused)
{
	struct clone_args arguments = { .exit_signal = SIGCHLD, .flags = CLONE_NEWUSER | CLONE_NEWPID };
	uid_t user = geteuid();
	gid_t group = getegid();
	char map[32];
	pid_t pid;

	(void)unused;
	pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
	if (pid == 0) {
		write_file("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1", user);
		write_file("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %u 1", group);
		write_file("/proc/self/gid_map", map);
	}
	return pid;
}

/* The parent ends at once, so that the grandchild, which goes on, is given another parent. */
static void double_fork(void)
{
	int commands[2], told[2];
	pid_t middle, pid = 0;

	if (pipe2(commands, O_CLOEXEC) < 0 || pipe2(told, O_CLOEXEC) < 0)
		_exit(3);
	middle = fork();
	if (middle == 0) {
		pid_t parent = getpid();

		pid = fork();
		if (pid == 0) {
			while (getppid() == parent)
				usleep(1000);
			pid = getpid();
			if (write(told[1], &pid, sizeof(pid)) < 0)
				_exit(3);
			begin_child(commands);
		}
		_exit(0);
	}
	waitpid(middle, NULL, 0);
	close(told[1]);
	if (read(told[0], &pid, sizeof(pid)) < 0)
		_exit(3);
	close(told[0]);
	close(commands[0]);
	say("%d", add_child(pid, commands[1])->pid);
}

/* Opens, forks and exits at once: what a daemon does. The child takes over the conversation. */
static void become_daemon(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid)
		_exit(pid < 0);
	alarm(LIFETIME);
	while (getppid() == parent)
		usleep(1000);
	self.count = 0;
	say("%d", getpid());
}

static char *job;
static char stack[1 << 18] __attribute__((aligned(64)));

static int run_job(void *unused)
{
	(void)unused;
	handle(job);
	_exit(0);
}

static void *run_job_in_thread(void *unused)
{
	(void)unused;
	handle(job);
	return NULL;
}

/* Children that share this program's memory change its variables: what this process had is put back afterwards. */
__attribute__((noinline)) static void share_memory(pid_t (*make)(void))
{
	static __typeof__(self) saved;
	pid_t pid;

	saved = self;
	pid = make();
	if (pid < 0)
		say("%s", strerrorname_np(errno));
	else
		waitpid(pid, NULL, __WALL);
	self = saved;
}

__attribute__((noinline)) static pid_t make_vfork(void)
{
	pid_t pid = vfork();

	if (pid == 0)
		run_job(NULL);
	return pid;
}

static pid_t make_clone_vm(void)
{
	return clone(run_job, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
}

static void in_thread(void *(*body)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, body, NULL))
		say("EAGAIN");
	else
		pthread_join(thread, NULL);
}

/* A program with this one's channel and connection to the test, in the place of this one or as a child. */
static void arguments_for(const char *path, char *words, char *vector[8], char numbers[2][24])
{
	int n = 0;

	snprintf(numbers[0], sizeof(numbers[0]), "%d", self.channel);
	snprintf(numbers[1], sizeof(numbers[1]), "%llu", (unsigned long long)self.number);
	vector[n++] = (char *)path;
	vector[n++] = (char *)self.socket;
	vector[n++] = numbers[0];
	vector[n++] = numbers[1];
	if (words)
		vector[n++] = words;
	vector[n] = NULL;
}

static void *execute(void *unused)
{
	char numbers[2][24], *vector[8];

	(void)unused;
	if (self.input != STDIN_FILENO)
		dup2(self.input, STDIN_FILENO);
	arguments_for(job, "say executed", vector, numbers);
	execv(job, vector);
	say("%s", strerrorname_np(errno));
	return NULL;
}

static void spawn(char *words)
{
	char numbers[2][24], *vector[8];
	pid_t pid;
	int error;

	arguments_for("/proc/self/exe", words, vector, numbers);
	error = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, vector, environ);
	if (error)
		say("%s", strerrorname_np(error));
	else
		waitpid(pid, NULL, 0);
}

static void give(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int error;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		say("%s", strerrorname_np(errno));
		return;
	}
	error = wire_send(fd, &self.number, sizeof(self.number), self.channel, 0, 0);
	close(fd);
	say("%s", error < 0 ? strerrorname_np(-error) : "given");
}

/* Calls a listener: whether the call is taken by the kernel; who accepts it is another matter. */
static void dial(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		say("%s", strerrorname_np(errno));
	else
		say("connected");
}

static void offer(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	self.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (bind(self.listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(self.listener, 1) < 0)
		say("%s", strerrorname_np(errno));
	else
		say("waiting");
}

static void receive_channel(void)
{
	int fd = accept(self.listener, NULL, NULL);
	int channel;

	if (wire_receive(fd, &self.number, sizeof(self.number), &channel, WIRE_PATIENCE) < 0 || channel < 0) {
		say("nothing");
		return;
	}
	close(fd);
	self.channel = dup(channel);
	close(channel);
	say("taken");
}

/* Asks, and becomes the trusted program before the broker looks; a helper that shares the connection takes the answer. */
static void race(const char *object, const char *trusted)
{
	struct wire_outcome outcome;
	uint64_t nonce[2];
	int fd = control();
	pid_t parent = getpid();

	if (fork() == 0) {
		alarm(LIFETIME);
		if (wire_reply(fd, &outcome) == 5) {
			memcpy(nonce, outcome.nonce, sizeof(nonce));
			wire_confirm(fd, nonce, &outcome);
		}
		say_outcome(&outcome);
		kill(parent, SIGTERM);
		_exit(0);
	}
	wire_send_open(fd, object, 0);
	job = (char *)trusted;
	execute(NULL);
}

/* Many children at once, each with an association of its own; prints how many could read. */
static void many(int count)
{
	struct wire_outcome outcome;
	int gate[2], result[2], good = 0, i;
	char byte;

	if (pipe2(gate, O_CLOEXEC) < 0 || pipe2(result, O_CLOEXEC) < 0)
		_exit(3);
	for (i = 0; i < count; i++) {
		if (fork())
			continue;
		alarm(LIFETIME);
		close(gate[1]);
		close(result[0]);
		byte = 'n';
		if (read(gate[0], &byte, 1) == 0 && adopt(&outcome) && issue(WIRE_READ) == 0) {
			collect(&outcome, false, WIRE_PATIENCE);
			if (outcome.reason == 5 && wire_revalidate(control(), self.number, &outcome) == 11 &&
			    issue(WIRE_READ) == 0) {
				collect(&outcome, false, WIRE_PATIENCE);
				byte = outcome.result == 4 ? 'y' : 'n';
			}
		}
		if (write(result[1], &byte, 1) < 0)
			_exit(3);
		_exit(0);
	}
	close(gate[0]);
	close(gate[1]);
	close(result[1]);
	while (read(result[0], &byte, 1) == 1)
		good += byte == 'y';
	close(result[0]);
	for (i = 0; i < count; i++)
		waitpid(-1, NULL, 0);
	say("%d", good);
}

static void to_child(char *rest)
{
	char *words;
	unsigned long index = strtoul(rest, &words, 10);

	if (index >= self.count || *words != ' ') {
		say("no such child");
		return;
	}
	/* One datagram to a pipe: the child answers on the same output. */
	words[strlen(words) + 1] = 0;
	words[strlen(words)] = '\n';
	if (write(self.children[index].commands, words + 1, strlen(words + 1)) < 0)
		say("%s", strerrorname_np(errno));
}

static void handle(char *line)
{
	struct wire_outcome outcome;
	char *rest = strchr(line, ' ');

	if (rest)
		*rest++ = 0;
	else
		rest = line + strlen(line);
	if (opcode(line) >= 0) {
		perform(opcode(line));
	} else if (!strcmp(line, "open")) {
		open_object(rest);
	} else if (!strcmp(line, "reopen")) {
		/* Another broker answers there by now. */
		close(self.control);
		self.control = -1;
		open_object(rest);
	} else if (!strcmp(line, "adopt")) {
		adopt(&outcome);
		say_outcome(&outcome);
	} else if (!strcmp(line, "join")) {
		/* What a child's library does: a channel of its own for the inherited one, then an association for it. */
		if (adopt(&outcome) && wire_revalidate(control(), self.number, &outcome) == 11)
			self.association = outcome.association;
		say_outcome(&outcome);
	} else if (!strcmp(line, "revalidate")) {
		if (wire_revalidate(control(), self.number, &outcome) == 11)
			self.association = outcome.association;
		say_outcome(&outcome);
	} else if (!strcmp(line, "issue")) {
		int error = issue(opcode(rest));

		say("%s", error < 0 ? strerrorname_np(-error) : "issued");
	} else if (!strcmp(line, "collect")) {
		collect(&outcome, false, *rest ? atoi(rest) : WIRE_PATIENCE);
		say_outcome(&outcome);
	} else if (!strcmp(line, "next")) {
		next();
	} else if (!strcmp(line, "changed")) {
		collect(&outcome, true, WIRE_PATIENCE);
		say_outcome(&outcome);
	} else if (!strcmp(line, "data")) {
		say("%s", self.data);
	} else if (!strcmp(line, "association")) {
		say("%llu", (unsigned long long)self.association);
	} else if (!strcmp(line, "pid")) {
		say("%d", getpid());
	} else if (!strcmp(line, "say")) {
		say("%s", rest);
	} else if (!strcmp(line, "fork")) {
		make_child(make_fork, 0);
	} else if (!strcmp(line, "reuse")) {
		make_child(make_numbered, atol(rest));
	} else if (!strcmp(line, "namespace")) {
		make_child(make_namespace, 0);
	} else if (!strcmp(line, "double-fork")) {
		double_fork();
	} else if (!strcmp(line, "daemon")) {
		become_daemon();
	} else if (!strcmp(line, "child")) {
		to_child(rest);
	} else if (!strcmp(line, "reap")) {
		struct child *child = &self.children[atoi(rest) % CHILDREN];

		/* Its siblings may hold the other end of its pipe: it would not end by itself. */
		kill(child->pid, SIGKILL);
		close(child->commands);
		say("%d", waitpid(child->pid, NULL, 0) == child->pid);
	} else if (!strcmp(line, "vfork") || !strcmp(line, "clone-vm")) {
		job = rest;
		share_memory(line[0] == 'v' ? make_vfork : make_clone_vm);
	} else if (!strcmp(line, "thread")) {
		job = rest;
		in_thread(run_job_in_thread);
	} else if (!strcmp(line, "spawn")) {
		spawn(rest);
	} else if (!strcmp(line, "exec")) {
		job = rest;
		execute(NULL);
	} else if (!strcmp(line, "exec-in-thread")) {
		job = rest;
		in_thread(execute);
	} else if (!strcmp(line, "claim")) {
		self.claimed = atoi(rest);
		say("claimed");
	} else if (!strcmp(line, "offer")) {
		offer(rest);
	} else if (!strcmp(line, "give")) {
		give(rest);
	} else if (!strcmp(line, "dial")) {
		dial(rest);
	} else if (!strcmp(line, "take")) {
		receive_channel();
	} else if (!strcmp(line, "race")) {
		char *trusted = strchr(rest, ' ');

		if (trusted)
			*trusted++ = 0;
		race(rest, trusted ? trusted : "");
	} else if (!strcmp(line, "many")) {
		many(atoi(rest));
	} else if (!strcmp(line, "close")) {
		close(self.channel);
		say("closed");
	} else if (!strcmp(line, "exit")) {
		say("exiting");
		_exit(0);
	} else {
		say("what is %s?", line);
	}
}

int main(int count, char **arguments)
{
	if (count < 2)
		return 64;
	alarm(LIFETIME);
	umask(0);
	self.socket = arguments[1];
	self.input = STDIN_FILENO;
	if (count >= 4) {
		self.channel = atoi(arguments[2]);
		self.number = strtoull(arguments[3], NULL, 10);
	}
	if (count >= 5) {
		bool once = strcmp(arguments[4], "say executed") != 0;
		char line[LINE];

		snprintf(line, sizeof(line), "%s", arguments[4]);
		handle(line);
		if (once)
			return 0;
	}
	loop();
}
