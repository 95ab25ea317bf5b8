"""LoRA that begins with the data or with what quantisation took: statements after the adapter is made.

peft 0.18.1, tuners/lora/eva.py and utils/loftq_utils.py. peft's own LoftQ needs a GPU and forgets that an
update is scaled, so the script has its few lines instead.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any

from ftspec.families.scripts.unify import match_all
from ftspec.mapping import MISSING, Refuse, Row

EVA = "EvaConfig."
LOFTQ = "peft.loftq"
"""Native pseudo-key: statements give the adapter what quantisation took from the weights."""
ASSUMED: Mapping[str, Any] = {
    "tau": 0.99,
    # peft looks for labels as an attribute of a batch, which is a dict: True has no effect
    "use_label_mask": False,
    "label_mask_value": -100,
    "whiten": False,
    "adjust_scaling_factors": True,
}
"""EvaConfig's arguments beside `rho`; all tokens count, as they do in peft with a trainer's batches."""
NAMES = ("rho", *ASSUMED)
TEMPLATES = files("ftspec.families") / "templates"


def template(name: str) -> str:
    """The statements of `eva`, after the trainer is made, or of `loftq`, after the adapter is."""
    return (TEMPLATES / f"{name}.py.j2").read_text("utf-8")


def explained_row() -> Row:
    """EVA's configuration: how far ranks move, and what is always so."""
    return Row(
        ("method.tuner.init.rho",),
        tuple(f"{EVA}{name}" for name in NAMES),
        _lower,
        lambda rho, *_rest: None if rho is MISSING else rho,
        uses=("method.tuner.init.type",),
        absent=(MISSING,) * len(NAMES),
    )


def _lower(rho: float | None, kind: str) -> tuple[Any, ...]:
    if kind != "eva":
        return (MISSING,) * len(NAMES)
    return rho, *ASSUMED.values()


def components(native: Mapping[str, Any]) -> int | None:
    """The most directions that EVA looks for in one layer; None without it."""
    if f"{EVA}rho" not in native:
        return None
    ranks = (native["LoraConfig.r"], *(native.get("LoraConfig.rank_pattern") or {}).values())
    most: int = round(max(ranks) * native[f"{EVA}rho"])
    return most


def check(kind: str, used: Mapping[str, Any]) -> None:
    """Refuse what would not begin as the spec says; ``used`` are values by their paths.

    Raises:
        Refuse: the base does not go with it, or the statements were not seen to work there.
    """
    quantised = used["model.quantization.type"]
    if kind == "eva":
        if quantised is not None:
            raise Refuse(
                "EVA runs the model before it trains, and 4-bit weights do not survive that on every CPU",
                "notimpl",
                "model.quantization: null, or method.tuner.init: loftq",
            )
        if used["method.objective.type"] not in ("sft", "cpt"):
            raise Refuse("EVA was seen to read the rows of supervised training alone", "notimpl")
        if used["derived.processes"] != 1:
            raise Refuse(
                "EVA changes ranks after a look at the rows, which was seen on one process only",
                "notimpl",
                "hardware.devices: 1",
            )
        if used["hardware.zero.stage"] == 3:
            raise Refuse(
                "EVA changes the ranks of layers, which stage 3 has spread over processes",
                "notyet",
                "hardware.zero.stage: 2",
            )
        if used["train.resume"] is not None:
            raise Refuse(
                "EVA's ranks would be found anew, and the checkpoint has its own", "notimpl"
            )
    if kind == "loftq":
        if quantised not in ("nf4", "fp4"):
            raise Refuse(
                "LoftQ begins with what 4 bits take from the weights, and this base is not in 4 bits",
                "never",
                "model.quantization: nf4",
            )
        if used["method.tuner.dora"]:
            raise Refuse("DoRA's lengths would be those of the weights without what LoftQ adds")


def scripted(row: Row, key: str = LOFTQ) -> Row:
    """The row of the initialisation with LoftQ, which is no word of peft's here but statements."""

    def lower(kind: str, *rest: Any) -> Any:
        native = row.lower(kind, *rest)
        return (True, True) if kind == "loftq" else (native, MISSING)

    def lift(native: Any, loftq: Any) -> Any:
        return ("loftq", None) if loftq is True else row.lift(native)

    keys, absent = (*row.keys, key), (*row.absent, False)
    return replace(row, lower=lower, lift=lift, keys=keys, absent=absent)


def read_loftq(tree: ast.Module) -> dict[str, Any]:
    """The native value of LoftQ's statements; nothing where they are missing."""
    _, start, text = template("loftq").partition("for ")
    loop = start + text.partition("del whole")[0]
    found = any(match_all(loop, [node]) is not None for node in tree.body)
    return {LOFTQ: True} if found else {}
