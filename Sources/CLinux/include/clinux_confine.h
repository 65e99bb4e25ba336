/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLINUX_CONFINE_H
#define CLINUX_CONFINE_H

#include <stdint.h>

/* prctl(2) PR_SET_NO_NEW_PRIVS, PR_SET_DUMPABLE 0; -1 with errno. */
int clinux_no_new_privileges(void);
int clinux_not_dumpable(void);

/* Makes the capability sets exactly those in mask (bit N is capability N); effective and permitted. -1 with errno. */
int clinux_limit_capabilities(uint64_t mask);

/* The effective set, or -1 with errno. */
int clinux_effective_capabilities(uint64_t *mask);

/* One datagram to the socket that NOTIFY_SOCKET names (sd_notify(3)); 0 where there is none, -1 with errno. */
int clinux_notify(const char *state);

/* Hard and soft RLIMIT_NOFILE; raises the soft one to the hard one. */
int clinux_raise_descriptor_limit(uint64_t *limit);

/* dup2(2) away standard input, drop a descriptor of /dev/null there. */
int clinux_null_standard_input(void);

#endif
