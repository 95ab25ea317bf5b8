"""Hostile strings in every slot of every writer: structure unchanged, value identical, or refused.

The canary: payloads try to create files of that name; after everything was executed for real, in a
folder of its own, there is none.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ftspec.emit import disk, literal, plain, python, shell
from ftspec.emit import json as emit_json
from ftspec.emit import yaml as emit_yaml
from ftspec.emit.file import File
from ftspec.errors import OutputError, UnsupportedError
from ftspec.read import json as read_json
from ftspec.read import shell as read_shell
from ftspec.read import yaml as read_yaml
from ftspec.read.scripts.written import read_calls

pytestmark = pytest.mark.sweep

# ruff: noqa: RUF001 - letters that look like others are meant
# fmt: off
PYTHON = [
    "'", '"', "''", '""', "'''", '"""', "'\"", "\"'", "'\"'\"", "\"'\"'", "\\", "\\\\", "\\'",
    '\\"', "\\\\'", '\\\\"', "\\\\\\'", "a\\", "a'\\", 'a"\\', "\\n", "\\x41", "\\u0041",
    "\\N{BULLET}", "\\0", "\\\n", "r'x'", "'); open('canary', 'w'); ('",
    '"); open("canary", "w"); ("', "''' ; open('canary', 'w') ; '''",
    '""" \nopen("canary", "w")\n"""', "'\nopen('canary', 'w')\n'", '"\nopen("canary", "w")\n"',
    "\\'; open('canary', 'w') #", '\\"; open("canary", "w") #',
    "__import__('os').system('touch canary')", "1 if open('canary', 'w') else 2",
    "x, open=open('canary', 'w')", ")\nopen('canary', 'w')\n(", "}\nopen('canary', 'w')",
    'f\'{open("canary", "w")}\'', "%s", "%(x)s", "{}", "{0}", "{x!r}", "{x.__class__}", "lambda: 0",
    "import os", "# noqa", "# fmt: off", "# fmt: on", "# fmt: skip", "# type: ignore",
    "# /// script", "# ///", "/// script", "///", "coding: utf-7", "-*- coding: utf-16 -*-",
    "coding=latin-1", "\\\r", "#!/bin/sh", '\'\u2028open("canary", "w")',
    "'\x0copen('canary', 'w')", "'\x85open('canary', 'w')", "True", "None", "nan",
]
JINJA = [
    "{{ x }}", "{{", "}}", "{%", "%}", "{#", "#}", "{% raw %}", "{% endraw %}", "{{ 7 * 7 }}",
    "{{ self }}", "{{ ''.__class__.__mro__ }}", "{% for a in b %}", "{% include '/etc/passwd' %}",
    "{{ cycler.__init__ }}", "{{ lipsum.__globals__['os'].popen('touch canary') }}", "{%- if x -%}",
    "{{ x|safe }}", "# for a in b", "##", "<script>", "&lt;", "</html>", "&amp;",
]
SHELL = [
    "$(touch canary)", "`touch canary`", "; touch canary", "&& touch canary", "| touch canary",
    "|| touch canary", "> canary", ">> canary", "< canary", "2>canary", "&", "& touch canary &",
    "$HOME", "${HOME}", "${", "$", "$$", "$1", "$@", "$((1+1))", "'$(touch canary)'",
    '"$(touch canary)"', "'; touch canary; '", '"; touch canary; "', "'\"'\"'", "'\\''", "*", "?",
    "[a-z]", "~", "~root", "!", "!!", "!$", "-rf", "--", "-", "=", "a=b", "PATH=.", "x y", " ",
    "  ", " x", "x ", "\t", "(touch canary)", "{ touch canary; }", "{a,b}", "<(touch canary)", "#",
    "a #b", "\\$(touch canary)", "\\`touch canary\\`", "touch canary\\", "%PATH%", "^", "canary",
    "if", "exec", "eval x", "{python}", "{bin}/x", "$'\\x41'", "a\\ b", "<<EOF", "EOF",
]
YAML = [
    "", "no", "No", "NO", "yes", "on", "off", "y", "n", "Y", "N", "true", "True", "TRUE", "false",
    "null", "Null", "~", "NULL", "none", ".nan", ".inf", "-.inf", "inf", "NaN", "1e-4", "1e4",
    "5e-05", "1.0e-4", "1.e-4", ".5", "5.", "3.10", "0o14", "014", "0x1F", "0b11", "1:30",
    "1:30:30", "1_000", "1,000", "+1", "-1", "0", "00", "08", "2024-01-01", "2024-01-01T00:00:00Z",
    "!!python/object:os.system", "!!python/object/apply:os.system [touch canary]", "!!str", "!x",
    "!", "&a", "&a b", "*a", "*", "<<", "? ", "?", "- ", "-", "- a", ": ", ":", "a: b", "a:", ":a",
    "a:b", "# x", "a # b", "---", "...", "--- a", "%YAML 1.1", "|", ">", "|-", ">+", "@x", "`x`",
    "[", "]", "[a]", "{", "}", "{a: b}", ",", "a,b", "=", "'a'", '"a"', "'a", '"a', "''", "a'b",
    " a", "a ", "a\n", "\na", "a\nb: c", "a\n\nb", "\n### train\nlearning_rate: 9", "\tx", "a\tb",
    "???", "a.b", "a/b", "/a", "./a", "../a", "a\\b", "${oc.env:HOME}", "${a}", "\\${a}", "$${a}",
    "a ${b", "\\${", "${}", "e3", "1e", "0x", "all", "all-linear", "org/name-1.5B", "a..b",
]
ODD = [
    "\x00", "a\x00b", "\x07", "\x1b[2J", "\x1b]0;x\x07", "\x7f", "\x80", "\x85", "\xa0", "\xad",
    "\r", "\r\n", "\x0b", "\x0c", "\u2028", "\u2029", "\u200b", "\u200d", "\u200e", "\u202e",
    "\u202dx\u202c", "\u2066x\u2069", "\ufeff", "\ufffe", "\uffff", "\ud800", "\udfff", "\udc80",
    "\ud83d\ude00", "a\ud800b", "😀", "👩‍👩‍👧", "é", "e\u0301", "ﬁ", "日本語", "עברית", "ℋ", "𝓮𝓿𝓪𝓵",
    "＄（x）", "＂", "‘’“”", "\U0010ffff", "\U000e0001", "x" * 99, "x" * 70_000, "'" * 1_000,
    "\\" * 1_001, '"' * 999 + "'", "{{" * 500, "(" * 3_000, "a b " * 300, "[" * 2_000, "\u3000",
    "İ",
]
# fmt: on
PAYLOADS = list(dict.fromkeys(PYTHON + JINJA + SHELL + YAML + ODD))


def every(check: Callable[[str], None]) -> Callable[[], None]:
    """One test for all payloads, which names the one it fails with: 3,000 tests cost their number."""

    def test() -> None:
        for number, payload in enumerate(PAYLOADS):
            with about(number, payload):
                check(payload)

    test.__name__, test.__doc__ = check.__name__, check.__doc__
    return test


@contextlib.contextmanager
def about(number: int, payload: str) -> Iterator[None]:
    try:
        yield
    except BaseException as error:  # what pytest raises is no Exception
        error.add_note(f"with payload {number}: {payload[:80]!a}")
        raise


TEMPLATE = """\
{{ pins|metadata }}
# {{ value|comment }}
# compiled from {{ value|comment }}
from types import SimpleNamespace

bare = {{ value|py }}
items = {{ [value, [value], {"a": value}]|py }}
call = SimpleNamespace(
{{ {"a": value, "b": [value], "c": {value: value}}|kwargs }}
)
filled = SimpleNamespace(
{{ {value: {"a": value}, "rest": {"b": (value,)}}|groups }}
)  # fmt: skip
{{ "text = str"|lines(value) }}
"""


def script(value: str) -> str:
    return python.render(TEMPLATE, value=value, pins={"trl": "1.16.0"})


class _Blank(ast.NodeTransformer):
    def __init__(self, value: str) -> None:
        self.value, self.seen = value, 0

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if node.value == self.value:
            self.seen += 1
            return ast.Constant("PAYLOAD")
        return node


def shape(source: str, value: str) -> tuple[str, int]:
    blank = _Blank(value)
    tree = blank.visit(ast.parse(source.encode()))
    return ast.dump(tree), blank.seen


EXPECTED = shape(script("PAYLOAD"), "PAYLOAD")


def test_enough_payloads_of_every_kind() -> None:
    assert len(PAYLOADS) >= 300
    assert EXPECTED[1] == 11
    assert sum("canary" in payload for payload in PAYLOADS) >= 40


def broken(payload: str) -> bool:
    """Half surrogates are no text: no file can hold them, and every writer refuses them."""
    return any("\ud800" <= character <= "\udfff" for character in payload)


@every
def test_python_structure_and_value_hold(payload: str) -> None:
    if broken(payload):
        with pytest.raises(UnsupportedError, match="surrogate"):
            script(payload)
        return
    source = script(payload)
    assert shape(source, payload) == EXPECTED
    comments = source.split("\n")[5:8]
    assert comments[0].startswith("# /// script") is False
    assert [line[:1] for line in comments[:2]] == ["#", "#"]
    assert source.count("# /// script\n") == 1
    calls = read_calls(source, ["SimpleNamespace", "str"])
    assert calls.foreign == ()
    assert calls.values == {
        "SimpleNamespace.a": payload,
        "SimpleNamespace.b": [payload],
        "SimpleNamespace.c": {payload: payload},
        "SimpleNamespace#2.a": payload,
        "SimpleNamespace#2.b": (payload,),
        "str.0": payload,
    }


@every
def test_python_names_are_identifiers_or_refused(payload: str) -> None:
    try:
        source = python.render("f(\n{{ k|kwargs }}\n)\n", k={payload: 1})
    except UnsupportedError:
        return
    call = ast.parse(source).body[0].value  # type: ignore[attr-defined]
    assert [keyword.arg for keyword in call.keywords] == [payload]


@every
def test_code_is_from_the_list_or_refused(payload: str) -> None:
    with pytest.raises(python.TemplateError):
        python.render("x = {{ v|code }}\n", allowed=["torch.bfloat16"], v=payload)
    with pytest.raises(ValueError, match="not one of the names"):
        literal.Code(payload)


@every
def test_package_names_and_versions_are_plain_or_refused(payload: str) -> None:
    for pins in ({payload: "1.0"}, {"trl": payload}):
        try:
            source = python.render("{{ pins|metadata }}\n", pins=pins)
        except UnsupportedError:
            continue
        assert len(source.splitlines()) == 6
        assert all(character.isalnum() or character in "._-" for character in payload)


def refused_by_yaml(payload: str) -> bool:
    return "${" in payload or broken(payload)


@every
def test_yaml_means_the_same_to_every_reader(payload: str) -> None:
    values = {"a": payload, "b": [payload, {payload: payload}], "c": {"x": payload}, "d": 1}
    if refused_by_yaml(payload):
        with pytest.raises(UnsupportedError):
            emit_yaml.dump([("model", values)])
        return
    text = emit_yaml.dump([(payload, values), (payload, {"last": payload})], head=payload)
    expected = {**values, "last": payload}
    assert read_yaml.read(text) == expected
    assert ruamel(text, (1, 1)) == ruamel(text, (1, 2)) == expected
    assert text.isascii() or not plain.one_line(payload).isascii()


@every
def test_yaml_keys_are_settings_or_refused(payload: str) -> None:
    try:
        text = emit_yaml.dump([("model", {payload: 1})])
    except UnsupportedError:
        return
    assert read_yaml.read(text) == {payload: 1}


def ruamel(text: str, version: tuple[int, int]) -> object:
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.version = version
    return yaml.load(text)


def test_yaml_means_the_same_to_pyyaml() -> None:
    yaml = pytest.importorskip("yaml")
    values = {f"k{n}": p for n, p in enumerate(PAYLOADS) if not refused_by_yaml(p)}
    assert len(values) >= 280
    assert yaml.safe_load(io.StringIO(emit_yaml.dump([("all", values)]))) == values


@every
def test_json_comes_back(payload: str) -> None:
    value = {payload: [payload, {"a": payload}]}
    if broken(payload):
        with pytest.raises(UnsupportedError, match="surrogate"):
            emit_json.dump(value)
        return
    text = emit_json.dump(value)
    assert text.isascii()
    assert read_json.read(text) == value


@every
def test_shell_script_reads_back_or_is_refused(payload: str) -> None:
    argv, environ = ["prog", payload, f"--x={payload}"], {"A": payload, "B": "b"}
    if plain.hidden(payload):
        for bad in ((argv, {}), (["prog"], environ)):
            with pytest.raises(UnsupportedError):
                shell.launch_script(*bad, "x")
            with pytest.raises(UnsupportedError):
                shell.command(*bad)
        return
    assert read_shell.read(shell.launch_script(argv, environ, payload)) == (argv, environ)
    assert read_shell.read(shell.command(argv, environ)) == (argv, environ)


@every
def test_environment_names_are_names_or_refused(payload: str) -> None:
    try:
        text = shell.launch_script(["prog"], {payload: "1"}, "x")
    except UnsupportedError:
        return
    assert read_shell.read(text)[1] == {payload: "1"}


def test_paths_stay_inside_or_are_refused(tmp_path: Path) -> None:
    written = 0
    for number, payload in enumerate(PAYLOADS):
        folder = tmp_path / str(number) / "out"
        with about(number, payload):
            with contextlib.suppress(OutputError):
                disk.write_files(folder, [File(payload, b"x")])
                written += 1
            inside = list(folder.parent.rglob("*"))
            assert [path for path in inside if not path.is_relative_to(folder)] == []
            assert [path for path in inside if path.name.endswith(".tmp")] == []
    assert written >= 150
    assert {path.name for path in tmp_path.iterdir()} <= set(map(str, range(len(PAYLOADS))))


def test_nothing_happens_when_the_files_are_executed(tmp_path: Path) -> None:
    """All accepted payloads through a real shell and a real interpreter; both give them back."""
    accepted = [p for p in PAYLOADS if not plain.hidden(p) and len(p) < 10_000]
    assert len(accepted) >= 250
    show = tmp_path / "show.py"
    show.write_text(
        "import json, os, sys\njson.dump([sys.argv[1:], os.environ['A']], open('seen', 'w'))\n"
    )
    everything = "".join(accepted)
    text = shell.launch_script(
        [sys.executable, "show.py", *accepted], {"A": everything}, everything
    )
    disk.write_atomic(tmp_path / "launch.sh", text.encode(), executable=True)
    environ = {**os.environ, "CDPATH": "/", "PYTHONIOENCODING": "utf-8", "LC_ALL": "C.UTF-8"}
    subprocess.run([tmp_path / "launch.sh"], check=True, cwd="/", env=environ, timeout=60)
    assert json.loads((tmp_path / "seen").read_text()) == [accepted, everything]

    lines = ["import json", "seen = []"]
    plain_ones = [payload for payload in PAYLOADS if not broken(payload)]
    for payload in plain_ones:
        lines += [script(payload), "seen.append([bare, items, vars(call), vars(filled)])"]
    (tmp_path / "train.py").write_text("\n".join([*lines, "json.dump(seen, open('seen', 'w'))"]))
    subprocess.run([sys.executable, "train.py"], check=True, cwd=tmp_path, timeout=60)
    seen = json.loads((tmp_path / "seen").read_text())
    assert [row[0] for row in seen] == plain_ones
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "launch.sh",
        "seen",
        "show.py",
        "train.py",
    ]
