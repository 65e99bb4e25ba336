#!/bin/bash
# The doors of the path direct, one by one: Tests/VM/doors/README.md.
# vm-kernels: 6.1 6.12
# vm-cpus: 2
# vm-accel: tcg,thread=single
# vm-modules: null_blk uhid hid_generic loop dm_delay
# vm-time-limit: 600
set -euo pipefail
root=$(cd "$(dirname "$0")/../../.." && pwd)
# Built on the host where it can be (Tests/VM/doors/build .build/doors), because compilers are slow in here.
built=$root/.build/doors
"$root/Tests/VM/doors/build" "$built"
exec "$built/doors" "$built/direct.bpf.o" "$@"
