"""Plain values as Python source, laid out as `ruff format --line-length 100` leaves it."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftspec.emit.plain import check, one_line, refuse, shown

WIDTH = 100
"""Columns of a line of emitted Python."""
NAMES = frozenset({"torch.bfloat16", "torch.float16", "torch.float32", "torch.float64"})
"""Every dotted name that may stand where a literal stands; the same as read.python.NAMES."""

VARIABLES = frozenset({"stored"})
"""Every variable of a script that may: `stored` is the type that a checkpoint's configuration names."""

_BRACKETS: dict[type, tuple[str, str]] = {list: ("[", "]"), tuple: ("(", ")"), dict: ("{", "}")}


@dataclass(frozen=True)
class Code:
    """A name instead of a literal: `Code("torch.bfloat16")`. Only those in NAMES and VARIABLES."""

    name: str

    def __post_init__(self) -> None:
        if type(self.name) is not str or self.name not in NAMES | VARIABLES:
            raise ValueError(
                f"{shown(self.name)} is not one of the names that may be written as code"
            )


def quote(text: str) -> str:
    """A string literal in ASCII, with the quotes that `ruff format` prefers."""
    # Led by both quotes, ascii() always picks single ones and escapes those inside.
    body = ascii("'\"" + text)[4:-1]
    if text.count('"') > text.count("'"):
        return f"'{body}'"
    return '"' + body.replace("\\'", "'").replace('"', '\\"') + '"'


def literal(value: Any, indent: int = 0, taken: int = 0, where: str = "value") -> str:
    """A plain value as source text.

    It is one line where that fits. Else containers are opened up, their items indented by 4 more
    than `indent`; `taken` is how many columns of the line other text needs.

    Raises:
        UnsupportedError: the value is not plain, or not finite.
    """
    check(value, where, also=(Code,))
    return _lay_out(value, indent, taken)


def arguments(values: Mapping[str, Any], indent: int = 4) -> list[str]:
    """Keyword arguments, one a line, each with its comma."""
    return [" " * indent + argument for argument in _arguments(values, indent)]


def filled(groups: Mapping[str, Mapping[str, Any]], indent: int = 4, first: str = "") -> list[str]:
    """Keyword arguments under a comment per group, as many on a line as fit.

    ``first`` is source text of a positional argument, which stands before all.

    The formatter would open this up to one a line: the statement must end in `# fmt: skip`.
    A group named "" has no comment.
    """
    names = [name for values in groups.values() for name in values]
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        raise refuse(f"{', '.join(sorted(map(shown, doubled)))} is set twice")
    lines = []
    for title, values in groups.items():
        if values and title:
            lines.append(f"{' ' * indent}# {one_line(title)}")
        before, first = ([f"{first},"] if first else []), ""
        lines += _fill([*before, *_arguments(values, indent, fill=True)], indent)
    return lines


def assignment(name: str, text: str) -> str:
    """A variable that holds a string, in parentheses where only they make it fit."""
    check(text, name)
    line = f"{name} = {quote(text)}"
    if WIDTH < len(line) <= WIDTH + len(name) - 1:
        return f"{name} = (\n    {quote(text)}\n)"
    return line


def call(head: str, parts: Sequence[tuple[str, tuple[Any, ...]]]) -> str:
    """A call at the start of a line, broken up as the formatter does where it is too long for one.

    A part is source text and the value that stands behind it, if any: `("split=", ("train",))`,
    `("MODEL", ())`.
    """
    for text, values in parts:
        check(values, text.rstrip("=") or "value", also=(Code,))
    flat = ", ".join(text + "".join(map(_flat, values)) for text, values in parts)
    if len(head) + len(flat) + 2 <= WIDTH:
        return f"{head}({flat})"
    if len(flat) + 4 <= WIDTH:
        return f"{head}(\n    {flat}\n)"
    lines = [
        "    " + text + "".join(_lay_out(value, 4, len(text) + 5) for value in values) + ",\n"
        for text, values in parts
    ]
    return f"{head}(\n{''.join(lines)})"


def lines(head: str, text: str) -> str:
    """A call with one text, at the start of a line; one line of the text to a line where it is too long.

    The formatter might lay it out otherwise, so the statement ends in `# fmt: skip` then.
    """
    check(text, "text")
    if len(head) + len(quote(text)) + 2 <= WIDTH:
        return f"{head}({quote(text)})"
    pieces = "".join(f"    {quote(line)}\n" for line in re.findall(r"[^\n]*\n|[^\n]+", text))
    return f"{head}(\n{pieces})  # fmt: skip"


def _fill(parts: Iterable[str], indent: int) -> list[str]:
    lines: list[str] = []
    room = False
    for part in parts:
        if room and "\n" not in part and len(lines[-1]) + 1 + len(part) <= WIDTH:
            lines[-1] += " " + part
        else:
            lines.append(" " * indent + part)
        room = "\n" not in part
    return lines


def _arguments(values: Mapping[str, Any], indent: int, fill: bool = False) -> Iterator[str]:
    for name, value in values.items():
        # isidentifier() alone takes letters that Python then folds into others (NFKC): ASCII only.
        if (
            type(name) is not str
            or not name.isascii()
            or not name.isidentifier()
            or keyword.iskeyword(name)
        ):
            raise refuse(
                f"{shown(name)} is not the name of an argument", "use the framework's own spelling"
            )
        check(value, name, also=(Code,))
        yield f"{name}={_lay_out(value, indent, indent + len(name) + 2, fill)},"


def _lay_out(value: Any, indent: int, taken: int, fill: bool = False) -> str:
    flat = _flat(value)
    if taken + len(flat) <= WIDTH or type(value) not in (list, tuple, dict) or not value:
        return flat
    inner = indent + 4
    if type(value) is dict:
        heads = [f"{quote(key)}: " for key in value]
        items = [
            head + _lay_out(item, inner, inner + len(head) + 1, fill)
            for head, item in zip(heads, value.values(), strict=True)
        ]
    else:
        items = [_lay_out(item, inner, inner + 1, fill) for item in value]
    opening, closing = _BRACKETS[type(value)]
    parts = [f"{item}," for item in items]
    lines = _fill(parts, inner) if fill else [f"{' ' * inner}{part}" for part in parts]
    body = "".join(f"{line}\n" for line in lines)
    return f"{opening}\n{body}{' ' * indent}{closing}"


def _flat(value: Any) -> str:
    kind = type(value)
    if kind is str:
        return quote(value)
    if kind is Code:
        return str(value.name)
    if kind is list:
        return f"[{', '.join(map(_flat, value))}]"
    if kind is tuple:
        return f"({', '.join(map(_flat, value))}{',' if len(value) == 1 else ''})"
    if kind is dict:
        return "{" + ", ".join(f"{quote(key)}: {_flat(item)}" for key, item in value.items()) + "}"
    return repr(value).replace("e+", "e")  # 1e+16, which ruff writes 1e16
