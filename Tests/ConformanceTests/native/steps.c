/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of vectors.txt, each one call of an entry point. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "steps.h"

static const char *const opcodes[POSTERN_OP_COUNT] = {
	"read",	 "write",   "flush",	"discard",   "info",	  "bind",     "listen",	 "accept", "connect",
	"send", "receive", "shutdown", "getoption", "setoption", "transfer", "control", "wait",
};
static const char *const reasons[POSTERN_REASON_COUNT] = {
	"granted", "undecidable", "no-such-object", "stale", "revoked", "not-associated",
	"expired", "operation",	  "limit",	    "busy",  "quota",	"refused",
};
static const char *const details[] = {
	"none", "namespace", "tracer", "fork-denied", "not-descended", "?", "path-unavailable", "selector", "?",
	"ancestor-expired",
};
static const char *const states[] = { "free", "live", "revoked", "expired", "stale", "dropped", "departed" };
static const char *const conditions[] = {
	"visible", "selector", "not-revoked", "exclusive", "quota", "path", "namespace", "untraced",
};
static const char *const lookups[] = {
	"identity", "object", "association", "limits", "lineage", "selector", "quota", "audit",
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *step_value(const struct step *step, const char *key)
{
	size_t length = strlen(key);

	for (int i = 1; i < step->count; i++)
		if (strncmp(step->words[i], key, length) == 0 && step->words[i][length] == '=')
			return step->words[i] + length + 1;
	return NULL;
}

int step_has(const struct step *step, const char *word)
{
	for (int i = 1; i < step->count; i++)
		if (strcmp(step->words[i], word) == 0)
			return 1;
	return 0;
}

postern_u64 step_number(const struct step *step, const char *key, postern_u64 fallback)
{
	const char *text = step_value(step, key);

	if (text && strcmp(text, "max") == 0)
		return UINT64_MAX;
	return text ? strtoull(text, NULL, 0) : fallback;
}

/* The number of a word in a list; a number stands for itself. */
static postern_u32 word(const char *text, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(text, names[i]) == 0)
			return (postern_u32)i;
	if (text[0] < '0' || text[0] > '9') {
		fprintf(stderr, "conformance: unknown word %s\n", text);
		exit(2);
	}
	return (postern_u32)strtoul(text, NULL, 0);
}

static postern_u32 bits(const char *text, const char *const *names, size_t count, postern_u32 fallback)
{
	char copy[256];
	postern_u32 mask = 0;

	if (!text)
		return fallback;
	if (strcmp(text, "none") == 0)
		return 0;
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *save, *one = strtok_r(copy, ",", &save); one; one = strtok_r(NULL, ",", &save))
		mask |= 1u << word(one, names, count);
	return mask;
}

static postern_u32 operations(const char *text, postern_u32 fallback)
{
	return bits(text, opcodes, COUNT(opcodes), fallback);
}

static postern_u32 kind_operations(postern_u32 kind)
{
	if (kind == POSTERN_KIND_DISK)
		return operations("read,write,flush,discard,info", 0);
	if (kind == POSTERN_KIND_BUS)
		return operations("read,write,transfer,control,wait", 0);
	return operations("bind,listen,accept,connect,send,receive,shutdown,getoption,setoption", 0);
}

/* tgid[.epoch][@start] */
static struct postern_process process(const char *text)
{
	struct postern_process process = { .start = 1 };
	char *end;

	process.tgid = (postern_u32)strtoul(text, &end, 10);
	if (*end == '.')
		process.exec_epoch = (postern_u32)strtoul(end + 1, &end, 10);
	if (*end == '@')
		process.start = strtoull(end + 1, &end, 10);
	return process;
}

/* 127.0.0.1 or [::1]; the rest of the text is returned. */
static const char *address(const char *text, postern_u8 *family, postern_u8 out[16])
{
	char copy[64];
	size_t length = text[0] == '[' ? strcspn(text, "]") - 1 : strcspn(text, "/:,");

	snprintf(copy, sizeof(copy), "%.*s", (int)length, text[0] == '[' ? text + 1 : text);
	memset(out, 0, 16);
	*family = text[0] == '[' ? POSTERN_FAMILY_INET6 : POSTERN_FAMILY_INET;
	if (inet_pton(*family, copy, out) != 1) {
		fprintf(stderr, "conformance: not an address: %s\n", copy);
		exit(2);
	}
	return text + length + (text[0] == '[' ? 2 : 0);
}

/* ADDRESS/PREFIX[:FIRST[-LAST]],... */
static void patterns(struct postern_limits *limits, const char *text, postern_u8 use)
{
	while (*text && *text != '-') {
		struct postern_address_limit *limit = &limits->addresses[limits->address_count++];

		limit->uses = use;
		if (strncmp(text, "family:", 7) == 0)
			limit->family = (postern_u8)strtoul(text + 7, (char **)&text, 10);
		else
			text = address(text, &limit->family, limit->address);
		limit->port_last = 65535;
		limit->prefix_length = (postern_u8)strtoul(text + 1, (char **)&text, 10);
		if (*text == ':') {
			limit->port_first = (postern_u16)strtoul(text + 1, (char **)&text, 10);
			limit->port_last = limit->port_first;
		}
		if (*text == '-')
			limit->port_last = (postern_u16)strtoul(text + 1, (char **)&text, 10);
		if (*text == ',')
			text++;
	}
}

static postern_u32 numbers(const char *text, postern_u32 *out)
{
	postern_u32 count = 0;

	while (*text && *text != '-') {
		out[count++] = (postern_u32)strtoul(text, (char **)&text, 0);
		if (*text == ',')
			text++;
	}
	return count;
}

static void read_limits(const struct step *step, struct postern_limits *limits)
{
	const char *text;

	memset(limits, 0, sizeof(*limits));
	if ((text = step_value(step, "range"))) {
		limits->flags |= POSTERN_LIMIT_RANGE;
		limits->range_offset = strtoull(text, (char **)&text, 0);
		limits->range_length = strcmp(text, ":max") ? strtoull(text + 1, NULL, 0) : UINT64_MAX;
	}
	if ((text = step_value(step, "length"))) {
		limits->flags |= POSTERN_LIMIT_LENGTH;
		limits->max_length = (postern_u32)strtoul(text, NULL, 0);
	}
	if ((text = step_value(step, "connect"))) {
		limits->flags |= POSTERN_LIMIT_CONNECT;
		patterns(limits, text, POSTERN_ADDRESS_CONNECT);
	}
	if ((text = step_value(step, "send"))) {
		limits->flags |= POSTERN_LIMIT_SEND;
		patterns(limits, text, POSTERN_ADDRESS_SEND);
	}
	if ((text = step_value(step, "options"))) {
		limits->flags |= POSTERN_LIMIT_OPTIONS;
		limits->option_count = numbers(text, limits->options);
	}
	if ((text = step_value(step, "controls"))) {
		limits->flags |= POSTERN_LIMIT_CONTROL;
		limits->control_count = numbers(text, limits->controls);
	}
	/* Behind the counts stands what would allow everything, so that reading past them shows. */
	for (postern_u32 i = limits->address_count; i < POSTERN_MAX_ADDRESSES; i++)
		limits->addresses[i] = (struct postern_address_limit){
			.uses = POSTERN_ADDRESS_CONNECT | POSTERN_ADDRESS_SEND,
			.family = POSTERN_FAMILY_INET,
			.port_last = 65535,
		};
}

static void read_operands(const struct step *step, struct postern_operands *operands)
{
	const char *to = step_value(step, "to");

	operands->offset = step_number(step, "offset", 0);
	operands->length = step_number(step, "length", 0);
	operands->request = (postern_u32)step_number(step, "request", 0);
	if (to && strncmp(to, "family:", 7) == 0) {
		operands->family = (postern_u8)strtoul(to + 7, NULL, 0);
	} else if (to) {
		to = address(to, &operands->family, operands->address);
		operands->port = *to == ':' ? (postern_u16)strtoul(to + 1, NULL, 10) : 0;
	}
	/* What an IPv4 address leaves unused, filled as a mapped address has it. */
	if (step_value(step, "tail")) {
		operands->address[10] = operands->address[11] = 0xff;
		inet_pton(POSTERN_FAMILY_INET, step_value(step, "tail"), operands->address + 12);
	}
}

static void tell(char *result, unsigned int size, postern_u32 reason, postern_u32 detail)
{
	if (detail && detail < COUNT(details))
		snprintf(result, size, "refused(%s)", details[detail]);
	else
		snprintf(result, size, "%s", reason < POSTERN_REASON_COUNT ? reasons[reason] : "?");
}

static int call(struct story *story, unsigned int request, void *argument, char *result, unsigned int size)
{
	int error = postern_entity_ioctl(story->entity, request, argument);

	if (error)
		snprintf(result, size, "error %d", -error);
	else
		snprintf(result, size, "granted");
	return 0;
}

static struct postern_association_info dropped[64];

static int run_object(struct story *story, const struct step *step, unsigned int request, char *result,
		      unsigned int size)
{
	static const char *const kinds[] = { "?", "socket", "disk", "bus" };
	struct postern_object_arguments arguments = { .dropped = dropped, .capacity = COUNT(dropped) };
	struct postern_object *object = &arguments.object;
	const char *footprint = step_value(step, "footprint");

	object->id = (postern_u32)strtoul(step->words[1], NULL, 10);
	object->kind = (postern_u8)word(step_value(step, "kind") ? step_value(step, "kind") : "disk", kinds, 4);
	object->operations = operations(step_value(step, "operations"), kind_operations(object->kind));
	object->exclusive = (postern_u8)step_has(step, "exclusive");
	if (footprint) { /* DEVICE:INODE:OFFSET:LENGTH */
		object->flags = POSTERN_OBJECT_FOOTPRINT;
		object->device = strtoull(footprint, (char **)&footprint, 10);
		object->inode = strtoull(footprint + 1, (char **)&footprint, 10);
		object->range_offset = strtoull(footprint + 1, (char **)&footprint, 10);
		object->range_length = strcmp(footprint, ":max") ? strtoull(footprint + 1, NULL, 10) : UINT64_MAX;
	}
	return call(story, request, &arguments, result, size);
}

static int run_establish(struct story *story, const struct step *step, unsigned int request, char *result,
			 unsigned int size)
{
	static const char *const rules[] = { "revalidate", "inherit", "deny" };
	static const char *const lineages[] = { "none", "descended", "unknown" };
	struct postern_associate_arguments arguments = { 0 };
	struct postern_object_arguments object = { 0 };
	const char *text;

	arguments.process = process(step->words[1]);
	arguments.object = object.object.id = (postern_u32)strtoul(step->words[2], NULL, 10);
	if (postern_entity_ioctl(story->entity, POSTERN_ENTITY_OBJECT, &object) == 0)
		arguments.generation = object.object.generation;
	arguments.generation = (postern_u32)step_number(step, "generation", arguments.generation);
	arguments.application = (postern_u32)step_number(step, "application", 1);
	arguments.failed = bits(step_value(step, "failed"), lookups, COUNT(lookups), 0);
	arguments.conditions =
		POSTERN_CONDITION_ALL & ~bits(step_value(step, "without"), conditions, COUNT(conditions), 0);
	arguments.granted = operations(step_value(step, "granted"), (1u << POSTERN_OP_COUNT) - 1);
	arguments.requested = operations(step_value(step, "operations"), object.object.operations);
	text = step_value(step, "limits");
	arguments.limits = !text ? 0 : text[0] >= 'A' && text[0] <= 'Z' ? story->limits[text[0] - 'A'] : 9999;
	arguments.quota = (postern_u32)step_number(step, "quota", 64);
	arguments.now = step_number(step, "now", 100);
	arguments.expiry = step_number(step, "expiry", 0);
	arguments.forked = step_number(step, "forked", 0);
	arguments.on_fork = (postern_u8)word(step_value(step, "on-fork") ? step_value(step, "on-fork") : "revalidate",
					     rules, COUNT(rules));
	arguments.flags = step_has(step, "keep") ? POSTERN_ASSOCIATION_KEEP : 0;
	text = step_value(step, "from");
	if (text)
		arguments.ancestor = process(text);
	arguments.lineage = (postern_u8)word(step_value(step, "lineage") ? step_value(step, "lineage") : "descended",
					     lineages, COUNT(lineages));
	if (call(story, request, &arguments, result, size) == 0 && strcmp(result, "granted") == 0)
		tell(result, size, arguments.reason, arguments.detail);
	return 0;
}

static int run_check(struct story *story, const struct step *step, char *result, unsigned int size)
{
	static const char *const issuers[] = { "nobody", "process", "kernel" };
	struct postern_check_arguments arguments = { 0 };

	arguments.instruction.process = process(step->words[1]);
	arguments.instruction.object = (postern_u32)strtoul(step->words[2], NULL, 10);
	arguments.instruction.opcode = word(step->words[3], opcodes, COUNT(opcodes));
	arguments.instruction.issuer =
		word(step_value(step, "issuer") ? step_value(step, "issuer") : "process", issuers, 3);
	read_operands(step, &arguments.instruction.operands);
	arguments.now = step_number(step, "now", 100);
	arguments.failed = bits(step_value(step, "failed"), lookups, COUNT(lookups), 0);
	arguments.conditions = step_has(step, "hidden") ? 0 : POSTERN_CONDITION_VISIBLE;
	call(story, POSTERN_ENTITY_CHECK, &arguments, result, size);
	tell(result, size, arguments.reason, 0);
	return 0;
}

static int run_drop(struct story *story, const struct step *step, unsigned int request, char *result,
		    unsigned int size)
{
	struct postern_drop_arguments arguments = { .dropped = dropped, .capacity = COUNT(dropped) };
	const char *text;

	if (request == POSTERN_ENTITY_DROP)
		arguments.state = word(step->words[1], states, COUNT(states));
	arguments.now = step_number(step, "now", 100);
	if ((text = step_value(step, "object"))) {
		arguments.selector.fields |= POSTERN_SELECT_OBJECT;
		arguments.selector.object = (postern_u32)strtoul(text, NULL, 10);
	}
	if ((text = step_value(step, "process"))) {
		arguments.selector.fields |= POSTERN_SELECT_PROCESS;
		arguments.selector.process = process(text);
	}
	if ((text = step_value(step, "application"))) {
		arguments.selector.fields |= POSTERN_SELECT_APPLICATION;
		arguments.selector.application = (postern_u32)strtoul(text, NULL, 10);
	}
	/* ID of the association of this process, object 1 */
	if ((text = step_value(step, "association"))) {
		struct postern_record_arguments record = { .process = process(text), .object = 1 };

		postern_entity_ioctl(story->entity, POSTERN_ENTITY_RECORD, &record);
		arguments.selector.fields |= POSTERN_SELECT_ID;
		arguments.selector.id = record.association.id;
	}
	call(story, request, &arguments, result, size);
	if (step_value(step, "next") && arguments.next_expiry != step_number(step, "next", 0))
		snprintf(result, size, "next %llu", (unsigned long long)arguments.next_expiry);
	return 0;
}

static int run_end(struct story *story, const struct step *step, unsigned int request, char *result,
		   unsigned int size)
{
	struct postern_process_arguments arguments = { .dropped = dropped, .capacity = COUNT(dropped) };
	struct postern_record_arguments record = { .process = process(step->words[1]), .object = 1 };

	arguments.process = record.process;
	arguments.evidence = (postern_u32)step_has(step, "evidence");
	arguments.exec_epoch = (postern_u32)step_number(step, "epoch", record.process.exec_epoch + 1);
	if (step_has(step, "keep") && postern_entity_ioctl(story->entity, POSTERN_ENTITY_RECORD, &record) == 0) {
		arguments.kept = &record.association.id;
		arguments.kept_count = 1;
	}
	return call(story, request, &arguments, result, size);
}

enum postern_reason conformance_decide(const struct postern_facts *facts);

/* Facts that no table gives: what is not said is as in a granted read of a disk, or a granted revalidation. */
static int run_facts(const struct step *step, char *result, unsigned int size)
{
	static const char *const requests[] = { "none", "instruction", "open", "revalidate" };
	static const char *const issuers[] = { "nobody", "process", "kernel" };
	static const char *const lineages[] = { "none", "descended", "unknown" };
	struct postern_operands operands = { 0 };
	struct postern_limits limits = { .flags = POSTERN_LIMIT_RANGE, .range_length = 4096 };
	struct postern_object object = { .generation = 2, .present = 1, .kind = POSTERN_KIND_DISK };
	struct postern_association association = { .generation = 2, .state = POSTERN_STATE_LIVE, .limits = 1 };
	struct postern_association ancestor = { .generation = 2, .state = POSTERN_STATE_LIVE, .application = 1 };
	struct postern_establishment establishment = { .generation = 2, .application = 1 };
	struct postern_facts facts = { .now = 100, .issuer = POSTERN_ISSUER_PROCESS };

	facts.request = word(step->words[1], requests, COUNT(requests));
	facts.issuer = word(step_value(step, "issuer") ? step_value(step, "issuer") : "process", issuers, 3);
	facts.failed = bits(step_value(step, "failed"), lookups, COUNT(lookups), 0);
	facts.conditions =
		POSTERN_CONDITION_ALL & ~bits(step_value(step, "without"), conditions, COUNT(conditions), 0);
	facts.opcode = word(step_value(step, "opcode") ? step_value(step, "opcode") : "read", opcodes, COUNT(opcodes));
	object.operations = operations(step_value(step, "known"), kind_operations(POSTERN_KIND_DISK));
	association.operations = establishment.granted = establishment.requested = object.operations;
	establishment.lineage = (postern_u8)word(
		step_value(step, "lineage") ? step_value(step, "lineage") : "descended", lineages, COUNT(lineages));
	association.state =
		(postern_u8)word(step_value(step, "state") ? step_value(step, "state") : "live", states, COUNT(states));
	association.generation = (postern_u32)step_number(step, "generation", 2);
	ancestor.state = (postern_u8)word(step_value(step, "ancestor") ? step_value(step, "ancestor") : "live", states,
					  COUNT(states));
	ancestor.generation = (postern_u32)step_number(step, "ancestor-generation", 2);
	ancestor.on_fork = (postern_u8)step_number(step, "on-fork", 0);
	facts.operands = step_has(step, "no-operands") ? NULL : &operands;
	facts.object = step_has(step, "no-object") ? NULL : &object;
	facts.limits = step_has(step, "no-limits") ? NULL : &limits;
	facts.association = step_has(step, "no-association") ? NULL : &association;
	if (facts.request == POSTERN_REQUEST_OPEN || facts.request == POSTERN_REQUEST_REVALIDATE)
		facts.establishment = step_has(step, "no-establishment") ? NULL : &establishment;
	facts.ancestor = step_has(step, "no-ancestor") ? NULL : &ancestor;
	tell(result, size, conformance_decide(&facts), 0);
	return 0;
}

int step_run(struct story *story, const struct step *step, char *result, unsigned int size)
{
	const char *verb = step->words[0];

	if (strcmp(verb, "table") == 0) {
		struct postern_entity_configuration configuration = {
			.associations = (postern_u32)step_number(step, "associations", 0),
		};

		postern_entity_destroy(story->entity);
		snprintf(result, size, "granted");
		return postern_entity_create(&configuration, &story->entity);
	}
	if (strcmp(verb, "object") == 0)
		return run_object(story, step, POSTERN_ENTITY_ADD_OBJECT, result, size);
	if (strcmp(verb, "replace") == 0)
		return run_object(story, step, POSTERN_ENTITY_REPLACE_OBJECT, result, size);
	if (strcmp(verb, "remove") == 0)
		return run_object(story, step, POSTERN_ENTITY_REMOVE_OBJECT, result, size);
	if (strcmp(verb, "limits") == 0) {
		struct postern_limits_arguments arguments;

		read_limits(step, &arguments.limits);
		call(story, POSTERN_ENTITY_DEFINE_LIMITS, &arguments, result, size);
		story->limits[step->words[1][0] - 'A'] = arguments.index;
		return 0;
	}
	if (strcmp(verb, "release") == 0) {
		struct postern_limits_arguments arguments = { .index = story->limits[step->words[1][0] - 'A'] };

		return call(story, POSTERN_ENTITY_RELEASE_LIMITS, &arguments, result, size);
	}
	if (strcmp(verb, "open") == 0)
		return run_establish(story, step, POSTERN_ENTITY_ASSOCIATE, result, size);
	if (strcmp(verb, "revalidate") == 0)
		return run_establish(story, step, POSTERN_ENTITY_REVALIDATE, result, size);
	if (strcmp(verb, "check") == 0)
		return run_check(story, step, result, size);
	if (strcmp(verb, "drop") == 0)
		return run_drop(story, step, POSTERN_ENTITY_DROP, result, size);
	if (strcmp(verb, "pardon") == 0)
		return run_drop(story, step, POSTERN_ENTITY_PARDON, result, size);
	if (strcmp(verb, "expire") == 0)
		return run_drop(story, step, POSTERN_ENTITY_EXPIRE, result, size);
	if (strcmp(verb, "exit") == 0)
		return run_end(story, step, POSTERN_ENTITY_EXIT, result, size);
	if (strcmp(verb, "exec") == 0)
		return run_end(story, step, POSTERN_ENTITY_EXEC, result, size);
	if (strcmp(verb, "facts") == 0)
		return run_facts(step, result, size);
	return -1;
}
