"""Rows of packing: trl's SFTConfig.

trl 1.15 and 1.16, trainer/sft_trainer.py: `bfd` always flattens a batch into one row without an attention
mask, and transformers tells documents apart by the positions, which start again with each
(masking_utils.py, find_packed_sequence_indices); so does `padding_free` with rows that are packed
already. `wrapped` keeps rows apart as usual, and documents in a row see each other.
"""

from __future__ import annotations

from typing import Any

from ftspec.mapping import MISSING, Refuse, Row

EIGHT = 8
"""LLaMA-Factory pads to a multiple of 8, so all backends do (docs/hazards.md#padding); a flattened batch
has no padding."""


def packing_row(prefix: str) -> Row:
    """Packing by the framework, or of rows that ftspec packed."""
    names = ("packing", "packing_strategy", "padding_free", "pad_to_multiple_of")
    return Row(
        ("data.packing",),
        tuple(prefix + name for name in names),
        _lower,
        _lift,
        uses=("data.prepare",),
        reads=("data.prepare",),
        absent=(False, "bfd", False, None),
    )


def gathers_on_cpu(row: Row) -> Row:
    """The row for Unsloth, whose path for the CPU turns packing off without being asked."""

    def lower(packing: str | None, who: str, device: str) -> Any:
        joined = packing == "blocks" and who == "ftspec"
        if packing is not None and device == "cpu" and not joined:
            raise Refuse(
                "its CPU path turns packing off in silence, because it takes documents in one row to "
                "see each other there",
                "notyet",
                "data.packing: null, or another backend",
            )
        if packing == "documents" and who == "ftspec":
            raise Refuse(
                "rows packed by ftspec are not compiled for its GPU path yet",
                "notimpl",
                "data.prepare: framework",
            )
        return row.lower(packing, who)

    return Row(
        row.paths, row.keys, lower, row.lift, (*row.uses, "hardware.device"), row.reads, row.absent
    )


def _lower(packing: str | None, who: str) -> tuple[Any, ...]:
    if packing == "documents":
        if who == "ftspec":
            return False, MISSING, True, None
        return True, "bfd", True, None
    if packing == "blocks" and who == "framework":
        return True, "wrapped", False, EIGHT
    return False, MISSING, False, EIGHT


def _lift(packing: bool, strategy: str, free: bool, _pad: Any, who: Any) -> str | None:
    if packing and strategy == "bfd":
        return "documents"
    if packing and strategy == "wrapped" and not free:
        return "blocks"
    if packing:
        raise Refuse(f"packing by {strategy!r} is not in a spec yet", "notimpl")
    if free and who != "ftspec":
        raise Refuse("batches without padding are in a spec for packed rows only", "notimpl")
    return "documents" if free else None
