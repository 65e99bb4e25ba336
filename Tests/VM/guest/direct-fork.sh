#!/bin/bash
# A holder forks: what the child may do with the descriptors that it inherits is the grant's on-fork.
#
# vm-memory: 2048
# vm-time-limit: 180
# vm-modules: null_blk:nr_devices=2:gb=1:memory_backed=1
. Tests/VM/guest/direct.bash

cat >"$scratch/policy.yaml" <<'END'
version: 1
objects:
  udp: { kind: socket, listen: "udp://127.0.0.1:5300", send-to: ["127.0.0.0/8"] }
  disk: { kind: disk, path: /dev/nullb0, access: read-write }
  denied: { kind: disk, path: /dev/nullb0, access: read-write }
  inherited: { kind: socket, listen: "udp://127.0.0.1:5301", send-to: ["127.0.0.0/8"] }
applications:
  client: { user: nobody }
grants:
  - { application: client, object: udp, operations: [bind, send, receive], path: direct }
  - { application: client, object: disk, operations: [read, write], path: direct }
  - { application: client, object: denied, operations: [read], path: direct, on-fork: deny, message: "ask the parent" }
  - { application: client, object: inherited, operations: [bind, send, receive], path: direct, on-fork: inherit }
END
direct_start
actor parent nobody
parent=$!

begin "a holder uses its descriptors with plain system calls"
does parent direct open udp udp bind,send,receive
does parent direct open disk disk read,write
does parent direct open denied denied read
does parent direct open inherited inherited bind,send,receive
does parent 8 send-to udp 127.0.0.1 5300
does parent 8 recv udp
does parent 4096 pread disk
does parent 512 pwrite disk
does parent 4096 aio disk
does parent 4096 ring-read disk
does parent 4096 pread denied
finish

forks parent child
child=$pid
begin "a forked child is refused until it revalidates"
for call in "send-to udp 127.0.0.1 5300" "recv udp" "pread disk" "pwrite disk" "aio disk" "ring-read disk" "getsockname udp"; do
	does child EKEYEXPIRED $call
done
does child ok revalidate udp
does child EKEYEXPIRED pread disk
does child ok revalidate disk
does child 8 send-to udp 127.0.0.1 5300
does child 8 recv udp
does child 4096 pread disk
finish

begin "on-fork: deny is final, with the policy's message"
does child EKEYEXPIRED pread denied
does child "refused EKEYREJECTED ask the parent" revalidate denied
does child EKEYEXPIRED pread denied
does parent 4096 pread denied
finish

forks child grandchild
grandchild=$pid
begin "on-fork: inherit is there at once, for child and grandchild"
does grandchild 8 send-to inherited 127.0.0.1 5301
does child 8 recv inherited
does grandchild EKEYEXPIRED pread disk
sleep 0.5
associations
for entry in "udp $parent" "udp $child" "disk $parent" "disk $child" "denied $parent" "inherited $parent" "inherited $child" \
	"inherited $grandchild"; do
	grep -qE "^[0-9]+ $entry live direct$" <<<"$out" || wrong "no association is $entry: ${out//$'\n'/, }"
done
is "how many there are" "$(wc -l <<<"$out")" 8
finish

begin "each is revoked alone"
id=$(grep " inherited $child " <<<"$out" | cut -d ' ' -f 1)
postern_as root revoke --association "$id"
allowed "the revoke"
does child EKEYREVOKED send-to inherited 127.0.0.1 5301
does parent 8 send-to inherited 127.0.0.1 5301
does parent 8 recv inherited
postern_as root revoke --object disk --pid "$child"
allowed "the revoke"
does child EKEYREVOKED pread disk
does child "revoked EKEYREVOKED*" revalidate disk
does parent 4096 pread disk
finish

begin "every refusal is in the journal"
sleep 0.5
journal
for entry in "refusal not-associated udp $child direct send" "refusal not-associated udp $child direct receive" \
	"refusal not-associated disk $child direct read" "refusal not-associated disk $child direct write" \
	"refusal refused denied $child direct" "revalidate - udp $child direct" "revalidate - inherited $grandchild direct" \
	"refusal revoked inherited $child direct send" "refusal revoked disk $child direct read"; do
	recorded "record" "^$entry"
done
finish

# At its first use a hook makes an association for whom `on-fork: inherit` allows one, and asks nobody.
forks parent unused
unused=$pid
forks unused below
forks parent sibling
begin "whom a revoke names and who has used nothing inherits nothing, nor does whom it forks"
postern_as root revoke --pid "$unused"
allowed "the revoke"
does unused EKEYREVOKED send-to inherited 127.0.0.1 5301
does below EKEYREVOKED send-to inherited 127.0.0.1 5301
# Why, it is told when the broker has heard of it.
forks unused later
does later 'EKEY*ED' send-to inherited 127.0.0.1 5301
does sibling 8 send-to inherited 127.0.0.1 5301
does parent 8 recv inherited
finish

begin "a grant lets it inherit again"
postern_as root grant --application client --object inherited --operations send
allowed "the grant"
does unused 8 send-to inherited 127.0.0.1 5301
finish

forks parent named
named=$pid
forks named under
begin "no broker, and no other one, lets it"
postern_as root revoke --pid "$named"
allowed "the revoke"
direct_kill
does named EKEYREVOKED send-to inherited 127.0.0.1 5301
forks named orphan
does orphan EKEYEXPIRED send-to inherited 127.0.0.1 5301
direct_start
for name in named under orphan; do
	does "$name" EKEYREVOKED send-to inherited 127.0.0.1 5301
done
forks under last
does last 'EKEY*ED' send-to inherited 127.0.0.1 5301
does sibling 8 send-to inherited 127.0.0.1 5301
finish
scene_end
