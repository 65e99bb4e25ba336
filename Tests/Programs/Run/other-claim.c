// SPDX-License-Identifier: Apache-2.0
/*
 * Claims one program to the broker, so that an object is handed over for it, and then runs another, or none.
 *
 * Usage: other-claim SOCKET OBJECT CLAIMED PROGRAM [ARGUMENT...]
 */
#define _GNU_SOURCE
#include "../LifeCycle/wire.h"
#include <fcntl.h>
#include <stdlib.h>

int main(int count, char **arguments)
{
	if (count < 5)
		return 64;
	uint8_t body[2 + 255 + 4];
	uint16_t length = (uint16_t)strlen(arguments[2]);
	uint32_t operations = 0;
	struct wire_outcome outcome;
	int broker = wire_connect(arguments[1]), claimed = open(arguments[3], O_PATH | O_CLOEXEC);

	memcpy(body, &length, 2);
	memcpy(body + 2, arguments[2], length);
	memcpy(body + 2 + length, &operations, 4);
	if (broker < 0 || claimed < 0 || wire_request(broker, 34, body, (uint32_t)length + 6, claimed, 0) < 0)
		return 69;
	if (wire_reply(broker, &outcome) != 5) {
		printf("refused: %s\n", wire_reason(outcome.reason));
		return 77;
	}
	uint64_t nonce[2] = { outcome.nonce[0], outcome.nonce[1] };

	if (wire_confirm(broker, nonce, &outcome) != 7 || outcome.descriptor < 0) {
		printf("refused: %s\n", wire_reason(outcome.reason));
		return 77;
	}
	printf("handed over\n");
	fflush(stdout);
	dup2(outcome.descriptor, 3);
	execv(arguments[4], arguments + 4);
	return 69;
}
