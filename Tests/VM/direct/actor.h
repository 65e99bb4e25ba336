/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DIRECT_ACTOR_H
#define DIRECT_ACTOR_H

#include <stddef.h>

#define SLOTS 32
#define WORDS 8

/* Descriptors by name. */
int slot(const char *name);
void hold(const char *name, int fd);
/* Answers with a line. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Answers with a result, or the name of errno. */
void say_result(long result);

/* Plain system calls on descriptors: 0: it is none of these. */
int handle_call(char **word);
/* The same over and over, or once and waiting, in a thread of its own. */
int handle_thread(char **word);
/* Processes that open and close an object all the time. */
int handle_openers(char **word);
/* One call of a kind: its result, or -1 and errno. */
long call(const char *kind, int fd);

#endif
