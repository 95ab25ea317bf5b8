"""Named templates: what they print, what they mark, and that LLaMA-Factory's slots say the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ftspec.data.example import Message
from ftspec.data.named import named_template, special_tokens
from ftspec.data.prepare import text_side
from ftspec.data.template import Template
from ftspec.errors import SpecError
from ftspec.plan.make import make_plan
from ftspec.spec.load import load
from ftspec.spec.model import NAMED
from ftspec_llamafactory import named
from ftspec_llamafactory.slots import HOLE
from tests.conftest import SPECS
from tests.unit.preview_samples import TOKENS

TALK = [
    Message("user", "One?"),
    Message("assistant", " Two.\n"),
    Message("user", "Three?"),
    Message("assistant", "Four."),
]
SYSTEM = Message("system", "Be brief.")


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("system", [True, False])
def test_the_text_is_that_of_the_slots(name: str, system: bool) -> None:
    template = Template(named_template(name), TOKENS.special)
    slots = named.named_slots(name, TOKENS)
    said = SYSTEM.content if system else slots.default_system
    text = slots.prefix + (slots.system.replace(HOLE, said) if said else "")
    answers = []
    for message in TALK:
        slot = slots.user if message.role == "user" else slots.assistant
        text += slot.replace(HOLE, message.content)
        if message.role == "assistant":
            answers.append(slot.replace(HOLE, message.content))
    rendered = template.render([SYSTEM, *TALK] if system else TALK)
    assert rendered.text == text
    assert [rendered.text[start:end] for start, end in rendered.spans] == answers
    opened = template.render([SYSTEM, *TALK[:1]] if system else TALK[:1], prompt=True).text
    assert text.startswith(opened) and text[len(opened) :].startswith(TALK[1].content)


def test_what_they_print_of_the_vocabulary() -> None:
    assert special_tokens("llama3") == ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
    assert special_tokens("deepseek3") == ("<\uff5cUser\uff5c>", "<\uff5cAssistant\uff5c>")
    assert special_tokens("qwen3_nothink") == ("<|im_start|>", "<|im_end|>")
    assert set(named.NAMED) == set(NAMED)


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
