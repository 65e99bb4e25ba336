# What scenes share: sourced at their beginning, in the guest, as root, in the repository's folder.
#
# A scene describes checks in groups; each group prints one line, `ok NAME` or `FAIL NAME: why`:
#
#	begin "a thing"
#	is "what is looked at" "$actual" "$expected"
#	finish
#
# and ends with `scene_end`, whose status is the scene's.
set -euo pipefail

programs=$PWD/.build/vm # of Tests/VM/guest/build
scratch=$(mktemp -d /run/scene.XXXXXX)
chmod 755 "$scratch"
export POSTERN_SOCKET=$scratch/socket
failures=0 group= why= broker= children=()

scene_clean_up() {
	local child
	for child in "${children[@]}" $broker; do
		kill -KILL "$child" 2>/dev/null || true
	done
}
trap scene_clean_up EXIT
trap 'echo "FAIL ${group:-setting up}: a command ended with $? in line $LINENO"' ERR

begin() {
	group=$1 why=
}
# wrong WHY: the group has failed; the first reason is told.
wrong() {
	if [ -z "$why" ]; then
		why=$1
	fi
}
# is WHAT ACTUAL EXPECTED
is() {
	[ "$2" = "$3" ] || wrong "$1 is '$2' instead of '$3'"
}
# has WHAT ACTUAL PART
has() {
	case $2 in
	*"$3"*) ;;
	*) wrong "$1 is '$2', which does not have '$3'" ;;
	esac
}
finish() {
	if [ -z "$why" ]; then
		echo "ok $group"
	else
		echo "FAIL $group: $why"
		failures=$((failures + 1))
	fi
}
scene_end() {
	exit $((failures ? 1 : 0))
}
# What no group can do without.
give_up() {
	echo "FAIL ${group:-setting up}: $*"
	exit 1
}

# await WHAT COMMAND...: until the command succeeds, at most ten seconds.
await() {
	local what=$1 i
	shift
	for ((i = 0; i < 100; i++)); do
		if "$@" >/dev/null 2>&1; then
			return 0
		fi
		sleep 0.1
	done
	give_up "$what did not come"
}

# broker_start: the policy is on standard input.
broker_start() {
	cat >"$scratch/policy.yaml"
	mkdir -p "$scratch/state"
	"$programs/posternd" --policy "$scratch/policy.yaml" --socket "$POSTERN_SOCKET" --state-dir "$scratch/state" \
		2>"$scratch/posternd" &
	broker=$!
	await "posternd: $(cat "$scratch/posternd")" grep -q '^posternd: ready' "$scratch/posternd"
}
broker_stop() {
	kill "$broker"
	wait "$broker" || wrong "posternd ended with $?: $(tail -n 3 "$scratch/posternd")"
	broker=
}

# as USER COMMAND...: sets $out, $err and $status; $out without its last newline, zero bytes and all in $scratch/out.
as() {
	local user=$1
	shift
	status=0
	case $user in
	root) "$@" >"$scratch/out" 2>"$scratch/err" || status=$? ;;
	*) setpriv --reuid "$user" --regid nogroup --clear-groups -- "$@" >"$scratch/out" 2>"$scratch/err" || status=$? ;;
	esac
	out=$(tr -d '\0' <"$scratch/out")
	err=$(cat "$scratch/err")
}
# postern_as USER ARGUMENT...
postern_as() {
	local user=$1
	shift
	as "$user" "$programs/postern" "$@"
}
# allowed WHAT: the last command was done.
allowed() {
	[ "$status" = 0 ] || wrong "$1 ended with $status: ${err%%$'\n'*}"
}
# refused WHAT EXPLANATION: the last command was refused, and told so.
refused() {
	is "the exit status of $1" "$status" 1
	has "what $1 tells" "$err" "$2"
}

# hex FILE [OFFSET LENGTH]
hex() {
	od -An -v -tx1 -j "${2:-0}" ${3:+-N "$3"} "$1" | tr -d ' \n'
}
# bytes DIGITS: the bytes themselves.
bytes() {
	printf '%b' "$(sed 's/../\\x&/g' <<<"$1")"
}

# A client that holds what it opens, as the user daemon; `ask LINE` sets $answer (client.c has the words).
client_start() {
	mkfifo "$scratch/client-in" "$scratch/client-out"
	setpriv --reuid daemon --regid nogroup --clear-groups -- "$programs/client" \
		<"$scratch/client-in" >"$scratch/client-out" 2>"$scratch/client-err" &
	children+=($!)
	exec {to_client}>"$scratch/client-in" {from_client}<"$scratch/client-out"
	hear
	[ "$answer" = ready ] || give_up "the client: $answer $(cat "$scratch/client-err")"
}
say() {
	echo "$*" >&"$to_client"
}
hear() {
	# Without an answer every later one would belong to another line.
	IFS= read -r -t 15 -u "$from_client" answer || give_up "the client did not answer within 15 s"
}
ask() {
	say "$@"
	hear
}
# told LINE ANSWER
told() {
	ask "$1"
	is "the answer to '$1'" "$answer" "$2"
}

# taken_back OBJECT OPERATIONS [LINE]: an admin revokes the object, which the client holds: its next operation (LINE, or
# the one that it was told before and that still waits) and another open are refused.
taken_back() {
	local object=$1 operations=$2 line=${3:-}
	postern_as root revoke --object "$object"
	allowed "the revoke"
	has "what the revoke tells" "$out" recalled
	if [ -n "$line" ]; then
		say "$line"
	fi
	hear
	is "the answer to '${line:-what waited}'" "$answer" "refused revoked EKEYREVOKED"
	told "open $object $operations" "refused revoked EKEYREVOKED"
	audited "$object" revoked daemon
}

# audited OBJECT REASON USER: the journal is to have a refusal of that object for that reason, of a process of that user;
# looked up by audit_group, at the scene's end, because every command costs a second here.
awaited=()
audited() {
	awaited+=("$1 $2 $(id -u "$3")")
}
audit_group() {
	local object reason uid entry line
	local -A seen=()
	begin "the journal has every refusal"
	postern_as root audit list --format json
	allowed "the audit list"
	while IFS= read -r line; do
		object=${line#*\"object\":\"} reason=${line#*\"reason\":\"} uid=${line#*\"uid\":}
		seen["${object%%\"*} ${reason%%\"*} ${uid%%[,\}]*}"]=1
	done <<<"$out"
	for entry in "${awaited[@]}"; do
		[ -n "${seen[$entry]:-}" ] || wrong "there is none for $entry (object, reason, user)"
	done
	[ ${#awaited[@]} -gt 0 ] || wrong "nothing was awaited"
	finish
}
