"""Values of another kind than a tool expects, and files that are no configs: told with place and way out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ftspec.errors import SpecError
from ftspec.port.bring import bring
from ftspec.port.traces import told
from ftspec.spec.load import loads
from tests.port.conftest import Bring, fate

LLAMAFACTORY = "model_name_or_path: org/model\nstage: sft\ndo_train: true\ntemplate: qwen\n"
TRL = "model_name_or_path: org/model\nuse_peft: true\n"
AXOLOTL = "base_model: org/model\nadapter: lora\nsequence_len: 512\n"
TORCHTUNE = "model: {_component_: torchtune.models.llama3_2.lora_llama3_2_1b, lora_rank: 8}\n"
OUMI = "model: {model_name: org/model}\n"
ENGINE = '{"train_micro_batch_size_per_gpu": 2, %s}'


@pytest.mark.parametrize(
    ("wanted", "text", "key"),
    [
        ("llamafactory", f"{LLAMAFACTORY}dataset: 5\n", "dataset"),
        ("llamafactory", f"{LLAMAFACTORY}dataset: a\nlora_target: [1]\n", "lora_target"),
        ("llamafactory", f"{LLAMAFACTORY}max_samples: true\n", "max_samples"),
        ("trl", f"{TRL}trainer: [dpo]\n", "trainer"),
        ("trl", f"{TRL}lora_target_modules: 5\n", "lora_target_modules"),
        ("trl", f"{TRL}trainer: grpo\nreward_weights: 5\n", "reward_weights"),
        ("trl", f"{TRL}datasets: [{{path: a, columns: [{{b: 1}}]}}]\n", "datasets[0].columns[0].b"),
        ("axolotl", f"{AXOLOTL}warmup_steps: x\n", "warmup_steps"),
        ("axolotl", f"{AXOLOTL}num_epochs: []\n", "num_epochs"),
        ("axolotl", f"{AXOLOTL}datasets: 5\n", "datasets"),
        ("axolotl", f"{AXOLOTL}lora_modules_to_save: 1.5\n", "lora_modules_to_save"),
        ("axolotl", f"{AXOLOTL}save_strategy: {{a: 1}}\n", "save_strategy.a"),
        ("axolotl", f"{AXOLOTL}save_strategy: never\n", "save_strategy"),
        ("axolotl", f"{AXOLOTL}plugins: 7\n", "plugins"),
        ("trl", f"{TRL}trainer: reward\nlora_modules_to_save: 1.5\n", "lora_modules_to_save"),
        ("trl", f"{TRL}trainer: grpo\nreward_model_path: ''\n", "reward_model_path"),
        ("trl", f"{TRL}trainer: grpo\nreward_funcs: []\n", "reward_funcs"),
        ("axolotl", f"{AXOLOTL}val_set_size: .inf\n", "val_set_size"),
        ("axolotl", f"{AXOLOTL}val_set_size: -1\n", "val_set_size"),
        ("axolotl", f"{AXOLOTL}warmup_steps: .inf\n", "warmup_steps"),
        (
            "axolotl",
            f"{AXOLOTL}gradient_accumulation_steps: {{a: 1}}\n",
            "gradient_accumulation_steps.a",
        ),
        ("torchtune", f"{TORCHTUNE}epochs: x\n", "epochs"),
        ("torchtune", f"{TORCHTUNE}dtype: []\n", "dtype"),
        (
            "torchtune",
            f"{TORCHTUNE}dataset: {{_component_: torchtune.datasets.alpaca_dataset, column_map: 1.5}}\n",
            "dataset.column_map",
        ),
        ("oumi", f"{OUMI}training: {{trainer_type: TRL_SFT, num_train_epochs: x}}\n", None),
        ("deepspeed", ENGINE % '"bf16": 5', "bf16"),
        ("deepspeed", ENGINE % '"scheduler": {"type": []}', "scheduler.type"),
        (
            "deepspeed",
            ENGINE % '"scheduler": {"type": "WarmupLR", "params": 5}',
            "scheduler.params",
        ),
        ("accelerate", "mixed_precision: []\ndistributed_type: MULTI_GPU\n", "mixed_precision"),
    ],
)
def test_a_value_of_another_kind_is_not_understood(
    read: Bring, wanted: str, text: str, key: str | None
) -> None:
    name = "config.json" if wanted == "deepspeed" else "config.yaml"
    imported = read(text, name, wanted=wanted)
    lost = [fate for fate in imported.fates if not fate.faithful]
    odd = [fate for fate in lost if fate.setting.key == (key or "training.num_train_epochs")]
    assert odd, [(fate.setting.key, fate.kind, fate.why) for fate in imported.fates]
    assert all(fate.why and fate.setting.line for fate in odd)


@pytest.mark.parametrize("size", ["0", "-1"])
def test_a_batch_that_is_none_is_not_understood(read: Bring, size: str) -> None:
    imported = read(f"{TRL}per_device_train_batch_size: {size}\n", wanted="trl")
    (fate,) = [f for f in imported.fates if f.setting.key == "per_device_train_batch_size"]
    assert not fate.faithful and fate.why


@pytest.mark.parametrize(
    ("name", "content", "message", "hint"),
    [
        ("model.bin", b"\xff\xfe\x00", "not UTF-8 text", "name a config"),
        ("wide.yaml", b"a\0:\0 \0001\0", "bytes of value 0", "save it as UTF-8"),
        ("training_args.bin", b"PK\x03", "a pickle is a program", "adapter_config.json"),
        (
            "adapter_config.json",
            b'{"peft_type": "LORA", "base_model_name_or_path": "a"}',
            "a saved adapter's",
            "ftspec diff",
        ),
        (
            "trainer_state.json",
            b'{"global_step": 1, "log_history": []}',
            "trainer's",
            "ftspec diff",
        ),
        ("list.yaml", b"[1, 2]", "a mapping, and this is a list", "keys and values"),
        ("word.yaml", b"word", "this is one value, 'word'", "keys and values"),
        ("list.json", b"[1]", "an object, and this is a list", "keys and values"),
        ("rows.jsonl", b'{"a": 1}\n{"a": 2}\n', "not YAML", "this line"),
        ("cut.json", b"{", "not JSON", "this line"),
        ("noted.json", b'{"a": 1, // one\n}', "not JSON", "JSON has no comments"),
        ("comma.json", b'{"a": 1,}', "not JSON", "no comma may stand before"),
        ("template.json", b'{"a": CONFIG_SIZE}', "not JSON", "`CONFIG_SIZE` is no value"),
        ("python.json", b'{"a": True}', "not JSON", "JSON says true"),
        ("cut.py", b"def (", "not Python", "this line"),
        ("cells.ipynb", b'{"cells": 5}', "a notebook has a list of cells", "save it anew"),
        ("cut.ipynb", b"x", "not JSON", "this line"),
        ("run.sh", b"llamafactory-cli train gone.yaml\n", "`gone.yaml`: the settings", "copy it"),
        ("own.yaml", b"version: 1\nmodel: org/m\ndata: a.jsonl\n", "spec of ftspec", "ftspec plan"),
        ("stages.yaml", b"model: m\ndata: a.jsonl\nstages: []\n", "spec of ftspec", "ftspec plan"),
    ],
)
def test_a_file_that_is_no_config_is_named_with_a_way_out(
    tmp_path: Path, name: str, content: bytes, message: str, hint: str
) -> None:
    (file := tmp_path / name).write_bytes(content)
    with pytest.raises(SpecError) as caught:
        bring([file])
    (problem,) = caught.value.problems
    assert message in problem.message and hint in problem.hint
    assert problem.file == str(file)


def test_a_folder_and_a_missing_file_are_told_apart(tmp_path: Path) -> None:
    for path, message in ((tmp_path, "this is a folder"), (tmp_path / "gone", "no such file")):
        with pytest.raises(SpecError, match=message) as caught:
            bring([path])
        assert caught.value.problems[0].hint


def test_files_that_cannot_be_read_are_told_all_at_once(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        bring([tmp_path / "gone.yaml", tmp_path / "away.json"])
    assert [Path(problem.file).name for problem in caught.value.problems] == [
        "gone.yaml",
        "away.json",
    ]


def test_what_is_no_file_that_stays_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    for path, message in ((tmp_path / "pipe.yaml", "this is a pipe"), (Path("-"), "no such file")):
        with pytest.raises(SpecError, match=message) as caught:
            bring([path])
        assert "standard input is not read" in caught.value.problems[0].hint


def test_a_trace_that_is_cut_is_named(tmp_path: Path) -> None:
    (file := tmp_path / "adapter_config.json").write_text("{", "utf-8")
    with pytest.raises(SpecError, match="not JSON") as caught:
        told(tmp_path)
    assert caught.value.problems[0].file == str(file)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (
            "datasets: [{path: org/rows, type: chat_template, message_property_mappings: 1.5}]\n",
            None,
        ),
        (
            "datasets: [{path: org/rows, type: chat_template, message_property_mappings: [[]]}]\n",
            None,
        ),
        (
            "datasets: [{path: org/rows, type: chat_template, "
            "message_property_mappings: {role: {a: 1}}}]\n",
            "datasets[0].message_property_mappings.role.a",
        ),
    ],
)
def test_names_of_columns_that_are_none(read: Bring, text: str, key: str | None) -> None:
    imported = read(f"base_model: org/model\n{text}", wanted="axolotl")
    key = key or "datasets[0].message_property_mappings"
    lost = [fate for fate in imported.fates if fate.setting.key.startswith(key)]
    assert [fate.kind for fate in lost] and not any(fate.faithful for fate in lost)


def test_a_number_that_json_has_not_is_not_kept(read: Bring) -> None:
    text = "model_name_or_path: org/model\nstage: sft\npreprocessing_num_workers: .nan\n"
    assert read(text, wanted="llamafactory").composed.spec.native == {}


HUGE = "1000000000000000000000000000000"


@pytest.mark.parametrize(
    ("wanted", "text", "key"),
    [
        ("llamafactory", LLAMAFACTORY, "preprocessing_num_workers"),
        ("llamafactory", LLAMAFACTORY, "apollo_update_interval"),
        ("axolotl", AXOLOTL, "max_steps"),
        ("axolotl", f"{AXOLOTL}chat_template: chatml\nchat_template_kwargs:\n  ", "deep"),
    ],
)
def test_a_number_that_is_too_large_comes_into_no_spec(
    read: Bring, wanted: str, text: str, key: str
) -> None:
    imported = read(f"{text}{key}: {HUGE}\n", wanted=wanted)
    loads(imported.composed.text)
    (lost,) = (fate for fate in imported.fates if fate.setting.key.endswith(key))
    assert lost.why and lost.kind in ("unknown", "inert")


UNSEEN = ("a\x00b", "\x1b[2J", "a\x85b", "\u2028x", "\u202ex", "\ufeff", "\x0c")
"""What no spec may hold, because nobody would see it there."""
SLOTS = (
    ("llamafactory", f"{LLAMAFACTORY}dataset: a\ndefault_system: %s\n"),
    ("llamafactory", f"{LLAMAFACTORY}dataset: %s\n"),
    ("llamafactory", f"{LLAMAFACTORY}dataset: a\nray_run_name: %s\n"),
    ("trl", f"{TRL}dataset_name: a\neos_token: %s\n"),
    ("trl", f"{TRL}dataset_name: a\nhub_model_id: %s\n"),
    ("trl", f"{TRL}dataset_name: a\nnothing: %s  # %s\n"),
    ("axolotl", f"{AXOLOTL}datasets: [{{path: o/d, type: {{format: x, system_prompt: %s}}}}]\n"),
    (
        "axolotl",
        f"{AXOLOTL}datasets: [{{path: %s, type: alpaca}}]\nspecial_tokens: {{pad_token: %s}}\n",
    ),
)


@pytest.mark.parametrize(("wanted", "text"), SLOTS)
def test_what_nobody_would_see_comes_into_no_spec(read: Bring, wanted: str, text: str) -> None:
    for unseen in UNSEEN:
        imported = read(text.replace("%s", json.dumps(unseen)), wanted=wanted)
        assert unseen not in imported.composed.text
        loads(imported.composed.text)


def test_a_value_that_hides_something_is_told(read: Bring) -> None:
    imported = read(f'{TRL}dataset_name: a\neos_token: "a\\u2028"\n', wanted="trl")
    (lost,) = (fate for fate in imported.fates if fate.setting.key == "eos_token")
    assert (lost.kind, "cannot be seen" in lost.why) == ("unknown", True)


def test_a_number_may_name_a_part(read: Bring) -> None:
    text = f"{AXOLOTL}max_memory: {{0: 10GiB, cpu: 3GiB}}\n"
    found = {fate.setting.key: fate.kind for fate in read(text, wanted="axolotl").fates}
    assert (found["max_memory.0"], found["max_memory.cpu"]) == ("inert", "inert")


@pytest.mark.parametrize("text", [f"{AXOLOTL}5: 6\n", f"{AXOLOTL}max_memory: {{on: 10GiB}}\n"])
def test_what_names_nothing_is_named_with_its_place(read: Bring, text: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(text, wanted="axolotl")
    (problem,) = caught.value.problems
    assert "not a name" in problem.message
    assert (problem.line, problem.hint) == (4, "quote it")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (
            "base_model: org/m\nadapter: lora\nspecial_tokens.pad_token: <x>\n",
            "special_tokens.pad_token",
        ),
        ("base_model: org/m\nadapter: lora\n'datasets[0].path': org/r\n", "datasets[0].path"),
        (
            "model: {model_name: org/m}\ntraining.max_steps: 5\ntraining: {trainer_type: TRL_SFT}\n"
            "data: {train: {datasets: [{dataset_name: org/r}]}}\n",
            "training.max_steps",
        ),
    ],
)
def test_a_dot_in_a_key_is_none_between_sections(read: Bring, text: str, key: str) -> None:
    """YAML and JSON have sections for that: no framework cuts the names of its keys."""
    kind, why = fate(read(text), f"'{key}'")
    assert kind == "unknown"
    assert "a dot in it" in why
