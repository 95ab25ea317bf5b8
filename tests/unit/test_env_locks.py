"""Locks: how they are read, what the shipped ones hold, how they are made anew."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ftspec.backend import Backend, lock_of
from ftspec.env import relock
from ftspec.env.locks import Lock, having, lock_names, parse_lock, read_lock
from ftspec.errors import EnvironmentError_
from ftspec.registry import load, names
from tests.unit.fake_uv import LOCK, backend, demo_backend, fake_uv  # noqa: F401 - fixtures

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(ROOT.glob("backends/*/ftspec_*/env/*.lock"))


def test_a_lock_is_read_for_this_platform(demo: Backend) -> None:
    lock = read_lock(demo)
    assert lock.pins["demo"] == "1.0"
    assert "elsewhere" not in lock.pins
    assert "old-python" not in lock.pins
    assert {pin.name for pin in lock.requirements} > {"elsewhere", "old-python"}
    assert lock.requirements[0].hashes == ("sha256:aa", "sha256:bb")
    assert lock.inputs == {"demo", "torch"}
    assert str(lock.python) in {">=3.11,<4", "<4,>=3.11"}
    assert lock_names(demo) == ("aligned",)


def test_the_key_changes_with_the_text() -> None:
    keys = {parse_lock(text, "demo", "aligned").key for text in (LOCK, LOCK + "# more\n")}
    assert len(keys) == 2
    assert all(re.fullmatch(r"[0-9a-f]{12}", key) for key in keys)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        ("demo>=1 --hash=sha256:aa", "not one version"),
        ("demo==1.*  --hash=sha256:aa", "not one version"),
        ("demo==1.0", "not one version"),
        ("demo @ file:///x --hash=sha256:aa", "not one version"),
        ("<<<<<<< ours", "not a requirement"),
    ],
)
def test_a_damaged_lock_is_refused(text: str, word: str) -> None:
    with pytest.raises(EnvironmentError_, match=word) as caught:
        parse_lock(text, "demo", "aligned")
    assert "ftspec env lock demo" in caught.value.problems[0].hint


@pytest.mark.parametrize("name", ["newest", "../aligned", ""])
def test_an_unknown_lock_names_the_known_ones(demo: Backend, name: str) -> None:
    with pytest.raises(EnvironmentError_, match="has no environment") as caught:
        read_lock(demo, name)
    assert "`aligned`" in caught.value.problems[0].hint


def _shipped(path: Path) -> Lock:
    return read_lock(backend(path.parent, path.parents[2].name), path.stem)


def test_every_backend_ships_both_locks_and_those_of_single_objectives() -> None:
    named = {(path.parents[2].name, path.stem) for path in SHIPPED}
    both = {(name, lock) for name in names() for lock in ("aligned", "latest")}
    apart = {(name, own.lock) for name in names() for own in load(name).apart.values()}
    besides = {(name, own.lock) for name in names() for own in load(name).besides.values()}
    kept = {("trl", lock) for lock in ("vllm", "gptq", "vision")}
    kept |= {("deepspeed", "gptq"), ("llamafactory", "deepspeed"), ("axolotl", "vision")}
    assert (apart, besides) == ({("trl", "ppo")}, kept)
    assert named == both | apart | besides
    assert len(SHIPPED) == len(named) == 17


def test_an_objective_has_its_own_lock_and_the_others_have_what_is_asked_for() -> None:
    trl, unsloth = load("trl"), load("unsloth")
    assert lock_of(trl, "ppo", "aligned") == ("ppo", trl.apart["ppo"].reason)
    assert lock_of(trl, "grpo", "latest") == ("latest", "")
    assert lock_of(unsloth, "ppo", "aligned") == ("aligned", "")
    drawing = {"GRPOConfig.use_vllm": True}
    assert lock_of(trl, "grpo", "aligned", drawing)[0] == "vllm"
    assert lock_of(trl, "grpo", "aligned", {"GRPOConfig.use_vllm": False}) == ("aligned", "")
    assert having([trl], "vllm") == ((trl, "vllm"),)  # by its name, not with all others
    assert having([trl, unsloth]) == ((trl, "aligned"), (trl, "ppo"), (unsloth, "aligned"))
    assert having([trl, unsloth], "ppo") == ((trl, "ppo"),)
    assert having([trl, unsloth], "none") == ((trl, "none"), (unsloth, "none"))


def test_the_lock_of_an_objective_shares_the_aligned_versions() -> None:
    aligned, ppo, vllm = (read_lock(load("trl"), name).pins for name in ("aligned", "ppo", "vllm"))
    for name in ("torch", "transformers", "peft", "accelerate", "datasets", "tokenizers"):
        assert aligned[name] == ppo[name] == vllm[name], name
    assert ppo["trl"] == "0.24.0"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parents[2].name}-{path.stem}")
def test_shipped_locks_are_complete(path: Path) -> None:
    lock = _shipped(path)  # a pin that is not ==, or has no hash, does not parse
    assert not re.search(r"https?:|file:|://|@|--(index|extra|find)", lock.text)
    assert "+" not in "".join(pin.version for pin in lock.requirements)
    assert all(
        re.fullmatch(r"sha256:[0-9a-f]{64}", h) for pin in lock.requirements for h in pin.hashes
    )
    assert f"ftspec env lock {lock.backend}" in lock.text.splitlines()[0]
    asked = {line.split("==")[0]: line.split("==")[1] for line in _inputs(path) if "==" in line}
    assert asked
    pinned = {pin.name: pin.version for pin in lock.requirements}
    assert {name: pinned[name] for name in asked} == asked
    shared = {"tensorboard", "torch", "peft", "accelerate"}
    assert shared | ({"gptqmodel"} if path.stem == "gptq" else {"bitsandbytes"}) <= set(pinned)
    assert {"gptqmodel", "bitsandbytes"} - set(pinned)  # together they load code from the hub


def _inputs(path: Path) -> list[str]:
    lines = path.with_suffix(".in").read_text().splitlines()
    return [re.split(r"[ #;]", line)[0] for line in lines if line and not line.startswith("#")]


def test_the_aligned_locks_share_what_decides_the_numbers() -> None:
    aligned = {path.parents[2].name: path for path in SHIPPED if path.stem == "aligned"}
    torch = {_shipped(path).pins["torch"] for path in aligned.values()}
    assert len(torch) == 1
    aligned.pop("axolotl")  # it pins other versions to the digit
    locks = [_shipped(path) for path in aligned.values()]
    assert len(locks) == 4
    for name in (
        "torch",
        "transformers",
        "peft",
        "accelerate",
        "tokenizers",
        "numpy",
        "safetensors",
    ):
        assert len({lock.pins[name] for lock in locks}) == 1, name


def test_relock_writes_atomically_and_says_whatchanged(
    demo: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(demo.env, Path)
    asked: dict[str, object] = {}

    def resolve(arguments: tuple[str, ...], _doing: str, **options: object) -> None:
        asked["overrides"] = Path(arguments[arguments.index("--override") + 1]).read_text()
        asked["extra"] = options["extra"]
        Path(arguments[-1]).write_text(str(asked["made"]))

    monkeypatch.setattr(relock, "run_uv", resolve)
    (demo.env / "aligned.in").write_text(
        "#: python >=3.11,<3.15\n#: override certifi>=2026\ndemo==2.0\n"
    )
    asked["made"] = "demo==2.0 --hash=sha256:aa\n"
    done = relock.relock(demo)
    assert done.changes["demo"] == ("1.0", "2.0")
    assert done.changes["torch"] == ("2.11.0", "")
    assert asked["overrides"] == "certifi>=2026\n"
    assert asked["extra"] == {"UV_FIND_LINKS": ""}
    text = (demo.env / "aligned.lock").read_text()
    assert "ftspec env lock demo" in text
    assert "#: python >=3.11,<3.15" in text
    asked["made"] = "torch==2.0+cpu --hash=sha256:aa\n"
    with pytest.raises(EnvironmentError_, match="local builds"):
        relock.relock(demo)
    assert (demo.env / "aligned.lock").read_text() == text
    with pytest.raises(EnvironmentError_, match=r"no file other\.in"):
        relock.relock(demo, "other")
