/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>

#include "libbpf.h"

static struct libbpf_calls calls;
static const char *missing;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void find(void)
{
	void *library = dlopen("libbpf.so.1", RTLD_NOW | RTLD_LOCAL);

	if (!library) {
		missing = "libbpf.so.1 is not installed";
		return;
	}
#define FIND(name)                                          \
	calls.name = (__typeof__(&name))dlsym(library, #name); \
	if (!calls.name)                                    \
		missing = "libbpf.so.1 lacks " #name;
	LIBBPF_CALLS(FIND)
#undef FIND
	if (!missing)
		/* What it prints is for people who write programs; failures come back as values. */
		calls.libbpf_set_print(NULL);
}

const struct libbpf_calls *clinux_libbpf(const char **why)
{
	pthread_once(&once, find);
	if (missing) {
		if (why)
			*why = missing;
		return NULL;
	}
	return &calls;
}
