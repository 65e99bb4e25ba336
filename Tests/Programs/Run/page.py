# SPDX-License-Identifier: Apache-2.0
"""Uses a web page in a headless Chromium: page < STEPS

Each line of STEPS is one of
    open ADDRESS
    size WIDTH HEIGHT light|dark
    wait EXPRESSION       of JavaScript, until it is true, at most 20 seconds
    type TEXT             into whatever has the focus
    key NAME              such as Enter, Escape, ArrowDown, or a character
    run SHELL-COMMAND     beside the browser; it must not fail
    picture FILE          a PNG of the page
Prints `DONE` and ends with 0 if all of that happened, no script failed, and nothing was loaded from elsewhere.
"""
import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time

profile = tempfile.mkdtemp()
to_browser, ours = os.pipe()
read_end, write_end = os.pipe()


def hand_over():
    """The browser reads commands from descriptor 3 and answers on 4."""
    safe_in, safe_out = os.dup(to_browser), os.dup(write_end)
    os.dup2(safe_in, 3)
    os.dup2(safe_out, 4)


browser = subprocess.Popen(
    ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
     "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe",
     f"--user-data-dir={profile}", "about:blank"],
    preexec_fn=hand_over, close_fds=False, stderr=subprocess.DEVNULL, env={**os.environ, "TMPDIR": profile})
os.close(to_browser)
os.close(write_end)
buffer = b""
number = 0
session = None
host = None
faults = []


def message(deadline):
    global buffer
    while b"\0" not in buffer:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([read_end], [], [], left)[0]:
            return None
        more = os.read(read_end, 1 << 20)
        if not more:
            return None
        buffer += more
    text, _, buffer = buffer.partition(b"\0")
    return json.loads(text)


def notice(event):
    method, parameters = event.get("method"), event.get("params", {})
    if method == "Runtime.exceptionThrown":
        faults.append(json.dumps(parameters["exceptionDetails"])[:500])
    elif method == "Log.entryAdded" and "Security" in parameters["entry"].get("text", ""):
        faults.append(parameters["entry"]["text"])
    elif method == "Network.requestWillBeSent":
        address = parameters["request"]["url"]
        if host and not address.startswith((host, "data:")):
            faults.append("loaded " + address)


def call(method, **parameters):
    global number
    number += 1
    order = {"id": number, "method": method, "params": parameters}
    if session:
        order["sessionId"] = session
    os.write(ours, json.dumps(order).encode() + b"\0")
    deadline = time.monotonic() + 60
    while True:
        answer = message(deadline)
        if answer is None:
            fail(f"no answer to {method}")
        if answer.get("id") == number:
            if "error" in answer:
                fail(f"{method}: {answer['error']}")
            return answer["result"]
        notice(answer)


def evaluate(expression):
    result = call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
    return result["result"].get("value")


def clean():
    browser.kill()
    browser.wait()
    shutil.rmtree(profile, ignore_errors=True)


def fail(what):
    print("MISSING:", what)
    if session and not what.startswith("no answer"):
        print(evaluate("document.body ? document.body.innerText : ''"))
    clean()
    sys.exit(1)


target = call("Target.createTarget", url="about:blank")["targetId"]
session = call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
for domain in ("Page", "Runtime", "Network", "Log"):
    call(domain + ".enable")
for step in sys.stdin.read().splitlines():
    verb, _, rest = step.partition(" ")
    if verb == "open":
        host = "/".join(rest.split("/")[:3])
        call("Page.navigate", url=rest)
    elif verb == "size":
        width, height, scheme = rest.split()
        call("Emulation.setDeviceMetricsOverride", width=int(width), height=int(height), deviceScaleFactor=1,
             mobile=int(width) < 600)
        call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    elif verb == "wait":
        deadline = time.monotonic() + 20
        while not evaluate(f"(() => {{ try {{ return !!({rest}) }} catch (error) {{ return false }} }})()"):
            if time.monotonic() > deadline:
                fail(rest)
            time.sleep(0.1)
    elif verb == "type":
        call("Input.insertText", text=rest)
    elif verb == "key":
        codes = {"Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38, "Backspace": 8}
        more = {"windowsVirtualKeyCode": codes.get(rest, 0)}
        if len(rest) == 1 or rest == "Enter":
            more["text"] = "\r" if rest == "Enter" else rest
        call("Input.dispatchKeyEvent", type="keyDown", key=rest, **more)
        call("Input.dispatchKeyEvent", type="keyUp", key=rest, windowsVirtualKeyCode=codes.get(rest, 0))
    elif verb == "run":
        subprocess.run(["/bin/sh", "-c", rest], check=True, stdout=subprocess.DEVNULL)
    elif verb == "picture":
        data = call("Page.captureScreenshot", format="png")["data"]
        with open(rest, "wb") as file:
            file.write(base64.b64decode(data))
    else:
        fail(f"a step {verb}")
clean()
if faults:
    print("FAULTS:", *faults, sep="\n")
    sys.exit(1)
print("DONE")
