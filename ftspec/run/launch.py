"""Run a launcher to its end: argv in, log out, and nothing left behind however it ends."""

from __future__ import annotations

import json
import os
import secrets as random
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, BinaryIO, cast

from ftspec.errors import OutputError, RunError
from ftspec.run import supervise
from ftspec.run.failure import KEPT, explain
from ftspec.run.lines import Lines, secrets
from ftspec.run.signals import Terminated, number_of, terminable

GRACE = 2.0
"""Seconds between asking a training to stop and killing it. With the sweep after it, under five."""
LOOK = 1.0
"""Seconds between two looks at the tree: what is known of it if the supervisor itself is killed."""
TICK = 0.1


def launch(
    argv: Sequence[str],
    cwd: Path,
    environ: Mapping[str, str],
    log: Path,
    on_line: Callable[[str], None] | None = None,
    *,
    grace: float = GRACE,
    on_bar: Callable[[str], None] | None = None,
    cancel: threading.Event | None = None,
    hold: Sequence[int] = (),
) -> int:
    """Run ``argv`` under the supervisor and return 0.

    ``environ`` is the whole environment. Output goes to ``log`` and, line by line, to ``on_line``;
    ``on_bar`` gets the changing states of a progress bar. ``cancel`` stops the run from another
    thread. ``hold`` are file descriptors that stay open as long as the run lives: a lock.

    Raises:
        RunError: it could not be started, or did not exit with 0.
        OutputError: the log cannot be created. A disk that fills up later does not end the
            training: the log breaks off, and a line says so.
        KeyboardInterrupt, Terminated: passed on after the whole tree is stopped.
    """
    mark = random.token_hex(8)
    order = json.dumps({"argv": list(argv), "grace": grace, "mark": mark})
    with terminable(), _Output(log, secrets(environ), on_line, on_bar) as output:
        try:
            process = subprocess.Popen(
                # Isolated and without site: nothing in the environment can change the supervisor.
                [sys.executable, "-I", "-S", supervise.__file__, order],
                cwd=cwd,
                env={**environ, supervise.MARK: mark},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=tuple(hold),
            )
        except OSError as error:
            raise RunError(f"{argv[0]} cannot be started in {cwd}: {error.strerror}") from error
        known: supervise.Tree = {}
        try:
            _follow(process, output, known, cancel)
        except BaseException as interrupt:
            _halt(process, output, number_of(interrupt), grace)
            raise
        finally:
            _sweep(process, known, mark)
            output.finish(process)
    code = process.returncode
    if code:
        raise RunError(explain(code, output.tail, log, argv))
    return 0


class _Output:
    """Where a training's output goes: log, callbacks, and the last lines for the error message."""

    def __init__(
        self,
        log: Path,
        hidden: Mapping[str, str],
        on_line: Callable[[str], None] | None,
        on_bar: Callable[[str], None] | None,
    ) -> None:
        self.tail: deque[str] = deque(maxlen=KEPT)
        self._log, self._on_line, self._on_bar = log, on_line, on_bar
        self._lines = Lines(hidden)
        self._file: BinaryIO | None = None
        self._bar = ""

    def __enter__(self) -> _Output:
        try:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._log.open("wb", buffering=0)
        except OSError as error:
            message = f"the log {self._log} cannot be written: {error.strerror}"
            raise OutputError(message, hint="choose another output.folder") from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def pump(self, pipe: int, wait: float) -> bool:
        """Pass on what has come within ``wait`` seconds; False once the pipe has ended."""
        if not select.select([pipe], [], [], wait)[0]:
            return True
        data = os.read(pipe, 1 << 16)
        self._take(self._lines.feed(data, last=not data))
        if data and self._on_bar and (bar := self._lines.bar()) and bar != self._bar:
            self._bar = bar
            self._on_bar(bar)
        return bool(data)

    def finish(self, process: subprocess.Popen[bytes]) -> None:
        """Take what is still in the pipe and close it, never waiting for a writer."""
        with _stdout(process) as pipe:
            deadline = time.monotonic() + 1
            # A process that escaped may go on writing, so not until nothing comes.
            while time.monotonic() < deadline and select.select([pipe], [], [], 0)[0]:
                if not self.pump(pipe.fileno(), 0):
                    break
            self._take(self._lines.feed(b"", last=True))

    def _take(self, lines: list[str]) -> None:
        for line in lines:
            self.tail.append(line)
            self._write(line)
            if self._on_line:
                self._on_line(line)

    def _write(self, line: str) -> None:
        if self._file is None:
            return
        try:
            self._file.write(f"{line}\n".encode())
        except OSError as error:
            # Hours of training are worth more than their log: it goes on without one.
            self._file.close()
            self._file = None
            told = f"ftspec: the log breaks off here ({error.strerror}); the training goes on"
            self.tail.append(told)
            if self._on_line:
                self._on_line(told)


def _follow(
    process: subprocess.Popen[bytes],
    output: _Output,
    known: supervise.Tree,
    cancel: threading.Event | None,
) -> None:
    """Read until the supervisor has ended."""
    pipe, open_, looked = _stdout(process).fileno(), True, 0.0
    # Not until the pipe ends: a process that escaped may hold it open for ever.
    while process.poll() is None:
        if open_:
            open_ = output.pump(pipe, TICK)
        else:
            time.sleep(TICK)
        if cancel is not None and cancel.is_set():
            raise Terminated(signal.SIGTERM)
        if time.monotonic() - looked > LOOK:
            looked = time.monotonic()
            known.clear()
            known.update(supervise.tree(process.pid))


def _halt(process: subprocess.Popen[bytes], output: _Output, number: int, grace: float) -> None:
    """Have the supervisor stop the tree. A second Ctrl-C does not wait for the grace to pass."""
    pipe, open_ = _stdout(process).fileno(), True
    deadline = time.monotonic() + grace + supervise.LAST
    process.send_signal(number)
    while process.poll() is None and time.monotonic() < deadline:
        try:
            # Unread, the pipe fills up and blocks a worker that prints its farewell.
            if open_:
                open_ = output.pump(pipe, TICK)
            else:
                time.sleep(TICK)
        except (KeyboardInterrupt, Terminated):
            process.send_signal(number)
        except Exception:
            # A callback of the caller failed; it may be what brought us here.
            open_ = False


def _sweep(process: subprocess.Popen[bytes], known: supervise.Tree, mark: str) -> None:
    """Make sure of the end: kill what a supervisor that was itself killed has left."""
    if process.stdin:
        process.stdin.close()
    if process.poll() is None:
        process.kill()
        process.wait()
    if process.returncode != -signal.SIGKILL:
        return
    deadline = time.monotonic() + supervise.LAST
    left = {**known, **supervise.tree(process.pid, mark)}
    while left and time.monotonic() < deadline:
        supervise.send(left, signal.SIGKILL)
        time.sleep(0.02)
        left = supervise.tree(process.pid, mark)


def _stdout(process: subprocess.Popen[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", process.stdout)
