/* SPDX-License-Identifier: Apache-2.0 */
/* A GPIO chip of 8 lines behind the character device's second ABI; line 2N+1 is wired to line 2N. */
#include "devices.h"

#include <linux/errno.h>

#define EDGES (GPIO_V2_LINE_FLAG_EDGE_RISING | GPIO_V2_LINE_FLAG_EDGE_FALLING)
#define DIRECTIONS (GPIO_V2_LINE_FLAG_INPUT | GPIO_V2_LINE_FLAG_OUTPUT)
#define KNOWN (GPIO_V2_LINE_FLAG_ACTIVE_LOW | DIRECTIONS | EDGES)

void postern_gpio_init(struct postern_gpio *gpio)
{
	for (uint32_t line = 0; line < POSTERN_GPIO_LINES; line++)
		gpio->owner[line] = -1;
}

/* The voltage: a driven line has its own, an odd one that is not driven has its neighbour's. */
static uint8_t level(const struct postern_gpio *gpio, uint32_t line)
{
	if (gpio->output[line] || line % 2 == 0)
		return gpio->latch[line];
	return gpio->latch[line - 1];
}

/* What software sees. */
static uint8_t value(const struct postern_gpio *gpio, uint32_t line)
{
	return level(gpio, line) ^ !!(gpio->flags[line] & GPIO_V2_LINE_FLAG_ACTIVE_LOW);
}

/* A full queue loses its oldest event; the gap in seqno shows it (drivers/gpio/gpiolib-cdev.c does the same). */
static void put_event(struct postern_gpio *gpio, uint32_t line, uint8_t rising, uint64_t now)
{
	struct postern_gpio_request *request = &gpio->requests[gpio->owner[line]];
	struct gpio_v2_line_event *event;

	if (request->queued == request->capacity) {
		request->first = (request->first + 1) % request->capacity;
		request->queued--;
	}
	event = &request->events[(request->first + request->queued) % request->capacity];
	postern_zero(event, sizeof(*event));
	event->timestamp_ns = now;
	event->id = rising ? GPIO_V2_LINE_EVENT_RISING_EDGE : GPIO_V2_LINE_EVENT_FALLING_EDGE;
	event->offset = line;
	event->seqno = ++request->seqno;
	event->line_seqno = ++gpio->seqno[line];
	request->queued++;
}

static void drive(struct postern_gpio *gpio, uint32_t line, uint8_t to, uint64_t now)
{
	uint8_t before[POSTERN_GPIO_LINES];

	for (uint32_t other = 0; other < POSTERN_GPIO_LINES; other++)
		before[other] = value(gpio, other);
	gpio->latch[line] = to;
	for (uint32_t other = 0; other < POSTERN_GPIO_LINES; other++) {
		uint8_t after = value(gpio, other);
		uint64_t edge = after ? GPIO_V2_LINE_FLAG_EDGE_RISING : GPIO_V2_LINE_FLAG_EDGE_FALLING;

		if (after != before[other] && gpio->owner[other] >= 0 && gpio->flags[other] & edge)
			put_event(gpio, other, after, now);
	}
}

static uint64_t flags_of(const struct gpio_v2_line_config *config, uint32_t index)
{
	for (uint32_t number = 0; number < config->num_attrs; number++) {
		const struct gpio_v2_line_config_attribute *attribute = &config->attrs[number];

		if (attribute->attr.id == GPIO_V2_LINE_ATTR_ID_FLAGS && attribute->mask >> index & 1)
			return attribute->attr.flags;
	}
	return config->flags;
}

/* The initial value of an output, and whether one is given at all. */
static uint8_t value_of(const struct gpio_v2_line_config *config, uint32_t index)
{
	for (uint32_t number = 0; number < config->num_attrs; number++) {
		const struct gpio_v2_line_config_attribute *attribute = &config->attrs[number];

		if (attribute->attr.id == GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES && attribute->mask >> index & 1)
			return attribute->attr.values >> index & 1;
	}
	return 0;
}

static long check_config(const struct gpio_v2_line_config *config, uint32_t count)
{
	if (config->num_attrs > GPIO_V2_LINE_NUM_ATTRS_MAX)
		return -EINVAL;
	for (uint32_t index = 0; index < count; index++) {
		uint64_t flags = flags_of(config, index);

		if (flags & ~KNOWN || (flags & DIRECTIONS) == DIRECTIONS)
			return -EINVAL;
		if (flags & EDGES && !(flags & GPIO_V2_LINE_FLAG_INPUT))
			return -EINVAL;
	}
	return 0;
}

static void configure(struct postern_gpio *gpio, const struct postern_gpio_request *request,
		      const struct gpio_v2_line_config *config, uint64_t now)
{
	for (uint32_t index = 0; index < request->count; index++) {
		uint32_t line = request->lines[index];
		uint64_t flags = flags_of(config, index);

		/* Neither direction: the line stays as it is. */
		gpio->flags[line] = flags;
		if (flags & GPIO_V2_LINE_FLAG_OUTPUT) {
			gpio->output[line] = 1;
			drive(gpio, line, value_of(config, index) ^ !!(flags & GPIO_V2_LINE_FLAG_ACTIVE_LOW), now);
		} else if (flags & GPIO_V2_LINE_FLAG_INPUT) {
			gpio->output[line] = 0;
		}
	}
}

static long get_lines(struct postern_devices *devices, struct gpio_v2_line_request *wanted, uint64_t now)
{
	struct postern_gpio *gpio = &devices->gpio;
	struct postern_gpio_request *request = NULL;
	uint8_t index;
	long result;
	int file;

	if (!wanted->num_lines || wanted->num_lines > GPIO_V2_LINES_MAX)
		return -EINVAL;
	for (uint32_t number = 0; number < wanted->num_lines; number++) {
		if (wanted->offsets[number] >= POSTERN_GPIO_LINES)
			return -EINVAL;
		if (gpio->owner[wanted->offsets[number]] >= 0)
			return -EBUSY;
		for (uint32_t other = 0; other < number; other++) {
			if (wanted->offsets[other] == wanted->offsets[number])
				return -EBUSY;
		}
	}
	result = check_config(&wanted->config, wanted->num_lines);
	if (result)
		return result;

	/* As many requests as lines, and each holds a line: one is free. */
	for (index = 0; index < POSTERN_GPIO_LINES; index++) {
		request = &gpio->requests[index];
		if (!request->used)
			break;
	}
	if (!request || request->used)
		return -EBUSY;
	file = postern_file_new(devices, POSTERN_FILE_GPIO_LINES, index);
	if (file < 0)
		return file;

	postern_zero(request, sizeof(*request));
	request->used = 1;
	request->count = wanted->num_lines;
	request->capacity = wanted->event_buffer_size;
	if (!request->capacity)
		request->capacity = wanted->num_lines * POSTERN_GPIO_EVENTS_PER_LINE;
	if (request->capacity > POSTERN_GPIO_EVENTS)
		request->capacity = POSTERN_GPIO_EVENTS;
	for (uint32_t number = 0; number < wanted->num_lines; number++) {
		uint32_t line = wanted->offsets[number];

		request->lines[number] = line;
		gpio->owner[line] = (int8_t)index;
		gpio->seqno[line] = 0;
		postern_copy(gpio->consumer[line], wanted->consumer, GPIO_MAX_NAME_SIZE);
		gpio->consumer[line][GPIO_MAX_NAME_SIZE - 1] = 0;
	}
	configure(gpio, request, &wanted->config, now);
	wanted->fd = file;
	return 0;
}

static long line_info(const struct postern_gpio *gpio, struct gpio_v2_line_info *info)
{
	uint32_t line = info->offset;

	if (line >= POSTERN_GPIO_LINES)
		return -EINVAL;
	postern_zero(info, sizeof(*info));
	info->offset = line;
	info->flags = gpio->flags[line] & ~(uint64_t)DIRECTIONS;
	info->flags |= gpio->output[line] ? GPIO_V2_LINE_FLAG_OUTPUT : GPIO_V2_LINE_FLAG_INPUT;
	if (gpio->owner[line] >= 0) {
		info->flags |= GPIO_V2_LINE_FLAG_USED;
		postern_copy(info->consumer, gpio->consumer[line], GPIO_MAX_NAME_SIZE);
	}
	return 0;
}

long postern_gpio_chip_ioctl(struct postern_devices *devices, unsigned int request, void *argument, uint64_t now)
{
	struct gpiochip_info *info = argument;

	switch (request) {
	case GPIO_GET_CHIPINFO_IOCTL:
		postern_zero(info, sizeof(*info));
		__builtin_strcpy(info->name, "gpiochip0");
		__builtin_strcpy(info->label, "postern");
		info->lines = POSTERN_GPIO_LINES;
		return 0;
	case GPIO_V2_GET_LINEINFO_IOCTL:
		return line_info(&devices->gpio, argument);
	case GPIO_V2_GET_LINE_IOCTL:
		return get_lines(devices, argument, now);
	default:
		return -ENOTTY;
	}
}

static long get_values(const struct postern_gpio *gpio, const struct postern_gpio_request *request,
		       struct gpio_v2_line_values *values)
{
	uint64_t bits = 0;

	if (!(values->mask & ((1ull << request->count) - 1)))
		return -EINVAL;
	for (uint32_t index = 0; index < request->count; index++) {
		if (values->mask >> index & 1)
			bits |= (uint64_t)value(gpio, request->lines[index]) << index;
	}
	values->bits = bits;
	return 0;
}

static long set_values(struct postern_gpio *gpio, const struct postern_gpio_request *request,
		       const struct gpio_v2_line_values *values, uint64_t now)
{
	if (!(values->mask & ((1ull << request->count) - 1)))
		return -EINVAL;
	for (uint32_t index = 0; index < request->count; index++) {
		if (values->mask >> index & 1 && !gpio->output[request->lines[index]])
			return -EPERM;
	}
	for (uint32_t index = 0; index < request->count; index++) {
		uint32_t line = request->lines[index];
		uint8_t low = !!(gpio->flags[line] & GPIO_V2_LINE_FLAG_ACTIVE_LOW);

		if (values->mask >> index & 1)
			drive(gpio, line, (values->bits >> index & 1) ^ low, now);
	}
	return 0;
}

long postern_gpio_lines_ioctl(struct postern_gpio *gpio, uint8_t index, unsigned int request, void *argument,
			      uint64_t now)
{
	const struct postern_gpio_request *lines = &gpio->requests[index];
	long result;

	switch (request) {
	case GPIO_V2_LINE_GET_VALUES_IOCTL:
		return get_values(gpio, lines, argument);
	case GPIO_V2_LINE_SET_VALUES_IOCTL:
		return set_values(gpio, lines, argument, now);
	case GPIO_V2_LINE_SET_CONFIG_IOCTL:
		result = check_config(argument, lines->count);
		if (!result)
			configure(gpio, lines, argument, now);
		return result;
	default:
		return -ENOTTY;
	}
}

long postern_gpio_lines_read(struct postern_gpio *gpio, uint8_t index, void *bytes, size_t length)
{
	struct postern_gpio_request *request = &gpio->requests[index];
	struct gpio_v2_line_event *to = bytes;
	size_t count = 0;

	if (length < sizeof(*to))
		return -EINVAL;
	if (!request->queued)
		return -EAGAIN;
	while (request->queued && (count + 1) * sizeof(*to) <= length) {
		postern_copy(&to[count], &request->events[request->first], sizeof(*to));
		request->first = (request->first + 1) % request->capacity;
		request->queued--;
		count++;
	}
	return (long)(count * sizeof(*to));
}

void postern_gpio_lines_close(struct postern_gpio *gpio, uint8_t index)
{
	struct postern_gpio_request *request = &gpio->requests[index];

	for (uint32_t number = 0; number < request->count; number++) {
		gpio->owner[request->lines[number]] = -1;
		gpio->flags[request->lines[number]] = 0;
	}
	request->used = 0;
}
