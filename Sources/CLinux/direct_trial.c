/* SPDX-License-Identifier: Apache-2.0 */
/* Tries the path direct: a process of its own, a socket of its own, one call that is allowed and two that are not. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "direct.h"

/* What the three calls came to: errno, or 0. */
struct trial {
	int sent;
	int received;
	int revoked;
};

static const struct trial expected = { .sent = 0, .received = 13 /* EACCES */, .revoked = 128 /* EKEYREVOKED */ };

/* Nothing but system calls: it is the child of a process with threads. */
static void be_tried(int tried, int control)
{
	struct trial trial = { 0 };
	char byte;

	if (read(control, &byte, 1) != 1)
		_exit(1);
	trial.sent = send(tried, "x", 1, MSG_DONTWAIT) == 1 ? 0 : errno;
	trial.received = recv(tried, &byte, 1, MSG_DONTWAIT) >= 0 ? 0 : errno;
	if (write(control, &trial, sizeof(trial)) != (ssize_t)sizeof(trial) || read(control, &byte, 1) != 1)
		_exit(1);
	trial.revoked = send(tried, "x", 1, MSG_DONTWAIT) == 1 ? 0 : errno;
	_exit(write(control, &trial, sizeof(trial)) == (ssize_t)sizeof(trial) ? 0 : 1);
}

/* One exchange with the child; 0 or an errno. */
static int let_go(int control, struct trial *trial)
{
	if (write(control, "x", 1) != 1)
		return errno;
	return read(control, trial, sizeof(*trial)) == (ssize_t)sizeof(*trial) ? 0 : EIO;
}

static int associate(struct clinux_direct *direct, pid_t child, int tried, struct postern_association *record)
{
	const uint32_t object = direct->objects.count - 1;
	const struct postern_object described = {
		.id = object,
		.generation = 1,
		.operations = (1u << POSTERN_OP_SEND) | (1u << POSTERN_OP_RECEIVE),
		.kind = POSTERN_KIND_SOCKET,
		.present = 1,
	};
	const struct postern_limits limits = { .flags = POSTERN_LIMIT_SEND };
	int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	int error;

	if (pidfd < 0)
		return errno;
	memset(record, 0, sizeof(*record));
	error = -clinux_direct_identity(direct, pidfd, &record->process);
	close(pidfd);
	if (error == 0)
		error = -clinux_direct_put_object(direct, &described);
	if (error == 0)
		error = -clinux_direct_put_limits(direct, direct->limits.count - 1, &limits);
	if (error != 0)
		return error;
	record->object = object;
	record->generation = 1;
	record->operations = 1u << POSTERN_OP_SEND;
	record->state = POSTERN_STATE_LIVE;
	record->path = POSTERN_PATH_DIRECT;
	record->on_fork = POSTERN_ON_FORK_DENY;
	record->limits = direct->limits.count - 1;
	error = -clinux_direct_add(direct, direct->records.count - 1, record);
	return error != 0 ? error : -clinux_direct_tag(direct, tried, object, direct->records.count - 1, 0);
}

static int attempt(struct clinux_direct *direct, pid_t child, int tried, int control, struct trial *trial)
{
	struct postern_association record;
	int error = associate(direct, child, tried, &record);

	if (error == 0)
		error = let_go(control, trial);
	if (error != 0)
		return error;
	record.state = POSTERN_STATE_REVOKED;
	error = -clinux_direct_change(direct, direct->records.count - 1, &record);
	return error != 0 ? error : let_go(control, trial);
}

int clinux_direct_trial(struct clinux_direct *direct, struct clinux_direct_failure *failure)
{
	struct trial trial = { .sent = -1, .received = -1, .revoked = -1 };
	struct postern_object gone = { .id = direct->objects.count - 1, .kind = POSTERN_KIND_SOCKET };
	int sockets[2];
	int control[2];
	pid_t child;
	int error;

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sockets) != 0)
		return direct_fail(failure, CLINUX_DIRECT_TRIAL, errno, "socketpair");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) != 0) {
		error = errno;
		close(sockets[0]);
		close(sockets[1]);
		return direct_fail(failure, CLINUX_DIRECT_TRIAL, error, "socketpair");
	}
	child = fork();
	if (child == 0) {
		close(control[0]);
		be_tried(sockets[0], control[1]);
	}
	error = child < 0 ? errno : 0;
	close(control[1]);
	if (error == 0)
		error = attempt(direct, child, sockets[0], control[0], &trial);
	close(control[0]);
	close(sockets[0]);
	close(sockets[1]);
	if (child > 0)
		waitpid(child, NULL, 0);
	clinux_direct_remove(direct, direct->records.count - 1);
	clinux_direct_put_object(direct, &gone);
	if (error != 0)
		return direct_fail(failure, CLINUX_DIRECT_TRIAL, error, "a trial could not be made");
	if (trial.sent != expected.sent)
		return direct_fail(failure, CLINUX_DIRECT_TRIAL, trial.sent, "an allowed call was refused");
	if (trial.received != expected.received)
		return direct_fail(failure, CLINUX_DIRECT_TRIAL, EPROTO, "a call that was not granted was not refused");
	if (trial.revoked != expected.revoked)
		return direct_fail(failure, CLINUX_DIRECT_TRIAL, EPROTO, "a call after a revoke was not refused");
	return 0;
}
