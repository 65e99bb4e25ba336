/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of libpq that are used, found at run time: a machine without it has everything but the target PostgreSQL,
 * and nothing but `postern audit sync` ever loads it and the dozen libraries that it brings.
 */
#ifndef CPOSTGRESQL_H
#define CPOSTGRESQL_H

#if __has_include(<postgresql/libpq-fe.h>)
#include <postgresql/libpq-fe.h>
#else
#include <libpq-fe.h>
#endif

#define POSTGRESQL_CALLS(call)  \
	call(PQclear)           \
	call(PQcmdTuples)       \
	call(PQconnectdb)       \
	call(PQerrorMessage)    \
	call(PQexec)            \
	call(PQexecPrepared)    \
	call(PQfinish)          \
	call(PQftype)           \
	call(PQgetResult)       \
	call(PQgetisnull)       \
	call(PQgetvalue)        \
	call(PQnfields)         \
	call(PQntuples)         \
	call(PQprepare)         \
	call(PQputCopyData)     \
	call(PQputCopyEnd)      \
	call(PQresultErrorField) \
	call(PQresultStatus)    \
	call(PQsetNoticeProcessor) \
	call(PQstatus)

struct postgresql_calls {
#define POSTGRESQL_MEMBER(name) __typeof__(&name) name;
	POSTGRESQL_CALLS(POSTGRESQL_MEMBER)
#undef POSTGRESQL_MEMBER
};

/* NULL: the library is not there, or is too old; `why` says which, for people. */
const struct postgresql_calls *cpostgresql_calls(const char **why);

/* A connection that prints nothing of its own; NULL: no memory. */
PGconn *cpostgresql_connect(const struct postgresql_calls *calls, const char *target);

#endif
