# SPDX-License-Identifier: Apache-2.0
"""Does what each line of its input says and answers with one line: the value, `ok`, or the name of the error."""
import errno
import os
import signal
import socket
import sys

# What never ends would hang the test.
signal.alarm(120)
names = {"os": os, "socket": socket, "signal": signal, "tcp": socket.socket, "children": []}


def listener(address, port, family=socket.AF_INET, **options):
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for option, value in options.items():
        made.setsockopt(*{"reuseport": (socket.SOL_SOCKET, socket.SO_REUSEPORT),
                          "v6only": (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)}[option], value)
    made.bind((address, port))
    made.listen()
    return made


def serve(listening, text):
    """Answers one connection."""
    connection, _ = listening.accept()
    connection.recv(65536)
    body = text.encode()
    connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    connection.close()


names["listener"] = listener
names["serve"] = serve
for line in sys.stdin:
    line = line.strip()
    try:
        try:
            value = eval(compile(line, "line", "eval"), names)
        except SyntaxError:
            value = exec(compile(line, "line", "exec"), names)
        answer = "ok" if value is None or isinstance(value, socket.socket) else str(value)
    except OSError as error:
        answer = errno.errorcode.get(error.errno, repr(error))
    except Exception as error:
        answer = repr(error)
    print(answer, flush=True)
