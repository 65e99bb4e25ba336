/* SPDX-License-Identifier: Apache-2.0 */
#include "uring.h"

#include "stand.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static uint32_t *word(struct uring *uring, uint32_t offset)
{
	return (uint32_t *)(uring->memory + offset);
}

long uring_open(struct uring *uring, unsigned int flags)
{
	struct io_uring_params *p = &uring->parameters;
	size_t size;

	memset(uring, 0, sizeof(*uring));
	p->flags = flags;
	p->sq_thread_idle = 1000;
	uring->fd = (int)syscall(SYS_io_uring_setup, 8, p);
	if (uring->fd < 0)
		return -errno;
	size = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
	if (size < p->sq_off.array + p->sq_entries * 4)
		size = p->sq_off.array + p->sq_entries * 4;
	uring->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, uring->fd, IORING_OFF_SQ_RING);
	uring->entries = mmap(NULL, p->sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED,
			      uring->fd, IORING_OFF_SQES);
	return 0;
}

void uring_close(struct uring *uring)
{
	close(uring->fd);
}

bool uring_needs_wakeup(struct uring *uring)
{
	return __atomic_load_n(word(uring, uring->parameters.sq_off.flags), __ATOMIC_ACQUIRE) & IORING_SQ_NEED_WAKEUP;
}

long uring_submit(struct uring *uring, const struct io_uring_sqe *entry)
{
	struct io_sqring_offsets *offsets = &uring->parameters.sq_off;
	uint32_t tail = *word(uring, offsets->tail);
	uint32_t index = tail & *word(uring, offsets->ring_mask);
	unsigned int flags = 0;

	uring->entries[index] = *entry;
	word(uring, offsets->array)[index] = index;
	__atomic_store_n(word(uring, offsets->tail), tail + 1, __ATOMIC_SEQ_CST);
	if (uring->parameters.flags & IORING_SETUP_SQPOLL) {
		if (!uring_needs_wakeup(uring))
			return 1;
		flags = IORING_ENTER_SQ_WAKEUP;
	}
	return ERR(syscall(SYS_io_uring_enter, uring->fd, 1, 0, flags, NULL, 0));
}

long uring_wait(struct uring *uring, int milliseconds, struct io_uring_cqe *out)
{
	struct io_cqring_offsets *offsets = &uring->parameters.cq_off;
	struct io_uring_cqe *all = (struct io_uring_cqe *)(uring->memory + offsets->cqes), *cqe;
	double end = seconds() + milliseconds * 1e-3;
	uint32_t head = *word(uring, offsets->head);
	struct pollfd ready = { .fd = uring->fd, .events = POLLIN };
	long result;

	while (head == __atomic_load_n(word(uring, offsets->tail), __ATOMIC_ACQUIRE)) {
		if (seconds() > end)
			return -ETIME;
		/* Work that waits for this task is done on its way out of any call. */
		syscall(SYS_io_uring_enter, uring->fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0);
		poll(&ready, 1, 2);
	}
	cqe = &all[head & *word(uring, offsets->ring_mask)];
	result = cqe->res;
	if (out)
		*out = *cqe;
	__atomic_store_n(word(uring, offsets->head), head + 1, __ATOMIC_RELEASE);
	return result;
}

long uring_once(const struct io_uring_sqe *entry)
{
	struct uring uring;
	long result = uring_open(&uring, 0);

	if (result < 0)
		return result;
	result = uring_submit(&uring, entry);
	if (result >= 0)
		result = uring_wait(&uring, 2000, NULL);
	uring_close(&uring);
	return result;
}

long uring_register(struct uring *uring, unsigned int what, const void *argument, unsigned int count)
{
	return ERR(syscall(SYS_io_uring_register, uring->fd, what, argument, count));
}
