/* SPDX-License-Identifier: Apache-2.0 */
/* Bus devices: ioctl(2) is variadic, its request numbers are macros, and termios2 clashes with the C library's termios. */
#ifndef CLINUX_BUS_H
#define CLINUX_BUS_H

#include <linux/gpio.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <linux/spi/spidev.h>
#include <linux/usbdevice_fs.h>
#include <stddef.h>
#include <stdint.h>

/* ioctl(2): -1 and errno on failure. */
int clinux_bus_ioctl(int fd, uint32_t request, void *argument);

/* open(2) O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC: a tty waits for a carrier and may become controlling otherwise. */
int clinux_bus_open(const char *path);

/* Requests that only a device of that kind answers. */
extern const uint32_t clinux_hid_info;
#define CLINUX_HID_INFO_SIZE 8
extern const uint32_t clinux_usb_capabilities;

extern const uint32_t clinux_spi_wr_mode;
extern const uint32_t clinux_spi_wr_bits;
extern const uint32_t clinux_spi_wr_speed;
extern const uint32_t clinux_spi_message;

extern const uint32_t clinux_gpio_get_line;
extern const uint32_t clinux_gpio_get_values;
extern const uint32_t clinux_gpio_set_values;
extern const uint32_t clinux_gpio_set_config;

/* A request of count (at most GPIO_V2_LINES_MAX) lines that leaves them as they are. */
void clinux_gpio_request(struct gpio_v2_line_request *request, const uint32_t *lines, uint32_t count,
			 const char *consumer);

/* Inputs with those GPIO_V2_LINE_FLAG_EDGE_* flags, and outputs (bit N: line N of the request) that start with values. */
void clinux_gpio_config(struct gpio_v2_line_config *config, uint64_t edges, uint64_t outputs, uint64_t values);

/* struct termios2 as bytes. */
#define CLINUX_TERMIOS2_SIZE 44
extern const uint32_t clinux_tty_get;
extern const uint32_t clinux_tty_set;

enum clinux_parity { CLINUX_PARITY_NONE, CLINUX_PARITY_EVEN, CLINUX_PARITY_ODD };

/* Turns settings into a raw 8 bit line with that speed; reads return what there is. */
void clinux_tty_raw(uint8_t settings[CLINUX_TERMIOS2_SIZE], uint32_t baud, enum clinux_parity parity,
		    unsigned int stop_bits);

/* What settings say: baud out, parity, stop bits, and whether the line is raw. */
struct clinux_tty_line {
	uint32_t baud_in;
	uint32_t baud_out;
	enum clinux_parity parity;
	unsigned int stop_bits;
	unsigned int data_bits;
	int raw;
};
void clinux_tty_describe(const uint8_t settings[CLINUX_TERMIOS2_SIZE], struct clinux_tty_line *line);

extern const uint32_t clinux_usb_control;
extern const uint32_t clinux_usb_bulk;

/* major(3) */
uint32_t clinux_device_major(uint64_t device);

/* The control requests that bus objects know, by the names of the kernel's headers. */
extern const int clinux_bus_request_count;
const char *clinux_bus_request_name(int index);
uint32_t clinux_bus_request_number(int index);

/* Accesses to device memory of exactly width 1, 2 or 4 bytes; address is aligned to it. */
uint32_t clinux_mmio_read(const void *address, unsigned int width);
void clinux_mmio_write(void *address, unsigned int width, uint32_t value);

/* A new pseudoterminal pair, close-on-exec, the slave has the kernel's default settings. 0 or -1. */
int clinux_pty(int *master, int *slave, char *path, size_t capacity);

#endif
