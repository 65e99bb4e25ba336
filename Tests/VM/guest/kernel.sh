#!/bin/bash
# The guest is what the other scenes take it for: a stock kernel that lets BPF programs decide, and keeps nobody out.
# vm-memory: 2048
set -euo pipefail

failed=0
# check NAME COMMAND...: its output is the reason if it fails.
check() {
	local name=$1 why
	shift
	if why=$("$@" 2>&1); then
		echo "ok $name"
	else
		echo "FAIL $name: ${why:-no reason given}"
		failed=1
	fi
}

is_version() {
	case $(uname -r) in
	"$POSTERN_VM".*) ;;
	*)
		echo "it is $(uname -r)"
		return 1
		;;
	esac
}
has_bpf_lsm() {
	case ,$(cat /sys/kernel/security/lsm), in
	*,bpf,*) ;;
	*)
		echo "lsm is $(cat /sys/kernel/security/lsm)"
		return 1
		;;
	esac
}
has_types() {
	[ "$(od -An -t x2 -N 2 /sys/kernel/btf/vmlinux | tr -d ' ')" = eb9f ]
}
is_unlocked() {
	if [ -e /sys/kernel/security/lockdown ]; then
		grep -F '[none]' /sys/kernel/security/lockdown
	fi
}
# io_uring_setup(2) is 425 on every architecture; a bad pointer is EFAULT (14) where io_uring may be used.
has_io_uring() {
	/usr/bin/python3 -c '
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall(425, 1, None)
if ctypes.get_errno() != 14:
    sys.exit(os.strerror(ctypes.get_errno()))'
}
# A module that no scene of the same machine uses.
loads_modules() {
	modprobe brd rd_nr=1 && [ -b /dev/ram0 ] && modprobe -r brd
}
# What a guest writes into the tree that it shares with the host stays in its memory.
keeps_changes() {
	[ "$(findmnt -n -o FSTYPE /)" = overlay ] && touch "kernel-scene.$$" && rm "kernel-scene.$$"
}

check "the kernel is a stock $POSTERN_VM" is_version
check "BPF programs may decide: bpf is among the security modules" has_bpf_lsm
check "the kernel describes its types" has_types
check "lockdown is off" is_unlocked
check "io_uring is enabled" has_io_uring
check "a module of Debian's loads and unloads" loads_modules
check "the tree is the host's, and changes stay here" keeps_changes
exit $failed
