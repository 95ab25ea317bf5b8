"""Objectives of the supervised script: demonstrations, or plain text.

Both are next-token prediction by SFTTrainer; what differs is which columns it is given. trl appends the
end-of-text token to plain text that lacks it (trainer/sft_trainer.py, `add_eos`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ftspec.mapping import MISSING, FieldMap, Flat, Refuse, Row, constant

SHAPE = "data.shape"
"""Native pseudo-key: which columns the script gives the trainer."""
SHAPES = {"sft": ("messages", "prompt-completion", "written", "images", "tokens"), "cpt": ("text",)}
"""Which of them each objective of the supervised trainer is given."""
PROMPT_WEIGHT = "train.prompt_weight"
"""Native pseudo-key: the weight of untrained tokens, a constant of the script beside a trainer of its own."""
ENTROPY = "train.entropy"
"""Native pseudo-key: power, tokens and scale of EAFT, constants of the script beside a trainer of its own."""
ANCHOR = "train.anchor"
"""Native pseudo-key: of ASFT the weight of the divergence, and whether passes are added up: constants too."""
WEIGHERS = {
    PROMPT_WEIGHT: "PromptWeightTrainer",
    ENTROPY: "EntropyTrainer",
    ANCHOR: "AnchoredTrainer",
}
"""Trainers of a script's own that weigh tokens, by the native key that asks for them."""
AVERAGE = "train.average"
"""Native pseudo-key: what the loss of a step is the mean of, a statement of the script."""
AVERAGED = "trainer.model_accepts_loss_kwargs = False  # a step is the mean of its passes' means"
"""The statement: transformers then hands no count of tokens to the loss, and divides by the passes
(trainer.py, training_step and _get_num_items_in_batch)."""
OTHER = "GKDConfig.output_dir"
"""What a script has whose conversations are learned from a teacher."""
LOSS = "SFTConfig.loss_type"
OF_SFT = "method.objective."
OF_AVERAGE = f"{OF_SFT}average"
LOSSES = tuple(
    f"{OF_SFT}{name}"
    for name in (
        *("loss", "entropy_power", "entropy_tokens", "entropy_scale"),
        *("anchor_weight", "sum_passes"),
    )
)
PLAIN_ENTROPY = (1.0, 20, 3.0)
"""What a spec says of entropies where it says nothing."""
PLAIN_ANCHOR = (0.1, False)
"""And of the model as it was."""
HELD: Mapping[str, tuple[Any, ...]] = {
    "method.tuner.type": ("full", "lora", "partial", "oft"),
    "method.tuner.adapter": (None,),
    "model.quantization.type": (None,),
    "model.new_tokens.tokens": ((), None),
    "hardware.fsdp.version": (None,),
    "data.packing": (None,),
}
"""Under which values a second model beside the one that trains was seen to be the same model."""


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
        Row(
            LOSSES,
            (LOSS, ENTROPY, ANCHOR),
            _lower_loss,
            _lift_loss,
            uses=(*HELD,),
            absent=("nll", MISSING, MISSING),
        ),
        Row(
            ("method.objective.prompt_weight",),
            (PROMPT_WEIGHT,),
            lambda weight: weight or MISSING,
            lambda weight: weight,
            absent=(0.0,),
        ),
        Row(
            (OF_AVERAGE,),
            (AVERAGE,),
            _lower_average,
            lambda average: average,
            uses=("method.objective.prompt_weight", "method.tuner.type"),
            absent=("tokens",),
        ),
    )


def _lower_loss(
    loss: str, power: float, tokens: int, scale: float, weight: float, summed: bool, *held: Any
) -> tuple[str, Any, Any]:
    if loss == "eaft":
        return "nll", (power, tokens, scale), MISSING
    if loss != "asft":
        return loss, MISSING, MISSING
    for path, value in zip(HELD, held, strict=True):
        if value not in HELD[path]:
            raise Refuse(
                f"under {path} a second model, which says what it was, is not in this version of ftspec",
                "notimpl",
                "method.objective.loss: dft",
            )
    return "nll", MISSING, (weight, summed)


def _lift_loss(loss: str, entropy: Any, anchor: Any) -> tuple[Any, ...]:
    if anchor is not MISSING:
        return ("asft", *PLAIN_ENTROPY, *anchor)
    return (
        (loss, *PLAIN_ENTROPY, *PLAIN_ANCHOR)
        if entropy is MISSING
        else ("eaft", *entropy, *PLAIN_ANCHOR)
    )


def unanchored(row: Row, why: str) -> Row:
    """The row of the loss without the one that holds a second model; other rows as they are."""
    if row.paths != LOSSES:
        return row

    def lower(loss: str, *rest: Any) -> Any:
        if loss == "asft":
            raise Refuse(why, "notimpl", "run.backends: trl or llamafactory")
        return row.lower(loss, *rest)

    return replace(row, lower=lower)


def weigher(native: Flat) -> str | None:
    """The script's own trainer that weighs tokens."""
    return next((name for key, name in WEIGHERS.items() if key in native), None)


def _lower_average(average: str, of_prompts: float | None, tuner: str) -> Any:
    if average == "tokens":
        return MISSING
    if of_prompts:
        raise Refuse(
            "the trainer that weighs prompt tokens adds them up over the whole batch",
            "notimpl",
            "method.objective.prompt_weight: 0",
        )
    if tuner == "adalora":
        raise Refuse(
            "the trainer that adds AdaLoRA's penalty divides it by the passes already", "notimpl"
        )
    return average


def _of_answers(row: Row) -> bool:
    return bool(row.paths) and row.paths[0].startswith(OF_SFT)


def continued(
    sft: FieldMap, *own: Row, plain_loss: tuple[str, Any, Any] = (LOSS, "nll", "nll")
) -> FieldMap:
    """The map for continued pre-training, from the one for demonstrations.

    ``plain_loss`` is the key, the value and the default of the only loss that plain text has.
    """
    key, value, absent = plain_loss
    rows = (row for row in sft.rows if row.paths == (OF_AVERAGE,) or not _of_answers(row))
    why = "plain text is trained by its plain likelihood"
    return FieldMap(
        sft.backend,
        (*(own or (objective_row("cpt"),)), *rows, constant(key, value, why, absent=absent)),
    )
