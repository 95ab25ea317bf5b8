"""Which tokens of a trained turn count: what a framework that prepares rows itself has to say to it."""

from __future__ import annotations

from ftspec.mapping import Refuse, Row


def turn_row(whole: str) -> Row:
    """Prepared rows hold any labels. ``whole``: why the framework's own rows train all of a turn."""

    def lower(part: str, _ends: tuple[str, ...], flag: str | None, who: str) -> tuple[()]:
        if (part != "written" or flag is not None) and who != "ftspec":
            raise Refuse(whole, "notyet", "data.prepare: ftspec")
        return ()

    return Row(
        ("data.turn_part", "data.turn_ends", "data.turn_flag"),
        (),
        lower,
        lambda: ("written", (), None),
        uses=("data.prepare",),
        reason=whole,
    )
