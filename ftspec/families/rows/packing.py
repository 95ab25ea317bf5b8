"""Rows of packing: trl's SFTConfig.

trl 1.15 and 1.16, trainer/sft_trainer.py: `bfd` always flattens a batch into one row without an attention
mask, and transformers tells documents apart by the positions, which start again with each
(masking_utils.py, find_packed_sequence_indices); so does `padding_free` with rows that are packed
already. `wrapped` keeps rows apart as usual, and documents in a row see each other. With
`return_position_ids` its collator makes positions that start again beside a mask of ones, by which
transformers tells no documents apart; but flash attention takes a single row without padding by its
positions (modeling_flash_attention_utils.py).
"""

from __future__ import annotations

import ast
from typing import Any

from ftspec.families.scripts.unify import match
from ftspec.mapping import MISSING, Refuse, Row
from ftspec.spec.data import SHARED

RESTART = "train.positions_start_again"
"""Native pseudo-key: positions start again with each document of a row, which a statement asks for."""
RESTARTED = "trainer.data_collator.return_position_ids = True"
RECURRENT = (
    *(
        "qwen3-next",
        "qwen3.5",
        "qwen3_5",
        "falcon-h1",
        "nemotron-h",
        "nemotron-3",
        "granite-4",
        "kimi-linear",
    ),
    *("bamba", "jamba", "mamba", "zamba", "lfm2", "ling-3", "rwkv"),
)
"""Parts of the names of models some of whose layers carry a state on, which a mask does not stop: frameworks
begin it again by the positions, in batches of one row alone, or not at all."""
CARRIED = "layers of this model carry a state on, and whether documents in a row share it is the framework's"
FLASH = "under flash attention the positions of a row without padding keep its documents apart"

EIGHT = 8
"""LLaMA-Factory pads to a multiple of 8, so all backends do (docs/hazards.md#padding); a flattened batch
has no padding."""


def packing_row(prefix: str) -> Row:
    """Packing by the framework, or of rows that ftspec packed."""
    names = ("packing", "packing_strategy", "padding_free", "pad_to_multiple_of")
    return Row(
        ("data.packing",),
        (*(prefix + name for name in names), RESTART),
        _lower,
        _lift,
        uses=("data.prepare", "model.attention", "model.name"),
        reads=("data.prepare",),
        absent=(False, "bfd", False, None, False),
    )


def read_positions(tree: ast.Module) -> dict[str, Any]:
    """The native value of the statement; nothing where it is missing."""
    return {RESTART: True} if any(match(RESTARTED, node) is not None for node in tree.body) else {}


def gathers_on_cpu(row: Row) -> Row:
    """The row for Unsloth, whose path for the CPU turns packing off without being asked."""

    def lower(packing: str | None, who: str, attention: str, name: str, device: str) -> Any:
        joined = packing == "blocks" and who == "ftspec"
        if packing is not None and device == "cpu" and not joined:
            raise Refuse(
                "its CPU path turns packing off in silence, because it takes documents in one row to "
                "see each other there",
                "notyet",
                "data.packing: null, or another backend",
            )
        if packing in SHARED and who == "ftspec":
            raise Refuse(
                "rows packed by ftspec are not compiled for its GPU path yet",
                "notimpl",
                "data.prepare: framework",
            )
        return row.lower(packing, who, attention, name)

    return Row(
        row.paths, row.keys, lower, row.lift, (*row.uses, "hardware.device"), row.reads, row.absent
    )


def _lower(packing: str | None, who: str, attention: str, name: str) -> tuple[Any, ...]:
    if packing == "together":
        refuse_told_apart(attention, name)
        if who == "framework":
            raise Refuse(
                "whole rows that it packs never see each other", "notyet", "data.prepare: ftspec"
            )
        return False, MISSING, False, EIGHT, True
    if packing == "documents":
        if who == "ftspec":
            return False, MISSING, True, None, MISSING
        return True, "bfd", True, None, MISSING
    if packing == "blocks" and who == "framework":
        return True, "wrapped", False, EIGHT, MISSING
    return False, MISSING, False, EIGHT, MISSING


def is_recurrent(name: str) -> bool:
    """Whether a model's name is one of those whose layers carry a state on."""
    return any(part in name.lower() for part in RECURRENT)


def refuse_told_apart(attention: str, name: str) -> None:
    """Raise Refuse for kernels and models with which documents in a row do not always see each other."""
    if is_recurrent(name):
        raise Refuse(CARRIED, "notyet", "data.packing: null")
    if attention in ("flash_attention_2", "flash_attention_3"):
        raise Refuse(FLASH, "notyet", "model.attention: sdpa; or data.packing: documents")


def _lift(
    packing: bool, strategy: str, free: bool, _pad: Any, restart: bool, who: Any
) -> str | None:
    if restart is True:
        return "together"
    if packing and strategy == "bfd":
        return "documents"
    if packing and strategy == "wrapped" and not free:
        return "blocks"
    if packing:
        raise Refuse(f"packing by {strategy!r} is not in a spec yet", "notimpl")
    if free and who != "ftspec":
        raise Refuse("batches without padding are in a spec for packed rows only", "notimpl")
    return "documents" if free else None
