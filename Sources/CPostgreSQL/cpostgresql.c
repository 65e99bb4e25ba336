/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>

#include "cpostgresql.h"

static struct postgresql_calls calls;
static const char *missing;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void find(void)
{
	void *library = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL);

	if (!library) {
		missing = "libpq.so.5 is not installed";
		return;
	}
#define FIND(name)                                          \
	calls.name = (__typeof__(&name))dlsym(library, #name); \
	if (!calls.name)                                    \
		missing = "libpq.so.5 lacks " #name;
	POSTGRESQL_CALLS(FIND)
#undef FIND
}

const struct postgresql_calls *cpostgresql_calls(const char **why)
{
	pthread_once(&once, find);
	if (missing) {
		if (why)
			*why = missing;
		return NULL;
	}
	return &calls;
}

/* A server's notices would go to standard error, past every escape (libpq, 34.12 Notice Processing). */
static void ignore(void *unused, const char *message)
{
	(void)unused;
	(void)message;
}

PGconn *cpostgresql_connect(const struct postgresql_calls *found, const char *target)
{
	PGconn *connection = found->PQconnectdb(target);

	if (connection)
		found->PQsetNoticeProcessor(connection, ignore, NULL);
	return connection;
}
