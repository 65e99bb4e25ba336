#!/bin/bash
# Disks of a real kernel's drivers: granted, used, refused, taken back.
#
# vm-kernels: 6.1 6.12
# vm-once: 6.12 the devices' drivers are the same on both; the soak has both
# vm-time-limit: 150
# vm-device: -M q35 -device edu -device qemu-xhci -device usb-tablet
# vm-device: -drive if=none,id=stick,file.driver=null-co,file.size=1M,format=raw,readonly=on
# vm-device: -device usb-storage,drive=stick
# vm-device: -chardev socket,id=wire,path=SCRATCH/wire,server=on,wait=off -chardev socket,id=line,path=SCRATCH/wire
# vm-device: -device isa-serial,chardev=wire -device isa-serial,chardev=line
# vm-device: -drive if=none,id=fast,file.driver=null-co,file.size=16M,format=raw,snapshot=on
# vm-device: -device nvme,drive=fast,serial=postern
# vm-device: -drive if=none,id=plain,file.driver=null-co,file.size=16M,format=raw,snapshot=on
# vm-device: -device virtio-blk-pci,drive=plain
. Tests/VM/guest/lib.bash
. Tests/VM/guest/devices.bash

begin "setting up disks"
disks

broker_start <<POLICY
version: 1
objects:
  scsi: { kind: disk, path: $scsi_path, range: { offset: 1MiB, length: 1MiB }, access: read-write }
  scsi-whole: { kind: disk, path: $scsi_path }
  nvme: { kind: disk, path: /dev/nvme0n1, range: { offset: 1MiB, length: 1MiB }, access: read-write }
  virtio: { kind: disk, path: /dev/vda, range: { offset: 1MiB, length: 1MiB }, access: read-write }
  virtio-alone: { kind: disk, path: /dev/vda, range: { offset: 1572864, length: 1MiB }, exclusive: true }
  null: { kind: disk, path: /dev/nullb0, range: { offset: 1MiB, length: 1MiB }, access: read-write }
applications:
  tests: { user: daemon }
grants:
  - { application: tests, object: scsi, operations: [read, write, flush, discard, info], path: mediated }
  - { application: tests, object: scsi-whole, operations: [read, info], path: mediated }
  - { application: tests, object: nvme, operations: [read, write, flush, discard, info], path: mediated }
  - { application: tests, object: virtio, operations: [read, write, flush, info], path: mediated }
  - { application: tests, object: virtio-alone, operations: [read], path: mediated }
  - { application: tests, object: "null", operations: [read, write, flush, discard, info], path: mediated }
POLICY
client_start

# disk NAME OBJECT PATH: of the object's range, the bytes 64 KiB on are read, those 128 KiB on written.
disk() {
	local object=$2 path=$3 pattern
	begin "$1"
	pattern=$(od -An -v -tx1 -N 4096 /dev/urandom | tr -d ' \n')
	bytes "$pattern" | dd of="$path" bs=4096 seek=$(((1024 + 64) / 4)) oflag=direct status=none
	postern_as daemon read "$object" --offset 65536 --length 4096
	allowed "a read"
	is "what was read" "$(hex "$scratch/out")" "$pattern"
	postern_as nobody read "$object" --length 512
	refused "a read of another user" "there is no such object"
	audited "$object" no-such-object nobody
	bytes "$pattern" >"$scratch/in"
	as daemon "$programs/postern" write "$object" --offset 131072 <"$scratch/in"
	allowed "a write"
	told "open $object read,write,flush" ok
	told "write $object 131072 c0ffee" "ok 3"
	told "flush $object" ok
	dd if="$path" of="$scratch/back" bs=4096 skip=$(((1024 + 128) / 4)) count=1 iflag=direct status=none
	is "what is on the disk" "$(hex "$scratch/back")" "c0ffee${pattern:6}"
	told "read $object 1048576 512" "ok "
	told "write $object 1048575 0102" "refused limit EPERM"
	audited "$object" limit daemon
	taken_back "$object" read "write $object 131072 00000000"
	told "read $object 0 512" "refused revoked EKEYREVOKED"
	dd if="$path" of="$scratch/back" bs=4096 skip=$(((1024 + 128) / 4)) count=1 iflag=direct status=none
	is "what is on the disk after the revoke" "$(hex "$scratch/back" 0 4)" "c0ffee${pattern:6:2}"
	finish
}

begin "discarding"
bytes 0102030405060708 | dd of=/dev/nullb0 bs=512 conv=sync,nocreat seek=2048 oflag=direct status=none
told "open null discard,read" ok
told "read null 0 4" "ok 01020304"
told "discard null 0 4096" ok
told "read null 0 4" "ok 00000000"
told "discard null 1048064 1024" "refused limit EPERM"
told "close null" ok
finish

disk "scsi_debug" scsi "$scsi_path"
disk "nvme" nvme /dev/nvme0n1
disk "virtio-blk" virtio /dev/vda
begin "an exclusive part of a disk"
told "open virtio-alone read" ok
postern_as daemon read virtio-alone --length 512
refused "a read of another process" "another process holds"
told "close virtio-alone" ok
postern_as daemon read virtio-alone --length 512
allowed "a read after that"
audited virtio-alone busy daemon
finish

disk "null_blk" null /dev/nullb0

begin "a disk that is pulled"
told "open scsi-whole read,info" ok
told "read scsi-whole 1179648 3" "ok c0ffee"
told "write scsi-whole 0 00" "refused operation EACCES"
echo 1 >"/sys/block/${scsi_path#/dev/}/device/delete"
told "read scsi-whole 8388608 4096" "failed ENXIO"
told "open scsi-whole read" "failed ENOENT"
told "read scsi-whole 1179648 3" "refused stale ESTALE"
audited scsi-whole operation daemon
finish

audit_group

begin "the broker ends well"
broker_stop
finish
scene_end
