/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLINUX_TERMINAL_H
#define CLINUX_TERMINAL_H

#include <stddef.h>
#include <sys/types.h>

/* The controlling terminal, opened for ourselves: non-blocking, which others who have it do not notice. Or -1. */
int clinux_terminal_open(void);

/*
 * Keys one by one, unechoed, and none of them a signal (cfmakeraw(3)). The settings before that come back, and `leave`
 * is written, with clinux_terminal_leave, at exit(3), and when a signal of the program's own fault ends it. One
 * terminal at a time; `leave` must live as long as the process. 0, or -1 with errno.
 */
int clinux_terminal_enter(int fd, const char *leave, size_t length);
void clinux_terminal_leave(void);

/* Columns and rows (ioctl_tty(2) TIOCGWINSZ); 0, or -1 with errno. */
int clinux_terminal_size(int fd, unsigned short *columns, unsigned short *rows);

/* Stops this process, as Ctrl-Z would; returns when it is continued. */
void clinux_stop(void);
/* Ends it by a signal that it has blocked. */
void clinux_end_by_signal(int number) __attribute__((noreturn));

#endif
