#!/bin/bash
# What an association does not cover is refused by the kernel: addresses, options, requests, mappings; and what becomes of
# accepted connections.
#
# vm-memory: 2048
# vm-time-limit: 240
# vm-modules: null_blk:nr_devices=2:gb=1:memory_backed=1
. Tests/VM/guest/direct.bash

cat >"$scratch/line.py" <<'END'
import os, time, tty
master, slave = os.openpty()
tty.setraw(slave)
print(os.ttyname(slave), flush=True)
time.sleep(300)
END
mkfifo "$scratch/line.out"
/usr/bin/python3 "$scratch/line.py" >"$scratch/line.out" &
children+=($!)
IFS= read -r tty <"$scratch/line.out"

cat >"$scratch/policy.yaml" <<END
version: 1
objects:
  ping: { kind: socket, listen: "raw://icmp", send-to: ["127.0.0.1/32"] }
  udp: { kind: socket, listen: "udp://127.0.0.1:5300", send-to: ["127.0.0.1/32"], options: [SO_PRIORITY] }
  line: { kind: bus, bus: serial, path: $tty, baud: 115200, ioctls: [TIOCMGET, TCGETS2] }
  disk: { kind: disk, path: /dev/nullb0, access: read-write }
  mapped: { kind: disk, path: /dev/nullb0 }
  recalled: { kind: socket, listen: "tcp://127.0.0.1:8081" }
  left: { kind: socket, listen: "tcp://127.0.0.1:8082" }
  recalled-unix: { kind: socket, listen: "unix://$scratch/boxes/recalled" }
  left-unix: { kind: socket, listen: "unix://$scratch/boxes/left" }
applications:
  client: { user: nobody }
  mapper: { user: daemon }
grants:
  - { application: client, object: ping, operations: [bind, send, receive], path: direct }
  - { application: client, object: udp, operations: [bind, send, receive, setoption], path: direct }
  - { application: client, object: line, operations: [read, control], path: direct }
  - { application: client, object: disk, operations: [read], path: direct }
  - { application: mapper, object: disk, operations: [read], path: direct, mmap: true }
  - { application: client, object: mapped, operations: [read], path: direct, mmap: true }
  - { application: client, object: recalled, operations: [bind, listen, accept], path: direct, accepted: recall }
  - { application: client, object: left, operations: [bind, listen, accept], path: direct }
  - { application: client, object: recalled-unix, operations: [bind, listen, accept], path: direct, accepted: recall }
  - { application: client, object: left-unix, operations: [bind, listen, accept], path: direct }
END
mkdir -m 777 "$scratch/boxes"
direct_start
actor holder nobody
holder=$!
actor plain daemon

begin "a raw socket sends to the addresses of send-to only"
does holder direct open ping ping send,receive
does holder 8 send-to ping 127.0.0.1 0
does holder EPERM send-to ping 127.0.0.2 0
does holder EPERM send-to ping 0.0.0.0 0
finish

begin "and so does a udp socket"
does holder direct open udp udp bind,send,receive,setoption
does holder 8 send-to udp 127.0.0.1 5300
does holder 8 recv udp
does holder EPERM send-to udp 127.0.0.2 5300
does holder EACCES connect udp 5300
finish

begin "of the options only those that are named"
does holder 0 setsockopt udp 1 12 3
does holder EPERM setsockopt udp 1 8 4096
does holder EACCES setsockopt ping 1 12 3
finish

begin "of a tty's requests only those that are named"
does holder direct open line line read,control
does holder 0 ioctl line 0x802c542a
does holder EPERM ioctl line 0x5412
does holder EPERM ioctl line 0x5402
finish

begin "a mapping is refused, but with mmap: true"
does holder direct open disk disk read
does holder direct open mapped mapped read
does holder EACCES map disk read
does holder "mapped 0" map mapped read
does holder EBADF pwrite disk
does plain direct open disk disk read
does plain "mapped 0" map disk read
finish

for kind in recalled left recalled-unix left-unix; do
	does holder direct open $kind $kind bind,listen,accept
	does holder 0 listen $kind
done
dial() { # NAME LISTENER PORT|unix
	case $3 in
	unix)
		does plain 0 unix "$1"
		does plain 0 connect-unix "$1" "$scratch/boxes/${2%-unix}"
		;;
	*)
		does plain 0 tcp "$1"
		does plain 0 connect "$1" "$3"
		;;
	esac
	does holder 0 accept "$2" "$1"
	does holder 1 write "$1"
	does plain 1 read "$1"
	does plain 1 write "$1"
	does holder 1 read "$1"
}
begin "accepted connections work"
dial tcp-recalled recalled 8081
dial tcp-left left 8082
dial unix-recalled recalled-unix unix
dial unix-left left-unix unix
finish

postern_as root revoke --object mapped
begin "what is mapped cannot be recalled, and that is said"
is "the exit status" "$status" 1
has "what it tells" "$out $err" "cannot recall"
finish
postern_as root revoke --object disk --application client
begin "what another application may map is recalled from one that may not"
allowed "the revoke"
has "what it tells" "$out" "recalled"
does holder EKEYREVOKED pread disk
does plain 4096 pread disk
postern_as root revoke --object disk --application mapper
is "the exit status for the other one" "$status" 1
has "what that tells" "$out $err" "cannot recall"
finish
for object in recalled left recalled-unix left-unix; do
	postern_as root revoke --object "$object"
	[ "$status" -eq 0 ] || break
done
begin "accepted: recall takes them back at a revoke"
allowed "the revoke"
for connection in tcp-recalled unix-recalled; do
	does holder EKEYREVOKED write $connection
	does plain 1 write $connection
	does holder EKEYREVOKED read $connection
	does holder EKEYREVOKED recv $connection
done
finish
begin "accepted: leave leaves them"
for connection in tcp-left unix-left; do
	does holder 1 write $connection
	does plain 1 read $connection
	does plain 1 write $connection
	does holder 1 read $connection
done
finish

begin "every refusal is in the journal, with its reason"
sleep 1
journal
for entry in "limit ping $holder direct send" "limit udp $holder direct send" "operation udp $holder direct connect" \
	"limit udp $holder direct setoption" "operation ping $holder direct setoption" "limit line $holder direct control" \
	"operation disk $holder direct read mmap" "revoked recalled $holder direct send" \
	"revoked recalled-unix $holder direct receive"; do
	recorded "record" "^refusal $entry"
done
finish
scene_end
