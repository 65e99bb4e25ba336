#!/bin/bash
# The broker is killed while unmodified programs serve: they go on, are refused what they were refused, and the next broker
# finds them.
# vm-memory: 2048
# vm-once: 6.12 it is about programs, not about what differs between kernels
# vm-time-limit: 300
. "$(dirname "$0")/run-scene"

cat >"$scene/policy.yaml" <<'POLICY'
version: 1
objects:
  web: { kind: socket, listen: "tcp://0.0.0.0:180" }
  more: { kind: socket, listen: "tcp://0.0.0.0:181" }
  taken: { kind: socket, listen: "tcp://0.0.0.0:182" }
  late: { kind: socket, listen: "tcp://0.0.0.0:183" }
applications: { app: { user: nobody } }
grants:
  - { application: app, object: web, operations: [bind, listen, accept] }
  - { application: app, object: more, operations: [bind, listen, accept] }
  - { application: app, object: taken, operations: [bind, listen, accept] }
  - { application: app, object: late, operations: [bind, listen, accept] }
POLICY
start_broker
serve='use Socket; $| = 1; my ($port, $later) = @ARGV; my @s;
	sub take { my ($p) = @_; socket(my $s, PF_INET, SOCK_STREAM, 0); bind($s, sockaddr_in($p, INADDR_ANY)) or do { print "bind $!\n"; return };
		listen($s, 5); push @s, $s; print "ready $p\n" }
	take($port); fork; fork;
	$SIG{USR1} = sub { take($later) };
	while (1) { my $r = ""; vec($r, fileno($_), 1) = 1 for @s; next if select(my $w = $r, undef, undef, 1) < 1;
		for (@s) { next unless vec($w, fileno($_), 1); if (accept(my $c, $_)) { sysread($c, my $q, 4096); print $c "HTTP/1.0 200 OK\r\n\r\n$$" } else { sleep 1 } } }'
run web perl -e "$serve" 180 183
web=$started
run taken perl -e "$serve" 182 183
taken=$started
answers() { [ -n "$(gets "http://127.0.0.1:$1/")" ]; }
ask() { for _ in $(seq 12); do gets --max-time 2 "http://127.0.0.1:$1/" >/dev/null; done; }
check "a server of four processes answers" within 60 answers 180
within 60 answers 182
ask 180
before=$(associations web | sort)
family() { local one; for one in $web $(children "$web"); do echo "$one"; children "$one" | tr ' ' '\n'; done | grep . | sort -u; }
check "another one is revoked" revoke --object taken

kill_broker
check "without a broker the first goes on" answers 180
check "the other stays revoked" denies http://127.0.0.1:182/ --max-time 1
start_broker
again() {
	local now
	now=$(associations web | sort) || return 1
	is "" "$(comm -23 <(echo "$before") <(echo "$now"))" && is "" "$(comm -13 <(family) <(echo "$now"))"
}
check "the next broker lists everybody who has had it, and nobody else" within 30 again
all_serve() { ask 180; is "$(family)" "$(associations web | sort)"; }
check "all four serve with it, and none is refused what it had inherited" within 60 all_serve
is "" "$(refusals web)" >/dev/null || miss "nothing of it was refused" "$(refusals web)"
check "the other stays revoked with it" denies http://127.0.0.1:182/ --max-time 1
check "what was started before can be granted more" kill -USR1 "$web"
check "and serves that, too" within 30 answers 183
check "what an earlier broker gave is recalled" revoke --object web
check "nobody answers" denies http://127.0.0.1:180/ --max-time 1
check "and none of it was killed" runs "$web"
stop "$web" "$taken"

# Restarted in order
run more perl -e "$serve" 181 183
more=$started
check "a new program is served" within 60 answers 181
kill -TERM $broker
wait $broker
check "after an orderly stop it goes on" answers 181
start_broker
check "and is listed again" within 30 refuses holds more 0
check "and recalled" revoke --object more
check "it does not answer any more" denies http://127.0.0.1:181/ --max-time 1
stop "$more"
finish
