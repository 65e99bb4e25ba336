/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that knows nothing of Postern, for tests of seccomp user notification. Each command makes one kind of call
 * and prints `NAME RESULT ERRNO`. Two commands stand for other holders of a listener, and fail as a broker may.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clinux_seccomp.h"

static void report(const char *name, long result)
{
	printf("%s %ld %d\n", name, result, result < 0 ? errno : 0);
	fflush(stdout);
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static void bind_socket(int fd, int port)
{
	struct sockaddr_in address = loopback(port);
	socklen_t size = sizeof(address);

	report("bind", bind(fd, (struct sockaddr *)&address, sizeof(address)));
	getsockname(fd, (struct sockaddr *)&address, &size);
	report("port", ntohs(address.sin_port));
}

static int tcp(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static void await_line(void)
{
	char byte;

	while (read(0, &byte, 1) == 1 && byte != '\n')
		;
}

static pthread_barrier_t made;

static void *bind_in_thread(void *port)
{
	report("tid", gettid());
	bind_socket(tcp(), *(int *)port);
	return NULL;
}

/* The leader has something else under the number that the thread's socket has in its own table. */
static void *bind_in_private_table(void *port)
{
	int fd;

	if (unshare(CLONE_FILES))
		report("unshare", -1);
	fd = tcp();
	report("socket", fd);
	pthread_barrier_wait(&made);
	pthread_barrier_wait(&made);
	bind_socket(fd, *(int *)port);
	return NULL;
}

static void *exit_leader_first(void *port)
{
	/* The leader has become a zombie by the time its thread's call is looked at. */
	usleep(50000);
	bind_socket(tcp(), *(int *)port);
	exit(0);
}

#ifdef __x86_64__

static void no_such_abi(int number)
{
	(void)number;
	static const char text[] = "unsupported 0 0\n";
	ssize_t ignored = write(1, text, sizeof(text) - 1);

	(void)ignored;
	_exit(0);
}

static void bind32(void)
{
	struct sockaddr_in *address =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	int fd = tcp();
	long result;

	signal(SIGSEGV, no_such_abi);
	*address = loopback(0);
	/* bind(2) of the 32-bit ABI. */
	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(361), "b"(fd), "c"(address), "d"(sizeof(*address))
			 : "memory", "r8", "r9", "r10", "r11");
	errno = result < 0 ? (int)-result : 0;
	report("bind32", result < 0 ? -1 : result);
}
#endif

static void open_and_read(const char *path)
{
	char bytes[64] = "";
	int fd = open(path, O_RDONLY);

	report("open", fd);
	if (fd < 0)
		return;
	report("close-on-exec", fcntl(fd, F_GETFD) & FD_CLOEXEC ? 1 : 0);
	if (pread(fd, bytes, sizeof(bytes) - 1, 0) < 0)
		report("read", -1);
	printf("content %s\n", bytes);
}

static void fill_table(void)
{
	struct rlimit limit = { .rlim_cur = 16, .rlim_max = 16 };

	setrlimit(RLIMIT_NOFILE, &limit);
	while (dup(0) >= 0)
		;
}

static void forks(int count)
{
	for (int index = 0; index < count; index++) {
		if (fork() == 0) {
			struct sockaddr_in address = loopback(0);

			_exit(bind(tcp(), (struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : 1);
		}
	}
	int good = 0, status;

	while (wait(&status) > 0)
		good += status == 0;
	report("forks", good);
}

static void series(void)
{
	struct sockaddr_in address = loopback(0);
	const char *path = "/dev/null";
	uint64_t how[3] = { O_RDONLY, 0, 0 };
	/* The kernel takes the family as an int. */
	const long dirty = 1L << 32 | AF_PACKET;

	report("bind", syscall(SYS_bind, -1, &address, sizeof(address)));
	report("socket-packet", syscall(SYS_socket, AF_PACKET, SOCK_DGRAM, 0));
	report("socket-packet-dirty", syscall(SYS_socket, dirty, SOCK_RAW, 0));
	report("socket-raw", syscall(SYS_socket, AF_INET, SOCK_RAW, IPPROTO_ICMP));
	report("socket-raw6", syscall(SYS_socket, AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6));
	report("socket-tcp", syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
	report("socket-udp6", syscall(SYS_socket, AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	report("socket-unix", syscall(SYS_socket, AF_UNIX, SOCK_RAW, 0));
	report("socket-netlink", syscall(SYS_socket, AF_NETLINK, SOCK_RAW, 0));
#ifdef SYS_open
	report("open", syscall(SYS_open, path, O_RDONLY));
	report("creat", syscall(SYS_creat, path, 0600));
#endif
	report("openat", syscall(SYS_openat, AT_FDCWD, path, O_RDONLY));
	report("openat2", syscall(SYS_openat2, AT_FDCWD, path, how, sizeof(how)));
}

/* Another holder without our guard: waits in RECV. */
static void receive_blocking(int listener)
{
	struct seccomp_notif notification;

	memset(&notification, 0, sizeof(notification));
	report("recv", ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification));
}

/* A broker that is killed between RECV and entering what it got. */
static void die_receiving(int listener, int with_ledger)
{
	struct clinux_notification got;
	int file = -1;
	struct clinux_ledger *ledger = clinux_ledger_create(&file);

	report("ledger", file);
	await_line();
	while (clinux_seccomp_receive(listener, with_ledger ? ledger : NULL, &got) && errno == EAGAIN)
		usleep(1000);
	raise(SIGKILL);
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";
	int number = argc > 2 ? atoi(argv[2]) : 0;
	pthread_t thread;

	if (!strcmp(command, "bind")) {
		bind_socket(tcp(), number);
	} else if (!strcmp(command, "bind-twice")) {
		bind_socket(tcp(), number);
		bind_socket(tcp(), number);
	} else if (!strcmp(command, "bind-when-told")) {
		int fd = tcp();

		report("ready", 0);
		await_line();
		bind_socket(fd, number);
	} else if (!strcmp(command, "bind-in-thread")) {
		pthread_create(&thread, NULL, bind_in_thread, &number);
		pthread_join(thread, NULL);
	} else if (!strcmp(command, "bind-in-private-table")) {
		pthread_barrier_init(&made, NULL, 2);
		pthread_create(&thread, NULL, bind_in_private_table, &number);
		pthread_barrier_wait(&made);
		report("leader", open("/dev/null", O_RDONLY));
		pthread_barrier_wait(&made);
		pthread_join(thread, NULL);
	} else if (!strcmp(command, "bind-without-leader")) {
		pthread_create(&thread, NULL, exit_leader_first, &number);
		pthread_exit(NULL);
	} else if (!strcmp(command, "bind-undumpable")) {
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		bind_socket(tcp(), number);
	} else if (!strcmp(command, "bind-as-others")) {
		const gid_t groups[] = { 65541, 65542 };

		umask(027);
		if (setgroups(2, groups) || setresgid(65521, 65522, 65523) || setresuid(65531, 65532, 65533))
			report("setresuid", -1);
		setfsgid(65521);
		setfsuid(65531);
		bind_socket(tcp(), number);
#ifdef __x86_64__
	} else if (!strcmp(command, "bind32")) {
		bind32();
#endif
	} else if (!strcmp(command, "open")) {
		open_and_read(argv[2]);
	} else if (!strcmp(command, "open-with-full-table")) {
		fill_table();
		open_and_read(argv[2]);
	} else if (!strcmp(command, "open-at-page-end")) {
		char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		munmap(pages + 4096, 4096);
		strcpy(pages + 4096 - strlen(argv[2]) - 1, argv[2]);
		open_and_read(pages + 4096 - strlen(argv[2]) - 1);
		/* No NUL before the end of what is mapped. */
		memset(pages, 'x', 4096);
		report("open", open(pages + 4000, O_RDONLY));
	} else if (!strcmp(command, "forks")) {
		forks(number);
	} else if (!strcmp(command, "series")) {
		series();
	} else if (!strcmp(command, "receive")) {
		receive_blocking(number);
	} else if (!strcmp(command, "die-receiving")) {
		die_receiving(number, 1);
	} else if (!strcmp(command, "die-receiving-without-ledger")) {
		die_receiving(number, 0);
	} else {
		fprintf(stderr, "notified: no such command: %s\n", command);
		return 64;
	}
	return 0;
}
