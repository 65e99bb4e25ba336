/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "stand.h"

/* What uring.c takes the time by. */
double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
