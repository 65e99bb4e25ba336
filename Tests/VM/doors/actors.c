/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that act, and what they act on. */
#include "doors.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/random.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

void actor_start(struct actor *actor, long (*act)(void *context), void *context)
{
	int go[2], result[2];

	if (pipe2(go, O_CLOEXEC) || pipe2(result, O_CLOEXEC))
		die("pipe");
	actor->pid = fork();
	if (actor->pid == 0) {
		char byte;
		long value;

		close(go[1]);
		close(result[0]);
		if (read(go[0], &byte, 1) != 1)
			_exit(1);
		value = act(context);
		if (write(result[1], &value, sizeof(value)) != sizeof(value))
			_exit(1);
		_exit(0);
	}
	close(go[0]);
	close(result[1]);
	actor->go = go[1];
	actor->result = result[0];
}

void actor_go(struct actor *actor)
{
	if (write(actor->go, "", 1) != 1)
		die("actor");
}

long actor_end(struct actor *actor)
{
	struct pollfd ready = { .fd = actor->result, .events = POLLIN };
	long value = -ETIME;

	if (poll(&ready, 1, 10000) == 1 && read(actor->result, &value, sizeof(value)) != sizeof(value))
		value = -ECHILD;
	close(actor->go);
	close(actor->result);
	kill(actor->pid, SIGKILL);
	waitpid(actor->pid, NULL, 0);
	return value;
}

long in_child(long (*act)(void *context), void *context)
{
	long *result = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long value;
	pid_t pid;

	*result = -ECHILD;
	pid = fork();
	if (pid == 0) {
		*result = act(context);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	value = *result;
	munmap(result, 4096);
	return value;
}

long send_descriptor(int socket, int fd)
{
	char byte = 0, space[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec vector = { &byte, 1 };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(int));
	return ERR(sendmsg(socket, &message, 0));
}

long receive_descriptor(int socket)
{
	char byte, space[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec vector = { &byte, 1 };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space) };
	struct cmsghdr *header;
	int fd = -EBADMSG;

	if (recvmsg(socket, &message, 0) < 0)
		return -errno;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(header), sizeof(int));
	return fd;
}

void default_limits(void)
{
	struct postern_limits *limits = &stand.limits[1];

	memset(limits, 0, sizeof(*limits));
	limits->flags = POSTERN_LIMIT_RANGE | POSTERN_LIMIT_CONNECT | POSTERN_LIMIT_SEND | POSTERN_LIMIT_OPTIONS |
			POSTERN_LIMIT_CONTROL;
	limits->range_length = UINT64_MAX;
	limits->address_count = 1;
	limits->addresses[0] = (struct postern_address_limit){
		.uses = POSTERN_ADDRESS_CONNECT | POSTERN_ADDRESS_SEND,
		.family = AF_INET,
		.prefix_length = 8,
		.port_last = 65535,
		.address = { 127 },
	};
	limits->control_count = 1;
	limits->controls[0] = RNDGETENTCNT;
	limits->option_count = 1;
	limits->options[0] = SOL_SOCKET << 16 | SO_KEEPALIVE;
}

void scene_open(struct scene *scene)
{
	memset(scene, 0, sizeof(*scene));
	scene->fd = scene->peer = scene->other = -1;
	if (pipe2(scene->pipe, O_NONBLOCK))
		die("pipe");
	scene->memory = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (scene->memory == MAP_FAILED)
		die("mmap");
	scene->mapping = MAP_FAILED;
}

void scene_close(struct scene *scene)
{
	int all[] = { scene->fd, scene->peer, scene->other, scene->pipe[0], scene->pipe[1] };

	for (unsigned int i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (all[i] >= 0)
			close(all[i]);
	if (scene->mapping != MAP_FAILED)
		munmap(scene->mapping, 4096);
	munmap(scene->memory, 65536);
}

void zero_device(struct scene *scene)
{
	scene->fd = open("/dev/zero", O_RDWR);
}

void random_device(struct scene *scene)
{
	scene->fd = open("/dev/random", O_RDWR);
}

static int filled_file(const char *path)
{
	static const char content[8192] = "content";
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, content, sizeof(content)) != sizeof(content) || lseek(fd, 0, SEEK_SET))
		die(path);
	unlink(path);
	return fd;
}

void plain_file(struct scene *scene)
{
	scene->fd = filled_file("/dev/shm/doors-tagged");
	scene->other = filled_file("/dev/shm/doors-untagged");
}

static int listening(int type, uint16_t *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, type, 0);

	if (fd < 0 || bind(fd, (void *)&address, length) || getsockname(fd, (void *)&address, &length))
		die("socket");
	if (type == SOCK_STREAM && listen(fd, 8))
		die("listen");
	*port = ntohs(address.sin_port);
	return fd;
}

int connected(int type, uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, type, 0);

	if (fd < 0 || connect(fd, (void *)&address, sizeof(address)))
		die("connect");
	return fd;
}

/* Both ends are connected, so that either can send without an address. */
void udp_pair(struct scene *scene)
{
	struct sockaddr_in address;
	socklen_t length = sizeof(address);

	scene->peer = listening(SOCK_DGRAM, &scene->port);
	scene->fd = connected(SOCK_DGRAM, scene->port);
	getsockname(scene->fd, (void *)&address, &length);
	connect(scene->peer, (void *)&address, length);
}

void udp_with_data(struct scene *scene)
{
	udp_pair(scene);
	for (int i = 0; i < 4; i++)
		send(scene->peer, "data", 4, 0);
}

void tcp_pair(struct scene *scene)
{
	scene->other = listening(SOCK_STREAM, &scene->port);
	scene->fd = connected(SOCK_STREAM, scene->port);
	scene->peer = accept(scene->other, NULL, NULL);
}

void tcp_with_data(struct scene *scene)
{
	tcp_pair(scene);
	memset(scene->memory, 'd', 16384);
	send(scene->peer, scene->memory, 16384, 0);
	usleep(2000);
}

void tcp_listener(struct scene *scene)
{
	scene->fd = listening(SOCK_STREAM, &scene->port);
}

void tcp_listener_with_client(struct scene *scene)
{
	tcp_listener(scene);
	scene->peer = connected(SOCK_STREAM, scene->port);
}

void tcp_unconnected(struct scene *scene)
{
	scene->other = listening(SOCK_STREAM, &scene->port);
	scene->fd = socket(AF_INET, SOCK_STREAM, 0);
}
