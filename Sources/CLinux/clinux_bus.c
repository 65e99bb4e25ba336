/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "clinux_bus.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/hidraw.h>
#include <linux/ioctl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Not <sys/ioctl.h> and <stdlib.h>'s friends: they bring the C library's struct termios, which termbits.h also defines. */
extern int ioctl(int fd, unsigned long request, ...);
extern int posix_openpt(int flags);
extern int grantpt(int fd);
extern int unlockpt(int fd);
extern int ptsname_r(int fd, char *path, size_t capacity);

_Static_assert(sizeof(struct termios2) == CLINUX_TERMIOS2_SIZE, "struct termios2");

int clinux_bus_ioctl(int fd, uint32_t request, void *argument)
{
	return ioctl(fd, request, argument);
}

int clinux_bus_open(const char *path)
{
	return open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

const uint32_t clinux_hid_info = HIDIOCGRAWINFO;
_Static_assert(sizeof(struct hidraw_devinfo) == CLINUX_HID_INFO_SIZE, "struct hidraw_devinfo");
const uint32_t clinux_usb_capabilities = USBDEVFS_GET_CAPABILITIES;

const uint32_t clinux_spi_wr_mode = SPI_IOC_WR_MODE;
const uint32_t clinux_spi_wr_bits = SPI_IOC_WR_BITS_PER_WORD;
const uint32_t clinux_spi_wr_speed = SPI_IOC_WR_MAX_SPEED_HZ;
const uint32_t clinux_spi_message = SPI_IOC_MESSAGE(1);

const uint32_t clinux_gpio_get_line = GPIO_V2_GET_LINE_IOCTL;
const uint32_t clinux_gpio_get_values = GPIO_V2_LINE_GET_VALUES_IOCTL;
const uint32_t clinux_gpio_set_values = GPIO_V2_LINE_SET_VALUES_IOCTL;
const uint32_t clinux_gpio_set_config = GPIO_V2_LINE_SET_CONFIG_IOCTL;

void clinux_gpio_request(struct gpio_v2_line_request *request, const uint32_t *lines, uint32_t count,
			 const char *consumer)
{
	memset(request, 0, sizeof(*request));
	memcpy(request->offsets, lines, count * sizeof(*lines));
	request->num_lines = count;
	strncpy(request->consumer, consumer, sizeof(request->consumer) - 1);
}

void clinux_gpio_config(struct gpio_v2_line_config *config, uint64_t edges, uint64_t outputs, uint64_t values)
{
	memset(config, 0, sizeof(*config));
	config->flags = GPIO_V2_LINE_FLAG_INPUT | edges;
	if (!outputs)
		return;
	config->attrs[0].attr.id = GPIO_V2_LINE_ATTR_ID_FLAGS;
	config->attrs[0].attr.flags = GPIO_V2_LINE_FLAG_OUTPUT;
	config->attrs[0].mask = outputs;
	config->attrs[1].attr.id = GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES;
	config->attrs[1].attr.values = values;
	config->attrs[1].mask = outputs;
	config->num_attrs = 2;
}

const uint32_t clinux_tty_get = TCGETS2;
const uint32_t clinux_tty_set = TCSETS2;

void clinux_tty_raw(uint8_t settings[CLINUX_TERMIOS2_SIZE], uint32_t baud, enum clinux_parity parity,
		    unsigned int stop_bits)
{
	struct termios2 line;

	memcpy(&line, settings, sizeof(line));
	line.c_iflag &= ~(unsigned int)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON | IXOFF | IUCLC);
	line.c_oflag &= ~(unsigned int)OPOST;
	line.c_lflag &= ~(unsigned int)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	line.c_cflag &= ~(unsigned int)(CSIZE | PARENB | PARODD | CMSPAR | CSTOPB | CBAUD | CIBAUD | CRTSCTS);
	line.c_cflag |= CS8 | CREAD | CLOCAL | BOTHER;
	if (parity != CLINUX_PARITY_NONE) {
		line.c_cflag |= PARENB;
		line.c_iflag |= INPCK;
	} else {
		line.c_iflag &= ~(unsigned int)INPCK;
	}
	if (parity == CLINUX_PARITY_ODD)
		line.c_cflag |= PARODD;
	if (stop_bits == 2)
		line.c_cflag |= CSTOPB;
	/* Input speed bits 0 in c_cflag: the same as the output's. */
	line.c_ospeed = baud;
	line.c_ispeed = baud;
	line.c_cc[VMIN] = 1;
	line.c_cc[VTIME] = 0;
	memcpy(settings, &line, sizeof(line));
}

void clinux_tty_describe(const uint8_t settings[CLINUX_TERMIOS2_SIZE], struct clinux_tty_line *description)
{
	struct termios2 line;

	memcpy(&line, settings, sizeof(line));
	description->baud_in = line.c_ispeed;
	description->baud_out = line.c_ospeed;
	description->parity = CLINUX_PARITY_NONE;
	if (line.c_cflag & PARENB)
		description->parity = line.c_cflag & PARODD ? CLINUX_PARITY_ODD : CLINUX_PARITY_EVEN;
	description->stop_bits = line.c_cflag & CSTOPB ? 2 : 1;
	switch (line.c_cflag & CSIZE) {
	case CS5:
		description->data_bits = 5;
		break;
	case CS6:
		description->data_bits = 6;
		break;
	case CS7:
		description->data_bits = 7;
		break;
	default:
		description->data_bits = 8;
	}
	description->raw = !(line.c_lflag & (ICANON | ECHO | ISIG)) && !(line.c_oflag & OPOST) && !(line.c_iflag & ICRNL);
}

const uint32_t clinux_usb_control = USBDEVFS_CONTROL;
const uint32_t clinux_usb_bulk = USBDEVFS_BULK;

uint32_t clinux_device_major(uint64_t device)
{
	return major(device);
}

#define REQUEST(name) { #name, name }

static const struct {
	const char *name;
	uint32_t number;
} requests[] = {
	REQUEST(HIDIOCGRDESCSIZE),
	REQUEST(HIDIOCGRDESC),
	REQUEST(HIDIOCGRAWINFO),
	REQUEST(HIDIOCGRAWNAME(256)),
	REQUEST(HIDIOCGRAWPHYS(256)),
	REQUEST(HIDIOCGRAWUNIQ(256)),
	REQUEST(HIDIOCSFEATURE(8)),
	REQUEST(HIDIOCGFEATURE(8)),
	REQUEST(HIDIOCSINPUT(8)),
	REQUEST(HIDIOCGINPUT(8)),
	REQUEST(HIDIOCSOUTPUT(8)),
	REQUEST(HIDIOCGOUTPUT(8)),
	REQUEST(USBDEVFS_CONTROL),
	REQUEST(USBDEVFS_BULK),
	REQUEST(USBDEVFS_RESETEP),
	REQUEST(USBDEVFS_SETINTERFACE),
	REQUEST(USBDEVFS_SETCONFIGURATION),
	REQUEST(USBDEVFS_GETDRIVER),
	REQUEST(USBDEVFS_CLAIMINTERFACE),
	REQUEST(USBDEVFS_RELEASEINTERFACE),
	REQUEST(USBDEVFS_CONNECTINFO),
	REQUEST(USBDEVFS_RESET),
	REQUEST(USBDEVFS_CLEAR_HALT),
	REQUEST(USBDEVFS_GET_CAPABILITIES),
	REQUEST(USBDEVFS_GET_SPEED),
	REQUEST(TCGETS2),
	REQUEST(TCFLSH),
	REQUEST(FIONREAD),
	REQUEST(TIOCOUTQ),
	REQUEST(TIOCMGET),
	REQUEST(TIOCMBIS),
	REQUEST(TIOCMBIC),
	REQUEST(TIOCMSET),
	REQUEST(TIOCSBRK),
	REQUEST(TIOCCBRK),
	REQUEST(TIOCGICOUNT),
};

const int clinux_bus_request_count = sizeof(requests) / sizeof(requests[0]);

const char *clinux_bus_request_name(int index)
{
	return requests[index].name;
}

uint32_t clinux_bus_request_number(int index)
{
	return requests[index].number;
}

uint32_t clinux_mmio_read(const void *address, unsigned int width)
{
	switch (width) {
	case 1:
		return *(const volatile uint8_t *)address;
	case 2:
		return *(const volatile uint16_t *)address;
	default:
		return *(const volatile uint32_t *)address;
	}
}

void clinux_mmio_write(void *address, unsigned int width, uint32_t value)
{
	switch (width) {
	case 1:
		*(volatile uint8_t *)address = (uint8_t)value;
		break;
	case 2:
		*(volatile uint16_t *)address = (uint16_t)value;
		break;
	default:
		*(volatile uint32_t *)address = value;
	}
}

int clinux_pty(int *master, int *slave, char *path, size_t capacity)
{
	int saved;
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (grantpt(fd) || unlockpt(fd))
		goto fail;
	errno = ptsname_r(fd, path, capacity);
	if (errno)
		goto fail;
	*slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*slave < 0)
		goto fail;
	*master = fd;
	return 0;
fail:
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}
