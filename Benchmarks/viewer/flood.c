/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Has instructions refused, so many a second: writes on a channel whose grant has no write, in batches.
 *
 * One record in the journal for each, from the place that refused. Without a rate as many as the broker takes.
 *
 * Usage: flood SOCKET SECONDS [RATE [BATCH]]
 * Prints "refused COUNT per-second RATE".
 */
#include "../mediated/protocol.h"

#define OPCODE_WRITE 1
#define MOST_BATCH 32u

int main(int count, char **arguments)
{
	uint8_t request[BATCH_HEADER + MOST_BATCH * INSTRUCTION], reply[8192];
	double rate = count > 3 ? atof(arguments[3]) : 0, seconds, start;
	unsigned batch = count > 4 ? (unsigned)atoi(arguments[4]) : MOST_BATCH;
	uint64_t refused = 0;
	int connection, channel;
	size_t size;

	if (count < 3 || count > 5 || batch < 1 || batch > MOST_BATCH) {
		fprintf(stderr, "usage: %s SOCKET SECONDS [RATE [BATCH]]\n", arguments[0]);
		return 64;
	}
	seconds = atof(arguments[2]);
	connection = connect_broker(arguments[1]);
	channel = open_object(connection, "image");
	size = instructions(request, batch, OPCODE_WRITE, 0);
	start = now();
	while (now() - start < seconds * 1e9) {
		if (rate > 0) {
			double ahead = (double)refused / rate * 1e9 - (now() - start);

			if (ahead > 0) {
				struct timespec pause = { 0, ahead < 1e8 ? (long)ahead : 100000000 };

				nanosleep(&pause, NULL);
				continue;
			}
		}
		if (send(channel, request, size, MSG_NOSIGNAL) < 0)
			die("send");
		if (recv(channel, reply, sizeof(reply), 0) != (ssize_t)(BATCH_HEADER + batch * COMPLETION))
			die("a reply of another size");
		if (first_completion(reply).reason == 0) {
			fprintf(stderr, "benchmark: a write was not refused\n");
			return 1;
		}
		refused += batch;
	}
	printf("refused %" PRIu64 " per-second %.0f\n", refused, (double)refused / ((now() - start) / 1e9));
	return 0;
}
