/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The doors of open files. The tag is the open file's, not the device's or the inode's: whoever opens the same file by a
 * right of their own has nothing to do with Postern. fsync, lseek, readahead and poll have no hook.
 */
#ifndef POSTERN_FILES_H
#define POSTERN_FILES_H

#include "sockets.h"

/* include/uapi/asm-generic/ioctls.h, sockios.h, linux/fs.h */
#define FIONREAD 0x541b
#define FIONBIO 0x5421
#define FIONCLEX 0x5450
#define FIOCLEX 0x5451
#define FIOASYNC 0x5452
#define TIOCOUTQ 0x5411
#define BLKROGET 0x125e
#define BLKGETSIZE 0x1260
#define TCGETS 0x5401
#define TCGETS2 0x802c542a
#define SIOCATMARK 0x8905
#define SIOCGSTAMP 0x8906
#define SIOCGSTAMPNS 0x8907
#define SIOCGIFNAME 0x8910
#define SIOCGIFCONF 0x8912
#define SIOCGIFFLAGS 0x8913
#define SIOCGIFADDR 0x8915
#define SIOCGIFBRDADDR 0x8919
#define SIOCGIFNETMASK 0x891b
#define SIOCGIFMTU 0x8921
#define SIOCGIFHWADDR 0x8927
#define SIOCGIFINDEX 0x8933
#define SIOCETHTOOL 0x8946
#define BLKFLSBUF 0x1261
#define BLKSSZGET 0x1268
#define BLKDISCARD 0x1277
#define BLKIOMIN 0x1278
#define BLKIOOPT 0x1279
#define BLKALIGNOFF 0x127a
#define BLKPBSZGET 0x127b
#define BLKDISCARDZEROES 0x127c
#define BLKROTATIONAL 0x127e
#define BLKGETSIZE64 0x80081272

static __always_inline bool may_be_tagged(__u64 number)
{
	__u32 bit = postern_filter_bit(number);

	return control.filter[bit / 64 % POSTERN_DIRECT_FILTER_WORDS] >> (bit & 63) & 1;
}

static __always_inline __u32 type_bit(umode_t type)
{
	return 1u << (type >> 12);
}

static __always_inline struct postern_tag *tag_of_file(struct file *file, umode_t type)
{
	struct inode *inode = file->f_inode;
	kept_tag tag;
	__u64 key = (__u64)file;

	if (!(control.types & type_bit(type)) || !may_be_tagged(type == S_IFREG ? inode->i_ino : inode->i_rdev))
		return 0;
	return has_place(key, &tag) ? tag : bpf_map_lookup_elem(&file_tags, &key);
}

/* The tag of a file or, by way of its file, of a socket. */
struct tagged_file {
	struct postern_tag *tag;
	bool is_socket;
	bool is_accepted;
};

static __always_inline bool look_up_file(struct file *file, struct tagged_file *found)
{
	umode_t type = file->f_inode->i_mode & S_IFMT;

	found->is_accepted = false;
	found->is_socket = type == S_IFSOCK;
	if (found->is_socket) {
		struct socket *socket = bpf_sock_from_file(file);
		struct tagged tagged;

		if (!socket || !look_up_socket(socket, &tagged))
			return false;
		found->tag = tagged.tag;
		found->is_accepted = tagged.is_accepted;
		return true;
	}
	found->tag = tag_of_file(file, type);
	return found->tag;
}

static __noinline int file_permission_anew(struct file *file, int mask)
{
	bool writes = mask & (MAY_WRITE | MAY_APPEND);
	struct tagged_file found;
	__u32 opcode, rule;
	int refused;

	if (!look_up_file(file, &found))
		return 0;
	rule = found.is_accepted ? RULE_ANY_OPERATION : RULE_NONE;
	/* Both at once are asked for by nobody, and would be both. */
	if (writes && mask & MAY_READ) {
		struct attempt attempt = attempted(found.tag, found.is_socket ? POSTERN_OP_RECEIVE : POSTERN_OP_READ,
						   POSTERN_DOOR_READ, rule);

		refused = bounded(direct_judge_plain(&attempt));
		if (refused)
			return refused;
	}
	if (found.is_socket)
		opcode = writes ? POSTERN_OP_SEND : POSTERN_OP_RECEIVE;
	else
		opcode = writes ? POSTERN_OP_WRITE : POSTERN_OP_READ;
	return authorize(found.tag, opcode, writes ? POSTERN_DOOR_WRITE : POSTERN_DOOR_READ, rule);
}

static __always_inline int file_door(struct file *file, int mask, __u32 opcode, __u32 door)
{
	kept_tag tag;

	if (!has_place((__u64)file, &tag))
		return file_permission_anew(file, mask);
	if (is_owners(&tag, 1u << opcode, true))
		return 0;
	return authorize_anew(tag, opcode, door, RULE_NONE);
}

/* Files that are no objects, and owners', come first: the rest is in functions that are called. */
SEC("lsm/file_permission")
int BPF_PROG(direct_file_permission, struct file *file, int mask)
{
	struct inode *inode = file->f_inode;
	__u32 type = inode->i_mode >> 12;

	if (!((control.types | type_bit(S_IFSOCK)) >> type & 1))
		return 0;
	if (type == S_IFSOCK >> 12)
		return file_permission_anew(file, mask);
	if (!may_be_tagged(type == S_IFREG >> 12 ? inode->i_ino : inode->i_rdev))
		return 0;
	/* Both at once are asked for by nobody. */
	if (!(mask & (MAY_WRITE | MAY_APPEND)))
		return file_door(file, MAY_READ, POSTERN_OP_READ, POSTERN_DOOR_READ);
	if (!(mask & MAY_READ))
		return file_door(file, MAY_WRITE, POSTERN_OP_WRITE, POSTERN_DOOR_WRITE);
	return file_permission_anew(file, mask);
}

/* Requests that are about the descriptor, or say what it is: for everybody who has a live association. */
static __always_inline bool is_harmless(unsigned int request)
{
	return request == FIONBIO || request == FIOASYNC || request == FIOCLEX || request == FIONCLEX ||
	       request == FIONREAD || request == TIOCOUTQ;
}

/*
 * Of a socket of the program's own: questions about the machine's interfaces and the last packet's time, which every socket
 * answers and which say nothing of this one; what would change something needs CAP_NET_ADMIN (netdevice(7)).
 */
static __always_inline bool is_question(unsigned int request)
{
	switch (request) {
	case SIOCATMARK:
	case SIOCGSTAMP:
	case SIOCGSTAMPNS:
	case SIOCGIFNAME:
	case SIOCGIFCONF:
	case SIOCGIFFLAGS:
	case SIOCGIFADDR:
	case SIOCGIFBRDADDR:
	case SIOCGIFNETMASK:
	case SIOCGIFMTU:
	case SIOCGIFHWADDR:
	case SIOCGIFINDEX:
	case SIOCETHTOOL:
		return true;
	default:
		return false;
	}
}

static __always_inline __u32 opcode_of_request(unsigned int request, umode_t type)
{
	if (type != S_IFBLK)
		return POSTERN_OP_CONTROL;
	switch (request) {
	case BLKDISCARD:
		return POSTERN_OP_DISCARD;
	case BLKFLSBUF:
		return POSTERN_OP_FLUSH;
	case BLKROGET:
	case BLKGETSIZE:
	case BLKGETSIZE64:
	case BLKSSZGET:
	case BLKPBSZGET:
	case BLKIOMIN:
	case BLKIOOPT:
	case BLKALIGNOFF:
	case BLKDISCARDZEROES:
	case BLKROTATIONAL:
		return POSTERN_OP_INFO;
	default:
		return POSTERN_OP_CONTROL;
	}
}

static __always_inline int ioctl_door(struct file *file, unsigned int request)
{
	umode_t type = file->f_inode->i_mode & S_IFMT;
	struct tagged_file found;
	struct attempt attempt;
	bool is_own;
	__u32 rule;

	if (!look_up_file(file, &found))
		return 0;
	is_own = found.is_socket && (found.is_accepted || found.tag->flags & POSTERN_TAG_OWN);
	rule = is_harmless(request) || (is_own && is_question(request)) ? RULE_ANY_OPERATION : RULE_NONE;
	/* isatty(3), of what is no terminal. */
	if (request == TCGETS && type != S_IFCHR)
		rule = RULE_ANY_OPERATION;
	attempt = attempted(found.tag, opcode_of_request(request, type), POSTERN_DOOR_IOCTL, rule);
	/* What a terminal tells by its older request is part of what it tells by the newer one, which policies name. */
	attempt.operands.request = request == TCGETS && type == S_IFCHR ? TCGETS2 : request;
	return bounded(direct_judge(&attempt));
}

/* control.pending becomes the file's or socket's tag. */
static __always_inline int tag_file(struct file *file)
{
	umode_t type = file->f_inode->i_mode & S_IFMT;
	struct postern_tag made = control.pending;
	__u64 key = (__u64)file;
	__u64 number;
	__u32 bit;

	if (type == S_IFSOCK) {
		struct socket *socket = bpf_sock_from_file(file);

		return socket && tag_socket(socket) ? -POSTERN_DIRECT_DONE : -22;
	}
	if (type != S_IFREG && type != S_IFCHR && type != S_IFBLK)
		return -22;
	number = type == S_IFREG ? file->f_inode->i_ino : file->f_inode->i_rdev;
	bit = postern_filter_bit(number);
	made.self = key;
	if (bpf_map_update_elem(&file_tags, &key, &made, BPF_ANY))
		return -12;
	cache_tag(key, &made);
	__sync_fetch_and_or(&control.types, type_bit(type));
	__sync_fetch_and_or(&control.filter[bit / 64 % POSTERN_DIRECT_FILTER_WORDS], 1ull << (bit & 63));
	return -POSTERN_DIRECT_DONE;
}

SEC("lsm/file_ioctl")
int BPF_PROG(direct_file_ioctl, struct file *file, unsigned int request, unsigned long argument)
{
	if (request == POSTERN_DIRECT_TAG && is_broker_running())
		return tag_file(file);
	return ioctl_door(file, request);
}

/* Calls of 32-bit programs and int 0x80, which do not come by the hook above where the kernel has this one. */
SEC("?lsm/file_ioctl_compat")
int BPF_PROG(direct_file_ioctl_compat, struct file *file, unsigned int request, unsigned long argument)
{
	return ioctl_door(file, request);
}

/* ftruncate(2) has a hook of its own since Linux 6.2. */
SEC("?lsm/file_truncate")
int BPF_PROG(direct_file_truncate, struct file *file)
{
	struct tagged_file found;

	return look_up_file(file, &found) ? authorize(found.tag, POSTERN_OP_WRITE, POSTERN_DOOR_WRITE, RULE_NONE) : 0;
}

/*
 * Before that it comes by the hook of truncate(2), with the path inside the open file itself; the path of a name that was
 * looked up is somewhere else, so that no tag is found.
 */
SEC("lsm/path_truncate")
int BPF_PROG(direct_path_truncate, const struct path *path)
{
	__u64 key = (__u64)path - bpf_core_field_offset(struct file, f_path);
	struct postern_tag *tag = bpf_map_lookup_elem(&file_tags, &key);

	return tag ? authorize(tag, POSTERN_OP_WRITE, POSTERN_DOOR_WRITE, RULE_NONE) : 0;
}

/* What is mapped is used without a system call, so that nobody could check it. */
SEC("lsm/mmap_file")
int BPF_PROG(direct_mmap_file, struct file *file, unsigned long requested, unsigned long protection, unsigned long flags)
{
	struct tagged_file found;
	struct attempt attempt;
	int refused;

	if (!file || !look_up_file(file, &found))
		return 0;
	attempt = attempted(found.tag, found.is_socket ? POSTERN_OP_RECEIVE : POSTERN_OP_READ, POSTERN_DOOR_MMAP, RULE_MMAP);
	refused = bounded(direct_judge_plain(&attempt));
	/*
	 * MAP_SHARED or MAP_SHARED_VALIDATE with PROT_WRITE (mman(7)). A ring to receive with is written, too, to give its
	 * places back (packet_mmap.rst); one to send with is refused where it is made (direct_setsockopt).
	 */
	if (refused || found.is_socket || !(flags & 1) || !(protection & 2))
		return refused;
	attempt.opcode = POSTERN_OP_WRITE;
	return bounded(direct_judge_plain(&attempt));
}

/* Commands go to the driver as it likes, with operands in memory: no association covers them. */
SEC("lsm/uring_cmd")
int BPF_PROG(direct_uring_command, struct io_uring_cmd *command)
{
	struct tagged_file found;
	struct attempt attempt;

	if (!look_up_file(command->file, &found))
		return 0;
	attempt = attempted(found.tag, POSTERN_OP_TRANSFER, POSTERN_DOOR_URING_COMMAND, RULE_NEVER);
	return bounded(direct_judge_plain(&attempt));
}

/* Refusing here would lose the other descriptors of the message: it is noted, and use is refused. */
SEC("lsm/file_receive")
int BPF_PROG(direct_file_receive, struct file *file)
{
	struct tagged_file found;
	struct attempt attempt;

	if (!look_up_file(file, &found))
		return 0;
	attempt = attempted(found.tag, 0, POSTERN_DOOR_RECEIVE_DESCRIPTOR, RULE_NONE);
	attempt.reason = POSTERN_REASON_NOT_ASSOCIATED;
	identify(&attempt.process, bpf_get_current_task_btf()->group_leader);
	if (!is_broker(&attempt.process) && !find(attempt.object, &attempt.process))
		direct_tell(&attempt, POSTERN_EVENT_RECEIVED, &attempt.process);
	return 0;
}

SEC("lsm/file_free_security")
void BPF_PROG(direct_file_free, struct file *file)
{
	__u64 key = (__u64)file;

	if (!tag_of_file(file, file->f_inode->i_mode & S_IFMT))
		return;
	forget_tag(key);
	bpf_map_delete_elem(&file_tags, &key);
}

#endif
