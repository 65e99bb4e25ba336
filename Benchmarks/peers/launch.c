/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a program that gets what it needs by being started: nothing, LISTEN_FDS, sudo; and bind(2) below authbind. */
#include "peers.h"

#include <signal.h>
#include <sys/wait.h>

/* From fork to the program's end; `descriptor` becomes its descriptor 3. */
void start_program(const char *const *line, int descriptor)
{
	char number[16];
	int status;
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		if (descriptor >= 0) {
			snprintf(number, sizeof(number), "%d", (int)getpid());
			setenv("LISTEN_PID", number, 1);
			setenv("LISTEN_FDS", "1", 1);
			if (dup2(descriptor, 3) < 0)
				_exit(126);
			become_nobody();
		}
		execvp(line[0], (char *const *)line);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "benchmark: %s ended with %d\n", line[0], WEXITSTATUS(status));
		exit(1);
	}
}

int only_starts(const struct task *task)
{
	return task->operation == START_PROGRAM;
}

int only_binds(const struct task *task)
{
	return task->operation == BIND_PORT;
}

static void start_nothing(const struct task *task)
{
	const char *const line[] = { needed("PEERS_PROGRAM"), NULL };

	(void)task;
	start_program(line, -1);
}

static void open_listener(struct way *way)
{
	(void)way;
	held.listener = loopback_socket(SOCK_STREAM, 81);
	if (listen(held.listener, 16))
		die("listen");
}

/* systemd keeps the socket and starts the program with it, as the program's user; see sd_listen_fds(3). */
static void start_with_socket(const struct task *task)
{
	const char *const line[] = { needed("PEERS_PROGRAM"), "81", NULL };

	(void)task;
	start_program(line, held.listener);
}

static void start_by_sudo(const struct task *task)
{
	static const char *const line[] = { "sudo", "-n", "true", NULL };

	(void)task;
	start_program(line, -1);
}

static void prepare_authbind(struct way *way)
{
	cannot(way, setting("PEERS_NO_AUTHBIND") ? setting("PEERS_NO_AUTHBIND") : "");
}

static void prepare_sudo(struct way *way)
{
	cannot(way, setting("PEERS_NO_SUDO") ? setting("PEERS_NO_SUDO") : "");
}

static const char *const by_authbind[] = { "authbind", "--deep", NULL };

struct way launch = { .name = "no privilege", .offers = only_starts, .perform = start_nothing, .slow = 1 };
struct way listen_fds = { .name = "LISTEN_FDS", .open = open_listener, .offers = only_starts, .perform = start_with_socket,
			  .root = 1, .slow = 1 };
struct way sudo = { .name = "sudo -n true", .prepare = prepare_sudo, .offers = only_starts, .perform = start_by_sudo,
		    .slow = 1 };
/* A library in the program has every bind to such a port done by a helper that is set-user-ID root. */
struct way authbind = { .name = "authbind", .prepare = prepare_authbind, .offers = only_binds, .perform = bind_port,
			.release = close_acquired, .prefix = by_authbind, .slow = 1 };
