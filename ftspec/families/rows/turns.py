"""Which tokens of a trained turn count: what a framework that prepares rows itself has to say to it."""

from __future__ import annotations

from ftspec.mapping import Refuse, Row

WRITTEN = "data.turn_part: written and data.turn_ends: []"
"""What is left where rows have images, which nobody prepares."""


def turn_row(whole: str) -> Row:
    """Prepared rows hold any labels. ``whole``: why the framework's own rows train all of a turn."""

    def lower(
        part: str, _ends: tuple[str, ...], flag: str | None, who: str, shown: tuple[str, ...] | None
    ) -> tuple[()]:
        if (part != "written" or flag is not None) and who != "ftspec":
            way = "data.prepare: ftspec" if shown is None else WRITTEN
            raise Refuse(whole, "notyet", way)
        return ()

    return Row(
        ("data.turn_part", "data.turn_ends", "data.turn_flag"),
        (),
        lower,
        lambda: ("written", (), None),
        uses=("data.prepare", "model.images.train"),
        reason=whole,
    )
