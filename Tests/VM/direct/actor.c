/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process of a scene of the path direct. It does what it is told, a line at a time, and answers each with a line:
 *
 *	actor NAME FOLDER [SLOT=DESCRIPTOR...]		commands come from FOLDER/NAME.in, answers go to FOLDER/NAME.out
 *
 *	open SLOT OBJECT OPERATIONS	through libpostern: the path, or "REASON ERRNO MESSAGE"
 *	revalidate SLOT			through libpostern: "ok" or as above
 *	lib-read SLOT			through libpostern: a number of bytes, or as above
 *	lib-close SLOT			through libpostern: "ok" or as above
 *	fork NAME			its pid; the child goes on as NAME
 *	exec				starts itself anew with every descriptor kept
 *	user ID, number SLOT, close SLOT, pid, exit
 *	mailbox PATH, give SLOT PATH, take SLOT		SCM_RIGHTS by datagrams
 *	steal PID NUMBER SLOT		pidfd_getfd(2)
 *
 * and what calls.c and threads.c add: system calls with nothing in between, answered with their result or errno's name.
 */
#define _GNU_SOURCE
#include "actor.h"

#include <errno.h>
#include <fcntl.h>
#include <postern.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* No scene takes this long; nobody is left behind where one fails. */
#define LIFETIME 300
#define SOAK_LIFETIME 1500

static struct {
	char name[24];
	int fd;
} slots[SLOTS];
static const char *folder;
static char name[32];
static FILE *commands;
static int answers = -1;
static int mailbox = -1;
static postern *connection;

int slot(const char *wanted)
{
	for (int i = 0; i < SLOTS; i++)
		if (slots[i].name[0] && !strcmp(slots[i].name, wanted))
			return slots[i].fd;
	return -1;
}

void hold(const char *wanted, int fd)
{
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < SLOTS; i++)
			if (pass ? !slots[i].name[0] : !strcmp(slots[i].name, wanted)) {
				snprintf(slots[i].name, sizeof(slots[i].name), "%s", wanted);
				slots[i].fd = fd;
				return;
			}
}

void say(const char *format, ...)
{
	char line[512];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line) - 1, format, arguments);
	va_end(arguments);
	if (length > (int)sizeof(line) - 2)
		length = sizeof(line) - 2;
	line[length++] = '\n';
	if (write(answers, line, (size_t)length) != length)
		_exit(1);
}

void say_result(long result)
{
	if (result >= 0)
		say("%ld", result);
	else
		say("%s", strerrorname_np(errno));
}

static void say_library(int result, const char *fine)
{
	char message[256] = "";
	int reason = postern_last_reason(message, sizeof(message));

	if (result >= 0)
		say("%s", fine);
	else if (reason)
		say("%s %s %s", postern_reason_name(reason), strerrorname_np(-result), message);
	else
		say("failed %s", strerrorname_np(-result));
}

static uint32_t operations(char *names)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} known[] = {
		{ "read", POSTERN_READ },	{ "write", POSTERN_WRITE },	    { "info", POSTERN_INFO },
		{ "control", POSTERN_CONTROL }, { "bind", POSTERN_BIND },	    { "listen", POSTERN_LISTEN },
		{ "accept", POSTERN_ACCEPT },	{ "connect", POSTERN_CONNECT },	    { "send", POSTERN_SEND },
		{ "receive", POSTERN_RECEIVE }, { "setoption", POSTERN_SETOPTION }, { "wait", POSTERN_WAIT },
	};
	uint32_t all = 0;
	char *rest = NULL;

	for (char *word = strtok_r(names, ",", &rest); word; word = strtok_r(NULL, ",", &rest))
		for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
			if (!strcmp(known[i].name, word))
				all |= known[i].bit;
	return all;
}

static void open_object(char **word)
{
	const char *const paths[] = { "mediated", "ring", "direct", "handover" };
	int result = connection ? 0 : postern_connect(NULL, &connection);

	if (result == 0)
		result = postern_open(connection, word[2], operations(word[3]));
	if (result < 0) {
		say_library(result, "");
		return;
	}
	hold(word[1], result);
	result = postern_path(result);
	say("%s", result >= 0 && result < 4 ? paths[result] : "?");
}

static void read_object(int fd)
{
	char bytes[4096], count[16];
	ssize_t result = postern_read(fd, bytes, sizeof(bytes), 0);

	snprintf(count, sizeof(count), "%zd", result);
	say_library((int)result, count);
}

static void open_ends(void)
{
	char path[256];
	int in;

	snprintf(path, sizeof(path), "%s/%s.in", folder, name);
	in = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/%s.out", folder, name);
	answers = open(path, O_WRONLY | O_CLOEXEC);
	commands = in < 0 ? NULL : fdopen(in, "r");
	if (!commands || answers < 0) {
		perror(path);
		_exit(1);
	}
	setvbuf(commands, NULL, _IONBF, 0);
}

static void fork_off(const char *wanted)
{
	pid_t child = fork();

	if (child != 0) {
		say_result(child);
		return;
	}
	alarm(getenv("POSTERN_SOAK") ? SOAK_LIFETIME : LIFETIME);
	fclose(commands);
	close(answers);
	snprintf(name, sizeof(name), "%s", wanted);
	open_ends();
}

static void exec_again(void)
{
	char kept[SLOTS][40];
	char *arguments[SLOTS + 4] = { "actor", name, (char *)folder };
	int count = 3;

	for (int i = 0; i < SLOTS; i++) {
		if (!slots[i].name[0])
			continue;
		fcntl(slots[i].fd, F_SETFD, 0);
		snprintf(kept[i], sizeof(kept[i]), "%.23s=%d", slots[i].name, slots[i].fd);
		arguments[count++] = kept[i];
	}
	execv("/proc/self/exe", arguments);
	say_result(-1);
}

static struct sockaddr_un named(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return address;
}

static long give(int fd, const char *path)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct sockaddr_un address = named(path);
	struct iovec byte = { "x", 1 };
	struct msghdr message = {
		.msg_name = &address,
		.msg_namelen = sizeof(address),
		.msg_iov = &byte,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.room),
	};
	int out = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	long result;

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	result = sendmsg(out, &message, 0);
	close(out);
	return result;
}

static long take(const char *wanted)
{
	char room[CMSG_SPACE(sizeof(int))];
	char byte;
	struct iovec bytes = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &bytes, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)
	};
	struct cmsghdr *header;
	int fd;

	if (recvmsg(mailbox, &message, MSG_CMSG_CLOEXEC) < 0)
		return -1;
	header = CMSG_FIRSTHDR(&message);
	if (!header) {
		errno = ENOMSG;
		return -1;
	}
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	hold(wanted, fd);
	return 0;
}

static long steal(pid_t pid, int number, const char *wanted)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int fd = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);

	if (fd < 0)
		return -1;
	hold(wanted, fd);
	return 0;
}

static long open_mailbox(const char *path)
{
	struct sockaddr_un address = named(path);

	mailbox = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	umask(0);
	return bind(mailbox, (struct sockaddr *)&address, sizeof(address));
}

static void handle(char **word)
{
	if (!strcmp(word[0], "open"))
		open_object(word);
	else if (!strcmp(word[0], "revalidate"))
		say_library(postern_revalidate(slot(word[1])), "ok");
	else if (!strcmp(word[0], "lib-read"))
		read_object(slot(word[1]));
	else if (!strcmp(word[0], "lib-close"))
		say_library(postern_close(slot(word[1])), "ok");
	else if (!strcmp(word[0], "fork"))
		fork_off(word[1]);
	else if (!strcmp(word[0], "exec"))
		exec_again();
	else if (!strcmp(word[0], "user"))
		say_result(setresuid((uid_t)atoi(word[1]), (uid_t)atoi(word[1]), (uid_t)atoi(word[1])));
	else if (!strcmp(word[0], "number"))
		say("%d", slot(word[1]));
	else if (!strcmp(word[0], "close"))
		say_result(close(slot(word[1])));
	else if (!strcmp(word[0], "pid"))
		say("%d", getpid());
	else if (!strcmp(word[0], "mailbox"))
		say_result(open_mailbox(word[1]));
	else if (!strcmp(word[0], "give"))
		say_result(give(slot(word[1]), word[2]));
	else if (!strcmp(word[0], "take"))
		say_result(take(word[1]));
	else if (!strcmp(word[0], "steal"))
		say_result(steal(atoi(word[1]), atoi(word[2]), word[3]));
	else if (!strcmp(word[0], "exit"))
		_exit(0);
	else if (!handle_call(word) && !handle_thread(word) && !handle_openers(word))
		say("no such command");
}

int main(int argc, char **argv)
{
	char line[512];

	if (argc < 3)
		return 64;
	alarm(getenv("POSTERN_SOAK") ? SOAK_LIFETIME : LIFETIME);
	snprintf(name, sizeof(name), "%s", argv[1]);
	folder = argv[2];
	for (int i = 3; i < argc; i++) {
		char *number = strchr(argv[i], '=');

		if (!number)
			return 64;
		*number++ = 0;
		hold(argv[i], atoi(number));
	}
	open_ends();
	say("ready");
	while (fgets(line, sizeof(line), commands)) {
		char *word[WORDS] = { "", "", "", "", "", "", "", "" };
		char *rest = NULL;
		int count = 0;

		for (char *next = strtok_r(line, " \n", &rest); next && count < WORDS; next = strtok_r(NULL, " \n", &rest))
			word[count++] = next;
		handle(word);
	}
	return 0;
}
