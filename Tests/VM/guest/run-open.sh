#!/bin/bash
# postern open: the program has the object at its first instruction after the exec, and nobody before it.
# vm-memory: 2048
# vm-once: 6.12 it is about programs, not about what differs between kernels
# vm-time-limit: 300
# vm-modules: loop ext4
. "$(dirname "$0")/run-scene"

cat >"$scene/policy.yaml" <<'POLICY'
version: 1
objects:
  lent: { kind: socket, listen: "tcp://0.0.0.0:80" }
  time: { kind: socket, listen: "udp://0.0.0.0:53", send-to: ["127.0.0.0/8"] }
  local: { kind: socket, listen: "unix:///run/served-open" }
applications: { app: { user: nobody } }
grants:
  - { application: app, object: lent, operations: [bind, listen, accept] }
  - { application: app, object: time, operations: [bind, send, receive] }
  - { application: app, object: local, operations: [bind, listen, accept] }
POLICY
mkdir "$scene/state"
truncate -s 64M "$scene/disk"
mkfs.ext4 -q "$scene/disk"
mount -o loop "$scene/disk" "$scene/state"
chmod 0700 "$scene/state"
start_broker
given() { as_nobody "$postern" open "$@" 2>&1; }

# The first thing that each does with it; nothing before that takes time.
accepts='use Socket; open(my $l, "+<&=", 3) or print "open $!\n"; print "name $!\n" unless getsockname($l);
	socket(my $c, PF_INET, SOCK_STREAM, 0); connect($c, sockaddr_in(80, INADDR_LOOPBACK)) or print "connect $!\n";
	accept(my $a, $l) or print "accept $!\n"; print "$ENV{LISTEN_FDS} ", $ENV{LISTEN_PID} == $$ ? "mine" : "not mine", "\n"'
receives='use Socket; open(my $l, "+<&=", 3) or print "open $!\n";
	socket(my $c, PF_INET, SOCK_DGRAM, 0); send($c, "x", 0, sockaddr_in(53, INADDR_LOOPBACK)) or print "to $!\n";
	defined recv($l, my $got, 10, 0) or print "receive $!\n"; print "got $got\n"'
check "a listener of LISTEN_FDS is used at once" is "1 mine" "$(given lent -- perl -e "$accepts")"
spurious=0 last=
turns=10
if [ -n "${POSTERN_SOAK:-}" ]; then
	turns=50
fi
for _ in $(seq $turns); do
	last=$(given lent -- perl -e "$accepts")
	[ "$last" = "1 mine" ] || spurious=$((spurious + 1))
done
check "and again and again, without a refusal" is "0 1 mine" "$spurious $last"
check "the journal has none either" is "" "$(refusals lent)"
check "a datagram socket is used at once" is "got x" "$(given time -- perl -e "$receives")"
check "and its port is free when the program has ended" within 10 perl -e 'use Socket; socket(my $s, PF_INET, SOCK_DGRAM, 0);
	bind($s, sockaddr_in(53, INADDR_ANY)) or exit 1'

"${nobody[@]}" "$postern" open lent -- perl -e 'use Socket; open(my $l, "+<&=", 3); $| = 1; print "ready\n";
	while (1) { if (accept(my $c, $l)) { sysread($c, my $q, 4096); print $c "HTTP/1.0 200 OK\r\n\r\nopened" } else { print "refused $!\n"; sleep 1 } }' >"$scene/server" 2>&1 &
server=$!
check "a server that was given its listener answers" within 60 serves opened http://127.0.0.1/
check "and holds it on the path direct" within 20 holds lent 1
check "its revoke is a recall" revoke --object lent
check "it does not answer any more" denies http://127.0.0.1/ --max-time 1
check "and is told so" within 20 grep -q "refused Key has been revoked" "$scene/server"
stop "$server"
said=$(given lent -- perl -e "$accepts")
check "while it is revoked nobody is given it" has "$said" lent revoked
"$postern" reload >/dev/null
check "after a reload it is given again" is "1 mine" "$(given lent -- perl -e "$accepts")"

# What the program leaves to the next one
said=$(given lent -- perl -e 'use Fcntl; open(my $l, "+<&=", 3); fcntl($l, F_SETFD, 0);
	exec("perl", "-e", q{open(my $l, "+<&=", 3) or print "open $!\n"; print getsockname($l) ? "works" : "$!"})')
check "what it execs is given nothing" has "$said" "Key has expired"

# A journal whose disk hangs, and whose queue is full
repeats='use Fcntl; open(my $l, "+<&=", 3); fcntl($l, F_SETFD, 0); exec("perl", "-e", q{open(my $l, "+<&=", 3); while (1) { recv($l, my $got, 10, 0) }})'
"${nobody[@]}" "$postern" open time -- perl -e "$repeats" >"$scene/refused" 2>&1 &
refused=$!
check "one that is refused all the time is recorded" within 20 recorded time not-associated
fsfreeze --freeze "$scene/state"
full() { has "$(as_nobody timeout 2 "$postern" open "$1" -- true 2>&1)" audit-full; }
check "at last the journal takes no more" within 60 full local
check "and nobody is given anything" full lent
# But for connections that have ended (TIME_WAIT).
binds='use Socket; socket(my $s, PF_INET, SOCK_STREAM, 0); setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
	bind($s, sockaddr_in(80, INADDR_ANY)) or die "$!\n"'
check "nor is a port taken for it" perl -e "$binds"
fsfreeze --unfreeze "$scene/state"
stop "$refused"
again() { is "1 mine" "$(given lent -- perl -e "$accepts")"; }
check "when the disk goes on it is given again" within 60 again
finish
