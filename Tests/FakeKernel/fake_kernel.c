/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "fake_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* Opcodes as postern_abi.h numbers them. */
static const struct {
	int call;
	int operation;
} calls[] = {
	{ SYS_pread64, 0 }, { SYS_read, 0 },	   { SYS_pwrite64, 1 },	   { SYS_write, 1 },
	{ SYS_fsync, 2 },   { SYS_fallocate, 3 },  { SYS_bind, 5 },	   { SYS_listen, 6 },
	{ SYS_accept4, 7 }, { SYS_connect, 8 },	   { SYS_sendto, 9 },	   { SYS_recvfrom, 10 },
	{ SYS_shutdown, 11 }, { SYS_getsockopt, 12 }, { SYS_setsockopt, 13 }, { SYS_ioctl, 15 },
};

#define COUNT (sizeof(calls) / sizeof(*calls))

int fake_kernel_install(int fd)
{
	struct sock_filter filter[COUNT + 5];
	struct sock_fprog program = { .len = COUNT + 5, .filter = filter };
	unsigned int at = 0, i;
	int listener;

	filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]));
	filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)fd, 0, COUNT + 1);
	filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (i = 0; i < COUNT; i++, at++)
		filter[at] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i].call,
							  (uint8_t)(COUNT - i), 0);
	filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	return listener < 0 ? -errno : listener;
}

struct fake_call fake_kernel_receive(int listener, int milliseconds)
{
	struct pollfd ready = { .fd = listener, .events = POLLIN };
	struct fake_call none = { .operation = -1 };
	struct seccomp_notif call;
	unsigned int i;

	memset(&call, 0, sizeof(call));
	if (poll(&ready, 1, milliseconds) < 1 || !(ready.revents & POLLIN) ||
	    ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call))
		return none;
	for (i = 0; i < COUNT; i++)
		if (calls[i].call == call.data.nr)
			return (struct fake_call){ .id = call.id, .pid = (int32_t)call.pid, .operation = calls[i].operation };
	return none;
}

void fake_kernel_answer(int listener, uint64_t id, int error)
{
	struct seccomp_notif_resp answer = {
		.id = id,
		.error = -error,
		.flags = error ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE,
	};

	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

int fake_kernel_thread(void)
{
	return gettid();
}

struct fake_pair fake_kernel_streams(void)
{
	int ends[2] = { -1, -1 };

	socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
	return (struct fake_pair){ ends[0], ends[1] };
}

struct fake_pair fake_kernel_terminal(void)
{
	struct fake_pair pair = { -1, -1 };
	struct termios settings;
	char name[64];

	pair.first = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (pair.first < 0 || grantpt(pair.first) || unlockpt(pair.first) || ptsname_r(pair.first, name, sizeof(name)))
		return pair;
	pair.second = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (pair.second >= 0 && !tcgetattr(pair.second, &settings)) {
		cfmakeraw(&settings);
		tcsetattr(pair.second, TCSANOW, &settings);
	}
	return pair;
}

int fake_kernel_fork(void)
{
	return fork();
}

void fake_kernel_end(int code)
{
	_exit(code);
}

int fake_kernel_wait(int pid, int milliseconds)
{
	int status;

	for (; milliseconds > 0; milliseconds -= 10) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		usleep(10000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}
