"""Words as argument parsers take them: `1e-4`, which PyYAML reads as text, is a number to argparse."""

from __future__ import annotations

import re
from typing import Any

_TRUE, _FALSE = ("true", "yes", "t", "y", "1"), ("false", "no", "f", "n", "0")
"""transformers' string_to_bool (hf_argparser.py)."""


class NotOfType(ValueError):  # noqa: N818 - caught where the key is known
    """A word that the framework would refuse."""


def cast(value: Any, kind: str) -> Any:
    """A setting's value in the type that the framework declares for it.

    Raises:
        NotOfType: the framework could not take it either.
    """
    names = set(re.findall(r"\w+", kind))
    if not isinstance(value, str) or names & {"str", "Literal"}:
        return value
    if value == "None" and names & {"None", "Optional"}:
        return None
    if "bool" in names and value.lower() in (*_TRUE, *_FALSE):
        return value.lower() in _TRUE
    number = next((make for name, make in (("int", int), ("float", float)) if name in names), None)
    try:
        return number(value) if number else value
    except ValueError:
        whole = "whole " if number is int else ""
        raise NotOfType(f"{value!r} is no {whole}number") from None
