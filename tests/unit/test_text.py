# ruff: noqa: E501 - tables, one case a line
"""YAML 1.2 as data and places: what is read, what is refused, and how long a bomb may take."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.errors import SpecError
from ftspec.spec.text import MAX_BYTES, parse
from tests.unit.spec_basics import AWKWARD, words


def refused(content: str | bytes) -> list[tuple[int, int, str]]:
    with pytest.raises(SpecError) as caught:
        parse(content, "f.yaml")
    assert all(problem.file == "f.yaml" for problem in caught.value.problems)
    return [(problem.line, problem.column, problem.message) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4), ("5e-05", 5e-5), ("1e4", 1e4), ("1.", 1.0), (".5", 0.5), ("-0.0", -0.0),
        ("no", "no"), ("NO", "NO"), ("on", "on"), ("yes", "yes"), ("y", "y"), ("True", True), ("FALSE", False),
        ("1_000", "1_000"), ("014", 14), ("0o14", 12), ("0x1F", 31), ("+7", 7), ("-7", -7), ("0b1", "0b1"),
        ("1:30", "1:30"), ("2024-01-01", "2024-01-01"), ("3.10", 3.1), ("~", None), ("Null", None), ("", None),
        ("'1'", "1"), ('"no"', "no"), ("nullish", "nullish"), ("1e", "1e"), ("e1", "e1"), ("-", "-"),
        ("+.nan", "+.nan"), ("inf", "inf"), ("00" * 3000 + "1", 1),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    # A dash at the end of a flow-less line would begin a list.
    found = parse(f"a: {text}" if text != "-" else "a: '-'").data["a"]
    assert found == value
    assert type(found) is type(value)


def test_every_key_and_value_has_its_place() -> None:
    text = parse("a: 1\nb:\n  c: [x, {d: 2}]\n  e: |\n    text\n")
    assert text.values[("a",)] == (1, 4)
    assert text.keys[("b",)] == (2, 1)
    assert text.values[("b",)] == (3, 3)
    assert text.values[("b", "c", 1, "d")] == (3, 14)
    assert text.keys[("b", "c", 1, "d")] == (3, 11)
    assert text.place(("b",)) == (2, 1), "a block is where its key is"
    assert text.place(("a",)) == (1, 4), "a value on its key's line is where the value is"
    assert text.place(("b", "missing", "deeper")) == (2, 1), (
        "what is missing is where its parent is"
    )
    assert text.place(("nowhere",)) == (1, 1)


def test_json_is_read() -> None:
    document = {"model": "x", "data": ["a.jsonl"], "n": [1, 1e-4, None, True, "é😀\n\"'"]}
    for indent in (None, 2, "\t"):
        assert parse(json.dumps(document, indent=indent)).data == document


def test_a_byte_order_mark_is_not_a_character() -> None:
    assert parse(b"\xef\xbb\xbfa: 1").data == {"a": 1}


def test_an_empty_file_says_nothing() -> None:
    for content in ("", "# only a comment\n", "---\n", "\n\n"):
        assert parse(content).data is None


@pytest.mark.parametrize(
    ("content", "line", "column", "words"),
    [
        ("a: 1\na: 2", 2, 1, "`a` is there twice; it is first on line 1"),
        ("a:\n  b: 1\n  b: 2", 3, 3, "`b` is there twice"),
        ("{a: 1, a: 2}", 1, 8, "`a` is there twice"),
        ("a: !!str 1", 1, 4, "the tag `!!str`: tags are off"),
        ("a: !!python/object/apply:os.system [x]", 1, 4, "tags are off"),
        ("a: !env HOME", 1, 4, "the tag `!env`"),
        ("a: &x 1", 1, 4, "anchors are off"),
        ("a: *x", 1, 4, "`*x`: aliases are off"),
        ("<<: {a: 1}", 1, 1, "merge keys are off"),
        ("a: 1\n---\nb: 2", 2, 1, "more than one document"),
        ("%YAML 1.1\n---\na: no", 2, 1, "YAML 1.2"),
        ("\ta: 1", 1, 1, "a tab"),
        ("a:\n\tb: 1", 2, 1, "a tab"),
        ("1: x", 1, 1, "a key must be text, `1` is not"),
        ("null: x", 1, 1, "a key must be text"),
        ("? [a]\n: x", 1, 3, "a key must be text"),
        ("? {a: b}\n: {c: d}\ne: 1\ne: 2", 1, 3, "a key must be text"),
        ("a: .inf", 1, 4, "must be finite"),
        ("a: .NaN", 1, 4, "must be finite"),
        ("a: 1e999", 1, 4, "too large"),
        ("a: " + "9" * 200_000, 1, 4, "64 bits"),
        ("a: 9223372036854775808", 1, 4, "64 bits"),
        ("a: 0x" + "f" * 5000, 1, 4, "64 bits"),
        ("a: x\u202ey", 1, 5, "U+202E"),
        ("a: 1\nb: \u2066", 2, 4, "U+2066"),
        ("a: \x00", 1, 4, "U+0000"),
        ("a: \x1b[31m", 1, 4, "U+001B"),
        ('a: "\\u202e"', 1, 4, "U+202E"),
        ('a: "\\0"', 1, 4, "U+0000"),
        ('a: "\\ud83d"', 1, 4, "half of a surrogate pair"),
        (b"a: 1\nb: caf\xe9", 2, 7, "byte 0xe9 is not UTF-8"),
        ("a: 1".encode("utf-16"), 1, 1, "not UTF-8"),
        ("a: b: c", 1, 5, "a `:` where none can stand"),
        ("a: 1\nb", 2, 2, "neither `key: value`"),
        ("a: [1, 2", 1, 4, "a bracket is never closed"),
        ("a: {b: 1", 1, 4, "a bracket is never closed"),
        ('a: "x\nb: 1', 1, 4, "never closed"),
        ("a: [1, 2}", 1, 9, "a list in brackets"),
        ("a: @x", 1, 4, "cannot start with `@`"),
        ("a: - b", 1, 4, "no list item can stand"),
        ("a: |\n  x\n y", 3, 2, "indentation"),
        ('a: "\\q"', 1, 6, "escape"),
        ("a: }", 1, 4, "not YAML"),
    ],
)  # fmt: skip
def test_what_is_refused_and_where(
    content: str | bytes, line: int, column: int, words: str
) -> None:
    problems = refused(content)
    assert problems[0][:2] == (line, column)
    assert words in problems[0][2]


def test_all_problems_are_told_at_once() -> None:
    assert len(refused("a: &x 1\nb: *x\na: .inf\n2: y\n<<: z\n")) == 6


def test_a_file_beyond_the_limit_is_not_read() -> None:
    assert "bytes; a spec has at most" in refused(b"a" * (MAX_BYTES + 1))[0][2]


@pytest.mark.parametrize("bomb", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, "? " * 100_000])
@pytest.mark.timeout(60)  # milliseconds, where reading stops at the limit and does not go on
def test_deep_nesting_is_refused(bomb: str) -> None:
    assert (
        "levels deep" in refused(bomb)[-1][2]
    )  # a recursive reader takes its whole stack, and dies


def test_too_many_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftspec.spec.text.MAX_NODES", 1000)
    assert "more than 1,000 values" in refused("[" + "1," * 1001 + "]")[0][2]
    assert len(parse("[" + "1," * 999 + "]").data) == 999


def test_nesting_within_the_limit_is_read() -> None:
    assert parse("[" * 64 + "]" * 64).data is not None
    assert "levels deep" in refused("[" * 65 + "]" * 65)[0][2]


@pytest.mark.parametrize("word", AWKWARD)
def test_awkward_words_in_quotes_are_text(word: str) -> None:
    assert parse(json.dumps({"a": word})).data == {"a": word}


@given(st.dictionaries(words(), words() | st.integers(-(2**60), 2**60) | st.booleans(), max_size=5))
def test_json_comes_back(document: dict[str, object]) -> None:
    assert parse(json.dumps(document)).data == (document or {})


@given(st.text(alphabet=st.sampled_from(list("ab:-[]{}&*!|>'\"%@`#,? \n\t~1.e")), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse(text)
    except SpecError as error:
        assert all(problem.line for problem in error.problems)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        parse(content)
    except SpecError as error:
        assert error.problems
