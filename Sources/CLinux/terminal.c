/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "clinux_terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios before;
static int terminal = -1;
static const char *farewell;
static size_t farewell_length;
static volatile sig_atomic_t is_raw;

int clinux_terminal_open(void)
{
	return open("/dev/tty", O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* Only what signal-safety(7) allows: it also runs in handlers. */
void clinux_terminal_leave(void)
{
	int saved = errno;
	size_t written = 0;
	int is_flushed = 0;

	if (!is_raw)
		return;
	is_raw = 0;
	/* In the background the terminal is somebody else's, who has set it as they need it; to set it would stop us. */
	if (tcgetpgrp(terminal) == getpgrp()) {
		while (written < farewell_length) {
			ssize_t count = write(terminal, farewell + written, farewell_length - written);
			struct pollfd entry = { .fd = terminal, .events = POLLOUT };

			if (count > 0)
				written += (size_t)count;
			else if (count < 0 && errno == EINTR)
				continue;
			else if (count == 0 || errno != EAGAIN)
				break;
			/* What is drawn and not yet shown makes room: it is about to vanish. */
			else if (!is_flushed++)
				tcflush(terminal, TCOFLUSH);
			/* A terminal that takes nothing for so long is not there. */
			else if (poll(&entry, 1, 1000) <= 0)
				break;
		}
		tcsetattr(terminal, TCSANOW, &before);
	}
	errno = saved;
}

static void crashed(int number)
{
	clinux_terminal_leave();
	/* SA_RESETHAND: the default now. */
	raise(number);
}

int clinux_terminal_enter(int fd, const char *leave, size_t length)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS };
	static int is_registered;
	struct sigaction action = { .sa_handler = crashed, .sa_flags = SA_RESETHAND | SA_NODEFER };
	struct termios raw;

	if (tcgetattr(fd, &before) != 0)
		return -1;
	raw = before;
	cfmakeraw(&raw);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	terminal = fd;
	farewell = leave;
	farewell_length = length;
	if (!is_registered) {
		if (atexit(clinux_terminal_leave) != 0)
			return -1;
		for (size_t index = 0; index < sizeof(faults) / sizeof(*faults); index++)
			if (sigaction(faults[index], &action, NULL) != 0)
				return -1;
		is_registered = 1;
	}
	is_raw = 1;
	return tcsetattr(fd, TCSANOW, &raw);
}

int clinux_terminal_size(int fd, unsigned short *columns, unsigned short *rows)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) != 0)
		return -1;
	*columns = size.ws_col;
	*rows = size.ws_row;
	return 0;
}

void clinux_stop(void)
{
	kill(getpid(), SIGSTOP);
}

void clinux_end_by_signal(int number)
{
	sigset_t set;

	signal(number, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, number);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	raise(number);
	_exit(128 + number);
}
