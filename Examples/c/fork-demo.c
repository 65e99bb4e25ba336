/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fork does to a descriptor: the child has none of its parent's rights until the broker gives it some of its own.
 *
 * usage: fork-demo OBJECT        an object with a grant for read
 *
 * The child is refused, asks by hand, and repeats the read; then another child leaves that to the library. Exits 0 if
 * both read the parent's bytes, 1 if the broker's answer was a refusal (on-fork: deny), 70 if something else happened.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <postern.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GOT_IT = 0, REFUSED = 1, UNEXPECTED = 70 };

static unsigned char expected[16];
static int fd;

static const char *symbol(int error)
{
	const char *name = strerrorname_np(error);

	return name ? name : "?";
}

/* Prints one step and its outcome; gives the outcome back. */
static long step(const char *who, const char *what, long result)
{
	char message[256];
	int reason;

	printf("%-7s %5ld  %-24s ", who, (long)getpid(), what);
	if (result >= 0) {
		printf("%ld\n", result);
		return result;
	}
	reason = postern_last_reason(message, sizeof(message));
	printf("%s", symbol((int)-result));
	if (reason)
		printf(" (%s)%s%s", postern_reason_name(reason), *message ? ": " : "", message);
	putchar('\n');
	return result;
}

static long attempt(const char *who, const char *what)
{
	unsigned char bytes[sizeof(expected)];
	long result = step(who, what, postern_read(fd, bytes, sizeof(bytes), 0));

	return result > 0 && memcmp(bytes, expected, sizeof(bytes)) != 0 ? -EIO : result;
}

static int by_hand(void)
{
	if (attempt("child", "read: first error") != -EKEYEXPIRED)
		return UNEXPECTED;
	if (step("child", "revalidate", postern_revalidate(fd)) < 0) {
		/* The second error is final: asking again changes nothing, and so does the read. */
		return attempt("child", "read again") < 0 ? REFUSED : UNEXPECTED;
	}
	return attempt("child", "read again") == sizeof(expected) ? GOT_IT : UNEXPECTED;
}

static int by_the_library(void)
{
	return attempt("child 2", "read: revalidates itself") == sizeof(expected) ? GOT_IT : UNEXPECTED;
}

static int in_a_child(int (*body)(void))
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (child < 0)
		return UNEXPECTED;
	if (child == 0) {
		status = body();
		fflush(stdout);
		_exit(status);
	}
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return UNEXPECTED;
	return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	postern *broker;
	int result;

	if (argc != 2) {
		fprintf(stderr, "usage: fork-demo OBJECT\n");
		return 64;
	}
	result = postern_connect(NULL, &broker);
	if (step("parent", "connect", result) < 0)
		return 69;
	fd = postern_open(broker, argv[1], POSTERN_READ);
	if (fd < 0) {
		step("parent", "open", fd);
		return REFUSED;
	}
	if (step("parent", "read", postern_read(fd, expected, sizeof(expected), 0)) != sizeof(expected))
		return UNEXPECTED;

	postern_set_automatic_revalidation(broker, 0);
	result = in_a_child(by_hand);
	if (result != GOT_IT)
		return result;
	postern_set_automatic_revalidation(broker, 1);
	return in_a_child(by_the_library);
}
