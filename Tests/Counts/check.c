/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Authorization checks, for counting their instructions: so many of associations in a table of a size, one after the other.
 *
 * Usage: check granted|refused ASSOCIATIONS CHECKS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postern_entity.h"

static void die(const char *what)
{
	fprintf(stderr, "check: %s\n", what);
	exit(1);
}

static struct postern_process process_of(uint32_t n)
{
	return (struct postern_process){ .tgid = 1000 + n, .start = 100000 + n * 7ull };
}

int main(int count, char **arguments)
{
	struct postern_entity_configuration configuration = { 0 };
	struct postern_limits_arguments limits = { .limits = { .flags = POSTERN_LIMIT_RANGE, .range_length = 1 << 20 } };
	struct postern_object_arguments object = { .object = { .kind = POSTERN_KIND_DISK, .operations = 0x1f } };
	struct postern_check_arguments check = { .conditions = POSTERN_CONDITION_VISIBLE, .now = 1000 };
	struct postern_entity *entity;
	uint32_t associations, checks;
	int granted;

	if (count != 4)
		return 64;
	granted = !strcmp(arguments[1], "granted");
	associations = (uint32_t)atoi(arguments[2]);
	checks = (uint32_t)atoi(arguments[3]);
	if (postern_entity_create(&configuration, &entity) ||
	    postern_entity_ioctl(entity, POSTERN_ENTITY_DEFINE_LIMITS, &limits) ||
	    postern_entity_ioctl(entity, POSTERN_ENTITY_ADD_OBJECT, &object))
		die("no entity");
	for (uint32_t n = 0; n < associations; n++) {
		struct postern_associate_arguments open = {
			.process = process_of(n), .application = 1, .conditions = 0xff, .requested = 3, .granted = 3,
			.generation = 1, .limits = limits.index, .quota = associations, .now = 1,
		};

		if (postern_entity_ioctl(entity, POSTERN_ENTITY_ASSOCIATE, &open) || open.reason)
			die("associate");
	}
	check.instruction.issuer = POSTERN_ISSUER_PROCESS;
	check.instruction.operands.length = 512;
	for (uint32_t i = 0; i < checks; i++) {
		/* A stranger is refused by the look-up alone. */
		check.instruction.process = process_of(i % associations + (granted ? 0 : associations));
		postern_entity_check(entity, &check);
		if ((check.reason == 0) != granted)
			die("another verdict");
	}
	postern_entity_destroy(entity);
	return 0;
}
