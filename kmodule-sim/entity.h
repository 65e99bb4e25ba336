/* SPDX-License-Identifier: Apache-2.0 */
/* Private to kmodule-sim: the entry points behind postern_entity_ioctl(). */
#ifndef POSTERN_ENTITY_PRIVATE_H
#define POSTERN_ENTITY_PRIVATE_H

#include "postern_check.h"
#include "table.h"

/* The conformance runner puts its own function here, to repeat every decision as BPF. */
#ifdef POSTERN_DECIDE
enum postern_reason POSTERN_DECIDE(const struct postern_facts *facts);
#else
#define POSTERN_DECIDE postern_decide
#endif

void entity_describe(const struct postern_entity *entity, postern_u32 slot, struct postern_association_info *out);
int entity_establish(struct postern_entity *entity, struct postern_associate_arguments *arguments,
		     enum postern_request request);

int entity_add_object(struct postern_entity *entity, struct postern_object_arguments *arguments);
int entity_replace_object(struct postern_entity *entity, struct postern_object_arguments *arguments);
int entity_remove_object(struct postern_entity *entity, struct postern_object_arguments *arguments);
int entity_define_limits(struct postern_entity *entity, struct postern_limits_arguments *arguments);
int entity_release_limits(struct postern_entity *entity, struct postern_limits_arguments *arguments);
int entity_drop(struct postern_entity *entity, struct postern_drop_arguments *arguments);
int entity_pardon(struct postern_entity *entity, struct postern_drop_arguments *arguments);
int entity_expire(struct postern_entity *entity, struct postern_drop_arguments *arguments);
int entity_exit(struct postern_entity *entity, struct postern_process_arguments *arguments);
int entity_exec(struct postern_entity *entity, struct postern_process_arguments *arguments);
int entity_iterate(const struct postern_entity *entity, struct postern_iterate_arguments *arguments);

#endif
