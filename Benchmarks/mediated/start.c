/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long the broker takes from exec to "posternd: ready".
 *
 * Usage: start KEY BAR POSTERND POLICY SOCKET STATE-DIR      (BAR 0: no bar)
 */
#include "measure.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#define ROUNDS 15

static double start_once(char **arguments)
{
	int channel[2], status;
	char text[4096] = "";
	size_t used = 0;
	double begun, ready;
	pid_t pid;

	if (pipe2(channel, O_CLOEXEC) < 0)
		die("pipe");
	begun = now();
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		dup2(channel[1], STDERR_FILENO);
		execl(arguments[3], "posternd", "--policy", arguments[4], "--socket", arguments[5], "--state-dir",
		      arguments[6], (char *)NULL);
		_exit(127);
	}
	close(channel[1]);
	while (!strstr(text, "posternd: ready\n")) {
		ssize_t count = read(channel[0], text + used, sizeof(text) - 1 - used);

		if (count <= 0) {
			fprintf(stderr, "benchmark: the broker did not start: %s\n", text);
			exit(1);
		}
		used += (size_t)count;
		text[used] = 0;
	}
	ready = now();
	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
	close(channel[0]);
	return (ready - begun) / 1e6;
}

int main(int count, char **arguments)
{
	double rounds[ROUNDS], bar;

	if (count != 7) {
		fprintf(stderr, "usage: %s KEY BAR POSTERND POLICY SOCKET STATE-DIR\n", arguments[0]);
		return 64;
	}
	bar = atof(arguments[2]);
	for (int round = 0; round < ROUNDS; round++)
		rounds[round] = start_once(arguments);
	figure(arguments[1], median(rounds, ROUNDS), "ms", bar > 0 ? "<=" : "-", bar);
	return 0;
}
