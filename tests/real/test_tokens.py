"""Other special tokens, and new ones: the same ids, the same first embeddings, the same training."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from ftspec.data.arrow import read_split
from ftspec.plan.pipeline import make_pipeline
from ftspec.run.taken import results
from ftspec.spec.pipeline import Pipeline, load_any
from ftspec.verify.inputs import rows
from ftspec.verify.verify import Run
from tests.real.conftest import Lab, Proven
from tests.real.test_options import assert_equal
from tests.real.test_stages import run

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


@pytest.fixture(scope="module")
def ended(lab: Lab) -> str:
    """The tiny model with a template that prints the tokenizer's own end of a text."""
    folder = lab.specs / "ended-model"
    if not folder.exists():
        shutil.copytree(lab.specs / "tiny-model", folder)
        file = folder / "chat_template.jinja"
        text = file.read_text("utf-8").replace("'<|im_end|>\n'", "eos_token + '\n'")
        assert text.count("eos_token") == 2
        file.write_text(text, "utf-8")
    return "model.name=./ended-model"


@pytest.mark.parametrize(
    "objective",
    [
        (),
        (
            "method.objective=dpo",
            "data.train={path: data/preferences.jsonl}",
            "data.train_on=completions",
            "method.tuner={type: lora, rank: 8}",
        ),
    ],
    ids=["sft", "dpo"],
)
def test_a_template_prints_the_named_end_in_each_own_path(
    lab: Lab, ended: str, objective: tuple[str, ...]
) -> None:
    backends = ("trl", "llamafactory", "unsloth", "deepspeed")
    proof = lab.prove(
        ended,
        "model.special_tokens.eos=<|endoftext|>",
        "train.steps=2",
        *objective,
        backends=backends,
    )
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(backends)
    for backend in backends:
        ids = [np.asarray(batch.input_ids) for batch in proof.evidence(backend).batches]
        assert ids and all((batch == 0).any() for batch in ids)
        assert not any((batch == 2).any() for batch in ids)  # <|im_end|>
        assert tokenizer(proof, backend)["eos_token"] == "<|endoftext|>"


def test_modules_beside_an_adapter_have_the_type_of_the_model(lab: Lab) -> None:
    half = ("model.dtype=bfloat16", "precision=bf16", "train.steps=2", *ADAPTER)

    def runs(folder: Path) -> Mapping[str, Run]:
        return {name: lab.compiled("trl", folder / name, *half) for name in ("trl", "twin")}

    evidence = lab.compare("half-saved", runs).evidence("trl")
    types = {name: tensor.dtype for name, tensor in evidence.trainable.items()}
    saved = {kind for name, kind in types.items() if "modules_to_save" in name}
    assert saved == {"bfloat16"} and set(types.values()) == {"bfloat16", "float32"}
    moved = [
        name for name, begun in evidence.before.items() if (evidence.after[name] != begun).any()
    ]
    assert any("embed_tokens" in name for name in moved) and any("lm_head" in n for n in moved)


@pytest.mark.parametrize(
    ("sets", "backends"),
    [
        (ADAPTER, GROWING),
        (("method=full",), GROWING),
        ((*ADAPTER, "model.new_tokens.init=noise"), ("trl", "llamafactory")),
        (
            ("method=full", "model.new_tokens.init=normal", "model.new_tokens.multiple=32",
             "model.new_tokens.special=false"),
            ("trl", "axolotl"),
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


STAGES = f"""\
model:
  name: ./tiny-model
  special_tokens: {{eos: <|endoftext|>}}
data: {{max_length: 256, overflow: error, prepare: ftspec}}
precision: fp32
train:
  steps: 2
  batch_size: 4
  micro_batch_size: 4
  warmup_steps: 0
  learning_rate: 1e-3
  logging_steps: 1
  gradient_checkpointing: false
hardware: {{device: cpu}}

stages:
  - name: calls
    model: {{new_tokens: {json.dumps(NEW)}}}
    data: {{train: data/chat.jsonl, system: "Write {NEW[0]}."}}
    method: {{tuner: full}}
    run: trl
  - name: more
    model: {{stage: calls}}
    data: {{train: data/chat.jsonl, system: "Write {NEW[1]}."}}
    method: {{tuner: {{type: lora, rank: 4}}}}
    run: llamafactory
  - name: last
    model: {{stage: more, adapter: merge}}
    data: {{train: data/preferences.jsonl, prepare: framework}}
    method: {{objective: dpo, tuner: full}}
    train: {{learning_rate: 1e-12}} # so little that the weights show what they began as
    run: trl
"""


def test_later_stages_go_on_with_the_tokens_of_those_before(lab: Lab) -> None:
    (lab.specs / "grown.yaml").write_text(STAGES, "utf-8")
    pipeline = load_any(lab.specs / "grown.yaml")
    assert isinstance(pipeline, Pipeline)
    links = make_pipeline(pipeline)
    assert run(links) == ["calls", "more", "more-merged", "last"]
    calls, more, merged, last = links
    prepared = list(read_split(more.plan.folder / "data" / "train"))
    # all but the rows with a system prompt of their own
    assert sum(FIRST + 1 in row.input_ids for row in prepared) > len(prepared) / 2 > 10
    whole = {}
    for link in (calls, merged, last):
        (file,) = results(link.plan).glob("*model.safetensors")
        whole[link.name] = load_file(file)["model.embed_tokens.weight"]
        assert whole[link.name].shape == (FIRST + 64, 64)
        assert np.abs(whole[link.name] - whole["calls"]).max() < 1e-6  # no adapter is on them
        config = json.loads((results(link.plan) / "config.json").read_text("utf-8"))
        assert (config["eos_token_id"], config["vocab_size"]) == (0, FIRST + 64)
    for link in links:
        named = json.loads((results(link.plan) / "tokenizer_config.json").read_text("utf-8"))
        assert named["eos_token"] == "<|endoftext|>"
