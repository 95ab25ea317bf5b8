"""What the tests share: the project's folders, the spec domain, plain specs."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parent.parent
SPECS = ROOT / "specs"

# A busy machine must not fail a build: no example has a time limit of its own. Nor must the day: the
# same code is asked the same examples. FTSPEC_SEARCH=1 looks for new ones.
settings.register_profile(
    "ftspec",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="FTSPEC_SEARCH" not in os.environ,
)
# `make check` asks for fewer; `make sweeps` for all of them.
settings.register_profile("quick", settings.get_profile("ftspec"), max_examples=20)
settings.load_profile("ftspec")

# A shell starts what runs in the background with these ignored, and children inherit it: then no test
# could show that an interrupt ends a run.
with contextlib.suppress(ValueError):  # not the main thread
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def root() -> Path:
    return ROOT
