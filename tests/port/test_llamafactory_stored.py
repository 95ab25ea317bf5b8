"""In which type weights train that LLaMA-Factory takes as the checkpoint stores them."""

from __future__ import annotations

import json

import pytest

from tests.port.conftest import Bring

PURE = """\
model_name_or_path: m
stage: sft
finetuning_type: full
dataset: identity
output_dir: o
pure_bf16: true
"""


@pytest.mark.parametrize("key", ["dtype", "torch_dtype"])
@pytest.mark.parametrize(("stored", "asked"), [("float32", True), ("bfloat16", False)])
def test_pure_bf16_casts_no_checkpoint(read: Bring, key: str, stored: str, asked: bool) -> None:
    (folder := read(PURE).parts[0].context.document.path.parent / "m").mkdir()
    (folder / "config.json").write_text(json.dumps({key: stored}))
    found = [one for one in read(PURE).composed.open if one.startswith("model.dtype: pure_bf16")]
    assert bool(found) is asked
