// SPDX-License-Identifier: Apache-2.0
/*
 * A program that holds objects for as long as a scene wants, through libpostern: it does what it is told, one line at a
 * time, and answers each with one line:
 *
 *	open OBJECT OPERATIONS			operations as read,write
 *	close OBJECT
 *	read OBJECT OFFSET LENGTH		ok BYTES
 *	write OBJECT OFFSET BYTES		ok COUNT
 *	transfer OBJECT BYTES|- LENGTH		ok BYTES
 *	control OBJECT REQUEST SIZE [BYTES]	ok RESULT BYTES
 *	wait OBJECT SIZE			ok BYTES
 *	flush OBJECT, discard OBJECT OFFSET LENGTH
 *
 * Bytes are hexadecimal digits. A refusal is "refused REASON ERRNO", another error "failed ERRNO".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <postern.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OBJECTS 32
#define BYTES 8192
/* No scene takes this long; nobody is left behind where one fails. */
#define LIFETIME 300

static struct {
	char name[65];
	int fd;
} held[OBJECTS];

static unsigned char bytes[BYTES];

static int descriptor(const char *name)
{
	int i;

	for (i = 0; i < OBJECTS; i++)
		if (held[i].name[0] && !strcmp(held[i].name, name))
			return held[i].fd;
	return -1;
}

static void hold(const char *name, int fd)
{
	int i;

	for (i = 0; i < OBJECTS; i++)
		if (!held[i].name[0]) {
			snprintf(held[i].name, sizeof(held[i].name), "%s", name);
			held[i].fd = fd;
			return;
		}
	postern_close(fd);
}

static void drop(const char *name)
{
	int i;

	for (i = 0; i < OBJECTS; i++)
		if (!strcmp(held[i].name, name)) {
			postern_close(held[i].fd);
			held[i].name[0] = 0;
		}
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Puts the digits into `bytes`; how many bytes, or -1. */
static long parse(const char *text)
{
	long count = 0;

	if (!text || !strcmp(text, "-"))
		return 0;
	for (; text[0]; text += 2) {
		if (count == BYTES || digit(text[0]) < 0 || digit(text[1]) < 0)
			return -1;
		bytes[count++] = (unsigned char)(digit(text[0]) << 4 | digit(text[1]));
	}
	return count;
}

static uint32_t operations(char *names)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} known[] = {
		{ "read", POSTERN_READ }, { "write", POSTERN_WRITE }, { "flush", POSTERN_FLUSH },
		{ "discard", POSTERN_DISCARD }, { "info", POSTERN_INFO }, { "transfer", POSTERN_TRANSFER },
		{ "control", POSTERN_CONTROL }, { "wait", POSTERN_WAIT },
	};
	uint32_t all = 0;
	char *rest = NULL, *name;
	unsigned int i;

	for (name = strtok_r(names, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
		for (i = 0; i < sizeof(known) / sizeof(*known); i++)
			if (!strcmp(known[i].name, name))
				all |= known[i].bit;
	return all;
}

static void say_bytes(const char *before, long count)
{
	long i;

	printf("ok%s ", before);
	for (i = 0; i < count; i++)
		printf("%02x", bytes[i]);
	putchar('\n');
}

static int say_failure(long result)
{
	int reason;

	if (result >= 0)
		return 0;
	reason = postern_last_reason(NULL, 0);
	if (reason)
		printf("refused %s %s\n", postern_reason_name(reason), strerrorname_np((int)-result));
	else
		printf("failed %s\n", strerrorname_np((int)-result));
	return 1;
}

static void handle(postern *connection, char *line)
{
	char *word[6] = { "", "", "", "", "", NULL }, *rest = NULL, *next, result[24];
	long count, length;
	int fd, i = 0;

	for (next = strtok_r(line, " ", &rest); next && i < 6; next = strtok_r(NULL, " ", &rest))
		word[i++] = next;
	if (!strcmp(word[0], "open")) {
		fd = postern_open(connection, word[1], operations(word[2]));
		if (!say_failure(fd)) {
			hold(word[1], fd);
			puts("ok");
		}
		return;
	}
	fd = descriptor(word[1]);
	if (!strcmp(word[0], "close")) {
		drop(word[1]);
		puts("ok");
	} else if (!strcmp(word[0], "read")) {
		length = strtol(word[3], NULL, 0);
		count = length > BYTES ? -EINVAL : postern_read(fd, bytes, (size_t)length, strtoll(word[2], NULL, 0));
		if (!say_failure(count))
			say_bytes("", count);
	} else if (!strcmp(word[0], "write")) {
		length = parse(word[3]);
		count = length < 0 ? -EINVAL : postern_write(fd, bytes, (size_t)length, strtoll(word[2], NULL, 0));
		if (!say_failure(count))
			printf("ok %ld\n", count);
	} else if (!strcmp(word[0], "transfer")) {
		length = parse(word[2]);
		count = strtol(word[3], NULL, 0);
		if (length < 0 || count > BYTES)
			count = -EINVAL;
		else
			count = postern_transfer(fd, bytes, (size_t)length, bytes, (size_t)count);
		if (!say_failure(count))
			say_bytes("", count);
	} else if (!strcmp(word[0], "control")) {
		length = strtol(word[3], NULL, 0);
		memset(bytes, 0, sizeof(bytes));
		count = parse(word[4]);
		if (count < 0 || length > BYTES)
			count = -EINVAL;
		else
			count = postern_control(fd, strtoul(word[2], NULL, 0), bytes, (size_t)length);
		if (!say_failure(count)) {
			snprintf(result, sizeof(result), " %ld", count);
			say_bytes(result, length);
		}
	} else if (!strcmp(word[0], "wait")) {
		count = postern_wait(fd, bytes, (size_t)strtol(word[2], NULL, 0));
		if (!say_failure(count))
			say_bytes("", count);
	} else if (!strcmp(word[0], "flush")) {
		if (!say_failure(postern_flush(fd)))
			puts("ok");
	} else if (!strcmp(word[0], "discard")) {
		if (!say_failure(postern_discard(fd, strtoll(word[2], NULL, 0), strtoll(word[3], NULL, 0))))
			puts("ok");
	} else {
		printf("what is %s?\n", word[0]);
	}
}

int main(void)
{
	postern *connection;
	char *line = NULL;
	size_t capacity = 0;
	ssize_t length;
	int error;

	alarm(LIFETIME);
	setvbuf(stdout, NULL, _IOLBF, 0);
	error = postern_connect(NULL, &connection);
	if (error < 0) {
		printf("no broker: %s\n", strerrorname_np(-error));
		return 69;
	}
	puts("ready");
	while ((length = getline(&line, &capacity, stdin)) > 0) {
		line[length - 1] = 0;
		handle(connection, line);
	}
	return 0;
}
