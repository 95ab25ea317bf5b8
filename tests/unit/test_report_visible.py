"""Text that files hold cannot steer a terminal."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.report.visible import HIDDEN, in_json, visible

ANY = st.text(st.characters(), max_size=60)
AWKWARD = {
    "\x1b[2J": "<U+001B>[2J",
    "\x9b31m": "<U+009B>31m",
    "user\u202eresu": "user<U+202E>resu",
    "zero\u200bwidth": "zero<U+200B>width",
    "no\u00a0break": "no<U+00A0>break",
    "line\u2028end": "line<U+2028>end",
    "bell\x07, back\x08": "bell<U+0007>, back<U+0008>",
    "\ud800": "<U+D800>",
    "plain, ü, 漢, 🙂": "plain, ü, 漢, 🙂",
}


def _hidden(text: str) -> set[str]:
    return {each for each in text if unicodedata.category(each) in HIDDEN} - {" ", "\n"}


@pytest.mark.parametrize(("text", "shown"), AWKWARD.items(), ids=ascii)
def test_hidden_characters_are_named(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(ANY)
def test_nothing_hidden_is_left(text: str) -> None:
    assert not _hidden(visible(text))
    if not _hidden(text):
        assert visible(text) == text


@given(st.recursive(ANY, lambda inner: st.lists(inner) | st.dictionaries(ANY, inner), max_leaves=8))
def test_json_says_the_same_with_nothing_hidden(value: object) -> None:
    document = json.dumps(value, ensure_ascii=False, indent=1)
    assert json.loads(in_json(document)) == value
    assert not _hidden(in_json(document))
