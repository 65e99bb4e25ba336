#!/bin/bash
# Orderly stop and start, two brokers at once, a policy that changes, programs that change, maps of another layout.
#
# vm-once: 6.1 restarting is the same on both; the soak has both
# vm-memory: 2048
# vm-time-limit: 300
# vm-modules: null_blk:nr_devices=2:gb=1:memory_backed=1
. Tests/VM/guest/direct.bash

policy() { # MESSAGE [WITHOUT]
	{
		cat <<END
version: 1
objects:
  one: { kind: disk, path: /dev/nullb0, access: read-write }
  two: { kind: disk, path: /dev/nullb0, access: read-write }
  three: { kind: disk, path: /dev/nullb0, access: read-write }
  plain: { kind: disk, path: /dev/nullb0 }
applications:
  client: { user: nobody }
grants:
  - { application: client, object: one, operations: [read], path: direct }
  - { application: client, object: two, operations: [read], path: direct, message: "$1" }
  - { application: client, object: plain, operations: [read], path: mediated }
END
		if [ -z "${2:-}" ]; then
			echo "  - { application: client, object: three, operations: [read], path: direct }"
		fi
	} >"$scratch/policy.yaml"
}
# doctor_says: what it tells of the path direct.
doctor_says() {
	postern_as root doctor
	grep -i direct <<<"$out" || true
}

policy first
mkdir -m 777 "$scratch/boxes"
direct_start
actor holder nobody
holder=$!
actor stranger daemon

begin "setting up"
for object in one two three; do
	does holder direct open $object $object read
	does holder 4096 pread $object
done
does stranger 0 mailbox "$scratch/boxes/stranger"
does holder 1 give one "$scratch/boxes/stranger"
does stranger 0 take one
does holder ok hammer pread one
does stranger ok hammer pread one
finish

begin "a second broker has no path direct, and says why"
first=$broker first_socket=$POSTERN_SOCKET
mkdir -p "$scratch/other"
: >"$scratch/other.log"
"$programs/posternd" --policy "$scratch/policy.yaml" --socket "$scratch/other.socket" --state-dir "$scratch/other" \
	2>"$scratch/other.log" &
other=$!
children+=("$other")
await "the second broker" grep -q '^posternd: ready' "$scratch/other.log"
POSTERN_SOCKET=$scratch/other.socket
has "its doctor" "$(doctor_says)" "another broker"
actor elsewhere nobody
does elsewhere "refused EKEYREJECTED*" open one one read
does elsewhere mediated open plain plain read
POSTERN_SOCKET=$first_socket
kill "$other"
wait "$other" || true
broker=$first
does holder 4096 pread one
finish

begin "a reload ends what its grant no longer is, and leaves the others"
policy second without
postern_as root reload
allowed "the reload"
does holder EKEYEXPIRED pread two
does holder EKEYEXPIRED pread three
does holder 4096 pread one
associations
is "what is listed" "$(cut -d ' ' -f 2- <<<"$out")" "one $holder live direct"
finish

begin "SIGTERM and start: what was held goes on"
broker_stop
does holder 4096 pread one
direct_start
associations
is "what is listed" "$(cut -d ' ' -f 2- <<<"$out")" "one $holder live direct"
does holder 4096 pread one
finish

# The numbers of the programs, which root is refused.
read -ra guarded < <("$programs/reach")
begin "changed programs take the place of the old ones without a gap"
broker_stop
direct_start --kernel-programs "$programs/changed.bpf.o"
has "doctor" "$(doctor_says)" "works"
does holder 4096 pread one
tell holder count pread
[[ $answer =~ ^[1-9][0-9]*\ 0\ 0\ none$ ]] || wrong "the holder's reads (right, refused, else): $answer"
tell stranger count pread
[[ $answer =~ ^0\ [1-9][0-9]*\ 0\ EKEYEXPIRED$ ]] || wrong "the stranger's reads (right, refused, else): $answer"
postern_as root revoke --object one
allowed "the revoke"
does holder EKEYREVOKED pread one
finish

begin "and those that did not change, which stay, are guarded as before"
[ "${#guarded[@]}" -gt 20 ] || wrong "root was refused ${#guarded[@]} programs"
read -r there given < <("$programs/reach" "${guarded[@]}")
[ "$there" -gt 0 ] || wrong "none of the earlier programs stays: nothing is shown"
is "how many of $there earlier programs root gets" "$given" 0
echo "($there of ${#guarded[@]} stay)"
finish

begin "programs of another layout: no path direct, said clearly, and what was held is enforced"
broker_stop
direct_start --kernel-programs "$programs/layout.bpf.o"
has "doctor" "$(doctor_says)" "another version"
does stranger EKEYEXPIRED pread one
finish

begin "maps of another layout: the same, and everything else works"
broker_stop
"$programs/relayout" /sys/fs/bpf/postern/map_control 1 || wrong "the layout cannot be changed"
direct_start
has "doctor" "$(doctor_says)" "another version of Postern has left its maps"
actor late nobody
# What was revoked two brokers ago still is.
does late "revoked EKEYREVOKED*" open one one read
postern_as root reload
allowed "the reload"
does late "refused EKEYREJECTED*" open one one read
does late mediated open plain plain read
does stranger EKEYEXPIRED pread one
finish

begin "doctor --unload: refused while a broker has the programs, then orderly, and what it leaves nobody checks"
broker_stop
"$programs/relayout" /sys/fs/bpf/postern/map_control -1 || wrong "the layout cannot be changed"
direct_start
postern_as root doctor --unload
has "an unload while a broker runs" "$err" "broker"
[ "$status" -ne 0 ] || wrong "it is unloaded while a broker runs"
broker_stop
does stranger EKEYEXPIRED pread one
postern_as root doctor --unload
allowed "the unload"
[ ! -e /sys/fs/bpf/postern ] || wrong "pins are left"
does stranger 4096 pread one
finish
scene_end
