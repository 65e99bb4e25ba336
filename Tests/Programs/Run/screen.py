# SPDX-License-Identifier: Apache-2.0
"""Uses a program that draws on the whole terminal: screen COMMAND... < STEPS

Each line of STEPS is one of
    size COLUMNS ROWS     also while the program runs
    send TEXT             with \\r, \\x1b and the like
    expect REGEX          within 20 seconds, in a row that the program draws from then on
    run SHELL-COMMAND     beside the program; it must not fail
    pause SECONDS         nothing is read from the terminal meanwhile
    signal NUMBER         to the program
    end STATUS            it ends so, a signal's number with a minus, and the terminal is as it was before
Prints what came, and ends with 0 if all of that happened.
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

LEAVE = b"\x1b[?7h\x1b[?25h\x1b[?1049l"
steps = sys.stdin.read().splitlines()
# Whoever started us may have blocked signals, which a program inherits.
signal.pthread_sigmask(signal.SIG_SETMASK, [])
ready, go = os.pipe()
pid, terminal = pty.fork()
if pid == 0:
    os.close(go)
    os.read(ready, 1)
    os.execvp(sys.argv[1], sys.argv[1:])
os.close(ready)
before = termios.tcgetattr(terminal)
started = False
raw = b""
everything = b""


def start():
    global started
    if not started:
        os.close(go)
    started = True


def more(deadline):
    """Reads what has come; False at the end or when time is up."""
    global raw, everything
    left = deadline - time.monotonic()
    if left <= 0 or not select.select([terminal], [], [], left)[0]:
        return False
    try:
        read = os.read(terminal, 65536)
    except OSError:
        return False
    raw += read
    everything += read
    return bool(read)


def rows(data):
    """What was drawn, a place's text a line."""
    text = data.decode(errors="replace")
    text = re.sub(r"\x1b\[[0-9;?]*[mhlK]", "", text)
    return re.sub(r"\x1b\[[0-9;]*[HJ]", "\n", text)


def fail(what):
    sys.stdout.write(rows(everything))
    print("\nMISSING:", what)
    os.kill(pid, signal.SIGKILL)
    sys.exit(1)


for step in steps:
    verb, _, rest = step.partition(" ")
    if verb == "size":
        columns, lines = map(int, rest.split())
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        continue
    start()
    deadline = time.monotonic() + 20
    if verb == "send":
        raw = b""
        os.write(terminal, rest.encode().decode("unicode_escape").encode())
    elif verb == "expect":
        while not re.search(rest, rows(raw)):
            if not more(deadline):
                fail(rest)
    elif verb == "run":
        raw = b""
        subprocess.run(["/bin/sh", "-c", rest], check=True, stdout=subprocess.DEVNULL)
    elif verb == "pause":
        time.sleep(float(rest))
    elif verb == "signal":
        os.kill(pid, int(rest))
    elif verb == "end":
        ended = 0
        while not ended and time.monotonic() < deadline:
            more(time.monotonic() + 0.05)
            ended, status = os.waitpid(pid, os.WNOHANG)
        while more(time.monotonic() + 0.2):
            pass
        if not ended:
            fail("the end")
        if os.waitstatus_to_exitcode(status) != int(rest):
            fail(f"the status {rest}, it was {os.waitstatus_to_exitcode(status)}")
        if termios.tcgetattr(terminal) != before:
            fail("the terminal's settings")
        if LEAVE not in everything[-200:]:
            fail("the terminal's own screen")
        print("RESTORED")
    else:
        fail(f"a step {verb}")
sys.stdout.write(rows(everything))
