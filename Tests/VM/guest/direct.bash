# What the scenes of the path direct share, beside lib.bash: a broker, and processes that do what they are told.

. Tests/VM/guest/lib.bash
. Tests/VM/guest/json.bash

# direct_start [ARGUMENT...]: posternd with $scratch/policy.yaml; loading the programs takes seconds.
direct_start() {
	local i
	mkdir -p "$scratch/state"
	: >"$scratch/posternd"
	"$programs/posternd" --policy "$scratch/policy.yaml" --socket "$POSTERN_SOCKET" --state-dir "$scratch/state" "$@" \
		2>>"$scratch/posternd" &
	broker=$!
	for ((i = 0; i < 600; i++)); do
		if grep -q '^posternd: ready' "$scratch/posternd"; then
			return
		fi
		kill -0 "$broker" 2>/dev/null || break
		sleep 0.1
	done
	give_up "posternd is not ready: $(tail -n 3 "$scratch/posternd")"
}
# direct_kill: as a crash would.
direct_kill() {
	kill -KILL "$broker"
	wait "$broker" 2>/dev/null || true
	broker=
}

# Every process of a scene has two pipes by its name; $to_NAME and $from_NAME are the scene's ends.
actor_pipes() {
	local name=$1
	mkfifo -m 666 "$scratch/$name.in" "$scratch/$name.out"
	eval "exec {to_$name}<>'$scratch/$name.in' {from_$name}<>'$scratch/$name.out'"
}
# actor NAME USER [PROGRAM...]: started as that user; PROGRAM instead of the actor.
actor() {
	local name=$1 user=$2
	shift 2
	actor_pipes "$name"
	if [ $# -eq 0 ]; then
		set -- "$programs/actor"
	fi
	case $user in
	root) "$@" "$name" "$scratch" 2>"$scratch/$name.err" & ;;
	*) setpriv --reuid "$user" --regid nogroup --clear-groups -- "$@" "$name" "$scratch" 2>"$scratch/$name.err" & ;;
	esac
	children+=($!)
	actor_hear "$name"
	[ "$answer" = ready ] || give_up "$name: $answer $(cat "$scratch/$name.err")"
}
actor_say() {
	local name=to_$1
	shift
	echo "$*" >&"${!name}"
}
actor_hear() {
	local name=from_$1
	IFS= read -r -t 30 -u "${!name}" answer || give_up "${why:+$why; }$1 does not answer; posternd: $(tail -n 2 "$scratch/posternd")"
}
# tell NAME WORDS...: sets $answer.
tell() {
	actor_say "$@"
	actor_hear "$1"
}
# does NAME EXPECTED WORDS...: EXPECTED is a pattern.
does() {
	local name=$1 expected=$2
	shift 2
	tell "$name" "$@"
	# shellcheck disable=SC2053
	[[ $answer == $expected ]] || wrong "$name '$*' gives '$answer' instead of '$expected'"
}
# forks NAME CHILD: a process of its own for the scene; sets $pid.
forks() {
	actor_pipes "$2"
	tell "$1" fork "$2"
	pid=$answer
	[[ $pid =~ ^[0-9]+$ ]] || give_up "$1 does not fork: $pid"
	children+=("$pid")
}

# associations [ARGUMENT...]: sets $out to lines "ID OBJECT PID STATE PATH".
associations() {
	postern_as root association list --format json "$@"
	[ "$status" = 0 ] || give_up "association list: $err"
	out=$(fields - id object pid state path <<<"$out")
}
# journal [ARGUMENT...]: sets $out to lines "KIND REASON OBJECT PID PATH OPERATION MESSAGE", "-" for what is not there.
journal() {
	postern_as root audit list --format json "$@"
	[ "$status" = 0 ] || give_up "audit list: $err"
	out=$(fields - kind reason object pid path operation message <<<"$out")
}
# recorded WHAT PATTERN: a line of the last `journal` matches.
recorded() {
	grep -qE -e "$2" <<<"$out" || wrong "the journal has no $1 ($2)"
}
