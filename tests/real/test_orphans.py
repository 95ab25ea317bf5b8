"""Real launchers with real workers: five seconds after any end of ftspec none is left.

Killed themselves, torchrun leaves its workers behind after SIGKILL, deepspeed after SIGTERM too.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ftspec.env.install import ensure
from ftspec.env.store import Environment
from ftspec.env.variables import variables
from ftspec.registry import load
from ftspec.run.environ import clean, compose

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="/proc and subreapers are Linux's"),
]
LIMIT = 5.0
MARK = "FTSPEC_TEST_ORPHANS"

WORKER = """
import os, torch, torch.distributed as ranks
ranks.init_process_group("gloo")
weight = torch.ones(64, 64, requires_grad=True)
for step in range(1_000_000):
    (weight @ weight).sum().backward()
    ranks.all_reduce(weight.grad)
    weight.grad = None
    if step == 3:
        os.write(1, b"training\\n")  # print would write the line's end apart: two lines could mix
"""

HOST = """
import json, os, sys
from pathlib import Path
from ftspec.run.launch import launch
folder = Path(sys.argv[1])
launch(json.loads(sys.argv[2]), folder, dict(os.environ), folder / "log",
       on_line=lambda line: print(line, flush=True))
"""


@pytest.fixture(scope="module")
def environment() -> Environment:
    return ensure(load("deepspeed"))


@pytest.fixture
def mark() -> Iterator[str]:
    mark = uuid.uuid4().hex
    yield mark
    for process in ours(mark):
        process.kill()


def ours(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            alive = process.status() != psutil.STATUS_ZOMBIE
            if alive and process.environ().get(MARK) == mark:
                found.append(process)
        except psutil.Error:
            continue
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(launcher: str, environment: Environment) -> list[str]:
    program, port = str(environment.bin / launcher), str(free_port())
    if launcher == "torchrun":
        return [program, "--nproc-per-node", "2", "--master-port", port, "worker.py"]
    return [program, "--num_gpus", "2", "--master_port", port, "worker.py"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("launcher", ["torchrun", "deepspeed"])
def test_no_worker_outlives_ftspec(
    launcher: str, number: signal.Signals, environment: Environment, mark: str, tmp_path: Path
) -> None:
    (tmp_path / "worker.py").write_text(WORKER)
    setting, cleared = clean(telemetry=False, device="cpu", threads=1)
    argv = json.dumps(command(launcher, environment))
    with subprocess.Popen(
        [sys.executable, "-c", HOST, str(tmp_path), argv],
        env=variables(environment, compose(os.environ, {**setting, MARK: mark}, cleared)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as host:
        assert host.stdout is not None
        stuck = threading.Timer(
            300, host.kill
        )  # then readline ends, and the text says how far it came
        stuck.start()
        printed: list[str] = []
        while "".join(printed).count("training") < 2:
            printed.append(line := host.stdout.readline())
            assert line, "".join(printed)
        stuck.cancel()
        assert len([p for p in ours(mark) if "worker.py" in p.cmdline()]) >= 2
        host.send_signal(number)
        begun = time.monotonic()
        while (left := ours(mark)) and time.monotonic() - begun < LIMIT:
            time.sleep(0.05)
        assert not left, [process.cmdline() for process in left]
        assert host.wait(1) == (143 if number is signal.SIGTERM else -number)
