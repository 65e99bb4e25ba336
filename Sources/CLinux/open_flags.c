/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's own header, which clashes with the C library's fcntl.h. */
#include "clinux_path.h"

#include <asm/fcntl.h>

const uint64_t clinux_o_accmode = O_ACCMODE;
const uint64_t clinux_o_wronly = O_WRONLY;
const uint64_t clinux_o_rdwr = O_RDWR;
const uint64_t clinux_o_creat = O_CREAT;
const uint64_t clinux_o_excl = O_EXCL;
const uint64_t clinux_o_noctty = O_NOCTTY;
const uint64_t clinux_o_trunc = O_TRUNC;
const uint64_t clinux_o_append = O_APPEND;
const uint64_t clinux_o_nonblock = O_NONBLOCK;
const uint64_t clinux_o_dsync = O_DSYNC;
const uint64_t clinux_o_sync = O_SYNC;
const uint64_t clinux_o_async = FASYNC;
const uint64_t clinux_o_direct = O_DIRECT;
const uint64_t clinux_o_largefile = O_LARGEFILE;
const uint64_t clinux_o_directory = O_DIRECTORY;
const uint64_t clinux_o_nofollow = O_NOFOLLOW;
const uint64_t clinux_o_noatime = O_NOATIME;
const uint64_t clinux_o_cloexec = O_CLOEXEC;
const uint64_t clinux_o_path = O_PATH;
const uint64_t clinux_o_tmpfile = O_TMPFILE;
