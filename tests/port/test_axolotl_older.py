"""Configs of axolotl's older releases, as they stand on model cards."""

from __future__ import annotations

import pytest

from tests.port.conftest import Bring, fate
from tests.port.test_unknown_keys import AXOLOTL

SHARED = AXOLOTL.replace("type: alpaca", "type: sharegpt\n    conversation: chatml")
EARLIER = SHARED.replace("conversation: chatml", "conversation: mistral")


def test_conversations_that_fastchat_wrote(read: Bring) -> None:
    imported = read(f"{SHARED}chat_template: llama3\n")
    values = imported.composed.values
    assert fate(imported, "datasets[0].type")[0] == "approximated"
    assert [one["format"] for one in values["data.train"]] == ["sharegpt"]
    assert values["data.system"] == "You are a helpful assistant."
    (text,) = imported.files.values()
    assert "<|im_start|>" in text  # the template of the rows, not the one that is saved
    assert fate(imported, "chat_template")[0] == "inert"
    assert not imported.composed.open


def test_the_system_prompt_of_older_conversations(read: Bring) -> None:
    said = "default_system_message: Be brief.\n"
    assert read(SHARED + said).composed.values["data.system"] == "Be brief."
    assert fate(read(AXOLOTL + said), "default_system_message")[0] == "inert"
    assert read(AXOLOTL + said).composed.values.get("data.system") is None


def test_a_template_of_fastchat_that_is_not_here_is_asked_for(read: Bring) -> None:
    imported = read(EARLIER)
    assert fate(imported, "datasets[0].conversation")[0] == "unknown"
    assert any("template mistral" in one for one in imported.composed.open)
    unnamed = read(EARLIER.replace("\n    conversation: mistral", ""))
    assert any("vicuna_v1.1" in one for one in unnamed.composed.open)


def test_other_names_of_older_roles_are_not_read(read: Bring) -> None:
    imported = read(SHARED.replace("chatml", "chatml\n    field_human: q"))
    assert fate(imported, "datasets[0].type")[0] == "unknown"


@pytest.mark.parametrize(
    ("said", "key", "kind"),
    [
        ("gradient_checkpointing: unsloth\n", "gradient_checkpointing", "derived"),
        ("noisy_embedding_alpha: 0\n", "noisy_embedding_alpha", "inert"),
        ("lora_modules_to_save: []\n", "lora_modules_to_save", "inert"),
        ("is_mistral_derived_model: true\n", "is_mistral_derived_model", "inert"),
        ("eval_table_max_new_tokens: 128\n", "eval_table_max_new_tokens", "inert"),
        ("rl: dpo\nbeta: 0.1\n", "beta", "inert"),
        ("rl: grpo\nvllm: {dtype: auto}\n", "vllm.dtype", "inert"),
        ("rl: grpo\nvllm: {dtype: float16}\n", "vllm.dtype", "unknown"),
        ("load_4bit: false\n", "load_4bit", "inert"),
        ("load_4bit: true\n", "load_4bit", "unknown"),
        ("max_packed_sequence_len: 1024\n", "max_packed_sequence_len", "unknown"),
        ("lr_scheduler: cosine\ncosine_min_lr_ratio: 0.1\n", "lr_scheduler", "derived"),
        ("lr_scheduler: cosine\ncosine_min_lr_ratio: 1.0\n", "lr_scheduler", "derived"),
        (
            "selective_checkpointing:\n  save: [attention]\n",
            "selective_checkpointing.save",
            "inert",
        ),
    ],
)
def test_what_older_and_newer_settings_are(read: Bring, said: str, key: str, kind: str) -> None:
    assert fate(read(AXOLOTL + said), key)[0] == kind


def test_a_schedule_that_ends_above_zero(read: Bring) -> None:
    found = read(f"{AXOLOTL}lr_scheduler: cosine\ncosine_min_lr_ratio: 0.1\n").composed.values
    assert (found["train.schedule.type"], found["train.schedule.min_ratio"]) == ("cosine", 0.1)
    flat = read(f"{AXOLOTL}lr_scheduler: cosine\ncosine_min_lr_ratio: 1\n").composed.values
    assert flat["train.schedule.type"] == "constant"


def test_a_stream_by_its_name_alone(read: Bring) -> None:
    text = "base_model: org/model\npretraining_dataset: allenai/c4\nmax_steps: 9\nlearning_rate: 1e-4\n"
    imported = read(text + "sequence_len: 256\nmicro_batch_size: 2\n")
    assert [one["hub"] for one in imported.composed.values["data.train"]] == ["allenai/c4"]
    assert imported.composed.values["method.objective.type"] == "cpt"


def test_every_setting_of_simpo_is_read(read: Bring) -> None:
    text = AXOLOTL.replace("type: alpaca", "type: chat_template.default")
    imported = read(f"{text}rl: simpo\nsimpo_gamma: 0.5\noutput_dir: out\n")
    assert fate(imported, "output_dir")[0] == "renamed"


def test_a_key_of_a_later_release_says_so_and_a_slip_of_a_beta_does(read: Bring) -> None:
    assert "has it from 0.21.0 on" in fate(read(f"{AXOLOTL}data_seed: 4\n"), "data_seed")[1]
    assert "asks for it" in fate(read(f"{AXOLOTL}relora_steps: 4\n"), "relora_steps")[1]
    plugin = "plugins: [axolotl.integrations.kernels.KernelsPlugin]\nnvfp4_merge_aware: true\n"
    assert "leaves it to plugins" in fate(read(AXOLOTL + plugin), "nvfp4_merge_aware")[1]
    imported = read(f"{AXOLOTL}rl: dpo\nbeta: 0.3\n")
    assert any("rl_beta" in note for note in imported.notes)
    assert imported.composed.values.get("method.objective.beta") in (None, 0.1)


def test_tokens_that_are_named_by_their_use(read: Bring) -> None:
    imported = read(f"{AXOLOTL}tokens:\n  pad_token: '[PAD]'\n")
    assert imported.composed.values["model.special_tokens.pad"] == "[PAD]"
    assert [note for note in imported.notes if note.startswith("tokens that are named")]


@pytest.mark.parametrize(("word", "told"), [("orpo", True), ("kto", True), ("dpo", False)])
def test_longer_prompts_of_older_releases(read: Bring, word: str, told: bool) -> None:
    imported = read(f"{AXOLOTL}rl: {word}\nmax_prompt_len: 256\n")
    assert fate(imported, "max_prompt_len")[0] == "inert"
    assert any("0.8.0 cut longer prompts" in note for note in imported.notes) == told
