"""Chat templates of axolotl's configs: which of those that are named writes the rows."""

from __future__ import annotations

import pytest

from tests.port.conftest import Bring, fate
from tests.port.test_unknown_keys import AXOLOTL

BASE = AXOLOTL[: AXOLOTL.index("datasets:")] + AXOLOTL[AXOLOTL.index("adapter:") :]
MARKS = {"chatml": "<|im_start|>", "llama3": "<|start_header_id|>"}


def config(whole: str, *own: str) -> str:
    """Of the whole, and of each data set; nothing where it is empty."""
    sets = "".join(
        f"  - path: d{number}.jsonl\n    type: chat_template\n"
        + (f"    chat_template: {name}\n" if name else "")
        for number, name in enumerate(own)
    )
    return f"{BASE}datasets:\n{sets}" + (f"chat_template: {whole}\n" if whole else "")


@pytest.mark.parametrize(
    ("whole", "own", "writes"),
    [
        ("llama3", "chatml", "chatml"),
        ("tokenizer_default", "chatml", "chatml"),
        ("chatml", "tokenizer_default", "chatml"),
        ("chatml", "tokenizer_default_fallback_llama3", "chatml"),
        ("llama3", "", "llama3"),
        ("", "llama3", "llama3"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_the_data_set_decides(read: Bring, whole: str, own: str, writes: str, first: bool) -> None:
    """utils/chat_templates/base.py; the tokenizer has that of the whole by then (loaders/tokenizer.py)."""
    text = config(whole, own)
    *rest, last = text.splitlines(True)
    imported = read("".join([last, *rest]) if first and whole else text)
    (template,) = imported.files.values()
    assert MARKS[writes] in template
    assert imported.composed.values["model.chat_template"].endswith(".jinja")
    if whole and own:
        idle = "datasets[0].chat_template" if own.startswith("tokenizer") else "chat_template"
        assert fate(imported, idle)[0] == "inert"


@pytest.mark.parametrize(
    "whole", ["", "chat_template: llama3\n", 'chat_template_jinja: "{{ b }}"\n']
)
def test_a_text_of_the_data_set_decides(read: Bring, whole: str) -> None:
    own = '    chat_template: jinja\n    chat_template_jinja: "{{ a }}"\n'
    imported = read(config("", "") + own + whole)
    assert [*imported.files.values()] == ["{{ a }}"]
    assert fate(imported, "datasets[0].chat_template_jinja")[0] == "derived"
    if whole:
        assert fate(imported, whole.partition(":")[0])[0] == "inert"


@pytest.mark.parametrize(
    ("whole", "own"), [("", ("chatml", "llama3")), ("", ("chatml", "")), ("llama3", ("", "chatml"))]
)
def test_two_of_them_are_not_in_a_spec(read: Bring, whole: str, own: tuple[str, ...]) -> None:
    imported = read(config(whole, *own))
    for number, name in enumerate(own):
        if name:
            assert fate(imported, f"datasets[{number}].chat_template")[0] == "unknown"
    assert "chatml" not in str(imported.files) and not imported.faithful


def test_rows_that_are_no_conversations_have_none(read: Bring) -> None:
    said = AXOLOTL.replace("type: alpaca", "type: alpaca\n    chat_template: chatml")
    assert fate(read(said), "datasets[0].chat_template")[0] == "inert"


def test_rows_beside_a_stream_are_not_read(read: Bring) -> None:
    imported = read(f"{AXOLOTL}pretraining_dataset: org/texts\nmax_steps: 10\n")
    assert fate(imported, "datasets[0].type")[0] == "inert"


CHAT_KEYS = (
    *("field_messages: turns", "message_field_role: from", "drop_system_message: true"),
    *("message_property_mappings: {content: value}", "roles: {user: [human]}", "field: text"),
    *("text_column: text", "chat_template_jinja: '{{ x }}'"),
)


@pytest.mark.parametrize("said", CHAT_KEYS)
@pytest.mark.parametrize("kind", ["alpaca", "{field_instruction: q, format: '{instruction}'}"])
def test_keys_that_questions_and_answers_do_not_read(read: Bring, said: str, kind: str) -> None:
    """Each is asked for by the strategies of other types alone (prompt_strategies/)."""
    imported = read(AXOLOTL.replace("type: alpaca", f"type: {kind}\n    {said}"))
    key = said.partition(":")[0]
    (found,) = [one for one in imported.fates if one.setting.key.partition("].")[2].startswith(key)]
    assert found.kind == "inert"
    assert imported.composed.values["data.drop_system"] is False
    assert imported.composed.values["data.prepare"] == "framework"
    assert imported.composed.values["model.chat_template"] == "tokenizer"


def test_where_older_conversations_stand(read: Bring) -> None:
    kind = "type: sharegpt\n    conversation: chatml\n    field_messages: turns"
    imported = read(AXOLOTL.replace("type: alpaca", kind))
    (source,) = imported.composed.values["data.train"]
    assert source["columns"] == {"conversations": "turns"}
    other = read(AXOLOTL.replace("type: alpaca", f"{kind}\n    message_field_role: speaker"))
    assert fate(other, "datasets[0].message_field_role")[0] == "unknown"
