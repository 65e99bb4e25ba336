#!/bin/bash
# The buffer of the kernel's events is full: what is not told of is counted, and found.
#
# vm-once: 6.12 it is about the broker, not about what differs between kernels
# vm-memory: 2048
# vm-modules: null_blk:nr_devices=2:gb=1:memory_backed=1 loop
. Tests/VM/guest/direct.bash

cat >"$scratch/policy.yaml" <<'END'
version: 1
objects:
  disk: { kind: disk, path: /dev/nullb0 }
  house: { kind: disk, path: /dev/nullb0 }
applications:
  client: { user: nobody }
grants:
  - { application: client, object: disk, operations: [read], path: direct }
  - { application: client, object: house, operations: [read], path: direct, on-fork: inherit }
END
direct_start
actor holder nobody
does holder direct open disk disk read
does holder direct open house house read
forks holder child
forks holder heir
heir=$pid

begin "an inherited association that was not told of is listed, and what was lost is in the journal"
kill -STOP "$broker"
does child "0 9000 0" burst pread disk 9000
does heir 4096 pread house
kill -CONT "$broker"
# In the same step it takes over what it finds.
told_of_loss() {
	postern_as root audit list --kind privileged --format json
	grep -qE 'told by the kernel and lost: [0-9]+ uses, inherited associations and others' <<<"$out"
}
await "the record of what was lost" told_of_loss
associations --object house
grep -q " house $heir live direct\$" <<<"$out" || wrong "the heir is not listed: ${out//$'\n'/, }"
does heir 4096 pread house
postern_as root audit list --kind gap --format json
has "the journal" "$out" "refused, counted by the kernel and not described"
finish
scene_end
