"""Checkpoints whose weights were quantised before: what a framework makes of them, by their config.json.

Which can be trained over: transformers 5.6.0, quantizers/*.py (`is_trainable`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ftspec.mapping import Lossy, Refuse, Row

STORED = "derived.stored_quantization"
READERS = {"gptq": "gptqmodel", "awq": "gptqmodel", "hqq": "hqq", "aqlm": "aqlm", "eetq": "kernels"}
"""By quant_method, the package that unpacks it; none of them is in a lock."""
NOT_TRAINABLE = ("fp8", "mxfp4")
HINT = "name the model's whole weights, with model.quantization: nf4"


def name_row(
    key: str,
    unpacks: Mapping[str, str] = MappingProxyType({}),
    other: Refuse | None = None,
) -> Row:
    """The model, and what is refused of it.

    ``unpacks`` says by quant_method what a backend does instead; ``other`` is its own word about those
    that transformers cannot train over.
    """

    def lower(name: str, stored: str | None) -> Any:
        if stored in unpacks:
            return Lossy(name, unpacks[str(stored)])
        if stored is not None:
            raise _refusal(stored, other)
        return name

    return Row(("model.name",), (key,), lower, lambda name: name, uses=(STORED,))


def _refusal(stored: str, other: Refuse | None) -> Refuse:
    if stored in NOT_TRAINABLE:
        reason = f"transformers trains nothing over weights in {stored}"
        return other or Refuse(reason, "notyet", HINT)
    if stored in READERS:
        why = (
            f"what unpacks the checkpoint's {stored} weights ({READERS[stored]}) is not in its lock"
        )
        return Refuse(why, "notimpl", HINT)
    return Refuse(
        f"the checkpoint is quantised by {stored}, in a way and with an arithmetic of its own",
        "notimpl",
        HINT,
    )
