"""Rows of a preview for people: every token visible, trained ones marked, differences side by side.

Colours are never the only sign: on a terminal trained text is underlined, elsewhere it stands in
[[brackets]] and tokens are parted by bars.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ftspec.data.preview import Looked
from ftspec.data.view import View
from ftspec.errors import DataError
from ftspec.plan.readers import Group
from ftspec.report.preview import Side, first_difference, sides
from ftspec.report.visible import visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

HEAD, TAIL = 240, 80
"""Tokens shown of a longer row; --full shows all."""
WIDE = 100
"""Columns from which two views fit side by side."""
SHADES = {
    True: ("bold underline green", "bold underline bright_green"),
    False: ("", "bright_black"),
}
"""Styles of trained and other tokens; neighbours alternate, so that each token can be told."""


def print_rows(
    rows: Sequence[Looked], groups: Sequence[Group], console: Console, full: bool
) -> None:
    """Each row as its backends see it."""
    from rich.text import Text  # noqa: PLC0415 - start-up stays fast

    if rows and groups:
        console.print(Text(_legend(console), style="dim"))
    for looked in rows:
        console.print()
        console.print(Text(f"row {looked.number}, {visible(looked.place)}", style="bold"))
        different = sides(looked, groups)
        views = [side.view for side in different]
        if any(isinstance(view, View) and view.rejected for view in views):
            for side in different:
                _print_pair(side, console, full)
        elif len(views) == 2 and console.width >= WIDE and all(isinstance(v, View) for v in views):
            console.print(_beside(different, console, full))
        else:
            for side in different:
                console.print(_heading(side))
                console.print(_body(side.view, console, full))
        for side in different[1:]:
            if said := _difference(different[0], side, console):
                console.print(Text(said, style="yellow"))


def _print_pair(side: Side, console: Console, full: bool) -> None:
    """Both answers of a pair, side by side where there is room."""
    from rich.text import Text  # noqa: PLC0415

    view = side.view
    if isinstance(view, DataError) or view.rejected is None:
        console.print(_heading(side))
        console.print(_body(view, console, full))
        return
    names = ", ".join(side.backends)
    heads = []
    for word, one in (("chosen", view), ("rejected", view.rejected)):
        said = Text.assemble((names, "cyan"), (f", {word}", "bold"), _counts(one))
        heads.append(said if one.rejected is None else _remarks(said, one))
    bodies = [in_tokens(one, console, full) for one in view.sides]
    if console.width >= WIDE:
        console.print(_columns(heads, bodies, console))
        return
    for head, body in zip(heads, bodies, strict=True):
        console.print(head)
        console.print(body)


def in_tokens(view: View, console: Console, full: bool = False) -> Text:
    """A row's text, token by token."""
    from rich.text import Text  # noqa: PLC0415

    coloured = _coloured(console)
    pieces = _pieces(view, console)
    shown = list(zip(pieces, view.trained, strict=True))
    hidden = 0 if full else max(0, len(shown) - HEAD - TAIL)
    parts = [shown[:HEAD], shown[HEAD + hidden :]] if hidden else [shown]
    text = Text(overflow="fold")
    for number, part in enumerate(parts):
        if number:
            text.append(f"\n... {hidden:,} tokens more, --full shows them ...\n", style="italic")
        for trained, run in groupby(part, key=lambda pair: pair[1]):
            words = [piece for piece, _ in run]
            if coloured:
                for at, word in enumerate(words):
                    text.append(word, style=SHADES[trained][at % 2])
            else:
                text.append(_barred(words, trained))
    return text


def _barred(words: Sequence[str], trained: bool) -> str:
    """Tokens with bars between them and brackets around trained ones, each before a line's end."""
    signs = ["|"] * (len(words) - 1) + ["]]" if trained else ""]
    body = "".join(
        f"{word[:-1]}{sign}\n" if word.endswith("\n") else word + sign
        for word, sign in zip(words, signs, strict=True)
    )
    return f"[[{body}" if trained else body


def _pieces(view: View, console: Console) -> list[str]:
    """Each token's text, hidden characters made visible; a line ends after its sign."""
    newline, tab, space = ("⏎\n", "⇥", "·") if _coloured(console) else ("\\n\n", "\\t", " ")
    found = []
    for piece, word in zip(view.pieces(), view.words(), strict=True):
        # without text of its own: added by the tokenizer, or a further byte of a character
        text = visible(piece, frozenset(" \n\t")) if piece else f"<{visible(word)}>"
        found.append(text.replace(" ", space).replace("\t", tab).replace("\n", newline))
    return found


def _heading(side: Side) -> Text:
    from rich.text import Text  # noqa: PLC0415

    names, view = ", ".join(side.backends), side.view
    if isinstance(view, DataError):
        return Text.assemble((names, "cyan"), (": stops the run", "red"))
    label = {None: "", True: ", a good answer", False: ", a bad answer"}[view.good]
    return _remarks(Text.assemble((names, "cyan"), label, _counts(view)), view)


def _counts(view: View) -> str:
    """How many tokens, and what becomes of them."""
    if view.open:
        return f": {view.tokens:,} tokens; the answer is yet to be drawn"
    told = f": {view.tokens:,} tokens, {view.trained_tokens:,} of them trained"
    if view.tokens < view.length:
        told += f"; cut, {view.length - view.tokens:,} are lost"
    return told


def _remarks(text: Text, view: View) -> Text:
    """What else there is to say of a row, behind the rest."""
    if view.left_out:
        text.append(f"; left out, {view.left_out}", style="yellow")
    if view.note:
        text.append(f"; {view.note}", style="yellow")
    for problem in view.refused:
        text.append(f"; stops the run: {visible(problem.message)}", style="red")
    return text


def _body(view: View | DataError, console: Console, full: bool) -> Text:
    from rich.text import Text  # noqa: PLC0415

    if isinstance(view, View):
        return in_tokens(view, console, full)
    return Text("\n".join(visible(problem.message) for problem in view.problems), style="red")


def _beside(different: Sequence[Side], console: Console, full: bool) -> Any:
    bodies = [_body(side.view, console, full) for side in different]
    return _columns([_heading(side) for side in different], bodies, console)


def _columns(heads: Sequence[Text], bodies: Sequence[Text], console: Console) -> Any:
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    style = box.SIMPLE_HEAD if _coloured(console) else box.ASCII
    table = Table(box=style, expand=True, pad_edge=False)
    for head in heads:
        table.add_column(head, ratio=1, overflow="fold")
    table.add_row(*bodies)
    return table


def _difference(one: Side, other: Side, console: Console) -> str:
    """Where two views part."""
    if not (isinstance(one.view, View) and isinstance(other.view, View)):
        return ""
    answers = zip(("", " of the rejected answer"), one.view.sides, other.view.sides, strict=False)
    for which, ours, theirs in answers:
        at = first_difference(ours, theirs)
        if at is None:
            continue
        pairs = ((one.backends[0], ours), (other.backends[0], theirs))
        told = [f"{name} has {_token(view, at, console)}" for name, view in pairs]
        return f"first difference at token {at}{which}: {told[0]}, {told[1]}"
    return ""


def _token(view: View, at: int, console: Console) -> str:
    if at >= view.tokens:
        return "ended"
    piece = _pieces(view, console)[at].rstrip("\n")
    return f"{view.input_ids[at]} '{piece}' ({'trained' if view.trained[at] else 'not trained'})"


def _legend(console: Console) -> str:
    if _coloured(console):
        return (
            "underlined: trained. Shades part tokens. · space, ⏎ new line, ⇥ tab, <U+....> hidden."
        )
    return "[[...]]: trained. |: between tokens. \\n new line, \\t tab, <U+....> hidden."


def _coloured(console: Console) -> bool:
    """Whether colours and signs beyond ASCII can be shown."""
    return bool(console.is_terminal and not console.no_color and "utf" in console.encoding.lower())
