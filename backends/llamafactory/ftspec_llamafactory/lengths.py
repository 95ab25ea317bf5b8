"""How long a row may be, and what is cut of a longer one: cutoff_len.

llamafactory 0.9.5, data/processor/processor_utils.py (infer_seqlen), data/loader.py, hparams/data_args.py.
"""

from __future__ import annotations

from typing import Any

from ftspec.families.rows.by_turns import WORD
from ftspec.families.rows.images import with_images
from ftspec.mapping import MISSING, Lossy, Refuse, Row
from ftspec.spec.data import SHARED
from ftspec_llamafactory.images import SPLIT, shown

LIMITED = "data.max_length: 2048 and data.overflow: error"
"""What helps where rows have images, which nobody prepares and no cut may fall into."""


def length_rows() -> tuple[Row, ...]:
    """The limit, and what happens to a longer row."""
    return (
        Row(
            ("data.max_length",),
            ("cutoff_len",),
            _lower_length,
            _lift_length,
            uses=("data.prepare", "data.packing", "model.images.train"),
            reads=("packing", "neat_packing", "tokenized_path"),
            absent=(2048,),
        ),
        Row(
            ("data.overflow",),
            (),
            _lower_overflow,
            _lift_overflow,
            uses=("data.prepare", "data.train"),
            reads=("cutoff_len", SPLIT),
            reason="cuts a long row in its own way",
        ),
    )


def _lower_length(
    length: int | None, who: str, packing: str | None, shown: tuple[str, ...] | None
) -> int | None:
    # prepared rows are not cut again (data/loader.py)
    if length is None and who != "ftspec":
        raise Refuse(
            "it cuts each row to cutoff_len, which is a number",
            "notyet",
            "data.prepare: ftspec" if shown is None else LIMITED,
        )
    # where it packs itself, its rows are one token shorter than it is told (hparams/data_args.py)
    return length + 1 if length and who == "framework" and packing in SHARED else length


def _lift_length(length: int | None, packing: Any, neat: Any, folder: Any) -> int | None:
    packs = True in (packing, neat) and folder in (None, MISSING)
    return length - 1 if packs and isinstance(length, int) else length


def _lower_overflow(overflow: str, who: str, sources: tuple[dict[str, Any], ...]) -> Any:
    if who == "ftspec" or overflow == "error":
        return ()
    if overflow == WORD and not with_images(sources):
        return ()
    if overflow == "drop":
        raise Refuse("a long row is cut, it cannot be left out", "notyet", "data.prepare: ftspec")
    if overflow in ("truncate-left", "split"):
        raise Refuse("it cuts prompt and answer in proportion", "notyet", "data.prepare: ftspec")
    return Lossy(
        (),
        "a row longer than data.max_length loses tokens from prompt and answer in proportion, not from "
        "its end; data.overflow: truncate-turns says so, data.prepare: ftspec cuts alike everywhere",
    )


def _lift_overflow(length: int | None, entries: Any) -> str:
    """Its own way; where there is no limit, no row is longer than it, and ftspec cuts none with images."""
    if length is None:
        return "truncate"
    return "error" if shown(entries) else WORD
