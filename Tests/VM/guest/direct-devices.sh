#!/bin/bash
# Disks, pci, serial and hid whose descriptors programs have themselves: the kernel's programs check the calls of libpostern.
#
# vm-kernels: 6.1 6.12
# vm-time-limit: 240
# vm-device: -M q35 -device edu -device qemu-xhci -device usb-tablet
# vm-device: -drive if=none,id=stick,file.driver=null-co,file.size=1M,format=raw,readonly=on
# vm-device: -device usb-storage,drive=stick
# vm-device: -chardev socket,id=wire,path=SCRATCH/wire,server=on,wait=off -chardev socket,id=line,path=SCRATCH/wire
# vm-device: -device isa-serial,chardev=wire -device isa-serial,chardev=line
# vm-device: -drive if=none,id=fast,file.driver=null-co,file.size=16M,format=raw,snapshot=on
# vm-device: -device nvme,drive=fast,serial=postern
# vm-device: -drive if=none,id=plain,file.driver=null-co,file.size=16M,format=raw,snapshot=on
# vm-device: -device virtio-blk-pci,drive=plain
. Tests/VM/guest/direct.bash
. Tests/VM/guest/devices.bash

begin "setting up devices"
disks
pad
stty -F /dev/ttyS2 raw -echo 115200
exec {far}<>/dev/ttyS2
card=$(edu_card)

cat >"$scratch/policy.yaml" <<POLICY
version: 1
objects:
  scsi: { kind: disk, path: $scsi_path, access: read-write }
  nvme: { kind: disk, path: /dev/nvme0n1, access: read-write }
  virtio: { kind: disk, path: /dev/vda, access: read-write }
  null: { kind: disk, path: /dev/nullb0, access: read-write }
  card-config: { kind: bus, bus: pci, path: "${card##*/}", region: config }
  card-memory: { kind: bus, bus: pci, path: "${card##*/}", region: bar0 }
  wire: { kind: bus, bus: serial, path: /dev/ttyS1, baud: 115200, ioctls: [TIOCMGET, FIONREAD] }
  pad: { kind: bus, bus: hid, path: /dev/hidraw0, ioctls: [HIDIOCGRDESCSIZE] }
applications:
  tests: { user: daemon }
grants:
  - { application: tests, object: scsi, operations: [read, write, flush, info], path: direct }
  - { application: tests, object: nvme, operations: [read, write, flush, info], path: direct }
  - { application: tests, object: virtio, operations: [read, write, flush, info], path: direct }
  - { application: tests, object: "null", operations: [read, write, flush, info], path: direct }
  - { application: tests, object: card-config, operations: [read], path: direct }
  - { application: tests, object: card-memory, operations: [read], path: direct }
  - { application: tests, object: wire, operations: [read, write, control, wait], path: direct }
  - { application: tests, object: pad, operations: [read, write, control, wait], path: direct }
POLICY
direct_start
client_start

# disk OBJECT PATH
disk() {
	local object=$1 path=$2 pattern
	begin "$object"
	pattern=$(od -An -v -tx1 -N 4096 /dev/urandom | tr -d ' \n')
	bytes "$pattern" | dd of="$path" bs=4096 seek=16 oflag=direct status=none
	told "open $object read,write,flush" ok
	told "read $object 65536 4096" "ok $pattern"
	told "write $object 131072 c0ffee" "ok 3"
	told "flush $object" ok
	dd if="$path" of="$scratch/back" bs=4096 skip=32 count=1 iflag=direct status=none
	is "what is on the disk" "$(hex "$scratch/back" 0 3)" c0ffee
	told "open $object discard" "refused operation EACCES"
	audited "$object" operation daemon
	taken_back "$object" read "write $object 131072 000000"
	told "read $object 65536 512" "refused revoked EKEYREVOKED"
	dd if="$path" of="$scratch/back" bs=4096 skip=32 count=1 iflag=direct status=none
	is "what is on the disk after the revoke" "$(hex "$scratch/back" 0 3)" c0ffee
	finish
}
disk scsi "$scsi_path"
disk nvme /dev/nvme0n1
disk virtio /dev/vda
disk "null" /dev/nullb0

begin "pci"
told "open card-config read" ok
told "read card-config 0 4" "ok 3412e811"
told "write card-config 4 0000" "refused operation EACCES"
taken_back card-config read "read card-config 0 4"
# Its memory can only be mapped.
told "open card-memory read" "refused refused EKEYREJECTED"
audited card-memory refused daemon
finish

begin "serial"
use_wire
ask "control wire 0x5415 4"
has "the modem lines" "$answer" "ok 0 "
# TIOCMSET; the driver could have answered so, too.
told "control wire 0x5418 4 00000000" "failed EPERM"
audited wire limit daemon
say "read wire 0 5"
sleep 0.2
taken_back wire read,write
told "write wire 0 6e6f" "refused revoked EKEYREVOKED"
silent_wire
finish

begin "hid"
use_pad
told "control pad 0x80084803 8" "failed EPERM"
audited pad limit daemon
say "read pad 0 16"
sleep 0.2
taken_back pad read,write,control,wait
told "write pad 0 000000000000000000" "refused revoked EKEYREVOKED"
finish

sleep 1
audit_group
scene_end
