#!/bin/bash
# After a revoke nothing succeeds, neither what begins nor what waits in the kernel already; every refusal is in the journal.
#
# vm-memory: 2048
# vm-time-limit: 240
# vm-modules: null_blk:nr_devices=2:gb=1:memory_backed=1
. Tests/VM/guest/direct.bash

rounds=8
if [ -n "${POSTERN_SOAK:-}" ]; then
	rounds=300
fi
# A line with two ends: what is written to its master arrives at the tty.
cat >"$scratch/line.py" <<'END'
import os, sys, tty
master, slave = os.openpty()
tty.setraw(slave)
print(os.ttyname(slave), flush=True)
for text in sys.stdin:
    os.write(master, text.encode())
END
mkfifo "$scratch/line.in" "$scratch/line.out"
/usr/bin/python3 "$scratch/line.py" <"$scratch/line.in" >"$scratch/line.out" &
children+=($!)
exec {to_line}<>"$scratch/line.in" {from_line}<>"$scratch/line.out"
IFS= read -r -t 20 -u "$from_line" tty

cat >"$scratch/policy.yaml" <<END
version: 1
objects:
  disk: { kind: disk, path: /dev/nullb0, access: read-write }
  ring: { kind: socket, listen: "udp://127.0.0.1:5301", send-to: ["127.0.0.0/8"] }
  udp: { kind: socket, listen: "udp://127.0.0.1:5300", send-to: ["127.0.0.0/8"] }
  web: { kind: socket, listen: "tcp://127.0.0.1:8080" }
  line: { kind: bus, bus: serial, path: $tty, baud: 115200 }
applications:
  client: { user: nobody }
grants:
  - { application: client, object: disk, operations: [read], path: direct }
  - { application: client, object: ring, operations: [bind, send, receive], path: direct }
  - { application: client, object: udp, operations: [bind, send, receive], path: direct }
  - { application: client, object: web, operations: [bind, listen, accept], path: direct }
  - { application: client, object: line, operations: [read, wait], path: direct }
END
direct_start
actor plain daemon

# waiters NAME: a process that waits for a datagram, a connection and a line.
waiters() {
	actor "$1" nobody
	does "$1" direct open udp udp receive
	does "$1" direct open web web accept,listen
	does "$1" 0 listen web
	does "$1" direct open line line read
	does "$1" ok wait-in recv-waiting udp
	does "$1" ok wait-in accept-waiting web
	does "$1" ok wait-in read line
	sleep 0.3
	does "$1" waiting waited recv-waiting
	does "$1" waiting waited accept-waiting
	does "$1" waiting waited read
}
# arrives: what they wait for.
arrives() {
	does plain 0 tcp "$1"
	does plain 0 connect "$1" 8080
	does plain 0 udp "$1-datagram"
	does plain 8 send-to "$1-datagram" 127.0.0.1 5300
	echo "x" >&"$to_line"
	sleep 0.5
}

begin "what waits in the kernel gets what arrives (twin)"
waiters first
arrives one
does first 8 waited recv-waiting
does first "[1-9]*" waited accept-waiting
does first 2 waited read
actor_say first exit
finish

begin "what waits in the kernel at a revoke gets nothing of what arrives afterwards"
sleep 0.5
waiters second
postern_as root revoke --all
allowed "the revoke"
is "how many were recalled" "$(grep -c recalled <<<"$out")" 3
arrives two
does second EKEYREVOKED waited recv-waiting
does second EKEYREVOKED waited accept-waiting
does second EKEYREVOKED waited read
actor_say second exit
for object in udp web line; do
	postern_as root grant --application client --object "$object" --operations bind,listen,accept,send,receive,read
done
finish

begin "four processes, $rounds revokes: nothing that begins after one succeeds"
postern_as root reload
before=$SECONDS
figures=$("$programs/revoke" "$rounds" client pread=disk ring-send=ring recv=udp accept-now=web 2>"$scratch/revoke.err") ||
	wrong "it failed: $figures $(tail -n 2 "$scratch/revoke.err")"
has "what it counted" "$figures" "rounds $rounds late 0 "
has "what it counted" "$figures" "others 0"
read -r _ _ _ _ _ allowed _ refused _ expired _ revoked _ <<<"$figures"
[ "${allowed:-0}" -gt "$rounds" ] && [ "${refused:-0}" -gt "$rounds" ] || wrong "too little was tried: $figures"
echo "($figures, $((SECONDS - before)) s)"
finish

# told: how many refusals the journal tells, for not-associated and for revoked: "DESCRIBED COUNTED" each, in two lines.
told() {
	postern_as root audit list --format json
	allowed "the audit list"
	/usr/bin/python3 -c 'import collections, json, sys
described, counted = collections.Counter(), collections.Counter()
for line in sys.stdin:
    row = json.loads(line)
    if row["kind"] == "refusal" and row.get("path") == "direct" and row.get("operation") in ("read", "send", "receive", "accept"):
        described[row["reason"]] += 1
    elif row["kind"] == "gap":
        counted.update(row["gap"]["counts"])
for reason in ("not-associated", "revoked"):
    print(described[reason], counted[reason])' <<<"$out"
}
begin "every one of these refusals is in the journal, described or counted"
sleep 2
{
	read -r described counted
	is "how often they were told not-associated" $((described + counted)) "$expired"
	read -r described_revoked counted_revoked
	# Those of the waiters come first.
	is "how often they were told revoked" $((described_revoked + counted_revoked)) $((revoked + 3))
	echo "($((described + described_revoked)) described, $((counted + counted_revoked)) counted)"
} < <(told)
finish

begin "of more refusals than the kernel's buffer holds every one is counted"
postern_as root reload
actor fourth nobody
does fourth direct open disk disk read
does fourth 4096 pread disk
postern_as root revoke --object disk
allowed "the revoke"
# The broker takes nothing out of the buffer.
kill -STOP "$broker"
tell fourth burst pread disk 20000
kill -CONT "$broker"
is "what it read, was refused, and else" "$answer" "0 20000 0"
sleep 3
{
	read -r _ _
	read -r described counted
	described=$((described - described_revoked)) counted=$((counted - counted_revoked))
	is "how many of them the journal tells" $((described + counted)) 20000
	[ "$described" -gt 0 ] && [ "$counted" -gt 0 ] || wrong "$described described, $counted counted: not both ways"
	echo "($described described, $counted counted)"
} < <(told)
finish
scene_end
