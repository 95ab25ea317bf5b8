"""Which number format a trainer's words mean, where DeepSpeed's engine holds the weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ftspec.port.settle import Settled

COPIES = (
    "precision: the weights are in bfloat16, and the trainer's bf16 is off: ZeRO keeps float32 copies of "
    "them all the same (bf16-weights), and with stage 3 it may load them in float32 (fp32): which is meant?"
)


def cast(parts: Sequence[Settled]) -> Iterator[str]:
    """A trainer's `bf16` switches DeepSpeed's own on, which turns the weights into it.

    Weights in 16 bits without it are a question: no release of ZeRO trains them as they are.

    transformers, integrations/deepspeed.py; accelerate, utils/dataclasses.py (`set_mixed_precision`).
    """
    stage = "hardware.zero.stage"
    nearly = any(
        fate.kind == "approximated" and stage in fate.to for p in parts for fate in p.fates
    )
    if nearly or all(part.spec.get(stage) is None for part in parts):
        return  # no ZeRO, or another engine's sharding, which comes close to it
    if any(part.format.name == "compiled" for part in parts):
        return  # ftspec's own files leave the engine's switch off
    for part in parts:
        if part.format.name == "deepspeed":
            continue  # the engine's own word: autocast, which leaves weights as they are
        if (word := part.spec.get("precision.compute")) in ("bf16", "fp16"):
            part.spec["precision.compute"] = f"{word}-weights"
        if (
            word == "bf16-pure"
            and part.format.backend == "trl"
            and any(one.spec.get(stage) for one in parts)
        ):
            yield COPIES
