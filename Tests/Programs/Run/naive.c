// SPDX-License-Identifier: Apache-2.0
/*
 * The twin of the broker in the attack tests: a supervisor of the same calls with one mistake, in which the attack is seen
 * to win. It grants PORT and IMAGE, refuses other privileged ports and other files in IMAGE's folder, and lets the rest
 * through.
 *
 * Usage: naive MISTAKE PORT IMAGE PROGRAM [ARGUMENT...]
 *
 *	none		of those below; but what it opens it opens by name
 *	continue	checks, and lets the call through; the program has the privileges itself
 *	twice		checks one copy of the address, acts on a second one
 *	unchecked	binds whatever it has fetched
 *	failopen	an error lets the call through; the program has the privileges itself, the supervisor cannot look
 *			at what is not dumpable
 *	leader		takes the number of a thread for one of a process
 *	link		checks where a path leads, then opens the path
 *	name		compares names, opens in the program's root
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static const char *mistake;
static int port;
static const char *image;
static char folder[PATH_MAX];
static int listener;

static int is(const char *name)
{
	return !strcmp(mistake, name);
}

static int is_privileged_program(void)
{
	return is("continue") || is("failopen");
}

/* Becomes an ordinary user, for the mistakes that are about it with the two privileges. */
static void drop(int keep)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };
	unsigned int kept = 1U << CAP_NET_BIND_SERVICE | 1U << CAP_DAC_OVERRIDE;

	if (keep)
		prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
	if (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
		_exit(70);
	if (!keep)
		return;
	data[0].permitted = data[0].effective = data[0].inheritable = kept;
	if (syscall(SYS_capset, &head, data) || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0) ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0))
		_exit(70);
}

static int install(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bind, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_open, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(*code), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

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

static void answer(unsigned long long id, int error, int let_through)
{
	struct seccomp_notif_resp response = {
		.id = id, .error = let_through ? 0 : -error, .flags = let_through ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0,
	};

	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

static int copy(pid_t pid, unsigned long long from, void *to, size_t size)
{
	struct iovec local = { .iov_base = to, .iov_len = size };
	struct iovec remote = { .iov_base = (void *)from, .iov_len = size };

	return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)size ? 0 : -1;
}

static int copy_path(pid_t pid, unsigned long long from, char *to)
{
	for (size_t size = 0; size < PATH_MAX; size++) {
		if (copy(pid, from + size, to + size, 1))
			return -1;
		if (!to[size])
			return 0;
	}
	return -1;
}

static int failed(unsigned long long id, int error)
{
	answer(id, error, is("failopen"));
	return 0;
}

static int process_of(pid_t thread)
{
	char name[64], line[256];
	int process = thread;
	FILE *status;

	if (is("leader"))
		return thread;
	snprintf(name, sizeof(name), "/proc/%d/status", thread);
	status = fopen(name, "re");
	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "Tgid: %d", &process) == 1)
			break;
	if (status)
		fclose(status);
	return process;
}

static int handle_bind(const struct seccomp_notif *request)
{
	struct sockaddr_in name;
	int pidfd, fd, type = 0;
	socklen_t size = sizeof(type);

	if (request->data.args[2] < sizeof(name) || copy((pid_t)request->pid, request->data.args[1], &name, sizeof(name)))
		return failed(request->id, EACCES);
	if (name.sin_family != AF_INET || ntohs(name.sin_port) >= 1024 || !name.sin_port) {
		answer(request->id, 0, 1);
		return 0;
	}
	if (ntohs(name.sin_port) != port) {
		answer(request->id, EACCES, 0);
		return 0;
	}
	if (is_privileged_program()) {
		answer(request->id, 0, 1);
		return 0;
	}
	pidfd = (int)syscall(SYS_pidfd_open, process_of((pid_t)request->pid), 0);
	fd = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, (int)request->data.args[0], 0);
	if (is("twice"))
		copy((pid_t)request->pid, request->data.args[1], &name, sizeof(name));
	if (!is("unchecked") && !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) && type != SOCK_STREAM)
		answer(request->id, EACCES, 0);
	else
		answer(request->id, bind(fd, (struct sockaddr *)&name, sizeof(name)) ? errno : 0, 0);
	close(fd);
	close(pidfd);
	return 0;
}

static int handle_open(const struct seccomp_notif *request)
{
	int at = request->data.nr == SYS_openat;
	struct seccomp_notif_addfd injected = { .id = request->id, .flags = SECCOMP_ADDFD_FLAG_SEND };
	char path[PATH_MAX], real[PATH_MAX], through[PATH_MAX + 64];
	int fd;

	if (copy_path((pid_t)request->pid, request->data.args[at], path))
		return failed(request->id, EACCES);
	snprintf(real, sizeof(real), "%s", path);
	if (is("link") && !realpath(path, real))
		return failed(request->id, errno);
	if (strncmp(real, folder, strlen(folder))) {
		answer(request->id, 0, 1);
		return 0;
	}
	if (strcmp(real, image)) {
		answer(request->id, EACCES, 0);
		return 0;
	}
	if (is("continue")) {
		answer(request->id, 0, 1);
		return 0;
	}
	snprintf(through, sizeof(through), "/proc/%u/root%s", request->pid, path);
	fd = open(is("name") ? through : path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return failed(request->id, errno);
	injected.srcfd = (__u32)fd;
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &injected) < 0)
		failed(request->id, errno);
	close(fd);
	return 0;
}

int main(int count, char **arguments)
{
	struct pollfd entry = { .events = POLLIN };
	int pair[2], status = 0;
	pid_t child;

	if (count < 5)
		return 64;
	alarm(1800);
	mistake = arguments[1];
	port = atoi(arguments[2]);
	image = arguments[3];
	snprintf(folder, sizeof(folder), "%s", image);
	if (strrchr(folder, '/'))
		strrchr(folder, '/')[1] = 0;
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
	child = fork();
	if (!child) {
		drop(is_privileged_program());
		if (pass(pair[1], install()))
			_exit(70);
		execv(arguments[4], arguments + 4);
		_exit(69);
	}
	close(pair[1]);
	listener = pass(pair[0], -1);
	if (listener < 0)
		return 70;
	if (is("failopen"))
		drop(1);
	entry.fd = listener;
	while (poll(&entry, 1, -1) > 0 && entry.revents & POLLIN) {
		struct seccomp_notif request = { 0 };

		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request))
			continue;
		if (request.data.nr == SYS_bind)
			handle_bind(&request);
		else
			handle_open(&request);
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 70;
}
