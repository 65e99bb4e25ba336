# SPDX-License-Identifier: Apache-2.0
"""Types at a program's terminal and looks at what it prints: terminal COMMAND... < STEPS

Each line of STEPS is `send TEXT` (with \\r, \\x03 and the like), `expect REGULAR-EXPRESSION`, or `job`: a job of the shell has the
terminal, which is some time after the shell has said so. Prints what came, and
ends with 0 if everything that was expected came within ten seconds, in order, and the program ended.
"""
import os
import pty
import re
import select
import sys
import time

steps = sys.stdin.read().splitlines()
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
seen = b""
everything = b""


def more(deadline):
    """Reads what has come; False at the end or when time is up."""
    global seen, everything
    left = deadline - time.monotonic()
    if left <= 0 or not select.select([terminal], [], [], left)[0]:
        return False
    try:
        read = os.read(terminal, 4096)
    except OSError:
        return False
    seen += read
    everything += read
    return bool(read)


status = 0
for step in steps:
    verb, _, rest = step.partition(" ")
    if verb == "send":
        os.write(terminal, rest.encode().decode("unicode_escape").encode())
        continue
    deadline = time.monotonic() + 10
    if verb == "job":
        while os.tcgetpgrp(terminal) == pid and time.monotonic() < deadline:
            time.sleep(0.01)
        continue
    pattern = re.compile(rest.encode())
    while not (found := pattern.search(seen)):
        if not more(deadline):
            break
    if not found:
        print("MISSING:", rest)
        status = 1
        break
    seen = seen[found.end():]
deadline = time.monotonic() + 10
while more(deadline):
    pass
ended = False
while not ended and time.monotonic() < deadline + 1:
    ended = os.waitpid(pid, os.WNOHANG)[0] == pid
    time.sleep(0.01)
sys.stdout.write(everything.decode(errors="replace"))
if not ended:
    print("MISSING: the end")
    status = 1
sys.exit(status)
