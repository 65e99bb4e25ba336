/* SPDX-License-Identifier: Apache-2.0 */
/* Starting and becoming other programs (fork(2), execve(2)): Swift imports neither. */
#ifndef CLINUX_LAUNCH_H
#define CLINUX_LAUNCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The number that a program of clinux_spawn_detached finds its descriptor under. */
#define CLINUX_DETACHED_DESCRIPTOR 3

/*
 * Runs this program's own file again, with argv, as nobody's child: init's or the nearest subreaper's. It has a session
 * of its own, / as working directory, /dev/null as descriptors 0 to 2, fd as CLINUX_DETACHED_DESCRIPTOR and no other,
 * every signal at its default and none blocked. 0, or -1 with errno; whether the exec succeeded only the new program can
 * tell. Between fork and exec nothing is called that signal-safety(7) does not allow.
 */
int clinux_spawn_detached(int fd, char *const argv[]);

/* execve(2) with the environment as it is now; returns -1 with errno. */
int clinux_become(const char *path, char *const argv[]);

/* fork(2); only in a process with one thread. */
pid_t clinux_fork(void);

/* waitpid(2), without waiting unless told to: 0 it runs, 1 *status is its end, -1 with errno. */
int clinux_child_ended(pid_t child, int *status, int waiting);
/* What a shell would call that status: the exit code, or 128 and the number of the signal. */
int clinux_shell_status(int status);

/* Descriptor flags of fcntl(2) F_GETFD, or -1 with errno EBADF. */
int clinux_descriptor_flags(int fd);
/* fcntl(2) F_DUPFD_CLOEXEC with a lowest number. */
int clinux_duplicate_above(int fd, int lowest);
/* dup2(2): fd stays open over an exec as number. */
int clinux_place(int fd, int number);
/* SO_DOMAIN AF_UNIX and SO_TYPE SOCK_SEQPACKET: 1, or 0 for anything else. */
int clinux_is_message_socket(int fd);

/* SIGPIPE (signal(7)): ignores it, and says whether it was ignored before; -1 with errno. */
int clinux_ignore_broken_pipes(void);
/* Gives a signal back its default effect. */
int clinux_default_signal(int number);

/* Whether a file has the extended attribute security.capability (capabilities(7)). */
int clinux_has_file_capabilities(int fd);

/* faccessat(2) with the effective ids; 0, or -1 with errno. */
int clinux_may_execute(const char *path);
/* The same for what fd pins: mode is a sum of R_OK (4) and W_OK (2). */
int clinux_may_access(int fd, int mode);

#endif
