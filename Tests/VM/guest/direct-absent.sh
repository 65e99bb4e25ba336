#!/bin/bash
# A kernel that loads and attaches LSM programs, and never asks one: the path direct does not work, doctor says what to do,
# and nothing stays behind.
#
# vm-once: 6.12 the list of security modules is the same on both; the soak has both
# vm-append: lsm=landlock,lockdown,yama
# vm-time-limit: 120
# vm-memory: 2048
# vm-modules: null_blk:nr_devices=1:gb=1:memory_backed=1
. Tests/VM/guest/direct.bash

cat >"$scratch/policy.yaml" <<END
version: 1
objects:
  disk: { kind: disk, path: /dev/nullb0 }
applications:
  client: { user: nobody }
grants:
  - { application: client, object: disk, operations: [read] }
END
direct_start
actor holder nobody

begin "doctor names the parameter that is missing"
modules=$(cat /sys/kernel/security/lsm)
case ,$modules, in
*,bpf,*) give_up "bpf is among the security modules: $modules" ;;
esac
postern_as root doctor
allowed "doctor"
has "what it tells" "$(grep -i direct <<<"$out")" "boot with lsm=$modules,bpf"
finish

begin "nothing is left pinned or attached"
[ ! -e /sys/fs/bpf/postern ] || wrong "pins are left: $(echo /sys/fs/bpf/postern/*)"
finish

begin "the object goes by the path mediated"
does holder mediated open disk disk read
does holder 4096 lib-read disk
finish
broker_stop
scene_end
