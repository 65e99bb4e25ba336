/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that operate without a pause while their associations come and go. */
#include "barrier.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/random.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define PROCESSES 4
/* With POSTERN_SOAK, else a twentieth. */
#define ROUNDS 300

/* turn is odd from when a revoke has returned until the next grant begins. */
struct shared {
	volatile uint64_t turn;
	volatile int end;
	struct {
		volatile uint64_t done;
		volatile uint64_t refused;
		volatile uint64_t late;
		volatile uint64_t odd; /* an errno that is neither */
		volatile uint64_t halved; /* the first of two messages went, and the second one was refused */
		char space[24];
	} of[PROCESSES];
};

static int zero, udp, listener, pair[2], entropy, file, other;
static struct uring ring;
static aio_context_t aio;
/* Below 4 GiB, because of the 32-bit call. */
static char *memory;

/* The memory and the file are in the ring too, as buffer and file 0. */
static void open_own(void)
{
	struct iovec buffer;

	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	buffer = (struct iovec){ memory, 4096 };
	if (memory == MAP_FAILED || pipe2(pair, O_NONBLOCK) || syscall(SYS_io_setup, 4, &aio) || uring_open(&ring, 0) ||
	    uring_register(&ring, IORING_REGISTER_BUFFERS, &buffer, 1) || uring_register(&ring, IORING_REGISTER_FILES, &file, 1))
		_exit(1);
}

static long asynchronous(void)
{
	struct iocb block = { .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = (uint32_t)file, .aio_buf = (uint64_t)memory,
			      .aio_nbytes = 64 };
	struct iocb *list = &block;
	struct io_event event;
	long result = ERR(syscall(SYS_io_submit, aio, 1, &list));

	if (result < 0)
		return result;
	do
		result = ERR(syscall(SYS_io_getevents, aio, 1, 1, &event, NULL));
	while (result == -EINTR);
	return result == 1 ? (long)event.res : result;
}

static long request(uint8_t opcode, int fd, uint8_t flags, uint32_t message_flags)
{
	struct io_uring_sqe entry = { .opcode = opcode, .fd = fd, .flags = flags, .addr = (uint64_t)memory, .len = 64,
				      .msg_flags = message_flags };
	struct io_uring_cqe completion;
	long result = uring_submit(&ring, &entry);

	if (result < 0)
		return result;
	result = uring_wait(&ring, 10000, &completion);
	/* What was sent without a copy is told of twice. */
	if (completion.flags & IORING_CQE_F_MORE)
		uring_wait(&ring, 10000, NULL);
	return result;
}

static long compatible_ioctl(void)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(54), "b"((long)entropy), "c"((long)RNDGETENTCNT), "d"((long)memory)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)result;
}

#define OPERATIONS 20
#define SENDS_TWO 14

static long operate(unsigned int which)
{
	struct iovec vector = { memory, 64 };
	struct mmsghdr messages[2] = { { .msg_hdr = { .msg_iov = &vector, .msg_iovlen = 1 } } };
	socklen_t length = sizeof(int);
	loff_t from = 0, to = 0;
	int value;

	messages[1] = messages[0];
	switch (which % OPERATIONS) {
	case 0:
		return ERR(pread(zero, memory, 64, 0));
	case 1:
		return ERR(pwritev2(zero, &vector, 1, 0, 0));
	case 2:
		return ERR(send(udp, memory, 16, MSG_DONTWAIT));
	case 3:
		return ERR(recvmsg(udp, &messages[0].msg_hdr, MSG_DONTWAIT));
	case 4:
		return ERR(ioctl(entropy, RNDGETENTCNT, &value));
	case 5:
		return ERR(getsockopt(udp, SOL_SOCKET, SO_RCVBUF, &value, &length));
	case 6:
		return ERR(accept4(listener, NULL, NULL, SOCK_NONBLOCK));
	case 7:
		return ERR(splice(file, &from, pair[1], NULL, 64, SPLICE_F_NONBLOCK));
	case 8:
		return asynchronous();
	case 9:
		return request(IORING_OP_READ, zero, 0, 0);
	case 10:
		return request(IORING_OP_READ_FIXED, 0, IOSQE_FIXED_FILE, 0);
	case 11:
		return request(IORING_OP_READ, 0, IOSQE_FIXED_FILE | IOSQE_ASYNC, 0);
	case 12:
		return ERR(sendfile(pair[1], file, &from, 64));
	case 13:
		return ERR(copy_file_range(file, &from, other, &to, 64, 0));
	case SENDS_TWO:
		return ERR(sendmmsg(udp, messages, 2, MSG_DONTWAIT));
	case 15:
		return ERR(recvmmsg(udp, messages, 2, MSG_DONTWAIT, NULL));
	case 16:
		return request(OP_SEND_ZC, udp, 0, MSG_DONTWAIT);
	case 17:
		return request(IORING_OP_RECV, udp, 0, MSG_DONTWAIT);
	case 18:
		return compatible_ioctl();
	default:
		return ERR(listen(listener, 4));
	}
}

static void hammer(struct shared *shared, int number)
{
	char data[4096];

	open_own();
	for (unsigned int i = 0; !shared->end; i++) {
		uint64_t turn = shared->turn;
		long result = operate(i);
		bool refused = result == -EKEYREVOKED || result == -EKEYEXPIRED || result == -EACCES || result == -ESTALE;

		if (refused)
			shared->of[number].refused++;
		else if (result >= 0 || result == -EAGAIN || result == -ECONNREFUSED)
			shared->of[number].done++;
		else
			shared->of[number].odd = (uint64_t)-result;
		if (i % OPERATIONS == SENDS_TWO && result == 1)
			shared->of[number].halved++;
		/* It began after the revoke had returned, and there was no grant since. */
		if (!refused && turn & 1 && shared->turn == turn)
			shared->of[number].late++;
		while (i % OPERATIONS == OPERATIONS - 1 && read(pair[0], data, sizeof(data)) > 0)
			;
	}
	_exit(0);
}

struct described {
	uint64_t refused;
	uint64_t others;
};

static void see(const struct postern_direct_event *event, void *context)
{
	struct described *described = context;

	if (event->kind == POSTERN_EVENT_REFUSED)
		described->refused++;
	else
		described->others++;
}

static void open_all(void)
{
	struct scene scene;

	scene_open(&scene);
	zero_device(&scene);
	zero = scene.fd;
	udp_pair(&scene);
	udp = scene.fd;
	/* What is sent is dropped at once, so that no buffer of the sender's is ever full. */
	setsockopt(scene.peer, SOL_SOCKET, SO_RCVBUF, &(int){ 1 }, sizeof(int));
	tcp_listener(&scene);
	listener = scene.fd;
	fcntl(listener, F_SETFL, O_NONBLOCK);
	plain_file(&scene);
	file = scene.fd;
	other = scene.other;
	entropy = open("/dev/random", O_RDONLY);
	if (tag(zero, OBJECT, 0, 0) || tag(udp, OBJECT, 1, 0) || tag(listener, OBJECT, 0, 0) || tag(entropy, OBJECT, 0, 0) ||
	    tag(file, OBJECT, 0, 0))
		die("tag");
}

void test_hammer(void)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t before, lost, late = 0, refused = 0, done = 0, odd = 0, halved = 0, counted_now;
	struct described described = { 0 };
	const int rounds = getenv("POSTERN_SOAK") ? ROUNDS : ROUNDS / 20;
	uint32_t numbers[PROCESSES];
	double worst = 0, sum = 0;
	struct reached reached;
	pid_t pids[PROCESSES];

	clear();
	default_limits();
	define_object(OBJECT, POSTERN_KIND_SOCKET);
	open_all();
	drain(NULL, NULL);
	before = counted_refusals();
	lost = counted(POSTERN_COUNTER_LOST_REFUSALS);
	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			hammer(shared, i);
		numbers[i] = associate(pids[i], OBJECT, ALL_OPERATIONS);
	}
	/* They leave it no time otherwise. */
	sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 1 });
	for (int round = 0; round < rounds; round++) {
		double start;

		for (int i = 0; i < PROCESSES; i++) {
			stand.records[numbers[i]].state = POSTERN_STATE_LIVE;
			/* The first is whom the socket's tag names. */
			keep_verdicts(numbers[i]);
		}
		usleep(2000);
		start = seconds();
		for (int i = 0; i < PROCESSES; i++)
			revoke_record(numbers[i]);
		for (int i = 0; i < PROCESSES; i++)
			raise_barrier(pids[i], BARRIER_TRACE, &reached);
		sum += seconds() - start;
		worst = seconds() - start > worst ? seconds() - start : worst;
		shared->turn++;
		usleep(2000);
		/* Less often than events come, so that some are lost. */
		if (round % 50 == 49)
			drain(see, &described);
		shared->turn++;
	}
	shared->end = 1;
	sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){ 0 });
	for (int i = 0; i < PROCESSES; i++) {
		waitpid(pids[i], NULL, 0);
		late += shared->of[i].late;
		refused += shared->of[i].refused;
		halved += shared->of[i].halved;
		done += shared->of[i].done;
		odd |= shared->of[i].odd;
	}
	drain(see, &described);
	counted_now = counted_refusals() - before;
	lost = counted(POSTERN_COUNTER_LOST_REFUSALS) - lost;
	printf("# %llu operations done, %llu refused, %llu described, %llu lost; revoke of %d processes: mean %.1f ms, worst %.1f ms\n",
	       (unsigned long long)done, (unsigned long long)refused, (unsigned long long)described.refused,
	       (unsigned long long)lost, PROCESSES, sum / rounds * 1e3, worst * 1e3);
	report(done > (uint64_t)rounds && refused > (uint64_t)rounds && !odd,
	       "hammer: operations were done and refused", "%llu, %llu, errno %llu",
	       (unsigned long long)done, (unsigned long long)refused, (unsigned long long)odd);
	report(late == 0, "hammer: nothing that began after a revoke had returned succeeded", "%llu", (unsigned long long)late);
	report(counted_now == refused + halved, "hammer: every refusal that a process saw was counted, and no other",
	       "%llu counted, %llu + %llu seen", (unsigned long long)counted_now, (unsigned long long)refused,
	       (unsigned long long)halved);
	report(described.refused + lost == counted_now, "hammer: described and lost are what was counted", "%llu + %llu, not %llu",
	       (unsigned long long)described.refused, (unsigned long long)lost, (unsigned long long)counted_now);
	close(zero);
	close(udp);
	close(listener);
	close(entropy);
	close(file);
	close(other);
}
