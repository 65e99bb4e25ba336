/* SPDX-License-Identifier: Apache-2.0 */
/* doors OBJECT-FILE [GROUP]...: the tests of the path direct, in a machine whose kernel lets BPF LSM programs in. */
#include "doors.h"

#include <signal.h>

static const struct {
	const char *name;
	void (*run)(void);
	bool again_owned; /* the tags name an owner */
} groups[] = {
	{ "doors", test_doors, false },	 { "attacks", test_attacks, true }, { "life", test_life, true },
	{ "revoke", test_revoke, true }, { "hammer", test_hammer, false },  { "expiry", test_expiry, false },
	{ "guards", test_guards, false },
};

int main(int count, char **arguments)
{
	if (count == 3 && !strcmp(arguments[1], "--read"))
		return read_after_exec(arguments[2]);
	if (count == 3 && !strcmp(arguments[1], TAKE))
		return take_after_exec(arguments[2]);
	if (count < 2)
		return 64;
	signal(SIGPIPE, SIG_IGN);
	stand_open(arguments[1]);
	printf("# load %.3f s, %d programs attached in %.3f s\n", stand.load_seconds, stand.link_count,
	       stand.attach_seconds);
	for (unsigned int i = 0; i < sizeof(groups) / sizeof(*groups); i++) {
		double start = seconds();
		bool wanted = count == 2;

		for (int a = 2; a < count; a++)
			wanted |= !strcmp(arguments[a], groups[i].name);
		if (!wanted)
			continue;
		groups[i].run();
		if (groups[i].again_owned) {
			stand_owned = true;
			groups[i].run();
			stand_owned = false;
		}
		printf("# %s: %.1f s\n", groups[i].name, seconds() - start);
	}
	return failures != 0;
}
