// SPDX-License-Identifier: Apache-2.0
/*
 * Runs a command line with no signal blocked: the threads that tests run on block nearly all, and programs inherit that.
 *
 * Usage: launch PROGRAM [ARGUMENT...]
 */
#include <signal.h>
#include <unistd.h>

int main(int count, char **arguments)
{
	sigset_t none;

	if (count < 2)
		return 64;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(arguments[1], arguments + 1);
	return 69;
}
