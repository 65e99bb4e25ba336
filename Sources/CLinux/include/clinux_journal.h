/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLINUX_JOURNAL_H
#define CLINUX_JOURNAL_H

/* eventfd(2) at 0, close-on-exec and non-blocking: <sys/eventfd.h> is not in Swift's Glibc. -1 with errno. */
int clinux_journal_eventfd(void);

#endif
