"""Other special tokens, and new ones: the same ids, the same first embeddings, the same training."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from ftspec.verify.inputs import rows
from tests.real.conftest import Lab, Proven
from tests.real.test_options import assert_equal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]

ALL = ("trl", "llamafactory", "unsloth", "deepspeed", "axolotl")
GROWING = ("trl", "llamafactory", "deepspeed", "axolotl")
COMMON = (
    "data.prepare=ftspec", "train.micro_batch_size=4", "train.warmup_steps=2", "train.steps=3",
    "train.learning_rate=1e-3",
)  # fmt: skip
"""One batch a step: axolotl averages the means of several."""
NEW = ("<tool>", "</tool>")
FIRST = 1024
"""The tiny model's rows: the id of the first new token."""
ADAPTER = ("method.tuner.modules_to_save=[embed_tokens, lm_head]",)
CALLED = f"data.system='Write {NEW[0]}x{NEW[1]} where a tool is of use.'"
"""What brings the new tokens into each row."""


def embeddings(proof: Proven, backend: str) -> dict[str, np.ndarray]:
    """The embeddings and the head that a run saved."""
    saved, ends = proof.weights(backend), ("embed_tokens.weight", "lm_head.weight")
    beside = ("embed_tokens.modules_to_save.weight", "lm_head.modules_to_save.weight")
    adapted = any("lora_" in key for key in saved)
    return {key: saved[key] for key in saved if key.endswith(beside if adapted else ends)}


def tokenizer(proof: Proven, backend: str) -> dict[str, object]:
    text = (proof.model(backend) / "tokenizer_config.json").read_text("utf-8")
    return dict(json.loads(text))


def test_other_special_tokens_end_and_fill_texts_everywhere(lab: Lab) -> None:
    folder = lab.base / "ended"
    folder.mkdir(exist_ok=True)
    texts = [f"Text {'on ' * (3 * at)}number {at}." for at in range(16)]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (folder / "texts.jsonl").write_text(lines, "utf-8")
    proof = lab.prove(
        "method={tuner: full, objective: cpt}", "data.train={path: ../ended/texts.jsonl}",
        "model.special_tokens={eos: <|im_start|>, pad: <|endoftext|>}", *COMMON, backends=ALL,
    )  # fmt: skip
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(ALL)
    for backend in ALL:
        taken = rows(proof.evidence(backend))
        assert len(taken) == 12 and all(row.ids[-1] == 1 for row in taken)  # <|im_start|>
        named = tokenizer(proof, backend)
        assert (named["eos_token"], named["pad_token"]) == ("<|im_start|>", "<|endoftext|>")
        config = json.loads((proof.model(backend) / "config.json").read_text("utf-8"))
        assert (config["eos_token_id"], config["pad_token_id"]) == (1, 0)
        text = (proof.model(backend) / "generation_config.json").read_text("utf-8")
        assert json.loads(text)["eos_token_id"] == [1, 2]  # the one before ends a text as well


@pytest.mark.parametrize(
    ("sets", "backends"),
    [
        (ADAPTER, GROWING),
        (("method=full",), GROWING),
        ((*ADAPTER, "model.new_tokens.init=noise"), GROWING),
        (
            ("method=full", "model.new_tokens.init=normal", "model.new_tokens.multiple=32",
             "model.new_tokens.special=false"),
            ("trl", "deepspeed", "axolotl"),
        ),
    ],
    ids=["lora", "full", "noise", "normal"],
)  # fmt: skip
def test_new_tokens_begin_and_train_alike(
    lab: Lab, sets: tuple[str, ...], backends: tuple[str, ...]
) -> None:
    proof = lab.prove(
        f"model.new_tokens={{tokens: {json.dumps(NEW)}}}", CALLED, *COMMON, *sets, backends=backends
    )
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(backends)
    own = load_file(lab.specs / "tiny-model" / "model.safetensors")["model.embed_tokens.weight"]
    assert len(own) == FIRST
    mean = own.mean(axis=0)
    for backend in backends:
        for row in rows(proof.evidence(backend)):
            assert {FIRST, FIRST + 1} <= set(row.ids)
        matrices = embeddings(proof, backend)
        assert len(matrices) == 2
        step = 32 if "model.new_tokens.multiple=32" in sets else 64
        assert {len(matrix) for matrix in matrices.values()} == {FIRST + step}
        (learned,) = (m for key, m in matrices.items() if "embed_tokens" in key)
        # what the texts have was learned, what they have not stayed where it began
        assert np.abs(learned[FIRST : FIRST + 2] - mean).max() > 1e-3
        if not any("init" in each for each in sets):
            assert np.abs(learned[FIRST + 2 :] - mean).max() < 1e-5
        text = (proof.model(backend) / "tokenizer.json").read_text("utf-8")
        assert [t["content"] for t in json.loads(text)["added_tokens"]][-2:] == [*NEW]
