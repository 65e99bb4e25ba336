/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "clinux_launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

/* In the second child: everything of whoever started us goes. */
static void become_detached(int fd, char *const argv[])
{
	struct sigaction standard = { .sa_handler = SIG_DFL };
	sigset_t none;
	int null;

	/* The descriptor first: it may have one of the numbers that are overwritten next. */
	if (fd == CLINUX_DETACHED_DESCRIPTOR) {
		if (fcntl(fd, F_SETFD, 0) < 0)
			_exit(127);
	} else if (dup2(fd, CLINUX_DETACHED_DESCRIPTOR) < 0) {
		_exit(127);
	}
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		_exit(127);
	for (int number = 0; number < CLINUX_DETACHED_DESCRIPTOR; number++) {
		if (null == number ? fcntl(null, F_SETFD, 0) < 0 : dup2(null, number) < 0)
			_exit(127);
	}
	if (syscall(SYS_close_range, CLINUX_DETACHED_DESCRIPTOR + 1, ~0u, 0) < 0)
		_exit(127);
	for (int number = 1; number < NSIG; number++)
		sigaction(number, &standard, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (chdir("/") < 0)
		_exit(127);
	execve("/proc/self/exe", argv, environ);
	_exit(127);
}

int clinux_spawn_detached(int fd, char *const argv[])
{
	/* Without the handlers of pthread_atfork(3): the child only execs. */
	pid_t child = _Fork();
	int status = 0;

	if (child < 0)
		return -1;
	if (child == 0) {
		setsid();
		child = _Fork();
		if (child == 0)
			become_detached(fd, argv);
		_exit(child < 0 ? errno & 0x7f : 0);
	}
	while (waitpid(child, &status, 0) < 0) {
		/* ECHILD: whoever started us ignores SIGCHLD, so that the kernel keeps no status for us. */
		if (errno == ECHILD)
			return 0;
		if (errno != EINTR)
			return -1;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
	return -1;
}

int clinux_become(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

pid_t clinux_fork(void)
{
	return fork();
}

int clinux_child_ended(pid_t child, int *status, int waiting)
{
	pid_t ended = waitpid(child, status, waiting ? 0 : WNOHANG);

	return ended < 0 ? -1 : ended == child;
}

int clinux_shell_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int clinux_descriptor_flags(int fd)
{
	return fcntl(fd, F_GETFD);
}

int clinux_duplicate_above(int fd, int lowest)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, lowest);
}

int clinux_place(int fd, int number)
{
	return dup2(fd, number);
}

int clinux_is_message_socket(int fd)
{
	int domain = 0, type = 0;
	socklen_t size = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && domain == AF_UNIX && type == SOCK_SEQPACKET;
}

int clinux_ignore_broken_pipes(void)
{
	struct sigaction ignored = { .sa_handler = SIG_IGN }, before;

	if (sigaction(SIGPIPE, &ignored, &before) < 0)
		return -1;
	return before.sa_handler == SIG_IGN;
}

int clinux_default_signal(int number)
{
	struct sigaction standard = { .sa_handler = SIG_DFL };

	return sigaction(number, &standard, NULL);
}

int clinux_has_file_capabilities(int fd)
{
	char path[32];

	/* fgetxattr(2) takes no O_PATH descriptor. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return getxattr(path, "security.capability", NULL, 0) > 0;
}

int clinux_may_execute(const char *path)
{
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS);
}

int clinux_may_access(int fd, int mode)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return faccessat(AT_FDCWD, path, mode, AT_EACCESS);
}
