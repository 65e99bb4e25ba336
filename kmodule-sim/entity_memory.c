/* SPDX-License-Identifier: Apache-2.0 */
/* The table's memory file: reserved at its full size, touched only as it fills. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "table.h"

#define PAGE 4096ull
#define HUGE (2ull << 20)
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define FIRST_BITS 9u

void table_refresh(struct postern_entity *entity)
{
	struct table_header *header = entity->header;

	entity->objects = table_at(entity, header->objects);
	entity->records = table_at(entity, header->associations.offset);
	entity->links = table_at(entity, header->links);
	entity->processes = table_at(entity, header->processes.offset);
	entity->applications = table_at(entity, header->applications.offset);
	entity->memberships = table_at(entity, header->memberships.offset);
	entity->limits = table_at(entity, header->limits.offset);
	entity->association_lines =
		table_at(entity, header->association_index.offset[header->association_index.region]);
	entity->association_bits = header->association_index.bits;
}

static postern_u64 reserve(postern_u64 *end, postern_u64 bytes)
{
	postern_u64 offset = *end;

	*end += (bytes + PAGE - 1) & ~(PAGE - 1);
	return offset;
}

/*
 * Gathers whole, already used 2 MiB pieces into huge pages (madvise(2), Linux
 * 6.1): a table of a million would need more page translations than the
 * processor holds. Only a matter of speed: where it is refused, small pages stay.
 */
void table_gather(const struct postern_entity *entity, postern_u64 offset, postern_u64 bytes)
{
	if (offset % HUGE == 0 && bytes >= HUGE)
		madvise(table_at(entity, offset), bytes & ~(HUGE - 1), MADV_COLLAPSE);
}

static postern_u64 align_huge(postern_u64 *end)
{
	return *end = (*end + HUGE - 1) & ~(HUGE - 1);
}

static void lay_pool(postern_u64 *end, struct table_pool *pool, postern_u32 capacity, size_t size)
{
	pool->offset = reserve(end, (capacity + 1ull) * size);
	pool->capacity = capacity;
	pool->end = 1;
}

static void lay_index(postern_u64 *end, struct table_index *index, postern_u32 capacity)
{
	index->bits = FIRST_BITS;
	index->max_bits = FIRST_BITS;
	while (capacity * 2ull > 1ull << index->max_bits)
		index->max_bits++;
	index->offset[0] = reserve(end, (sizeof(struct table_line) / TABLE_PLACES) << index->max_bits);
	index->offset[1] = reserve(end, (sizeof(struct table_line) / TABLE_PLACES) << index->max_bits);
}

static postern_u32 or_default(postern_u32 value, postern_u32 fallback)
{
	return value ? value : fallback;
}

static int lay_out(struct table_header *header, const struct postern_entity_configuration *configuration)
{
	postern_u32 associations = or_default(configuration->associations, (1u << 20) - 1);
	postern_u32 processes = or_default(configuration->processes, 65536);
	postern_u32 applications = or_default(configuration->applications, 4096);
	postern_u32 memberships = associations;
	postern_u64 end = 0;

	if (associations >= 1u << TABLE_SLOT_BITS || processes > associations * 16ull + 65536 || applications > 1u << 20)
		return -EINVAL;
	reserve(&end, sizeof(*header));
	header->magic = TABLE_MAGIC;
	header->version = TABLE_VERSION;
	header->abi_version = POSTERN_ABI_VERSION;
	header->object_capacity = or_default(configuration->objects, 1u << 20);
	header->objects = reserve(&end, (postern_u64)header->object_capacity * sizeof(struct postern_object));
	align_huge(&end);
	lay_pool(&end, &header->associations, associations, sizeof(struct postern_association));
	header->links = reserve(&end, (associations + 1ull) * sizeof(struct table_link));
	lay_pool(&end, &header->processes, processes, sizeof(struct table_process));
	lay_pool(&end, &header->applications, applications, sizeof(struct table_application));
	lay_pool(&end, &header->memberships, memberships, sizeof(struct table_membership));
	lay_pool(&end, &header->limits, or_default(configuration->limits, 65536), sizeof(struct table_limits));
	align_huge(&end);
	lay_index(&end, &header->association_index, associations);
	lay_index(&end, &header->process_index, processes);
	lay_index(&end, &header->application_index, applications);
	header->size = end;
	return 0;
}

/* At an address that has the alignment of a huge page, as the regions have in the file. */
static void *map_aligned(int descriptor, size_t size)
{
	char *room = mmap(NULL, size + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *base;
	void *mapped;

	if (room == MAP_FAILED)
		return MAP_FAILED;
	base = (char *)(((uintptr_t)room + HUGE - 1) & ~(uintptr_t)(HUGE - 1));
	mapped = mmap(base, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, descriptor, 0);
	if (mapped == MAP_FAILED) {
		munmap(room, size + HUGE);
		return MAP_FAILED;
	}
	if (base > room)
		munmap(room, (size_t)(base - room));
	munmap(base + size, (size_t)(room + HUGE - base));
	return mapped;
}

static int map(int descriptor, size_t size, struct postern_entity **out)
{
	struct postern_entity *entity = calloc(1, sizeof(*entity));
	void *base;

	if (!entity)
		return -ENOMEM;
	base = map_aligned(descriptor, size);
	if (base == MAP_FAILED) {
		int error = -errno;

		free(entity);
		return error;
	}
	/* The table is no child's: a fork of the broker must not write into it. */
	madvise(base, size, MADV_DONTFORK);
	entity->header = base;
	entity->descriptor = descriptor;
	entity->size = size;
	*out = entity;
	return 0;
}

int postern_entity_create(const struct postern_entity_configuration *configuration, struct postern_entity **out)
{
	struct table_header header = { 0 };
	int descriptor;
	int error = lay_out(&header, configuration);

	if (error)
		return error;
	if (getrandom(header.seed, sizeof(header.seed), 0) != (ssize_t)sizeof(header.seed))
		return -EIO;
	descriptor = memfd_create("postern-associations", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (descriptor < 0)
		return -errno;
	/* Sealed against shrinking: a truncated file would be SIGBUS in the one who decides. */
	if (ftruncate(descriptor, (off_t)header.size) != 0 ||
	    fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		error = -errno;
	if (!error)
		error = map(descriptor, header.size, out);
	if (error) {
		close(descriptor);
		return error;
	}
	*(*out)->header = header;
	table_refresh(*out);
	return 0;
}

int postern_entity_attach(int descriptor, struct postern_entity **out)
{
	struct table_header header;
	struct stat status;
	int copy;
	int error;

	if (pread(descriptor, &header, sizeof(header), 0) != (ssize_t)sizeof(header) || fstat(descriptor, &status) != 0)
		return -EINVAL;
	if (header.magic != TABLE_MAGIC || header.version != TABLE_VERSION ||
	    header.abi_version != POSTERN_ABI_VERSION || header.size != (postern_u64)status.st_size ||
	    !(fcntl(descriptor, F_GET_SEALS) & F_SEAL_SHRINK))
		return -EINVAL;
	copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return -errno;
	error = map(copy, header.size, out);
	if (error) {
		close(copy);
		return error;
	}
	table_refresh(*out);
	return 0;
}

void postern_entity_destroy(struct postern_entity *entity)
{
	if (!entity)
		return;
	munmap(entity->header, entity->size);
	close(entity->descriptor);
	free(entity);
}

int postern_entity_descriptor(const struct postern_entity *entity)
{
	return entity->descriptor;
}
