#!/bin/bash
# pci, serial, hid and usb on the drivers of a real kernel: granted, used, refused, taken back.
#
# vm-kernels: 6.1 6.12
# vm-once: 6.1 the devices' drivers are the same on both; the soak has both
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
. Tests/VM/guest/lib.bash
. Tests/VM/guest/devices.bash

begin "setting up ports"
modprobe xhci-pci

# usb NAME: the folder of the usb device with that product name.
usb() { grep -lx "$1" /sys/bus/usb/devices/*/product | head -n 1 | xargs -r dirname; }
usb_path() { printf '/dev/bus/usb/%03d/%03d' "$(cat "$1/busnum")" "$(cat "$1/devnum")"; }
await "the usb devices" eval '[ -n "$(usb "QEMU USB Tablet")" ] && [ -n "$(usb "QEMU USB HARDDRIVE")" ]'
tablet=$(usb 'QEMU USB Tablet')
stick=$(usb 'QEMU USB HARDDRIVE')

card=$(edu_card)
pad
mkfifo "$scratch/silence"
exec {silence}<>"$scratch/silence"
"$programs/hid-device" "Postern pulled pad" <&"$silence" >/dev/null 2>&1 &
pulled=$!
children+=($pulled)
await "another hid device" grep -q 'Postern pulled pad' /sys/class/hidraw/hidraw1/device/uevent

broker_start <<POLICY
version: 1
objects:
  card-config: { kind: bus, bus: pci, path: "${card##*/}", region: config }
  card-memory: { kind: bus, bus: pci, path: "${card##*/}", region: bar0 }
  wire: { kind: bus, bus: serial, path: /dev/ttyS1, baud: 115200, ioctls: [TIOCMGET, FIONREAD] }
  pad: { kind: bus, bus: hid, path: /dev/hidraw0, ioctls: [HIDIOCGRDESCSIZE, HIDIOCGRAWINFO, HIDIOCGFEATURE(9)] }
  pulled: { kind: bus, bus: hid, path: /dev/hidraw1 }
  tablet: { kind: bus, bus: usb, path: $(usb_path "$tablet"), ioctls: [USBDEVFS_CONTROL] }
  second: { kind: bus, bus: usb, path: $(usb_path "$tablet"), ioctls: [USBDEVFS_CONTROL] }
  stick:
    kind: bus
    bus: usb
    path: $(usb_path "$stick")
    ioctls: [USBDEVFS_CLAIMINTERFACE, USBDEVFS_BULK, USBDEVFS_RELEASEINTERFACE]
applications:
  tests: { user: daemon }
grants:
  - { application: tests, object: card-config, operations: [read], path: mediated }
  - { application: tests, object: card-memory, operations: [read, write], path: mediated }
  - { application: tests, object: wire, operations: [read, write, control, wait], path: mediated }
  - { application: tests, object: pad, operations: [read, write, control, wait], path: mediated }
  - { application: tests, object: pulled, operations: [read, wait], path: mediated }
  - { application: tests, object: tablet, operations: [control], path: mediated }
  - { application: tests, object: second, operations: [control], path: mediated }
  - { application: tests, object: stick, operations: [control], path: mediated }
POLICY
client_start
unknown="there is no such object"

begin "pci: configuration space"
postern_as daemon object show card-config
allowed "object show"
has "object show" "$out" "${card##*/}"
postern_as daemon read card-config
allowed "a read"
is "all of it" "$(hex "$scratch/out")" "$(hex "$card/config")"
is "vendor and device" "$(hex "$scratch/out" 0 4)" 3412e811
postern_as nobody read card-config
refused "a read of another user" "$unknown"
told "open card-config read" ok
told "read card-config 0 4" "ok 3412e811"
told "write card-config 4 0000" "refused operation EACCES"
taken_back card-config read "read card-config 0 4"
audited card-config no-such-object nobody
audited card-config operation daemon
finish

begin "pci: memory of a card"
base=$(awk 'NR == 1 { print $1 }' "$card/resource")
postern_as daemon read card-memory --offset 0 --length 4
allowed "a read"
is "its identification" "$(hex "$scratch/out")" ed000001
is "what root reads there" "$(busybox devmem "$base" 32)" 0x010000ED
postern_as nobody read card-memory --offset 0 --length 4
refused "a read of another user" "$unknown"
told "open card-memory read,write" ok
told "write card-memory 4 78563412" "ok 4"
told "read card-memory 4 4" "ok 87a9cbed"
told "write card-memory 8 0a000000" "ok 4"
for _ in 1 2 3 4 5 6 7 8 9 10; do
	ask "read card-memory 32 4" # bit 0: it computes
	[ "$answer" != "ok 01000000" ] || sleep 0.1
done
told "read card-memory 8 4" "ok 005f3700"
taken_back card-memory read "write card-memory 4 00000000"
is "what root reads after the revoke" "$(busybox devmem "$((base + 4))" 32)" 0xEDCBA987
audited card-memory no-such-object nobody
finish

begin "serial: two ports and a wire"
stty -F /dev/ttyS1 9600 parenb
before=$(stty -F /dev/ttyS1 -g)
stty -F /dev/ttyS2 raw -echo 115200
exec {far}<>/dev/ttyS2
use_wire
printf 'cli' >&"$far"
postern_as daemon read wire --length 3
allowed "a read"
is "what was read" "$out" cli
postern_as nobody read wire --length 3
refused "a read of another user" "$unknown"
ask "control wire 0x5415 4"
has "the modem lines" "$answer" "ok 0 "
told "control wire 0x5418 4 00000000" "refused limit EPERM"
taken_back wire read,write "write wire 0 6e6f"
is "the port's settings after the revoke" "$(stty -F /dev/ttyS1 -g)" "$before"
silent_wire
audited wire no-such-object nobody
audited wire limit daemon
finish

begin "hid: a device of uhid"
use_pad
told "control pad 0x80084803 8" "ok 0 0300000009120100"
told "control pad 0xc0094807 9 00" "ok 9 00666561747572652e"
told "control pad 0x90044802 4100 00100000" "refused limit EPERM"
echo 1122334455667788 >&"$to_pad"
postern_as daemon read pad --length 16
allowed "a read"
is "the report" "$(hex "$scratch/out")" 1122334455667788
postern_as nobody read pad
refused "a read of another user" "$unknown"
say "read pad 0 16"
sleep 0.2
taken_back pad read,write,control,wait
told "write pad 0 000000000000000000" "refused revoked EKEYREVOKED"
line=
read -r -t 1 -u "$from_pad" line || true
is "what the device gets after the revoke" "$line" ""
audited pad no-such-object nobody
audited pad limit daemon
finish

begin "usb: a device of usbfs"
postern_as daemon can-i control tablet
allowed "can-i"
postern_as nobody can-i control tablet
is "the exit status of can-i for another user" "$status" 1
told "open tablet control" ok
told "control tablet 0xc0185500 18 8006000100001200" "ok 18 $(hex "$tablet/descriptors" 0 18)"
told "control tablet 0x5514 0" "refused limit EPERM"
told "open tablet read" "refused operation EACCES"
postern_as nobody read tablet
refused "a read of another user" "$unknown"
taken_back tablet control "control tablet 0xc0185500 18 8006000100001200"
audited tablet no-such-object nobody
audited tablet limit daemon
finish

# A SCSI inquiry as usb storage has it: a command block of 31 bytes out, its answer and a status in.
begin "usb: bulk transfers of a storage device"
told "open stick control" ok
told "control stick 0x8004550f 4 00000000" "ok 0 00000000"
command=020000001f000000555342430100000024000000800006120000002400$(printf '%020d' 0)
told "control stick 0xc0185502 39 $command" "ok 31 $command"
ask "control stick 0xc0185502 44 8100000024000000"
has "the answer to the inquiry" "$answer" "ok 36 "
has "the answer to the inquiry" "$answer" "$(printf 'QEMU HARDDISK' | hex -)"
told "control stick 0xc0185502 13 810000000d000000" "ok 13 55534253010000000000000000"
told "control stick 0x5514 0" "refused limit EPERM"
postern_as nobody can-i control stick
is "the exit status of can-i for another user" "$status" 1
taken_back stick control "control stick 0xc0185502 39 $command"
audited stick limit daemon
finish

begin "devices that are pulled"
told "open pulled read,wait" ok
say "read pulled 0 16"
sleep 0.2
kill "$pulled"
hear
is "the answer to who waits for a report" "$answer" "failed EIO"
told "read pulled 0 16" "failed EIO"
told "open second control" ok
echo 1 >"$tablet/remove"
told "control second 0xc0185500 18 8006000100001200" "failed ENODEV"
told "close second" ok
told "open second control" "failed ENOENT"
told "close pulled" ok
told "open pulled read" "failed ENOENT"
finish

audit_group

begin "the broker ends well"
broker_stop
finish
scene_end
