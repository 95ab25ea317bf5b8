"""What is compiled, byte for byte, and whether it is good by the rules of those who will read it."""

from __future__ import annotations

import ast
import difflib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ftspec.read import json as read_json
from ftspec.read import shell as read_shell
from ftspec.read import yaml as read_yaml
from ftspec.registry import load, names
from tests.golden.cases import GOLDEN, LEFT_OUT, cases, compiled, expected, lay_out

pytestmark = pytest.mark.sweep

SECTIONS = ["model", "method", "dataset", "output", "train", "eval"]
"""The order in LLaMA-Factory's own examples, https://github.com/hiyouga/LLaMA-Factory/tree/main/examples"""
LINES = {"trl": 60, "deepspeed": 60, "unsloth": 66}
"""A supervised script is shorter than this, its header included; Unsloth's pins more and loads more."""
FEWER = {"axolotl": 2}
"""Cases of a backend that takes rows prepared by ftspec alone."""
MORE = {
    "qlora": 9,
    "pissa": 9,
    "dpo-tiny": 4,
    "grpo-tiny": 20,
    "simpo-tiny": 9,
    "orpo": 9,
    "ppo": 18,
    "template": 24,
    "new-tokens": 24,
    "packed-base": 5,
    "unpacked-base": 5,
    "images": 128,
    "image-pairs": 124,
}
"""Lines that a script has beyond those: of a quantised base, settings, rewards, texts, tokens, images."""
NEEDED = {
    "qlora": ["bitsandbytes"],
    "galore": ["galore-torch"],
    "packed-base": ["gptqmodel", "optimum", "kernels", "requests"],
    "images": ["torchvision", "pillow"],
    "image-pairs": ["torchvision", "pillow"],
}
"""Packages that a case's header names beside its backend's."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository elsewhere: bytes must not depend on where it lies."""
    folder = tmp_path_factory.mktemp("somewhere") / "else"
    lay_out(folder)
    return folder


@pytest.mark.parametrize("case", cases())
def test_what_is_compiled_is_what_it_was(case: str, root: Path) -> None:
    old, new = expected(case), compiled(case, root)
    assert {path.partition("/")[0] for path in new} - {LEFT_OUT} <= set(names())
    diff = "".join(
        line
        for path in sorted(old | new)
        for line in difflib.unified_diff(
            old.get(path, b"").decode().splitlines(keepends=True),
            new.get(path, b"").decode().splitlines(keepends=True),
            f"golden/{case}/{path}",
            f"compiled/{case}/{path}",
        )
    )
    for path, content in new.items():
        assert str(root).encode() not in content, path
    assert old == new, f"`make golden` accepts this, if it is meant:\n{diff}"


def golden(pattern: str) -> list[Path]:
    """Golden files by name; never none."""
    found = sorted(GOLDEN.glob(f"*/*/{pattern}"))
    assert found, pattern
    return found


def test_the_sweep_swept() -> None:
    assert len(cases()) >= 11
    assert sum(len(expected(case)) for case in cases()) == 739
    for backend in names():
        folders = {path.parent.parent.name for path in golden("manifest.json")
                   if path.parent.name == backend}  # fmt: skip
        assert len(folders) >= FEWER.get(backend, 8), f"{backend}: {sorted(folders)}"


def test_who_is_missing_is_named_with_a_reason() -> None:
    for case in cases():
        there = {path.partition("/")[0] for path in expected(case)}
        said = expected(case).get(LEFT_OUT, b"").decode()
        assert set(re.findall(r"^(\w+): left out$", said, re.MULTILINE)) == set(names()) - there
        assert (len(re.findall(r"^  \S+:\d+:\d+: error\[unsupported\]: ", said, re.MULTILINE))
                >= said.count(": left out\n"))  # fmt: skip


def ruff(*arguments: str) -> subprocess.CompletedProcess[str]:
    scripts = [str(path) for path in golden("train.py")]
    assert len(scripts) >= 29
    command = [sys.executable, "-m", "ruff", *arguments, "--isolated", "--no-cache"]
    return subprocess.run(
        [*command, "--line-length", "100", *scripts],
        capture_output=True,
        text=True,
        check=False,
    )


def test_scripts_are_clean_python() -> None:
    done = ruff("check", "--select", "E,F,I,W,UP")
    assert done.returncode == 0, done.stdout + done.stderr


def test_scripts_are_formatted() -> None:
    done = ruff("format", "--diff")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", golden("train.py"), ids=lambda path: "-".join(path.parts[-3:-1]))
def test_scripts_are_short_and_their_own(path: Path) -> None:
    text = path.read_text()
    assert "ftspec" not in re.sub(r"^#.*|\"[^\"]*\"", "", text, flags=re.MULTILINE)
    assert "argparse" not in text
    classes = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    lengths = [(node.end_lineno or 0) - node.lineno + 1 for node in classes]
    assert sum(lengths) <= 32, "a trainer of the script's own is a screenful at most"
    more = MORE.get(path.parts[-3], 0)
    assert len(text.splitlines()) - sum(lengths) < LINES[path.parent.name] + more


@pytest.mark.parametrize("path", golden("train.py"), ids=lambda path: "-".join(path.parts[-3:-1]))
def test_headers_hold_the_pins_of_the_lock(path: Path) -> None:
    backend = load(path.parent.name)
    versions = json.loads((path.parent / "manifest.json").read_bytes())["versions"]
    needed = NEEDED.get(path.parts[-3], [])
    pins = [f"{name}=={versions[name]}" for name in (*backend.pinned, *needed)]
    header, _, rest = path.read_text().partition("# ///\n")
    assert header.startswith("# /// script\n")
    assert rest.startswith(f"# Fine-tuning with {backend.title}; compiled by ftspec ")
    lines = [line.removeprefix("#").removeprefix(" ") for line in header.splitlines()[1:]]
    read = tomllib.loads("\n".join(lines))
    assert read["dependencies"] == pins
    overrides = read.get("tool", {}).get("uv", {}).get("override-dependencies", [])
    assert overrides == list(backend.overrides)
    requirements = (path.parent / "requirements.txt").read_text().splitlines()
    assert requirements[1:] == pins


def test_unsloth_comes_first() -> None:
    scripts = [path for path in golden("train.py") if path.parent.name == "unsloth"]
    assert len(scripts) >= 8
    for path in scripts:
        lines = path.read_text().splitlines()
        imports = [line for line in lines if line.startswith(("import ", "from "))]
        assert imports[0].startswith("from unsloth import "), path


@pytest.mark.parametrize("path", golden("train.yaml"), ids=lambda path: path.parts[-3])
def test_llamafactory_configs_have_upstreams_sections(path: Path) -> None:
    text = path.read_text()
    assert re.findall(r"^### (\w+)$", text, re.MULTILINE) == SECTIONS
    assert text.splitlines()[0].startswith("# Fine-tuning with LLaMA-Factory")
    parts = [read_yaml.read(part) for part in re.split(r"^### \w+\n", text, flags=re.MULTILINE)[1:]]
    whole = read_yaml.read(text)
    assert list(whole) == [key for part in parts for key in part]
    # Each section begins as upstream's examples do.
    first = ["model_name_or_path", "stage", ("dataset", "tokenized_path"), "output_dir"]
    for part, key in zip(parts, first, strict=False):
        assert next(iter(part)) in key


@pytest.mark.parametrize("path", golden("train.yaml"), ids=lambda path: path.parts[-3])
def test_llamafactory_configs_read_the_same_everywhere(path: Path) -> None:
    from ruamel.yaml import YAML

    def ruamel(version: tuple[int, int]) -> object:
        yaml = YAML(typ="safe", pure=True)
        yaml.version = version
        return yaml.load(path.read_text())

    values = read_yaml.read(path.read_text())
    assert len(values) >= 40
    assert values == ruamel((1, 1)) == ruamel((1, 2))
    registry = path.with_name("dataset_info.json")
    if "tokenized_path" not in values:
        named = values["dataset"].split(",") + values.get("eval_dataset", "").split(",")
        assert [name for name in named if name] == list(read_json.read(registry.read_text()))


@pytest.mark.parametrize("path", golden("launch.sh"), ids=lambda path: "-".join(path.parts[-3:-1]))
def test_launch_scripts_are_shell(path: Path) -> None:
    subprocess.run(["sh", "-n", str(path)], check=True)
    argv, environ = read_shell.read(path.read_text())
    assert argv[0] in ("python", "torchrun", "llamafactory-cli")
    assert argv[-1] == load(path.parent.name).entry
    assert environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_deepspeed_configs_leave_each_number_to_the_script() -> None:
    configs = [read_json.read(path.read_text()) for path in golden("ds_config.json")]
    assert len(configs) >= 9
    for config in configs:
        assert config["gradient_accumulation_steps"] == "auto"
        assert "optimizer" not in config
        assert "scheduler" not in config
