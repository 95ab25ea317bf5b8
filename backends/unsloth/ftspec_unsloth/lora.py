"""What Unsloth makes of LoRA options otherwise than peft, mostly on a GPU.

unsloth 2026.10.9, models/llama.py and models/lora_init.py; unsloth_zoo, cpu/loader.py and training_utils.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ftspec.families.tuners.peft import EMBEDDINGS, MOVING, matched
from ftspec.mapping import Refuse, Row, checked


def own(rows: Iterable[Row]) -> tuple[Row, ...]:
    """``rows`` as all scripts have them, with those in their places that mean something else here."""
    return tuple(_own(row) for row in rows)


def _own(row: Row) -> Row:
    if row.paths == ("method.tuner.parameters",):
        # written even if empty: left out, a GPU would adapt a mixture's experts unasked
        return replace(row, lower=lambda *values: row.lower(*values) or [])
    check = _CHECKS.get(row.paths[0]) if row.paths else None
    return checked(row, check, "hardware.device") if check else row


def _check_targets(targets: Any, _device: str) -> None:
    if found := matched(targets, EMBEDDINGS):
        raise Refuse(
            f"it trains {found} in full where an adapter on it is asked for",
            "notyet",
            f"method.tuner.modules_to_save: {found}",
        )


def _check_modules(modules: tuple[str, ...], device: str) -> None:
    other = [name for name in modules if "norm" not in name and not matched((name,), EMBEDDINGS)]
    if other and device == "cuda":
        raise Refuse(f"beside adapters it trains embeddings, head and norms only, not {other[0]}")


def _check_tokens(tokens: tuple[int, ...], device: str) -> None:
    if tokens and device == "cuda":
        raise Refuse("on a GPU it freezes all that is no adapter: single tokens would not train")


def _check_init(kind: str, device: str) -> None:
    if kind == "loftq":
        raise Refuse("the lines that make up for rounding were not seen to work in it", "notimpl")
    if kind == "eva" and device == "cuda":
        raise Refuse("on a GPU it stops at EVA: its fused path has no place for it")
    if kind in MOVING and device == "cuda":
        raise Refuse(
            f"on a GPU it decomposes and saves for {kind} by methods of its own: another training than "
            "peft's",
            "notimpl",
        )


_CHECKS: Mapping[str, Any] = {
    "method.tuner.targets": _check_targets,
    "method.tuner.modules_to_save": _check_modules,
    "method.tuner.trainable_tokens": _check_tokens,
    "method.tuner.init.type": _check_init,
}
