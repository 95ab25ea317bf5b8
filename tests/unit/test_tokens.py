"""Special and new tokens of a spec: their ids, what is refused, and what a script says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftspec.data.tokenizer import Vocabulary, load_tokenizer
from ftspec.errors import DataError, UnsupportedError
from ftspec.plan.make import make_plan
from ftspec.plan.model_copy import copy_model
from ftspec.plan.stages import CopyModel
from ftspec.registry import load as backend_of
from ftspec.spec.load import loads
from tests.conftest import SPECS

TINY = SPECS / "tiny-model"
SPEC = (
    "model: ./tiny-model\ndata: {train: {path: data/chat.jsonl, format: messages}, prepare: ftspec}\n"
    "precision: fp32\nhardware: {device: cpu}\n"
    "train: {warmup_steps: 2, steps: 4, batch_size: 4, micro_batch_size: 4}\n"
)
NEW = 'model.new_tokens=["<a>", "<b>"]'
SAVED = "method.tuner.modules_to_save=[embed_tokens, lm_head]"


def plan(backend: str, *sets: str):  # type: ignore[no-untyped-def]
    return make_plan(loads(SPEC, str(SPECS / "spec.yaml"), sets), backend)


def test_new_tokens_come_behind_those_that_are_there_and_in_order() -> None:
    tokens = load_tokenizer(TINY, vocabulary=Vocabulary(new=("<b>", "<|im_end|>", "<a>")))
    assert [tokens.tokenizer.token_to_id(text) for text in ("<b>", "<|im_end|>", "<a>")] == [
        *(1024, 2, 1025)
    ]
    assert 1025 in tokens.ids("x<a>y") and 1025 not in load_tokenizer(TINY).ids("x<a>y")


def test_a_token_of_the_vocabulary_becomes_one_that_no_text_takes_apart() -> None:
    own = load_tokenizer(TINY)
    at = own.tokenizer.token_to_id("ite")
    assert at is not None and at not in own.ids("kites")
    tokens = load_tokenizer(TINY, vocabulary=Vocabulary({"eos_token": "ite"}))
    assert tokens.named_id("eos_token") == at
    assert at in tokens.ids("kites")


def test_a_special_token_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match=r"no token '<none>', which is to be its pad_token"):
        load_tokenizer(TINY, vocabulary=Vocabulary({"pad_token": "<none>"}))
    both = Vocabulary({"pad_token": "<none>"}, ("<none>",))
    assert load_tokenizer(TINY, vocabulary=both).named_id("pad_token") == 1024


def test_a_copy_of_the_model_is_not_made_with_a_token_that_is_not_there(tmp_path: Path) -> None:
    stage = CopyModel(str(TINY), "copy", {"tokenizer_config.json": {"eos_token": "<none>"}})
    with pytest.raises(DataError, match="<none>"):
        copy_model(stage, tmp_path)
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize(
    ("backend", "sets", "reason"),
    [
        ("trl", (NEW,), "stay as they began"),
        ("axolotl", (NEW, "method.tuner.modules_to_save=[embed_tokens]"), "stay as they began"),
        ("trl", (NEW, "method.tuner.modules_to_save=[lm_head]"), "stay as they began"),
        ("llamafactory", (NEW, SAVED, "model.new_tokens.init=normal"), "the mean of others"),
        ("llamafactory", (NEW, SAVED, "model.new_tokens.multiple=8"), "multiple of 64"),
        ("llamafactory", (NEW, SAVED, "model.new_tokens.special=false"), "not special"),
        ("unsloth", (NEW, SAVED), "a function of its own"),
        ("axolotl", (NEW, SAVED, "model.special_tokens.eos=<a>"), "other ids"),
        ("trl", (NEW, "method={tuner: ia3}"), "not under ia3"),
        ("trl", (NEW, SAVED, "model.quantization=nf4"), "quantised base"),
        (
            "llamafactory",
            ("model.special_tokens.bos=<|im_start|>", "data.prepare=framework"),
            "around plain text",
        ),
        ("llamafactory", ("model.name=org/m", "model.special_tokens.eos=x"), "no key"),
        ("llamafactory", ("model.name=org/m", "model.special_tokens.pad=x"), "nothing is learned"),
        ("trl", (SAVED, "model.dtype=bfloat16"), "16 bits train under bf16 alone"),
        ("deepspeed", (SAVED, "model.dtype=bfloat16", "precision=bf16"), "only in float32"),
    ],
)
def test_what_would_mean_something_else_is_refused(
    backend: str, sets: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        plan(backend, *sets)


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"init": "noise"},
        {"init": "normal", "multiple": 1, "special": False},
        {"special": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("backend", ["trl", "deepspeed", "axolotl", "llamafactory"])
def test_what_is_written_reads_back(backend: str, shape: dict[str, object]) -> None:
    sets = [f"model.new_tokens.{name}={value}".lower() for name, value in shape.items()]
    named = ("model.special_tokens.eos=<|im_start|>", "model.special_tokens.pad=<|endoftext|>")
    if backend == "llamafactory" and {"special", "multiple"} & {*shape}:
        return
    made = plan(backend, NEW, SAVED, *named, *sets)
    found = backend_of(backend).maps["sft"].lift(backend_of(backend).read(made.files()))
    assert not found.unknown and not found.refusals
    expected = {"tokens": ("<a>", "<b>"), "special": True, "init": "mean", "multiple": 64} | shape
    assert {name: found.spec[f"model.new_tokens.{name}"] for name in expected} == expected
    assert found.spec["model.special_tokens.eos"] == "<|im_start|>"
    assert found.spec["model.special_tokens.pad"] == "<|endoftext|>"
    assert found.spec.get("model.special_tokens.bos") is None
