"""Unsloth's named chat templates, out of its file: those that ftspec takes for the same write the same."""

from __future__ import annotations

import ast
from collections import defaultdict
from typing import Any

import pytest

from ftspec.data.example import Message
from ftspec.data.named_text import named_template
from ftspec.data.template import Template
from ftspec.env.install import ensure
from ftspec.port.formats.unsloth.templates import CHATML, FAMILIES, SAME, ended_chatml
from ftspec.registry import load

pytestmark = pytest.mark.real
SPECIAL = {"bos_token": "<s>", "eos_token": "<|im_end|>"}
TALK = [("user", "One? "), ("assistant", "1\n"), ("user", "Two?"), ("assistant", " 2")]
TALKS = (TALK[:2], TALK, [("system", "Be brief."), *TALK])


@pytest.fixture(scope="module")
def unsloths() -> dict[str, Any]:
    """`CHAT_TEMPLATES` of chat_templates.py: its assignments, without what it imports."""
    (file,) = ensure(load("unsloth")).folder.glob("lib/*/site-packages/unsloth/chat_templates.py")
    names: dict[str, Any] = {
        "_ollama_template": str,
        "OLLAMA_TEMPLATES": defaultdict(str),
        "CHAT_TEMPLATES": {},
    }
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign | ast.For):
            try:
                exec(compile(ast.Module([node], []), str(file), "exec"), names)  # noqa: S102
            except NameError:
                continue  # what needs an import, and is no template
    found: dict[str, Any] = names["CHAT_TEMPLATES"]
    return found


def written(text: str, talk: list[tuple[str, str]]) -> str:
    template = Template(text, SPECIAL)
    return template.render([Message(role=role, content=said) for role, said in talk]).text


@pytest.mark.parametrize("name", SAME)
def test_a_name_that_ftspec_has(unsloths: dict[str, Any], name: str) -> None:
    text, _, maps_the_end, _ = unsloths[name]
    assert not maps_the_end
    for talk in TALKS:
        assert written(text, talk) == written(named_template(SAME[name]), talk)


def test_chatml_ends_turns_with_the_end_of_text(unsloths: dict[str, Any]) -> None:
    """Unsloth gives that token the name <|im_end|> (`map_eos_token`), which is what its text prints."""
    text, stop, maps_the_end, _ = unsloths[CHATML]
    assert (stop, maps_the_end) == ("<|im_end|>", True)
    for talk in TALKS:
        assert written(text, talk) == written(ended_chatml(), talk)


def test_every_name_has_a_verdict(unsloths: dict[str, Any]) -> None:
    """The others are texts of Unsloth's own, for no model in particular, or rename tokens."""
    made = ("gemma-4", "gemma4")  # whose texts a function puts together
    known = {name for name in (*FAMILIES, *SAME, CHATML) if not name.startswith(made)}
    assert known <= unsloths.keys()
    assert unsloths.keys() - known == {
        *("unsloth", "vicuna", "vicuna_old", "vicuna old", "alpaca"),
        *("gemma", "gemma2", "gemma_chatml", "gemma2_chatml"),
    }
