/* SPDX-License-Identifier: Apache-2.0 */
/* Two UARTs back to back, without flow control: what a full FIFO cannot take is lost and counted. */
#include "devices.h"

#include <asm/termbits.h>
#include <linux/errno.h>
#include <linux/ioctl.h>
#include <linux/serial.h>
#include <asm/ioctls.h>

_Static_assert(sizeof(struct termios2) == POSTERN_TERMIOS2_SIZE, "struct termios2");

void postern_uart_init(struct postern_uart *uart)
{
	/* A tty's own defaults (drivers/tty/tty_io.c, tty_std_termios): 9600 baud, cooked. */
	struct termios2 settings = {
		.c_iflag = ICRNL | IXON,
		.c_oflag = OPOST | ONLCR,
		.c_cflag = B9600 | CS8 | CREAD | HUPCL,
		.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
		.c_ispeed = 9600,
		.c_ospeed = 9600,
	};

	postern_copy(uart->settings, &settings, sizeof(settings));
}

static void flush(struct postern_uart *uart)
{
	uart->first = 0;
	uart->queued = 0;
}

long postern_uart_ioctl(struct postern_uart *uart, unsigned int request, void *argument)
{
	struct serial_icounter_struct counters;

	switch (request) {
	case TCGETS2:
		postern_copy(argument, uart->settings, POSTERN_TERMIOS2_SIZE);
		return 0;
	case TCSETSF2:
		flush(uart);
		/* fall through */
	case TCSETS2:
	case TCSETSW2:
		postern_copy(uart->settings, argument, POSTERN_TERMIOS2_SIZE);
		return 0;
	case TCFLSH:
		/* The argument is a value. Nothing waits on the way out, so there is only input to drop. */
		switch ((uintptr_t)argument) {
		case TCIFLUSH:
		case TCIOFLUSH:
			flush(uart);
			return 0;
		case TCOFLUSH:
			return 0;
		default:
			return -EINVAL;
		}
	case TIOCINQ:
		*(int *)argument = (int)uart->queued;
		return 0;
	case TIOCOUTQ:
		*(int *)argument = 0;
		return 0;
	case TIOCGICOUNT:
		postern_zero(&counters, sizeof(counters));
		counters.rx = (int)uart->received;
		counters.tx = (int)uart->sent;
		counters.overrun = (int)uart->overrun;
		postern_copy(argument, &counters, sizeof(counters));
		return 0;
	default:
		return -ENOTTY;
	}
}

long postern_uart_read(struct postern_uart *uart, void *bytes, size_t length)
{
	uint8_t *to = bytes;
	size_t count = length < uart->queued ? length : uart->queued;

	if (!length)
		return 0;
	if (!count)
		return -EAGAIN;
	for (size_t index = 0; index < count; index++) {
		to[index] = uart->fifo[uart->first];
		uart->first = (uart->first + 1) % POSTERN_UART_FIFO;
	}
	uart->queued -= (uint32_t)count;
	return (long)count;
}

long postern_uart_write(struct postern_uart *uart, struct postern_uart *peer, const void *bytes, size_t length)
{
	const uint8_t *from = bytes;

	for (size_t index = 0; index < length; index++) {
		uart->sent++;
		if (peer->queued == POSTERN_UART_FIFO) {
			peer->overrun++;
			continue;
		}
		peer->fifo[(peer->first + peer->queued) % POSTERN_UART_FIFO] = from[index];
		peer->queued++;
		peer->received++;
	}
	return (long)length;
}
