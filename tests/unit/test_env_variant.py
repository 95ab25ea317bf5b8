"""Which build of torch is taken, and a person's own interpreter."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from ftspec.backend import Backend
from ftspec.env import install, variant
from ftspec.env.locks import parse_lock, read_lock
from ftspec.env.own import own
from ftspec.errors import EnvironmentError_
from tests.unit.fake_uv import LOCK, demo_backend, fake_uv, linux_only  # noqa: F401 - fixtures


@linux_only
def test_without_a_driver_the_offered_cpu_build_is_taken(
    demo: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = read_lock(demo)
    refused = variant.choose([lock])
    assert refused.variant == "cuda"
    assert "no CPU-only build" in refused.reason
    monkeypatch.setenv("FAKE_UV", "offers")
    assert variant.choose([lock]).variant == "cpu"
    monkeypatch.setattr(variant, "nvidia_driver", lambda: "580.1")
    assert variant.choose([lock]) == variant.Choice("cuda", "NVIDIA driver 580.1")
    assert variant.choose([lock], "cpu").variant == "cpu"


@linux_only
def test_the_cpu_build_leaves_cuda_out_and_names_the_whole_family() -> None:
    family = LOCK + "torchaudio==2.11.0 --hash=sha256:ba\ntorchvision==0.26.0 --hash=sha256:be\n"
    hashed, loose = variant.requirements(parse_lock(family, "demo", "aligned"), "cpu")
    assert loose.split() == [
        "torch==2.11.0+cpu",
        "torchvision==0.26.0+cpu",
        "torchaudio==2.11.0+cpu",
    ]
    assert not re.search("torch|nvidia|triton", hashed)
    kept, _ = variant.requirements(
        parse_lock(LOCK, "demo", "aligned", "triton ; a\n".replace(" ; a", "")), "cpu"
    )
    assert "triton===3.6.0" in kept


def test_a_plain_lock_has_no_swap() -> None:
    lock = parse_lock("torch==2.11.0 --hash=sha256:aa\n", "demo", "aligned")
    assert variant.choose([lock]).variant == "cpu"
    assert variant.requirements(lock, "cpu") == ("torch===2.11.0 --hash=sha256:aa\n", "")
    with pytest.raises(EnvironmentError_, match="no CUDA build"):
        variant.choose([lock], "cuda")


@linux_only
def test_a_forced_cpu_build_that_nobody_offers_is_an_error(demo: Backend) -> None:
    with pytest.raises(EnvironmentError_, match=r"torch==2\.11\.0\+cpu") as caught:
        install.ensure(demo, torch="cpu")
    assert "auto" in caught.value.problems[0].hint
    with pytest.raises(EnvironmentError_, match="no torch build `rocm`"):
        install.ensure(demo, torch="rocm")


@linux_only
def test_the_cpu_build_is_laid_down(demo: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_UV", "offers")
    made = install.ensure(demo)
    assert made.torch == "cpu"
    assert made.versions == {"demo": "1.0", "torch": "2.11.0+cpu"}
    assert install.find(demo) == made


def test_an_own_interpreter_is_checked(demo: Backend, tmp_path: Path) -> None:
    made = install.ensure(demo)
    python = tmp_path / "own.sh"
    site = next(made.folder.glob("lib/*/site-packages"))
    python.write_text(f'#!/bin/sh\nPYTHONPATH={site} exec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    found = own(python, demo)
    assert (found.key, found.python, found.notes) == ("own", python, ())
    (site / "demo-1.0.dist-info" / "METADATA").write_text("Name: demo\nVersion: 1.1\n")
    assert own(python, demo).notes == ("demo: 1.1, the lock `aligned` has 1.0",)
    (site / "demo-1.0.dist-info" / "METADATA").write_text("Name: demo\nVersion: 2.0\n")
    with pytest.raises(EnvironmentError_, match=r"has demo 2\.0") as caught:
        own(python, demo)
    assert "demo==1.0" in caught.value.problems[0].hint


@pytest.mark.parametrize("program", ["missing", "/bin/false"])
def test_what_is_no_interpreter_is_refused(demo: Backend, tmp_path: Path, program: str) -> None:
    with pytest.raises(EnvironmentError_, match="is not a Python that runs"):
        own(tmp_path / program, demo)


def test_an_interpreter_without_the_framework_is_refused(demo: Backend) -> None:
    with pytest.raises(EnvironmentError_, match="has no demo"):
        own(Path(sys.executable), demo)
