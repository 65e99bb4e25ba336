/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "steps.h"

static struct bpf_object *object;
static int program = -1;
static int map = -1;

int bpf_start(const char *object_file)
{
	int error;

	libbpf_set_print(NULL);
	object = bpf_object__open_file(object_file, NULL);
	if (!object) {
		fprintf(stderr, "conformance: %s: %s\n", object_file, strerror(errno));
		return 0;
	}
	error = bpf_object__load(object);
	if (error) {
		fprintf(stderr, "conformance: loading %s: %s\n", object_file, strerror(-error));
		return 0;
	}
	program = bpf_program__fd(bpf_object__find_program_by_name(object, "check"));
	map = bpf_map__fd(bpf_object__find_map_by_name(object, "rows"));
	return program >= 0 && map >= 0;
}

int bpf_run(struct row *row)
{
	LIBBPF_OPTS(bpf_test_run_opts, options);
	postern_u32 key = 0;

	if (bpf_map_update_elem(map, &key, row, BPF_ANY) != 0 || bpf_prog_test_run_opts(program, &options) != 0 ||
	    options.retval != 0 || bpf_map_lookup_elem(map, &key, row) != 0)
		return -1;
	return 0;
}

void bpf_stop(void)
{
	bpf_object__close(object);
}
