"""Quantisation-aware training by torchao, and a copy of the result in few bits: statements of a script.

torchao 0.17.0, quantization/qat/api.py; transformers 5.6.0, quantizers/. What a layer calculates in training
is, to the last digit, what the rounded one calculates later (tests/real/test_few_bits.py).
"""

from __future__ import annotations

import ast
from importlib.resources import files
from typing import Any

from ftspec.families.scripts.unify import match
from ftspec.mapping import MISSING, Flat, Refuse, Row, Support, unsupported

QAT = "train.qat"
"""Native pseudo-key: what layers round, a constant of the script."""
COPY = "train.quantized_copy"
"""Native pseudo-key: in which bits a copy of the result is saved, a constant of the script."""
FIELDS = ("weights", "group_size", "activations")
NEEDS = {QAT: "torchao", **{f"{COPY}={kind}": "bitsandbytes" for kind in ("nf4", "fp4", "int8")}}
TUNERS = ("full", "partial", "lora")
"""Tuners whose results are copied: weights that are saved whole, or an adapter that can be merged."""
ROUNDED_AFTER = (
    "an adapter is added beside the rounded weights: merged into them, it is rounded otherwise than it was "
    "trained"
)
NO_TORCHAO = "torchao, which rounds the weights, is not in its lock"
TEMPLATES = files("ftspec.families") / "templates"


def template(name: str) -> str:
    """The statements of `qat` or `few_bits`."""
    return (TEMPLATES / f"{name}.py.j2").read_text("utf-8")


def qat_row() -> Row:
    """What layers round while they train."""
    return Row(
        tuple(f"train.qat.{name}" for name in FIELDS),
        (QAT,),
        _lower_qat,
        lambda qat: tuple(qat[name] for name in FIELDS) if qat else (None,) * len(FIELDS),
        uses=("method.tuner.type", "method.objective.type", "run.environment"),
        absent=(None,),
    )


def copy_row(foreseen: bool = True) -> Row:
    """In which bits a copy of the result is saved; ``foreseen``: whether training can round as well."""

    def lower(kind: str | None, *used: Any) -> Any:
        if kind == "qat" and not foreseen:
            raise Refuse(NO_TORCHAO, "notimpl", "run.backends: trl")
        return _lower_copy(kind, *used)

    return Row(
        ("output.quantization",),
        (COPY,),
        lower,
        lambda kind: kind,
        uses=(
            "method.tuner.type",
            "method.objective.type",
            "model.quantization.type",
            "hardware.zero.stage",
        ),
        absent=(None,),
    )


def no_qat(reason: str, support: Support = "notimpl") -> Row:
    """Refusal of a backend that is not compiled for it."""

    def lower(weights: str | None, *_: Any) -> tuple[()]:
        if weights is not None:
            raise Refuse(reason, support, "run.backends: trl")
        return ()

    paths = tuple(f"train.qat.{name}" for name in FIELDS)
    return Row(paths, (), lower, lambda: (None,) * len(FIELDS), reason=reason)


def no_copy(reason: str, support: Support = "notimpl") -> Row:
    """Refusal of a backend whose results are not copied."""
    return unsupported(
        "output.quantization", reason, support, hint="run.backends: trl or deepspeed"
    )


def context(native: Flat, values: Flat) -> dict[str, Any]:
    """What the statements print; ``values`` are those of the spec."""
    kind, qat = native.get(COPY), native.get(QAT)
    settings: dict[str, Any] = {"load_in_8bit": True}
    if kind in ("nf4", "fp4"):
        settings = {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": kind,
            "bnb_4bit_use_double_quant": True,
            "bnb_4bit_compute_dtype": values["derived.copy_arithmetic"],
        }
    copied = {"kind": kind, "merged": native["tuner"] == "lora", "settings": {"": settings}}
    return {"qat": qat, "copied": copied if kind else None}


def refuse_without_torchao(environment: str) -> None:
    """Which of TRL's environments can round."""
    if environment != "aligned":
        reason = "of TRL's environments the aligned one has torchao"
        raise Refuse(reason, "notimpl", "run.environment: aligned")


def read_few_bits(tree: ast.Module) -> dict[str, Any]:
    """The native values of these statements."""
    native: dict[str, Any] = {}
    for node in tree.body:
        for name, key in (("QAT", QAT), ("QUANTIZED", COPY)):
            if (holes := match(f'{name} = "@value"', node)) is not None:
                native[key] = holes["value"]
    return native


def _lower_qat(
    weights: str | None,
    group: int | None,
    activations: str | None,
    tuner: str,
    objective: str,
    environment: str,
) -> Any:
    if weights is None:
        return MISSING
    if objective not in ("sft", "cpt"):
        raise Refuse("it was seen in supervised training alone", "notimpl")
    if tuner != "full":
        reason = ROUNDED_AFTER if tuner == "lora" else "it was seen where all weights train"
        raise Refuse(reason, "notimpl", "method: full")
    refuse_without_torchao(environment)
    return dict(zip(FIELDS, (weights, group, activations), strict=True))


def _lower_copy(
    kind: str | None, tuner: str, objective: str, quantised: str | None, stage: int | None
) -> Any:
    if kind is None:
        return MISSING
    if objective not in ("sft", "cpt"):
        raise Refuse("a copy in few bits is made after supervised training alone", "notimpl")
    if tuner not in TUNERS:
        raise Refuse(f"results of {tuner} were not seen to be merged and rounded", "notimpl")
    if quantised is not None:
        raise Refuse(
            "the adapter was trained over the base in few bits, which has them already: merged into whole "
            "weights and rounded again it is another model",
            "never",
            "leave it out, and use the adapter over the same base",
        )
    if stage == 3:
        raise Refuse(
            "under stage 3 whatever is loaded is cut into pieces, the copy too",
            "notimpl",
            "hardware.zero.stage: 2",
        )
    return kind
