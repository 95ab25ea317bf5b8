"""Options beyond the quickstart: whatever a backend accepts, it trains as TRL does.

Options are tried several at once, to save trainings; where a proof fails, the certificate names the
check and with it the option. Each case also says how it shows that its options were in force: four
frameworks that all ignore an option would be equal too.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from safetensors.numpy import load_file, save_file

from ftspec.errors import UnsupportedError
from ftspec.plan.make import make_plan
from ftspec.verify.inputs import MASKED, rows
from ftspec.verify.prove import effective
from ftspec.verify.verify import Run
from tests.real.conftest import BACKENDS, Lab, Proven
from tests.real.test_equality import FULL, LORA, proven

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
THREE = ("train.steps=3",)


@dataclass(frozen=True)
class Case:
    """Options, how they show, and which backends cannot have them."""

    sets: tuple[str, ...]
    seen: Mapping[str, Any] = field(default_factory=dict)
    """Training arguments and adapter settings as the probe saw them, in every backend."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Backend -> the beginning of its reason."""
    backends: tuple[str, ...] = BACKENDS


CASES = {
    "adapter": Case(
        (
            *THREE, "method.tuner={type: lora, rank: 4, alpha: 6, dropout: 0.1, rslora: true, "
            "targets: [q_proj, down_proj]}", "train.weight_decay=0.1", "train.schedule=linear",
            "train.warmup_steps=2", "train.max_grad_norm=0.1", "train.gradient_checkpointing=true",
            "train.seed=7", "train.data_seed=11", "data.train_on=completions",
            "train.optimizer={beta1: 0.8, beta2: 0.95, eps: 1e-6}", "train.learning_rate=1e-3",
            "data.train={path: data/chat.jsonl, limit: 50}", "data.eval_size=8", "train.eval_steps=2",
        ),
        {
            "r": 4, "lora_alpha": 6, "lora_dropout": 0.1, "use_rslora": True, "weight_decay": 0.1,
            "lr_scheduler_type": "linear", "warmup_steps": 2, "max_grad_norm": 0.1, "seed": 7,
            "data_seed": 11, "gradient_checkpointing": True, "adam_beta1": 0.8, "adam_beta2": 0.95,
            "adam_epsilon": 1e-6, "learning_rate": 1e-3,
        },
    ),
    "full": Case(
        (
            FULL, "train.steps=null", "train.epochs=2", "data.train=../data/seven.jsonl",
            "train.weight_decay=0.1", "train.max_grad_norm=null", "train.schedule=constant",
            "train.warmup_ratio=0.4", "train.neftune_alpha=5", "train.learning_rate=1e-3",
            "train.gradient_checkpointing=true", "data.train_on=all", "data.shuffle=false",
            "model.attention=eager",
        ),
        {
            "num_train_epochs": 2.0, "max_steps": -1, "weight_decay": 0.1, "max_grad_norm": 0.0,
            "lr_scheduler_type": "constant_with_warmup", "neftune_noise_alpha": 5.0,
            "gradient_checkpointing": True,
        },
    ),
    "modules to save": Case(
        (
            *THREE, "method.tuner.modules_to_save=[embed_tokens, lm_head]",
            "train.label_smoothing=0.1", "train.batch_size=2",
        ),
        {"r": 8, "label_smoothing_factor": 0.1, "gradient_accumulation_steps": 1},
    ),
    "biases": Case(
        (*THREE, "model=../biased", "method.tuner.bias=all"), {"bias": "all"},
        {"llamafactory": "its LoRA trains no biases"},
    ),
    "bf16": Case((*THREE, "precision=bf16", FULL), {}, {"unsloth": "its CPU path changes the type"}),
    "held-out rows of ftspec": Case(
        (
            *THREE, "data.prepare=ftspec", "data.eval_size=0.16", "train.eval_steps=2",
            "data.train={path: data/chat.jsonl, limit: 50}", "data.max_length=48", "data.overflow=truncate",
        ),
        backends=("trl", "llamafactory"),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def files(lab: Lab) -> Path:
    """The shipped conversations in every format, and a tiny model with biases."""
    folder = lab.base / "data"
    if not (folder / "done").exists():
        folder.mkdir(exist_ok=True)
        _write(lab.specs / "data" / "chat.jsonl", folder)
        _with_biases(lab.specs / "tiny-model", lab.base / "biased")
        (folder / "done").touch()
    return folder


def _write(source: Path, folder: Path) -> None:
    chats = [json.loads(line)["messages"] for line in source.read_text("utf-8").splitlines()]
    names = {"user": "human", "assistant": "gpt", "system": "system"}
    pairs = [(chat[-2]["content"], chat[-1]["content"]) for chat in chats]
    alpaca = [
        {"instruction": q, "input": "" if i % 3 else "In short.", "output": a}
        for i, (q, a) in enumerate(pairs)
    ]

    def lines(name: str, found: list[dict[str, Any]]) -> None:
        text = "".join(json.dumps(row) + "\n" for row in found)
        (folder / name).write_text(text, "utf-8")

    lines("seven.jsonl", [{"messages": chat} for chat in chats[:7]])
    lines(
        "sharegpt.jsonl",
        [
            {"conversations": [{"from": names[m["role"]], "value": m["content"]} for m in chat]}
            for chat in chats
        ],
    )
    lines("pairs.jsonl", [{"prompt": f"{q}\nA:", "completion": f" {a}"} for q, a in pairs])
    with (folder / "alpaca.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["instruction", "input", "output"])
        table.writeheader()
        table.writerows(alpaca)
    talks = pyarrow.Table.from_pylist([{"id": i, "talk": chat} for i, chat in enumerate(chats)])
    pyarrow.parquet.write_table(talks, folder / "talks.parquet")


def _with_biases(source: Path, target: Path) -> None:
    """The tiny model has none, so that training them would show nothing."""
    shutil.copytree(source, target)
    config = json.loads((target / "config.json").read_text("utf-8"))
    config |= {"attention_bias": True, "mlp_bias": True}
    (target / "config.json").write_text(json.dumps(config), "utf-8")
    tensors = load_file(target / "model.safetensors")
    drawn = np.random.default_rng(0)
    for name in [name for name in tensors if name.endswith("_proj.weight")]:
        size = tensors[name].shape[0]
        bias = (drawn.standard_normal(size) * 0.02).astype("float32")
        tensors[name.replace("weight", "bias")] = bias
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})


def refusal(lab: Lab, backend: str, *sets: str) -> str:
    """Why a backend does not take these sets."""
    loaded, _ = effective(lab.spec, sets, None, lab.base / "refused")
    with pytest.raises(UnsupportedError) as caught:
        make_plan(loaded, backend, lab.base / "refused" / backend)
    return str(caught.value)


def assert_equal(proof: Proven) -> None:
    certificate = proof.certificate
    assert certificate.verdict == "equal", {
        name: (run.error or run.first_failure())
        for name, run in certificate.runs.items()
        if run.conclusion not in ("reference", "equal")
    }


@pytest.mark.parametrize("name", CASES)
def test_options_train_alike(lab: Lab, files: Path, name: str) -> None:
    case = CASES[name]
    for backend, reason in case.refused.items():
        assert reason in refusal(lab, backend, *case.sets)
    proof = lab.prove(*case.sets, backends=case.backends)
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(case.backends) - set(case.refused)
    for backend in proof.certificate.runs:
        evidence = proof.evidence(backend)
        known = {**evidence.args, **evidence.adapter}
        if backend == "llamafactory":  # it switches this on in the model, not in the arguments
            config = (proof.folder / backend / "train.yaml").read_text("utf-8")
            known["gradient_checkpointing"] = "disable_gradient_checkpointing: false" in config
        assert {key: known[key] for key in case.seen} == dict(case.seen), backend
    _shows(name, proof)


def _shows(name: str, proof: Proven) -> None:
    """What no argument shows."""
    trl = proof.evidence("trl")
    names = set(trl.trainable)
    if name == "modules to save":
        assert {"model.embed_tokens", "lm_head"} <= {
            key.split(".modules_to_save")[0].removesuffix(".weight") for key in names
        }
    if name == "biases":
        assert sum(key.endswith("bias") for key in names) == 14
    if name == "bf16":
        lowered = {proof.evidence(backend).lowered() for backend in proof.certificate.runs}
        assert lowered == {"bfloat16"}
    if name == "full":
        # 7 rows, 4 a step: each epoch ends with a step of 3
        sizes = [sum(row.step == step for row in rows(trl)) for step in (1, 2, 3, 4)]
        assert sizes == [4, 3, 4, 3]
    if name in ("adapter", "held-out rows of ftspec"):
        losses = {backend: evaluated(proof, backend) for backend in proof.certificate.runs}
        assert losses["trl"]
        for backend, found in losses.items():
            # LLaMA-Factory evaluates once more at the end
            during = found[: len(losses["trl"])]
            assert during == pytest.approx(losses["trl"], rel=1e-6), backend
    if name == "held-out rows of ftspec":
        assert max(len(row.ids) for row in rows(trl)) == 48


def evaluated(proof: Proven, backend: str) -> list[float]:
    """The losses of a run's evaluations."""
    file = proof.folder / backend / "evidence" / "rank0.jsonl"
    events = map(json.loads, file.read_text("utf-8").splitlines())
    return [event["eval_loss"] for event in events if "eval_loss" in event]


@dataclass(frozen=True)
class Format:
    """A data set in one of the formats, and who reads it."""

    source: str
    train_on: str
    refused: str = ""
    """Why LLaMA-Factory does not take it."""
    prepare: str = "framework"
    backends: tuple[str, ...] = ("trl", "llamafactory", "unsloth")
    """DeepSpeed's script loads data by the very statements of TRL's."""


TALKS = "{path: ../data/talks.parquet, format: messages, columns: {messages: talk}}"
FORMATS = {
    "alpaca in csv": Format("../data/alpaca.csv", "assistant"),
    "sharegpt": Format("../data/sharegpt.jsonl", "completions"),
    "two parquet files": Format(f"[{TALKS}, {TALKS}]", "all"),
    "pairs": Format(
        "../data/pairs.jsonl",
        "completions",
        "plain prompt and completion get no end-of-sequence token",
    ),
    "pairs, by ftspec": Format(
        "../data/pairs.jsonl",
        "completions",
        prepare="ftspec",
        backends=("trl", "llamafactory"),
    ),
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats_are_read_alike(lab: Lab, files: Path, name: str) -> None:
    case = FORMATS[name]
    sets = (
        f"data.train={case.source}", f"data.train_on={case.train_on}", "train.steps=null",
        "train.epochs=1", "train.batch_size=16", "train.micro_batch_size=8",
        f"data.prepare={case.prepare}",
    )  # fmt: skip
    expected = set(case.backends)
    if case.refused:
        assert case.refused in refusal(lab, "llamafactory", *sets)
        expected.remove("llamafactory")
    proof = lab.prove(*sets, backends=case.backends)
    assert_equal(proof)
    assert set(proof.certificate.runs) == expected
    taken = rows(proof.evidence("trl"))
    assert len(taken) == (128 if "two" in name else 64)  # every row, once
    trained = [label != MASKED for row in taken for label in row.labels or ()]
    assert all(trained) == (case.train_on == "all")


RESUMED = ("train.steps=4", "train.save_steps=2", "data.eval=data/chat.eval.jsonl",
           "train.eval_steps=2", "method.tuner.dropout=0.1")  # fmt: skip


@pytest.fixture(scope="module")
def straight(lab: Lab) -> Proven:
    """Four steps with a checkpoint after the second."""

    def runs(folder: Path) -> dict[str, Run]:
        return {
            name: lab.compiled(name, folder / name, *RESUMED, "train.logging_steps=1", quiet=False)
            for name in BACKENDS
        }

    return lab.compare("straight", runs)


def test_checkpoints_and_evaluations_change_nothing(straight: Proven) -> None:
    assert_equal(straight)
    for backend in BACKENDS:
        assert (straight.model(backend) / "checkpoint-2").is_dir()
        found = evaluated(straight, backend)
        assert found[:2] == pytest.approx(evaluated(straight, "trl"), rel=1e-6)


def test_a_resumed_run_ends_as_the_straight_one(lab: Lab, straight: Proven) -> None:
    def runs(folder: Path) -> dict[str, Run]:
        made = {}
        for name in BACKENDS:
            place = os.path.relpath(straight.model(name) / "checkpoint-2", lab.specs)
            sets = (*RESUMED, "train.logging_steps=1", f"train.resume={place}")
            made[name] = lab.compiled(name, folder / name, *sets, quiet=False)
        return made

    resumed = lab.compare("resumed", runs)
    for backend in BACKENDS:
        assert not resumed.certificate.runs[backend].error
        again, first = resumed.evidence(backend), straight.evidence(backend)
        assert [step.step for step in again.steps] == [3, 4]
        assert list(again.steps) == list(first.steps[2:]), backend  # to the last digit
        assert [row.ids for row in rows(again)] == [row.ids for row in rows(first) if row.step > 2]
        for name, values in first.after.items():
            assert (values == again.after[name]).all(), (backend, name)


def test_a_saved_adapter_is_trained_further(lab: Lab) -> None:
    folder = proven(lab, LORA, "framework").folder / "trl" / "model"
    adapter = os.path.relpath(folder, lab.specs)
    sets = (*THREE, f"method.tuner={{type: lora, adapter: {adapter}}}")
    assert "saved adapter" in refusal(lab, "unsloth", *sets)
    proof = lab.prove(*sets)
    assert_equal(proof)
    assert set(proof.certificate.runs) == {"trl", "llamafactory", "deepspeed"}
    first = proven(lab, LORA, "framework").evidence("trl")
    begun = proof.evidence("trl").before
    assert all((values == begun[name]).all() for name, values in first.after.items())


SHARDED: dict[str, tuple[str, tuple[str, ...]]] = {
    "trl x 2": ("trl", ("hardware.devices=2",)),
    "llamafactory x 2": ("llamafactory", ("hardware.devices=2",)),
    "stage 0": ("deepspeed", ("hardware.zero=0",)),
    "stage 1": ("deepspeed", ("hardware.zero=1",)),
    "stage 2 x 2": ("deepspeed", ("hardware.zero=2", "hardware.devices=2")),
    "stage 3 x 2": ("deepspeed", ("hardware.zero=3", "hardware.devices=2")),
    "stage 3, offloaded": (
        "deepspeed",
        ("hardware.zero={stage: 3, offload_optimizer: true, offload_parameters: true}",),
    ),
    "llamafactory, stage 1": ("llamafactory", ("hardware.zero=1",)),
    "llamafactory, stage 2 x 2": ("llamafactory", ("hardware.zero=2", "hardware.devices=2")),
    "llamafactory, stage 3 x 2": ("llamafactory", ("hardware.zero=3", "hardware.devices=2")),
    "llamafactory, stage 2, offloaded": (
        "llamafactory",
        ("hardware.zero={stage: 2, offload_optimizer: true}",),
    ),
}


@pytest.fixture(scope="module")
def sharded(lab: Lab) -> Proven:
    """One global batch, on one process and on two, in every stage of ZeRO."""

    def runs(folder: Path) -> dict[str, Run]:
        made = {"trl": lab.compiled("trl", folder / "trl", FULL, *THREE)}
        for name, (backend, sets) in SHARDED.items():
            made[name] = lab.compiled(backend, folder / name, FULL, *THREE, *sets)
        return made

    return lab.compare("sharded", runs)


@pytest.mark.parametrize("name", SHARDED)
def test_processes_and_stages_train_alike(sharded: Proven, name: str) -> None:
    run = sharded.certificate.runs[name]
    assert run.conclusion == "equal", run.error or run.first_failure()
    assert run.setting["processes"] == (2 if name.endswith("x 2") else 1)
    # whole weights, in each weight's own type, however the engine had spread them
    saved, trained = sharded.weights(name), sharded.evidence(name).after
    assert set(saved) == set(trained)
    assert all((saved[key] == trained[key]).all() for key in saved)
