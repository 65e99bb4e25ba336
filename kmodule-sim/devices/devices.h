/* SPDX-License-Identifier: Apache-2.0 */
/* State of the simulated devices; private to this folder. */
#ifndef POSTERN_DEVICES_STATE_H
#define POSTERN_DEVICES_STATE_H

#include "postern_devices.h"

#include <linux/gpio.h>
#include <linux/i2c.h>
#include <linux/spi/spidev.h>

struct postern_registers {
	uint8_t pointer;
	uint8_t bytes[256];
};

struct postern_eeprom {
	uint8_t address;
	/* The page latch: what a STOP will program. */
	uint8_t latch[POSTERN_EEPROM_PAGE];
	uint8_t latched; /* bit N: latch[N] was written */
	uint8_t bytes[POSTERN_EEPROM_SIZE];
	uint64_t busy_until;
};

struct postern_lm75 {
	uint8_t pointer;
	uint8_t configuration;
	uint16_t hysteresis;
	uint16_t limit;
	uint16_t converted; /* the temperature register */
	int milli;	    /* what there is to measure */
};

struct postern_spi {
	uint32_t mode;
	uint32_t speed;
	uint8_t bits;
};

#define POSTERN_GPIO_EVENTS_PER_LINE 16
#define POSTERN_GPIO_EVENTS (POSTERN_GPIO_LINES * POSTERN_GPIO_EVENTS_PER_LINE)

/* One set of lines that an open file holds. */
struct postern_gpio_request {
	int used;
	uint32_t count;
	uint32_t lines[POSTERN_GPIO_LINES];
	uint32_t seqno;
	uint32_t capacity; /* of events */
	uint32_t first;
	uint32_t queued;
	struct gpio_v2_line_event events[POSTERN_GPIO_EVENTS];
};

struct postern_gpio {
	uint64_t flags[POSTERN_GPIO_LINES]; /* GPIO_V2_LINE_FLAG_*; 0: as it was */
	uint8_t output[POSTERN_GPIO_LINES]; /* line is driven by its latch */
	uint8_t latch[POSTERN_GPIO_LINES];  /* physical level, kept when a request ends */
	int8_t owner[POSTERN_GPIO_LINES];   /* request index, -1: free */
	uint32_t seqno[POSTERN_GPIO_LINES];
	char consumer[POSTERN_GPIO_LINES][GPIO_MAX_NAME_SIZE];
	struct postern_gpio_request requests[POSTERN_GPIO_LINES];
};

#define POSTERN_TERMIOS2_SIZE 44

struct postern_uart {
	uint8_t settings[POSTERN_TERMIOS2_SIZE]; /* struct termios2 */
	uint8_t fifo[POSTERN_UART_FIFO];	 /* received, not yet read */
	uint32_t first;
	uint32_t queued;
	uint32_t received; /* counters of TIOCGICOUNT */
	uint32_t sent;
	uint32_t overrun;
};

enum postern_file_kind {
	POSTERN_FILE_FREE = 0,
	POSTERN_FILE_I2C,
	POSTERN_FILE_SPI,
	POSTERN_FILE_GPIO_CHIP,
	POSTERN_FILE_GPIO_LINES,
	POSTERN_FILE_UART,
};

struct postern_file {
	uint8_t kind;
	uint8_t index; /* UART_A 0, UART_B 1; GPIO_LINES: the request */
};

struct postern_devices {
	struct postern_file files[POSTERN_DEVICE_FILES];
	struct postern_registers registers;
	struct postern_eeprom eeprom;
	struct postern_lm75 lm75;
	struct postern_spi spi;
	struct postern_gpio gpio;
	struct postern_uart uarts[2];
};

static inline void postern_copy(void *to, const void *from, size_t length)
{
	__builtin_memcpy(to, from, length);
}

static inline void postern_zero(void *bytes, size_t length)
{
	__builtin_memset(bytes, 0, length);
}

/* A free file of that kind, or -ENFILE. */
int postern_file_new(struct postern_devices *devices, enum postern_file_kind kind, uint8_t index);

void postern_i2c_init(struct postern_devices *devices);
long postern_i2c_ioctl(struct postern_devices *devices, unsigned int request, void *argument, uint64_t now);

void postern_spi_init(struct postern_spi *spi);
long postern_spi_ioctl(struct postern_spi *spi, unsigned int request, void *argument);

void postern_gpio_init(struct postern_gpio *gpio);
long postern_gpio_chip_ioctl(struct postern_devices *devices, unsigned int request, void *argument, uint64_t now);
long postern_gpio_lines_ioctl(struct postern_gpio *gpio, uint8_t index, unsigned int request, void *argument,
			      uint64_t now);
long postern_gpio_lines_read(struct postern_gpio *gpio, uint8_t index, void *bytes, size_t length);
void postern_gpio_lines_close(struct postern_gpio *gpio, uint8_t index);

void postern_uart_init(struct postern_uart *uart);
long postern_uart_ioctl(struct postern_uart *uart, unsigned int request, void *argument);
long postern_uart_read(struct postern_uart *uart, void *bytes, size_t length);
long postern_uart_write(struct postern_uart *uart, struct postern_uart *peer, const void *bytes, size_t length);

#endif
