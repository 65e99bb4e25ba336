#!/bin/bash
# More children than the application may have processes: the kernel lets each of them inherit, and the broker, which counts them, takes
# it back from those that are too many. What they had begun by then ends too: one that waits in accept(2) gets nobody.
# vm-memory: 2048
# vm-once: 6.12 it is about what the broker does, not about what differs between kernels
. "$(dirname "$0")/run-scene"

cat >"$scene/policy.yaml" <<'POLICY'
version: 1
objects:
  web: { kind: socket, listen: "tcp://0.0.0.0:184" }
applications: { app: { user: nobody, processes: 2 } }
grants:
  - { application: app, object: web, operations: [bind, listen, accept] }
POLICY
start_broker
# Four processes that wait in accept(2) all the time.
serve='use Socket; $| = 1; socket(my $s, PF_INET, SOCK_STREAM, 0); bind($s, sockaddr_in(184, INADDR_ANY)) or die "bind $!"; listen($s, 20);
	fork; fork;
	while (1) { if (accept(my $c, $s)) { sysread($c, my $q, 4096); print $c "HTTP/1.0 200 OK\r\n\r\n$$" } else { sleep 1 } }'
run web perl -e "$serve"
web=$started
too_many() { [ "$(refused | wc -l)" -ge 2 ]; }
refused() { refusals web | awk '{ print $3 }' | sort -u; }
check "those that are too many are refused" within 60 too_many
answering() { for _ in $(seq 12); do gets --max-time 2 http://127.0.0.1:184/; echo; done | sort -u | grep .; }
answered=$(answering)
check "the others answer" [ -n "$answered" ]
stranger() { grep -qxFf <(refused) <<<"$answered"; }
check "and of those that were refused none does" refuses stranger
stop "$web"
finish
