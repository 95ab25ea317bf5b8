"""In which type LLaMA-Factory's weights train where no precision is said, under ZeRO's third stage.

0.9.5, model/adapter.py (init_adapter): there it makes no float32 of what trains.
"""

from __future__ import annotations

from typing import Any

from ftspec.port.beside import object_beside
from ftspec.port.rules import Context

STORED = (
    "model.dtype: under stage 3 of ZeRO, without bf16 or fp16, weights train in the type that the checkpoint "
    "stores them in, and this spec trains them in float32: which type is it?"
)
PURE = (
    "model.dtype: pure_bf16 leaves weights in the type that the checkpoint stores, {} here (model/loader.py),"
    " and this spec has them in bfloat16: which type is meant? `precision` goes with it"
)

SUPPOSED = (
    "pure_bf16 leaves weights in the type that the checkpoint stores (model/loader.py): bfloat16 is taken "
    "for it, which no config.json here says"
)


def stored(context: Context) -> list[str]:
    """The question about that type; none where the config or its engine says it."""
    if context.get("pure_bf16") is True:
        found = _type(context)
        return [] if found in ("", "bfloat16") else [PURE.format(found)]
    engine = context.companions.get("deepspeed")
    if engine is None or context.get("finetuning_type") not in ("full", "freeze"):
        return []
    said = any(context.get(key) for key in ("bf16", "fp16", "pure_bf16"))
    halved = any(_section(engine.data, key).get("enabled") is True for key in ("bf16", "fp16"))
    return [STORED] if is_third(context) and not (said or halved) else []


def supposed(context: Context) -> list[str]:
    """A note, where pure_bf16 leaves weights in a type that no file here says."""
    return [SUPPOSED] if context.get("pure_bf16") is True and not _type(context) else []


def _type(context: Context) -> str:
    """The type that the model's own config says, of a model with several parts that of its texts."""
    config = object_beside(f"{context.get('model_name_or_path')}/config.json", context, here=True)
    parts = (config, _section(config, "text_config"))
    said = (part.get(key) for part in parts for key in ("dtype", "torch_dtype"))
    return str(next(filter(None, said), "")).removeprefix("torch.")


def is_third(context: Context) -> bool:
    """Whether its engine is known, and divides weights as well."""
    engine = context.companions.get("deepspeed")
    data = {} if engine is None else engine.data
    return bool(_section(data, "zero_optimization").get("stage") == 3)


def _section(data: dict[str, Any], key: str) -> dict[str, Any]:
    found = data.get(key)
    return found if isinstance(found, dict) else {}
