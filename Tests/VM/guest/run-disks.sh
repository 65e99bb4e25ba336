#!/bin/bash
# Whole disks for programs that know nothing of Postern, as nobody, through every way that they read and write.
# vm-memory: 2048
# vm-once: 6.1 it is about programs, not about what differs between kernels
# vm-time-limit: 400
# vm-modules: null_blk:nr_devices=2:gb=1:memory_backed=1 loop
. "$(dirname "$0")/run-scene"

truncate -s 8M "$scene/image"
loop=$(losetup -f --show "$scene/image")
cat >"$scene/policy.yaml" <<POLICY
version: 1
objects:
  scratch: { kind: disk, path: /dev/nullb0, access: read-write }
  image: { kind: disk, path: $loop }
applications: { app: { user: nobody } }
grants:
  - { application: app, object: scratch, operations: [read, write, flush, info] }
  - { application: app, object: image, operations: [read, info] }
POLICY
start_broker
dd_() { as_nobody "$postern" run -- dd "$@" 2>&1; }

head -c 65536 /dev/urandom >"$scene/open/data"
check "dd writes a granted disk" dd_ if="$scene/open/data" of=/dev/nullb0 bs=4096 conv=notrunc,fsync
check "and reads it" dd_ if=/dev/nullb0 of="$scene/open/back" bs=4096 count=16
check "what it wrote" cmp "$scene/open/data" "$scene/open/back"
check "dd with O_DIRECT" dd_ if=/dev/nullb0 of="$scene/open/direct" bs=4096 count=16 iflag=direct
check "reads the same" cmp "$scene/open/data" "$scene/open/direct"
check "another disk is not opened" has "$(dd_ if=/dev/nullb1 of=/dev/null bs=4096 count=1)" "Permission denied"
check "a loop device is read" dd_ if="$loop" of="$scene/open/image" bs=4096 count=4
check "and not written" has "$(dd_ if=/dev/zero of="$loop" bs=4096 count=1 conv=notrunc)" "Permission denied"

fio_() {
	as_nobody "$postern" run -- fio --name=t --filename=/dev/nullb0 --size=1M --bs=4k --direct=1 --rw=randrw --thread \
		--output="$scene/open/fio" --eta=never "$@" 2>&1 || { tail -n 5 "$scene/open/fio"; return 1; }
	grep -q 'err= 0' "$scene/open/fio" || { cat "$scene/open/fio"; return 1; }
}
check "fio: psync" fio_ --ioengine=psync
check "fio: libaio" fio_ --ioengine=libaio --iodepth=8
check "fio: io_uring" fio_ --ioengine=io_uring --iodepth=8
check "fio: io_uring with fixed buffers" fio_ --ioengine=io_uring --iodepth=8 --fixedbufs --registerfiles
check "fio in a process of its own" fio_ --ioengine=psync --thread=0

# A revoke while it works
for engine in psync libaio io_uring; do
	run fio-$engine fio --name=t --filename=/dev/nullb0 --size=64M --bs=4k --direct=1 --rw=randread --thread \
		--time_based --runtime=60 --ioengine=$engine --iodepth=8 --output="$scene/open/fio-$engine" --eta=never
	fio=$started
	check "fio with $engine has the disk" within 60 holds scratch 1
	sleep 1
	check "fio with $engine: its revoke is a recall" revoke --object scratch
	check "fio with $engine is told" within 30 grep -q "Key has been revoked" "$scene/fio-$engine" "$scene/open/fio-$engine"
	stop "$fio"
	"$postern" reload >/dev/null
done
finish
