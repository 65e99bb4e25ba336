// SPDX-License-Identifier: Apache-2.0
/*
 * A container runtime as far as a seccomp agent sees one, and the container's only process. It does what it is told on
 * standard input, one line at a time, and answers with one line: "ok", or a word, or the symbol of an errno.
 *
 * Usage: runtime AGENT-SOCKET
 *
 *     connect                 to the agent
 *     filter                  makes its own bind(2) calls notified
 *     crun ID [PID]           the next message is what crun 1.8.1 sends for a container ID with this pid (its own)
 *     text TEXT               the next message is TEXT
 *     pad SIZE                white space at its end, up to SIZE bytes
 *     cut SIZE                only the first SIZE bytes of it
 *     send SIZE ATTACHED      in pieces of SIZE bytes, with what the letters of ATTACHED say at the first one
 *     late SIZE ATTACHED      the same, but at the last one; l: the listener, p: an end of a pipe, -: nothing
 *     closed                  waits until the agent has closed the connection
 *     close                   closes it
 *     forget                  closes the listener
 *     become UID              setresuid(2), setresgid(2)
 *     bind ADDRESS PORT       binds a TCP socket, which stays open
 *     raw                     makes a raw socket for ICMP
 */
#define _GNU_SOURCE
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#define MOST_ATTACHED 253

static const char *agent_path;
static int agent = -1, listener = -1;
static char *message;
static size_t message_size;

static void say(const char *text)
{
	printf("%s\n", text);
	fflush(stdout);
}

static void say_result(int result)
{
	say(result < 0 ? strerrorname_np(errno) : "ok");
}

static int connect_agent(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	agent = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", agent_path);
	return connect(agent, (struct sockaddr *)&address, sizeof(address));
}

static int install_filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bind, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(*code), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	return listener;
}

static void set_message(const char *text)
{
	free(message);
	message = strdup(text);
	message_size = strlen(text);
}

/* As crun 1.8.1 wrote it, but for the pid, the id and the folder. */
static void set_crun_message(const char *id, int pid)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "{\n    \"ociVersion\": \"0.2.0\",\n    \"fds\": [\n        \"seccompFd\"\n    ],\n    \"pid\": %d,\n"
		 "    \"metadata\": \"MD=1\",\n    \"state\": {\n        \"ociVersion\": \"0.2.0\",\n        \"id\": \"%s\",\n"
		 "        \"status\": \"creating\",\n        \"pid\": %d,\n        \"bundle\": \"/bundle\",\n"
		 "        \"annotations\": {\n            \"a.b\": \"c\"\n        }\n    }\n}\n",
		 pid, id, pid);
	set_message(text);
}

static void pad_message(size_t size)
{
	message = realloc(message, size);
	memset(message + message_size, ' ', size - message_size);
	message_size = size;
}

static int send_piece(size_t offset, size_t size, const char *attached)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(MOST_ATTACHED * sizeof(int))];
	} control = { 0 };
	struct iovec part = { .iov_base = message + offset, .iov_len = size };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
	int numbers[MOST_ATTACHED];
	int pipes[2] = { -1, -1 };
	size_t count = 0;
	ssize_t sent;

	for (; *attached && *attached != '-' && count < MOST_ATTACHED; attached++) {
		if (*attached == 'p' && pipes[0] < 0 && pipe2(pipes, O_CLOEXEC) < 0)
			return -1;
		numbers[count++] = *attached == 'p' ? pipes[0] : listener;
	}
	if (count > 0) {
		struct cmsghdr *rights = &control.align;

		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(count * sizeof(int));
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(rights), numbers, count * sizeof(int));
	}
	sent = sendmsg(agent, &header, MSG_NOSIGNAL);
	for (int index = 0; index < 2 && pipes[0] >= 0; index++)
		close(pipes[index]);
	return sent == (ssize_t)size ? 0 : -1;
}

static int wait_until_read(void)
{
	for (int tries = 0; tries < 5000; tries++) {
		int unread = 0;

		if (ioctl(agent, SIOCOUTQ, &unread) < 0)
			return -1;
		if (!unread)
			return 0;
		usleep(1000);
	}
	errno = ETIMEDOUT;
	return -1;
}

static int send_message(size_t piece, const char *attached, int late)
{
	for (size_t offset = 0; offset < message_size; offset += piece) {
		size_t size = message_size - offset < piece ? message_size - offset : piece;
		int is_first = offset == 0, is_last = offset + size == message_size;

		/* What has been read already is not joined with what follows. */
		if (late && is_last && wait_until_read() < 0)
			return -1;
		if (send_piece(offset, size, (late ? is_last : is_first) ? attached : "-") < 0)
			return -1;
	}
	return 0;
}

static const char *wait_for_close(void)
{
	struct pollfd entry = { .fd = agent, .events = POLLIN };
	char byte;

	if (poll(&entry, 1, 9000) <= 0)
		return "open";
	return recv(agent, &byte, 1, MSG_DONTWAIT) > 0 ? "data" : "closed";
}

static int become(unsigned int id)
{
	if (geteuid() != 0)
		return 0;
	return setgroups(0, NULL) < 0 || setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0 ? -1 : 0;
}

static int bind_tcp(const char *address, int port)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	inet_pton(AF_INET, address, &name.sin_addr);
	return bind(fd, (struct sockaddr *)&name, sizeof(name));
}

static void obey(char *line)
{
	char first[256] = "", second[256] = "";
	char *word = strsep(&line, " ");

	if (line && strcmp(word, "text") != 0)
		sscanf(line, "%255s %255s", first, second);
	if (strcmp(word, "connect") == 0) {
		say_result(connect_agent());
	} else if (strcmp(word, "filter") == 0) {
		say_result(install_filter());
	} else if (strcmp(word, "crun") == 0) {
		set_crun_message(first, *second ? atoi(second) : getpid());
		say("ok");
	} else if (strcmp(word, "text") == 0) {
		set_message(line ? line : "");
		say("ok");
	} else if (strcmp(word, "pad") == 0) {
		pad_message((size_t)atol(first));
		say("ok");
	} else if (strcmp(word, "cut") == 0) {
		message_size = (size_t)atol(first);
		say("ok");
	} else if (strcmp(word, "send") == 0 || strcmp(word, "late") == 0) {
		say_result(send_message((size_t)atol(first), second, *word == 'l'));
	} else if (strcmp(word, "closed") == 0) {
		say(wait_for_close());
	} else if (strcmp(word, "close") == 0) {
		say_result(close(agent));
	} else if (strcmp(word, "forget") == 0) {
		say_result(close(listener));
	} else if (strcmp(word, "become") == 0) {
		say_result(become((unsigned int)atoi(first)));
	} else if (strcmp(word, "bind") == 0) {
		say_result(bind_tcp(first, atoi(second)));
	} else if (strcmp(word, "raw") == 0) {
		say_result(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
	} else {
		say("what?");
	}
}

int main(int count, char **arguments)
{
	char *line = NULL;
	size_t capacity = 0;
	ssize_t length;

	if (count != 2)
		return 64;
	agent_path = arguments[1];
	/* Whoever started it may be gone. */
	alarm(120);
	while ((length = getline(&line, &capacity, stdin)) > 0) {
		line[length - 1] = '\0';
		obey(line);
	}
	return 0;
}
