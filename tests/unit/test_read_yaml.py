"""LLaMA-Factory's YAML means what OmegaConf makes of it; JSON means what the standard says."""

from __future__ import annotations

import math

import pytest

from ftspec.errors import SpecError
from ftspec.read import json as read_json
from ftspec.read import pyyaml
from ftspec.read.yaml import read, read_placed, scalar

# Measured: OmegaConf 2.4.0 on PyYAML 6.0.3, `to_container(merge(load(...), from_cli([])))`.
OMEGACONF = {
    "1e-4": 1e-4, "5e-05": 5e-05, "1e4": 1e4, "1E5": 1e5, "1.0e-4": 1e-4, "1.e-4": 1e-4,
    "1.0e4": 1e4, "-1e-4": -1e-4, "+1e4": 1e4, "1e+4": 1e4, "1_0e3": 1e4, ".5": 0.5, "5.": 5.0,
    "3.10": 3.1, "08.5": 8.5, "1_0.5": 10.5, "1.": 1.0, "-.5": "-.5", "+.5": "+.5", ".5e3": ".5e3",
    ".5e-3": 0.0005, "1e": "1e", "e3": "e3", "1:30.5": 90.5, ".inf": math.inf, "-.inf": -math.inf,
    "+.inf": math.inf, ".Inf": math.inf, "inf": "inf", "nan": "nan", "1e400": math.inf, "no": False,
    "No": False, "NO": False, "off": False, "false": False, "on": True, "yes": True, "TRUE": True,
    "tRue": "tRue", "y": "y", "n": "n", "Y": "Y", "null": None, "Null": None, "NULL": None,
    "~": None, "": None, "none": "none", "014": 12, "0777": 511, "09": "09", "00": 0, "0_": 0,
    "0o14": "0o14", "0x1F": 31, "+0x1F": 31, "0b11": 3, "-0b1": -1, "0x": "0x", "1:30": 90,
    "1:30:30": 5430, "190:20:30": 685230, "1_000": 1000, "1__0": 10, "1_": 1, "_1": "_1",
    "1,000": "1,000", "+1": 1, "-0": 0, "0.0.1": "0.0.1", "2024-01-01": "2024-01-01",
    "2024-01-01T00:00:00Z": "2024-01-01T00:00:00Z", ".": ".", "..": "..", "${a}": "${a}",
    "org/name": "org/name", "9999999999999999999999999": 9999999999999999999999999,
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), OMEGACONF.items())
def test_an_unquoted_word_means_what_omegaconf_says(text: str, value: object) -> None:
    for found in (scalar(text), read(f"x: {text}\n")["x"]):
        assert found == value
        assert type(found) is type(value)


# Measured: PyYAML 6.0.3, `safe_load`. All other words above mean the same to it, but dates.
PYYAML = {
    "1e-4": "1e-4", "5e-05": "5e-05", "1e4": "1e4", "1E5": "1E5", "1.0e4": "1.0e4", "-1e-4": "-1e-4",
    "+1e4": "+1e4", "1e+4": "1e+4", "1_0e3": "1_0e3", "1e400": "1e400",
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), (OMEGACONF | PYYAML).items())
def test_an_unquoted_word_means_what_pyyaml_says(text: str, value: object) -> None:
    found = pyyaml.scalar(text)
    assert found == value
    assert type(found) is type(value)


def test_values_know_their_places() -> None:
    text = "a: 1  # why\nb:\n  c: [x, {d: 2}]\nb2: |\n  text\na: 3\n"
    found = read_placed(text, pyyaml.scalar, last_wins=True)
    assert found.data == {"a": 3, "b": {"c": ["x", {"d": 2}]}, "b2": "text\n"}
    assert found.places["a",] == (6, 1, "")
    assert found.places["b", "c", 1, "d"] == (3, 11, "")
    assert [(one.trail, one.value, one.place) for one in found.earlier] == [
        (("a",), 1, (1, 1, "why"))
    ]


def test_places_in_json() -> None:
    text = '{"a": 1,\n "b": {"c": [1,\n {"d": "x,}{"}], "e": {}}, "f": [[1, 2], 3]}'
    found = read_json.read_placed(text)
    assert found.places["b", "c", 1, "d"] == (3, 3, "")
    assert found.places["b", "e"][:2] == (3, 18)
    assert found.places["f", 0, 1][:2] == (3, 38)


def test_not_a_number() -> None:
    assert math.isnan(scalar(".nan"))


@pytest.mark.parametrize("text", OMEGACONF)
def test_quoted_it_is_a_string(text: str) -> None:
    assert read(f"x: \"{text}\"\ny: '{text}'\nz: ['{text}']\n") == {
        "x": text,
        "y": text,
        "z": [text],
    }


def test_whole_files() -> None:
    assert read("") == read("# only a comment\n") == {}
    assert read(
        "### model\na: 1e-4 # x\nb: [1, no]\nc: {d: ~}\ne: |\n  x\n  y\nf: &a [1]\ng: *a\n"
    ) == {
        "a": 1e-4,
        "b": [1, False],
        "c": {"d": None},
        "e": "x\ny\n",
        "f": [1],
        "g": [1],
    }
    assert read("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\n")["b"] == {"x": 1, "y": 3}


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("a: 1\na: 2\n", 2, "twice"),
        ("a: {b: 1, b: 2}\n", 1, "twice"),
        ("a: 1\nb: !!python/object:os.system x\n", 2, "tag"),
        ("a: !!str 1\n", 1, "tag"),
        ("a: !x [1]\n", 1, "tag"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("- a\n", 1, "mapping"),
        ("just text\n", 1, "mapping"),
        ("no: 1\n", 1, "key"),
        ("1: 1\n", 1, "key"),
        ("a: [1\n", 2, "not YAML"),
        ("a: 1\n\tb: 2\n", 2, "not YAML"),
        ("a: *missing\n", 1, "not YAML"),
        ("a: 'x\n", 2, "not YAML"),
        ("a: \x00\n", 0, "not YAML"),
        ("a: 0b_\n", 1, "no number"),
        ("a: " + "9" * 5000, 1, "no number"),
        ("a: " + "[" * 500, 1, "deeper"),
        ("a: " + "[" * 100 + "]" * 100, 1, "deeper"),
        ("a: &a [*a]\n", 1, "more than"),
        ("x" * (2 << 20), 0, "too many"),
        ("<<: 1\n", 1, "merged"),
    ],
)
def test_what_is_not_a_config(text: str, line: int, word: str) -> None:
    with pytest.raises(SpecError, match=word) as caught:
        read(text)
    assert caught.value.problems[0].line == line


def test_a_bomb_does_not_go_off() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(SpecError, match="more than"):
        read("\n".join(lines))


def test_json() -> None:
    assert read_json.read('\ufeff{"a": [1, 2.5, null, "\\u00e9"]}') == {"a": [1, 2.5, None, "é"]}


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ('{"a": 1,\n "a": 2}', 0, "twice"),
        ("{\n", 2, "not JSON"),
        ('{"a": NaN}', 0, "NaN"),
        ("[-Infinity]", 0, "Infinity"),
        ("1e999", 0, "too large"),
        ("9" * 5000, 0, "not JSON"),
        ("[" * 100_000, 0, "deeper"),
        ("[" * 100 + "]" * 100, 0, "deeper"),
        ("", 1, "not JSON"),
        ("'a'", 1, "not JSON"),
        (" " * (2 << 20), 0, "too many"),
    ],
)
def test_what_is_not_json(text: str, line: int, word: str) -> None:
    with pytest.raises(SpecError, match=word) as caught:
        read_json.read(text)
    assert caught.value.problems[0].line == line
