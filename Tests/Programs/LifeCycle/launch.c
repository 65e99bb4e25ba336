// SPDX-License-Identifier: Apache-2.0
/*
 * Runs a command line with no signal blocked, and SIGPIPE not ignored: the threads that tests run on block nearly all,
 * tests ignore SIGPIPE, and programs inherit both.
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
	signal(SIGPIPE, SIG_DFL);
	execv(arguments[1], arguments + 1);
	return 69;
}
