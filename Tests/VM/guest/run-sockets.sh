#!/bin/bash
# What servers do with sockets of their own on the path direct, as nobody: binding twice and anew, tuning, datagrams, unix.
# vm-memory: 2048
# vm-once: 6.12 it is about programs, not about what differs between kernels
# vm-time-limit: 400
. "$(dirname "$0")/run-scene"

cat >"$scene/policy.yaml" <<'POLICY'
version: 1
objects:
  again: { kind: socket, listen: "tcp://0.0.0.0:84" }
  phoenix: { kind: socket, listen: "tcp://0.0.0.0:85" }
  time: { kind: socket, listen: "udp://0.0.0.0:53", send-to: ["127.0.0.0/8"] }
  mute: { kind: socket, listen: "udp://0.0.0.0:54" }
  local: { kind: socket, listen: "unix:///run/served/socket" }
applications: { app: { user: nobody } }
grants:
  - { application: app, object: again, operations: [bind, listen, accept] }
  - { application: app, object: phoenix, operations: [bind, listen, accept] }
  - { application: app, object: time, operations: [bind, send, receive] }
  - { application: app, object: mute, operations: [bind, send, receive] }
  - { application: app, object: local, operations: [bind, listen, accept] }
POLICY
mkdir -m 0777 /run/served
start_broker

# A bind that fails does not make the listener one that nobody checks; tuning it is the program's own affair, what changes
# who may receive is not.
run twice python3 -c '
import errno, fcntl, socket, struct, termios, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("0.0.0.0", 84)); s.listen()
def tell(name, act):
    try: act(); print(name, "works", flush=True)
    except OSError as e: print(name, errno.errorcode[e.errno], flush=True)
tell("again", lambda: s.bind(("0.0.0.0", 84)))
tell("other", lambda: s.bind(("0.0.0.0", 8484)))
tell("buffer", lambda: s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536))
tell("defer", lambda: s.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1))
tell("undefer", lambda: s.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 0))
tell("nodelay", lambda: s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1))
tell("info", lambda: s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 100))
tell("reuseport", lambda: s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT))
tell("nonblock", lambda: fcntl.ioctl(s, 0x5421, struct.pack("i", 1)))
tell("unread", lambda: fcntl.ioctl(s, 0x5421, struct.pack("i", 0)))
tell("peer", lambda: s.getpeername())
tell("share", lambda: s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1))
tell("device", lambda: s.setsockopt(socket.SOL_SOCKET, 25, b"lo"))
tell("filter", lambda: s.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HxxxxxxP", 0, 0)))
tell("transparent", lambda: s.setsockopt(socket.IPPROTO_IP, 19, 1))
tell("protocol", lambda: s.setsockopt(socket.IPPROTO_TCP, 31, b"tls"))
tell("sent", lambda: s.shutdown(socket.SHUT_WR))
print("done", flush=True)
while True:
    try: c, _ = s.accept(); c.recv(4096); c.send(b"HTTP/1.0 200 OK\r\n\r\ntwice"); c.close()
    except OSError as e: time.sleep(0.3)'
twice=$started
within 60 grep -q done "$scene/twice"
said=$(cat "$scene/twice")
check "a second bind fails as without Postern" has "$said" "again EINVAL" "other EINVAL"
check "its own socket may be tuned" has "$said" "buffer works" "defer works" "nodelay works" "info works" \
	"reuseport works" "nonblock works" "peer ENOTCONN"
check "and not made to receive for others or elsewhere" has "$said" "share EACCES" "device EACCES" "filter EACCES" \
	"transparent EACCES" "protocol EACCES"
check "it answers" within 20 serves twice http://127.0.0.1:84/
check "after the second bind it is still held" holds again 1
check "and recalled" revoke --object again
check "so that it does not answer" denies http://127.0.0.1:84/ --max-time 1
stop "$twice"

# A program that cannot ask has to bind again to be granted again: the listener that was taken back stays so.
run phoenix perl -e 'use Socket; $| = 1; while (1) {
	socket(my $s, PF_INET, SOCK_STREAM, 0); setsockopt($s, SOL_SOCKET, SO_REUSEADDR, pack("i", 1));
	if (bind($s, sockaddr_in(85, INADDR_ANY)) && listen($s, 5)) { print "bound\n" }
	else { print "bind $!\n"; sleep 1; next }
	while (accept(my $c, $s)) { sysread($c, my $q, 4096); print $c "HTTP/1.0 200 OK\r\n\r\nphoenix"; close $c }
	print "accept $!\n"; close $s }'
phoenix=$started
check "a server that binds anew when it is refused answers" within 60 serves phoenix http://127.0.0.1:85/
check "its revoke is a recall" revoke --object phoenix
check "it is told, and its next bind refused" within 20 file_has "$scene/phoenix" "accept Key has been revoked" "bind Permission denied"
check "which is recorded as revoked" within 20 recorded phoenix "revoked bind"
check "granted again" "$postern" grant --application app --object phoenix --operations bind,listen,accept
check "it answers without having been started again" within 20 serves phoenix http://127.0.0.1:85/
check "and holds it on the path direct" holds phoenix 1
stop "$phoenix"

# UDP
udp='
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("0.0.0.0", int(sys.argv[1]))); print("ready", flush=True)
while True:
    try:
        data, peer = s.recvfrom(2048); s.sendto(data.upper(), peer)
    except OSError as e:
        print("refused", e.errno, flush=True); time.sleep(0.2)'
asks='
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3); s.sendto(b"hello", ("127.0.0.1", int(sys.argv[1])))
print(s.recv(100).decode())'
asks() { is HELLO "$(timeout 20 python3 -c "$asks" "$1" 2>/dev/null)"; }
run time python3 -c "$udp" 53
time=$started
check "a datagram server answers on port 53" within 60 asks 53
check "its revoke is a recall" revoke --object time
check "a blocked receive is told of it" within 20 grep -q "refused 128" "$scene/time"
check "it does not answer any more" refuses asks 53
run mute python3 -c "$udp" 54
mute=$started
within 60 grep -q ready "$scene/mute"
check "without send-to nothing is sent" refuses asks 54
check "and it is told so" within 20 grep -q "refused 13" "$scene/mute"
stop "$time" "$mute"

# A unix socket, bound as the program's own
run local python3 -c '
import socket, time
s = socket.socket(socket.AF_UNIX); s.bind("/run/served/socket"); s.listen(); print("ready", flush=True)
while True:
    try: c, _ = s.accept(); c.send(b"hello"); c.close()
    except OSError as e: print("refused", e.errno, flush=True); time.sleep(0.2)'
local=$started
unix() { is hello "$(timeout 5 socat -t 2 - UNIX-CONNECT:/run/served/socket </dev/null)"; }
check "a unix listener answers" within 60 unix
check "its file is the program's" is 65534 "$(stat -c %u /run/served/socket)"
check "its revoke is a recall" revoke --object local
check "it does not answer any more" refuses unix
stop "$local"
finish
