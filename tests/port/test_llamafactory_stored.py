"""In which type weights train that LLaMA-Factory takes as the checkpoint stores them."""

from __future__ import annotations

import json

import pytest

from ftspec.port.formats.llamafactory.stored import SUPPOSED
from tests.port.conftest import Bring

PURE = """\
model_name_or_path: m
stage: sft
finetuning_type: full
dataset: identity
output_dir: o
pure_bf16: true
do_train: true
"""


@pytest.mark.parametrize("part", [False, True])
@pytest.mark.parametrize("key", ["dtype", "torch_dtype"])
@pytest.mark.parametrize(("stored", "asked"), [("float32", True), ("bfloat16", False)])
def test_pure_bf16_casts_no_checkpoint(
    read: Bring, key: str, stored: str, asked: bool, part: bool
) -> None:
    (folder := read(PURE).parts[0].context.document.path.parent / "m").mkdir()
    (folder / "config.json").write_text(
        json.dumps({"text_config": {key: stored}} if part else {key: stored})
    )
    imported = read(PURE)
    found = [one for one in imported.composed.open if one.startswith("model.dtype: pure_bf16")]
    assert bool(found) is asked and SUPPOSED not in imported.notes


def test_pure_bf16_of_a_model_that_is_not_here_is_told(read: Bring) -> None:
    assert SUPPOSED in read(PURE).notes
