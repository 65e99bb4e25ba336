/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's types as far as the programs read them. Offsets are found at load (CO-RE), so that one object serves every
 * kernel; names and members are those of the kernel's headers.
 */
#ifndef POSTERN_KERNEL_H
#define POSTERN_KERNEL_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef unsigned short umode_t;
typedef _Bool bool;

#define true 1
#define false 0

enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
};

#define BPF_F_NO_PREALLOC (1U << 0)
#define BPF_F_CLONE (1U << 9)
#define BPF_F_MMAPABLE (1U << 10)
#define BPF_LOCAL_STORAGE_GET_F_CREATE 1

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct super_block {
	__u32 s_dev;
};

struct inode {
	umode_t i_mode;
	__u32 i_rdev;
	unsigned long i_ino;
	struct super_block *i_sb;
};

struct dentry {
	struct inode *d_inode;
};

struct vfsmount {
	struct super_block *mnt_sb;
};

struct path {
	struct dentry *dentry;
};

struct file {
	struct inode *f_inode;
	struct path f_path;
};

struct sock_common {
	unsigned short skc_family;
	volatile unsigned char skc_state;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_type;
	__u16 sk_protocol;
	void *sk_bpf_storage;
};

struct packet_sock {
	int ifindex;
};

struct socket {
	struct sock *sk;
};

struct sockaddr {
	unsigned short sa_family;
};

struct msghdr {
	void *msg_name;
	int msg_namelen;
	unsigned long msg_controllen;
	unsigned int msg_flags;
};

struct mm_struct {
	struct file *exe_file;
};

struct user_namespace {
	int level;
};

/* Two words, or one of 64 bits since Linux 6.3. */
typedef struct {
	__u64 bits;
} kernel_cap_t;

struct cred {
	kernel_cap_t cap_effective;
	struct user_namespace *user_ns;
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
};

struct task_struct {
	unsigned int flags;
	int pid;
	int tgid;
	struct task_struct *group_leader;
	struct mm_struct *mm;
	__u64 start_boottime;
	__u64 self_exec_id;
	struct task_struct *real_parent;
	struct signal_struct *signal;
	const struct cred *cred;
	char comm[16];
};

/* What the running task has asked for: the number of its system call. */
struct pt_regs {
#if defined(__TARGET_ARCH_x86)
	unsigned long orig_ax;
#elif defined(__TARGET_ARCH_arm64)
	int syscallno;
#endif
};

struct linux_binprm {
	unsigned int secureexec : 1;
};

struct io_uring_cmd {
	struct file *file;
};

struct bpf_map {
	__u32 id;
};

struct bpf_prog_aux {
	__u32 id;
};

struct bpf_prog {
	struct bpf_prog_aux *aux;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

/* Of bpf(2): only the numbers are read. */
union bpf_attr {
	__u32 id;
};

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* The system call that the running task is in; -1: not known on this machine. */
static __always_inline int current_call(void)
{
	struct pt_regs *registers = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());

#if defined(__TARGET_ARCH_x86)
	return (int)BPF_CORE_READ(registers, orig_ax);
#elif defined(__TARGET_ARCH_arm64)
	return BPF_CORE_READ(registers, syscallno);
#else
	return -1;
#endif
}

/* include/linux/sched.h, include/linux/stat.h, include/linux/fs.h, include/linux/socket.h, include/net/tcp_states.h */
#define PF_IO_WORKER 0x10
#define CLONE_THREAD 0x10000ul
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define S_IFREG 0100000
#define S_IFBLK 0060000
#define S_IFCHR 0020000
#define MAY_WRITE 0x2
#define MAY_READ 0x4
#define MAY_APPEND 0x8
#define MSG_FASTOPEN 0x20000000u
#define AF_UNSPEC 0
#define AF_PACKET 17
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_RAW 3
#define TCP_LISTEN 10
#define PTRACE_MODE_ATTACH 0x2
#define CAP_SYS_ADMIN 21
/* include/uapi/asm-generic/unistd.h; the same number in every table. */
#define NR_PIDFD_GETFD 438

#endif
