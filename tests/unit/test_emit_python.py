"""Literals as ruff leaves them; templates that cannot print a raw value; PEP 723 headers."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from enum import IntEnum
from pathlib import Path

import pytest

from ftspec.emit.header import metadata, requirements
from ftspec.emit.literal import NAMES, WIDTH, Code, arguments, filled, lines, literal, quote
from ftspec.emit.plain import one_line
from ftspec.emit.python import Source, TemplateError, render
from ftspec.errors import UnsupportedError
from ftspec.read import python as read_python

VALUES = [
    None, True, False, 0, -1, 10**40, 0.0, -0.0, 1e-05, -1e-05, 1e16, 1e22, 1e-300, 1.5, 0.1, 1e308,
    "", "it's", 'say "x"', "both ' and \"", "'\"'", "é", "a\\b", "\n", [], (), {}, [1], (1,),
    {"a": 1}, [[]], [(), {}], ((1,), 2), {"a": {"b": [1, {"c": None}]}}, ["x" * 40] * 4,
    ("y" * 50, "z" * 50), {"k" * 60: "v" * 60, "l": ["w" * 90, 1]}, ["x" * 200], {"a" * 120: 1},
    [[["n" * 40, "m" * 40], "o" * 30], 1.0], {"a": ("t" * 97,)}, ["q" * 89], ["q" * 88],
]  # fmt: skip


class Level(IntEnum):
    ONE = 1


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize("value", VALUES, ids=lambda value: ascii(value)[:30])
def test_a_literal_evaluates_to_its_value(value: object) -> None:
    for taken in (0, 50, 99):
        back = ast.literal_eval(literal(value, taken=taken))
        assert back == value
        assert repr(back) == repr(value)


def test_literals_are_laid_out_as_ruff_does(tmp_path: Path) -> None:
    source = render(
        "from framework import Config, load\n\n"
        "{% for value in values %}"
        "call = load(\n{{ {'name': value, 'b': value}|kwargs }}\n)\n"
        "config = Config(\n"
        "{{ {'optimizer': {'a': value, 'b': 1}, '': {'c': value}}|groups }}\n"
        ")  # fmt: skip\n"
        "{% endfor %}",
        values=VALUES,
    )
    assert source.count("call = load(") == len(VALUES)
    path = tmp_path / "train.py"
    path.write_text(source)
    ruff = [sys.executable, "-m", "ruff"]
    isolated = ["--isolated", "--no-cache", "--line-length", str(WIDTH)]
    subprocess.run([*ruff, "format", *isolated, "--diff", path], check=True)
    subprocess.run([*ruff, "check", *isolated, "--extend-select", "I", path], check=True)


@pytest.mark.parametrize(
    "text", ["short", "one\n" * 40, "\n" * 200, "x" * 200, "a\r\nb\u2028" * 30]
)
def test_a_long_text_has_a_line_for_each_of_its_own(text: str) -> None:
    source = lines("text = str", text)
    scope: dict[str, str] = {}
    exec(source, scope)  # noqa: S102 - that is what is tested
    assert scope["text"] == text
    count = text.count("\n") + (text[-1:] != "\n")
    assert len(source.split("\n")) == (1 if text == "short" else count + 2)


def test_groups_fill_their_lines() -> None:
    values = {f"argument_{n}": n * 1000 for n in range(45)}
    lines = filled({"optimizer": values, "nothing": {}, "": {"last": True}})
    assert lines[0] == "    # optimizer"
    assert lines[-1] == "    last=True,"
    assert len(lines) < 15
    assert max(map(len, lines)) <= WIDTH
    call = ast.parse("f(\n" + "\n".join(lines) + "\n)").body[0].value  # type: ignore[attr-defined]
    assert [keyword.arg for keyword in call.keywords] == [*values, "last"]


def test_an_argument_twice_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="twice"):
        filled({"a": {"x": 1}, "b": {"x": 2}})


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), [float("nan")], {"a": float("inf")}]
)
def test_only_finite_numbers(value: object) -> None:
    with pytest.raises(UnsupportedError, match=r"nan|inf"):
        literal(value)


@pytest.mark.parametrize(
    "value", [b"x", {1}, 1j, object(), Level.ONE, Text("x"), {1: 2}, {Text("a"): 1}, Path(), ...]
)
def test_only_plain_types(value: object) -> None:
    with pytest.raises(UnsupportedError):
        literal(value)


def test_depth_and_length_have_limits() -> None:
    deep: list[object] = []
    for _ in range(40):
        deep = [deep]
    with pytest.raises(UnsupportedError, match="deeper"):
        literal(deep)
    with pytest.raises(UnsupportedError, match="bits"):
        literal(10**5000)


@pytest.mark.parametrize(
    "name", ["a-b", "1a", "class", "None", "", "a b", "a.b", "é", "ﬁ", "a=1", "*a"]
)
def test_argument_names_are_checked(name: str) -> None:
    with pytest.raises(UnsupportedError, match="name of an argument"):
        arguments({name: 1})


def test_quotes_are_those_that_ruff_prefers() -> None:
    assert [quote(text) for text in ("a", "it's", '"a"', "'\"")] == [
        '"a"',
        '"it\'s"',
        "'\"a\"'",
        '"\'\\""',
    ]


def test_code_is_a_closed_list() -> None:
    assert literal({"dtype": Code("torch.bfloat16")}) == '{"dtype": torch.bfloat16}'
    with pytest.raises(ValueError, match="not one of the names"):
        Code("os.system")
    assert read_python.NAMES == NAMES


@pytest.mark.parametrize(
    "template",
    [
        "{{ x }}", "{{ 'x' }}", "{{ x|py ~ x|py }}", "{{ x|py|upper }}", "{{ x|upper }}",
        "{{ x|safe }}", "{{ y|py }}", "{{ y }}", "{{ x.z|py }}", "{% if y %}1{% endif %}",
        "{% set a %}1{% endset %}{{ a }}", "{{ x|code }}", "{% for",
        "{% macro m() %}1{% endmacro %}{{ m() }}", "{{ 1|comment }}", "{{ [x|py]|join }}",
        "f(a=1, a=2)", "x = ", "\x00",
    ],
)  # fmt: skip
def test_a_template_cannot_print_a_raw_value(template: str) -> None:
    with pytest.raises((TemplateError, UnsupportedError)):
        render(template, x="value")


def test_a_source_is_made_by_filters_only() -> None:
    assert render("x = {{ x|py }}\n", x="{{ y }}") == 'x = "{{ y }}"\n'
    assert (
        render("d = {{ x|code }}\n", allowed=["torch.float32"], x="torch.float32")
        == "d = torch.float32\n"
    )
    with pytest.raises(TemplateError, match="dotted"):
        render("", allowed=["a b"])
    assert type(Source("x") + "y") is str


def test_a_template_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "train.py.jinja").write_text("x = {{ x|py }}\n")
    assert render(tmp_path / "train.py.jinja", x=1) == "x = 1\n"
    with pytest.raises(TemplateError, match=r"train\.py\.jinja"):
        render(tmp_path / "train.py.jinja")


def test_comments_are_one_harmless_line() -> None:
    assert one_line(" a\n# b\u2028\u202ec\ud800 ") == "a # b c"
    assert one_line("coding: utf-7") == "coding : utf-7"
    assert one_line("word " * 60) == f"{'word ' * 39}..."
    assert len(one_line("w" * 300)) == 200
    assert "# ///" not in render("# {{ x|comment }}\n", x="/// script")


def test_the_header_is_what_uv_reads() -> None:
    text = metadata(
        {"trl": "1.16.0", "torch": "2.11.0+cpu", "x[extra]": "1"}, python=">=3.11,<3.14"
    )
    body = text.removeprefix("# /// script\n").removesuffix("\n# ///")
    assert tomllib.loads("\n".join(line.removeprefix("# ") for line in body.splitlines())) == {
        "requires-python": ">=3.11,<3.14",
        "dependencies": ["trl==1.16.0", "torch==2.11.0", "x[extra]==1"],
    }


def test_pins_are_names_and_versions() -> None:
    for name, version in (
        ("a b", "1"),
        ("a", "1 ; x"),
        ("a", ""),
        ("-a", "1"),
        ("a", 'x"'),
        ("a @ b", "1"),
    ):
        with pytest.raises(UnsupportedError):
            requirements({name: version})
    with pytest.raises(UnsupportedError):
        metadata({}, python='"\n')
