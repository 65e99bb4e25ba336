#!/bin/bash
# i2c, spi and GPIO on the drivers of a real kernel: granted, used, refused, taken back.
#
# vm-kernels: 6.1 6.12
# vm-once: 6.12 the devices' drivers are the same on both; the soak has both
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

begin "setting up buses"
modules=$(Tests/VM/modules/build "$POSTERN_VM") || give_up "no modules for $POSTERN_VM"
modprobe -a i2c-dev i2c-i801 configfs
modprobe i2c-stub chip_addr=0x2a
insmod "$modules/postern-i2c-chip.ko"
insmod "$modules/postern-spi-loop.ko"
insmod "$modules/postern-gpio-sim.ko"

# adapter NAME: the number of the i2c adapter whose name begins so.
adapter() {
	local folder
	for folder in /sys/bus/i2c/devices/i2c-*; do
		case $(cat "$folder/name") in
		"$1"*) echo "${folder##*-}" ;;
		esac
	done
}
stub=$(adapter 'SMBus stub')
chipset=$(adapter 'SMBus I801')
free=$(adapter 'postern test adapter')
[ -n "$stub" ] && [ -n "$chipset" ] && [ -n "$free" ] || give_up "no adapters: $(cat /sys/bus/i2c/devices/*/name)"

mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
bank=/sys/kernel/config/gpio-sim/postern
mkdir -p "$bank/bank0"
echo 8 >"$bank/bank0/num_lines"
echo 1 >"$bank/live"
chip=$(cat "$bank/bank0/chip_name")
lines=$(echo /sys/devices/platform/gpio-sim.*/"$chip")
await "the lines" test -e "/dev/$chip" -a -e "$lines/sim_gpio0/pull"
spi=$(echo /dev/spidev*)
await "$spi" test -c "$spi"

broker_start <<POLICY
version: 1
objects:
  stub: { kind: bus, bus: i2c, path: /dev/i2c-$stub, address: 0x2a }
  memory: { kind: bus, bus: i2c, path: /dev/i2c-$free, address: 0x50 }
  nobody-there: { kind: bus, bus: i2c, path: /dev/i2c-$chipset, address: 0x33 }
  eeprom: { kind: bus, bus: i2c, path: /dev/i2c-$chipset, address: 0x51 }
  panel: { kind: bus, bus: gpio, path: /dev/$chip, lines: [0, 1], direction: in, edge: both }
  lamp: { kind: bus, bus: gpio, path: /dev/$chip, lines: [4, 5], direction: out }
  register: { kind: bus, bus: spi, path: $spi, speed: 1000000 }
  register-2: { kind: bus, bus: spi, path: $spi, speed: 1000000, mode: 2 }
  register-16: { kind: bus, bus: spi, path: $spi, speed: 1000000, bits: 16 }
applications:
  tests: { user: daemon }
grants:
  - { application: tests, object: stub, operations: [transfer], path: mediated }
  - { application: tests, object: memory, operations: [transfer], path: mediated }
  - { application: tests, object: nobody-there, operations: [transfer], path: mediated }
  - { application: tests, object: eeprom, operations: [transfer], path: mediated }
  - { application: tests, object: panel, operations: [read, wait], path: mediated }
  - { application: tests, object: lamp, operations: [read, write], path: mediated }
  - { application: tests, object: register, operations: [transfer], path: mediated }
  - { application: tests, object: register-2, operations: [transfer], path: mediated }
  - { application: tests, object: register-16, operations: [transfer], path: mediated }
POLICY
client_start
unknown="there is no such object"

begin "i2c: i2c-stub"
busybox i2cset -y "$stub" 0x2a 0x10 0x5a b
postern_as daemon transfer stub --write 10 --read 1
allowed "a transfer"
is "a byte of the chip" "$out" 5a
postern_as nobody transfer stub --write 10 --read 1
refused "a transfer of another user" "$unknown"
postern_as daemon read stub
refused "a read" "does not cover"
told "open stub transfer" ok
told "transfer stub 20aabb 0" "ok "
is "what the chip has" "$(busybox i2cget -y "$stub" 0x2a 0x20 w)" 0xbbaa
told "transfer stub 20 2" "ok aabb"
told "transfer stub 3001020304 0" "ok "
told "transfer stub 30 4" "ok 01020304"
told "transfer stub - 0" "ok "
told "transfer stub 30 33" "failed EOPNOTSUPP"
told "transfer stub 3001 1" "failed EOPNOTSUPP"
taken_back stub transfer "transfer stub 20 2"
postern_as daemon transfer stub --write 10 --read 1
refused "the command line after the revoke" "taken back"
postern_as root grant --application tests --object stub --operations transfer
allowed "a grant after the revoke"
told "close stub" ok
told "open stub transfer" ok
told "transfer stub 20 2" "ok aabb"
told "close stub" ok
is "what the chip has" "$(busybox i2cget -y "$stub" 0x2a 0x20 w)" 0xbbaa
audited stub no-such-object nobody
audited stub operation daemon
finish

begin "i2c: the EEPROM of a chipset's SMBus"
busybox i2cset -y "$chipset" 0x51 0x07 0x77 b
postern_as daemon transfer eeprom --write 07 --read 1
allowed "a transfer"
is "a byte of the EEPROM" "$out" 77
postern_as daemon transfer nobody-there --write 07 --read 1
is "the exit status where no chip answers" "$status" 74
has "what is told then" "$err" "allowed, but it failed"
postern_as nobody transfer eeprom --read 1
refused "a transfer of another user" "$unknown"
told "open eeprom transfer" ok
told "transfer eeprom 10c0ffee 0" "ok "
told "transfer eeprom 10 2" "ok c0ff"
told "transfer eeprom 0e 6" "ok 0000c0ffee00"
is "what root reads" "$(busybox i2cget -y "$chipset" 0x51 0x12 b)" 0xee
taken_back eeprom transfer "transfer eeprom 1000 0"
is "what root reads after the revoke" "$(busybox i2cget -y "$chipset" 0x51 0x10 b)" 0xc0
audited eeprom no-such-object nobody
finish

begin "i2c: an adapter that takes messages"
postern_as daemon transfer memory --write 10aabbccdd
allowed "a transfer"
is "what root reads" "$(busybox i2cget -y "$free" 0x50 0x11 b)" 0xbb
postern_as nobody transfer memory --write 10 --read 4
refused "a transfer of another user" "$unknown"
told "open memory transfer" ok
told "transfer memory 10 4" "ok aabbccdd"
told "transfer memory - 4" "ok 00000000"
told "transfer memory 0e 66" "ok 0000aabbccdd$(printf '%0120d' 0)"
told "transfer memory - 0" "ok "
taken_back memory transfer "transfer memory 1000 0"
is "what root reads after the revoke" "$(busybox i2cget -y "$free" 0x50 0x10 b)" 0xaa
audited memory no-such-object nobody
finish

begin "gpio: inputs and their edges"
told "open panel read,wait" ok
told "read panel 0 2" "ok 0000"
say "wait panel 24"
sleep 0.2
echo pull-up >"$lines/sim_gpio1/pull"
hear
is "line, edge and sequence" "${answer:19}" 01000000010000000100000001000000
told "read panel 0 2" "ok 0001"
echo pull-down >"$lines/sim_gpio1/pull"
ask "wait panel 24"
is "line, edge and sequence" "${answer:19}" 01000000020000000200000002000000
told "write panel 0 0101" "refused operation EACCES"
echo pull-up >"$lines/sim_gpio0/pull"
postern_as daemon read panel
allowed "a read"
is "the lines" "$(hex "$scratch/out")" 0100
postern_as nobody read panel
refused "a read of another user" "$unknown"
ask "wait panel 24"
is "line, edge and sequence" "${answer:19}" 00000000010000000300000001000000
# While it waits for the next edge.
say "wait panel 24"
sleep 0.2
taken_back panel read,wait
is "who holds the lines after the revoke" "$(grep -c postern /sys/kernel/debug/gpio || true)" 0
audited panel no-such-object nobody
audited panel operation daemon
finish

begin "gpio: outputs"
bytes 0001 >"$scratch/lamp"
as daemon "$programs/postern" write lamp <"$scratch/lamp"
allowed "a write"
told "open lamp read,write" ok
told "write lamp 0 0100" "ok 2"
is "the lines" "$(cat "$lines/sim_gpio4/value" "$lines/sim_gpio5/value" | tr -d '\n')" 10
told "read lamp 0 2" "ok 0100"
told "write lamp 0 0002" "failed EINVAL"
as nobody "$programs/postern" write lamp <"$scratch/lamp"
refused "a write of another user" "$unknown"
taken_back lamp read,write "write lamp 0 0001"
audited lamp no-such-object nobody
finish

begin "spi: a shift register"
postern_as daemon transfer register --write a1b2c3d4 --read 4
allowed "a transfer"
is "what came out of it" "$out" a1b2c3d4
postern_as nobody transfer register --read 4
refused "a transfer of another user" "$unknown"
told "open register transfer" ok
told "transfer register 0102030405 4" "ok 02030405"
told "transfer register - 4" "ok 00000000"
told "open register read" "refused operation EACCES"
# The settings are the object's, although spidev keeps them with the device.
told "open register-2 transfer" ok
told "transfer register-2 0f0f0f0f 4" "ok f0f0f0f0"
told "transfer register 01020304 4" "ok 01020304"
told "transfer register-2 0f0f0f0f 4" "ok f0f0f0f0"
taken_back register transfer "transfer register 01020304 4"
told "transfer register-2 0f0f0f0f 4" "ok f0f0f0f0"
# The controller has no words of that length.
told "open register-16 transfer" "failed EINVAL"
audited register no-such-object nobody
audited register operation daemon
finish

audit_group

begin "the broker ends well"
broker_stop
finish
scene_end
