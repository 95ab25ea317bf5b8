"""Objectives of the supervised script: demonstrations, or plain text.

Both are next-token prediction by SFTTrainer; what differs is which columns it is given. trl appends the
end-of-text token to plain text that lacks it (trainer/sft_trainer.py, `add_eos`).
"""

from __future__ import annotations

from typing import Any

from ftspec.mapping import MISSING, FieldMap, Refuse, Row, constant, field

SHAPE = "data.shape"
"""Native pseudo-key: which columns the script gives the trainer."""
SHAPES = {"sft": ("messages", "prompt-completion", "tokens"), "cpt": ("text",)}
"""Which of them each objective of the supervised trainer is given."""
PROMPT_WEIGHT = "train.prompt_weight"
"""Native pseudo-key: the weight of untrained tokens, a constant of the script beside a trainer of its own."""
OTHER = "GKDConfig.output_dir"
"""What a script has whose conversations are learned from a teacher."""
LOSS = "SFTConfig.loss_type"
OF_SFT = "method.objective."


def objective_row(objective: str) -> Row:
    """The objective, which a script shows by its columns.

    Of rows that ftspec prepared the labels alone say what is trained: they read as `sft`.
    """

    def lift(shape: Any, learned: Any) -> str:
        if shape not in SHAPES[objective] or learned is not MISSING:
            raise Refuse(f"its rows are not those of {objective}", "never")
        return objective

    return Row(("method.objective.type",), (), lambda _objective: (), lift, reads=(SHAPE, OTHER))


def token_loss_rows() -> tuple[Row, ...]:
    """How much each token of a demonstration counts."""
    return (
        field("method.objective.loss", LOSS, absent="nll"),
        Row(
            ("method.objective.prompt_weight",),
            (PROMPT_WEIGHT,),
            lambda weight: weight or MISSING,
            lambda weight: weight,
            absent=(0.0,),
        ),
    )


def continued(
    sft: FieldMap, *own: Row, plain_loss: tuple[str, Any, Any] = (LOSS, "nll", "nll")
) -> FieldMap:
    """The map for continued pre-training, from the one for demonstrations.

    ``plain_loss`` is the key, the value and the default of the only loss that plain text has.
    """
    key, value, absent = plain_loss
    rows = (row for row in sft.rows if not row.paths[:1] or not row.paths[0].startswith(OF_SFT))
    why = "plain text is trained by its plain likelihood"
    return FieldMap(
        sft.backend,
        (*(own or (objective_row("cpt"),)), *rows, constant(key, value, why, absent=absent)),
    )
