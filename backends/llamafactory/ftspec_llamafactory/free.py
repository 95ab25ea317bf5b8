"""Preferences without a reference in LLaMA-Factory: `pref_loss: orpo` and `simpo` of its stage `dpo`.

llamafactory 0.9.5, train/dpo/trainer.py: both take each answer's mean log-probability per token, and
formulas of its own. SimPO's is trl's; ORPO's raises the likelihood of the chosen answer alone, where
trl's raises that of the whole row.
"""

from __future__ import annotations

from typing import Any

from ftspec.families.objectives import free
from ftspec.families.objectives.preference import OBJECTIVE
from ftspec.mapping import FieldMap, Refuse, Row, constant, field, unsupported
from ftspec_llamafactory.preference import ANSWERS, BARS, SCRIPTS, compared, lower_likelihood

BALANCE = "model.experts.balance_loss"


def orpo(sft: FieldMap) -> FieldMap:
    """The map of `pref_loss: orpo`, from the supervised one."""
    own = (
        Row(
            (f"{OBJECTIVE}likelihood",),
            (),
            _lower_likelihood,
            lambda: "answers",
        ),
        constant("pref_ftx", 0.0, "the likelihood is in the loss already", absent=0.0),
    )
    return _free(sft, "orpo", own)


def simpo(sft: FieldMap) -> FieldMap:
    """The map of `pref_loss: simpo`, from the supervised one."""
    own = (
        field(f"{OBJECTIVE}gamma", "simpo_gamma", absent=0.5),
        unsupported(
            f"{OBJECTIVE}label_smoothing",
            "it smooths the loss sigmoid alone",
            neutral=(0.0,),
            hint=SCRIPTS,
        ),
        Row(
            (f"{OBJECTIVE}sft_weight",),
            ("pref_ftx",),
            lower_likelihood,
            lambda weight: weight,
            uses=("train.micro_batch_size",),
            absent=(0.0,),
        ),
    )
    return _free(sft, "simpo", own)


def _free(sft: FieldMap, loss: str, own: tuple[Row, ...]) -> FieldMap:
    def lift(stage: str, _do_train: bool, said: str) -> str:
        if (stage, said) != ("dpo", loss):
            raise Refuse(f"stage: {stage} with pref_loss: {said} is another objective", "never")
        return loss

    rows = (
        Row(
            ("method.objective.type",),
            ("stage", "do_train", "pref_loss"),
            lambda _objective: ("dpo", True, loss),
            lift,
            absent=("sft", False, "sigmoid"),
        ),
        field(f"{OBJECTIVE}beta", "pref_beta", absent=0.1),
        *own,
        *(
            constant(key, value, "it is not of this loss", absent=value)
            for key, value in _OTHERS.items()
        ),
        ANSWERS,
    )
    return compared(sft, rows, {**free.BARS, BALANCE: BARS[BALANCE]})


_OTHERS: dict[str, Any] = {
    "pref_bco_weight": 0.0,
    "dpo_label_smoothing": 0.0,
    "ld_alpha": None,
    "ref_model": None,
}


def _lower_likelihood(of: str) -> tuple[()]:
    if of != "answers":
        raise Refuse(
            "it raises the likelihood of each answer, not of the tokens of whole rows",
            "notyet",
            f"method.objective.likelihood: answers; or {SCRIPTS}",
        )
    return ()
