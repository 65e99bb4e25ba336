# Packages of another Debian release than the machine's: sourced, not run.
#
# They come from the mirrors that this machine's own apt is set up for, with lists, cache and state apart, so that neither
# another release's packages nor another user's apt are touched.

# debian_sources SUITE: the machine's own Debian mirrors, with that release put in place of the machine's.
debian_sources() {
	local suite=$1 own uri release component keyring=
	own=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	if [ -f /usr/share/keyrings/debian-archive-keyring.gpg ]; then
		keyring=' signed-by=/usr/share/keyrings/debian-archive-keyring.gpg'
	fi
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		sort -u | while read -r uri release component; do
		case $release in
		"$own" | "$own-updates" | "$own-security")
			if [ "$component" = main ]; then
				echo "deb [arch=amd64$keyring] $uri $suite${release#"$own"} main"
			fi
			;;
		esac
	done
}

# debian_update SUITE FOLDER: fetches the release's lists; afterwards apt-get and apt-cache use them with "${debian[@]}".
debian_update() {
	local suite=$1 apt=$2
	mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/empty"
	touch "$apt/status"
	debian_sources "$suite" >"$apt/sources.list"
	if [ ! -s "$apt/sources.list" ]; then
		echo "apt on this machine has no Debian mirror from which $suite could be had" >&2
		return 1
	fi
	debian=(
		-o "Dir::Etc::sourcelist=$apt/sources.list" -o "Dir::Etc::sourceparts=$apt/empty"
		-o "Dir::Etc::preferences=/dev/null" -o "Dir::Etc::preferencesparts=$apt/empty"
		-o "Dir::State=$apt" -o "Dir::State::status=$apt/status" -o "Dir::State::lists=$apt/lists"
		-o "Dir::Cache=$apt" -o "Dir::Cache::archives=$apt/archives"
		-o APT::Sandbox::User= -o APT::Architecture=amd64 -o APT::Architectures=amd64
		-o Acquire::Languages=none -o Acquire::Retries=3
		-o APT::Update::Post-Invoke-Success= -o APT::Update::Post-Invoke=
	)
	apt-get "${debian[@]}" -qq update >&2
}
