"""Checkpoints whose weights were quantised before: what a framework makes of them, by their config.json.

Which can be trained over: transformers 5.6.0, quantizers/*.py (`is_trainable`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ftspec.mapping import Lossy, Refuse, Row

STORED = "derived.stored_quantization"
READERS = {
    "gptq": "optimum, gptqmodel",
    "awq": "gptqmodel",
    "hqq": "hqq",
    "aqlm": "aqlm",
    "eetq": "kernels",
    "compressed-tensors": "compressed-tensors",
    "quanto": "optimum-quanto",
}
"""By quant_method, the packages that unpack it; none of them is in a lock."""
NOT_TRAINABLE = ("fp8", "mxfp4", "fbgemm_fp8", "higgs", "spqr", "vptq", "auto-round")
HINT = "name the model's whole weights, with model.quantization: nf4"


def name_row(
    key: str,
    unpacks: Mapping[str, str] = MappingProxyType({}),
    other: Refuse | None = None,
    readers: Mapping[str, str] = MappingProxyType({}),
) -> Row:
    """The model, and what is refused of it.

    ``unpacks`` says by quant_method what a backend does instead; ``other`` is its own word about those
    that transformers cannot train over, ``readers`` the packages that it asks for itself.
    """

    def lower(name: str, stored: str | None) -> Any:
        if stored in unpacks:
            return Lossy(name, unpacks[str(stored)])
        if stored is not None:
            raise _refusal(stored, other, {**READERS, **readers})
        return name

    return Row(("model.name",), (key,), lower, lambda name: name, uses=(STORED,))


def _refusal(stored: str, other: Refuse | None, readers: Mapping[str, str]) -> Refuse:
    if stored in NOT_TRAINABLE:
        reason = f"transformers trains nothing over weights in {stored}"
        return other or Refuse(reason, "notyet", HINT)
    if stored in readers:
        why = (
            f"what unpacks the checkpoint's {stored} weights ({readers[stored]}) is not in its lock"
        )
        return Refuse(why, "notimpl", HINT)
    return Refuse(
        f"the checkpoint is quantised by {stored}, in a way and with an arithmetic of its own",
        "notimpl",
        HINT,
    )
