"""The example specs: each is what it claims to be."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from ftspec.spec.load import load, loads
from ftspec.spec.pipeline import Pipeline, load_any
from ftspec.spec.schema import json_schema
from ftspec.spec.text import parse
from ftspec.spec.write import dump
from tests.conftest import SPECS

VALID = (
    *("quickstart.yaml", "chat-lora.yaml", "full-zero3.yaml", "lora-70b-fsdp.yaml"),
    "from-axolotl.yaml",
    *("real-smollm2-alpaca.yaml", "continued-pretraining.yaml", "qlora.yaml"),
    *("prompt-weight.yaml", "moe-lora.yaml", "long-context.yaml", "packed-chat.yaml"),
    *("full-galore.yaml", "freeze-layers.yaml", "oft.yaml", "prompt-tuning.yaml"),
    *("adalora.yaml", "lora-eva.yaml", "qlora-loftq.yaml", "qat.yaml"),
    *("dpo-tiny.yaml", "dpo-after-sft.yaml", "kto-tiny.yaml", "simpo-tiny.yaml"),
    *("reward-tiny.yaml", "distillation.yaml", "grpo-tiny.yaml", "axolotl-tiny.yaml"),
    *("online-dpo-tiny.yaml", "axolotl-chat.yaml"),
    *("gemma-lora.yaml", "gpt-oss-lora.yaml", "mistral-chat.yaml", "llama3-lora.yaml"),
    *("qwen3-tools.yaml", "template.yaml", "new-tokens.yaml", "awq-lora.yaml"),
)
STAGES = (
    *("stages.yaml", "stages-tiny.yaml", "rl-stages-tiny.yaml", "ppo-stages-tiny.yaml"),
    "written-tiny.yaml",
)
MODELINE = "# yaml-language-server: $schema=../schemas/ftspec.v1.json"
VALIDATOR = Draft202012Validator(json_schema())


def test_every_example_is_swept() -> None:
    found = {path.name for path in SPECS.glob("*.yaml") if not path.name.endswith(".tmp.yaml")}
    assert found == {*VALID, *STAGES}, "a new spec belongs into one of the lists here"
    assert len(found) == 43


@pytest.mark.parametrize("name", [*VALID, *STAGES])
def test_examples_name_their_schema_and_say_why(name: str) -> None:
    lines = (SPECS / name).read_text("utf-8").splitlines()
    assert MODELINE in lines[:2]
    assert (SPECS / MODELINE.partition("=")[2]).is_file()
    assert sum("# " in line for line in lines) >= 5


@pytest.mark.parametrize("name", VALID)
def test_examples_load(name: str) -> None:
    loaded = load(SPECS / name)
    assert loads(dump(loaded.spec)).spec == loaded.spec
    assert VALIDATOR.is_valid(parse((SPECS / name).read_bytes()).data)


@pytest.mark.parametrize("name", STAGES)
def test_examples_with_stages_load(name: str) -> None:
    pipeline = load_any(SPECS / name)
    assert isinstance(pipeline, Pipeline)
    assert len(pipeline.steps) > 1
    assert VALIDATOR.is_valid(parse((SPECS / name).read_bytes()).data)


def test_the_quickstart_finds_what_it_names() -> None:
    spec = load(SPECS / "quickstart.yaml").spec
    assert (SPECS / spec.model.name).is_dir()
    for source in (*spec.data.train, *spec.data.eval):
        assert (SPECS / Path(source.path or "")).is_file()
