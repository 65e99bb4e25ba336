/* SPDX-License-Identifier: Apache-2.0 */
/* The doors of sockets. splice(2) and sendfile(2) come in through file_permission only (files.h). */
#ifndef POSTERN_SOCKETS_H
#define POSTERN_SOCKETS_H

#include "lifecycle.h"
#include "tuning.h"

/* include/uapi/linux/in.h, tcp.h, socket.h, if_packet.h; options that tune are in tuning.h */
#define SO_TYPE 3
#define SO_ERROR 4
#define SO_ACCEPTCONN 30
#define SO_PROTOCOL 38
#define SO_DOMAIN 39
#define TCP_ZEROCOPY_RECEIVE 35
#define PACKET_RX_RING 5
#define PACKET_TX_RING 13
#define IPPROTO_RAW 255
#define MSG_BATCH 0x40000
#define FAMILY_NONE_MATCHES 255

/* A tagged socket as an operation finds it. */
struct tagged {
	struct postern_tag *tag;
	struct sock *sk;
	bool is_accepted;
};

/* Most sockets have no storage at all. */
static __always_inline bool may_have_tag(const struct sock *sk)
{
	return sk && sk->sk_bpf_storage;
}

/* Whether it is a privileged object. A connection of `accepted: leave` is the application's own. */
static __always_inline bool find_socket_tag(struct sock *sk, struct tagged *found)
{
	kept_tag tag;

	found->sk = sk;
	if (has_place((__u64)sk, &tag)) {
		found->tag = tag;
		found->is_accepted = false;
		return true;
	}
	found->tag = bpf_sk_storage_get(&socket_tags, sk, 0, 0);
	if (!found->tag)
		return false;
	found->is_accepted = found->tag->self != (__u64)sk;
	return !found->is_accepted || found->tag->flags & POSTERN_TAG_RECALL_ACCEPTED;
}

static __always_inline bool look_up_socket(struct socket *socket, struct tagged *found)
{
	struct sock *sk = socket->sk;

	return may_have_tag(sk) && find_socket_tag(sk, found);
}

/* send, receive and shutdown of an accepted connection are implied; its peer has chosen the address. */
static __always_inline __u32 socket_rule(const struct tagged *found)
{
	return found->is_accepted ? RULE_ANY_OPERATION : RULE_NONE;
}

static __noinline int sock_door_anew(struct sock *sk, __u32 opcode, __u32 door)
{
	struct tagged found;

	return sk && find_socket_tag(sk, &found) ? authorize(found.tag, opcode, door, socket_rule(&found)) : 0;
}

/* Sockets that are no objects, and owners', come first: the rest is in functions that are called. */
static __always_inline int socket_door(struct socket *socket, __u32 opcode, __u32 door)
{
	struct sock *sk = socket->sk;
	kept_tag tag;

	if (may_have_tag(sk)) {
		if (__builtin_expect(!has_place((__u64)sk, &tag), false))
			return sock_door_anew(sk, opcode, door);
		if (__builtin_expect(!is_owners(&tag, 1u << opcode, true), false))
			return authorize_anew(tag, opcode, door, RULE_NONE);
	}
	return nothing_refused();
}

/*
 * The address that an operation names, from the kernel's own copy of it. What is no internet address stays a family
 * that no limit matches.
 */
static __always_inline void take_address(struct postern_operands *operands, const struct sock *sk, const void *address,
					 int length)
{
	struct {
		__u16 family;
		__be16 port;
		__u8 v4[4];
		__u8 v6[16];
		__u32 scope;
	} copy = { 0 };
	__u16 port;

	operands->family = FAMILY_NONE_MATCHES;
	if (length < 8 || bpf_probe_read_kernel(&copy, length < (int)sizeof(copy) ? 8 : sizeof(copy), address))
		return;
	port = __builtin_bswap16(copy.port);
	/* An IPv4 socket takes an address without a family for one of its own (udp_sendmsg, raw_sendmsg). */
	if (copy.family == POSTERN_FAMILY_INET ||
	    (copy.family == AF_UNSPEC && sk->__sk_common.skc_family == POSTERN_FAMILY_INET)) {
		operands->family = POSTERN_FAMILY_INET;
		operands->port = port;
		__builtin_memcpy(operands->address, copy.v4, 4);
	} else if (copy.family == POSTERN_FAMILY_INET6 && length >= 24) {
		operands->family = POSTERN_FAMILY_INET6;
		operands->port = port;
		__builtin_memcpy(operands->address, copy.v6, 16);
	}
}

static __always_inline bool is_internet(const struct sock *sk)
{
	return sk->__sk_common.skc_family == POSTERN_FAMILY_INET || sk->__sk_common.skc_family == POSTERN_FAMILY_INET6;
}

/* Whether the datagram may end up past the address that was checked. */
static __always_inline bool strays(const struct sock *sk, const struct msghdr *message)
{
	if (!is_internet(sk) || sk->sk_type == SOCK_STREAM)
		return false;
	/* IP options and routing headers (ip(7), ipv6(7)). */
	if (message->msg_controllen)
		return true;
	/* The rest of a sendmmsg(2) to the same address is not checked, and can have those. */
	if (message->msg_name && message->msg_flags & MSG_BATCH)
		return true;
	/* It has IP headers in its data. */
	return sk->sk_type == SOCK_RAW && sk->sk_protocol == IPPROTO_RAW;
}

/* What says where it goes, or brings control data. */
static __noinline int send_with_operands(struct msghdr *message, struct sock *sk)
{
	struct attempt attempt;
	struct tagged found;
	int refused;

	if (!sk || !find_socket_tag(sk, &found))
		return 0;
	if (found.is_accepted)
		return authorize(found.tag, POSTERN_OP_SEND, POSTERN_DOOR_SEND, RULE_ANY_OPERATION);
	attempt = attempted(found.tag, POSTERN_OP_SEND, POSTERN_DOOR_SEND, RULE_NONE);
	if (message->msg_name)
		take_address(&attempt.operands, found.sk, message->msg_name, message->msg_namelen);
	if (strays(found.sk, message))
		attempt.operands.family = FAMILY_NONE_MATCHES;
	/* It connects, without the hook for that (tcp_sendmsg_fastopen). */
	if (message->msg_flags & MSG_FASTOPEN) {
		attempt.opcode = POSTERN_OP_CONNECT;
		refused = bounded(direct_judge(&attempt));
		if (refused)
			return refused;
		attempt.opcode = POSTERN_OP_SEND;
		attempt.operands.family = 0;
	}
	return bounded(direct_judge(&attempt));
}

SEC("lsm/socket_sendmsg")
int BPF_PROG(direct_sendmsg, struct socket *socket, struct msghdr *message, int size)
{
	struct sock *sk = socket->sk;
	kept_tag tag;

	if (may_have_tag(sk)) {
		if ((__u64)message->msg_name | message->msg_controllen | (message->msg_flags & MSG_FASTOPEN) ||
		    sk->sk_type == SOCK_RAW)
			return send_with_operands(message, sk);
		if (__builtin_expect(!has_place((__u64)sk, &tag), false))
			return sock_door_anew(sk, POSTERN_OP_SEND, POSTERN_DOOR_SEND);
		if (__builtin_expect(!is_owners(&tag, 1u << POSTERN_OP_SEND, true), false))
			return authorize_anew(tag, POSTERN_OP_SEND, POSTERN_DOOR_SEND, RULE_NONE);
	}
	return nothing_refused();
}

SEC("lsm/socket_recvmsg")
int BPF_PROG(direct_recvmsg, struct socket *socket, struct msghdr *message, int size, int flags)
{
	return socket_door(socket, POSTERN_OP_RECEIVE, POSTERN_DOOR_RECEIVE);
}

SEC("lsm/socket_accept")
int BPF_PROG(direct_accept, struct socket *socket, struct socket *connection)
{
	return socket_door(socket, POSTERN_OP_ACCEPT, POSTERN_DOOR_ACCEPT);
}

SEC("lsm/socket_connect")
int BPF_PROG(direct_connect, struct socket *socket, struct sockaddr *address, int length)
{
	struct attempt attempt;
	struct tagged found;

	if (!look_up_socket(socket, &found))
		return 0;
	attempt = attempted(found.tag, POSTERN_OP_CONNECT, POSTERN_DOOR_CONNECT, RULE_NONE);
	take_address(&attempt.operands, found.sk, address, length);
	return bounded(direct_judge(&attempt));
}

/* sockaddr_ll: whether it names the interface that the socket is bound to already. */
static __always_inline bool is_same_interface(struct sock *sk, const void *address, int length)
{
	int wanted = 0;

	if (length < 8 || bpf_probe_read_kernel(&wanted, sizeof(wanted), address + 4))
		return false;
	return wanted > 0 && wanted == BPF_CORE_READ((struct packet_sock *)sk, ifindex);
}

SEC("lsm/socket_bind")
int BPF_PROG(direct_bind, struct socket *socket, struct sockaddr *address, int length)
{
	struct tagged found;
	__u32 rule = RULE_NONE;

	if (!look_up_socket(socket, &found))
		return 0;
	/* The interface is which object it is; who has it bound may bind it again (libpcap does). */
	if (found.sk->__sk_common.skc_family == AF_PACKET)
		rule = is_same_interface(found.sk, address, length) ? RULE_ANY_OPERATION : RULE_NEVER;
	return authorize(found.tag, POSTERN_OP_BIND, POSTERN_DOOR_BIND, rule);
}

SEC("lsm/socket_listen")
int BPF_PROG(direct_listen, struct socket *socket, int backlog)
{
	return socket_door(socket, POSTERN_OP_LISTEN, POSTERN_DOOR_LISTEN);
}

SEC("lsm/socket_shutdown")
int BPF_PROG(direct_shutdown, struct socket *socket, int how)
{
	return socket_door(socket, POSTERN_OP_SHUTDOWN, POSTERN_DOOR_SHUTDOWN);
}

/* What a socket is: programs that were handed one ask before they use it (sd_is_socket(3)). */
static __always_inline bool is_description(int level, int name)
{
	return level == SOL_SOCKET && (name == SO_TYPE || name == SO_DOMAIN || name == SO_PROTOCOL ||
				       name == SO_ACCEPTCONN || name == SO_ERROR);
}

/*
 * A socket that the program brought itself, or that was made for it alone, and a connection that it accepted: what it could
 * have done to it without Postern, and what changes nothing of which object it is, needs no more than the association.
 */
static __always_inline bool is_own(const struct tagged *found)
{
	return found->is_accepted || found->tag->flags & POSTERN_TAG_OWN;
}

SEC("lsm/socket_getsockopt")
int BPF_PROG(direct_getsockopt, struct socket *socket, int level, int name)
{
	struct attempt attempt;
	struct tagged found;

	if (!look_up_socket(socket, &found))
		return 0;
	if (level == IPPROTO_TCP && name == TCP_ZEROCOPY_RECEIVE)
		attempt = attempted(found.tag, POSTERN_OP_RECEIVE, POSTERN_DOOR_GETOPTION, socket_rule(&found));
	else
		attempt = attempted(found.tag, POSTERN_OP_GETOPTION, POSTERN_DOOR_GETOPTION,
				    is_own(&found) || is_description(level, name) ? RULE_ANY_OPERATION : RULE_NONE);
	attempt.operands.request = (__u32)level << 16 | (name & 0xffff);
	return bounded(direct_judge(&attempt));
}

SEC("lsm/socket_setsockopt")
int BPF_PROG(direct_setsockopt, struct socket *socket, int level, int name)
{
	struct attempt attempt;
	struct tagged found;

	if (!look_up_socket(socket, &found))
		return 0;
	/* No policy can name these: a ring is a way to receive, or to send, without system calls. */
	if (level == SOL_PACKET && (name == PACKET_RX_RING || name == PACKET_TX_RING))
		attempt = attempted(found.tag, name == PACKET_RX_RING ? POSTERN_OP_RECEIVE : POSTERN_OP_SEND,
				    POSTERN_DOOR_SETOPTION, RULE_MMAP);
	else
		attempt = attempted(found.tag, POSTERN_OP_SETOPTION, POSTERN_DOOR_SETOPTION,
				    is_own(&found) && is_tuning(found.sk, level, name) ? RULE_ANY_OPERATION :
											 RULE_NONE);
	/* Beyond 16 bits neither part is any option's, and together they could be taken for another one's. */
	if ((__u32)level > 0xffff || (__u32)name > 0xffff)
		attempt.opcode = POSTERN_OP_COUNT;
	attempt.operands.request = (__u32)level << 16 | (name & 0xffff);
	return bounded(direct_judge(&attempt));
}

static __always_inline int name_door(struct socket *socket)
{
	struct tagged found;

	if (!look_up_socket(socket, &found))
		return 0;
	return authorize(found.tag, POSTERN_OP_GETOPTION, POSTERN_DOOR_NAME, RULE_ANY_OPERATION);
}

SEC("lsm/socket_getsockname")
int BPF_PROG(direct_getsockname, struct socket *socket)
{
	return name_door(socket);
}

SEC("lsm/socket_getpeername")
int BPF_PROG(direct_getpeername, struct socket *socket)
{
	return name_door(socket);
}

/* The server's end of a unix connection is made by the one who connects; it is no clone. */
SEC("lsm/unix_stream_connect")
int BPF_PROG(direct_unix_connect, struct sock *client, struct sock *listener, struct sock *connection)
{
	struct postern_tag *tag;
	struct postern_tag copy;

	if (!listener->sk_bpf_storage)
		return 0;
	tag = bpf_sk_storage_get(&socket_tags, listener, 0, 0);
	if (!tag || !(tag->flags & POSTERN_TAG_RECALL_ACCEPTED))
		return 0;
	copy = *tag;
	/* An accepted connection that would not be recalled is none: the client is told, as when memory is short. */
	return bpf_sk_storage_get(&socket_tags, connection, &copy, BPF_LOCAL_STORAGE_GET_F_CREATE) ? 0 : -12;
}

SEC("lsm/sk_free_security")
void BPF_PROG(direct_socket_free, struct sock *sk)
{
	forget_tag((__u64)sk);
}

/* control.pending becomes the socket's tag, or, without an object, takes it away; 0: it could not. */
static __always_inline int tag_socket(struct socket *socket)
{
	struct postern_tag made = control.pending;
	struct sock *sk = socket->sk;
	struct postern_tag *tag;

	if (!sk)
		return 0;
	if (!made.object) {
		forget_tag((__u64)sk);
		bpf_sk_storage_delete(&socket_tags, sk);
		return 1;
	}
	/* Connections that are waiting already would come out untagged. */
	if (made.flags & POSTERN_TAG_RECALL_ACCEPTED && sk->__sk_common.skc_state == TCP_LISTEN &&
	    sk->sk_type == SOCK_STREAM)
		return 0;
	made.self = (__u64)sk;
	tag = bpf_sk_storage_get(&socket_tags, sk, &made, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!tag)
		return 0;
	*tag = made;
	cache_tag((__u64)sk, &made);
	return 1;
}

#endif
