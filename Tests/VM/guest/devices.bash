# Devices that several scenes bring up; beside lib.bash.

# disks: scsi_debug ($scsi_path), nvme, virtio-blk and null_blk.
disks() {
	local -a found
	modprobe -a sd_mod nvme virtio_blk
	modprobe scsi_debug dev_size_mb=16 lbpu=1
	modprobe null_blk nr_devices=1 gb=1 memory_backed=1 discard=1
	scsi() { found=(/sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block/*) && test -b "/dev/${found[0]##*/}"; }
	await "the scsi disk" scsi
	scsi_path=/dev/${found[0]##*/}
	await "the nvme disk" test -b /dev/nvme0n1
	await "the virtio disk" test -b /dev/vda
	await "the null_blk disk" test -b /dev/nullb0
}

# edu_card: the folder of QEMU's pci device for teaching.
edu_card() {
	local folder
	for folder in /sys/bus/pci/devices/*; do
		if [ "$(<"$folder/vendor") $(<"$folder/device")" = '0x1234 0x11e8' ]; then
			echo "$folder"
			return
		fi
	done
	give_up "no edu card"
}

# pad: the device of hid-device.c is /dev/hidraw0; $to_pad and $from_pad lead to it.
pad() {
	local line
	modprobe -a uhid hid-generic
	mkfifo "$scratch/pad-in" "$scratch/pad-out"
	"$programs/hid-device" "Postern test pad" <"$scratch/pad-in" >"$scratch/pad-out" 2>"$scratch/pad-err" &
	children+=($!)
	exec {to_pad}>"$scratch/pad-in" {from_pad}<"$scratch/pad-out"
	read -r -t 10 -u "$from_pad" line || give_up "the hid device: $(cat "$scratch/pad-err")"
	await "the hid device" grep -q 'Postern test pad' /sys/class/hidraw/hidraw0/device/uevent
}

# use_wire: the client opens the serial port, reads and writes; $far is the other end of its line.
use_wire() {
	local word=
	told "open wire read,write,control,wait" ok
	printf 'hello' >&"$far"
	told "wait wire 0" "ok "
	told "read wire 0 5" "ok 68656c6c6f"
	told "write wire 0 776f726c64" "ok 5"
	read -r -t 10 -N 5 -u "$far" word || true
	is "what the other end got" "$word" world
}

# silent_wire: nothing came out at the other end.
silent_wire() {
	local word=
	read -r -t 1 -N 2 -u "$far" word || true
	is "what the other end gets after the revoke" "$word" ""
}

# use_pad: the client opens the hid device, waits, reads, writes and asks for the length of its description.
use_pad() {
	local line=
	told "open pad read,write,control,wait" ok
	echo 0102030405060708 >&"$to_pad"
	told "wait pad 0" "ok "
	told "read pad 0 16" "ok 0102030405060708"
	told "write pad 0 001122334455667788" "ok 9"
	read -r -t 10 -u "$from_pad" line || true
	is "what the device got" "$line" "output 001122334455667788"
	told "control pad 0x80044801 4" "ok 0 1d000000"
}
