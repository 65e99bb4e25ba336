/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wrong calls: each is answered with an error, none ends the program.
 *
 * usage: arguments OBJECT        a disk that may be read
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#include "../../kmodule-sim/include/postern_abi.h"
#include "check.h"

/* Both headers have these names; the library's are macros, and hide the others from here on. */
enum {
	ABI_MEDIATED = POSTERN_PATH_MEDIATED,
	ABI_RING = POSTERN_PATH_RING,
	ABI_DIRECT = POSTERN_PATH_DIRECT,
	ABI_HANDOVER = POSTERN_PATH_HANDOVER,
};
#include <postern.h>

/* The library's numbers are those of the entity. */
#define SAME_OPERATION(name) _Static_assert(POSTERN_##name == UINT32_C(1) << POSTERN_OP_##name, #name)
#define SAME_REASON(name) _Static_assert(POSTERN_##name == (int)POSTERN_REASON_##name, #name)
SAME_OPERATION(READ);
SAME_OPERATION(WRITE);
SAME_OPERATION(FLUSH);
SAME_OPERATION(DISCARD);
SAME_OPERATION(INFO);
SAME_OPERATION(BIND);
SAME_OPERATION(LISTEN);
SAME_OPERATION(ACCEPT);
SAME_OPERATION(CONNECT);
SAME_OPERATION(SEND);
SAME_OPERATION(RECEIVE);
SAME_OPERATION(SHUTDOWN);
SAME_OPERATION(GETOPTION);
SAME_OPERATION(SETOPTION);
SAME_OPERATION(TRANSFER);
SAME_OPERATION(CONTROL);
SAME_OPERATION(WAIT);
SAME_REASON(UNDECIDABLE);
SAME_REASON(NO_SUCH_OBJECT);
SAME_REASON(STALE);
SAME_REASON(REVOKED);
SAME_REASON(NOT_ASSOCIATED);
SAME_REASON(EXPIRED);
SAME_REASON(OPERATION);
SAME_REASON(LIMIT);
SAME_REASON(BUSY);
SAME_REASON(QUOTA);
SAME_REASON(REFUSED);
#define SAME_PATH(name) _Static_assert((int)POSTERN_PATH_##name == (int)ABI_##name, #name)
SAME_PATH(MEDIATED);
SAME_PATH(RING);
SAME_PATH(DIRECT);
SAME_PATH(HANDOVER);

int main(int argc, char **argv)
{
	struct postern_instruction instruction = { 0 };
	struct postern_completion completion;
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct sockaddr *generic = (struct sockaddr *)&address;
	socklen_t length = sizeof(address);
	char bytes[16], message[4] = "xyz", *large;
	postern *connection = (postern *)bytes;
	int fd, other;

	CHECK(argc == 2, "usage: arguments OBJECT");
	EXPECT(postern_last_reason(NULL, 0), 0);
	EXPECT(postern_connect("/nonexistent/socket", &connection), -ENOENT);
	CHECK(connection == NULL, "the handle must be NULL on failure");
	EXPECT(postern_connect(NULL, NULL), -EFAULT);
	postern_disconnect(NULL);
	postern_set_automatic_revalidation(NULL, 1);
	EXPECT(postern_open(NULL, argv[1], 0), -EFAULT);

	EXPECT(postern_connect(NULL, &connection), 0);
	EXPECT(postern_open(connection, NULL, 0), -EFAULT);
	EXPECT(postern_open(connection, argv[1], 1u << 31), -EINVAL);
	EXPECT(postern_open(connection, "", 0), -ENOENT);
	EXPECT(postern_open(connection, "no-such-object-at-all", 0), -ENOENT);
	EXPECT(postern_last_reason(message, sizeof(message)), POSTERN_NO_SUCH_OBJECT);
	CHECK(memchr(message, 0, sizeof(message)) != NULL, "not ended");
	CHECK(!strcmp(postern_reason_name(POSTERN_NO_SUCH_OBJECT), "no-such-object"), "name");
	CHECK(!strcmp(postern_reason_name(0), "unknown") && !strcmp(postern_reason_name(-1), "unknown") &&
		      !strcmp(postern_reason_name(12), "unknown"),
	      "names");

	/* Numbers that are not ours. */
	other = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (int index = 0; index < 3; index++) {
		fd = (int[]){ -1, other, 1 << 20 }[index];
		EXPECT(postern_read(fd, bytes, 1, 0), -EBADF);
		EXPECT(postern_write(fd, bytes, 1, 0), -EBADF);
		EXPECT(postern_accept(fd, NULL, NULL, 0), -EBADF);
		EXPECT(postern_submit(fd, &instruction, 1), -EBADF);
		EXPECT(postern_complete(fd, &completion, 1), -EBADF);
		EXPECT(postern_revalidate(fd), -EBADF);
		EXPECT(postern_close(fd), -EBADF);
		EXPECT(postern_path(fd), -EBADF);
	}
	EXPECT(postern_last_reason(NULL, 0), 0);

	fd = postern_open(connection, argv[1], POSTERN_READ);
	CHECK(fd >= 0, "open: %s", strerror(-fd));
	EXPECT(postern_read(fd, NULL, 1, 0), -EFAULT);
	EXPECT(postern_read(fd, NULL, 0, 0), 0);
	EXPECT(postern_read(fd, bytes, 1, -1), -EINVAL);
	EXPECT(postern_read(fd, bytes, SIZE_MAX, 0), -EINVAL);
	EXPECT(postern_write(fd, NULL, 1, 0), -EFAULT);
	EXPECT(postern_write(fd, bytes, 1, 0), -EACCES);
	EXPECT(postern_last_reason(NULL, 0), POSTERN_OPERATION);
	EXPECT(postern_discard(fd, -1, 1), -EINVAL);
	EXPECT(postern_info(fd, NULL, 8), -EFAULT);
	EXPECT(postern_transfer(fd, NULL, 1, bytes, 1), -EFAULT);
	EXPECT(postern_transfer(fd, bytes, 1, NULL, 1), -EFAULT);
	EXPECT(postern_transfer(fd, bytes, 1, bytes, 1), -EACCES);
	EXPECT(postern_control(fd, 1ul << 40, bytes, 1), -EINVAL);
	EXPECT(postern_control(fd, 1, NULL, 1), -EFAULT);
	EXPECT(postern_wait(fd, NULL, 1), -EFAULT);
	EXPECT(postern_listen(fd, -5), -EACCES);
	EXPECT(postern_accept(fd, generic, NULL, 0), -EFAULT);
	EXPECT(postern_accept(fd, NULL, NULL, 1), -EINVAL);
	EXPECT(postern_connect_to(fd, NULL, 0), -EFAULT);
	EXPECT(postern_connect_to(fd, generic, 3), -EINVAL);
	address.sin_family = AF_UNIX;
	EXPECT(postern_connect_to(fd, generic, length), -EAFNOSUPPORT);
	EXPECT(postern_send(fd, bytes, 1, MSG_OOB, NULL, 0), -EOPNOTSUPP);
	EXPECT(postern_receive(fd, bytes, 1, MSG_PEEK, NULL, NULL), -EOPNOTSUPP);
	EXPECT(postern_receive(fd, bytes, 1, MSG_DONTWAIT, NULL, NULL), -EACCES);
	EXPECT(postern_shutdown(fd, 3), -EINVAL);
	EXPECT(postern_getsockopt(fd, 1, 1, bytes, NULL), -EFAULT);
	EXPECT(postern_getsockopt(fd, -1, 1, bytes, &length), -EINVAL);
	EXPECT(postern_setsockopt(fd, 1, 1, NULL, 4), -EFAULT);
	large = calloc(1, POSTERN_PAYLOAD + 1);
	CHECK(large != NULL, "memory");
	EXPECT(postern_send(fd, large, POSTERN_PAYLOAD + 1, 0, NULL, 0), -EMSGSIZE);
	free(large);

	EXPECT(postern_submit(fd, NULL, 1), -EFAULT);
	EXPECT(postern_submit(fd, &instruction, 1), -EINVAL);
	instruction.operation = POSTERN_READ | POSTERN_WRITE;
	EXPECT(postern_submit(fd, &instruction, 1), -EINVAL);
	instruction.operation = POSTERN_READ;
	instruction.flags = 8;
	EXPECT(postern_submit(fd, &instruction, 1), -EINVAL);
	instruction.flags = 0;
	instruction.in_length = 4;
	EXPECT(postern_submit(fd, &instruction, 1), -EFAULT);
	EXPECT(postern_submit(fd, &instruction, 0), 0);
	EXPECT(postern_complete(fd, NULL, 1), -EFAULT);
	EXPECT(postern_complete(fd, &completion, 1), 0);

	/* A plain close(2), then the same number again. */
	EXPECT(close(fd), 0);
	EXPECT(postern_read(fd, bytes, 1, 0), -EBADF);
	other = postern_open(connection, argv[1], POSTERN_READ);
	CHECK(other == fd, "expected the number %d again, got %d", fd, other);
	EXPECT(postern_read(fd, bytes, 4, 0), 4);
	postern_disconnect(connection);
	/* Open descriptors outlive the connection. */
	EXPECT(postern_read(fd, bytes, 4, 0), 4);
	EXPECT(postern_close(fd), 0);
	puts("done");
	return 0;
}
