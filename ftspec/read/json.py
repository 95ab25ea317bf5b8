"""JSON as the standard has it: no NaN, no key twice."""

from __future__ import annotations

import json
import math
from typing import Any

from ftspec.read.text import DEPTH, refuse_huge, wrong


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
        raise wrong(f"not JSON: {error.msg}", error.lineno, error.colno) from error
    except RecursionError as error:
        raise wrong(f"JSON nested deeper than {DEPTH} levels") from error
    except ValueError as error:  # an integer of thousands of digits
        raise wrong(f"not JSON that can be read: {error}") from error
    _refuse_deep(value)
    return value


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
