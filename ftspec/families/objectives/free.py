"""Rows of objectives that compare answers without a reference, in a script: trl's CPOConfig and ORPOConfig.

Names, defaults and formulas: trl 1.15 and 1.16, experimental/cpo and experimental/orpo, which are alike.
SimPO is a loss of CPOTrainer. Both trainers tokenise texts themselves and end an answer with the
end-of-sequence token where that is not its last one, as after the line end of many chat templates; the
script's own trainer takes the template's tokens as they are.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from ftspec.families.objectives.preference import (
    BARRED,
    OBJECTIVE,
    UNSEEN_INIT,
    Bar,
    pair_rows,
    trained_by,
)
from ftspec.families.trainers import CPO, ORPO, SIMPO, Trainer
from ftspec.mapping import MISSING, FieldMap, Refuse, Row, constant, field, replaced

LIKELIHOOD = "train.likelihood"
"""Native pseudo-key: which tokens' likelihood ORPO raises, which the script's own trainer decides."""
BARS: Mapping[str, Bar] = {
    **{path: bar for path, bar in BARRED.items() if path != "method.tuner.bias"},
    "method.tuner.type": Bar(
        lambda kind: kind in ("full", "lora"),
        "without a reference only full tuning and LoRA were seen to train from preferences",
        "notimpl",
        "method.tuner.type: lora",
    ),
    "method.tuner.dropout": Bar(
        lambda share: not share,
        "trainers of preferences switch dropout off",
        hint="leave it out",
    ),
    "method.tuner.init.type": UNSEEN_INIT,
    "data.max_length": Bar(
        lambda length: length is not None,
        "without a limit their trainers take 512 tokens (experimental/cpo/cpo_trainer.py)",
        hint="data.max_length: a number",
    ),
}
"""What objectives without a reference refuse in every backend."""


def free(
    sft: FieldMap, trainer: Trainer, bars: Mapping[str, Bar] = MappingProxyType({})
) -> FieldMap:
    """The map of a script backend for CPO, SimPO or ORPO, from its supervised one."""
    own = {"cpo": cpo_rows, "simpo": simpo_rows, "orpo": orpo_rows}[trainer.objective]()
    rows = replaced(pair_rows(), *_shared_rows(trainer), *own)
    return trained_by(sft, trainer, {**BARS, **bars}, *rows)


def cpo_rows() -> Iterable[Row]:
    """Contrastive preference optimisation."""
    config = CPO.prefix
    return (
        _type(CPO, lambda loss: loss != "simpo"),
        field(f"{OBJECTIVE}loss", f"{config}loss_type", absent="sigmoid"),
        *_weights(config),
    )


def simpo_rows() -> Iterable[Row]:
    """SimPO, by the same trainer."""
    config = SIMPO.prefix
    return (
        _type(SIMPO, lambda loss: loss == "simpo"),
        constant(
            f"{config}loss_type", "simpo", "it is the loss of this objective", absent="sigmoid"
        ),
        field(f"{OBJECTIVE}gamma", f"{config}simpo_gamma", absent=0.5),
        *_weights(config),
    )


def orpo_rows() -> Iterable[Row]:
    """Odds ratio preference optimisation."""
    return (
        _type(ORPO, lambda _loss: True),
        field(f"{OBJECTIVE}beta", f"{ORPO.prefix}beta", absent=0.1),
        Row(
            (f"{OBJECTIVE}likelihood",),
            (LIKELIHOOD,),
            lambda of: of,
            lambda of: of,
            absent=("rows",),
        ),
    )


def _weights(config: str) -> Iterable[Row]:
    return (
        field(f"{OBJECTIVE}beta", f"{config}beta", absent=0.1),
        field(f"{OBJECTIVE}label_smoothing", f"{config}label_smoothing", absent=0.0),
        field(f"{OBJECTIVE}sft_weight", f"{config}cpo_alpha", absent=1.0),
        constant(f"{config}alpha", 0.0, "AlphaPO's rewards are not in a spec yet", absent=0.0),
    )


def _shared_rows(trainer: Trainer) -> Iterable[Row]:
    config = trainer.prefix
    return (
        constant(f"{config}disable_dropout", True, "answers are compared", absent=True),
        constant(f"{config}generate_during_eval", False, "nothing is generated", absent=False),
        Row(("data.packing",), (), lambda _packing: (), lambda: None),
        Row(
            ("model.experts.balance_loss",),
            (),
            _lower_balance,
            lambda: 0.0,
            uses=("derived.router_logits",),
        ),
    )


def _type(trainer: Trainer, is_it: Any) -> Row:
    """The objective, which a script shows by its trainer and its loss."""

    def lift(folder: Any, loss: Any) -> str:
        if folder is MISSING or not is_it(loss):
            raise Refuse(f"the script has no {trainer.config} for {trainer.objective}", "never")
        return trainer.objective

    return Row(
        ("method.objective.type",),
        (),
        lambda _objective: (),
        lift,
        reads=(f"{trainer.prefix}output_dir", f"{trainer.prefix}loss_type"),
    )


def _lower_balance(weight: float | str, own: bool | None) -> tuple[()]:
    if weight or own:
        raise Refuse(
            "its trainer adds the balance loss that the model's own config.json says, and no other",
            "notyet",
            "no balance loss; and output_router_logits: false in a copy of the config.json",
        )
    return ()


def read_likelihood(tree: ast.Module) -> dict[str, Any]:
    """Whether a script's own trainer takes the likelihood of answers; nothing where it is trl's."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == "PairsTrainer":
            names = {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
            if ast.unparse(node.bases[0]) == ORPO.name:
                return {LIKELIHOOD: "answers" if "concatenated_forward" in names else "rows"}
    return {}
