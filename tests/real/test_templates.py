"""Chat templates from files, system prompts, tools and thoughts: what the model is given, everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftspec.verify.inputs import MASKED, rows
from tests.real.conftest import BACKENDS, Lab, Proven
from tests.real.test_options import THREE, assert_equal, refusal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
SYSTEM = "Answer like a pirate."
PREPARED = (*THREE, "data.prepare=ftspec", "data.overflow=truncate", "data.max_length=256")
TOOLS = """\
{%- if tools %}
{{- '<|im_start|>tools\\n' }}{% for tool in tools %}{{ tool | tojson }}{% endfor %}{{ '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.reasoning_content and loop.last %}
{{- '<think>\\n' + message.reasoning_content + '\\n</think>\\n' }}
{%- endif %}
{{- message.content }}
{%- for call in message.tool_calls or [] %}
{{- '<call>' + (call.function | tojson) + '</call>' }}
{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
"""
"""Prints tools, and thoughts of the last turn only; marks no turn, as most templates."""
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a town.",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}},
    },
}


@pytest.fixture(scope="module")
def folder(lab: Lab) -> Path:
    """Conversations with tools and thoughts, and a template that prints them."""
    folder = lab.base / "templates"
    folder.mkdir(exist_ok=True)
    call = {"type": "function", "function": {"name": "weather", "arguments": {"town": "Ulm"}}}
    talk = [
        {"role": "user", "content": "Will it rain in Ulm?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "sunny"},
        {"role": "assistant", "content": "No.", "reasoning_content": "Sunny means no rain."},
    ]
    lines = [
        json.dumps(
            {"messages": [{"role": "user", "content": f"{n}."}, *talk[1:]], "tools": [WEATHER]}
        )
        for n in range(16)
    ]
    (folder / "tools.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "tools.jinja").write_text(TOOLS, "utf-8")
    return folder


def texts(proof: Proven, backend: str = "trl") -> list[str]:
    return [row.text or "" for row in rows(proof.evidence(backend))]


@pytest.mark.parametrize("prepare", ["framework", "ftspec"])
def test_a_system_prompt_where_there_is_none(lab: Lab, prepare: str) -> None:
    every = (
        "train.steps=null",
        "train.epochs=1",
        "train.batch_size=16",
        "train.micro_batch_size=8",
    )
    proof = lab.prove(*every, f"data.system='{SYSTEM}'", f"data.prepare={prepare}")
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(BACKENDS)
    found = texts(proof)
    opening = f"<|im_start|>system\n{SYSTEM}<|im_end|>"
    own = [text for text in found if not text.startswith(opening)]
    assert own and len(own) < len(found)  # some rows bring one: theirs stays, and stands alone
    assert all(text.startswith("<|im_start|>system\n") for text in own)
    assert all(text.count("<|im_start|>system") == 1 for text in found)


def test_a_template_from_a_file_with_tools_and_thoughts(lab: Lab, folder: Path) -> None:
    sets = (
        "data.train=../templates/tools.jsonl", "model.chat_template=../templates/tools.jinja",
    )  # fmt: skip
    assert "does not mark the assistant's turns" in refusal(lab, "trl", *THREE, *sets)
    assert "a template file cannot be given" in refusal(lab, "llamafactory", *THREE, *sets)
    proof = lab.prove(*PREPARED, *sets)
    assert_equal(proof)
    assert set(proof.certificate.runs) == {"trl", "unsloth", "deepspeed"}
    for row in rows(proof.evidence("trl")):
        text = row.text or ""
        assert "The weather of a town." in text
        assert "<call>" in text and "<think>\nSunny means no rain.\n</think>\nNo." in text
        trained = [label for label in row.labels or () if label != MASKED]
        assert 0 < len(trained) < len(row.ids)
    saved = (proof.model("trl") / "chat_template.jinja").read_text("utf-8")
    assert saved.strip() == TOOLS.strip()
