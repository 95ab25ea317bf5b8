"""Folding and redaction, chunk by chunk."""

from __future__ import annotations

import pytest

from ftspec.run.lines import LONGEST, Lines, fold, redact, secrets


@pytest.mark.parametrize(
    ("line", "folded"),
    [
        ("plain", "plain"),
        ("\r 50%\r100%", "100%"),
        ("windows\r", "windows"),
        ("\r   \r{'loss': 1}", "{'loss': 1}"),
        ("\x1b[1;31mred\x1b[0m\x1b[A", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("bell\x07 null\x00 tab\t.", "bell null tab\t."),
        ("\r  \r", ""),
    ],
)
def test_fold(line: str, folded: str) -> None:
    assert fold(line) == folded


def test_lines_do_not_depend_on_how_they_arrive() -> None:
    data = "eins\r\nzwei ü\n\r 1%\r 2%\ndrei TOKENVALUE vier\nfünf".encode()
    whole = Lines({"TOKENVALUE": "T"})
    expected = whole.feed(data) + whole.feed(b"", last=True)
    assert expected == ["eins", "zwei ü", " 2%", "drei [T] vier", "fünf"]
    for size in (1, 2, 3, 7):
        lines = Lines({"TOKENVALUE": "T"})
        found = [line for n in range(0, len(data), size) for line in lines.feed(data[n : n + size])]
        assert found + lines.feed(b"", last=True) == expected


def test_a_bar_has_a_state_and_an_unfinished_line_has_none() -> None:
    lines = Lines({"SECRETVALUE": "S"})
    assert lines.feed(b"half a li") == []
    assert lines.bar() == ""
    lines.feed(b"ne\n\r 1% SECRETVALUE\r 2% SECRETVALUE")
    assert lines.bar() == " 2% [S]"


def test_a_line_without_an_end_is_cut() -> None:
    lines = Lines({})
    assert sum(len(line) for line in lines.feed(b"x" * (LONGEST + 1))) == LONGEST + 1


def test_a_secret_inside_another_does_not_show_its_rest() -> None:
    hidden = secrets({"SHORT_KEY": "abcdefgh", "LONG_TOKEN": "abcdefgh-ijklmnop"})
    assert redact("abcdefgh-ijklmnop abcdefgh", hidden) == "[LONG_TOKEN] [SHORT_KEY]"


def test_short_values_and_other_variables_stay() -> None:
    assert secrets({"TOKENIZERS_PARALLELISM": "false", "HOME": "/home/somebody"}) == {}
