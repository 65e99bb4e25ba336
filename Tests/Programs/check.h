/* SPDX-License-Identifier: Apache-2.0 */
/* What the test programs share: each prints one line per check and ends with 1 at the first that fails. */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition, ...)                                                           \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
			fprintf(stderr, __VA_ARGS__);                                   \
			fputc('\n', stderr);                                            \
			_exit(1);                                                       \
		}                                                                       \
	} while (0)

#define EXPECT(call, wanted)                                                             \
	do {                                                                             \
		long got_ = (long)(call);                                                \
		CHECK(got_ == (long)(wanted), "got %ld (%s), wanted %ld", got_,          \
		      got_ < 0 ? strerrorname_np((int)-got_) : "", (long)(wanted));      \
	} while (0)

#endif
