#!/bin/bash
# The broker dies, and another one takes over what the kernel goes on enforcing.
#
# vm-once: 6.12 taking over is the same on both; the soak has both
# vm-memory: 2048
# vm-time-limit: 1500
# vm-modules: null_blk:nr_devices=2:gb=1:memory_backed=1 loop
. Tests/VM/guest/direct.bash

policy() { # MESSAGE-OF-MOVED
	cat >"$scratch/policy.yaml" <<END
version: 1
objects:
  udp: { kind: socket, listen: "udp://127.0.0.1:5300", send-to: ["127.0.0.0/8"] }
  disk: { kind: disk, path: /dev/nullb0, access: read-write }
  moved: { kind: disk, path: /dev/nullb0 }
  brief: { kind: disk, path: /dev/nullb0 }
  ringed: { kind: disk, path: /dev/nullb1 }
  web: { kind: socket, listen: "tcp://127.0.0.1:8080" }
  family: { kind: disk, path: /dev/nullb0 }
  house: { kind: disk, path: /dev/nullb0 }
  luggage: { kind: disk, path: /dev/nullb0 }
  mappable: { kind: disk, path: /dev/nullb0 }
  altered: { kind: disk, path: /dev/nullb0 }
applications:
  client: { user: nobody }
grants:
  - { application: client, object: udp, operations: [bind, send, receive], path: direct }
  - { application: client, object: disk, operations: [read, write], path: direct }
  - { application: client, object: moved, operations: [read], path: direct, message: "$1" }
  - { application: client, object: brief, operations: [read], path: direct, expires: 4s }
  - { application: client, object: ringed, operations: [read], path: ring }
  - { application: client, object: web, operations: [bind, listen, accept], path: direct }
  - { application: client, object: family, operations: [read], path: direct }
  - { application: client, object: house, operations: [read], path: direct, on-fork: inherit }
  - { application: client, object: luggage, operations: [read], path: direct, on-exec: keep }
  - { application: client, object: mappable, operations: [read], path: direct, mmap: true, on-stuck-revoke: kill }
  - { application: client, object: altered, operations: [read], path: direct, mmap: true, on-stuck-revoke: kill, message: "$1" }
END
}
# who holds rings, or forks who does
ring_holders() {
	{ grep -slx postern-rings /proc/[0-9]*/comm || true; } | tr -dc '0-9\n' | sort -n
}
no_ring_holder_of() {
	local pid
	for pid in $1; do
		! kill -0 "$pid" 2>/dev/null || return 1
	done
}
ended() {
	! kill -0 "$1" 2>/dev/null
}
# same associations as before, without their numbers
listed() {
	associations
	sort <<<"$(cut -d ' ' -f 2- <<<"$out")"
}
rounds=3
if [ -n "${POSTERN_SOAK:-}" ]; then
	rounds=200
fi

policy "first"
mkdir -m 777 "$scratch/boxes"
direct_start
actor holder nobody
holder=$!
actor stranger daemon
stranger=$!
actor plain daemon

begin "setting up"
does holder direct open udp udp bind,send,receive
does holder direct open disk disk read,write
does holder direct open moved moved read
does holder direct open web web bind,listen,accept
does holder 0 listen web
forks holder child
child=$pid
does child ok revalidate udp
does stranger 0 mailbox "$scratch/boxes/stranger"
does holder 1 give disk "$scratch/boxes/stranger"
does stranger 0 take disk
before=$(listed)
is "how many associations there are" "$(wc -l <<<"$before")" 5
does holder direct open brief brief read
does holder 4096 pread brief
# Families: children that ask or use nothing before the broker has been killed.
for name in parent early late; do
	actor $name nobody
	eval "$name=\$!"
	does $name direct open family family read
	does $name direct open house house read
done
for name in mover1 mover2; do
	actor $name nobody
	eval "$name=\$!"
	does $name direct open luggage luggage read
done
for name in giver mapper; do
	actor $name nobody
	eval "$name=\$!"
done
does giver direct open mappable mappable read
does giver ok lib-close mappable
does mapper direct open altered altered read
forks parent child1
forks parent child2
child2=$pid
forks parent child3
child3=$pid
forks parent changed
does changed ready exec
forks early orphan1
orphan1=$pid
does orphan1 4096 pread house
forks early orphan2
orphan2=$pid
forks late orphan3
orphan3=$pid
actor_say early exit
await "the end of a holder" ended "$early"
does holder ok hammer pread disk
does stranger ok hammer pread disk
does holder ring open ringed ringed read
does holder 4096 lib-read ringed
former=$(ring_holders)
finish
direct_kill

begin "without a broker the kernel goes on enforcing"
does holder 8 send-to udp 127.0.0.1 5300
does holder 8 recv udp
does child 8 send-to udp 127.0.0.1 5300
does child 8 recv udp
does child EKEYEXPIRED pread disk
does stranger EKEYEXPIRED pwrite disk
does plain 0 tcp socket
does plain 0 connect socket 8080
does holder 0 accept web connection
does holder 1 write connection
does plain 1 read socket
does child1 EKEYEXPIRED pread family
does child2 4096 pread house
does mover1 ready exec
does mover1 4096 pread luggage
does mover2 ready exec
actor_say late exit
await "the end of a holder" ended "$late"
forks child1 grandchild
grandchild=$pid
sleep 4
does holder EKEYEXPIRED pread brief
finish

policy "second"
direct_start
begin "a new broker has the same associations, but for those whose grant has changed"
after=$(listed)
is "what is listed" "$(grep -vE '^(family|house|luggage) ' <<<"$after")" "$(grep -v '^moved ' <<<"$before")"
does holder EKEYEXPIRED pread moved
does holder 4096 pread disk
does holder 8 send-to udp 127.0.0.1 5300
does child 8 recv udp
finish

begin "who may have mapped what it is not granted any more is ended, who has given it back is not"
await "the end of the one" ended "$mapper"
sleep 1
does giver "$giver" pid
does giver direct open mappable mappable read
does giver 4096 pread mappable
does giver ok lib-close mappable
finish

begin "it knows the descent of whom was forked before it, also where the parent has ended"
does child1 ok revalidate family
does child1 4096 pread family
does grandchild ok revalidate family
does grandchild 4096 pread family
does child3 EKEYEXPIRED pread family
does orphan2 ok revalidate family
does orphan3 ok revalidate family
does orphan3 4096 pread family
finish

begin "and lets them inherit, before it came and afterwards"
does child2 4096 pread house
does child3 4096 pread house
does grandchild 4096 pread house
does orphan2 4096 pread house
does orphan3 4096 pread house
does orphan1 4096 pread house
sleep 1
associations --object house
is "who is listed" "$(grep ' live direct$' <<<"$out" | cut -d ' ' -f 3 | sort -n | xargs)" \
	"$(printf '%s\n' $parent $child2 $child3 $grandchild $orphan1 $orphan2 $orphan3 | sort -n | xargs)"
for one in child2 child3 grandchild orphan1 orphan2 orphan3; do
	does $one 4096 pread house
done
finish

begin "and that who kept it through an exec has it"
does mover1 4096 pread luggage
does mover2 4096 pread luggage
sleep 1
associations --object luggage
is "who is listed" "$(grep ' live direct$' <<<"$out" | cut -d ' ' -f 3 | sort -n | xargs)" \
	"$(printf '%s\n' $mover1 $mover2 | sort -n | xargs)"
does mover1 4096 pread luggage
does mover2 4096 pread luggage
finish

begin "but not to who has executed since"
does changed EKEYEXPIRED pread house
does changed EKEYEXPIRED pread family
finish

begin "its hands take rings, and the former broker's are gone with what they had given"
await "the end of the former hands" no_ring_holder_of "$former"
does holder ring open ringed2 ringed read
does holder 4096 lib-read ringed2
[ "$(ring_holders | wc -l)" = 2 ] || wrong "these hold rings: $(ring_holders | tr '\n' ' ')"
finish

begin "when the process that forks hands is killed the path is off, and said to be"
kill -KILL "$(ring_holders | head -n 1)"
doctor_tells() {
	"$programs/postern" doctor | grep '^path ring ' | grep -q 'has ended'
}
await "the doctor's word of it" doctor_tells
does holder "refused *" open ringed3 ringed read
does holder 4096 lib-read ringed2
finish
# The brokers to come start sooner without.
sed -i '/ringed/d' "$scratch/policy.yaml"

begin "what was refused meanwhile is in the journal"
sleep 1
journal --pid "$child"
recorded "the child's refused read" "^refusal not-associated disk $child direct read"
# Without those that it hammers for.
journal --pid "$stranger" --operation write
recorded "the stranger's refused write" "^refusal not-associated disk $stranger direct write"
journal --object brief
recorded "the refusal of what had expired" "^refusal expired brief $holder direct read"
finish

actor second nobody
begin "a listener that is lent is still served, and lent to a second one"
does plain 0 tcp socket2
does plain 0 connect socket2 8080
does holder 0 accept web connection2
does second direct open web web bind,listen,accept
does plain 0 tcp socket3
does plain 0 connect socket3 8080
does second 0 accept web connection
does second 1 write connection
does plain 1 read socket3
finish

begin "a revoke reaches what was taken over"
postern_as root revoke --object udp
allowed "the revoke"
is "how many were recalled" "$(grep -c recalled <<<"$out")" 2
does holder EKEYREVOKED send-to udp 127.0.0.1 5300
does child EKEYREVOKED recv udp
finish

restarts=3
if [ -n "${POSTERN_SOAK:-}" ]; then
	restarts=50
fi
begin "$restarts restarts, and neither a refusal too many nor one too few"
for ((i = 0; i < restarts; i++)); do
	if [ $((i % 2)) -eq 0 ]; then
		direct_kill
	else
		broker_stop
	fi
	direct_start
done
tell holder count pread
[[ $answer =~ ^[1-9][0-9]*\ 0\ 0\ none$ ]] || wrong "the holder's reads (right, refused, else): $answer"
tell stranger count pread
[[ $answer =~ ^0\ [1-9][0-9]*\ 0\ EKEYEXPIRED$ ]] || wrong "the stranger's reads (right, refused, else): $answer"
does holder EKEYREVOKED send-to udp 127.0.0.1 5300
does second "revoked EKEYREVOKED*" open udp udp bind,send,receive
postern_as root grant --application client --object udp --operations bind,send,receive
allowed "the grant"
does second direct open udp udp bind,send,receive
finish

actor opener nobody
opened=0 usable=0
begin "a broker killed while objects are opened leaves no descriptor that no association is listed for"
for ((i = 0; i < rounds; i++)); do
	does opener ok openers 6 disk
	sleep "0.$((RANDOM % 9))"
	direct_kill
	does opener "*" opened
	users=" ${answer% *} "
	opened=$((opened + ${answer##* }))
	direct_start
	associations --object disk
	for user in $users; do
		[[ $user == "${answer##* }" && $users == " $answer " ]] && continue
		usable=$((usable + 1))
		grep -q " disk $user live " <<<"$out" || wrong "round $i: process $user can read, and has no association"
	done
	does opener ok close-openers
done
[ "$opened" -ge "$rounds" ] || wrong "only $opened opens were under way in $rounds rounds"
[ "$usable" -gt 0 ] || wrong "no process had anything open when the broker was killed"
echo "($opened opens, $usable in use at a kill)"
finish
scene_end
