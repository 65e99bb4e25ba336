/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether this process gets the descriptors of BPF programs by their numbers:
 *
 *	reach			the numbers of those that it is refused, in a line
 *	reach NUMBER...		how many of these there are, and how many of those it gets: "THERE GIVEN"
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int bpf(int command, union bpf_attr *attributes)
{
	return (int)syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

/* 0: it is given; else an errno. */
static int get(unsigned int number)
{
	union bpf_attr attributes;
	int program;

	memset(&attributes, 0, sizeof(attributes));
	attributes.prog_id = number;
	program = bpf(BPF_PROG_GET_FD_BY_ID, &attributes);
	if (program < 0)
		return errno;
	close(program);
	return 0;
}

int main(int argc, char **argv)
{
	union bpf_attr attributes;
	unsigned int number = 0;
	int there = 0, given = 0;

	for (int i = 1; i < argc; i++) {
		int error = get((unsigned int)atoi(argv[i]));

		there += error != ENOENT;
		given += error == 0;
	}
	if (argc > 1) {
		printf("%d %d\n", there, given);
		return 0;
	}
	for (;;) {
		memset(&attributes, 0, sizeof(attributes));
		attributes.start_id = number;
		if (bpf(BPF_PROG_GET_NEXT_ID, &attributes) != 0)
			break;
		number = attributes.next_id;
		if (get(number) == EPERM)
			printf("%u ", number);
	}
	putchar('\n');
	return 0;
}
