/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a revoke takes while four processes use what it takes back.
 *
 * Each round four new processes open the object and read from it as fast as they can; the revoke's time is
 * from sending the request to its reply, and the last success is when a client last got an answer that was
 * none of the refusal. A reload between rounds lifts the standing revoke.
 *
 * Usage: revoke SOCKET [ROUNDS]
 */
#include "protocol.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define CLIENTS 4
#define MOST_ROUNDS 2000

struct shared {
	atomic_int hammering;
	double success_sent[CLIENTS], success_received[CLIENTS];
	uint64_t operations[CLIENTS];
};

static void hammer(const char *socket, struct shared *shared, int index)
{
	uint8_t request[256], reply[1024];
	size_t size = instructions(request, 1, OPCODE_READ, 64);
	int channel = open_object(connect_broker(socket), "image");

	for (uint64_t count = 1;; count++) {
		double sent = now();
		struct completion frame;

		if (send(channel, request, size, MSG_NOSIGNAL) < 0 ||
		    recv(channel, reply, sizeof(reply), 0) < BATCH_HEADER + COMPLETION)
			_exit(1);
		frame = first_completion(reply);
		if (frame.kind != 0 || frame.reason != 0)
			_exit(0);
		shared->success_sent[index] = sent;
		shared->success_received[index] = now();
		shared->operations[index] = count;
		if (count == 20)
			atomic_fetch_add(&shared->hammering, 1);
	}
}

int main(int count, char **arguments)
{
	static double replies[MOST_ROUNDS], successes[MOST_ROUNDS];
	int rounds = count > 2 ? atoi(arguments[2]) : 200, late = 0;
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (count < 2 || rounds < 1 || rounds > MOST_ROUNDS || shared == MAP_FAILED) {
		fprintf(stderr, "usage: %s SOCKET [ROUNDS]\n", arguments[0]);
		return 64;
	}
	int admin = connect_broker(arguments[1]);

	for (int round = 0; round < rounds; round++) {
		uint8_t body[64], answer[8] = { 0 };
		size_t size = put_string(body, "image");
		uint32_t timeout = 1000;
		double sent, replied, last = 0;

		memset(shared, 0, sizeof(*shared));
		for (int client = 0; client < CLIENTS; client++) {
			pid_t pid = fork();

			if (pid < 0)
				die("fork");
			if (pid == 0) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				hammer(arguments[1], shared, client);
			}
		}
		while (atomic_load(&shared->hammering) < CLIENTS)
			usleep(200);
		/* No application, any pid, no association, not all, the timeout. */
		memset(body + size, 0, 2 + 4 + 1 + 8 + 1);
		memcpy(body + size + 16, &timeout, 4);
		sent = now();
		control(admin, REQUEST_REVOKE, body, size + 20, REPLY_REVOCATIONS, answer, sizeof(answer), NULL);
		replied = now();
		for (int client = 0; client < CLIENTS; client++) {
			int status;

			if (wait(&status) < 0 || status != 0)
				die("a client did not end with a refusal");
		}
		for (int client = 0; client < CLIENTS; client++) {
			if (shared->success_received[client] > last)
				last = shared->success_received[client];
			late += shared->success_sent[client] > replied;
		}
		replies[round] = (replied - sent) / 1e6;
		successes[round] = last > sent ? (last - sent) / 1e6 : 0;
		control(admin, REQUEST_RELOAD, body, 0, REPLY_DONE, NULL, 0, NULL);
	}
	figure("revoke.reply.median", quantile(replies, rounds, 0.5), "ms", "-", 0);
	figure("revoke.reply.p99", quantile(replies, rounds, 0.99), "ms", "<=", 1);
	figure("revoke.last-success.median", quantile(successes, rounds, 0.5), "ms", "-", 0);
	figure("revoke.last-success.p99", quantile(successes, rounds, 0.99), "ms", "-", 0);
	figure("revoke.successes-begun-after-the-reply", late, "", "<=", 0);
	return 0;
}
