#!/bin/bash
# Servers that know nothing of Postern, as nobody: what each was granted is on the path direct, is taken back while it runs,
# and costs it nothing else.
# vm-memory: 2048
# vm-soak: run-nginx and run-sockets show servers, this one only more of them
# vm-time-limit: 400
. "$(dirname "$0")/run-scene"

cat >"$scene/policy.yaml" <<'POLICY'
version: 1
objects:
  web: { kind: socket, listen: "tcp://0.0.0.0:80" }
  box: { kind: socket, listen: "tcp://0.0.0.0:81" }
  both: { kind: socket, listen: "tcp://[::]:82" }
  shared: { kind: socket, listen: "tcp://0.0.0.0:83" }
applications: { app: { user: nobody } }
grants:
  - { application: app, object: web, operations: [bind, listen, accept] }
  - { application: app, object: box, operations: [bind, listen, accept] }
  - { application: app, object: both, operations: [bind, listen, accept] }
  - { application: app, object: shared, operations: [bind, listen, accept] }
POLICY
echo page >"$scene/open/page"
start_broker

plan=$(as_nobody "$postern" run --dry-run -- true 2>&1)
check "a dry run says direct" has "$plan" web direct

# python3 -m http.server
run web python3 -m http.server --directory "$scene/open" 80
web=$started
check "http.server answers on port 80" within 60 serves page http://127.0.0.1/page
check "and holds it on the path direct" holds web 1
check "its revoke is a recall" revoke --object web
check "it does not answer any more" denies http://127.0.0.1/page --max-time 1
check "and runs on" runs "$web"
stop "$web"
check "its refusals are recorded as revoked" within 20 recorded web "revoked accept"

# busybox httpd: static, and forks for each connection
run box busybox httpd -f -p 0.0.0.0:81 -h "$scene/open"
box=$started
check "busybox httpd answers on port 81" within 60 serves page http://127.0.0.1:81/page
check "its connections are its own, in a child" serves page http://127.0.0.1:81/page
check "its revoke is a recall" revoke --object box
check "busybox does not answer any more" denies http://127.0.0.1:81/page --max-time 1
stop "$box"

# Dual stack
run both python3 -c '
import http.server, socket
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()
import os; os.chdir("'"$scene"'/open")
Server(("::", 82), http.server.SimpleHTTPRequestHandler).serve_forever()'
both=$started
check "a dual stack server answers on [::1]" within 60 serves page "http://[::1]:82/page"
check "and on 127.0.0.1" serves page http://127.0.0.1:82/page
check "its revoke is a recall" revoke --object both
check "it answers on neither" denies "http://[::1]:82/page" --max-time 1
check "on neither" denies http://127.0.0.1:82/page --max-time 1
stop "$both"

# SO_REUSEPORT: two servers, one port
one='
import socket, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1); s.bind(("0.0.0.0", 83)); s.listen()
print("ready", flush=True)
while True:
    try: c, _ = s.accept()
    except OSError as e: print("refused", e.errno, flush=True); import time; time.sleep(0.2); continue
    c.recv(1000); c.send(b"HTTP/1.0 200 OK\r\n\r\n" + sys.argv[1].encode()); c.close()'
run first python3 -c "$one" first
first=$started
run second python3 -c "$one" second
second=$started
check "two servers share a port" within 60 grep -q ready "$scene/second"
within 60 grep -q ready "$scene/first"
check "both hold it" holds shared 2
both_answer() {
	local said
	said=$(for _ in $(seq 16); do gets http://127.0.0.1:83/; echo; done | sort -u | tr '\n' ' ')
	has "$said" first second
}
check "both answer" both_answer
check "one alone is recalled" revoke --object shared --pid "$first"
check "the other holds it" holds shared 1
answered() { gets --max-time 1 http://127.0.0.1:83/; echo; }
seen=$(for _ in $(seq 6); do answered; done | sort -u | tr -d '\n')
check "only the other answers" is second "$seen"
check "the recalled one is told" within 20 grep -q "refused 128" "$scene/first"
stop "$first" "$second"

finish
