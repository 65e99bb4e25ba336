/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a disk (byte N is N & 255) in batches, collects by poll(2), and by 8 threads at once.
 *
 * usage: batch OBJECT SIZE
 */
#define _GNU_SOURCE
#include <poll.h>
#include <postern.h>
#include <pthread.h>
#include <unistd.h>

#include "check.h"

static int fd;
static long size;

static void check_bytes(const unsigned char *bytes, long count, long offset)
{
	for (long index = 0; index < count; index++)
		CHECK(bytes[index] == ((offset + index) & 255), "at %ld", offset + index);
}

static void *reader(void *argument)
{
	unsigned seed = (unsigned)(uintptr_t)argument;

	for (int round = 0; round < 300; round++) {
		unsigned char bytes[512];
		long offset = rand_r(&seed) % (size - 512);

		EXPECT(postern_read(fd, bytes, sizeof(bytes), offset), sizeof(bytes));
		check_bytes(bytes, sizeof(bytes), offset);
	}
	return NULL;
}

/* 40 writes of 32 KiB, which are not granted, however many of them go at once; one that is malformed stops those behind it. */
static void submit_much(void)
{
	static unsigned char bytes[32768];
	struct postern_instruction instructions[40];
	struct postern_completion completions[40];
	int sent = 0, done = 0;

	for (unsigned index = 0; index < 40; index++)
		instructions[index] = (struct postern_instruction){
			.operation = POSTERN_WRITE, .user_data = index, .out = bytes, .out_length = sizeof(bytes),
		};
	while (done < 40) {
		struct pollfd entry = { .fd = fd, .events = POLLIN };
		int count = sent < 40 ? postern_submit(fd, instructions + sent, (uint32_t)(40 - sent)) : 0;

		CHECK(count >= 0, "%s", strerror(-count));
		sent += count;
		CHECK(poll(&entry, 1, 5000) == 1, "nothing completes after %d", done);
		count = postern_complete(fd, completions, 40);
		CHECK(count >= 0, "%s", strerror(-count));
		for (int index = 0; index < count; index++) {
			EXPECT(completions[index].user_data, done + index);
			EXPECT(completions[index].result, -EACCES);
		}
		done += count;
	}
	instructions[1].operation = 0;
	EXPECT(postern_submit(fd, instructions, 40), 1);
	EXPECT(postern_submit(fd, instructions + 1, 39), -EINVAL);
	CHECK(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 5000) == 1, "nothing completes");
	EXPECT(postern_complete(fd, completions, 40), 1);
}

int main(int argc, char **argv)
{
	static unsigned char buffers[100][256];
	struct postern_instruction instructions[100];
	struct postern_completion completions[16];
	struct pollfd entry;
	pthread_t threads[8];
	postern *connection;
	unsigned char *all;
	int done = 0;

	CHECK(argc == 3, "usage: batch OBJECT SIZE");
	size = atol(argv[2]);
	EXPECT(postern_connect(NULL, &connection), 0);
	fd = postern_open(connection, argv[1], POSTERN_READ);
	CHECK(fd >= 0, "open: %s", strerror(-fd));

	for (unsigned index = 0; index < 100; index++)
		instructions[index] = (struct postern_instruction){
			.operation = POSTERN_READ,
			.user_data = index,
			.offset = index * 13,
			.in = buffers[index],
			.in_length = sizeof(buffers[index]),
		};
	EXPECT(postern_submit(fd, instructions, 100), 100);
	entry = (struct pollfd){ .fd = fd, .events = POLLIN };
	while (done < 100) {
		int count;

		CHECK(poll(&entry, 1, 5000) == 1, "nothing completes after %d", done);
		count = postern_complete(fd, completions, 16);
		CHECK(count >= 0, "%s", strerror(-count));
		for (int index = 0; index < count; index++) {
			uint64_t which = completions[index].user_data;

			EXPECT(completions[index].result, 256);
			check_bytes(buffers[which], 256, (long)which * 13);
		}
		done += count;
	}
	puts("batches: read");

	submit_much();
	puts("batches: more than a socket takes");

	all = malloc((size_t)size + 4096);
	CHECK(all != NULL, "memory");
	EXPECT(postern_read(fd, all, (size_t)size + 4096, 0), size);
	check_bytes(all, size, 0);
	free(all);
	puts("whole: read");

	for (int index = 0; index < 8; index++)
		CHECK(pthread_create(&threads[index], NULL, reader, (void *)(uintptr_t)(index + 1)) == 0, "pthread_create");
	for (int index = 0; index < 8; index++)
		pthread_join(threads[index], NULL);
	puts("threads: read");
	EXPECT(postern_close(fd), 0);
	postern_disconnect(connection);
	return 0;
}
