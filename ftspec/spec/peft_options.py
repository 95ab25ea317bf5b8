"""The options of peft's adapters, as the installed peft names them: peft_options.json, by `make schemas`."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

CHOSEN = frozenset({"TRAINABLE_TOKENS", "ADAPTION_PROMPT"})
"""Kinds that find their own modules; the others' choice depends on the model, and is not left to peft."""
_TYPES: Mapping[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "list": (list, tuple),
    "dict": (dict,),
    "null": (type(None),),
}


@cache
def table() -> Mapping[str, Any]:
    """Each kind, with the class of its configuration and its options."""
    text = files("ftspec.spec").joinpath("peft_options.json").read_text("utf-8")
    kinds: Mapping[str, Any] = json.loads(text)["kinds"]
    return kinds


def call(kind: str) -> str:
    """The class of a kind's configuration: `HRAConfig`."""
    return str(table()[kind]["call"])


def defaults(kind: str) -> dict[str, Any]:
    """Each option with peft's default."""
    return {name: option["default"] for name, option in table()[kind]["options"].items()}


def check(kind: str, options: Mapping[str, Any]) -> None:
    """Raise ValueError for an option that peft does not have, or a value that it does not take."""
    known = table()[kind]["options"]
    for name, value in options.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(known)}"
            raise ValueError(f"in `options`: {kind} has no `{name}`; {hint}")
        takes = known[name]["takes"]
        if value != known[name]["default"] and not any(_is(value, kind) for kind in takes):
            raise ValueError(f"in `options`: `{name}` of {kind} is {_words(takes)}, not {value!r}")
    if "target_modules" in known and kind not in CHOSEN and not options.get("target_modules"):
        raise ValueError(
            f"`options` of {kind} need `target_modules`: peft's own choice depends on the model"
        )


def _is(value: Any, taken: str) -> bool:
    if taken.startswith("="):
        return bool(value == taken[1:])
    outer, _, inner = taken.removesuffix("]").partition("[")
    if isinstance(value, bool) and outer != "bool":
        return False
    if not isinstance(value, _TYPES[outer]):
        return False
    items = value if isinstance(value, list | tuple) else ()
    return all(_is(item, inner) for item in items if inner)


def _words(takes: list[str]) -> str:
    return " or ".join(word.removeprefix("=") for word in takes)
