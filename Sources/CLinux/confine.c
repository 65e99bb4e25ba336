/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "clinux_confine.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int clinux_no_new_privileges(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

int clinux_not_dumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int clinux_limit_capabilities(uint64_t mask)
{
	cap_t wanted = cap_init();
	int result = -1;

	if (!wanted)
		return -1;
	for (cap_value_t value = 0; value <= CAP_LAST_CAP; value++) {
		if (!(mask & (UINT64_C(1) << value)))
			continue;
		if (cap_set_flag(wanted, CAP_PERMITTED, 1, &value, CAP_SET) < 0 ||
		    cap_set_flag(wanted, CAP_EFFECTIVE, 1, &value, CAP_SET) < 0)
			goto out;
	}
	/* The bounding set first: dropping from it needs CAP_SETPCAP, which the next step gives up. */
	for (cap_value_t value = 0; value <= CAP_LAST_CAP; value++) {
		if (mask & (UINT64_C(1) << value))
			continue;
		if (cap_get_bound(value) == 1 && cap_drop_bound(value) < 0 && errno != EPERM && errno != EINVAL)
			goto out;
	}
	cap_reset_ambient();
	result = cap_set_proc(wanted);
out:
	cap_free(wanted);
	return result;
}

int clinux_effective_capabilities(uint64_t *mask)
{
	cap_t now = cap_get_proc();

	if (!now)
		return -1;
	*mask = 0;
	for (cap_value_t value = 0; value <= CAP_LAST_CAP; value++) {
		cap_flag_value_t set = CAP_CLEAR;

		if (cap_get_flag(now, value, CAP_EFFECTIVE, &set) == 0 && set == CAP_SET)
			*mask |= UINT64_C(1) << value;
	}
	cap_free(now);
	return 0;
}

int clinux_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length;
	ssize_t sent;
	int fd;

	if (!path || !*path)
		return 0;
	length = strlen(path);
	if ((path[0] != '/' && path[0] != '@') || length >= sizeof(address.sun_path)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(address.sun_path, path, length);
	/* An abstract name starts with a zero byte (unix(7)). */
	if (path[0] == '@')
		address.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
		      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
	close(fd);
	return sent < 0 ? -1 : 0;
}

int clinux_raise_descriptor_limit(uint64_t *limit)
{
	struct rlimit now;

	if (getrlimit(RLIMIT_NOFILE, &now) < 0)
		return -1;
	now.rlim_cur = now.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &now) < 0)
		return -1;
	*limit = now.rlim_cur;
	return 0;
}

int clinux_null_standard_input(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (dup2(fd, 0) < 0) {
		close(fd);
		return -1;
	}
	if (fd != 0)
		close(fd);
	return 0;
}
