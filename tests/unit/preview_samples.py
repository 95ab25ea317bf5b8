"""Chats, templates and rules that the tests of previews share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from ftspec.data.example import Example, Message
from ftspec.data.template import Template, load_template
from ftspec.data.tokenizer import load_tokenizer
from ftspec.data.view import Asked, Prepared, Rule, View
from ftspec.families.rows.script_rows import ScriptRows
from ftspec_llamafactory.rows import SlotRows
from ftspec_llamafactory.slots import slots

TINY = Path(__file__).parents[2] / "specs" / "tiny-model"
TOKENS = load_tokenizer(TINY)
_MARKED = load_template(TINY, TOKENS.special)
if _MARKED is None:
    raise RuntimeError("the tiny model has no chat template")
MARKED: Template = _MARKED
WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(str.strip)
LIMITS = st.integers(8, 80)


@st.composite
def chats(draw: st.DrawFn) -> Example:
    """One to four questions with answers, perhaps behind a system prompt."""
    turns = [Message("system", draw(WORDS))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 4))):
        turns += [Message("user", draw(WORDS)), Message("assistant", draw(WORDS))]
    return Example("chat", tuple(turns), len(turns) - 1)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """One of the rules, with any settings."""
    limit, train_on = draw(LIMITS), draw(st.sampled_from(("assistant", "completions", "all")))
    return draw(
        st.sampled_from(
            (
                Prepared(
                    TOKENS, MARKED, train_on, limit, draw(st.sampled_from(("truncate", "drop")))
                ),
                ScriptRows(TOKENS, MARKED, train_on, limit, draw(st.booleans())),
                SlotRows(
                    TOKENS,
                    slots(TOKENS, MARKED),
                    limit,
                    train_on == "all",
                    train_on == "completions",
                ),
            )
        )
    )


def encoded(asked: Asked) -> Sequence[Any]:
    """The encodings of what was asked, one by one."""
    return [TOKENS.tokenizer.encode(text, add_special_tokens=asked.special) for text in asked.texts]


def seen(rule: Rule, example: Example) -> View:
    """A rule's view of an example."""
    asked = rule.ask(example)
    return asked.view(encoded(asked))
