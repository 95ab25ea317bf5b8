"""Rows that a chat template writes, as the preview shows them, against those that the frameworks make."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tokenizers
from tokenizers.processors import TemplateProcessing

from tests.real.previewed import ROWS, compare, ours

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

WORDS = {
    "llama3": ("<|start_header_id|>", "<|eot_id|>", "<|end_header_id|>", "<|eom_id|>"),
    "phi4": ("<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|endoftext|>"),
    "deepseek3": (
        "<\uff5cUser\uff5c>",
        "<\uff5cend\uff5c>",
        "<\uff5cAssistant\uff5c>",
        "<\uff5cbegin\uff5c>",
    ),
    "qwen": ("<|im_start|>", "<|im_end|>", "<|pad|>", "<|endoftext|>"),
}
"""The special tokens of each template, in the place of the tiny model's own: opening, end, and two more."""


@pytest.mark.parametrize(
    ("backend", "name"), [*(("llamafactory", name) for name in WORDS), ("trl", "llama3")]
)
def test_a_named_template_gives_the_same_rows(project: Path, backend: str, name: str) -> None:
    own = ("<|im_start|>", "<|im_end|>", "<|pad|>", "<|endoftext|>")
    model = project / f"tiny-{name}"
    if not model.exists():
        shutil.copytree(project / "tiny-model", model)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        text = (project / "tiny-model" / file).read_text("utf-8")
        for mine, theirs in zip(own, WORDS[name], strict=True):
            text = text.replace(mine, theirs)
        (model / file).write_text(text, "utf-8")
    config = json.loads((model / "tokenizer_config.json").read_text("utf-8"))
    config["bos_token"] = WORDS[name][3]
    (model / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    said = compare(project, backend, f"model=./tiny-{name}", f"model.chat_template={name}")
    assert len(said) == 64


TURN = "'<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n'"
OPENING = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
TEMPLATES = {
    "default-system": "{% if messages[0].role != 'system' %}<|im_start|>system\nBe brief.<|im_end|>\n"
    "{% endif %}{% for m in messages %}{{ " + TURN + " }}{% endfor %}" + OPENING,
    "trimmed-with-bos": "{{ bos_token }}{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n\\n' }}"
    "{% if m.role == 'assistant' %}{% generation %}{{ m.content | trim + '<|im_end|>' }}"
    "{% endgeneration %}{% else %}{{ m.content | trim + '<|im_end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n\\n' }}{% endif %}",
    "thinking": "{% for m in messages %}{% if m.role == 'assistant' and loop.last and "
    "'<think>' not in m.content %}{{ '<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n' + m.content "
    "+ '<|im_end|>\\n' }}{% else %}{{ " + TURN + " }}{% endif %}{% endfor %}" + OPENING,
    "no-special-tokens": "{% for m in messages %}{{ m.role + ': ' + m.content + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}",
}
"""Templates that its parser takes for something else, in one way or another."""


def model(project: Path, name: str) -> str:
    """The tiny model with another chat template, and with a BOS where the template prints one."""
    folder = project / name
    if not folder.exists():
        shutil.copytree(project / "tiny-model", folder)
        (folder / "chat_template.jinja").write_text(TEMPLATES[name])
        if "bos_token" in TEMPLATES[name]:
            tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
            bos = tokenizer.id_to_token(0)
            single = TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, 0)])
            tokenizer.post_processor = single
            tokenizer.save(str(folder / "tokenizer.json"))
            config = folder / "tokenizer_config.json"
            config.write_text(json.dumps({**json.loads(config.read_text()), "bos_token": bos}))
    return f"model.name=./{name}"


@pytest.mark.parametrize("train_on", ["assistant", "completions"])
@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_are_taken_apart_as_llamafactory_does(
    project: Path, name: str, train_on: str
) -> None:
    shutil.copy(ROWS, project / "data" / "awkward.jsonl")
    sets = (model(project, name), "data.train=data/awkward.jsonl", f"data.train_on={train_on}")
    said = compare(project, "llamafactory", *sets, "data.max_length=72", "data.overflow=truncate")
    lengths = [len(row["input_ids"]) for row in said]
    assert len(said) == len(ROWS.read_text().splitlines())
    assert max(lengths) == 72 and sum(length == 72 for length in lengths) >= 3
    assert sum(length < 72 for length in lengths) >= 6


@pytest.mark.parametrize("backend", ["trl", "unsloth"])
@pytest.mark.parametrize("name", ["trimmed-with-bos", "thinking"])
def test_templates_are_rendered_as_trl_does(project: Path, name: str, backend: str) -> None:
    shutil.copy(ROWS, project / "data" / "awkward.jsonl")
    sets = (model(project, name), "data.train=data/awkward.jsonl", "data.overflow=truncate")
    train_on = "assistant" if "generation %}" in TEMPLATES[name] else "completions"
    said = compare(project, backend, *sets, f"data.train_on={train_on}", "data.max_length=40")
    assert 3 <= len(said) < len(ROWS.read_text().splitlines())  # trl left some out


LONGER = """\
{%- for message in messages -%}
[ says the {{ message.role }} at this place of the talk: ]
{% if message.role == 'assistant' %}{% generation %}{{ message.content }}<|im_end|>
{% endgeneration %}{% else %}{{ message.content }}
{% endif %}{%- endfor -%}
"""


@pytest.mark.parametrize("backend", ["trl", "unsloth"])
def test_rows_are_measured_by_the_template_that_they_are_trained_with(
    project: Path, backend: str
) -> None:
    sets = ("data.overflow=drop", "data.max_length=96", "data.eval=data/chat.eval.jsonl")
    (project / "longer.jinja").write_text(LONGER, "utf-8")
    said = compare(project, backend, *sets, "model.chat_template=longer.jinja")
    by_its_own = ours(project, backend, "train", *sets)  # the tokenizer's template is shorter
    assert 0 < len(said) < len(by_its_own) < 64
