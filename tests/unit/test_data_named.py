"""Named templates: what they print, what they mark, and that LLaMA-Factory's slots say the same."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ftspec.data.example import Example, Message
from ftspec.data.named import special_tokens, templates
from ftspec.data.named_text import named_template
from ftspec.data.template import Template
from ftspec.data.text_side import text_side
from ftspec.errors import DataError, SpecError
from ftspec.plan.make import make_plan
from ftspec.spec.chat_templates import NAMED, THINKING
from ftspec.spec.load import load
from ftspec_llamafactory import named
from ftspec_llamafactory.rows import SlotRows
from tests.conftest import SPECS
from tests.unit.preview_samples import TOKENS

TALK = [
    Message("user", "One?"),
    Message("assistant", " Two.\n"),
    Message("user", "Three?"),
    Message("assistant", "Four."),
]
SYSTEM = Message("system", "Be brief.")


def texts(name: str, system: str, talk: list[Message], **how: bool) -> list[str]:
    """What LLaMA-Factory's slots make of each turn."""
    rule = SlotRows(TOKENS, named.named_slots(name, TOKENS), 10**6, False, **how)
    said = [Message("system", system), *talk] if system else talk
    return ["".join(turn) for turn in rule.turns(Example("chat", said))]


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("system", ["Be brief.", ""])
@pytest.mark.parametrize("last", [True, False])
def test_the_text_is_that_of_the_slots(name: str, system: str, last: bool) -> None:
    template = Template(named_template(name, last), TOKENS.special)
    for thinking in (True, False) if name in THINKING else (True,):
        given = replace(template, options={"enable_thinking": thinking})
        first, *middle, answer = turns = texts(
            name, system, TALK, last_only=last, thinking=thinking
        )
        talk = [Message("system", system), *TALK] if system else TALK
        rendered = given.render(talk)
        assert rendered.text == "".join(turns)
        assert rendered.text[slice(*rendered.spans[-1])] == answer
        assert len(rendered.spans) == 2
        asked = given.render(talk[:-1], prompt=True).text
        assert asked == "".join((first, *middle))


@pytest.mark.parametrize("name", THINKING)
def test_thoughts_that_answers_have(name: str) -> None:
    opened, closed = templates()[name].thought_words
    talk = [
        Message("user", "One?"),
        Message("assistant", f"{opened}Hm.{closed}\nTwo.{opened}a{opened}b{closed} c {opened}d"),
        Message("user", "Three?"),
        Message("assistant", f"{opened}So.{closed}Four."),
    ]
    for last in (True, False):
        for thinking in (True, False):
            said = Template(
                named_template(name, last), TOKENS.special, options={"enable_thinking": thinking}
            ).render(talk)
            assert said.text == "".join(texts(name, "", talk, last_only=last, thinking=thinking))
            assert ("Hm." in said.text) == (thinking and not last)
            assert ("So." in said.text) == thinking


def test_turns_that_it_has_no_words_for_are_refused() -> None:
    template = Template(named_template("chatml"), TOKENS.special)
    with pytest.raises(DataError, match="no such turn of the role tool"):
        template.render([*TALK, Message("tool", "x")])


def test_why_the_others_cannot_be_named() -> None:
    assert {name for name, one in templates().items() if not one.unfit} == set(NAMED)
    assert {name for name in NAMED if templates()[name].thought_words} == set(THINKING)
    assert len(templates()) == 121
    assert "end of an answer" in templates()["glm4"].unfit
    assert "plain words" in templates()["vicuna"].unfit


def test_what_they_print_of_the_vocabulary() -> None:
    assert special_tokens("llama3") == ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
    assert special_tokens("deepseek3") == ("<\uff5cUser\uff5c>", "<\uff5cAssistant\uff5c>")
    assert special_tokens("qwen3_nothink") == ("<|im_start|>", "<|im_end|>")
    assert "</think>" in special_tokens("mimo_v2")  # the answer follows at once


def test_a_tokenizer_without_the_tokens_is_refused() -> None:
    spec = load(SPECS / "quickstart.yaml", ("model.chat_template=llama3",))
    with pytest.raises(SpecError, match=r"no token <\|start_header_id\|>") as caught:
        make_plan(spec, "trl")
    assert caught.value.problems[0].path == "model.chat_template"


def test_the_same_text_goes_to_every_backend(tmp_path: Path) -> None:
    spec = load(SPECS / "quickstart.yaml", ("model.chat_template=chatml",))
    for backend in ("trl", "unsloth", "deepspeed"):
        files = {file.path: file.content for file in make_plan(spec, backend, tmp_path).files()}
        assert files["chatml.chat_template.jinja"].decode() == named_template("chatml")
        assert b'chat_template_path="chatml.chat_template.jinja"' in files["train.py"]
    native = make_plan(spec, "llamafactory", tmp_path).native
    assert native["template"] == "chatml"
    _, template = text_side("tiny-model", "main", "chatml", SPECS)
    assert template is not None and template.source == named_template("chatml")


def test_a_file_of_the_same_name_is_a_file(tmp_path: Path) -> None:
    shutil.copytree(SPECS / "tiny-model", tmp_path / "tiny-model")
    (tmp_path / "rows.jsonl").write_text(
        json.dumps(
            {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
        )
    )
    (tmp_path / "chatml.chat_template.jinja").write_text(named_template("llama3"))
    (tmp_path / "spec.yaml").write_text(
        "model: {name: ./tiny-model, chat_template: chatml.chat_template.jinja}\ndata: rows.jsonl\n"
    )
    plan = make_plan(load(tmp_path / "spec.yaml"), "trl", tmp_path / "build")
    assert plan.native["SFTConfig.chat_template_path"] == "../chatml.chat_template.jinja"
    assert not [file for file in plan.files() if file.path.endswith(".jinja")]
