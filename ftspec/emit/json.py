"""JSON: the order given, ASCII, no NaN."""

from __future__ import annotations

import json
from typing import Any

from ftspec.emit.plain import check


def dump(value: Any) -> str:
    """A plain value as JSON text.

    Raises:
        UnsupportedError: the value is not plain, or not finite.
    """
    check(value, "value")  # json.dumps alone turns the keys 1, True and None into strings
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=True) + "\n"
