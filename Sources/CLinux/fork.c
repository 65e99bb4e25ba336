/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "clinux_fork.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Private numbers start here, so that a child which closes and reopens its first few descriptors gets the ones it expects. */
#define PRIVATE_NUMBERS 64

struct clinux_fork_lock {
	pthread_mutex_t mutex;
	pthread_cond_t condition;
	struct clinux_fork_lock *next, *previous;
};

struct clinux_client {
	/* Read without the lock. */
	_Atomic int number;
	int inherited;
	uint64_t cookie;
	uint64_t inherited_cookie;
	enum clinux_client_in_child in_child;
	struct clinux_client *next, *previous;
};

/* Order: lock_list, every fork lock, client_list. */
static pthread_mutex_t lock_list = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t client_list = PTHREAD_MUTEX_INITIALIZER;
static struct clinux_fork_lock *locks;
static struct clinux_client *clients;
static _Atomic uint64_t generation = 1;
static pid_t process;
static pthread_once_t registered = PTHREAD_ONCE_INIT;

/* 0 for what is no socket or not open: the kernel counts cookies from 1 (net/core/sock_diag.c). */
static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) < 0)
		return 0;
	return cookie;
}

static int is_ours(int fd, uint64_t cookie)
{
	return cookie != 0 && cookie_of(fd) == cookie;
}

/*
 * In the child. Only async-signal-safe calls: the parent may have had other threads. What fails leaves the socket where
 * it is; the library does not read from it before it has replaced it.
 */
static void put_away(struct clinux_client *client)
{
	int pair[2], hidden, flags;

	/* A child of a child that has not called yet: the socket is put away already. */
	if (client->inherited >= 0 || client->number < 0)
		return;
	if (!is_ours(client->number, client->cookie)) {
		client->number = -1;
		return;
	}
	if (client->in_child == CLINUX_CHILD_CLOSES) {
		close(client->number);
		client->number = -1;
		return;
	}
	client->inherited = client->number;
	client->inherited_cookie = client->cookie;
	hidden = fcntl(client->number, F_DUPFD_CLOEXEC, PRIVATE_NUMBERS);
	if (hidden < 0)
		hidden = fcntl(client->number, F_DUPFD_CLOEXEC, 3);
	if (hidden < 0)
		return;
	/* A datagram socket with one datagram in it, not an eventfd: it has a cookie, and it polls readable without a hangup. */
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0) {
		close(hidden);
		return;
	}
	send(pair[1], "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	flags = fcntl(client->number, F_GETFL);
	if (flags >= 0 && (flags & O_NONBLOCK))
		fcntl(pair[0], F_SETFL, O_NONBLOCK);
	flags = fcntl(client->number, F_GETFD);
	if (dup3(pair[0], client->number, flags & FD_CLOEXEC ? O_CLOEXEC : 0) >= 0) {
		client->inherited = hidden;
		client->cookie = cookie_of(client->number);
	} else {
		close(hidden);
	}
	close(pair[0]);
	close(pair[1]);
}

static void before_fork(void)
{
	pthread_mutex_lock(&lock_list);
	for (struct clinux_fork_lock *lock = locks; lock; lock = lock->next)
		pthread_mutex_lock(&lock->mutex);
	pthread_mutex_lock(&client_list);
}

static void in_parent(void)
{
	pthread_mutex_unlock(&client_list);
	for (struct clinux_fork_lock *lock = locks; lock; lock = lock->next)
		pthread_mutex_unlock(&lock->mutex);
	pthread_mutex_unlock(&lock_list);
}

static void in_child(void)
{
	int code = errno;

	process = getpid();
	atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
	for (struct clinux_client *client = clients; client; client = client->next)
		put_away(client);
	pthread_mutex_init(&client_list, NULL);
	for (struct clinux_fork_lock *lock = locks; lock; lock = lock->next) {
		pthread_mutex_init(&lock->mutex, NULL);
		/* Threads that waited in the parent are still counted in the copy; they will never come. */
		pthread_cond_init(&lock->condition, NULL);
	}
	pthread_mutex_init(&lock_list, NULL);
	errno = code;
}

static void register_handlers(void)
{
	process = getpid();
	pthread_atfork(before_fork, in_parent, in_child);
}

struct clinux_fork_lock *clinux_fork_lock_create(void)
{
	struct clinux_fork_lock *lock = calloc(1, sizeof(*lock));

	pthread_once(&registered, register_handlers);
	if (!lock)
		return NULL;
	pthread_mutex_init(&lock->mutex, NULL);
	pthread_cond_init(&lock->condition, NULL);
	pthread_mutex_lock(&lock_list);
	lock->next = locks;
	if (locks)
		locks->previous = lock;
	locks = lock;
	pthread_mutex_unlock(&lock_list);
	return lock;
}

void clinux_fork_lock_destroy(struct clinux_fork_lock *lock)
{
	pthread_mutex_lock(&lock_list);
	if (lock->previous)
		lock->previous->next = lock->next;
	else
		locks = lock->next;
	if (lock->next)
		lock->next->previous = lock->previous;
	pthread_mutex_unlock(&lock_list);
	pthread_cond_destroy(&lock->condition);
	pthread_mutex_destroy(&lock->mutex);
	free(lock);
}

void clinux_fork_lock_take(struct clinux_fork_lock *lock)
{
	pthread_mutex_lock(&lock->mutex);
}

void clinux_fork_lock_release(struct clinux_fork_lock *lock)
{
	pthread_mutex_unlock(&lock->mutex);
}

void clinux_fork_lock_wait(struct clinux_fork_lock *lock)
{
	pthread_cond_wait(&lock->condition, &lock->mutex);
}

void clinux_fork_lock_wake(struct clinux_fork_lock *lock)
{
	pthread_cond_broadcast(&lock->condition);
}

uint64_t clinux_fork_generation(void)
{
	return atomic_load_explicit(&generation, memory_order_relaxed);
}

int clinux_fork_unseen(void)
{
	pthread_once(&registered, register_handlers);
	return getpid() != process;
}

struct clinux_client *clinux_client_create(int fd, enum clinux_client_in_child in_child)
{
	struct clinux_client *client = calloc(1, sizeof(*client));

	pthread_once(&registered, register_handlers);
	if (!client) {
		close(fd);
		errno = ENOMEM;
		return NULL;
	}
	client->number = fd;
	client->inherited = -1;
	client->cookie = cookie_of(fd);
	client->in_child = in_child;
	pthread_mutex_lock(&client_list);
	client->next = clients;
	if (clients)
		clients->previous = client;
	clients = client;
	pthread_mutex_unlock(&client_list);
	return client;
}

/* With client_list held. */
static int close_both(struct clinux_client *client)
{
	int ours = is_ours(client->number, client->cookie);

	if (client->inherited >= 0 && client->inherited != client->number &&
	    is_ours(client->inherited, client->inherited_cookie))
		close(client->inherited);
	if (ours)
		close(client->number);
	client->number = -1;
	client->inherited = -1;
	return ours ? 0 : -1;
}

void clinux_client_destroy(struct clinux_client *client)
{
	pthread_mutex_lock(&client_list);
	if (client->previous)
		client->previous->next = client->next;
	else
		clients = client->next;
	if (client->next)
		client->next->previous = client->previous;
	close_both(client);
	pthread_mutex_unlock(&client_list);
	free(client);
}

int clinux_client_close(struct clinux_client *client)
{
	int result;

	pthread_mutex_lock(&client_list);
	result = close_both(client);
	pthread_mutex_unlock(&client_list);
	if (result < 0)
		errno = EBADF;
	return result;
}

int clinux_client_number(const struct clinux_client *client)
{
	return client->number;
}

int clinux_client_check(const struct clinux_client *client)
{
	if (is_ours(client->number, client->cookie))
		return 0;
	errno = EBADF;
	return -1;
}

int clinux_client_inherited(const struct clinux_client *client)
{
	if (client->inherited >= 0 && is_ours(client->inherited, client->inherited_cookie))
		return client->inherited;
	errno = EBADF;
	return -1;
}

int clinux_client_replace(struct clinux_client *client, int fd)
{
	int result = -1;
	int code = EBADF;

	pthread_mutex_lock(&client_list);
	if (is_ours(client->number, client->cookie)) {
		int status = fcntl(client->number, F_GETFL);
		int flags = fcntl(client->number, F_GETFD);

		if (status >= 0 && (status & O_NONBLOCK))
			fcntl(fd, F_SETFL, O_NONBLOCK);
		result = dup3(fd, client->number, flags & FD_CLOEXEC ? O_CLOEXEC : 0);
		code = errno;
	}
	if (result >= 0) {
		if (client->inherited >= 0 && client->inherited != client->number &&
		    is_ours(client->inherited, client->inherited_cookie))
			close(client->inherited);
		client->inherited = -1;
		client->cookie = cookie_of(client->number);
	}
	pthread_mutex_unlock(&client_list);
	close(fd);
	errno = code;
	return result < 0 ? -1 : 0;
}
