# The broker's JSON, which has no nested objects, without a program that would take half a second to start.

# field KEY LINE: sets $value to the value of that key, a string with its escapes; empty where it is not there or null.
field() {
	value=
	if [[ $2 =~ \"$1\":\"(([^\"\\]|\\.)*)\" ]] || [[ $2 =~ \"$1\":([^,}]*) && ${BASH_REMATCH[1]} != null ]]; then
		value=${BASH_REMATCH[1]}
	fi
}
# fields EMPTY KEY... : of every object on standard input, the values in one line; EMPTY for those that are not there.
fields() {
	local empty=$1 line key row
	shift
	sed 's/},{/}\n{/g' | while IFS= read -r line; do
		[[ $line == *{* ]] || continue
		row=
		for key; do
			field "$key" "$line"
			row+=" ${value:-$empty}"
		done
		echo "${row# }"
	done
}
