"""Optimizers that LLaMA-Factory makes itself: Muon, GaLore and BAdam (its train/trainer_utils.py)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ftspec.families.training.optimizers import (
    NAMES,
    TYPE,
    USES,
    lift_type,
    no_torchao,
    possible,
)
from ftspec.mapping import MISSING, Lossy, Refuse, Row, field, identity, only

OWN = {"muon": "use_muon", "galore": "use_galore", "badam": "use_badam"}
UNSCHEDULED = (
    "with transformers 5 no schedule reaches these steps: each is made at the peak rate, whatever its log "
    "says (train/trainer_utils.py, create_custom_scheduler: it is handed no optimizer)"
)
BADAM_DECAY = 0.01
"""torch's default: BAdam takes the groups that it makes from it, and nobody hands it another."""


def optimizer_rows(shared: Iterable[Row]) -> tuple[Row, ...]:
    """The shared rows of optimizers with LLaMA-Factory's own in their places."""
    own = Row(
        (TYPE,), ("optim", *OWN.values()), _lower_type, _lift_type, uses=(*USES, "derived.processes"),
        absent=(NAMES["adamw"], False, False, False),
    )  # fmt: skip
    decay = Row(
        ("train.weight_decay",),
        ("weight_decay",),
        _lower_decay,
        lambda decay, badam: BADAM_DECAY if badam is True else decay,
        uses=(TYPE,),
        reads=(OWN["badam"],),
        absent=(0.0,),
    )
    kept = [row for row in shared if row.when is None or not row.when.tags & {*OWN}]
    places = {own.paths: own, decay.paths: decay}
    return (
        *(places.get(row.paths, row) for row in kept),
        *only(
            TYPE,
            OWN,
            field("train.optimizer.beta1", "adam_beta1", absent=0.9),
            field("train.optimizer.beta2", "adam_beta2", absent=0.999),
            field("train.optimizer.eps", "adam_epsilon", absent=1e-8),
        ),
        *only(TYPE, "galore", *_GALORE, _LAYERWISE),
        *only(TYPE, "badam", *_BADAM),
    )


def _lower_type(kind: str, device: str, tuner: str, processes: int) -> tuple[Any, ...]:
    possible(kind, device, tuner)
    no_torchao(kind)
    if kind == "badam" and processes > 1:
        raise Refuse("it trains in several processes under ZeRO-3 alone", "notyet", "one process")
    if kind not in OWN:
        return NAMES[kind], *(MISSING for _ in OWN)
    return "adamw_torch", *(True if own == kind else MISSING for own in OWN)


def _lift_type(optim: str, *uses: bool) -> str:
    chosen = [kind for kind, use in zip(OWN, uses, strict=True) if use]
    return chosen[0] if chosen else lift_type(optim)


def _lower_decay(decay: float, kind: str) -> Any:
    if kind == "muon" and decay:
        return Lossy(decay, "its Muon decays biases and norm weights too")
    if kind == "badam":
        if decay != BADAM_DECAY:
            raise Refuse(
                f"its BAdam decays weights by {BADAM_DECAY}, whatever it is told",
                "notyet",
                f"train.weight_decay: {BADAM_DECAY}",
            )
        return Lossy(decay, "its BAdam decays norm weights too")
    return decay


def _lower_targets(targets: Any) -> str:
    if targets == ("all",):
        raise Refuse("a layer called `all` cannot be named: the word means every one", "never")
    return "all" if targets == "all-linear" else ",".join(targets)


def _lift_targets(native: str) -> Any:
    names = tuple(name.strip() for name in native.split(","))
    return "all-linear" if names == ("all",) else names


def _lower_layerwise(
    layerwise: bool, passes: int, processes: int, schedule: str, warmup: int | None
) -> bool:
    if layerwise and (schedule != "constant" or warmup != 0):
        raise Refuse(UNSCHEDULED, "notyet", "train.schedule: constant, and train.warmup_steps: 0")
    if layerwise and passes * processes > 1:
        raise Refuse(
            "a step that is made while gradients arrive cannot wait for others: neither for those of another "
            "pass, nor for those of another process (hparams/parser.py, train/trainer_utils.py)",
            "never",
            "one device, and train.micro_batch_size: as large as the batch",
        )
    return layerwise


_GALORE = (
    field("train.optimizer.rank", "galore_rank", absent=16),
    field("train.optimizer.update_steps", "galore_update_interval", absent=200),
    field("train.optimizer.scale", "galore_scale", absent=2.0),
    field("train.optimizer.projection", "galore_proj_type", absent="std"),
    field("train.optimizer.targets", "galore_target", _lower_targets, _lift_targets, absent="all"),
)
_LAYERWISE = Row(
    ("train.optimizer.layerwise",), ("galore_layerwise",), _lower_layerwise, identity,
    uses=(
        "derived.accumulation_steps", "derived.processes", "train.schedule.type", "train.warmup_steps",
    ),
    absent=(False,),
)  # fmt: skip
_BADAM = (
    field("train.optimizer.switch_steps", "badam_switch_interval", absent=50),
    field("train.optimizer.order", "badam_switch_mode", absent="ascending"),
    field("train.optimizer.start", "badam_start_block", absent=None),
    Row((), ("badam_mode",), lambda: "layer", lambda _mode: (), absent=("layer",)),
)
