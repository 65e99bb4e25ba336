/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bus devices of the simulated kernel, behind entry points shaped like the
 * kernel's file operations and with the kernel's own request numbers and
 * structures (linux/i2c-dev.h, linux/spi/spidev.h, linux/gpio.h, asm/termbits.h).
 *
 * Fixed memory, no allocation, no clock: the time is a parameter in nanoseconds
 * that never goes backwards. Not thread-safe; the caller holds one lock over all
 * calls on one struct. Every call returns a negative errno on failure and then
 * has changed nothing, except where a bus transaction fails half-way, as on a
 * real bus.
 */
#ifndef POSTERN_DEVICES_H
#define POSTERN_DEVICES_H

#include <stddef.h>
#include <stdint.h>

/* What can be opened. */
enum postern_device {
	POSTERN_DEVICE_I2C = 0,	   /* an adapter with the three chips below */
	POSTERN_DEVICE_SPI = 1,	   /* MISO wired to MOSI */
	POSTERN_DEVICE_GPIO = 2,   /* 8 lines; line 2N+1 is wired to line 2N */
	POSTERN_DEVICE_UART_A = 3, /* wired to B, without flow control */
	POSTERN_DEVICE_UART_B = 4,
	POSTERN_DEVICE_COUNT = 5,
};

/* Slave addresses on the adapter. */
#define POSTERN_I2C_REGISTERS 0x20
#define POSTERN_I2C_LM75 0x48
#define POSTERN_I2C_EEPROM 0x50

#define POSTERN_EEPROM_SIZE 256
#define POSTERN_EEPROM_PAGE 8
#define POSTERN_EEPROM_WRITE_NS 5000000ull
#define POSTERN_SPI_BUFFER 4096
#define POSTERN_GPIO_LINES 8
#define POSTERN_UART_FIFO 4096
#define POSTERN_DEVICE_FILES 256

#define POSTERN_POLL_READABLE 0x1u
#define POSTERN_POLL_WRITABLE 0x2u

struct postern_devices;

/* Bytes that a struct postern_devices needs, aligned as for a uint64_t. */
size_t postern_devices_size(void);

/* Power-on state: registers 0, EEPROM 0xff, 25 degrees, lines low, FIFOs empty, no files open. */
void postern_devices_init(struct postern_devices *devices);

/* A new open file of that device, 0 ... POSTERN_DEVICE_FILES - 1; -ENODEV, -ENFILE. */
int postern_device_open(struct postern_devices *devices, enum postern_device device);

/* Ends an open file; -EBADF. The devices keep their state. */
int postern_device_close(struct postern_devices *devices, int file);

/*
 * ioctl(2) on an open file. argument is what the request says, in memory that
 * the caller owns, embedded pointers included. GPIO_V2_GET_LINE_IOCTL puts the
 * number of a new open file of this table into its structure. -ENOTTY: the
 * device does not know the request.
 */
long postern_device_ioctl(struct postern_devices *devices, int file, unsigned int request, void *argument,
			  uint64_t now);

/* read(2), never blocking: bytes read, -EAGAIN, or -EINVAL where the device is not read like that. */
long postern_device_read(struct postern_devices *devices, int file, void *bytes, size_t length);

/* write(2): bytes taken; -EINVAL where the device is not written like that. */
long postern_device_write(struct postern_devices *devices, int file, const void *bytes, size_t length);

/* POSTERN_POLL_* of an open file; 0 for a number that is none. */
unsigned int postern_device_poll(const struct postern_devices *devices, int file);

/* Sets what the LM75 measures: milli-degrees Celsius, held within -55000 ... 125000. */
void postern_devices_set_temperature(struct postern_devices *devices, int milli);

#endif
