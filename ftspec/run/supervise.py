"""A small process between ftspec and a launcher, so that no training outlives its ftspec.

Launchers leave their workers behind when they are killed (torchrun after SIGKILL, deepspeed after
SIGTERM too), and nobody can clean up after a SIGKILL of ftspec but another process. That process is
this file: started as ``python -I -S supervise.py '{"argv": [...], "grace": 2.0, "mark": "..."}'``,
standard library only, in a session of its own.

- Its standard input is a pipe whose other end only ftspec holds: ftspec's death closes it.
- As a child subreaper it inherits every orphan below it, so the tree stays in one piece although
  launchers give each worker a session of its own.
- On SIGTERM, SIGINT or SIGHUP it passes the signal on to the whole tree, on the pipe's end SIGTERM,
  and kills what is left after ``grace`` seconds. A second signal kills at once.
- When the launcher ends by itself, what it left behind is stopped in the same way.
- It exits as the launcher did: the same code, 128 + n for signal n.

macOS has neither /proc nor subreapers: there the launcher's process group is all that can be
signalled, and a worker that left the group is not found.
"""

# Start-up is counted in milliseconds, and pathlib costs several of them.
# ruff: noqa: PTH112, PTH123, PTH208

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Mapping
from types import FrameType

MARK = "FTSPEC_RUN"
"""Environment variable that all processes of one run share: it finds those that the tree lost."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LINGER = 1.0
"""Seconds that helpers of a finished launcher have to end by themselves."""
LAST = 2.0
"""Seconds after SIGKILL before the supervisor gives up on a process stuck in the kernel."""
Tree = dict[int, int]
"""Process id -> start time. The two together name a process; ids alone are used again."""


def prctl(option: int, value: int) -> bool:
    """Linux's prctl; False where there is none."""
    if sys.platform != "linux":
        return False
    import ctypes  # noqa: PLC0415 - absent from some minimal builds

    return bool(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) == 0)


def living() -> dict[int, tuple[int, int]]:
    """Every process that is not dead: id -> (parent's id, start time)."""
    found = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError), open(f"/proc/{name}/stat", "rb") as stat:
            # The name in parentheses may hold anything, so fields count from the last parenthesis.
            fields = stat.read().rpartition(b")")[2].split()
            # A main thread that ended shows as Z while its other threads go on.
            if fields[0] not in b"ZX" or int(fields[17]) > 1:
                found[int(name)] = (int(fields[1]), int(fields[19]))
    return found


def is_marked(pid: int, mark: str) -> bool:
    """Whether a process was started with this mark in its environment."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as environ:
            return f"{MARK}={mark}".encode() in environ.read().split(b"\0")
    except OSError:
        return False


def tree(root: int, mark: str = "") -> Tree:
    """All living descendants of ``root``, and what else carries ``mark``; not ``root`` itself."""
    processes = living()
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in processes.items():
        children.setdefault(parent, []).append(pid)
    found, todo = {}, list(children.get(root, ()))
    while todo:
        pid = todo.pop()
        found[pid] = processes[pid][1]
        todo += children.get(pid, ())
    if mark:
        for pid, (_, started) in processes.items():
            if pid not in (root, os.getpid()) and pid not in found and is_marked(pid, mark):
                found[pid] = started
    return found


def send(processes: Mapping[int, int], number: int) -> None:
    """Signal exactly these processes."""
    for pid, started in processes.items():
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/stat", "rb") as stat:
                if int(stat.read().rpartition(b")")[2].split()[19]) != started:
                    continue
            os.kill(pid, number)


def start(argv: list[str]) -> int:
    """Start the launcher and return its process id."""
    supervisor = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 126
    try:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor:
            os._exit(137)
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        # Python ignores some signals, and `ftspec run &` others: what is ignored stays so through
        # exec. Those with a handler here become fatal again by themselves.
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.closerange(3, 256)
        os.execvp(argv[0], argv)  # noqa: S606 - a list of arguments on purpose: no shell
    except FileNotFoundError:
        code = 127
    except OSError:
        pass
    finally:
        os.write(2, f"{argv[0]}: cannot be started\n".encode())
        os._exit(code)


def reap(child: int) -> int | None:
    """Bury the dead; the launcher's exit code once it is among them."""
    code = None
    with contextlib.suppress(ChildProcessError):
        while (buried := os.waitpid(-1, os.WNOHANG))[0]:
            if buried[0] == child:
                code = os.waitstatus_to_exitcode(buried[1])
    return code if code is None or code >= 0 else 128 - code


def stop(child: int, code: int | None, first: int, *, grace: float, mark: str, wake: int) -> int:
    """End the whole tree: ``first`` to everyone, SIGKILL to who is left after ``grace`` seconds."""
    begun = time.monotonic()
    told: set[tuple[int, int]] = set()
    hard = False
    while time.monotonic() < begun + grace + LAST:
        late = reap(child)
        code = late if code is None else code
        left = tree(os.getpid(), mark)
        hard = hard or time.monotonic() >= begun + grace
        if sys.platform != "linux":
            try:
                os.killpg(child, signal.SIGKILL if hard else first)
            except OSError:
                break
        elif not left:
            break
        # Anew in each round, because a process may start another between a look and a signal.
        send(left if hard else dict(left.items() - told), signal.SIGKILL if hard else first)
        told |= left.items()
        if select.select([wake], [], [], 0.03)[0]:
            hard = hard or any(number in SIGNALS for number in os.read(wake, 512))
    late = reap(child)
    code = late if code is None else code
    return 137 if code is None else code


def supervise(argv: list[str], grace: float, mark: str) -> int:
    """Run the launcher to its end, or end it when ftspec is gone or says so."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    for number in (*SIGNALS, signal.SIGCHLD):
        signal.signal(number, _noted)
    child = start(argv)
    code: int | None = None
    while code is None:
        ready = select.select([0, wake], [], [])[0]
        asked = 0
        if wake in ready:
            asked = next((number for number in os.read(wake, 512) if number in SIGNALS), 0)
        if 0 in ready and not os.read(0, 64):
            asked = asked or signal.SIGTERM
        code = reap(child)
        if asked:
            return stop(child, code, asked, grace=grace, mark=mark, wake=wake)
    patience = time.monotonic() + LINGER
    while tree(os.getpid(), mark) and time.monotonic() < patience:
        # The pipe's end and signals cut the wait short; a dying helper's SIGCHLD does not.
        ready = select.select([0, wake], [], [], 0.05)[0]
        if 0 in ready or (wake in ready and any(n in SIGNALS for n in os.read(wake, 512))):
            break
        reap(child)
    return stop(child, code, signal.SIGTERM, grace=grace, mark=mark, wake=wake)


def _noted(_number: int, _frame: FrameType | None) -> None:
    """Signals are read from the wake-up pipe; having a handler keeps them from being fatal."""


if __name__ == "__main__":
    order = json.loads(sys.argv[1])
    sys.exit(supervise(order["argv"], order["grace"], order["mark"]))
