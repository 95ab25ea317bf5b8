"""Which rows an axolotl config trains on, and which of their tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftspec.data.written import written
from tests.port.conftest import Bring, fate
from tests.port.test_axolotl import ALPACAS, LORA, lost

ALPACA = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the "
    "request.\n\n### Instruction:\nAdd 1 and 1.\n\n### Response:\n"
)
"""prompters.py of axolotl, AlpacaPrompter, of a row without an input."""


def test_its_alpaca_prompt_writes_the_rows(read: Bring) -> None:
    imported = read(LORA.replace("chat_template", "alpaca"))
    (source,) = imported.composed.spec.data.train
    assert imported.faithful and source.template is not None
    row = {"instruction": "Add 1 and 1.", "input": "", "output": "2"}
    example = written(source.template, row)
    assert (example.prompt, example.completion) == (ALPACA, "2")


OWN = """\
    type:
      field_instruction: question
      field_output: {column}
      format: "{form}"
      no_input_format: "Q: {{instruction}} A:"
"""


@pytest.mark.parametrize(
    ("column", "form", "why"),
    [
        ("answer", "Q: {instruction} {input} A:", ""),
        ("answer", "{{% if {instruction} %}}", ""),  # braces of a format, which Jinja would run
        ("the answer", "Q: {instruction}", "no text can name the column 'the answer'"),
        ("self", "Q: {instruction}", "no text can name the column 'self'"),
        ("answer", "Q: {instruction!r}", "a field 'instruction'"),
        ("answer", "Q: {topic}", "a field 'topic'"),
        ("answer", "Q: {", "a prompt"),
    ],
)
def test_a_prompt_of_its_own(read: Bring, column: str, form: str, why: str) -> None:
    text = LORA.replace("    type: chat_template\n", OWN.format(column=column, form=form))
    imported = read(text)
    kind, reason = fate(imported, "datasets[0].type.format")
    assert kind == ("unknown" if why else "derived")
    assert imported.faithful == (not why)
    if why and form != "Q: {":
        assert why in reason
    if not why:
        (source,) = imported.composed.spec.data.train
        assert source.template is not None
        row = {"question": "Why?", "input": "So.", "answer": "{{ 1 }}"}
        expected = form.format(instruction="Why?", input="So.")
        example = written(source.template, row)
        assert (example.prompt, example.completion) == (expected, "{{ 1 }}")


@pytest.mark.parametrize("name", ["llama3", "chatml", "gemma3", "qwen3"])
def test_a_named_template_is_axolotls_own(read: Bring, name: str) -> None:
    imported = read(f"{LORA}chat_template: {name}\n")
    assert fate(imported, "chat_template")[0] == "derived"
    (file,) = imported.files
    assert imported.composed.values["model.chat_template"] == f"./{file}"
    assert not lost(imported)


@pytest.mark.parametrize(
    ("entry", "more", "key", "kind", "part"),
    [
        ("train_on_eos: turn", "", "train_on_eos", "derived", "ended"),
        ("train_on_eos: none", "", "train_on_eos", "derived", "said"),
        ("train_on_eos: all", "", "train_on_eos", "unknown", "ended"),
        ("train_on_eot: last", "", "train_on_eot", "unknown", "ended"),
        ("train_on_eot: none", "", "train_on_eot", "derived", "ended"),
        ("train_on_eot: none", "eot_tokens: [<end>]", "train_on_eot", "unknown", "ended"),
        ("roles_to_train: [gpt]", "", "roles_to_train", "derived", "ended"),
        ("roles_to_train: [user]", "", "roles_to_train", "unknown", "ended"),
        ("roles_to_train: []", "", "roles_to_train", "unknown", "ended"),
        ("roles_to_train: [user]", "train_on_inputs: true", "roles_to_train", "inert", "ended"),
        ("message_field_training: train", "", "message_field_training", "renamed", "ended"),
        (
            "message_field_training: train\n    roles_to_train: []",
            *("", "roles_to_train", "approximated", "ended"),
        ),
        (
            "message_field_training_detail: d",
            "",
            "message_field_training_detail",
            "unknown",
            "ended",
        ),
        ("field_thinking: reasoning_content", "", "field_thinking", "inert", "ended"),
        (
            "message_property_mappings: {role: role, content: content, name: name}",
            *("", "message_property_mappings.name", "inert", "ended"),
        ),
        (
            "message_property_mappings: {role: role, content: content, name: who}",
            *("", "message_property_mappings.name", "unknown", "ended"),
        ),
        ("field_thinking: thoughts", "", "field_thinking", "inert", "ended"),
        ("field_tools: functions", "", "field_tools", "inert", "ended"),
        ("split_thinking: false", "", "split_thinking", "inert", "ended"),
        ("drop_system_message: true", "", "drop_system_message", "renamed", "ended"),
    ],
)
def test_which_tokens_of_a_turn_train(
    read: Bring, entry: str, more: str, key: str, kind: str, part: str
) -> None:
    text = LORA.replace("    type: chat_template\n", f"    type: chat_template\n    {entry}\n")
    imported = read(f"{text}{more}\n")
    assert fate(imported, f"datasets[0].{key}")[0] == kind
    assert imported.composed.values["data.turn_part"] == part


def test_flags_in_turns(read: Bring) -> None:
    flag = "    type: chat_template\n    message_field_training: train\n"
    text = LORA.replace("    type: chat_template\n", flag)
    assert read(text).composed.values["data.turn_flag"] == "train"
    second = "  - {path: org/more, type: chat_template}\nadapter"
    imported = read(text.replace("adapter", second, 1))
    assert fate(imported, "datasets[0].message_field_training")[0] == "unknown"


def test_values_that_a_template_is_told(read: Bring) -> None:
    imported = read(f"{LORA}chat_template_kwargs: {{loud: true, day: Monday}}\n")
    assert fate(imported, "chat_template_kwargs.loud")[0] == "derived"
    told = {"loud": True, "day": "Monday"}
    assert imported.composed.values["model.template_options"] == told


def test_data_sets_that_train_other_ends(read: Bring) -> None:
    second = "  - {path: org/more, type: chat_template, train_on_eos: none}\nadapter"
    imported = read(LORA.replace("adapter", second, 1))
    assert fate(imported, "datasets[1].train_on_eos")[0] == "unknown"


def test_rows_of_the_hub_need_a_copy(read: Bring) -> None:
    assert any("org/chats" in note and "copy" in note for note in read(LORA).notes)
    local = LORA.replace("org/chats", "chats.jsonl")
    assert not any("copy" in note for text in (local, ALPACAS) for note in read(text).notes)


def test_a_column_with_a_system_prompt_is_told(read: Bring, tmp_path: Path) -> None:
    talk = '"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]'
    text = LORA.replace("org/chats", "chats.jsonl")
    for rows, kind in ((f"{{{talk}}}", "derived"), (f'{{{talk}, "system": "c"}}', "approximated")):
        (tmp_path / "chats.jsonl").write_text(rows)
        assert fate(read(text), "datasets[0].type")[0] == kind
    named = text.replace("adapter", "    field_system: messages\nadapter")
    (tmp_path / "chats.jsonl").write_text(f"{{{talk}}}")
    assert fate(read(named), "datasets[0].type")[0] == "approximated"


def test_tokens_that_end_turns(read: Bring) -> None:
    imported = read(f"{LORA}eot_tokens: [<end_of_turn>]\n")
    assert fate(imported, "eot_tokens")[0] == "derived"
    assert imported.composed.values["data.turn_ends"] == ("<end_of_turn>",)
    assert fate(read(f"{ALPACAS}eot_tokens: [<end>]\n"), "eot_tokens")[0] == "inert"


def test_every_turn_trains(read: Bring) -> None:
    imported = read(f"{LORA}train_on_inputs: true\n")
    assert fate(imported, "train_on_inputs")[0] == "derived"
    found = imported.composed.values
    assert (found["data.train_on"], found["data.turn_part"]) == ("all", "ended")
    named = read(f"{LORA}train_on_inputs: true\n".replace("org/model", "org/Mistral-7B"))
    assert fate(named, "train_on_inputs")[0] == "approximated"


def test_a_name_is_no_path(read: Bring) -> None:
    imported = read(f"{LORA}chat_template: ../templates/llama3\n")
    assert fate(imported, "chat_template")[0] == "approximated"
    assert not imported.files


@pytest.mark.parametrize(
    ("said", "size"), [("0.05", 0.05), ("200", 200.0), ("0", None), ("0.0", None), ("null", None)]
)
def test_rows_that_are_held_out(read: Bring, said: str, size: float | None) -> None:
    imported = read(f"{LORA}val_set_size: {said}\nevals_per_epoch: 2\n")
    assert imported.composed.values["data.eval_size"] == size
    assert imported.composed.values["train.eval_steps"] == (0.5 if size else None)
    assert imported.composed.values["data.eval_draw"] == ("last" if size else "first")
    assert fate(imported, "val_set_size")[0] in ("derived", "inert")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("val_set_size: 1", "unknown"),  # a share: nothing would be left
        ("val_set_size: 0.1\nshuffle_merged_datasets: false", "approximated"),
        ("val_set_size: 0.1\ncurriculum_sampling: true", "approximated"),
        ("val_set_size: 0.1\nrl: dpo", "approximated"),
        ("val_set_size: 0.1\nrl: dpo\nexcess_length_strategy: raise", "derived"),
    ],
)
def test_rows_that_a_spec_holds_out_otherwise(read: Bring, said: str, kind: str) -> None:
    assert fate(read(f"{LORA}{said}\n"), "val_set_size")[0] == kind


def test_a_slice_of_a_split_is_a_limit(read: Bring) -> None:
    split = "type: chat_template\n    split: train[:500]"
    (source,) = read(LORA.replace("type: chat_template", split)).composed.values["data.train"]
    assert (source["split"], source["limit"]) == ("train", 500)


@pytest.mark.parametrize(
    ("entry", "key", "kind", "found"),
    [
        ("path: org/rows\n    data_files: [a/b.jsonl, 'c*.jsonl.zst']", "data_files", "derived",
         [("org/rows", ("a/b.jsonl", "c*.jsonl.zst"))]),
        ("path: org/rows\n    data_files: a.json\n    revision: v1", "revision", "derived",
         [("org/rows", ("a.json",))]),
        ("path: org/rows\n    data_files: a.json\n    name: b", "name", "unknown",
         [("org/rows", ("a.json",))]),
        ("path: org/rows\n    data_files: 5", "data_files", "unknown", [("org/rows", ())]),
        ("path: ./\n    data_files: [b.jsonl, a.jsonl]", "data_files", "derived",
         [("b.jsonl", ()), ("a.jsonl", ())]),
        ("path: json\n    data_files: a.jsonl", "data_files", "derived", [("a.jsonl", ())]),
        ("path: ./\n    data_files: ['*.jsonl']", "data_files", "unknown", [("./", ())]),
        ("path: ./\n    split: 'train[:5]'\n    data_files: [b.jsonl, a.jsonl]", "data_files", "unknown",
         [("./", ())]),
        ("path: ./rows", "path", "unknown", [("./rows", ())]),
        ("path: s3://rows/a.jsonl", "path", "unknown", [("s3://rows/a.jsonl", ())]),
        ("path: a.jsonl\n    data_files: b.jsonl", "data_files", "inert", [("a.jsonl", ())]),
        ("path: a.jsonl\n    ds_type: csv", "ds_type", "unknown", [("a.jsonl", ())]),
        ("path: a.jsonl\n    ds_type: json\n    revision: v1", "revision", "inert", [("a.jsonl", ())]),
        ("path: org/rows\n    shards: 4", "shards", "unknown", [("org/rows", ())]),
        ("path: org/rows\n    preprocess_shards: 4", "preprocess_shards", "inert", [("org/rows", ())]),
    ],
)  # fmt: skip
def test_where_rows_are(
    read: Bring, entry: str, key: str, kind: str, found: list[tuple[str, tuple[str, ...]]]
) -> None:
    imported = read(ALPACAS.replace("path: org/chats", entry))
    sources = imported.composed.values["data.train"]
    assert fate(imported, f"datasets[0].{key}")[0] == kind
    assert [(one["path"] or one["hub"], tuple(one["files"])) for one in sources] == found
    revision = "v1" if kind == "derived" and key == "revision" else None
    assert all(one["revision"] == revision for one in sources)


def test_pieces_that_are_drawn_before_rows_are_held_out(read: Bring) -> None:
    text = LORA.replace("org/chats", "org/chats\n    preprocess_shards: 4")
    imported = read(f"{text}val_set_size: 0.1\n")
    assert fate(imported, "datasets[0].preprocess_shards")[0] == "approximated"


def test_names_of_roles_replace_those_that_are_known(read: Bring) -> None:
    turns = "    message_property_mappings: {role: from, content: value}\n    roles: "
    for roles, kind in (
        ("{user: [human], assistant: [gpt]}", "derived"),
        ("{assistant: [gpt]}", "unknown"),  # `human` would stay `human`
    ):
        text = LORA.replace("adapter", f"{turns}{roles}\nadapter", 1)
        assert fate(read(text), "datasets[0].roles.assistant")[0] == kind


UNSEEN = "{% for turn in messages %}{{ turn.role + turn.content + turn.thinking }}{% endfor %}"
"""A template that does not call a turn `message`: axolotl hands it role and content alone."""


@pytest.mark.parametrize(
    ("template", "keys", "lost"),
    [
        (UNSEEN, "", True),
        (UNSEEN, "thinking: thinking", False),
        (UNSEEN.replace("turn", "message"), "", False),
        (UNSEEN.replace("turn.thinking", "turn.get('thinking')"), "", True),
        (UNSEEN.replace(" + turn.thinking", ""), "", False),
    ],
)
def test_what_a_template_does_not_get(read: Bring, template: str, keys: str, lost: bool) -> None:
    mapped = f"    message_property_mappings: {{role: role, content: content, {keys}}}\nadapter"
    imported = read(LORA.replace("adapter", mapped, 1) + f'chat_template_jinja: "{template}"\n')
    (text,) = imported.files.values()
    assert text.endswith(template) and (text != template) == lost
    assert imported.faithful


def test_data_sets_that_hand_a_template_other_parts(read: Bring) -> None:
    more = (
        "  - {path: org/more, type: chat_template, message_property_mappings: "
        "{role: role, content: content, thinking: thinking}}\nadapter"
    )
    imported = read(LORA.replace("adapter", more, 1) + f'chat_template_jinja: "{UNSEEN}"\n')
    assert fate(imported, "datasets[0].type")[0] == "unknown"


@pytest.mark.parametrize(
    ("more", "kind", "why"),
    [
        ("rl: dpo", "zephyr.nectar", "by their rank"),
        ("rl: simpo", "chatml.other", "has no type"),
        ("rl: orpo", "alpaca", "has no type"),
        ("rl: dpo", "alpaca", "has no type"),
        ("rl: grpo", "rewards.rows", "the function"),
        ("reward_model: true", "bradley_terry.llama3", "has no type"),
        ("", "bradley_terry.chat_template", "goes with `reward_model: true`"),
        ("", "input_output", "segments"),
        ("", "metharme", "three ends"),
        ("", "sharegpt.load_role", "takes its place"),
        ("", "nowhere", "is not in a spec"),
        ("", "null", "tokens already"),
    ],
)
def test_types_that_are_not_read(read: Bring, more: str, kind: str, why: str) -> None:
    found, reason = fate(read(f"{LORA.replace('chat_template', kind)}{more}\n"), "datasets[0].type")
    assert found == "unknown"
    assert why in reason


@pytest.mark.parametrize(("strategy", "kind"), [("drop", "renamed"), ("truncate", "approximated")])
def test_pairs_that_are_too_long(read: Bring, strategy: str, kind: str) -> None:
    imported = read(f"{LORA}rl: dpo\nsequence_len: 512\nexcess_length_strategy: {strategy}\n")
    assert fate(imported, "excess_length_strategy")[0] == kind
    assert fate(imported, "sequence_len")[0] == "approximated"
    assert imported.composed.values["data.max_length"] == 512


def test_long_answers_of_reward_models(read: Bring) -> None:
    scored = f"{LORA}sequence_len: 64\nreward_model: true\nexcess_length_strategy: truncate\n"
    imported = read(scored)
    assert fate(imported, "excess_length_strategy")[0] == "inert"
    assert "scored at the cut" in fate(imported, "sequence_len")[1]
    assert imported.composed.spec.data.overflow == "truncate"


def test_pairs_of_reward_models_are_turns(read: Bring) -> None:
    """prompt_strategies/bradley_terry: a system turn stands even where its column is empty."""
    text = f"{LORA.replace('chat_template', 'bradley_terry.chat_template')}reward_model: true\n"
    imported = read(text)
    assert fate(imported, "datasets[0].type")[0] == "derived"
    (source,) = imported.composed.spec.data.train
    assert source.template is not None and source.template.system == "{{ system }}"
    assert source.template.format == "preference" and source.template.user == "{{ input }}"
