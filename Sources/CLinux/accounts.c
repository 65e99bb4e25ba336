/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "clinux_accounts.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>

/* A group with very many members needs a large buffer; past this the answer is ERANGE. */
#define LARGEST_ENTRY (1 << 20)

static int failed(int code)
{
	/* getpwnam(3) names these as what is given for "not found" beside 0. */
	if (code == 0 || code == ENOENT || code == ESRCH || code == EBADF || code == EPERM)
		return 0;
	errno = code;
	return -1;
}

int clinux_user_id(const char *name, uint32_t *out)
{
	struct passwd entry;
	struct passwd *found = NULL;
	size_t size = 1024;
	char *buffer = NULL;
	int code = ERANGE;

	while (code == ERANGE && size <= LARGEST_ENTRY) {
		free(buffer);
		buffer = malloc(size);
		if (!buffer)
			return failed(ENOMEM);
		code = getpwnam_r(name, &entry, buffer, size, &found);
		size *= 2;
	}
	if (found)
		*out = entry.pw_uid;
	free(buffer);
	return found ? 1 : failed(code);
}

int clinux_group_id(const char *name, uint32_t *out)
{
	struct group entry;
	struct group *found = NULL;
	size_t size = 1024;
	char *buffer = NULL;
	int code = ERANGE;

	while (code == ERANGE && size <= LARGEST_ENTRY) {
		free(buffer);
		buffer = malloc(size);
		if (!buffer)
			return failed(ENOMEM);
		code = getgrnam_r(name, &entry, buffer, size, &found);
		size *= 2;
	}
	if (found)
		*out = entry.gr_gid;
	free(buffer);
	return found ? 1 : failed(code);
}
