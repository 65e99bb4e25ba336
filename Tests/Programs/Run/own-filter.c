// SPDX-License-Identifier: Apache-2.0
/*
 * Installs a seccomp filter of its own, with a listener or without, and then binds port 80.
 *
 * Usage: own-filter plain|listener
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int count, char **arguments)
{
	/* chroot(2) is refused with ENOSYS from now on; everything else is allowed. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_chroot, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(*code), .filter = code };
	int wants_listener = count > 1 && !strcmp(arguments[1], "listener");

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	long installed = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
				 wants_listener ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0, &program);

	printf("filter: %s\n", installed < 0 ? strerrorname_np(errno) : "installed");
	printf("chroot: %s\n", chroot("/") ? strerrorname_np(errno) : "done");
	struct sockaddr_in web = { .sin_family = AF_INET, .sin_port = htons(80),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int socket_ = socket(AF_INET, SOCK_STREAM, 0);

	printf("bind: %s\n", bind(socket_, (struct sockaddr *)&web, sizeof(web)) ? strerrorname_np(errno) : "done");
	return 0;
}
