"""Rows for the optimizers that transformers' trainer makes itself.

Names and what becomes of them: transformers 5.6.0, trainer_optimizer.py; bitsandbytes 0.50.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ftspec.mapping import Refuse, Row, field, only

TYPE = "train.optimizer.type"
NAMES = {
    "adamw": "adamw_torch_fused",
    "adamw-8bit": "adamw_8bit",
    "paged-adamw": "paged_adamw_32bit",
    "paged-adamw-8bit": "paged_adamw_8bit",
    "lion": "lion_32bit",
    "lion-8bit": "lion_8bit",
    "paged-lion": "paged_lion_32bit",
    "paged-lion-8bit": "paged_lion_8bit",
    "adafactor": "adafactor",
    "sgd": "sgd",
    "rmsprop": "rmsprop",
    "adagrad": "adagrad",
}
SYNONYMS = {"adamw_bnb_8bit": "adamw-8bit", "paged_adamw": "paged-adamw"}
"""Other names of transformers for the same."""
ADAM = ("adamw", "adamw-8bit", "paged-adamw", "paged-adamw-8bit")
LION = ("lion", "lion-8bit", "paged-lion", "paged-lion-8bit")


class Option(NamedTuple):
    """A setting that transformers reads out of the text `optim_args`."""

    ours: str
    theirs: str
    absent: float | bool
    """torch's default, where the text does not say."""


OPTIONS: Mapping[str, Sequence[Option]] = {
    "sgd": (Option("momentum", "momentum", 0.0), Option("nesterov", "nesterov", False)),
    "rmsprop": (
        Option("smoothing", "alpha", 0.99),
        Option("momentum", "momentum", 0.0),
        Option("eps", "eps", 1e-8),
        Option("centered", "centered", False),
    ),
    "adagrad": (Option("rate_decay", "lr_decay", 0.0), Option("eps", "eps", 1e-10)),
}


def optimizer_rows() -> tuple[Row, ...]:
    """The optimizer and its settings."""
    return (
        Row(
            (TYPE,), ("optim",), lower_type, _lift_type, ("hardware.device",), (), (NAMES["adamw"],)
        ),
        *only(
            TYPE,
            (*ADAM, *LION),
            field("train.optimizer.beta1", "adam_beta1", absent=0.9),
            field("train.optimizer.beta2", "adam_beta2", absent=0.999),
        ),
        *only(TYPE, ADAM, field("train.optimizer.eps", "adam_epsilon", absent=1e-8)),
        *(row for kind, options in OPTIONS.items() for row in only(TYPE, kind, _written(options))),
    )


def lower_type(kind: str, device: str) -> str:
    """transformers' name for it."""
    if kind.startswith("paged-") and device == "cpu":
        raise Refuse(
            "pages move between a GPU and the memory of the CPU; without a GPU bitsandbytes pages nothing",
            "never",
            f"train.optimizer: {kind.removeprefix('paged-')}",
        )
    return NAMES[kind]


def _lift_type(name: str) -> str:
    found = {theirs: ours for ours, theirs in NAMES.items()} | SYNONYMS
    if name not in found:
        raise Refuse(f"the optimizer {name!r} is not in a spec yet", "notimpl")
    return found[name]


def _written(options: Sequence[Option]) -> Row:
    """The text `optim_args`: `momentum=0.9,nesterov=true`."""

    def lower(*values: float | bool) -> str:
        pairs = zip(options, values, strict=True)
        return ",".join(f"{option.theirs}={_word(value)}" for option, value in pairs)

    def lift(text: str | None) -> Any:
        given = dict(
            pair.split("=", 1) for pair in (text or "").replace(" ", "").split(",") if pair
        )
        known = [option.theirs for option in options]
        if others := [name for name in given if name not in known]:
            raise Refuse(f"optim_args: {', '.join(others)} is not in a spec yet", "notimpl")
        values = tuple(_value(given.get(option.theirs), option.absent) for option in options)
        return values if len(values) > 1 else values[0]

    paths = tuple(f"train.optimizer.{option.ours}" for option in options)
    return Row(paths, ("optim_args",), lower, lift, absent=(None,))


def _word(value: float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(float(value))


def _value(text: str | None, absent: float | bool) -> float | bool:
    if text is None:
        return absent
    return text.lower() in ("true", "1", "yes") if isinstance(absent, bool) else float(text)
