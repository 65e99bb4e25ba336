#!/bin/bash
# What a program execs gets nothing with the descriptors that it leaves open; what it forks has its own.
# vm-memory: 2048
# vm-once: 6.12 it is about programs, not about what differs between kernels
# vm-time-limit: 240
. "$(dirname "$0")/run-scene"

cat >"$scene/policy.yaml" <<'POLICY'
version: 1
objects:
  leak: { kind: socket, listen: "tcp://0.0.0.0:80" }
  cgi: { kind: socket, listen: "tcp://0.0.0.0:81" }
  strict: { kind: socket, listen: "tcp://0.0.0.0:82" }
  kept: { kind: socket, listen: "tcp://0.0.0.0:86" }
applications: { app: { user: nobody } }
grants:
  - { application: app, object: leak, operations: [bind, listen, accept] }
  - { application: app, object: cgi, operations: [bind, listen, accept] }
  - { application: app, object: strict, operations: [bind, listen, accept], accepted: recall }
  - { application: app, object: kept, operations: [bind, listen, accept], on-exec: keep }
POLICY
start_broker

# Binds, then forks: the child accepts; what the child execs has the descriptor and tries, too.
parent='use Socket; use Fcntl; $| = 1;
	socket(my $s, PF_INET, SOCK_STREAM, 0); setsockopt($s, SOL_SOCKET, SO_REUSEADDR, pack("i", 1));
	bind($s, sockaddr_in($ARGV[0], INADDR_ANY)) or die "bind: $!"; listen($s, 5) or die $!;
	my $n = fileno($s);
	sub attempt { my ($who, $fd) = @_;
		open(my $l, "+<&=", $fd) or die; socket(my $c, PF_INET, SOCK_STREAM, 0);
		connect($c, sockaddr_in($ARGV[0], INADDR_LOOPBACK)) or print "$who connect $!\n";
		print accept(my $a, $l) ? "$who works\n" : "$who $!\n"; }
	attempt("parent", $n);
	if (!fork) { attempt("child", $n); fcntl($s, F_SETFD, 0);
		exec("python3", "-c", $ARGV[1], $ARGV[0], $n) or die "exec: $!"; }
	wait; print "done\n"; sleep 60;'
helper='
import socket, sys
def tell(name, act):
    try: return act(), print("helper", name, "works", flush=True)
    except OSError as e: print("helper", name, e.strerror, flush=True)
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=int(sys.argv[2]))
tell("name", s.getsockname)
c = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
tell("accept", s.accept)'
run leak perl -e "$parent" 80 "$helper"
leak=$started
within 60 grep -q done "$scene/leak"
said=$(cat "$scene/leak")
check "the parent and its child accept" has "$said" "parent works" "child works"
check "what the child execs does not" has "$said" "helper accept Key has expired" "helper name Key has expired"
check "which is recorded" within 20 recorded leak "not-associated accept"
stop "$leak"

run kept perl -e 'use Socket; use Fcntl; socket(my $s, PF_INET, SOCK_STREAM, 0); bind($s, sockaddr_in(86, INADDR_ANY)) or die;
	listen($s, 5) or die; fcntl($s, F_SETFD, 0); exec("python3", "-c", $ARGV[0] . "\nimport time; time.sleep(60)", 86, fileno($s))' "$helper"
kept=$started
within 60 grep -q "helper accept" "$scene/kept"
check "with on-exec: keep what it execs itself has it" has "$(cat "$scene/kept")" "helper name works" "helper accept works"
check "and is listed" within 20 holds kept 1
check "and recalled" revoke --object kept
check "so that nobody has it" holds kept 0
stop "$kept"

# CGI: the connection is the server's own, unless the grant says that it is recalled.
mkdir -p "$scene/open/cgi-bin"
cat >"$scene/open/cgi-bin/hello" <<'CGI'
#!/bin/sh
echo "Content-type: text/plain"
echo
echo "hello from $$"
CGI
chmod 0755 "$scene/open/cgi-bin/hello" "$scene/open/cgi-bin"
run cgi busybox httpd -f -p 0.0.0.0:81 -h "$scene/open"
cgi=$started
hello() { has "$(gets "http://127.0.0.1:$1/cgi-bin/hello")" "hello from"; }
check "a CGI's answer goes through a connection of its server's own" within 60 hello 81
check "the server alone holds the listener" holds cgi 1
stop "$cgi"
echo page >"$scene/open/page"
run strict busybox httpd -f -p 0.0.0.0:82 -h "$scene/open"
strict=$started
check "accepted: recall: the forked child answers" within 60 serves page http://127.0.0.1:82/page
stop "$strict"
finish
