"""A mixture's experts in 4 bits: tensors that are no linear layers, so that loading leaves them whole.

bitsandbytes 0.50, nn/parametrize.py: the packed tensor stands in the parameter's place, and is unpacked each
time that it is asked for. axolotl 0.19, monkeypatch/moe_quant.py, does the same to each tensor as it arrives.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from ftspec.families.scripts.unify import match
from ftspec.mapping import MISSING, Refuse, Row, Support

PATH = "model.quantization.experts"
PACKED = "model.experts_packed"
"""Native pseudo-key: how the experts are packed, a constant of the script."""
PACK = """\
for name, module in model.named_modules():
    for part, weight in list(module.named_parameters(recurse=False)):
        if weight.ndim >= 3 and "expert" in f"{name}.{part}".lower():
            replace_parameter_4bit(module, part, **EXPERTS)
"""
TEMPLATE = "EXPERTS = {{ packed|py }}\n" + PACK


def packing_row(four_bits: str, eight_bits: str) -> Row:
    """Experts of a script, packed after the model is loaded; the two keys say whether all else is."""

    def lower(
        experts: bool | None, kind: str | None, double: bool | None, stage: Any, fsdp: Any
    ) -> Any:
        if not experts:
            return MISSING
        if stage == 3 or fsdp is not None:
            reason = "experts in 4 bits were not seen cut over several devices"
            raise Refuse(reason, "notimpl", "hardware.zero.stage: 2, or no sharding")
        return {"quant_type": kind, "compress_statistics": bool(double)}

    return Row(
        (PATH,),
        (PACKED,),
        lower,
        _lift,
        uses=(
            "model.quantization.type",
            "model.quantization.double",
            "hardware.zero.stage",
            "hardware.fsdp.version",
        ),
        reads=(four_bits, eight_bits),
        absent=(None,),
    )


def no_packing(
    reason: str, reads: Sequence[str], held: Callable[..., bool], support: Support
) -> Row:
    """Refusal of a backend that leaves experts whole; ``held`` says of its keys whether others are packed."""

    def lower(experts: bool | None) -> tuple[()]:
        if experts:
            raise Refuse(reason, support, "run.backends: trl")
        return ()

    def lift(*values: Any) -> bool | None:
        return False if held(*values) else None

    return Row((PATH,), (), lower, lift, reads=tuple(reads), reason=reason)


def read_packing(tree: ast.Module) -> dict[str, Any]:
    """The native value of these statements."""
    for node in tree.body:
        if (holes := match('EXPERTS = "@packed"', node)) is not None:
            return {PACKED: holes["packed"]}
    return {}


def _lift(packed: Any, four_bits: Any, eight_bits: Any) -> bool | None:
    return bool(packed) if four_bits is True or eight_bits is True else None
