"""Words for yes and no, which accelerate and pydantic take alike.

https://github.com/huggingface/accelerate/blob/v1.11.0/src/accelerate/utils/environment.py, str_to_bool
"""

from __future__ import annotations

from typing import Any

YES = ("true", "1", "yes", "y", "on", "t")
NO = ("false", "0", "no", "n", "off", "f")


def is_on(value: Any) -> bool:
    """Whether a switch is on; a command line, a variable and a text have words for that."""
    return str(value).lower() in YES
