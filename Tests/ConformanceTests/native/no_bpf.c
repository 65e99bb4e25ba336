/* SPDX-License-Identifier: Apache-2.0 */
/* The runner without libbpf, for builds by the hundred (Tests/Mutation/run). */
#include "steps.h"

int bpf_start(const char *object_file)
{
	(void)object_file;
	return 0;
}

int bpf_run(struct row *row)
{
	(void)row;
	return -1;
}

void bpf_stop(void)
{
}
