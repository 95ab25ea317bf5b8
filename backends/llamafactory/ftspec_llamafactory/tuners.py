"""Spec paths <-> LLaMA-Factory's keys for tuners other than LoRA: freeze.

Names and defaults: llamafactory 0.9.5, hparams/finetuning_args.py; what they do: model/adapter.py.
"""

from __future__ import annotations

from typing import Any

from ftspec.mapping import MISSING, Refuse, Row, choice, only, unsupported

TUNER = "method.tuner.type"
TYPES: dict[str, str] = {"full": "full", "lora": "lora", "partial": "freeze"}
ALL = 1000
"""More layers than any model has: all of them."""
EXTRA = {"embeddings": "embed_tokens", "head": "lm_head", "norms": "norm"}
"""Its names outside the layers. They are matched anywhere in a weight's name, so that `norm` is every
norm of the model; it raises where no module of a model has the name."""


def tuner_rows() -> tuple[Row, ...]:
    """The tuner's type, and the fields of the types that it has beside LoRA."""
    return (
        choice(
            TUNER,
            "finetuning_type",
            TYPES,
            absent="lora",
            otherwise="it trains all weights, a part of them, LoRA or OFT, and no other adapter",
        ),
        *only(
            TUNER,
            "partial",
            Row(
                ("method.tuner.last_layers", "method.tuner.first_layers", "method.tuner.modules"),
                ("freeze_trainable_layers", "freeze_trainable_modules"),
                _lower_layers,
                _lift_layers,
                absent=(2, "all"),
            ),
            Row(
                tuple(f"method.tuner.{name}" for name in EXTRA),
                ("freeze_extra_modules",),
                lambda *chosen: _joined(chosen),
                _lift_extra,
                absent=(None,),
            ),
            unsupported(
                "method.tuner.biases",
                "it chooses modules, never their biases alone",
                neutral=(False,),
            ),
        ),
    )


def _lower_layers(last: int | None, first: int | None, modules: tuple[str, ...]) -> tuple[int, str]:
    inner = [name for name in modules if "." in name]
    if inner or "all" in modules:
        raise Refuse(
            f"it chooses whole modules of a layer (self_attn, mlp, ...), not {(*inner, 'all')[0]}",
            "notyet",
        )
    if last is None and first is None and not modules:
        return 0, "all"  # none of the layers
    return (last or (ALL if first is None else -first)), ",".join(modules) or "all"


def _lift_layers(count: int, modules: str) -> tuple[int | None, int | None, tuple[str, ...]]:
    names = () if modules == "all" else tuple(name.strip() for name in modules.split(","))
    if count == 0:
        return None, None, ()
    if count >= ALL:
        return None, None, names
    return (count, None, names) if count > 0 else (None, -count, names)


def _lift_extra(native: str | None) -> tuple[bool, ...]:
    names = [name.strip() for name in (native or "").split(",") if name.strip()]
    if odd := [name for name in names if name not in EXTRA.values()]:
        raise Refuse(f"freeze_extra_modules: {odd[0]} has no equal in a spec", "notimpl")
    return tuple(name in names for name in EXTRA.values())


def _joined(chosen: tuple[bool, ...]) -> Any:
    names = [name for on, name in zip(chosen, EXTRA.values(), strict=True) if on]
    return ",".join(names) or MISSING
