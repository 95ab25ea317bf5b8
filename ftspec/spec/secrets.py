"""What no file should hold: passwords and tokens, known by the name of a setting, or by their form."""

from __future__ import annotations

import re
from typing import Any

_NAMES = re.compile(
    r"(^|[._])(token|api_key|access_key|account_key|password|passphrase|secret|credentials|webhook_url)$"
    r"|(^|\.)storage_options\.",
    re.IGNORECASE,
)
_WORDS = re.compile(
    r"(^|[._])(bos|eos|pad|unk|sep|cls|mask|eot|stop|image|video|chars_per)_token$", re.IGNORECASE
)
"""Tokens of a tokenizer, and counts of them, which are no secret."""
_FORMS = re.compile(
    r"(?<=//)[^/\s:@]*:[^/\s@]+(?=@)"  # of an address
    r"|\b(?:hf_[A-Za-z0-9]{30,}|gh[opsur]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}"
    r"|sk-(?:[a-z]+-)?[A-Za-z0-9_]{20,}|AKIA[0-9A-Z]{16}\b|xox[abprs]-[\w-]{20,})"
)


def is_secret(key: str) -> bool:
    """Whether a key holds what no file should: ftspec never writes its value."""
    return _NAMES.search(key) is not None and _WORDS.search(key) is None


def holds_secret(value: Any) -> bool:
    """Whether a text in a value has the form of a secret."""
    if isinstance(value, dict):
        return any(
            holds_secret(item) or (isinstance(key, str) and is_secret(key) and bool(item))
            for key, item in value.items()
        )
    if isinstance(value, list | tuple):
        return any(map(holds_secret, value))
    return isinstance(value, str) and _FORMS.search(value) is not None


def masked(text: str) -> str:
    """The text without what has the form of a secret."""
    return _FORMS.sub("***", text)
