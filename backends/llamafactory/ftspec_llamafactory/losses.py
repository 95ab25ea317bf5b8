"""What a token of a demonstration counts: the loss functions of train/trainer_utils.py.

ASFT's is handed no count of tokens, and transformers divides no loss that a function makes: a pass is its own
mean, passes are added up, devices averaged (train/sft/trainer.py, compute_loss).
"""

from __future__ import annotations

from typing import Any

from ftspec.data.named import templates
from ftspec.families.objectives.supervised import (
    LOSSES,
    OF_AVERAGE,
    PLAIN_ANCHOR,
    PLAIN_ENTROPY,
)
from ftspec.families.training.launch import NODES, PROCESSES
from ftspec.mapping import MISSING, Refuse, Row
from ftspec_llamafactory.images import SPLIT, shown

KEYS = ("use_dft_loss", "use_eaft_loss", "eaft_alpha", "use_asft_loss", "asft_alpha", "ref_model")
PASSES = "gradient_accumulation_steps"
EAFT_TOKENS, EAFT_SCALE = 20, 3.0
"""Numbers of its code, for which it has no keys."""


def loss_rows() -> tuple[Row, ...]:
    """The loss; of entropies it has a key for the exponent alone, of a step's mean none."""
    return (
        Row(
            LOSSES,
            KEYS,
            _lower,
            _lift,
            uses=(
                *("model.name", "method.tuner.type", "precision.compute", "model.dtype"),
                *("derived.stored_dtype", "derived.accumulation_steps", "train.eval_steps"),
                *("method.tuner.adapter", "model.new_tokens.tokens"),
            ),
            reads=(PASSES, "model_name_or_path"),
            absent=(False, False, 1.0, False, 0.1, None),
        ),
        Row(
            (OF_AVERAGE,),
            (),
            _lower_average,
            _lift_average,
            uses=(
                *("method.objective.loss", "derived.accumulation_steps", "derived.replicas"),
                *("model.images.train", "derived.sees_images", "model.chat_template"),
                "data.prepare",
            ),
            reads=(
                *("use_dft_loss", "use_eaft_loss", "use_asft_loss", PASSES, PROCESSES, NODES),
                *("template", SPLIT),
            ),
        ),
    )


def _lower(
    loss: str, power: float, tokens: int, scale: float, weight: float, summed: bool, *held: Any
) -> tuple[Any, ...]:
    if loss == "asft":
        return False, False, MISSING, True, weight, _reference(summed, *held)
    if loss != "eaft":
        return loss == "dft", False, MISSING, False, MISSING, MISSING
    if (tokens, scale) != (EAFT_TOKENS, EAFT_SCALE):
        raise Refuse(
            f"its code takes the entropy of {EAFT_TOKENS} tokens and divides it by {EAFT_SCALE:g}",
            "notyet",
            f"entropy_tokens: {EAFT_TOKENS}, entropy_scale: {EAFT_SCALE:g}",
        )
    return False, True, power, False, MISSING, MISSING


def _reference(
    summed: bool,
    model: str,
    tuner: str,
    compute: str,
    dtype: str,
    stored: str | None,
    passes: int,
    evaluates: int | None,
    adapter: str | None,
    added: tuple[str, ...],
) -> Any:
    """The model as it was, which it makes by itself unless LoRA trains."""
    if passes > 1 and not summed:
        raise Refuse(
            "it adds up the means of the passes that make a step",
            "notyet",
            "train.micro_batch_size: as large as the batch; or average: batches with sum_passes: true",
        )
    if evaluates is not None:
        raise Refuse(
            "its loss hands back no outputs, and transformers stops where it evaluates", "notyet"
        )
    if compute != "fp32" or (stored != "float32" and dtype != "auto"):
        raise Refuse(
            "it holds the model as it was as the checkpoint stores it, in the type of the arithmetic",
            "notyet",
            "precision: fp32, and a checkpoint in float32",
        )
    if adapter is not None or added:
        raise Refuse("the model as it was has no saved adapter and no new tokens there", "notyet")
    return model if tuner == "lora" else MISSING


def _lift(
    dft: bool,
    eaft: bool,
    power: float,
    asft: bool,
    weight: float,
    reference: Any,
    passes: Any,
    name: Any,
) -> tuple[Any, ...]:
    entropies = (1.0, EAFT_TOKENS, EAFT_SCALE)
    if dft:  # the first that it asks for
        return "dft", *entropies, *PLAIN_ANCHOR
    if eaft:
        return "eaft", power, EAFT_TOKENS, EAFT_SCALE, *PLAIN_ANCHOR
    if not asft:
        return "nll", *entropies, *PLAIN_ANCHOR
    if reference not in (None, MISSING, name):
        raise Refuse("a spec's model stays near to what it was, not to another one", "notimpl")
    return "asft", *PLAIN_ENTROPY, weight, passes not in (1, None, MISSING)


def _lower_average(
    average: str,
    loss: str | None,
    passes: int,
    replicas: int,
    parts: tuple[str, ...] | None,
    sees: bool | None,
    template: str,
    prepared: str,
) -> tuple[()]:
    if parts is not None or sees or (prepared == "framework" and _shows(template)):
        if passes * replicas > 1 and average == "tokens":
            raise Refuse(
                "of a model with a processor of images a step is the mean of its passes' means "
                "(train/sft/trainer.py), whatever the rows are",
                "notyet",
                "method.objective.average: batches",
            )
        return ()
    if loss == "asft":
        if passes * replicas > 1 and average == "tokens":
            raise Refuse(
                "this loss is the mean of each pass", "notyet", "method.objective.average: batches"
            )
        return ()
    if average != "tokens":
        raise Refuse(
            "it counts the tokens of the whole batch for every text model (train/sft/trainer.py), and has no "
            "key for it",
            "notyet",
            "method.objective.average: tokens; or train.micro_batch_size: as large as the batch on one "
            "device; or run.backends: trl",
        )
    return ()


def _lift_average(
    dft: Any,
    eaft: Any,
    asft: Any,
    passes: Any,
    processes: Any,
    nodes: Any,
    template: Any,
    entries: Any,
) -> str:
    several = {passes, processes, nodes} - {1, None, MISSING}
    anchored = asft is True and dft is not True and eaft is not True
    sees = _shows(template) or shown(entries)
    return "batches" if several and (anchored or sees) else "tokens"


def _shows(template: Any) -> bool:
    """Whether it stops at a template where the model has no processor of images (data/mm_plugin.py)."""
    known = templates().get(template) if isinstance(template, str) else None
    return known is not None and bool(known.plugin)
