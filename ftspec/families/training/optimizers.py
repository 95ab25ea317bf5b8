"""Rows for the optimizers that transformers' trainer makes itself.

Names and what becomes of them: transformers 5.6.0, trainer_optimizer.py; bitsandbytes 0.50.2; torchao 0.17.0,
optim/adam.py. torchao's blocks have one size: transformers reads `block_size` as text and stops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ftspec.mapping import Refuse, Row, field, identity, only, ours, unsupported

TYPE = "train.optimizer.type"
NAMES = {
    "adamw": "adamw_torch_fused",
    "adamw-8bit": "adamw_8bit",
    "paged-adamw": "paged_adamw_32bit",
    "paged-adamw-8bit": "paged_adamw_8bit",
    "torchao-adamw-8bit": "adamw_torch_8bit",
    "torchao-adamw-4bit": "adamw_torch_4bit",
    "lion": "lion_32bit",
    "lion-8bit": "lion_8bit",
    "paged-lion": "paged_lion_32bit",
    "paged-lion-8bit": "paged_lion_8bit",
    "adafactor": "adafactor",
    "sgd": "sgd",
    "rmsprop": "rmsprop",
    "adagrad": "adagrad",
    "galore": "galore_adamw",
}
NOT_ITS_OWN = {
    "muon": "transformers has no Muon, and torch's takes matrices alone",
    "badam": "transformers has no BAdam",
}
"""Optimizers of other frameworks, and what is missing here."""
SYNONYMS = {"adamw_bnb_8bit": "adamw-8bit", "paged_adamw": "paged-adamw"}
"""Other names of transformers for the same."""
TORCHAO = ("torchao-adamw-8bit", "torchao-adamw-4bit")
BITSANDBYTES = ("adamw-8bit", "paged-adamw", "paged-adamw-8bit")
ADAM = ("adamw", *BITSANDBYTES, *TORCHAO)
LION = ("lion", "lion-8bit", "paged-lion", "paged-lion-8bit")


def needs(prefix: str) -> dict[str, str]:
    """What must be installed for an optimizer: a backend's `needs`."""
    own = dict.fromkeys((*BITSANDBYTES, *LION), "bitsandbytes")
    own |= {**dict.fromkeys(TORCHAO, "torchao"), "galore": "galore-torch"}
    return {f"{prefix}optim={NAMES[kind]}": package for kind, package in own.items()}


class Option(NamedTuple):
    """A setting that transformers reads out of the text `optim_args`."""

    ours: str
    theirs: str
    absent: float | bool | str
    """The default, where the text does not say."""


OPTIONS: Mapping[str, Sequence[Option]] = {
    "sgd": (Option("momentum", "momentum", 0.0), Option("nesterov", "nesterov", False)),
    "rmsprop": (
        Option("smoothing", "alpha", 0.99),
        Option("momentum", "momentum", 0.0),
        Option("eps", "eps", 1e-8),
        Option("centered", "centered", False),
    ),
    "adagrad": (Option("rate_decay", "lr_decay", 0.0), Option("eps", "eps", 1e-10)),
    **dict.fromkeys(TORCHAO, (Option("stochastic_rounding", "bf16_stochastic_round", False),)),
    "galore": (
        Option("rank", "rank", 128),
        Option("update_steps", "update_proj_gap", 200),
        Option("scale", "scale", 0.25),
        Option("projection", "proj_type", "std"),
    ),
}
GALORE_ADAM = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-6}
"""What GaLore's AdamW assumes, as transformers hands it neither betas nor eps."""
BADAM = ("switch_steps", "order", "start")
BUT_THE_HEAD = "(?!.*lm_head).*"
"""A pattern for the names of all layers but the head."""
USES = ("hardware.device", "method.tuner.type")


def optimizer_rows() -> tuple[Row, ...]:
    """The optimizer and its settings."""
    return (
        Row((TYPE,), ("optim",), lower_type, lift_type, uses=USES, absent=(NAMES["adamw"],)),
        *only(
            TYPE,
            (*ADAM, *LION),
            field("train.optimizer.beta1", "adam_beta1", absent=0.9),
            field("train.optimizer.beta2", "adam_beta2", absent=0.999),
        ),
        *only(TYPE, ADAM, field("train.optimizer.eps", "adam_epsilon", absent=1e-8)),
        *(row for kind, options in OPTIONS.items() for row in only(TYPE, kind, _written(options))),
        *only(
            TYPE,
            "galore",
            Row(
                ("train.optimizer.targets",),
                ("optim_target_modules",),
                lambda targets: BUT_THE_HEAD if targets == "all-linear" else list(targets),
                _lift_targets,
            ),
            unsupported(
                "train.optimizer.layerwise",
                "steps that are made inside of the backward pass were not seen in a script",
                "notimpl",
                (False,),
                "run.backends: llamafactory",
            ),
            *(_assumed(name, value) for name, value in GALORE_ADAM.items()),
        ),
        *only(TYPE, NOT_ITS_OWN, *ours(*(f"train.optimizer.{name}" for name in GALORE_ADAM))),
        *only(TYPE, "badam", *ours(*(f"train.optimizer.{name}" for name in BADAM))),
        Row(
            ("train.weight_decay",), ("weight_decay",), _lower_decay, identity, (TYPE,), (), (0.0,)
        ),
    )


def lower_type(kind: str, device: str, tuner: str) -> str:
    """transformers' name for it."""
    possible(kind, device, tuner)
    if kind in NOT_ITS_OWN:
        raise Refuse(NOT_ITS_OWN[kind], "notyet", "run.backends: llamafactory")
    return NAMES[kind]


def possible(kind: str, device: str, tuner: str) -> None:
    """Refuse what makes no sense in any backend.

    Raises:
        Refuse: pages without a GPU; a rule for whole weights where adapters train.
    """
    if kind.startswith("paged-") and device == "cpu":
        raise Refuse(
            "pages move between a GPU and the memory of the CPU; without a GPU bitsandbytes pages nothing",
            "never",
            f"train.optimizer: {kind.removeprefix('paged-')}",
        )
    if kind in ("galore", "badam") and tuner != "full":
        raise Refuse(f"{kind} is a rule for training all weights", "never", "method: full")


def no_torchao(kind: str) -> None:
    """Refuse torchao's, for a backend whose environment has none.

    Raises:
        Refuse: it is one of them.
    """
    if kind in TORCHAO:
        raise Refuse(
            "torchao is not in its environment yet",
            "notimpl",
            "train.optimizer: adamw-8bit, or run.backends: trl",
        )


def lift_type(name: str) -> str:
    """Our name for transformers'."""
    found = {theirs: word for word, theirs in NAMES.items()} | SYNONYMS
    if name not in found:
        raise Refuse(f"the optimizer {name!r} is not in a spec yet", "notimpl")
    return found[name]


def _written(options: Sequence[Option]) -> Row:
    """The text `optim_args`: `momentum=0.9,nesterov=true`."""

    def lower(*values: float | bool | str) -> str:
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


def _word(value: float | bool | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(text: str | None, absent: float | bool | str) -> float | bool | str:
    if text is None:
        return absent
    if isinstance(absent, bool):
        return text.lower() in ("true", "1", "yes")
    return type(absent)(text)


def _lift_targets(native: str | Sequence[str]) -> Any:
    if isinstance(native, str):
        if native != BUT_THE_HEAD:
            raise Refuse(f"optim_target_modules={native!r}: a pattern is not in a spec", "notimpl")
        return "all-linear"
    return tuple(native)


def _assumed(name: str, value: float) -> Row:
    """A setting of GaLore's AdamW that has one value here."""
    why = f"transformers hands GaLore no {name}, which is then {value:g}"
    path = f"train.optimizer.{name}"
    return unsupported(path, why, neutral=(value,), hint=f"{path}: {value:g}")


def _lower_decay(decay: float, kind: str) -> float:
    if decay and kind == "galore":
        raise Refuse("transformers hands GaLore no weight decay", "notyet", "train.weight_decay: 0")
    return decay
