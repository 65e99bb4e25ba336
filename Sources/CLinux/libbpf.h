/* SPDX-License-Identifier: Apache-2.0 */
/* Private to CLinux: libbpf's calls, found at run time. */
#ifndef CLINUX_LIBBPF_H
#define CLINUX_LIBBPF_H

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#define LIBBPF_CALLS(call)                \
	call(bpf_iter_create)             \
	call(bpf_link__destroy)           \
	call(bpf_link__fd)                \
	call(bpf_link__open)              \
	call(bpf_link__pin)               \
	call(bpf_link_create)             \
	call(bpf_map__fd)                 \
	call(bpf_map__initial_value)      \
	call(bpf_map__name)               \
	call(bpf_map__set_max_entries)    \
	call(bpf_map__set_pin_path)       \
	call(bpf_map_delete_elem)         \
	call(bpf_map_get_next_key)        \
	call(bpf_map_lookup_elem)         \
	call(bpf_map_update_elem)         \
	call(bpf_obj_get)                 \
	call(bpf_obj_get_info_by_fd)      \
	call(bpf_obj_pin)                 \
	call(bpf_object__close)           \
	call(bpf_object__find_map_by_name) \
	call(bpf_object__find_program_by_name) \
	call(bpf_object__load)            \
	call(bpf_object__next_map)        \
	call(bpf_object__next_program)    \
	call(bpf_object__open_file)       \
	call(bpf_prog_load)               \
	call(bpf_prog_test_run_opts)      \
	call(bpf_program__attach)         \
	call(bpf_program__autoload)       \
	call(bpf_program__fd)             \
	call(bpf_program__name)           \
	call(bpf_program__section_name)   \
	call(bpf_program__set_autoload)   \
	call(libbpf_find_vmlinux_btf_id)  \
	call(libbpf_num_possible_cpus)    \
	call(libbpf_set_print)            \
	call(ring_buffer__consume)        \
	call(ring_buffer__epoll_fd)       \
	call(ring_buffer__free)           \
	call(ring_buffer__new)

struct libbpf_calls {
#define LIBBPF_MEMBER(name) __typeof__(&name) name;
	LIBBPF_CALLS(LIBBPF_MEMBER)
#undef LIBBPF_MEMBER
};

/* NULL: the library is not there, or is too old; `why` says which, for people. */
const struct libbpf_calls *clinux_libbpf(const char **why);

#endif
