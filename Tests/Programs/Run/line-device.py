# SPDX-License-Identifier: Apache-2.0
"""A serial device: prints the path of a terminal that only root may open, and answers what is sent there."""
import os
import sys
import tty

ours, theirs = os.openpty()
tty.setraw(theirs)
os.chmod(os.ttyname(theirs), 0o600)
print(os.ttyname(theirs), flush=True)
while True:
    os.write(ours, b"heard " + os.read(ours, 100))
