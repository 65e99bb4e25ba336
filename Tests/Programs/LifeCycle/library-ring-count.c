// SPDX-License-Identifier: Apache-2.0
/*
 * Reads through the library, as often as it is told, and says how many reads gave bytes.
 *
 * Usage: library-ring-count SOCKET OBJECT, then lines:
 *   open          for all that is granted
 *   again, close  opens the object once more, and gives that up
 *   read NUMBER
 *   beside NUMBER the same while another thread asks for completions, again and again
 *   batch         without waiting: sixteen reads, one behind the end, a write, and a flush that is not granted; says what came of
 *                 them, in the order of their numbers, collected five at a time whenever the descriptor is readable
 *   expect        without waiting: three receives; collect: says what came of one
 *   fork          while a thread is blocked in a receive a child looks for a datagram; says what the child got
 *   child         a child looks for a datagram with O_NONBLOCK, which was set before the fork; says what it got
 *   received      what the thread got
 *   send [PORT]   five bytes, to that port of 127.0.0.1; says how many went or the error
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <postern.h>

static int fd = -1, other = -1;
static pthread_t receiver;

static void *receive(void *result)
{
	char bytes[64];

	*(ssize_t *)result = postern_receive(fd, bytes, sizeof(bytes), 0, NULL, NULL);
	return result;
}

static long read_often(long left)
{
	char bytes[64];
	long good = 0;

	for (; left > 0; left--)
		good += postern_read(fd, bytes, sizeof(bytes), 0) == sizeof(bytes);
	return good;
}

static atomic_int is_over;

static void *ask(void *nothing)
{
	struct postern_completion completion;

	while (!is_over)
		postern_complete(fd, &completion, 1);
	return nothing;
}

static long read_beside(long count)
{
	pthread_t other_thread;
	long good;

	is_over = 0;
	pthread_create(&other_thread, NULL, ask, NULL);
	good = read_often(count);
	is_over = 1;
	pthread_join(other_thread, NULL);
	return good;
}

/* How many completions came within five seconds, or the error. */
static int collect(struct postern_completion *completions, unsigned int capacity)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };

	return poll(&entry, 1, 5000) == 1 ? postern_complete(fd, completions, capacity) : -ETIME;
}

#define BATCH 19

static void batch(void)
{
	static char into[BATCH][64];
	struct postern_instruction instructions[BATCH] = { 0 };
	struct postern_completion completions[5];
	long results[BATCH] = { 0 };
	int done = 0;

	for (int index = 0; index < BATCH; index++)
		instructions[index] = (struct postern_instruction){
			.operation = POSTERN_READ,
			.user_data = (uint64_t)index,
			.offset = index == 16 ? 1 << 20 : (uint64_t)index * 64,
			.in = into[index],
			.in_length = 64,
		};
	instructions[17] = (struct postern_instruction){
		.operation = POSTERN_WRITE, .user_data = 17, .offset = 4096, .out = "written", .out_length = 7,
	};
	instructions[18] = (struct postern_instruction){ .operation = POSTERN_FLUSH, .user_data = 18 };
	printf("%d:", postern_submit(fd, instructions, BATCH));
	while (done < BATCH) {
		int count = collect(completions, 5);

		if (count <= 0)
			break;
		for (int index = 0; index < count; index++)
			results[completions[index].user_data] = completions[index].result;
		done += count;
	}
	for (int index = 0; index < BATCH; index++)
		printf(" %ld", results[index]);
	printf(" of %d\n", done);
}

static char received_apart[3][64];

static void expect(void)
{
	struct postern_instruction instructions[3] = { 0 };

	for (int index = 0; index < 3; index++)
		instructions[index] = (struct postern_instruction){
			.operation = POSTERN_RECEIVE, .in = received_apart[index], .in_length = 64,
			.user_data = (uint64_t)index,
		};
	printf("%d\n", postern_submit(fd, instructions, 3));
}

static void say_completion(void)
{
	struct postern_completion completion;
	int count = collect(&completion, 1);

	if (count != 1)
		printf("%d\n", count);
	else if (completion.result < 0)
		printf("%s %s\n", strerrorname_np((int)-completion.result), postern_reason_name(completion.reason));
	else
		printf("%.*s\n", (int)completion.result, received_apart[completion.user_data]);
}

int main(int count, char **arguments)
{
	char line[64], bytes[64];
	postern *connection;
	static ssize_t received;

	alarm(120);
	if (count < 3 || postern_connect(arguments[1], &connection) < 0)
		return 69;
	while (fgets(line, sizeof(line), stdin)) {
		if (!strncmp(line, "open", 4)) {
			fd = postern_open(connection, arguments[2], 0);
			printf("%d\n", fd < 0 ? fd : 0);
		} else if (!strncmp(line, "again", 5)) {
			other = postern_open(connection, arguments[2], 0);
			printf("%d\n", other < 0 ? other : 0);
		} else if (!strncmp(line, "close", 5)) {
			printf("%d\n", postern_close(other));
		} else if (!strncmp(line, "fork", 4)) {
			pthread_create(&receiver, NULL, receive, &received);
			usleep(100000);
			fflush(stdout);
			if (fork() == 0) {
				printf("%zd\n", postern_receive(fd, bytes, sizeof(bytes), MSG_DONTWAIT, NULL, NULL));
				fflush(stdout);
				_exit(0);
			}
			wait(NULL);
		} else if (!strncmp(line, "child", 5)) {
			fcntl(fd, F_SETFL, O_NONBLOCK);
			if (fork() == 0) {
				alarm(10);
				printf("%zd\n", postern_receive(fd, bytes, sizeof(bytes), 0, NULL, NULL));
				fflush(stdout);
				_exit(0);
			}
			wait(NULL);
		} else if (!strncmp(line, "received", 8)) {
			pthread_join(receiver, NULL);
			printf("%zd\n", received);
		} else if (!strncmp(line, "send", 4)) {
			struct sockaddr_in to = {
				.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(line + 4)),
				.sin_addr = { htonl(INADDR_LOOPBACK) },
			};
			int names = to.sin_port != 0;

			printf("%zd\n", postern_send(fd, "hello", 5, 0, names ? (struct sockaddr *)&to : NULL,
						    names ? sizeof(to) : 0));
		} else if (!strncmp(line, "beside", 6)) {
			printf("%ld\n", read_beside(atol(line + 7)));
		} else if (!strncmp(line, "batch", 5)) {
			batch();
		} else if (!strncmp(line, "expect", 6)) {
			expect();
		} else if (!strncmp(line, "collect", 7)) {
			say_completion();
		} else {
			printf("%ld\n", read_often(atol(line + 5)));
		}
		fflush(stdout);
	}
	return 0;
}
