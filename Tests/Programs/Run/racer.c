// SPDX-License-Identifier: Apache-2.0
/*
 * An ordinary program that tries to gain more than it was granted by what it does while its calls are looked at. It
 * knows nothing of who looks. Prints one line: tries, granted, gained, refused, other.
 *
 *	bind PORT OTHER TRIES		the address changes under the call
 *	open IMAGE OTHER TRIES		the path changes; both names are equally long
 *	full IMAGE OTHER TRIES		the same while there is room for one descriptor now and none then
 *	link FOLDER IMAGE OTHER TRIES	a symbolic link in FOLDER changes
 *	swap udp|given PORT TRIES	the number of the descriptor changes its meaning, to a UDP socket or descriptor 3; gained:
 *				that one is bound
 *	table IMAGE COUNT		the descriptor table is full: prints the error, and what follows when there is room
 *	undumpable PORT OTHER		nobody but root may look at the program; prints both errors
 *	thread PORT, orphan PORT	a thread that does not lead its process; one whose leader has ended; prints the error
 *	threads COUNT PORT		all at once, each with a socket of its own
 *	forks COUNT PORT		the same with processes, which all stay until the last one has been answered
 *	storm COUNT PORT		processes that are killed in the middle
 *	pending COUNT PORT		prints "waiting", and kills all of them at the next line of its input
 *	again PORT TRIES		binds a socket and closes it, and so on: the port is free each time
 *	flood OTHER TRIES		calls that are refused, as fast as can be
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sockaddr_in address = { .sin_family = AF_INET };
static char path[4096];
static size_t differing;
static int changes_room;
static atomic_int done;
static atomic_int slot;
static long tries, granted, gained, refused, otherwise;

static void *changing_port(void *argument)
{
	const in_port_t *ports = argument;
	volatile in_port_t *port = &address.sin_port;
	unsigned seed = 1, turn = 0;

	while (!atomic_load(&done)) {
		for (volatile unsigned i = rand_r(&seed) % 500; i; i--)
			;
		*port = ports[turn++ % 2];
	}
	return NULL;
}

static void *changing_path(void *argument)
{
	const char *letters = argument;
	volatile char *letter = &path[differing];
	unsigned seed = 1, turn = 0;
	int number = -1;

	while (!atomic_load(&done)) {
		for (volatile unsigned i = rand_r(&seed) % 500; i; i--)
			;
		*letter = letters[turn++ % 2];
		/* In the same thread: by turns there is room for a descriptor, and none. */
		if (changes_room && rand_r(&seed) % 2) {
			if (number < 0)
				number = dup(2);
			else if (!close(number))
				number = -1;
		}
	}
	return NULL;
}

static int tcp(void)
{
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return fd;
}

static int port_of(int fd)
{
	struct sockaddr_in name = { 0 };
	socklen_t size = sizeof(name);

	return getsockname(fd, (struct sockaddr *)&name, &size) ? -1 : ntohs(name.sin_port);
}

static void count_failure(int error)
{
	if (error == EACCES)
		refused++;
	else
		otherwise++;
}

static int report(void)
{
	printf("tries=%ld granted=%ld gained=%ld refused=%ld other=%ld\n", tries, granted, gained, refused, otherwise);
	return 0;
}

static int race_bind(int port, int other, long count)
{
	in_port_t ports[2] = { htons((in_port_t)port), htons((in_port_t)other) };
	pthread_t thread;

	address.sin_port = ports[0];
	pthread_create(&thread, NULL, changing_port, ports);
	for (; tries < count; tries++) {
		int fd = tcp();

		if (bind(fd, (struct sockaddr *)&address, sizeof(address)))
			count_failure(errno);
		else if (port_of(fd) == port)
			granted++;
		else
			gained++;
		close(fd);
	}
	atomic_store(&done, 1);
	pthread_join(thread, NULL);
	return report();
}

static void try_open(const char *name, const struct stat *other)
{
	struct stat status;
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		count_failure(errno);
		return;
	}
	if (fstat(fd, &status))
		otherwise++;
	else if (status.st_ino == other->st_ino && status.st_dev == other->st_dev)
		gained++;
	else
		granted++;
	close(fd);
}

static int fill_table(rlim_t room)
{
	struct rlimit limit;
	int last = -1, number;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = room < limit.rlim_max ? room : limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	while ((number = dup(2)) >= 0)
		last = number;
	return last;
}

static int race_open(const char *image, const char *other, long count, int full)
{
	char letters[2];
	struct stat status;
	pthread_t thread;

	if (strlen(image) != strlen(other) || strlen(image) >= sizeof(path) || stat(other, &status))
		return 64;
	strcpy(path, image);
	while (image[differing] == other[differing])
		differing++;
	letters[0] = image[differing];
	letters[1] = other[differing];
	changes_room = full;
	if (full)
		close(fill_table(64));
	pthread_create(&thread, NULL, changing_path, letters);
	for (; tries < count; tries++)
		try_open(path, &status);
	atomic_store(&done, 1);
	pthread_join(thread, NULL);
	return report();
}

static char link_names[3][4096];

static void *changing_link(void *argument)
{
	const char *const *targets = argument;

	while (!atomic_load(&done)) {
		for (int i = 0; i < 2; i++) {
			unlink(link_names[1]);
			if (symlink(targets[i], link_names[1]) || rename(link_names[1], link_names[0]))
				continue;
		}
	}
	return NULL;
}

static int race_link(const char *folder, const char *image, const char *other, long count)
{
	const char *targets[2] = { image, other };
	struct stat status;
	pthread_t thread;

	if (stat(other, &status))
		return 64;
	snprintf(link_names[0], sizeof(link_names[0]), "%s/link", folder);
	snprintf(link_names[1], sizeof(link_names[1]), "%s/link.next", folder);
	if (symlink(image, link_names[0]) && errno != EEXIST)
		return 69;
	pthread_create(&thread, NULL, changing_link, (void *)targets);
	for (; tries < count; tries++)
		try_open(link_names[0], &status);
	atomic_store(&done, 1);
	pthread_join(thread, NULL);
	return report();
}

static int own, foreign, number;

static void *changing_number(void *argument)
{
	(void)argument;
	while (!atomic_load(&done)) {
		if (!atomic_load(&slot)) {
			sched_yield();
			continue;
		}
		dup2(foreign, number);
		for (volatile int i = 0; i < 50; i++)
			;
		dup2(own, number);
	}
	return NULL;
}

static int make_foreign(const char *kind)
{
	if (!strcmp(kind, "given"))
		return fcntl(3, F_DUPFD_CLOEXEC, 0);
	return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int swap(const char *kind, int port, long count)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons((in_port_t)port) };
	pthread_t thread;

	number = fcntl(2, F_DUPFD_CLOEXEC, 100);
	foreign = make_foreign(kind);
	if (foreign < 0 || number < 0)
		return 69;
	pthread_create(&thread, NULL, changing_number, NULL);
	for (; tries < count; tries++) {
		own = tcp();
		dup2(own, number);
		atomic_store(&slot, 1);
		if (bind(number, (struct sockaddr *)&name, sizeof(name)))
			count_failure(errno);
		atomic_store(&slot, 0);
		if (port_of(own) == port)
			granted++;
		if (port_of(foreign) == port) {
			gained++;
			if (*kind == 'g')
				break;
			close(foreign);
			dup2(own, number);
			foreign = make_foreign(kind);
		}
		/* The other thread may still be in between; it writes none but these two. */
		usleep(1);
		dup2(2, number);
		close(own);
	}
	atomic_store(&done, 1);
	pthread_join(thread, NULL);
	return report();
}

static const char *error_name(int error)
{
	return error ? strerrorname_np(error) : "ok";
}

static int attempt(int port)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons((in_port_t)port) };
	int one = 1;
	int fd = tcp();

	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	return bind(fd, (struct sockaddr *)&name, sizeof(name)) ? errno : 0;
}

static int table(const char *image, long count)
{
	int last = fill_table((rlim_t)count);
	int full = 0, room = 0;

	for (int i = 0; i < 100; i++)
		if (open(image, O_RDONLY) >= 0 || errno != EMFILE)
			full = -1;
	if (full < 0) {
		puts("opened, or another error than EMFILE");
		return 0;
	}
	close(last);
	if (open(image, O_RDONLY) != last)
		room = errno;
	printf("descriptors=%d full=EMFILE room=%s\n", last + 1, error_name(room));
	return 0;
}

static int the_port;

static void *binding(void *argument)
{
	pthread_barrier_t *barrier = argument;
	int error;

	if (barrier)
		pthread_barrier_wait(barrier);
	error = attempt(the_port);
	if (!barrier) {
		/* Once the leader is a zombie. */
		puts(error_name(error));
		fflush(stdout);
		_exit(0);
	}
	return (void *)(long)error;
}

static void *late_binding(void *argument)
{
	usleep(100000);
	return binding(argument);
}

static int threads(int count)
{
	pthread_t *all = calloc((size_t)count, sizeof(*all));
	pthread_barrier_t barrier;

	pthread_barrier_init(&barrier, NULL, (unsigned)count);
	for (int i = 0; i < count; i++)
		pthread_create(&all[i], NULL, binding, &barrier);
	for (int i = 0; i < count; i++) {
		void *error;

		pthread_join(all[i], &error);
		tries++;
		if (error)
			count_failure((int)(long)error);
		else
			granted++;
	}
	return report();
}

static int forks(int count)
{
	int results[2], stay[2];

	if (pipe(results) || pipe(stay))
		return 69;
	for (int i = 0; i < count; i++) {
		if (fork())
			continue;
		int error = attempt(the_port);
		char byte;

		close(stay[1]);
		if (write(results[1], &error, sizeof(error)) != sizeof(error))
			_exit(1);
		_exit(read(stay[0], &byte, 1) != 0);
	}
	for (; tries < count; tries++) {
		int error;

		if (read(results[0], &error, sizeof(error)) != sizeof(error))
			return 69;
		if (error)
			count_failure(error);
		else
			granted++;
	}
	close(stay[1]);
	while (wait(NULL) > 0)
		;
	return report();
}

static int storm(long count)
{
	unsigned seed = (unsigned)getpid();

	for (; tries < count; tries++) {
		pid_t child = fork();

		if (!child)
			while (1)
				attempt(the_port);
		usleep((useconds_t)(rand_r(&seed) % 3000));
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	return report();
}

static int pending(int count)
{
	pid_t *all = calloc((size_t)count, sizeof(*all));
	char byte;

	for (int i = 0; i < count; i++) {
		all[i] = fork();
		if (!all[i])
			while (1)
				attempt(the_port);
	}
	usleep(200000);
	puts("waiting");
	fflush(stdout);
	if (read(0, &byte, 1) < 0)
		return 69;
	for (int i = 0; i < count; i++)
		kill(all[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	puts("killed");
	fflush(stdout);
	/* So that whatever was left of them is seen beside a program that lives. */
	return read(0, &byte, 1) < 0;
}

static int flood(int other, long count)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons((in_port_t)other) };
	int fd = tcp();

	for (; tries < count; tries++) {
		if (bind(fd, (struct sockaddr *)&name, sizeof(name)))
			count_failure(errno);
		else
			gained++;
	}
	return report();
}

static int again(int port, long count)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons((in_port_t)port) };

	for (; tries < count; tries++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (bind(fd, (struct sockaddr *)&name, sizeof(name)))
			count_failure(errno);
		else
			granted++;
		close(fd);
	}
	return report();
}

int main(int count, char **arguments)
{
	const char *what = count > 2 ? arguments[1] : "";
	pthread_t thread;

	alarm(1800);
	if (!strcmp(what, "bind") && count == 5)
		return race_bind(atoi(arguments[2]), atoi(arguments[3]), atol(arguments[4]));
	if ((!strcmp(what, "open") || !strcmp(what, "full")) && count == 5)
		return race_open(arguments[2], arguments[3], atol(arguments[4]), *what == 'f');
	if (!strcmp(what, "link") && count == 6)
		return race_link(arguments[2], arguments[3], arguments[4], atol(arguments[5]));
	if (!strcmp(what, "swap") && count == 5)
		return swap(arguments[2], atoi(arguments[3]), atol(arguments[4]));
	if (!strcmp(what, "table") && count == 4)
		return table(arguments[2], atol(arguments[3]));
	if (!strcmp(what, "undumpable") && count == 4) {
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		const char *other = error_name(attempt(atoi(arguments[3])));

		printf("other=%s own=%s\n", other, error_name(attempt(atoi(arguments[2]))));
		return 0;
	}
	the_port = atoi(arguments[count - 1]);
	if (!strcmp(what, "thread") || !strcmp(what, "orphan")) {
		pthread_create(&thread, NULL, late_binding, NULL);
		if (*what == 'o')
			pthread_exit(NULL);
		pthread_join(thread, NULL);
	}
	if (!strcmp(what, "threads") && count == 4)
		return threads(atoi(arguments[2]));
	if (!strcmp(what, "forks") && count == 4)
		return forks(atoi(arguments[2]));
	if (!strcmp(what, "storm") && count == 4)
		return storm(atol(arguments[2]));
	if (!strcmp(what, "pending") && count == 4)
		return pending(atoi(arguments[2]));
	if (!strcmp(what, "again") && count == 4)
		return again(atoi(arguments[2]), atol(arguments[3]));
	if (!strcmp(what, "flood") && count == 4)
		return flood(atoi(arguments[2]), atol(arguments[3]));
	return 64;
}
