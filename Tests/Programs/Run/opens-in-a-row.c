// SPDX-License-Identifier: Apache-2.0
/*
 * Opens a device again and again, and counts what came of it.
 *
 * Usage: opens-in-a-row DEVICE TURNS MICROSECONDS-BETWEEN
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int count, char **arguments)
{
	if (count < 4)
		return 64;
	long turns = atol(arguments[2]), device = 0, refused = 0, other = 0;
	double longest = 0;
	/* What a program asks of the broker does not change what it gets: so that it sees each change of the outcome. */
	int before = 2;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (long turn = 0; turn < turns; turn++) {
		double start = now();
		int file = open(arguments[1], O_RDONLY);
		int failure = errno;
		double taken = now() - start;
		struct stat status;

		longest = taken > longest ? taken : longest;
		if (file >= 0 && !fstat(file, &status) && S_ISBLK(status.st_mode))
			device++;
		else if (file < 0 && failure == EACCES)
			refused++;
		else
			other++, printf("turn %ld: %d %s\n", turn, file, strerrorname_np(failure));
		if (before != (file >= 0))
			printf("turn %ld: %s\n", turn, file >= 0 ? "opened" : strerrorname_np(failure));
		before = file >= 0;
		if (file >= 0)
			close(file);
		usleep((useconds_t)atol(arguments[3]));
	}
	printf("device %ld, refused %ld, other %ld, longest %.3f s\n", device, refused, other, longest);
	return other != 0;
}
