"""Packing in LLaMA-Factory: rows that ftspec packed, with a mask that holds each token's document.

llamafactory 0.9.5, data/collator.py: with `neat_packing`, such a mask becomes one in four dimensions by
which documents do not see each other; under flash attention it is left out, and the positions tell them
apart. Plain `packing` lets documents see each other while their positions start again: its mask is one of
ones (data/processor/supervised.py). Only flash attention, which leaves such a mask out, tells the documents
of a batch with a single row apart by its positions (transformers, modeling_flash_attention_utils.py).
"""

from __future__ import annotations

from typing import Any

from ftspec.families.rows.packing import refuse_told_apart
from ftspec.mapping import Lossy, Refuse, Row


def packing_row() -> Row:
    """Packed rows, if ftspec has packed them."""
    return Row(
        ("data.packing",),
        ("packing", "neat_packing"),
        _lower,
        _lift,
        uses=(
            *("data.prepare", "model.attention", "train.micro_batch_size", "data.max_length"),
            "model.name",
        ),
        absent=(None, False),
    )


OWN = "it puts other documents into one row than trl does, and leaves out long ones"


EIGHT = 8
"""Rows are filled up to a multiple of this; positions that it makes itself are not."""


def _lower(
    packing: str | None, who: str, attention: str, micro: int, length: int | None, name: str
) -> Any:
    if packing == "blocks" and who == "framework":
        raise Refuse(OWN, "notimpl", "data.prepare: ftspec")
    if packing == "together":
        refuse_told_apart(attention, name)
        _refuse_rows(who, length)
        return Lossy((True, False), OWN) if who == "framework" else (True, False)
    if packing != "documents":
        return False, False  # blocks are rows like any others
    if attention == "flash_attention_3":
        raise Refuse(
            "under flash attention 3 it gives the model a mask of document numbers as it is",
            "notyet",
            "model.attention: sdpa",
        )
    if attention == "flash_attention_2" and micro > 1:
        raise Refuse(
            "under flash attention it packs one row at a time only",
            "notyet",
            "train.micro_batch_size: 1",
        )
    _refuse_rows(who, length)
    return Lossy((True, True), OWN) if who == "framework" else (True, True)


def _refuse_rows(who: str, length: int | None) -> None:
    if who == "framework" and length is not None and (length + 1) % EIGHT:
        raise Refuse(
            "rows that it packs have one token more than its parser leaves of cutoff_len, and where that is "
            "no multiple of 8 it stops at the first step (data/collator.py)",
            "notyet",
            f"data.max_length: {(length + 1) // EIGHT * EIGHT - 1}",
        )


def _lift(packing: Any, neat: bool) -> str | None:
    if neat:
        return "documents"
    return "together" if packing else None
