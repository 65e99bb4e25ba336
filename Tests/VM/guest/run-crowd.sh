#!/bin/bash
# More children than the application may have processes: the kernel lets each of them inherit, and the broker, which counts them, takes
# it back from those that are too many. What they had begun by then ends too: one that waits in accept(2) gets nobody.
# vm-memory: 2048
# vm-time-limit: 240
# vm-once: 6.12 it is about what the broker does, not about what differs between kernels
. "$(dirname "$0")/run-scene"

cat >"$scene/policy.yaml" <<'POLICY'
version: 1
objects:
  web: { kind: socket, listen: "tcp://0.0.0.0:184" }
  time: { kind: socket, listen: "udp://0.0.0.0:53" }
  spare: { kind: socket, listen: "tcp://0.0.0.0:185" }
  late: { kind: socket, listen: "tcp://0.0.0.0:186" }
applications: { app: { user: nobody, processes: 2 } }
grants:
  - { application: app, object: web, operations: [bind, listen, accept] }
  - { application: app, object: time, operations: [bind, receive] }
  - { application: app, object: late, operations: [bind, listen, accept] }
  - { application: app, object: spare, operations: [bind, listen, accept] }
POLICY
start_broker
# Four processes that wait in accept(2) all the time.
serve='use Socket; $| = 1; socket(my $s, PF_INET, SOCK_STREAM, 0); bind($s, sockaddr_in(184, INADDR_ANY)) or die "bind $!"; listen($s, 20);
	fork; fork;
	while (1) { if (accept(my $c, $s)) { sysread($c, my $q, 4096); print $c "HTTP/1.0 200 OK\r\n\r\n$$" } else { sleep 1 } }'
run web perl -e "$serve"
web=$started
too_many() { [ "$(refused "$1" | wc -l)" -ge 2 ]; }
refused() { refusals "$1" | awk '{ print $3 }' | sort -u; }
check "those that are too many are refused" within 60 too_many web
answering() { for _ in $(seq 12); do gets --max-time 2 "http://127.0.0.1:$1/"; echo; done | sort -u | grep .; }
answered=$(answering 184)
check "the others answer" [ -n "$answered" ]
stranger() { grep -qxFf <(refused web) <<<"$answered"; }
check "and of those that were refused none does" refuses stranger
stop "$web"

# Those that a revoke of another object finds first: what the kernel tells of them waits behind thousands of refusals.
repeats='use Fcntl; open(my $l, "+<&=", 3); fcntl($l, F_SETFD, 0);
	exec("perl", "-e", q{open(my $l, "+<&=", 3); $| = 1; while (1) { sleep 1 until unlink("'"$scene"'/open/go"); recv($l, my $got, 10, 0) for 1..5000; print "done\n" }})'
"${nobody[@]}" "$postern" open time -- perl -e "$repeats" >"$scene/refused" 2>&1 &
repeating=$!
serve='use Socket; $| = 1; socket(my $s, PF_INET, SOCK_STREAM, 0); setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
	bind($s, sockaddr_in(186, INADDR_ANY)) or die "bind $!"; listen($s, 20);
	$SIG{USR1} = sub { $SIG{USR1} = "IGNORE"; fork; fork };
	while (1) { if (accept(my $c, $s)) { sysread($c, my $q, 4096); print $c "HTTP/1.0 200 OK\r\n\r\n$$" } else { select(undef, undef, undef, 0.2) } }'
run web perl -e "$serve"
web=$started
check "a server of one process answers" within 10 serves "$web" http://127.0.0.1:186/
kill -STOP "$broker"
as_nobody touch "$scene/open/go"
check "thousands are refused while the broker sleeps" within 20 grep -q done "$scene/refused"
kill -USR1 "$web"
"$postern" revoke --object spare >/dev/null 2>&1 &
revoking=$!
sleep 1
kill -CONT "$broker"
wait "$revoking"
check "of four processes two are too many" within 60 too_many late
sleep 2
answered=$(answering 186)
check "the others answer" [ -n "$answered" ]
stranger() { grep -qxFf <(refused late) <<<"$answered"; }
check "and of those that a revoke of something else has refused none does" refuses stranger
stop "$web" "$repeating"
finish
