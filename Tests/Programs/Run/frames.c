// SPDX-License-Identifier: Apache-2.0
/*
 * Makes a packet socket without binding it, and counts the frames of each interface that it is given within a
 * second.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

	if (fd < 0) {
		printf("socket: %s\n", strerrorname_np(errno));
		return 1;
	}
	puts("ready");
	fflush(stdout);
	struct timeval patience = { .tv_usec = 100000 };
	long seen[64] = { 0 };
	time_t end = time(NULL) + 2;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	while (time(NULL) < end) {
		struct sockaddr_ll from;
		socklen_t length = sizeof(from);
		char frame[2048];

		if (recvfrom(fd, frame, sizeof(frame), 0, (struct sockaddr *)&from, &length) >= 0 && from.sll_ifindex < 64)
			seen[from.sll_ifindex]++;
	}
	for (int i = 0; i < 64; i++) {
		char name[IF_NAMESIZE];

		if (seen[i])
			printf("frames of %s\n", if_indextoname((unsigned)i, name) ? name : "?");
	}
	return 0;
}
