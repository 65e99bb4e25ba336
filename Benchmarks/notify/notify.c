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

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

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

/* The supervisor with nothing but what it takes. */

static int pass(int socket, int fd)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char byte = 0;
	struct iovec part = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control),
	};

	if (fd < 0) {
		if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message))
			memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
		return fd;
	}
	control.align.cmsg_level = SOL_SOCKET;
	control.align.cmsg_type = SCM_RIGHTS;
	control.align.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	return sendmsg(socket, &message, 0) == 1 ? 0 : -1;
}

static int install(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bind, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(*code), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			    SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &program);
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t size = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &size) ? -1 : value;
}

static int bind_for(int listener, const struct seccomp_notif *request, uint64_t network)
{
	struct sockaddr_in name;
	struct iovec local = { .iov_base = &name, .iov_len = sizeof(name) };
	struct iovec remote = { .iov_base = (void *)request->data.args[1], .iov_len = sizeof(name) };
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);
	int pidfd, fd, result;

	if (request->data.args[2] != sizeof(name) ||
	    process_vm_readv((pid_t)request->pid, &local, 1, &remote, 1, 0) != sizeof(name) ||
	    name.sin_family != AF_INET || name.sin_port != address.sin_port ||
	    name.sin_addr.s_addr != address.sin_addr.s_addr)
		return EACCES;
	pidfd = (int)syscall(SYS_pidfd_open, request->pid, 0);
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, (int)request->data.args[0], 0);
	close(pidfd);
	if (fd < 0)
		return EACCES;
	result = EACCES;
	if (option(fd, SO_DOMAIN) == AF_INET && option(fd, SO_TYPE) == SOCK_STREAM &&
	    option(fd, SO_PROTOCOL) == IPPROTO_TCP && !getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) &&
	    cookie == network && !ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &request->id))
		result = bind(fd, (struct sockaddr *)&name, sizeof(name)) ? errno : 0;
	close(fd);
	return result;
}

static void supervise(int listener)
{
	struct pollfd entry = { .fd = listener, .events = POLLIN };
	uint64_t network = 0;
	socklen_t size = sizeof(network);
	int own = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	getsockopt(own, SOL_SOCKET, SO_NETNS_COOKIE, &network, &size);
	close(own);
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	while (poll(&entry, 1, -1) > 0 && entry.revents & POLLIN) {
		struct seccomp_notif request = { 0 };
		struct seccomp_notif_resp response = { 0 };

		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request))
			continue;
		response.id = request.id;
		response.error = -bind_for(listener, &request, network);
		ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
	}
	_exit(0);
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
		if (kind == MINIMAL && pass(pair[1], install()))
			die("seccomp");
		execv(line[0], line);
		die(line[0]);
	}
	if (kind == MINIMAL) {
		int listener = pass(pair[0], -1);

		worker.supervisor = fork();
		if (!worker.supervisor) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			supervise(listener);
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
