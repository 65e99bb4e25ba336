/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "clinux.h"

#include <string.h>

const char *clinux_error_description(int code)
{
	return strerrordesc_np(code);
}

const char *clinux_error_name(int code)
{
	return strerrorname_np(code);
}
