/* SPDX-License-Identifier: Apache-2.0 */
/* What Swift cannot import from the C library: macros with arguments, variadic, GNU-only and missing functions. */
#ifndef CLINUX_H
#define CLINUX_H

/* strerrordesc_np(3), strerrorname_np(3): static strings or NULL; behind _GNU_SOURCE, which Swift's Glibc does not set. */
const char *clinux_error_description(int code);
const char *clinux_error_name(int code);

#endif
