#!/bin/bash
# A server of several processes: the listener is its first one's, the others have it by on-fork: inherit, each alone.
# vm-memory: 2048
# vm-once: 6.1 it is about programs, not about what differs between kernels
# vm-time-limit: 400
. "$(dirname "$0")/run-scene"
command -v nginx >/dev/null || { echo "skip nginx: it is not installed"; exit 0; }

cat >"$scene/policy.yaml" <<'POLICY'
version: 1
objects: { web: { kind: socket, listen: "tcp://0.0.0.0:80" } }
applications: { app: { user: nobody } }
grants: [ { application: app, object: web, operations: [bind, listen, accept] } ]
POLICY
# configure FOLDER USER-LINE
configure() {
	cat >"$1/nginx.conf" <<CONF
daemon off; worker_processes 3; pid $1/pid; error_log $1/errors info; $2
events { worker_connections 64; }
http {
	access_log off; client_body_temp_path $1/body; proxy_temp_path $1/proxy; fastcgi_temp_path $1/fastcgi;
	uwsgi_temp_path $1/uwsgi; scgi_temp_path $1/scgi;
	server { listen 80; location / { return 200 "\$pid"; } }
}
CONF
}
configure "$scene/open" ""
start_broker
run nginx nginx -e stderr -p "$scene/open" -c "$scene/open/nginx.conf"
master=$started
answers() { [ -n "$(gets http://127.0.0.1/)" ] || { cat "$scene/nginx"; return 1; }; }
# Whoever has answered has used it.
use() { for _ in $(seq "${1:-12}"); do gets --max-time 2 http://127.0.0.1/ >/dev/null; done; }
who() { for _ in $(seq "${1:-12}"); do gets --max-time 2 http://127.0.0.1/; echo; done | sed '/^$/d' | sort -u; }
sorted() { tr ' ' '\n' <<<"$*" | sed '/^$/d' | sort -n | tr '\n' ' '; }
same_processes() { is "$(sorted "$@")" "$(sorted $(associations web))"; }

check "nginx answers on port 80" within 60 answers
use 20
workers=$(children "$master")
check "it has three workers" is 3 "$(wc -w <<<"$workers")"
held=$(associations web)
check "only the master and workers hold it" has " $(sorted "$master" $workers)" $held
check "the master is one of them" has "$held" "$master"
serving=$(who 20)
check "and every worker that has answered" has "$held" $serving
check "all on the path direct" is direct "$(associations web path | sort -u)"

# One worker alone
one=$(head -n 1 <<<"$serving")
others() { local found; found=$(who 8); [ -n "$found" ] || return 1; case $found in *"$one"*) echo "$found"; return 1 ;; esac; }
check "one worker alone is recalled" revoke --pid "$one" --object web
kill -STOP "$one"
check "the others serve" within 30 others
kill -CONT "$one"
check "it runs on" runs "$one"

# A reload: new workers
"$postern" reload >/dev/null 2>&1
kill -HUP "$master"
replaced() {
	local now
	now=$(children "$master")
	[ "$(wc -w <<<"$now")" = 3 ] || { echo "workers: $now"; return 1; }
	for old in $workers; do case " $now " in *" $old "*) echo "$old is there"; return 1 ;; esac; done
}
check "a reload of nginx replaces the workers" within 60 replaced
check "and it serves" within 20 answers
use 20
held=$(associations web)
check "the new workers that answer hold it" has "$held" $(who 20)
check "no old one does" replaced

# All
check "a revoke takes it from all of them" revoke --object web
check "nobody answers" denies http://127.0.0.1/ --max-time 1
check "the master runs on" runs "$master"
check "the workers run on" is 3 "$(children "$master" | wc -w)"
check "nobody holds it" holds web 0

# Granted again: what was taken back stays so until the program binds again, because it cannot ask.
check "it is granted again" "$postern" grant --application app --object web --operations bind,listen,accept
check "the listener that was taken back stays so" denies http://127.0.0.1/ --max-time 1
kill -QUIT "$master"
within 30 refuses runs "$master"
stop "$master"
run nginx nginx -e stderr -p "$scene/open" -c "$scene/open/nginx.conf"
master=$started
check "a new start is granted it" within 60 answers
stop "$master" # which would start another worker for one that is gone

# Started by root, with workers of another user
sed -i 's/user: nobody/user: root/' "$scene/policy.yaml"
check "the policy now names root" "$postern" reload
mkdir "$scene/root"
chmod 0755 "$scene/root"
configure "$scene/root" "user nobody nogroup;"
setpriv --bounding-set -net_bind_service "$postern" run -- nginx -e stderr -p "$scene/root" -c "$scene/root/nginx.conf" \
	>"$scene/nginx" 2>&1 </dev/null &
master=$!
check "root's nginx without CAP_NET_BIND_SERVICE answers" within 60 answers
use 12
serving=$(who 12)
check "its workers are nobody" is 65534 "$(stat -c %u /proc/"$(head -n 1 <<<"$serving")")"
check "and hold it by their parent's right" has "$(associations web)" $serving
check "a revoke takes it from all of them" revoke --object web
check "nobody answers" denies http://127.0.0.1/ --max-time 1
stop "$master" # which would start another worker for one that is gone
finish
