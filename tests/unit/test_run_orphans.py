"""After any end of ftspec no process of its run is left within five seconds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ftspec.run import supervise

pytestmark = [
    pytest.mark.sweep,
    pytest.mark.skipif(sys.platform != "linux", reason="/proc and subreapers are Linux's"),
]
LIMIT = 5.0

# What torchrun and deepspeed do, and worse: workers in sessions of their own that ignore signals,
# one whose parent is gone, one that has lost its environment.
LAUNCHER = """
import os, signal, subprocess, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
worker = "import time; time.sleep(60)  # " + sys.argv[1]
run = [sys.executable, "-c", worker]
for environ in (None, {})[: int(sys.argv[3])]:
    subprocess.Popen(run, start_new_session=True, env=environ)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, run)
    os._exit(0)
os.wait()
print("ready", flush=True)
time.sleep(float(sys.argv[2]))
"""

HOST = """
import os, sys
from pathlib import Path
from ftspec.run.launch import launch
folder, *arguments = Path(sys.argv[1]), *sys.argv[2:]
launch([sys.executable, str(folder / "launcher.py"), *arguments], folder, dict(os.environ),
       folder / "log", on_line=lambda line: print(line, flush=True))
"""


def ours(marker: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and marker in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_until_none(marker: str) -> tuple[float, list[psutil.Process]]:
    begun = time.monotonic()
    while (left := ours(marker)) and time.monotonic() - begun < LIMIT:
        time.sleep(0.05)
    return time.monotonic() - begun, left


@pytest.fixture
def marker() -> Iterator[str]:
    marker = f"orphan-test-{uuid.uuid4().hex}"
    yield marker
    for process in ours(marker):
        process.kill()


def start(folder: Path, marker: str, sleep: float = 60, workers: int = 2) -> subprocess.Popen[str]:
    (folder / "launcher.py").write_text(LAUNCHER)
    (folder / "host.py").write_text(HOST)
    command = [sys.executable, str(folder / "host.py"), str(folder), marker]
    command += [str(sleep), str(workers)]
    host = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert host.stdout is not None
    assert host.stdout.readline() == "ready\n"
    if sleep > 0:  # host, supervisor, launcher, and the worker without a parent
        # a new process has its mark a moment after it has begun
        deadline = time.monotonic() + LIMIT
        while len(ours(marker)) < 4 + workers and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(ours(marker)) == 4 + workers
    return host


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, -signal.SIGINT),
        (signal.SIGTERM, 143),
        (signal.SIGHUP, 129),
        (signal.SIGQUIT, -signal.SIGQUIT),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_no_process_outlives_ftspec(
    tmp_path: Path, marker: str, number: signal.Signals, code: int
) -> None:
    with start(tmp_path, marker) as host:
        host.send_signal(number)
        seconds, left = wait_until_none(marker)
        assert not left
        assert seconds < LIMIT
        assert host.wait(1) == code


def test_a_second_interrupt_does_not_wait_for_the_grace(tmp_path: Path, marker: str) -> None:
    with start(tmp_path, marker) as host:
        host.send_signal(signal.SIGINT)
        time.sleep(0.3)
        host.send_signal(signal.SIGINT)
        seconds, left = wait_until_none(marker)
        assert not left
        assert seconds < 1.5
        host.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_supervisor(
    tmp_path: Path, marker: str, number: signal.Signals
) -> None:
    with start(tmp_path, marker) as host:
        time.sleep(1.5)  # ftspec looks at the tree each second
        (supervisor,) = psutil.Process(host.pid).children()
        supervisor.send_signal(number)
        _, left = wait_until_none(marker)
        assert not left
        _, error = host.communicate(timeout=2)
        assert "RunError" in error
        assert "137" in error


def test_what_a_finished_launcher_leaves_is_stopped(tmp_path: Path, marker: str) -> None:
    with start(tmp_path, marker, sleep=0) as host:
        _, left = wait_until_none(marker)
        assert not left
        assert host.wait(1) == 0


def test_a_killed_launcher_takes_its_workers_along(tmp_path: Path, marker: str) -> None:
    with start(tmp_path, marker) as host:
        (supervisor,) = psutil.Process(host.pid).children()
        launcher = next(p for p in supervisor.children() if "launcher.py" in " ".join(p.cmdline()))
        os.kill(launcher.pid, signal.SIGKILL)
        _, left = wait_until_none(marker)
        assert not left
        _, error = host.communicate(timeout=2)
        assert "exit code 137: killed (SIGKILL)" in error


def test_a_suspended_worker_is_stopped(tmp_path: Path, marker: str) -> None:
    with start(tmp_path, marker) as host:
        for process in ours(marker):
            if process.pid != host.pid and "supervise" not in " ".join(process.cmdline()):
                process.suspend()
        host.kill()
        _, left = wait_until_none(marker)
        assert not left
        host.communicate()


def test_a_supervisor_that_is_killed_at_once(tmp_path: Path, marker: str) -> None:
    with start(tmp_path, marker, workers=1) as host:
        (supervisor,) = psutil.Process(host.pid).children()
        supervisor.kill()
        _, left = wait_until_none(marker)
        assert not left
        host.communicate()


def test_with_ftspec_and_supervisor_gone_the_launcher_goes_too(tmp_path: Path, marker: str) -> None:
    with start(tmp_path, marker) as host:
        (supervisor,) = psutil.Process(host.pid).children()
        launcher = next(p for p in supervisor.children() if "launcher.py" in " ".join(p.cmdline()))
        supervisor.suspend()
        host.kill()
        host.wait()
        supervisor.kill()
        psutil.wait_procs([launcher], timeout=LIMIT)
        assert not launcher.is_running()
        host.communicate()


def test_a_process_outside_the_tree_is_found_by_its_mark() -> None:
    environ = {**os.environ, supervise.MARK: "this-run"}
    with subprocess.Popen(["sleep", "60"], env=environ) as process:
        # Popen returns when the program begins to load; its variables can be read a moment later.
        deadline = time.monotonic() + LIMIT
        while not (found := list(supervise.tree(-1, "this-run"))) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert found == [process.pid]
        assert supervise.tree(-1, "this") == {}
        supervise.send({process.pid: 0}, signal.SIGKILL)  # of another start time: not this one
        assert process.poll() is None
        supervise.send(supervise.tree(-1, "this-run"), signal.SIGKILL)
        assert process.wait(5) == -signal.SIGKILL
