"""SIGTERM and SIGHUP as exceptions, so that they clean up on their way out as Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(SystemExit):
    """Somebody asked this process to end. Uncaught, it exits with 128 + the signal."""

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__(128 + number)
        self.number = number


def number_of(interrupt: BaseException) -> int:
    """The signal that an interrupt stands for; SIGTERM for any other exception."""
    if isinstance(interrupt, KeyboardInterrupt):
        return signal.SIGINT
    return interrupt.number if isinstance(interrupt, Terminated) else signal.SIGTERM


@contextmanager
def terminable() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP raise Terminated.

    Only the main thread may set handlers, and a handler that a host program has set stays:
    elsewhere nothing changes, and the supervisor cleans up when the process is gone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is signal.SIG_DFL]
    try:
        for number in ours:
            signal.signal(number, _raise)
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _raise(number: int, _frame: FrameType | None) -> None:
    raise Terminated(number)
