"""Words as PyYAML reads them, which is YAML 1.1: trl, axolotl and accelerate load their configs with it.

There `1e-4` is text, `1.0e-4` a number, `no` is false and `014` is 12. Measured with PyYAML 6.0.3; the
table is in tests/unit/test_read_yaml.py.
"""

from __future__ import annotations

import re
from typing import Any

from ftspec.read import yaml

_FLOAT = re.compile(
    r"""[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?
      | \.[0-9][0-9_]*(?:[eE][-+][0-9]+)?
      | [-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*
      | [-+]?\.(?:inf|Inf|INF)
      | \.(?:nan|NaN|NAN)""",
    re.VERBOSE | re.ASCII,
)
_NUMBER = re.compile(r"[-+.]?[0-9]", re.ASCII)


def scalar(text: str) -> Any:
    """What an unquoted word means. A date stays text: no setting is one."""
    value = yaml.scalar(text)
    # all that the two dialects read apart are numbers with a point or an exponent
    if _FLOAT.fullmatch(text):
        return value if isinstance(value, float) else float(text.replace("_", ""))
    return text if isinstance(value, float) else value
