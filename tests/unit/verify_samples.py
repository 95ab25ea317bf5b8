"""Evidence made by hand: one small run, and ways to change one thing about it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np

from ftspec.backend import Backend
from ftspec.verify.checks import Result, compare
from ftspec.verify.evidence import Batch, Evidence, Group, Step, Tensor

PIECES = {0: "<pad>", 1: "<|im_start|>", 2: "<|im_end|>", 3: "\n"} | {
    number: f" word{number}" for number in range(10, 40)
}
ADAPTED = ("layers.2.q_proj", "layers.10.q_proj")
SHAPES = {f"{name}.lora_{side}.weight": (2, 4) for name in ADAPTED for side in "AB"}


def batch(step: int, micro: int, rank: int = 0) -> Batch:
    """Two rows: a prompt of three tokens, an answer, an end of turn, a line break."""
    first = 10 + step + micro
    ids = (
        (1, first, 3, 20, 21, 2, 3, 0),
        (1, first + 1, 3, 22, 23, 24, 2, 3),
    )
    labels = (
        (-100, -100, -100, 20, 21, 2, 3, -100),
        (-100, -100, -100, 22, 23, 24, 2, 3),
    )
    mask = ((1,) * 7 + (0,), (1,) * 8)
    text = tuple(
        "".join(PIECES[token] for token, on in zip(row, on_row, strict=True) if on)
        for row, on_row in zip(ids, mask, strict=True)
    )
    indices = (4 * step + 2 * micro, 4 * step + 2 * micro + 1)
    return Batch(
        step=step,
        rank=rank,
        micro=micro,
        input_ids=ids,
        labels=labels,
        attention_mask=mask,
        indices=indices,
        text=text,
    )


def weights(seed: int = 42, scale: float = 1.0) -> dict[str, Any]:
    """Adapters drawn from a seed: A random, B zero."""
    draw = np.random.default_rng(seed)
    return {
        name: (draw.normal(size=shape) * ("lora_A" in name) * scale).astype("float32")
        for name, shape in SHAPES.items()
    }


def tensors(before: dict[str, Any]) -> dict[str, Tensor]:
    """What the probe notes of initial weights."""
    return {
        name: Tensor(values.shape, "float32", hashlib.sha256(values.tobytes()).hexdigest())
        for name, values in before.items()
    }


def settings(**changed: Any) -> dict[str, Any]:
    """An optimizer group as torch has it."""
    plain = {"lr": 0.0, "initial_lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8, "fused": True}
    return {**plain, "weight_decay": 0.01, **changed}


def evidence(**changed: Any) -> Evidence:
    """A whole run of three steps, two micro-batches each."""
    before = weights()
    draw = np.random.default_rng(7)
    after = {
        name: values + draw.normal(size=values.shape).astype("float32") * np.float32(1e-3)
        for name, values in before.items()
    }
    whole = Evidence(
        versions={"torch": "2.11.0", "transformers": "5.6.0"},
        setting={"rows": 64, "threads": 1, "attention": "sdpa", "dtypes": ["float32"]},
        args={"seed": 42, "data_seed": 42, "max_grad_norm": 1.0, "label_smoothing_factor": 0.0}
        | {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "bf16": False},
        adapter={"r": 2, "lora_alpha": 4, "lora_dropout": 0.0, "bias": "none", "use_dora": False},
        scaling=dict.fromkeys(ADAPTED, 2.0),
        batches=tuple(batch(step, micro) for step in (1, 2, 3) for micro in (0, 1)),
        pieces=PIECES,
        trainable=tensors(before),
        frozen="f" * 64,
        frozen_sizes={"float32": (5, 1280)},
        rule="AdamW",
        groups=(
            Group(settings(), 32, tuple(SHAPES)),
            Group(settings(weight_decay=0.0), 0, ()),
        ),
        gradient=dict.fromkeys(SHAPES, 0.1),
        steps=(Step(1, 2.5, 0.3, 0.0), Step(2, 2.4, 0.31, 5e-4), Step(3, 2.3, 0.29, 1e-3)),
        rng={0: "a", 1: "b"},
        before=before,
        after=after,
        finished=True,
    )
    return replace(whole, **changed)


def with_batch(number: int, **changed: Any) -> Evidence:
    """The run with one micro-batch changed."""
    batches = list(evidence().batches)
    batches[number] = replace(batches[number], **changed)
    return evidence(batches=tuple(batches))


def with_step(number: int, **changed: Any) -> Evidence:
    """The run with one logged step changed."""
    steps = list(evidence().steps)
    steps[number] = replace(steps[number], **changed)
    return evidence(steps=tuple(steps))


def verdicts(reference: Evidence, other: Evidence) -> dict[str, str]:
    """Check -> verdict."""
    return {r.check.name: r.outcome.verdict for r in compare(reference, other)}


def named(results: tuple[Result, ...], name: str) -> Result:
    """The result of one check."""
    return next(result for result in results if result.check.name == name)


def backend(name: str = "trl", **changed: Any) -> Backend:
    """A backend that can only be named and probed."""
    from pathlib import Path

    parts: dict[str, Any] = {
        "name": name,
        "title": name.upper(),
        "package": name,
        "versions": "",
        "maps": {},
        "emit": lambda *_: [],
        "read": lambda *_: {},
        "launch": lambda *_: [],
        "env": Path(),
        "pinned": (),
    }
    return Backend(**{**parts, **changed})
