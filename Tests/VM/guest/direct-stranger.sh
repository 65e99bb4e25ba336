#!/bin/bash
# A descriptor of an object in hands that it was not given to: by SCM_RIGHTS, by pidfd_getfd(2), kept through an exec. And the
# path ring beside all that, whose hands take descriptors.
#
# vm-memory: 2048
# vm-time-limit: 180
# vm-modules: null_blk:nr_devices=2:gb=1:memory_backed=1 loop
. Tests/VM/guest/direct.bash

cat >"$scratch/policy.yaml" <<'END'
version: 1
objects:
  udp: { kind: socket, listen: "udp://127.0.0.1:5300", send-to: ["127.0.0.0/8"] }
  disk: { kind: disk, path: /dev/nullb0, access: read-write }
  kept: { kind: disk, path: /dev/nullb0 }
  open: { kind: disk, path: /dev/nullb0 }
  ringed: { kind: disk, path: /dev/nullb1 }
applications:
  client: { user: nobody }
  traced: { user: nobody, traceable: true }
grants:
  - { application: client, object: udp, operations: [bind, send, receive], path: direct }
  - { application: client, object: disk, operations: [read, write], path: direct }
  - { application: client, object: kept, operations: [read], path: direct, on-exec: keep }
  - { application: traced, object: open, operations: [read], path: direct }
  - { application: client, object: ringed, operations: [read], path: ring }
END
mkdir -m 777 "$scratch/boxes"
direct_start
actor holder nobody
holder=$!
actor stranger daemon
stranger=$!
actor same nobody
actor thief root
thief=$!
begin "setting up"
does holder direct open udp udp bind,send,receive
does holder direct open disk disk read,write
finish

begin "a descriptor sent by SCM_RIGHTS is useless to another user"
does stranger 0 mailbox "$scratch/boxes/stranger"
does holder 1 give udp "$scratch/boxes/stranger"
does stranger 0 take udp
does holder 1 give disk "$scratch/boxes/stranger"
does stranger 0 take disk
for call in "send-to udp 127.0.0.1 5300" "recv udp" "read udp" "write udp" "ring-send udp" "pread disk" "pwrite disk" "aio disk" "map disk read"; do
	does stranger EKEYEXPIRED $call
done
does holder 8 send-to udp 127.0.0.1 5300
does holder 8 recv udp
does holder 4096 pread disk
finish

begin "and to the same user's other process, which has not been forked by the holder"
does same 0 mailbox "$scratch/boxes/same"
does holder 1 give disk "$scratch/boxes/same"
does same 0 take disk
does same EKEYEXPIRED pread disk
finish

begin "a plain descriptor that was sent the same way works (twin)"
does holder 0 file null /dev/zero
does holder 1 give null "$scratch/boxes/stranger"
does stranger 0 take null
does stranger 4096 read null
finish

begin "the broker's hands take a ring out of the holder, and nobody takes anything out of them"
postern_as root doctor
for path in direct ring; do
	has "doctor" "$(grep -E "^path $path " <<<"$out")" "works"
done
does holder ring open ringed ringed read
does holder 4096 lib-read ringed
tell holder number ringed
does thief EPERM steal "$holder" "$answer" ringed
count=0
for file in /proc/[0-9]*/comm; do
	if [ "$(cat "$file" 2>/dev/null)" = postern-rings ]; then
		hand=${file#/proc/} count=$((count + 1))
		does thief EPERM steal "${hand%/comm}" 3 hand
	fi
done
[ "$count" -ge 2 ] || wrong "there are $count processes that hold rings"
finish

begin "root cannot take it out of the holder by pidfd_getfd"
tell holder number disk
number=$answer
does thief EPERM steal "$holder" "$number" disk
does holder direct open open open read
does holder 4096 pread open
finish

actor traced nobody
traced=$!
begin "where the application is traceable it can, and is refused at use"
does traced direct open open open read
tell traced number open
does thief 0 steal "$traced" "$answer" open
does thief EKEYEXPIRED pread open
does traced 4096 pread open
finish

begin "an exec makes a stranger of the holder, on-exec: keep does not"
does holder direct open kept kept read
does holder 4096 pread kept
does holder ready exec
does holder EKEYEXPIRED pread disk
does holder EKEYEXPIRED send-to udp 127.0.0.1 5300
does holder 4096 pread kept
finish

begin "receipt and use are in the journal"
sleep 0.5
journal
recorded "receipt of the socket" "^privileged - udp $stranger direct - .*received"
recorded "receipt of the disk" "^privileged - disk $stranger direct - .*received"
recorded "receipt by pidfd_getfd" "^privileged - open $thief direct - .*received"
recorded "refused send" "^refusal not-associated udp $stranger direct send"
recorded "refused read" "^refusal not-associated disk $stranger direct read"
recorded "refused theft" "^refusal refused - $thief direct - .*trace"
recorded "refused use by the thief" "^refusal not-associated open $thief direct read"
recorded "refused use after the exec" "^refusal not-associated disk $holder direct read"
finish
scene_end
