// SPDX-License-Identifier: Apache-2.0
/*
 * A HID device made through /dev/uhid, with reports of 8 bytes in and out and a feature report. Every line of standard
 * input is the 16 digits of an input report; every output report is printed. Ends with its input.
 *
 * Usage: hid-device NAME
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/uhid.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIFETIME 300
#define REPORT 8

static const unsigned char descriptor[] = {
	0x06, 0x00, 0xff,	/* usage page: vendor */
	0x09, 0x01,		/* usage 1 */
	0xa1, 0x01,		/* collection: application */
	0x15, 0x00,		/* logical minimum 0 */
	0x26, 0xff, 0x00,	/* logical maximum 255 */
	0x75, 0x08,		/* report size: 8 bits */
	0x95, REPORT,		/* report count */
	0x09, 0x02, 0x81, 0x02,	/* input */
	0x09, 0x03, 0x91, 0x02,	/* output */
	0x09, 0x04, 0xb1, 0x02,	/* feature */
	0xc0,
};

static void tell(int fd, const struct uhid_event *event)
{
	if (write(fd, event, sizeof(*event)) < 0) {
		perror("uhid");
		exit(1);
	}
}

static void listen_to(int fd)
{
	struct uhid_event event, answer;
	unsigned int i;

	if (read(fd, &event, sizeof(event)) < 0) {
		perror("uhid");
		exit(1);
	}
	memset(&answer, 0, sizeof(answer));
	switch (event.type) {
	case UHID_OUTPUT:
		printf("output ");
		for (i = 0; i < event.u.output.size; i++)
			printf("%02x", event.u.output.data[i]);
		putchar('\n');
		break;
	case UHID_GET_REPORT:
		answer.type = UHID_GET_REPORT_REPLY;
		answer.u.get_report_reply.id = event.u.get_report.id;
		answer.u.get_report_reply.size = 1 + REPORT;
		memcpy(answer.u.get_report_reply.data, "\0feature.", 1 + REPORT);
		tell(fd, &answer);
		break;
	case UHID_SET_REPORT:
		answer.type = UHID_SET_REPORT_REPLY;
		answer.u.set_report_reply.id = event.u.set_report.id;
		answer.u.set_report_reply.err = EIO;
		tell(fd, &answer);
		break;
	}
}

static void send_input(int fd, const char *digits)
{
	struct uhid_event event = { .type = UHID_INPUT2, .u.input2.size = REPORT };
	unsigned int i, value;

	for (i = 0; i < REPORT && sscanf(digits + 2 * i, "%2x", &value) == 1; i++)
		event.u.input2.data[i] = (unsigned char)value;
	tell(fd, &event);
}

int main(int count, char **arguments)
{
	struct uhid_event event = { .type = UHID_CREATE2 };
	struct pollfd watched[2] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .events = POLLIN } };
	char line[64];
	int fd = open("/dev/uhid", O_RDWR | O_CLOEXEC);

	if (count != 2)
		return 64;
	if (fd < 0) {
		perror("/dev/uhid");
		return 1;
	}
	alarm(LIFETIME);
	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0);
	snprintf((char *)event.u.create2.name, sizeof(event.u.create2.name), "%s", arguments[1]);
	memcpy(event.u.create2.rd_data, descriptor, sizeof(descriptor));
	event.u.create2.rd_size = sizeof(descriptor);
	event.u.create2.bus = 3; /* USB */
	event.u.create2.vendor = 0x1209;
	event.u.create2.product = 0x0001;
	tell(fd, &event);
	puts("ready");
	watched[1].fd = fd;
	for (;;) {
		if (poll(watched, 2, -1) < 0)
			return 1;
		if (watched[1].revents)
			listen_to(fd);
		if (watched[0].revents) {
			if (!fgets(line, sizeof(line), stdin))
				return 0;
			send_input(fd, line);
		}
	}
}
