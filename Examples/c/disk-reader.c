/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies a brokered disk, or a part of it, to standard output.
 *
 * usage: disk-reader OBJECT [OFFSET [LENGTH]]        without LENGTH: to the end
 */
#define _GNU_SOURCE
#include <errno.h>
#include <postern.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fail(const char *what, ssize_t error)
{
	char message[512];
	int reason = postern_last_reason(message, sizeof(message));

	fprintf(stderr, "disk-reader: %s: %s", what, strerror((int)-error));
	if (reason)
		fprintf(stderr, ": %s%s%s", postern_reason_name(reason), *message ? ": " : "", message);
	fputc('\n', stderr);
	return reason ? 1 : 74;
}

static int number(const char *text, unsigned long long *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 0);
	return errno == 0 && end != text && *end == 0 && *text != '-' && *out <= INT64_MAX;
}

int main(int argc, char **argv)
{
	/* A megabyte a call: the library has several pieces under way at once. */
	const size_t piece = 1 << 20;
	unsigned long long offset = 0, left = INT64_MAX;
	postern *broker;
	char *buffer;
	int disk, result;

	if (argc < 2 || argc > 4 || (argc > 2 && !number(argv[2], &offset)) || (argc > 3 && !number(argv[3], &left))) {
		fprintf(stderr, "usage: disk-reader OBJECT [OFFSET [LENGTH]]\n");
		return 64;
	}
	result = postern_connect(NULL, &broker);
	if (result < 0) {
		fail("the broker", result);
		return 69;
	}
	disk = postern_open(broker, argv[1], POSTERN_READ);
	if (disk < 0)
		return fail(argv[1], disk);
	buffer = malloc(piece);
	if (!buffer)
		return fail("memory", -ENOMEM);
	while (left > 0) {
		ssize_t got = postern_read(disk, buffer, left < piece ? left : piece, (off_t)offset);

		if (got < 0)
			return fail(argv[1], got);
		if (got == 0)
			break;
		for (ssize_t done = 0; done < got;) {
			ssize_t count = write(STDOUT_FILENO, buffer + done, (size_t)(got - done));

			if (count < 0 && errno == EINTR)
				continue;
			if (count < 0) {
				perror("disk-reader: standard output");
				return 74;
			}
			done += count;
		}
		offset += (unsigned long long)got;
		left -= (unsigned long long)got;
	}
	free(buffer);
	postern_close(disk);
	postern_disconnect(broker);
	return 0;
}
