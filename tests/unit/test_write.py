"""Writing specs: what a person would have written, and it loads back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from ruamel.yaml import YAML

from ftspec.errors import SpecError
from ftspec.spec.load import loads
from ftspec.spec.starter import STARTERS, starter
from ftspec.spec.write import dump
from tests.unit.spec_basics import AWKWARD
from tests.unit.spec_strategies import documents

BASE = "version: 1\nmodel: org/name\ndata: train.jsonl\n"


def as_yaml_1_1(text: str) -> Any:
    """What YAML 1.1 reads: `no` is false, 1:30 is 90; `1e-4` is warned of, which fails a test."""
    reader = YAML(typ="safe", pure=True)
    reader.version = (1, 1)
    return reader.load(text)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_what_is_written_loads_back(document: dict[str, Any]) -> None:
    spec = loads(json.dumps(document)).spec
    text = dump(spec)
    assert loads(text).spec == spec
    assert dump(loads(text).spec) == text


@pytest.mark.parametrize(
    "text",
    [
        BASE + "method: lora\n",
        BASE + "method: full\n",
        BASE + "method:\n  tuner:\n    type: lora\n    rank: 8\n    targets: [q_proj, v_proj]\n",
        BASE + "method: lora\nprecision: fp32\ntrain:\n  epochs: 2\n  learning_rate: 0.0002\n",
        BASE + "method: lora\ntrain:\n  learning_rate: 5.0e-6\n  save_steps: epoch\n",
        BASE + "method: lora\nhardware:\n  devices: 8\n  zero: 3\noutput: runs/mine\nrun: [trl]\n",
        BASE
        + "method: lora\nnative:\n  trl:\n    a: [1, {b: null}]\n".replace("[1, {b: null}]", "x"),
        "version: 1\nmodel:\n  name: x\n  dtype: float32\ndata:\n  train:\n    - a.jsonl\n    - hub: b/c\n"
        "      split: test\n  max_length: 64\nmethod: lora\n",
    ],
)
def test_what_a_person_writes_is_written_back(text: str) -> None:
    assert dump(loads(text).spec) == text


@pytest.mark.parametrize("word", AWKWARD)
def test_awkward_words_stay_text_in_every_yaml_version(word: str) -> None:
    document = {"model": word, "data": "a.jsonl", "native": {"trl": {word: [word]}}}
    text = dump(loads(json.dumps(document)).spec)
    assert loads(text).spec == loads(json.dumps(document)).spec
    old = as_yaml_1_1(text)
    assert old["model"] == word
    assert old["native"] == {"trl": {word: [word]}}


@pytest.mark.parametrize("number", [1e-4, 5e-05, 1e-300, 1e22, 0.1, 2.5, 1e4])
def test_numbers_stay_numbers_in_every_yaml_version(number: float) -> None:
    document = {"model": "x", "data": "a.jsonl", "train": {"learning_rate": number}}
    text = dump(loads(json.dumps(document)).spec)
    assert loads(text).spec.train.learning_rate == number
    assert as_yaml_1_1(text)["train"]["learning_rate"] == number


@pytest.mark.parametrize("name", STARTERS)
def test_starters_are_valid_and_commented(name: str) -> None:
    text = starter(name, schema="./x.json", file="mine.yaml")
    assert text.startswith("# yaml-language-server: $schema=./x.json\n")
    assert "ftspec plan mine.yaml" in text
    assert loads(text).spec.version == 1
    assert sum(line.lstrip().startswith("#") for line in text.splitlines()) >= 10


def test_an_unknown_starter() -> None:
    with pytest.raises(SpecError, match="no starter spec `loar`") as caught:
        starter("loar")
    assert caught.value.problems[0].hint == "did you mean `lora`?"
