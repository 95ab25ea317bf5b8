"""trl's YAML and its recipes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.port.conftest import Bring, fate

LEAST = "model_name_or_path: org/model\ndataset_name: org/chat\noutput_dir: out/one\n"
PEFT = f"{LEAST}use_peft: true\n"


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        # nothing written: what trl's command line assumes, which is neither peft's nor ftspec's default
        (LEAST, "method.tuner.type", "full"),
        (PEFT, "method.tuner.type", "lora"),
        (PEFT, "method.tuner.rank", 16),
        (PEFT, "method.tuner.alpha", 32),
        (PEFT, "method.tuner.dropout", 0.05),
        (PEFT + "lora_r: 8\n", "method.tuner.alpha", 32),
        (PEFT, "method.tuner.targets", ("q_proj", "v_proj")),
        (PEFT + "lora_target_modules: all-linear\n", "method.tuner.targets", "all-linear"),
        (
            PEFT + "lora_target_modules: [k_proj, o_proj]\n",
            "method.tuner.targets",
            ("k_proj", "o_proj"),
        ),
        (LEAST, "data.max_length", 1024),
        (LEAST + "max_seq_length: 2048\n", "data.max_length", 2048),
        (LEAST, "train.learning_rate", 2e-5),
        (LEAST, "precision.compute", "bf16"),
        (LEAST + "fp16: true\n", "precision.compute", "fp16"),
        (LEAST + "bf16: no\n", "precision.compute", "fp32"),
        (LEAST, "train.gradient_checkpointing", True),
        (LEAST, "model.dtype", "float32"),
        (LEAST + "torch_dtype: bfloat16\n", "model.dtype", "bfloat16"),
        (LEAST + "torch_dtype: null\n", "model.dtype", "float32"),
        (PEFT + "dtype: null\n", "model.dtype", "auto"),  # transformers 5
        (LEAST, "train.logging_steps", 10),
        (LEAST, "train.schedule.type", "linear"),
        (LEAST, "train.epochs", 3.0),
        # PyYAML reads text, argparse a number
        (LEAST + "learning_rate: 1e-4\n", "train.learning_rate", 1e-4),
        (LEAST + "per_device_train_batch_size: '4'\n", "train.batch_size", 4),
        (LEAST + "optim: adamw_torch\n", "train.optimizer.type", "adamw"),
        (LEAST + "optim: adamw_bnb_8bit\n", "train.optimizer.type", "adamw-8bit"),
        (LEAST + "use_flash_attention_2: true\n", "model.attention", "flash_attention_2"),
        (LEAST + "evaluation_strategy: steps\neval_steps: 7\n", "train.eval_steps", 7),
        (LEAST + "eval_strategy: steps\nlogging_steps: 5\n", "train.eval_steps", 5),
        (LEAST + "seed: 1\nseed: 2\n", "train.seed", 2),
        (
            LEAST
            + "lr_scheduler_type: cosine_with_min_lr\nlr_scheduler_kwargs: {min_lr_rate: 0.1}\n",
            "train.schedule.min_ratio",
            0.1,
        ),
    ],
)
def test_a_value_and_a_missing_one(read: Bring, text: str, path: str, value: Any) -> None:
    assert read(text).composed.values[path] == value


HANDBOOK = """\
model_name_or_path: org/model
torch_dtype: bfloat16
chat_template: "{% for message in messages %}{{ message.content }}\\n{% endfor %}"
dataset_mixture:
  datasets:
    - id: org/chat
      config: default
      split: train_sft
      columns: [messages]
      weight: 1.0
    - id: org/more
      config: hard
      split: train
      columns: [messages]
      weight: 1.0
  seed: 0
eval_strategy: 'no'
learning_rate: 1e-5
bf16: true
output_dir: out/one
"""


def test_a_mixture_of_the_handbook(read: Bring) -> None:
    imported = read(HANDBOOK, name="recipe.yaml")
    chat, more = imported.composed.spec.data.train
    assert chat.model_dump(exclude_defaults=True) == {
        "hub": "org/chat", "split": "train_sft", "share": 1.0, "format": "messages",
    }  # fmt: skip
    assert (more.hub, more.subset, more.format) == ("org/more", "hard", "messages")
    assert imported.composed.values["data.train_on"] == "all"
    data = imported.composed.spec.data
    assert (data.mixed, data.draw_seed, data.eval_size) == (True, 0, None)
    assert imported.files == {
        "recipe.chat_template.jinja": "{% for message in messages %}{{ message.content }}\n{% endfor %}"
    }
    assert imported.composed.spec.model.chat_template == "./recipe.chat_template.jinja"
    assert imported.faithful, [fate for fate in imported.fates if not fate.faithful]


def test_a_mixer_of_the_first_handbook(read: Bring) -> None:
    imported = read(
        "model_name_or_path: m/m\ndataset_mixer:\n  org/chat: 1.0\n  org/half: 0.5\n"
        "dataset_splits: [train_sft, test_sft]\nevaluation_strategy: epoch\noutput_dir: o\n"
    )
    assert [one.hub for one in imported.composed.spec.data.train] == ["org/chat", "org/half"]
    assert [one.split for one in imported.composed.spec.data.eval] == ["test_sft", "test_sft"]
    data = imported.composed.spec.data
    assert (data.mixed, data.draw_seed) == (True, None)  # 42, as in training
    assert fate(imported, "dataset_mixer.org/chat")[0] == "exact"
    assert fate(imported, "dataset_mixer.org/half")[0] == "unknown"


@pytest.mark.parametrize(
    ("more", "objective"),
    [
        ("num_generations: 8", "grpo"),
        ("gamma_beta_ratio: 0.5", "simpo"),
        ("beta: 0.1\nloss_type: sigmoid", "dpo"),
        ("desirable_weight: 1.0", "kto"),
    ],
)
def test_which_trainer_it_is_for(read: Bring, more: str, objective: str) -> None:
    assert read(LEAST + more).composed.values["method.objective.type"] == objective


def test_a_trainer_that_the_file_does_not_tell_is_asked_for(read: Bring) -> None:
    imported = read(LEAST + "beta: 0.1\n")
    assert any("which trainer" in question for question in imported.composed.open)
    assert not imported.faithful


def test_another_trainers_defaults(read: Bring) -> None:
    assert read(LEAST + "beta: 0.1\nloss_type: ipo").composed.values["train.learning_rate"] == 1e-6


def test_rows_whose_format_is_not_known_are_asked_for(read: Bring) -> None:
    imported = read(LEAST)
    assert any("which format" in question for question in imported.composed.open)
    assert "# TODO: data.train: which format" in imported.composed.text


@pytest.mark.parametrize(
    ("key", "value", "kind", "why"),
    [
        ("dataset_num_proc", "12", "inert", "fast"),
        ("log_level", "info", "inert", "shown"),
        ("report_to", "[wandb]", "exact", ""),
        ("push_to_hub", "true", "derived", ""),
        ("lora_r", "16", "inert", "use_peft"),
        ("gradient_checkpointing_kwargs", "{use_reentrant: true}", "inert", "activations"),
        ("use_liger_kernel", "true", "inert", "kernels"),
        ("save_steps", "0.05", "exact", ""),
        ("save_steps", "1.5", "unknown", "not in a spec"),
        ("max_length", "null", "exact", ""),
        ("max_seq_length", "null", "unknown", "512 or 1024"),
        ("dataset_kwargs", "{add_special_tokens: false}", "inert", "the tokens of its template"),
        ("dataset_kwargs", "{skip_prepare_dataset: true}", "unknown", "preparation"),
        ("env", "{LD_PRELOAD: x.so}", "unknown", "environment"),
        ("test_split_size", "0.1", "derived", "without a seed"),
        ("dataset_mixture", "{test_split_size: 100}", "renamed", "alignment-handbook draws"),
        ("dataset_mixture", "{datasets: [{weight: 1.5}]}", "unknown", "lies above 0"),
        ("average_tokens_across_devices", "true", "exact", ""),
        ("no_such_key", "1", "unknown", "no such setting"),
    ],
)
def test_each_setting_has_one_fate(read: Bring, key: str, value: str, kind: str, why: str) -> None:
    imported = read(f"{LEAST}{key}: {value}\n")
    (found,) = [one for one in imported.fates if one.setting.key.startswith(key)]
    assert found.kind == kind, found
    assert why in found.why


def test_a_setting_twice_holds_last_and_the_first_is_told(read: Bring) -> None:
    imported = read(LEAST + "seed: 1\nseed: 2\n")
    told = [(one.kind, one.setting.line) for one in imported.fates if one.setting.key == "seed"]
    assert told == [("exact", 5), ("inert", 4)]


PREFERENCES = """\
model_name_or_path: org/model
dataset_name: org/pairs
beta: 0.2
loss_type: ipo
max_length: 512
output_dir: o
"""


def test_a_config_of_another_trainer_is_lifted_by_its_own_map(read: Bring) -> None:
    found = read(PREFERENCES)
    values = found.composed.values
    assert values["method.objective.type"] == "dpo"
    assert (values["method.objective.loss"], values["method.objective.beta"]) == ("ipo", 0.2)
    assert values["train.learning_rate"] == 1e-6  # DPOConfig's own default
    assert "method.objective.prompt_weight" not in values
    assert {fate.kind for fate in found.fates} <= {"exact", "renamed", "derived"}
    (question,) = found.composed.open
    assert "preference-implicit" in question


def test_the_dropout_of_adapters_is_switched_off_by_trainers_of_preferences(read: Bring) -> None:
    adapter = "use_peft: true\nlora_target_modules: all-linear\nlora_dropout: 0.1\n"
    assert read(PREFERENCES + adapter).composed.values["method.tuner.dropout"] == 0
    assert fate(read(PREFERENCES + adapter), "lora_dropout")[0] == "inert"
    plain = "model_name_or_path: org/model\nmax_length: 8\noutput_dir: o\n"
    assert read(plain + adapter).composed.values["method.tuner.dropout"] == 0.1


@pytest.mark.parametrize(
    ("split", "kind", "limit"), [("train[:20%]", "unknown", None), ("train[:20]", "derived", 20)]
)
def test_a_slice_of_a_file_is_a_limit_or_is_told(
    read: Bring, split: str, kind: str, limit: int | None
) -> None:
    entry = f"datasets: [{{path: json, data_files: rows.jsonl, split: '{split}'}}]\n"
    found = read(f"model_name_or_path: org/model\nmax_length: 512\ndtype: float32\n{entry}")
    assert fate(found, "datasets[0].split")[0] == kind
    assert found.composed.values["data.train"][0]["limit"] == limit


@pytest.mark.parametrize(
    ("text", "key", "kind", "why"),
    [
        ("num_generations: 4\nscale_rewards: true\n", "scale_rewards", "renamed", ""),
        ("beta: 0.1\nrpo_alpha: 1.0\n", "rpo_alpha", "unknown", "likelihood"),
        ("beta: 0.1\nrpo_alpha: null\n", "rpo_alpha", "inert", "off"),
        ("beta: 0.1\nlabel_pad_token_id: -100\n", "label_pad_token_id", "inert", "padded"),
        (
            "beta: 0.1\nref_model_sync_steps: 64\n",
            "ref_model_sync_steps",
            "inert",
            "sync_ref_model",
        ),
        ("beta: 0.1\nmax_prompt_length: 512\n", "max_prompt_length", "renamed", "as trl 0.28 cut"),
        ("beta: 0.1\nmax_prompt_length: 1024\n", "max_prompt_length", "unknown", "no room"),
        (
            "desirable_weight: 1.0\nmax_prompt_length: 9\n",
            "max_prompt_length",
            "approximated",
            "beginning",
        ),
        (
            "simpo_gamma: 1.0\nloss_type: simpo\nmax_prompt_length: 512\ntruncation_mode: keep_start\n",
            "truncation_mode",
            "unknown",
            "loses its end",
        ),
        (
            "num_generations: 4\nmax_prompt_length: 9\n",
            "max_prompt_length",
            "approximated",
            "left out",
        ),
        ("num_generations: 4\ncode_provider: e2b\n", "code_provider", "unknown", "reward function"),
        ("chars_per_token: 3.6\n", "chars_per_token", "inert", "packing"),
    ],
)
def test_keys_of_older_versions_and_of_recipes(
    read: Bring, text: str, key: str, kind: str, why: str
) -> None:
    found = fate(read("model_name_or_path: m\ndataset_name: d\noutput_dir: o\n" + text), key)
    assert found[0] == kind and why in found[1]


def test_named_rewards_are_functions_that_a_person_writes(read: Bring) -> None:
    text = "model_name_or_path: m\ndataset_name: d\noutput_dir: o\nnum_generations: 4\nbeta: 0.04\n"
    imported = read(text + "reward_funcs: [accuracy, format]\nreward_weights: [1.0, 0.5]\n")
    first, second = imported.composed.spec.method.objective.rewards  # type: ignore[union-attr]
    assert (first.by, first.file, first.function, first.weight) == (
        "python",
        "TODO.py",
        "accuracy",
        1,
    )
    assert (second.function, second.weight) == ("format", 0.5)
    assert imported.composed.values["method.objective.beta"] == 0.04
    assert fate(imported, "reward_funcs")[0] == "unknown"
    assert not imported.faithful


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("beta: 0.1\nmax_prompt_length: 512\n", (512, "always", "truncate-left")),
        (
            "beta: 0.1\nmax_prompt_length: 512\ntruncation_mode: keep_start\n",
            (512, "always", "truncate"),
        ),
        ("gamma_beta_ratio: 0.5\nmax_prompt_length: 512\n", (512, "overlong", "truncate")),
        ("beta: 0.1\nloss_type: sigmoid\n", (None, "always", "truncate")),
    ],
)
def test_prompts_are_cut_as_the_last_release_cut_them(
    read: Bring, text: str, expected: tuple[int | None, str, str]
) -> None:
    found = read("model_name_or_path: m\ndataset_name: d\noutput_dir: o\n" + text)
    data = found.composed.spec.data
    assert (data.max_prompt_length, data.prompt_cut, data.overflow) == expected


@pytest.mark.parametrize(
    ("name", "more", "weight"),
    [
        (
            "mistralai/Mixtral-8x7B-v0.1",
            "",
            "model",
        ),  # trl 1.16: the model's own where nothing is said
        ("Qwen/Qwen3-30B-A3B", "router_aux_loss_coef: 0.01\n", 0.01),
        ("org/model", "router_aux_loss_coef: null\n", "model"),
        ("org/model", "", None),
    ],
)
def test_what_balances_experts(read: Bring, name: str, more: str, weight: Any) -> None:
    found = read(LEAST.replace("org/model", name) + more).composed.values
    assert found.get("model.experts.balance_loss") == weight


@pytest.mark.parametrize("said", ["warmup_ratio: 0.03", "warmup_steps: 100"])
def test_a_constant_rate_has_no_warm_up(read: Bring, said: str) -> None:
    found = read(
        f"model_name_or_path: a/b\ndataset_name: c/d\nlr_scheduler_type: constant\n{said}\n"
    )
    assert fate(found, said.partition(":")[0])[0] == "derived"
    assert found.composed.values["train.warmup_steps"] == 0
    assert "native" not in found.composed.text  # where it would come back with another schedule


@pytest.mark.parametrize(
    ("more", "kind", "steps"),
    [
        ("logging_steps: 0.1\nmax_steps: 25\n", "derived", 3),  # rounded up, as transformers does
        ("logging_steps: 0.1\n", "approximated", 10),
        ("logging_steps: 7\n", "exact", 7),
    ],
)
def test_a_share_of_the_steps_between_logs(read: Bring, more: str, kind: str, steps: int) -> None:
    imported = read(
        f"model_name_or_path: org/model\ndataset_name: org/rows\nuse_peft: true\n{more}"
    )
    assert fate(imported, "logging_steps")[0] == kind
    assert imported.composed.values["train.logging_steps"] == steps


MIXER = "model_name_or_path: a/b\ndataset_mixer:\n  c/d: 1.0\nmax_seq_length: 512\n"


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        (MIXER, True),
        (f"{MIXER}packing: false\n", False),
        (f"{MIXER}beta: 0.1\nmax_prompt_length: 128\n", False),  # its run_dpo.py packs nothing
        (MIXER.replace("dataset_mixer", "dataset_mixture"), False),
    ],
)
def test_the_handbook_once_packed_whatever_was_said(read: Bring, text: str, asked: bool) -> None:
    assert any("data.packing: blocks" in one for one in read(text).composed.open) is asked


PAIRS = "model_name_or_path: a/b\ndataset_name: c/d\nmax_completion_length: 64\n"


@pytest.mark.parametrize(
    ("more", "objective", "asked"),
    [
        ("", "grpo", False),
        ("max_length: 512\nbeta: 0.1\n", "dpo", True),  # which it was up to trl 0.28
        ("loss_type: sigmoid\nmax_length: 512\n", "dpo", False),
        ("desirable_weight: 1.5\n", "kto", False),
        ("num_generations: 4\nbeta: 0.1\n", "grpo", False),
    ],
)
def test_a_limit_for_answers_is_not_of_one_trainer(
    read: Bring, more: str, objective: str, asked: bool
) -> None:
    found = read(PAIRS + more)
    assert found.composed.values["method.objective.type"] == objective
    assert any("which trainer" in one for one in found.composed.open) is asked
    kinds = {"grpo": "exact", "dpo": "unknown", "kto": "inert"}
    assert fate(found, "max_completion_length")[0] == kinds[objective]


def test_a_remark_about_a_device_s_batch(read: Bring) -> None:
    text = read(
        "model_name_or_path: a/b\ndataset_name: c/d\nper_device_train_batch_size: 2  # per device\n"
        "gradient_accumulation_steps: 16  # more than one\n"
    ).composed.text
    assert "micro_batch_size: 2  # per device" in text
    assert "more than one" not in text


@pytest.mark.parametrize(
    ("more", "kind"),
    [("", "derived"), ("loss_type: sigmoid\n", "derived"), ("num_generations: 4\n", "unknown")],
)
def test_a_template_of_a_recipe(read: Bring, more: str, kind: str) -> None:
    text = (
        f"model_name_or_path: a/b\ndataset_name: c/d\nchat_template: '{{{{ messages }}}}'\n{more}"
    )
    found = read(text)
    assert fate(found, "chat_template")[0] == kind
    assert bool(found.files) is (
        kind == "derived"
    )  # a file that the spec does not name helps nobody
