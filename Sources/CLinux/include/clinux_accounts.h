/* SPDX-License-Identifier: Apache-2.0 */
/* The user database (getpwnam_r(3), getgrnam_r(3)), whose buffers Swift would have to grow by hand. */
#ifndef CLINUX_ACCOUNTS_H
#define CLINUX_ACCOUNTS_H

#include <stdint.h>

/* 1: found; 0: there is none; -1: the database could not be asked, see errno. */
int clinux_user_id(const char *name, uint32_t *out);
int clinux_group_id(const char *name, uint32_t *out);

#endif
