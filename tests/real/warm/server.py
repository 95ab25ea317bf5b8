"""Runs in an environment: import a framework once, then fork for every command that comes.

`python server.py HOME PID MODULE...`: answers at HOME/socket for as long as the process PID lives.
"""

import gc
import importlib
import importlib.util
import json
import os
import random
import runpy
import select
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

LOOK = 5.0
"""Seconds between two looks whether anybody is left to answer."""
IDLE = 900.0
"""Seconds without an order after which it makes room: it has a framework in memory."""


def read(line: socket.socket) -> tuple[dict, list[int]]:
    """An order, and the files that are its standard input, output and error."""
    head, files, _, _ = socket.recv_fds(line, 8, 3)
    data = b""
    while len(data) < int.from_bytes(head, "big"):
        data += line.recv(1 << 16)
    return json.loads(data), files


def attend(line: socket.socket) -> dict:
    """In a child: wait for the training and answer with its end. Returns in the training alone."""
    order, files = read(line)
    training = os.fork()
    if not training:
        line.close()
        os.setsid()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        return order
    for file in files:
        os.close(file)
    ended = os.pidfd_open(training)
    ready = select.select([ended, line], [], [])[0]
    if ended not in ready:  # whoever asked is gone
        os.killpg(training, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(training, 0)[1])
    if ended in ready:
        line.sendall((code if code >= 0 else 128 - code).to_bytes(4, "big"))
    os._exit(0)


def wait(home: Path, tests: int) -> dict:
    """Serve until the tests have ended. Returns in a training alone."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.bind("socket")  # below the current folder: a socket's path may have 100 letters
        door.listen()
        if serving := os.fork():
            (home / "ready").write_text(str(serving))
            os._exit(0)  # who started this one waits no longer
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those who attend need no burial
        last = time.monotonic()
        while True:
            if not select.select([door], [], [], LOOK)[0]:
                if time.monotonic() - last > IDLE:
                    sys.exit()
                try:
                    os.kill(tests, 0)
                except ProcessLookupError:
                    shutil.rmtree(home.parent, ignore_errors=True)
                    sys.exit()
                continue
            last = time.monotonic()
            line = door.accept()[0]
            if not os.fork():
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                door.close()
                return attend(line)
            line.close()


def become(order: dict) -> None:
    """The training process, as `python FILE ARGUMENTS` would be."""
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environ"])
    random.seed()  # a new interpreter would not have the state of the one before it
    sys.modules["numpy"].random.seed()
    sys.argv = order["argv"]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    runpy.run_path(sys.argv[0], run_name="__main__")


def main() -> None:
    """Import, then serve."""
    home, tests, *modules = sys.argv[1:]
    for module in modules:
        # the lock `gptq` has no bitsandbytes
        if importlib.util.find_spec(module.partition(".")[0]):
            importlib.import_module(module)
    gc.freeze()
    become(wait(Path(home), int(tests)))


if __name__ == "__main__":
    main()
