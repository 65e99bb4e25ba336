/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of a FUSE file system that passes on to the disk. Without the page cache (direct_io): with it, the kernel answers
 * reads without asking, and nothing is checked. Bytes of reads go from the disk by splice(2) where libfuse can.
 */
#define FUSE_USE_VERSION 35
#include "peers.h"

#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define INODE 2
#define NAME "disk"

static int disk = -1;
static pid_t holder = -1;

static struct stat attributes(fuse_ino_t inode)
{
	struct stat stat = { .st_ino = inode, .st_nlink = 1, .st_mode = S_IFDIR | 0755 };

	if (inode == INODE) {
		stat.st_mode = S_IFREG | 0600;
		stat.st_uid = NOBODY;
		stat.st_size = LENGTH;
	}
	return stat;
}

static void look_up(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = { .ino = INODE, .attr = attributes(INODE), .attr_timeout = 3600, .entry_timeout = 3600 };

	if (parent == FUSE_ROOT_ID && !strcmp(name, NAME))
		fuse_reply_entry(request, &entry);
	else
		fuse_reply_err(request, ENOENT);
}

static void get_attributes(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file)
{
	struct stat stat = attributes(inode);

	(void)file;
	fuse_reply_attr(request, &stat, 3600);
}

static void open_file(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file)
{
	const struct fuse_ctx *context = fuse_req_ctx(request);

	if (inode != INODE || context->uid != NOBODY) {
		fuse_reply_err(request, EACCES);
		return;
	}
	holder = context->pid;
	file->direct_io = 1;
	fuse_reply_open(request, file);
}

/* 0, or an errno. */
static int check(fuse_req_t request, size_t size, off_t offset)
{
	if (fuse_req_ctx(request)->pid != holder)
		return EKEYEXPIRED;
	if (offset < 0 || offset > LENGTH || size > LENGTH - (size_t)offset)
		return EPERM;
	return 0;
}

static void read_file(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset, struct fuse_file_info *file)
{
	struct fuse_bufvec from = FUSE_BUFVEC_INIT(size);
	int refused = check(request, size, offset);

	(void)inode;
	(void)file;
	if (refused) {
		fuse_reply_err(request, refused);
		return;
	}
	from.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	from.buf[0].fd = disk;
	from.buf[0].pos = offset;
	fuse_reply_data(request, &from, FUSE_BUF_SPLICE_MOVE);
}

static void write_file(fuse_req_t request, fuse_ino_t inode, struct fuse_bufvec *from, off_t offset,
		       struct fuse_file_info *file)
{
	struct fuse_bufvec to = FUSE_BUFVEC_INIT(fuse_buf_size(from));
	int refused = check(request, fuse_buf_size(from), offset);
	ssize_t count;

	(void)inode;
	(void)file;
	if (refused) {
		fuse_reply_err(request, refused);
		return;
	}
	to.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	to.buf[0].fd = disk;
	to.buf[0].pos = offset;
	count = fuse_buf_copy(&to, from, 0);
	if (count < 0)
		fuse_reply_err(request, (int)-count);
	else
		fuse_reply_write(request, (size_t)count);
}

static const struct fuse_lowlevel_ops operations = {
	.lookup = look_up, .getattr = get_attributes, .open = open_file, .read = read_file, .write_buf = write_file,
};

static void path_of(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/fuse%s%s", needed("PEERS_SCRATCH"), *name ? "/" : "", name);
}

/* One thread, which is fastest for one client. */
static void serve(int answer)
{
	char path[4096], options[] = "allow_other,default_permissions,fsname=postern-bench", program[] = "fuse", option[] = "-o";
	char *line[] = { program, option, options, NULL };
	struct fuse_args arguments = FUSE_ARGS_INIT(3, line);
	struct fuse_session *session;

	path_of(path, sizeof(path), "");
	disk = open(needed("PEERS_DISK"), O_RDWR | O_CLOEXEC);
	session = fuse_session_new(&arguments, &operations, sizeof(operations), NULL);
	if (disk < 0 || !session || fuse_session_mount(session, path) || write(answer, "", 1) != 1)
		_exit(1);
	fuse_session_loop(session);
	_exit(0);
}

static void prepare(struct way *way)
{
	char path[4096], byte;
	int answer[2];

	path_of(path, sizeof(path), "");
	if (pipe2(answer, O_CLOEXEC))
		die("pipe");
	if (server(way) == 0)
		serve(answer[1]);
	close(answer[1]);
	if (read(answer[0], &byte, 1) != 1)
		cannot(way, "mounting was refused: no /dev/fuse, or no right to");
	close(answer[0]);
}

static void open_mounted(struct way *way)
{
	char path[4096];

	(void)way;
	path_of(path, sizeof(path), NAME);
	held.disk = open(path, O_RDWR | O_CLOEXEC);
	if (held.disk < 0)
		die(path);
}

static int offers(const struct task *task)
{
	return at_once(task) && (on_disk(task) || task->operation == OPEN_DISK);
}

static void perform(const struct task *task)
{
	char path[4096];

	if (task->operation != OPEN_DISK) {
		operate_plainly(task);
		return;
	}
	path_of(path, sizeof(path), NAME);
	held.acquired = open(path, O_RDWR | O_CLOEXEC);
	if (held.acquired < 0)
		die("open");
}

struct way fuse = { .name = "FUSE file", .prepare = prepare, .open = open_mounted, .offers = offers, .perform = perform,
		    .release = close_acquired };
