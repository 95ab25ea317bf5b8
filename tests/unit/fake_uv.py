"""A uv that needs no network, a backend whose lock it lays down, and a cache of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ftspec.backend import Backend
from ftspec.env import install, sources, uv, variant

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="torch has CUDA on Linux only")
LOCK = """\
# A comment.
#: python >=3.11,<4
demo==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
torch==2.11.0 --hash=sha256:cc
nvidia-cublas==13.0 ; sys_platform == 'linux' --hash=sha256:dd
triton==3.6.0 ; sys_platform == 'linux' --hash=sha256:ee
elsewhere==1.0 ; sys_platform == 'nowhere' --hash=sha256:ff
old-python==1.0 ; python_full_version < '3.0' --hash=sha256:ab
"""
# ruff: noqa: E501 - the program below is written as it will lie on the disk
FAKE_UV = '''\
#!{python}
"""Behaves as $FAKE_UV says; writes every call down."""
import os, pathlib, sys, time
words, mode = sys.argv[1:], os.environ.get("FAKE_UV", "ok")
kind = words[0] if words[0] == "venv" else words[1]
with open({log!r}, "a") as log:
    log.write(f"{{os.getpid()}} {{kind}} {{' '.join(words)}}\\n")
if kind == "compile":
    sys.exit(0 if mode == "offers" else 1)
if kind == "venv":
    folder = pathlib.Path(words[-1])
    (folder / "lib/python3/site-packages").mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin/python").symlink_to(sys.executable)
    (folder / "pyvenv.cfg").write_text("version_info = 3.11.9\\n")
    sys.exit(0)
if mode == "hang":
    time.sleep(60)
if mode == "slow":
    time.sleep(1)
if mode not in ("ok", "offers", "slow", "forget"):
    sys.exit(mode)
site = pathlib.Path(words[words.index("--python") + 1]).parents[1] / "lib/python3/site-packages"
print("Downloading torch (2.0MiB)", "Downloading demo (2.0MiB)", " Downloaded torch", sep="\\n", file=sys.stderr)
for line in pathlib.Path(words[-1]).read_text().splitlines():
    name, version = line.split(" ")[0].replace("===", "==").split("==")
    if "nowhere" in line or "< '3.0'" in line or "< \\"3.0\\"" in line or mode == "forget" and name == "demo":
        continue
    place = site / f"{{name}}-{{version}}.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\\nName: {{name}}\\nVersion: {{version}}\\n")
'''


def backend(folder: Path, name: str = "demo") -> Backend:
    return Backend(name, name, "demo", ">=1,<2", {}, _never, _never, _never, folder, ())  # type: ignore[arg-type]


def _never(*_: object) -> None:
    raise AssertionError


@pytest.fixture(name="demo")
def demo_backend(tmp_path: Path) -> Backend:
    folder = tmp_path / "locks"
    folder.mkdir()
    (folder / "aligned.lock").write_text(LOCK)
    (folder / "aligned.in").write_text("demo==1.0  # why\ntorch\n")
    return backend(folder)


@pytest.fixture(name="calls", autouse=True)
def fake_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """A fake uv, a cache of its own, no pip configuration; returns the calls of one kind."""
    log, program = tmp_path / "calls", tmp_path / "bin" / "uv"
    program.parent.mkdir()
    program.write_text(FAKE_UV.format(python=sys.executable, log=str(log)))
    program.chmod(0o755)
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setattr(sources, "SYSTEM_FILES", ())
    monkeypatch.setenv("FTSPEC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FAKE_UV", "ok")
    monkeypatch.setattr(uv, "binary", lambda: str(program))
    monkeypatch.setattr(variant, "nvidia_driver", lambda: "")
    monkeypatch.setattr(install, "nvidia_driver", lambda: "")

    def made(kind: str = "") -> list[str]:
        lines = log.read_text().splitlines() if log.exists() else []
        return [line for line in lines if line.split()[1] == kind or not kind]

    return made


def changed(demo: Backend) -> Path:
    assert isinstance(demo.env, Path)
    text = (demo.env / "aligned.lock").read_text()
    (demo.env / "aligned.lock").write_text(text + "# changed\n")
    return demo.env
