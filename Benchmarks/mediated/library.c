/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same read through libpostern, for information: what the library adds to the raw protocol.
 *
 * Usage: library SOCKET BROKER-PID
 */
#include "measure.h"

#include <postern.h>

#define ROUNDS 201
#define OPERATIONS 60

static void run(int fd, pid_t broker, const char *key, int client, int server)
{
	double rounds[ROUNDS];
	char bytes[64], name[64];

	place(getpid(), client);
	place(broker, server);
	for (int round = 0; round < ROUNDS; round++) {
		double begun = now();

		for (int index = 0; index < OPERATIONS; index++) {
			if (postern_read(fd, bytes, sizeof(bytes), 0) != sizeof(bytes)) {
				fprintf(stderr, "benchmark: postern_read failed\n");
				exit(1);
			}
		}
		rounds[round] = (now() - begun) / OPERATIONS;
	}
	snprintf(name, sizeof(name), "mediated.%s.read-by-library", key);
	figure(name, median(rounds, ROUNDS), "ns", "-", 0);
}

int main(int count, char **arguments)
{
	postern *connection;
	int fd;

	if (count != 3) {
		fprintf(stderr, "usage: %s SOCKET BROKER-PID\n", arguments[0]);
		return 64;
	}
	if (postern_connect(arguments[1], &connection) < 0)
		die("postern_connect");
	fd = postern_open(connection, "image", POSTERN_READ | POSTERN_INFO);
	if (fd < 0)
		die("postern_open");
	if (processor(1) != processor(0))
		run(fd, atoi(arguments[2]), "two-cpus", processor(0), processor(1));
	run(fd, atoi(arguments[2]), "one-cpu", processor(0), processor(0));
	postern_close(fd);
	postern_disconnect(connection);
	return 0;
}
