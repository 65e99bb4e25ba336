/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A door is one way to operate on a tagged object. Each is tried as its holder, as those who have the descriptor without
 * an association, and for each reason to refuse; and with the hooks that watch it off, when it has to let a stranger in.
 */
#ifndef DOORS_DOORS_H
#define DOORS_DOORS_H

#include "stand.h"
#include "uring.h"

#define OBJECT 7u
#define OTHER_OBJECT 8u

struct scene {
	int fd;	     /* the tagged object */
	int peer;    /* what is at its other end, untagged */
	int pipe[2]; /* untagged */
	int other;   /* another thing that the set-up opened */
	uint16_t port;
	char *memory; /* a page below 4 GiB */
	void *mapping;
};

struct door {
	const char *name;
	const char *hooks; /* that watch it */
	uint32_t needs;	   /* operations, as a mask */
	uint32_t number;   /* POSTERN_DOOR_* that the event names */
	uint32_t kind;
	void (*set_up)(struct scene *scene);
	long (*operate)(struct scene *scene);
	bool has_limit; /* without the limit that it needs: EPERM */
	uint8_t flags;	/* POSTERN_ASSOCIATION_* that the holder needs */
	int since;	/* minor version of Linux 6 */
	bool is_description; /* any live association is enough */
	uint32_t tag_flags;
};

#define OP(name) (1u << POSTERN_OP_##name)

extern const struct door file_doors[], socket_doors[], uring_doors[], option_doors[];
extern const int file_door_count, socket_door_count, uring_door_count, option_door_count;

/* Sets a scene up with everything closed, and takes it down. */
void scene_open(struct scene *scene);
void scene_close(struct scene *scene);

/* Set-ups that several tables use. */
void zero_device(struct scene *scene);
void plain_file(struct scene *scene);
void random_device(struct scene *scene);
void udp_pair(struct scene *scene);
void udp_with_data(struct scene *scene);
void tcp_pair(struct scene *scene);
void tcp_with_data(struct scene *scene);
void tcp_listener(struct scene *scene);
void tcp_listener_with_client(struct scene *scene);
void tcp_unconnected(struct scene *scene);

/* A socket of the type that is connected to the port on loopback. */
int connected(int type, uint16_t port);

/* The limits that record 1 of `limits` sets. */
void default_limits(void);

/* A process that runs what it is told, once it is let go. */
struct actor {
	pid_t pid;
	int go;
	int result;
};

void actor_start(struct actor *actor, long (*act)(void *context), void *context);
void actor_go(struct actor *actor);
/* The result of its act, or -ETIME after some seconds; the process is gone then. */
long actor_end(struct actor *actor);
/* The result of act in a forked child of the caller. */
long in_child(long (*act)(void *context), void *context);

/* Sends a descriptor over a socket, and receives one, or gives a negative errno. */
long send_descriptor(int socket, int fd);
long receive_descriptor(int socket);

void test_doors(void);
void test_attacks(void);
void test_life(void);
int read_after_exec(const char *descriptor);
void test_revoke(void);
void test_in_flight(void);
void test_hammer(void);
void test_expiry(void);
void test_guards(void);
/* doors TAKE PID: the exit status is 0, or the errno of taking descriptor 1. */
#define TAKE "--take"
int take_after_exec(const char *pid);

#endif
