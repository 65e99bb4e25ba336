/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options by which a program tunes its own socket: buffers, time-outs, and what it is told about that which it may receive
 * anyway. Not among them: whatever changes who can receive, where a datagram goes, which interface, port or group it is,
 * or what the kernel lets in on somebody else's behalf. Those need setoption and the grant's options.
 */
#ifndef POSTERN_TUNING_H
#define POSTERN_TUNING_H

#include "kernel.h"

/* include/uapi/asm-generic/socket.h, linux/in.h, in6.h, tcp.h, icmp.h, icmpv6.h, if_packet.h */
#define IPPROTO_IP 0
#define SOL_SOCKET 1
#define IPPROTO_TCP 6
#define IPPROTO_IPV6 41
#define SOL_ICMPV6 58
#define SOL_RAW 255
#define SOL_PACKET 263

#define OPTION(level, name) ((__u32)(level) << 16 | (name))

/* Only drops or shortens what this one socket receives. A listener's and a shared port's filters would be others', too. */
static __always_inline bool narrows_alone(const struct sock *sk)
{
	return sk->sk_type == SOCK_RAW || sk->__sk_common.skc_family == AF_PACKET;
}

static __always_inline bool is_tuning(const struct sock *sk, int level, int name)
{
	if ((__u32)level > 0xffff || (__u32)name > 0xffff)
		return false;
	switch (OPTION(level, name)) {
	case OPTION(SOL_SOCKET, 7):   /* SO_SNDBUF */
	case OPTION(SOL_SOCKET, 8):   /* SO_RCVBUF */
	case OPTION(SOL_SOCKET, 9):   /* SO_KEEPALIVE */
	case OPTION(SOL_SOCKET, 10):  /* SO_OOBINLINE */
	case OPTION(SOL_SOCKET, 13):  /* SO_LINGER */
	case OPTION(SOL_SOCKET, 16):  /* SO_PASSCRED */
	case OPTION(SOL_SOCKET, 18):  /* SO_RCVLOWAT */
	case OPTION(SOL_SOCKET, 20):  /* SO_RCVTIMEO_OLD */
	case OPTION(SOL_SOCKET, 21):  /* SO_SNDTIMEO_OLD */
	case OPTION(SOL_SOCKET, 29):  /* SO_TIMESTAMP_OLD */
	case OPTION(SOL_SOCKET, 35):  /* SO_TIMESTAMPNS_OLD */
	case OPTION(SOL_SOCKET, 63):  /* SO_TIMESTAMP_NEW */
	case OPTION(SOL_SOCKET, 64):  /* SO_TIMESTAMPNS_NEW */
	case OPTION(SOL_SOCKET, 66):  /* SO_RCVTIMEO_NEW */
	case OPTION(SOL_SOCKET, 67):  /* SO_SNDTIMEO_NEW */
	case OPTION(IPPROTO_TCP, 1):  /* TCP_NODELAY */
	case OPTION(IPPROTO_TCP, 2):  /* TCP_MAXSEG */
	case OPTION(IPPROTO_TCP, 3):  /* TCP_CORK */
	case OPTION(IPPROTO_TCP, 4):  /* TCP_KEEPIDLE */
	case OPTION(IPPROTO_TCP, 5):  /* TCP_KEEPINTVL */
	case OPTION(IPPROTO_TCP, 6):  /* TCP_KEEPCNT */
	case OPTION(IPPROTO_TCP, 7):  /* TCP_SYNCNT */
	case OPTION(IPPROTO_TCP, 8):  /* TCP_LINGER2 */
	case OPTION(IPPROTO_TCP, 9):  /* TCP_DEFER_ACCEPT */
	case OPTION(IPPROTO_TCP, 10): /* TCP_WINDOW_CLAMP */
	case OPTION(IPPROTO_TCP, 12): /* TCP_QUICKACK */
	case OPTION(IPPROTO_TCP, 18): /* TCP_USER_TIMEOUT */
	case OPTION(IPPROTO_TCP, 23): /* TCP_FASTOPEN */
	case OPTION(IPPROTO_TCP, 25): /* TCP_NOTSENT_LOWAT */
	case OPTION(IPPROTO_IP, 7):   /* IP_RETOPTS */
	case OPTION(IPPROTO_IP, 8):   /* IP_PKTINFO */
	case OPTION(IPPROTO_IP, 11):  /* IP_RECVERR */
	case OPTION(IPPROTO_IP, 12):  /* IP_RECVTTL */
	case OPTION(IPPROTO_IP, 13):  /* IP_RECVTOS */
	case OPTION(IPPROTO_IPV6, 25): /* IPV6_RECVERR */
	case OPTION(IPPROTO_IPV6, 49): /* IPV6_RECVPKTINFO */
	case OPTION(IPPROTO_IPV6, 51): /* IPV6_RECVHOPLIMIT */
	case OPTION(IPPROTO_IPV6, 66): /* IPV6_RECVTCLASS */
	case OPTION(SOL_RAW, 1):      /* ICMP_FILTER */
	case OPTION(SOL_ICMPV6, 1):   /* ICMPV6_FILTER */
	case OPTION(SOL_PACKET, 8):   /* PACKET_AUXDATA */
	case OPTION(SOL_PACKET, 10):  /* PACKET_VERSION */
	case OPTION(SOL_PACKET, 12):  /* PACKET_RESERVE */
	case OPTION(SOL_PACKET, 17):  /* PACKET_TIMESTAMP */
		return true;
	case OPTION(SOL_SOCKET, 26): /* SO_ATTACH_FILTER */
	case OPTION(SOL_SOCKET, 27): /* SO_DETACH_FILTER */
		return narrows_alone(sk);
	default:
		return false;
	}
}

#endif
