"""LLaMA-Factory's mean of passes goes with a processor of images, which a template shows that it reads by."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftspec.errors import UnsupportedError
from ftspec.plan.make import make_plan
from ftspec.spec.load import loads

TEXT = (
    "model: {name: org/name, chat_template: gemma3}\n"
    "data: {train: {path: a.jsonl, format: messages}, max_length: 64}\n"
    "train: {batch_size: 4, micro_batch_size: 2}\nhardware: {device: cuda}\n"
)


def refusal(*sets: str) -> str:
    with pytest.raises(UnsupportedError) as caught:
        make_plan(loads(TEXT, "nowhere/spec.yaml", sets), "llamafactory", Path("nowhere/out"))
    return str(caught.value)


def test_the_template_that_its_rows_are_made_by_counts() -> None:
    assert "the mean of its passes' means" in refusal("data.overflow=truncate")


def test_rows_that_ftspec_made_need_no_template() -> None:
    """They are handed over under the name `empty`, and every text model counts its tokens."""
    sets = ("data.prepare=ftspec", "data.overflow=truncate", "method.objective.average=batches")
    assert "counts the tokens of the whole batch" in refusal(*sets)
