/* SPDX-License-Identifier: Apache-2.0 */
/* The table of open files and the way from an entry point to its device. */
#include "devices.h"

#include <linux/errno.h>

size_t postern_devices_size(void)
{
	return sizeof(struct postern_devices);
}

void postern_devices_init(struct postern_devices *devices)
{
	postern_zero(devices, sizeof(*devices));
	postern_i2c_init(devices);
	postern_spi_init(&devices->spi);
	postern_gpio_init(&devices->gpio);
	postern_uart_init(&devices->uarts[0]);
	postern_uart_init(&devices->uarts[1]);
}

int postern_file_new(struct postern_devices *devices, enum postern_file_kind kind, uint8_t index)
{
	for (int number = 0; number < POSTERN_DEVICE_FILES; number++) {
		struct postern_file *file = &devices->files[number];

		if (file->kind != POSTERN_FILE_FREE)
			continue;
		file->kind = (uint8_t)kind;
		file->index = index;
		return number;
	}
	return -ENFILE;
}

static const struct postern_file *find(const struct postern_devices *devices, int number)
{
	if (number < 0 || number >= POSTERN_DEVICE_FILES)
		return NULL;
	if (devices->files[number].kind == POSTERN_FILE_FREE)
		return NULL;
	return &devices->files[number];
}

int postern_device_open(struct postern_devices *devices, enum postern_device device)
{
	switch (device) {
	case POSTERN_DEVICE_I2C:
		return postern_file_new(devices, POSTERN_FILE_I2C, 0);
	case POSTERN_DEVICE_SPI:
		return postern_file_new(devices, POSTERN_FILE_SPI, 0);
	case POSTERN_DEVICE_GPIO:
		return postern_file_new(devices, POSTERN_FILE_GPIO_CHIP, 0);
	case POSTERN_DEVICE_UART_A:
		return postern_file_new(devices, POSTERN_FILE_UART, 0);
	case POSTERN_DEVICE_UART_B:
		return postern_file_new(devices, POSTERN_FILE_UART, 1);
	default:
		return -ENODEV;
	}
}

int postern_device_close(struct postern_devices *devices, int number)
{
	const struct postern_file *file = find(devices, number);

	if (!file)
		return -EBADF;
	if (file->kind == POSTERN_FILE_GPIO_LINES)
		postern_gpio_lines_close(&devices->gpio, file->index);
	devices->files[number].kind = POSTERN_FILE_FREE;
	return 0;
}

long postern_device_ioctl(struct postern_devices *devices, int number, unsigned int request, void *argument,
			  uint64_t now)
{
	const struct postern_file *file = find(devices, number);

	if (!file)
		return -EBADF;
	switch (file->kind) {
	case POSTERN_FILE_I2C:
		return postern_i2c_ioctl(devices, request, argument, now);
	case POSTERN_FILE_SPI:
		return postern_spi_ioctl(&devices->spi, request, argument);
	case POSTERN_FILE_GPIO_CHIP:
		return postern_gpio_chip_ioctl(devices, request, argument, now);
	case POSTERN_FILE_GPIO_LINES:
		return postern_gpio_lines_ioctl(&devices->gpio, file->index, request, argument, now);
	case POSTERN_FILE_UART:
		return postern_uart_ioctl(&devices->uarts[file->index], request, argument);
	default:
		return -ENOTTY;
	}
}

long postern_device_read(struct postern_devices *devices, int number, void *bytes, size_t length)
{
	const struct postern_file *file = find(devices, number);

	if (!file)
		return -EBADF;
	switch (file->kind) {
	case POSTERN_FILE_GPIO_LINES:
		return postern_gpio_lines_read(&devices->gpio, file->index, bytes, length);
	case POSTERN_FILE_UART:
		return postern_uart_read(&devices->uarts[file->index], bytes, length);
	default:
		return -EINVAL;
	}
}

long postern_device_write(struct postern_devices *devices, int number, const void *bytes, size_t length)
{
	const struct postern_file *file = find(devices, number);

	if (!file)
		return -EBADF;
	if (file->kind != POSTERN_FILE_UART)
		return -EINVAL;
	return postern_uart_write(&devices->uarts[file->index], &devices->uarts[1 - file->index], bytes, length);
}

unsigned int postern_device_poll(const struct postern_devices *devices, int number)
{
	const struct postern_file *file = find(devices, number);

	if (!file)
		return 0;
	switch (file->kind) {
	case POSTERN_FILE_GPIO_LINES:
		return devices->gpio.requests[file->index].queued ? POSTERN_POLL_READABLE : 0;
	case POSTERN_FILE_UART:
		return POSTERN_POLL_WRITABLE | (devices->uarts[file->index].queued ? POSTERN_POLL_READABLE : 0);
	default:
		return POSTERN_POLL_READABLE | POSTERN_POLL_WRITABLE;
	}
}
