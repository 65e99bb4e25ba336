#!/bin/bash
# Tools that know nothing of Postern, as nobody: what each needs of its object, and what it is refused.
# vm-memory: 2048
# vm-once: 6.1 it is about programs, not about what differs between kernels
# vm-time-limit: 400
. "$(dirname "$0")/run-scene"

# A tty of somebody else's, for the program to open.
socat PTY,link="$scene/device",rawer,mode=600 PTY,link="$scene/far",rawer,mode=600 2>"$scene/socat" &
pair=$!
within 20 test -e "$scene/far"
# Kept open: with its last user the line would be gone.
exec 8<>"$scene/far"
cat >"$scene/policy.yaml" <<POLICY
version: 1
objects:
  ping: { kind: socket, listen: "raw://icmp", send-to: ["127.0.0.0/8"] }
  wire: { kind: socket, listen: "packet://lo" }
  blind: { kind: socket, listen: "tcp://0.0.0.0:90" }
  open: { kind: socket, listen: "tcp://0.0.0.0:91" }
  line: { kind: bus, bus: serial, path: $(readlink -f "$scene/device"), baud: 9600, ioctls: [TCGETS2] }
applications:
  app: { user: nobody }
  traced: { user: nobody, executable: $(readlink -f "$(command -v perl)"), traceable: true }
grants:
  - { application: app, object: ping, operations: [send, receive] }
  - { application: app, object: wire, operations: [receive], mmap: true }
  - { application: app, object: blind, operations: [bind, listen, accept] }
  - { application: traced, object: open, operations: [bind, listen, accept] }
  - { application: app, object: line, operations: [read, write, control] }
POLICY
start_broker
busybox ip address add 192.0.2.1/32 dev lo

# ping
ping() { as_nobody "$postern" run -- ping -4 -n -c 1 -W "${2:-5}" "$1" 2>&1; }
said=$(ping 127.0.0.1)
check "ping reaches an address that send-to lists" has "$said" "1 received"
check "with nothing to complain about" refuses grep -qiE 'warning|not permitted|denied' <<<"$said"
said=$(ping 192.0.2.1 2)
check "and not another one" has "$said" "0 received"
check "which is recorded as a limit" within 20 recorded ping "limit send"

# tcpdump
run tcpdump tcpdump -i lo -p -n -c 1 --immediate-mode icmp
dump=$started
check "tcpdump listens on lo" within 60 grep -q "listening on lo" "$scene/tcpdump"
ping 127.0.0.1 >/dev/null
check "and sees a ping" within 20 grep -q "ICMP echo request" "$scene/tcpdump"
stop "$dump"
said=$("$postern" revoke --object wire 2>&1)
check "what is mapped is not said to be recalled" refuses grep -q "^.*: recalled$" <<<"$said"

# A tty
run line perl -e 'open(my $f, "+<", $ARGV[0]) or die "open: $!"; $| = 1;
	my $t = "\0" x 64; print ioctl($f, 0x5401, $t) ? "TCGETS works\n" : "TCGETS $!\n";
	my $w = "\0" x 8; print ioctl($f, 0x5413, $w) ? "TIOCGWINSZ works\n" : "TIOCGWINSZ $!\n";
	my $c = "x"; print ioctl($f, 0x5412, $c) ? "TIOCSTI works\n" : "TIOCSTI $!\n";
	syswrite($f, "hello\n") or die "write: $!"; print "ready\n";
	while (1) { my $got; defined sysread($f, $got, 100) or do { print "read: $!\n"; exit }; print "got $got" }' "$(readlink -f "$scene/device")"
line=$started
within 60 grep -q ready "$scene/line"
said=$(cat "$scene/line")
check "a granted ioctl of a tty works, another one does not" has "$said" "TCGETS works" \
	"TIOCGWINSZ Operation not permitted" "TIOCSTI Operation not permitted"
read -r -t 20 arrived <&8
check "what it writes arrives" is hello "$arrived"
echo there >&8
check "what is sent to it arrives" within 20 grep -q "got there" "$scene/line"
check "its revoke is a recall" revoke --object line
check "the read that was waiting is refused" within 20 grep -q "read: Key has been revoked" "$scene/line"
stop "$line" "$pair"

# Tracing
serve='use Socket; socket(my $s, PF_INET, SOCK_STREAM, 0); bind($s, sockaddr_in($ARGV[0], INADDR_ANY)) or die $!;
	listen($s, 5) or die $!; $| = 1; print "ready\n"; while (1) { if (accept(my $c, $s)) { print $c "hello" } else { sleep 1 } }'
run blind busybox httpd -f -p 0.0.0.0:90 -h "$scene/open"
blind=$started
held() { [ "$(holders "$1")" = 1 ]; }
within 60 held blind
pid=$(associations blind)
said=$(timeout 20 strace -p "$pid" -o /dev/null 2>&1)
check "strace is refused on a holder, also to root" has "$said" "Operation not permitted"
said=$(timeout 30 gdb -batch -nx -p "$pid" 2>&1)
check "and gdb" has "$said" "Operation not permitted"
stop "$blind"
run traced perl -e "$serve" 91
open=$started
within 60 grep -q ready "$scene/traced"
within 60 held open
pid=$(associations open)
timeout 3 strace -p "$pid" -o "$scene/strace" 2>"$scene/strace.errors"
check "strace of one that is traceable works" refuses grep -q "not permitted" "$scene/strace.errors"
check "and shows its calls" within 5 grep -q accept "$scene/strace"
stop "$open"
finish
