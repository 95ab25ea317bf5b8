"""Chat templates that a spec names: one text for every backend, shipped with ftspec.

Each writes plain conversations as LLaMA-Factory does under that name (0.9.5, data/template.py), with the
assistant's turns marked.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from ftspec.spec.model import NAMED

TOKEN = re.compile(r"<[|\uff5c][^<>|\uff5c]+[|\uff5c]>")
"""A special token, as the templates print it."""


@cache
def named_template(name: str) -> str:
    """The Jinja text of a name in `NAMED`."""
    return (files("ftspec.data") / "templates" / f"{NAMED[name]}.jinja").read_text("utf-8")


def special_tokens(name: str) -> tuple[str, ...]:
    """The special tokens that a named template prints, bos and eos aside."""
    return tuple(dict.fromkeys(TOKEN.findall(named_template(name))))
