"""axolotl's learning rate of embeddings and head: 0.19, core/trainers/mixins/optimizer.py."""

from __future__ import annotations

from typing import Any

from ftspec.families.training import embeddings
from ftspec.mapping import Refuse, Row

SCRIPTS = "run.backends: trl, unsloth or deepspeed"


def embedding_row() -> Row:
    """Its key `embedding_lr`."""
    beside = ("train.weight_decay", "method.tuner.targets", "method.tuner.type")
    return Row(
        (embeddings.PATH,),
        ("embedding_lr",),
        _lower_embeddings,
        lambda rate: rate or None,
        uses=(*beside, *embeddings.USES),
        absent=(None,),
    )


def _lower_embeddings(
    rate: float | None, decay: float, targets: Any, tuner: str, *uses: Any
) -> Any:
    """core/trainers/mixins/optimizer.py finds these weights by name, and lets none of them decay."""
    native = embeddings.lower_rate(rate, *uses)
    if rate is None:
        return native
    if tuner != "lora":
        raise Refuse(
            f"it finds embeddings and head by {' and '.join(embeddings.NAMES)}, and another model has other "
            "names: of all weights none would be told apart",
            "notimpl",
            SCRIPTS,
        )
    if targets != "all-linear" and (isinstance(targets, dict) or {*targets} & {*embeddings.NAMES}):
        raise Refuse(
            "adapters of embeddings and head would have the rate as well", "notimpl", SCRIPTS
        )
    if decay:
        raise Refuse(
            "where embeddings have a rate of their own, they do not decay",
            "never",
            "train.weight_decay: 0, or run.backends: trl",
        )
    return native
