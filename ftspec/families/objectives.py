"""Objectives of the supervised script: demonstrations, or plain text.

Both are next-token prediction by SFTTrainer; what differs is which columns it is given. trl appends the
end-of-text token to plain text that lacks it (trainer/sft_trainer.py, `add_eos`).
"""

from __future__ import annotations

from typing import Any

from ftspec.mapping import FieldMap, Refuse, Row, replaced

SHAPE = "data.shape"
"""Native pseudo-key: which columns the script gives the trainer."""


def objective_row(objective: str) -> Row:
    """The objective, which a script shows by its columns.

    Of rows that ftspec prepared the labels alone say what is trained: they read as `sft`.
    """

    def lift(shape: Any) -> str:
        if (objective == "cpt") != (shape == "text"):
            raise Refuse(f"its rows are not those of {objective}", "never")
        return objective

    return Row(("method.objective.type",), (), lambda _objective: (), lift, reads=(SHAPE,))


def continued(sft: FieldMap, *own: Row) -> FieldMap:
    """The map for continued pre-training, from the one for demonstrations."""
    return FieldMap(sft.backend, replaced(sft.rows, *(own or (objective_row("cpt"),))))
