"""JSON as the standard has it: no NaN, no key twice."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from ftspec.read.placed import Place, Placed, Trail
from ftspec.read.text import DEPTH, KEYS, kind, refuse_huge, wrong

PYTHONS = {"True": "true", "False": "false", "None": "null"}
_WORD = re.compile(r"\$?[A-Za-z_]\w{1,60}|\$\{\w{1,60}\}", re.ASCII)
_STRING = r'"(?:[^"\\\n]|\\.)*"?'
"""With what is never closed, here and below: else each quote in it is a new beginning."""
_NOTED = re.compile(rf"{_STRING}|//[^\n]*|#[^\n]*|/\*(?:.*?\*/|.*)", re.DOTALL)
_LAST = re.compile(rf"{_STRING}|,(?=\s*[}}\]])")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)


def read(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        SpecError: not JSON, a key twice, a number that is not finite, or too big.
    """
    refuse_huge(text, "JSON")
    try:
        value = json.loads(
            text.removeprefix("\ufeff"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
        )
    except json.JSONDecodeError as error:
        raise wrong(
            f"not JSON: {error.msg}", error.lineno, error.colno, _hint(error.doc[error.pos :])
        ) from error
    except RecursionError as error:
        raise wrong(f"JSON nested deeper than {DEPTH} levels") from error
    except ValueError as error:  # an integer of thousands of digits
        raise wrong(f"not JSON that can be read: {error}") from error
    _refuse_deep(value)
    return value


def _hint(rest: str) -> str:
    """What to do about a text that no value begins with."""
    if rest.startswith(("//", "/*", "#")):
        return "JSON has no comments: take it out"
    if rest.startswith(("}", "]")):
        return "no comma may stand before the bracket that closes"
    if (word := _WORD.match(rest)) is not None:
        if word[0] in PYTHONS:
            return f"`{word[0]}` is Python's: JSON says {PYTHONS[word[0]]}"
        return f"`{word[0]}` is no value of JSON: in a template, put one in its place"
    return "check this line and the one above"


def uncommented(text: str) -> str:
    """A text without comments and without commas before a closing bracket, as Hjson has them.

    Spaces take their place, so that lines and columns stay. Strict JSON comes back as it is.
    """
    bare = _NOTED.sub(lambda part: part[0] if _stays(part[0]) else _blank(part[0]), text)
    return _LAST.sub(lambda part: part[0] if part[0][0] == '"' else f" {part[0][1:]}", bare)


def _stays(part: str) -> bool:
    """Whether it is a string, or a comment that is never closed, which is for the parser to tell."""
    return part[0] == '"' or (part[:2] == "/*" and (len(part) < 4 or part[-2:] != "*/"))


def _blank(comment: str) -> str:
    return "".join(sign if sign in "\r\n" else " " for sign in comment)


def read_placed(text: str) -> Placed:
    """A JSON object with the place of each of its values.

    Raises:
        SpecError: as `read`; or the text is no object.
    """
    value = read(text)
    if not isinstance(value, dict):
        raise wrong(f"a config is an object, and this is {kind(value)}", 1, 1, KEYS)
    return Placed(value, dict(_places(text.removeprefix("\ufeff"))))


def _places(text: str) -> list[tuple[Trail, Place]]:
    """Where each member of an object and each item of a list begins. The text is JSON."""
    found: list[tuple[Trail, Place]] = []
    open_: list[Trail] = []
    keys: list[str | int] = []  # of each open collection: the member that is being read
    line, start, named, broken = 1, 0, False, -1
    for token in _TOKEN.finditer(text):
        line += text.count("\n", start, token.start())
        broken = max(broken, text.rfind("\n", start, token.start()))
        start = token.start()
        place = Place(line, start - broken)
        word = token[0]
        if open_ and word not in "}],:":
            if isinstance(keys[-1], int):
                found.append(((*open_[-1], keys[-1]), place))
            elif not named:
                keys[-1], named = json.loads(word), True
                found.append(((*open_[-1], keys[-1]), place))
                continue
        if word in "{[":
            open_.append((*open_[-1], keys[-1]) if open_ else ())
            keys.append("" if word == "{" else 0)
            named = False
        elif word in "}]":
            open_.pop()
            keys.pop()
            named = True
        elif word == ",":
            named = False
            if isinstance(keys[-1], int):
                keys[-1] += 1
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise wrong(f"the key {key!a} is there twice", hint="remove one of them")
        found[key] = value
    return found


def _constant(name: str) -> Any:
    raise wrong(f"{name} is not JSON", hint="write a finite number, or null")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise wrong(f"{text[:40]} is too large a number")
    return number


def _refuse_deep(value: Any) -> None:
    level = [value]
    for _ in range(DEPTH + 1):
        inner = [list(v.values()) if isinstance(v, dict) else v for v in level]
        level = [item for v in inner if isinstance(v, list) for item in v]
        if not level:
            return
    raise wrong(f"JSON nested deeper than {DEPTH} levels")
