"""Columns that a function writes beside each other: prompts with a pair of answers, or with a judged one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ftspec.port.scripts.followed import text_of
from ftspec.port.scripts.made import Column, Each, End, Text, Unfollowed

FORMATS: Mapping[frozenset[str], str] = {
    frozenset(("prompt", "chosen", "rejected")): "preference",
    frozenset(("chosen", "rejected")): "preference-implicit",
    frozenset(("prompt", "completion", "label")): "unpaired",
    frozenset(("prompt", "completion")): "prompt-completion",
    frozenset(("prompt",)): "prompt",
}
"""What rows of these columns are to a spec."""
TAKES: Mapping[str, tuple[str, ...]] = {
    "sft": ("prompt-completion",),
    "kto": ("unpaired",),
    **dict.fromkeys(("dpo", "orpo", "cpo", "reward"), ("preference", "preference-implicit")),
    **dict.fromkeys(("grpo", "rloo", "online-dpo", "ppo"), ("prompt",)),
}
"""Which of them the trainer of an objective reads."""
ANSWERS = ("chosen", "rejected", "completion")
ALONE = ("preference-implicit", "prompt")
"""Formats of which no template writes rows."""


def paired(values: Mapping[str, Any], template: Callable[[Text], str]) -> dict[str, Any] | None:
    """What such columns are: `columns` where they only have other names, else a template of each.

    None: a function writes something else. ``template`` makes Jinja of a text.

    Raises:
        Unfollowed: what it writes is more than texts and columns.
    """
    plain = {name: value.of if isinstance(value, Each) else value for name, value in values.items()}
    plain = {
        name: value for name, value in plain.items() if value != Column(name) or name in _NAMES
    }
    form = FORMATS.get(frozenset(plain))
    if form is None:
        return None
    if all(isinstance(value, Column) for value in plain.values()):
        return {"format": form, "columns": {name: value.name for name, value in plain.items()}}
    if form in ALONE:
        raise Unfollowed
    return {name: template(_said(name, value)) for name, value in plain.items()}


def _said(name: str, value: Any) -> Text:
    """A text without the end of text that stands behind each answer anyway."""
    text = text_of(value)
    return text[:-1] if name in ANSWERS and text[-1:] == (End(),) and text[1:] else text


_NAMES = frozenset().union(*FORMATS)
