"""Differences that are planted in evidence, each as one of the known causes leaves it."""

from __future__ import annotations

import math
from dataclasses import replace

from ftspec.verify.evidence import Evidence, Group, Tensor
from tests.unit.verify_samples import (
    ADAPTED,
    SHAPES,
    batch,
    evidence,
    settings,
    tensors,
    weights,
    with_batch,
    with_step,
)

FIRST = evidence().batches[0]


def other_template() -> Evidence:
    text = tuple(t.replace("<|im_start|>", "<|im_start|> ") for t in FIRST.text)
    return with_batch(0, text=text)


def unmasked_label(position: int) -> Evidence:
    labels = [list(row) for row in FIRST.labels or ()]
    labels[0][position] = FIRST.input_ids[0][position]
    return with_batch(0, labels=tuple(map(tuple, labels)))


def masked_line_break() -> Evidence:
    labels = [list(row) for row in FIRST.labels or ()]
    labels[0][6] = -100
    return with_batch(0, labels=tuple(map(tuple, labels)))


def cut() -> Evidence:
    rows = tuple((*row[:5], 0, 0, 0) for row in FIRST.input_ids)
    mask = ((1,) * 5 + (0,) * 3,) * 2
    text = tuple(t[: t.index(" word2") + 7] for t in FIRST.text)
    return with_batch(0, input_ids=rows, attention_mask=mask, text=text)


def other_tokens() -> Evidence:
    rows = ((1, 30, *FIRST.input_ids[0][2:]), FIRST.input_ids[1])
    return with_batch(0, input_ids=rows)


def padded() -> Evidence:
    return with_batch(
        0,
        input_ids=tuple((*row, 0, 0) for row in FIRST.input_ids),
        labels=tuple((*row, -100, -100) for row in FIRST.labels or ()),
        attention_mask=tuple((*row, 0, 0) for row in FIRST.attention_mask or ()),
    )


def other_pad() -> Evidence:
    return with_batch(0, input_ids=((*FIRST.input_ids[0][:7], 2), FIRST.input_ids[1]))


def all_attended() -> Evidence:
    return with_batch(0, position_ids=((0, 1, 2, 0, 1, 2, 3, 4), tuple(range(8))))


def other_seed() -> Evidence:
    before = weights(seed=43)
    return evidence(before=before, trainable=tensors(before), args={**evidence().args, "seed": 43})


def other_order() -> Evidence:
    batches = tuple(batch(step, micro) for step in (2, 1, 3) for micro in (0, 1))
    steps = (1, 1, 2, 2, 3, 3)
    shuffled = tuple(replace(b, step=s) for b, s in zip(batches, steps, strict=True))
    return evidence(batches=shuffled, args={**evidence().args, "data_seed": 7})


def other_dtype() -> Evidence:
    name = next(iter(SHAPES))
    tensor = replace(evidence().trainable[name], dtype="bfloat16")
    return evidence(trainable={**evidence().trainable, name: tensor})


def decayed_everywhere() -> Evidence:
    return evidence(groups=(Group(settings(weight_decay=0.0), 32, tuple(SHAPES)),))


def grouped(**changed: object) -> Evidence:
    return evidence(groups=(Group(settings(**changed), 32, tuple(SHAPES)),))


def moved(share: float) -> Evidence:
    before = evidence().before
    after = {n: before[n] + (v - before[n]) * (1 + share) for n, v in evidence().after.items()}
    return evidence(after=after)


PLANTED = {
    "another data seed": (other_order, "data order", "data-order"),
    "a dropped row": (
        lambda: evidence(setting={**evidence().setting, "rows": 63}),
        "data order",
        "dropped-rows",
    ),
    "another template": (other_template, "text", "chat-template"),
    "rows shuffled beforehand": (
        lambda: with_batch(0, text=("<|im_start|>other things altogether<|im_end|>",) * 2),
        "text",
        "data-order",
    ),
    "a truncated batch": (cut, "text", "bos-and-eos"),
    "other tokens": (other_tokens, "token ids", "tokens-at-the-seams"),
    "one prompt label unmasked": (lambda: unmasked_label(2), "label mask", "what-is-trained"),
    "the first label unmasked": (lambda: unmasked_label(0), "label mask", "loss-denominator"),
    "a line break masked": (masked_line_break, "label mask", "end-of-turn"),
    "longer padding": (padded, "batches", "padding"),
    "another pad token": (other_pad, "batches", "pad-token"),
    "packed positions": (all_attended, "batches", "packing"),
    "alpha halved": (
        lambda: evidence(scaling=dict.fromkeys(ADAPTED, 1.0)),
        "trainable parameters",
        "lora-rank-and-alpha",
    ),
    "dropout": (
        lambda: evidence(adapter={**evidence().adapter, "lora_dropout": 0.1}),
        "trainable parameters",
        "dropout-and-noise",
    ),
    "a layer not trained": (
        lambda: evidence(trainable=dict(list(evidence().trainable.items())[1:])),
        "trainable parameters",
        "lora-targets",
    ),
    "another rank": (
        lambda: evidence(
            trainable={
                n: Tensor((4, 4), "float32", t.sha256) for n, t in evidence().trainable.items()
            }
        ),
        "trainable parameters",
        "lora-rank-and-alpha",
    ),
    "another dtype": (other_dtype, "trainable parameters", "weights-dtype"),
    "another seed": (other_seed, "initial weights", "initial-weights"),
    "another checkpoint": (lambda: evidence(frozen="0" * 64), "initial weights", "weights-dtype"),
    "a frozen dtype": (
        lambda: evidence(frozen_sizes={"bfloat16": (5, 640)}),
        "initial weights",
        "weights-dtype",
    ),
    "a base that was not quantised": (
        lambda: evidence(frozen_sizes={"float32": (4, 1024), "nf4-double": (1, 34)}),
        "initial weights",
        "quantised-base",
    ),
    "weight decay": (decayed_everywhere, "optimizer groups", "weight-decay"),
    "another rate": (
        lambda: grouped(initial_lr=2e-3),
        "optimizer groups",
        "learning-rate",
    ),
    "other betas": (lambda: grouped(betas=[0.9, 0.95]), "optimizer groups", "optimizer"),
    "another optimizer": (lambda: evidence(rule="SGD"), "optimizer groups", "optimizer"),
    "another schedule": (
        lambda: with_step(1, learning_rate=6e-4),
        "learning rates",
        "schedule",
    ),
    "fewer steps": (
        lambda: evidence(steps=evidence().steps[:2]),
        "learning rates",
        "number-of-steps",
    ),
    "another denominator": (
        lambda: with_step(0, loss=5.0),
        "first loss",
        "loss-denominator",
    ),
    "label smoothing": (
        lambda: replace(
            with_step(0, loss=2.6), args={**evidence().args, "label_smoothing_factor": 0.1}
        ),
        "first loss",
        "label-smoothing",
    ),
    "a balance loss": (
        lambda: replace(with_step(0, loss=2.6), setting={**evidence().setting, "balance": 0.01}),
        "first loss",
        "balance-loss",
    ),
    "stretched positions": (
        lambda: replace(
            with_step(0, loss=2.6), setting={**evidence().setting, "angles": "0123456789abcdef"}
        ),
        "first loss",
        "rotary-positions",
    ),
    "another torch": (
        lambda: replace(with_step(0, loss=2.6), versions={"torch": "2.12.0"}),
        "first loss",
        "builds-and-threads",
    ),
    "NaN": (lambda: with_step(0, loss=math.nan), "first loss", "not-a-number"),
    "a late NaN": (lambda: with_step(2, loss=math.nan), "trajectory", "not-a-number"),
    "another gradient": (
        lambda: with_step(0, grad_norm=0.6),
        "first gradient norm",
        "gradient-norm",
    ),
    "other clipping": (
        lambda: evidence(
            gradient=dict.fromkeys(SHAPES, 0.05), args={**evidence().args, "max_grad_norm": 0.1}
        ),
        "first gradient norm",
        "clipping",
    ),
    "a later loss": (lambda: with_step(2, loss=2.31), "trajectory", "clipping"),
    "another update": (lambda: moved(0.01), "final update", "clipping"),
}
