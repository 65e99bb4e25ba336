/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relayout PIN BY: where no broker lives, takes its place and adds to the layout's number in the pinned map of the
 * programs' control, as another version would have left it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../../kmodule-sim/include/postern_abi.h"

#include "../../../kmodule-sim/include/postern_direct.h"

int main(int argc, char **argv)
{
	struct postern_direct_control *control;
	union bpf_attr attributes;
	int map;

	if (argc != 3)
		return 64;
	memset(&attributes, 0, sizeof(attributes));
	if (syscall(SYS_bpf, POSTERN_DIRECT_CLAIM, &attributes, sizeof(attributes)) == 0 || errno != POSTERN_DIRECT_DONE) {
		perror("claim");
		return 1;
	}
	attributes.pathname = (unsigned long)argv[1];
	map = (int)syscall(SYS_bpf, BPF_OBJ_GET, &attributes, sizeof(attributes));
	control = map < 0 ? MAP_FAILED : mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	if (control == MAP_FAILED) {
		perror(argv[1]);
		return 1;
	}
	control->layout += (unsigned int)atoi(argv[2]);
	return 0;
}
