"""The real thing: TRL's aligned environment, from the real package sources into the real cache."""

from __future__ import annotations

import subprocess

import pytest

from ftspec import registry
from ftspec.env import install, store
from ftspec.env.locks import read_lock
from ftspec.env.own import own
from ftspec.env.variables import variables

pytestmark = pytest.mark.real


def test_the_environment_holds_what_its_lock_pins() -> None:
    backend = registry.load("trl")
    lock = read_lock(backend)
    made = install.ensure(backend)
    swapped = {
        name: version for name, version in made.versions.items() if version != lock.pins.get(name)
    }
    assert all(version == f"{lock.pins[name]}+cpu" for name, version in swapped.items())
    assert made.versions["trl"] == lock.pins["trl"]
    assert install.ensure(backend) == made
    # Every file of uv's cache is linked, not copied: environments cost little beside the first.
    measured = store.size(made.folder)
    assert measured.total > 500e6
    assert own(made.python, backend).notes == ()


def test_programs_of_the_environment_run() -> None:
    made = install.ensure(registry.load("trl"))
    code = "import importlib.metadata as m; print(m.version('transformers'))"
    answer = subprocess.run(
        ["python", "-c", code], env=variables(made), capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == made.versions["transformers"]
