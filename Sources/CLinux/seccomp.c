/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "clinux_seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Younger than the headers that we build with (linux/seccomp.h of 5.19 and 6.6). */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* Room for a notification of any kernel: it writes as much as its own structure has, which may grow. */
union room {
	struct seccomp_notif notification;
	unsigned char bytes[512];
};

#define LEDGER_MAGIC 0x706f7374656c6401u

struct slot {
	_Atomic uint32_t used;
	_Atomic uint64_t id;
};

struct clinux_ledger {
	_Atomic uint64_t magic;
	_Atomic uint64_t highest;
	_Atomic uint32_t any;
	/* The kernel writes here. */
	_Alignas(64) union room incoming;
	struct slot slots[CLINUX_LEDGER_SLOTS];
};

int clinux_memory_file(const char *name)
{
	return memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

int clinux_seccomp_install(const void *program, size_t size)
{
	struct sock_fprog filter = {
		.len = (unsigned short)(size / sizeof(struct sock_filter)),
		.filter = (struct sock_filter *)program,
	};
	long listener;

	if (size % sizeof(struct sock_filter) || size / sizeof(struct sock_filter) > BPF_MAXINSNS) {
		errno = EINVAL;
		return -1;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			   SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &filter);
	if (listener < 0 && errno == EINVAL)
		listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
	return (int)listener;
}

int clinux_seccomp_is_valid(int listener, uint64_t id)
{
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id);
}

int clinux_seccomp_wake_synchronously(int listener)
{
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
}

/*
 * RECV has no "do not wait" (recv_wait_event in kernel/seccomp.c counts requests): where another holder takes the
 * notification that poll(2) showed us, it waits for the next one, on kernels before 6.11 even after the last caller
 * ended. So a timer of this thread's own interrupts it, again and again until it is out: the first signal may come
 * before the wait has begun. SIGURG: ignored by default, so a late one harms nothing. It is blocked everywhere but
 * in RECV, because ADDFD with SEND that is interrupted answers the caller with the value 0 (seccomp_notify_addfd).
 */
#define INTERRUPT SIGURG
#define INTERRUPT_NANOSECONDS 20000000

static pthread_once_t handler_once = PTHREAD_ONCE_INIT;
/* Each thread's timer, and one more than it, so that none is NULL. */
static pthread_key_t timer_key;
static int timer_key_error;

static void do_nothing(int number)
{
	(void)number;
}

static void delete_timer(void *value)
{
	syscall(SYS_timer_delete, (int)(intptr_t)value - 1);
}

static void install_handler(void)
{
	struct sigaction action = { .sa_handler = do_nothing };

	sigaction(INTERRUPT, &action, NULL);
	timer_key_error = pthread_key_create(&timer_key, delete_timer);
}

/* The calling thread's timer, made at its first use and deleted with it; -1 with errno. */
static int own_timer(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = INTERRUPT };
	intptr_t known;
	int timer;

	pthread_once(&handler_once, install_handler);
	if (timer_key_error) {
		errno = timer_key_error;
		return -1;
	}
	known = (intptr_t)pthread_getspecific(timer_key);
	if (known)
		return (int)known - 1;
	event.sigev_notify_thread_id = (int)syscall(SYS_gettid);
	if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer))
		return -1;
	errno = pthread_setspecific(timer_key, (void *)((intptr_t)timer + 1));
	if (errno) {
		syscall(SYS_timer_delete, timer);
		return -1;
	}
	return timer;
}

/* The calling thread's timer runs. */
static _Thread_local int ticking;

void clinux_seccomp_rest(void)
{
	static const struct itimerspec never;
	int timer = ticking ? own_timer() : -1;

	if (timer < 0)
		return;
	/* A signal that is pending by now ends the next receive at once, which is then made again. */
	syscall(SYS_timer_settime, timer, 0, &never, NULL);
	ticking = 0;
}

int clinux_seccomp_take(int listener, struct clinux_ledger *ledger, struct clinux_notification *out)
{
	struct itimerspec interval = {
		.it_value = { .tv_nsec = INTERRUPT_NANOSECONDS },
		.it_interval = { .tv_nsec = INTERRUPT_NANOSECONDS },
	};
	union room local, *room = ledger ? &ledger->incoming : &local;
	sigset_t interrupt, before;
	int timer = own_timer(), result, error;

	if (timer < 0)
		return -1;
	/* The kernel wants it zero, and what stands here has been answered or has its slot. */
	memset(room, 0, sizeof(*room));
	sigemptyset(&interrupt);
	sigaddset(&interrupt, INTERRUPT);
	if (!ticking)
		syscall(SYS_timer_settime, timer, 0, &interval, NULL);
	ticking = 1;
	pthread_sigmask(SIG_UNBLOCK, &interrupt, &before);
	result = ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, room);
	error = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (result) {
		/* Interrupted before it took anything: a request is only counted down by who returns with it. */
		errno = error == EINTR ? EAGAIN : error;
		return -1;
	}
	*out = (struct clinux_notification){
		.id = room->notification.id,
		.thread = (int32_t)room->notification.pid,
		.architecture = room->notification.data.arch,
		.number = room->notification.data.nr,
	};
	memcpy(out->arguments, room->notification.data.args, sizeof(out->arguments));
	return 0;
}

int clinux_seccomp_receive(int listener, struct clinux_ledger *ledger, struct clinux_notification *out)
{
	struct pollfd entry = { .fd = listener, .events = POLLIN };
	int result, error;

	if (poll(&entry, 1, 0) < 0)
		return -1;
	if (!(entry.revents & POLLIN)) {
		errno = EAGAIN;
		return -1;
	}
	result = clinux_seccomp_take(listener, ledger, out);
	error = errno;
	clinux_seccomp_rest();
	errno = error;
	return result;
}

int clinux_seccomp_answer(int listener, uint64_t id, int64_t value, int32_t error, int let_through)
{
	struct seccomp_notif_resp answer = {
		.id = id,
		.val = value,
		.error = -error,
		.flags = let_through ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0,
	};

	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

int clinux_seccomp_inject(int listener, uint64_t id, int fd, int close_on_exec)
{
	struct seccomp_notif_addfd request = {
		.id = id,
		.flags = SECCOMP_ADDFD_FLAG_SEND,
		.srcfd = (uint32_t)fd,
		.newfd_flags = close_on_exec ? O_CLOEXEC : 0,
	};

	return ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &request);
}

struct clinux_ledger *clinux_ledger_create(int *fd)
{
	struct clinux_ledger *ledger;
	int file = clinux_memory_file("postern-ledger");
	int error;

	if (file < 0)
		return NULL;
	if (ftruncate(file, sizeof(*ledger)))
		goto failed;
	ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (ledger == MAP_FAILED)
		goto failed;
	atomic_store_explicit(&ledger->magic, LEDGER_MAGIC, memory_order_release);
	/* From here on nobody can write but through this mapping. */
	if (fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)) {
		error = errno;
		munmap(ledger, sizeof(*ledger));
		errno = error;
		goto failed;
	}
	*fd = file;
	return ledger;
failed:
	error = errno;
	close(file);
	errno = error;
	return NULL;
}

const struct clinux_ledger *clinux_ledger_attach(int fd)
{
	const int needed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE;
	const struct clinux_ledger *ledger;
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat status;

	/* Without its seals a file could shrink under us, and reading it would end us (SIGBUS). */
	if (seals < 0 || (seals & needed) != needed || fstat(fd, &status) || status.st_size != sizeof(*ledger)) {
		errno = EINVAL;
		return NULL;
	}
	ledger = mmap(NULL, sizeof(*ledger), PROT_READ, MAP_SHARED, fd, 0);
	if (ledger == MAP_FAILED)
		return NULL;
	if (atomic_load_explicit(&ledger->magic, memory_order_acquire) != LEDGER_MAGIC) {
		clinux_ledger_unmap(ledger);
		errno = EINVAL;
		return NULL;
	}
	return ledger;
}

void clinux_ledger_unmap(const struct clinux_ledger *ledger)
{
	munmap((void *)ledger, sizeof(*ledger));
}

enum { FREE, TAKEN, FILLED };

int clinux_ledger_begin(struct clinux_ledger *ledger, uint64_t id)
{
	uint64_t highest;
	int index;

	for (index = 0; index < CLINUX_LEDGER_SLOTS; index++) {
		struct slot *slot = &ledger->slots[index];
		uint32_t expected = FREE;

		if (!atomic_compare_exchange_strong_explicit(&slot->used, &expected, TAKEN, memory_order_acquire,
							     memory_order_relaxed))
			continue;
		atomic_store_explicit(&slot->id, id, memory_order_relaxed);
		atomic_store_explicit(&slot->used, FILLED, memory_order_release);
		break;
	}
	/* After the slot: who dies in between has the id in the slot, and above the highest. */
	highest = atomic_load_explicit(&ledger->highest, memory_order_relaxed);
	if (!atomic_load_explicit(&ledger->any, memory_order_relaxed) || (int64_t)(id - highest) > 0)
		atomic_store_explicit(&ledger->highest, id, memory_order_release);
	atomic_store_explicit(&ledger->any, 1, memory_order_release);
	return index < CLINUX_LEDGER_SLOTS;
}

void clinux_ledger_end(struct clinux_ledger *ledger, uint64_t id)
{
	for (int index = 0; index < CLINUX_LEDGER_SLOTS; index++) {
		struct slot *slot = &ledger->slots[index];

		if (atomic_load_explicit(&slot->used, memory_order_acquire) != FILLED ||
		    atomic_load_explicit(&slot->id, memory_order_relaxed) != id)
			continue;
		atomic_store_explicit(&slot->used, FREE, memory_order_release);
		return;
	}
}

int clinux_ledger_read(const struct clinux_ledger *ledger, uint64_t *ids, uint64_t *highest, int *any)
{
	struct seccomp_notif incoming;
	int count = 0;

	for (int index = 0; index < CLINUX_LEDGER_SLOTS; index++) {
		const struct slot *slot = &ledger->slots[index];

		if (atomic_load_explicit(&slot->used, memory_order_acquire) == FILLED)
			ids[count++] = atomic_load_explicit(&slot->id, memory_order_relaxed);
	}
	/* Every notification has an architecture. */
	memcpy(&incoming, &ledger->incoming, sizeof(incoming));
	if (incoming.data.arch)
		ids[count++] = incoming.id;
	*any = (int)atomic_load_explicit(&ledger->any, memory_order_acquire);
	*highest = atomic_load_explicit(&ledger->highest, memory_order_relaxed);
	return count;
}
