"""What a framework stops at, or trains otherwise than it seems, is not read in silence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.port.conftest import Bring, fate

LEAST = "model_name_or_path: org/model\ndataset_name: org/rows\noutput_dir: o\n"
PEFT = f"{LEAST}use_peft: true\n"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (PEFT + "lora_target_modules: k_proj\n", "lora_target_modules"),
        (PEFT + "lora_target_modules: [k_proj]\n", "lora_target_modules"),
        (PEFT + "lora_modules_to_save: lm_head\n", "lora_modules_to_save"),
        (LEAST + "optim: galore_adamw\n", "optim"),
        (LEAST + "lr_scheduler_type: warmup_stable_decay\n", "lr_scheduler_type"),
        (LEAST + "lr_scheduler_kwargs: {num_cycles: 2}\n", "lr_scheduler_kwargs.num_cycles"),
        (LEAST + "trainer: kto\ntrain_sampling_strategy: random\n", "train_sampling_strategy"),
        (PEFT + "dtype: auto\nload_in_4bit: true\n", "load_in_4bit"),
        (LEAST + "trainer: grpo\nmax_completion_length: null\n", "max_completion_length"),
        (LEAST + "trainer: grpo\ngeneration_batch_size: 24\n", "generation_batch_size"),
        (LEAST + "trainer: grpo\ngeneration_batch_size: 7\n", "generation_batch_size"),
    ],
)
def test_it_is_not_understood(read: Bring, text: str, key: str) -> None:
    assert fate(read(text, wanted="trl"), key)[0] == "unknown"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (LEAST + "dtype: auto\n", "model.dtype"),
        (LEAST + "dtype: null\n", "model.dtype"),
        (PEFT + "trainer: reward\nlora_target_modules: [q_proj, v_proj]\n", "lora_task_type"),
    ],
)
def test_it_is_asked(read: Bring, text: str, word: str) -> None:
    asked = [one for one in read(text, wanted="trl").composed.open if word in one]
    assert len(asked) == 1


@pytest.mark.parametrize(
    "text",
    [
        PEFT + "dtype: auto\n",
        LEAST + "torch_dtype: null\n",
        PEFT + "trainer: reward\nlora_target_modules: [q, v]\nlora_task_type: SEQ_CLS\n",
        PEFT + "trainer: reward\nlora_target_modules: [q, v]\nlora_modules_to_save: [score]\n",
        LEAST + "trainer: grpo\ngeneration_batch_size: 8\n",
        LEAST + "bf16: null\ntf32: null\ncompletion_only_loss: null\nlr_scheduler_kwargs: null\n",
    ],
)
def test_it_is_neither(read: Bring, text: str) -> None:
    imported = read(text, wanted="trl")
    assert [one.setting.key for one in imported.fates if not one.faithful] == []
    asked = [one for one in imported.composed.open if "model.dtype" in one or "lora_task" in one]
    assert asked == []


def test_null_is_what_the_framework_takes_it_for(read: Bring) -> None:
    found = read(LEAST + "bf16: null\nfp16: true\n", wanted="trl").composed.values
    assert found["precision.compute"] == "fp16"
    found = read(LEAST + "bf16: null\n", wanted="trl").composed.values
    assert found["precision.compute"] == "bf16"


def test_what_is_passed_on_has_its_type(read: Bring) -> None:
    said = "dataloader_num_workers: '3'\ntorch_compile: 'true'\nlora_alpha: '8'\n"
    spec = read(PEFT + said, wanted="trl").composed.spec
    native = spec.native["trl"]
    assert native["SFTConfig.dataloader_num_workers"] == 3
    assert native["SFTConfig.torch_compile"] is True
    assert spec.method.tuner.alpha == 8


ENGINE: dict[str, Any] = {"zero_optimization": {"stage": 2}, "gradient_clipping": "auto"}


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"gradient_clipping": 0.5}, "train.max_grad_norm"),
        ({"gradient_accumulation_steps": 4}, "gradient_accumulation_steps"),
        ({"optimizer": {"type": "AdamW", "params": {"lr": 1e-3}}}, "train.learning_rate"),
        ({"train_micro_batch_size_per_gpu": 2}, "train.micro_batch_size"),
    ],
)
def test_an_engine_that_contradicts_the_trainer(
    read: Bring, more: dict[str, Any], word: str
) -> None:
    text = f"{LEAST}deepspeed: ds.json\nlora_r: 8\n"
    imported = read(text, other={"ds.json": json.dumps({**ENGINE, **more})}, wanted="trl")
    assert [one for one in imported.composed.open if one.startswith(word)]


def test_an_engine_that_leaves_steps_to_the_trainer(read: Bring) -> None:
    text = f"{LEAST}deepspeed: ds.json\nper_device_train_batch_size: 2\ngradient_accumulation_steps: 4\n"
    engine = {**ENGINE, "train_micro_batch_size_per_gpu": 2, "gradient_accumulation_steps": "auto"}
    imported = read(text, other={"ds.json": json.dumps(engine)}, wanted="trl")
    assert imported.composed.values["train.batch_size"] == 8
    assert not [one for one in imported.composed.open if "batch" in one]


@pytest.mark.parametrize(
    ("loss", "version", "kind", "share"),
    [
        ("sigmoid", "1.16.0", "approximated", 0.0),
        ("[sigmoid, sft]", "1.16.0", "approximated", 0.0),
        ("sigmoid", "0.24.0", "renamed", 0.1),
        ("robust", "1.16.0", "exact", 0.1),
    ],
)
def test_smoothing_that_only_older_releases_read(
    read: Bring, loss: str, version: str, kind: str, share: float
) -> None:
    said = f"trainer: dpo\nloss_type: {loss}\nlabel_smoothing: 0.1\n"
    imported = read(LEAST + said, wanted="trl", version=f"trl=={version}")
    assert fate(imported, "label_smoothing")[0] == kind
    assert imported.composed.spec.method.objective.label_smoothing == share


@pytest.mark.parametrize(("optimizer", "kind"), [("adafactor", "inert"), ("adamw_torch", "exact")])
def test_what_an_optimizer_has_of_adam(read: Bring, optimizer: str, kind: str) -> None:
    imported = read(f"{LEAST}optim: {optimizer}\nadam_beta1: 0.8\n", wanted="trl")
    assert fate(imported, "adam_beta1")[0] == kind


def test_adams_settings_are_read_by_an_optimizer_of_llamafactorys_own(read: Bring) -> None:
    said = "stage: sft\ntemplate: qwen\noptim: adafactor\nadam_beta1: 0.8\n"
    imported = read(f"{LEAST}{said}use_muon: true\n", wanted="llamafactory")
    assert fate(imported, "adam_beta1")[0] == "exact"
    assert imported.composed.values["train.optimizer.beta1"] == 0.8
    assert fate(read(LEAST + said, wanted="llamafactory"), "adam_beta1")[0] == "inert"


def test_rewards_that_are_scaled_apart(read: Bring) -> None:
    said = "trainer: grpo\nmulti_objective_aggregation: normalize_then_sum\nscale_rewards: batch\n"
    imported = read(LEAST + said, wanted="trl")
    assert imported.composed.spec.method.objective.aggregation == "normalize-then-sum"
    assert fate(imported, "multi_objective_aggregation")[0] == "exact"
    assert fate(imported, "scale_rewards")[0] == "inert"


def test_a_schedule_with_its_decay_is_understood(read: Bring) -> None:
    text = "model_name_or_path: m/m\ndataset_name: a/b\nlr_scheduler_type: warmup_stable_decay\n"
    assert fate(read(text), "lr_scheduler_type")[0] == "unknown"
    found = read(f"{text}lr_scheduler_kwargs: {{num_decay_steps: 7}}\n")
    assert fate(found, "lr_scheduler_type")[0] == "exact"
    assert found.composed.values["train.schedule.decay_steps"] == 7


@pytest.mark.parametrize("key", ["lora_target_modules", "lora_modules_to_save"])
def test_a_comma_of_a_command_line_belongs_to_the_word(read: Bring, key: str) -> None:
    found = read(f'model_name_or_path: m/m\nuse_peft: true\n{key}: ["q_proj,", "v_proj"]\n')
    assert fate(found, key)[0] == "unknown"
    assert "the comma belongs to the word" in fate(found, key)[1]


OFF = (
    "use_mps_device: false", "use_ipex: false", "half_precision_backend: auto", "past_index: -1",
    "report_to: null", "ray_scope: last", "vllm_gpu_memory_utilization: 0.5", "vllm_mode: server",
)  # fmt: skip


@pytest.mark.parametrize("line", OFF)
def test_what_says_nothing_is_inert(read: Bring, line: str) -> None:
    found = read(f"model_name_or_path: m/m\nnum_generations: 4\n{line}\n")
    assert fate(found, line.partition(":")[0])[0] == "inert"


@pytest.mark.parametrize("key", ["eval_strategy", "evaluation_strategy", "save_strategy"])
def test_a_bare_no_is_false(read: Bring, key: str) -> None:
    found = fate(read(f"model_name_or_path: m/m\ndataset_name: a/b\n{key}: no\n"), key)
    assert found[0] == "unknown"
    assert "write 'no'" in found[1]


@pytest.mark.parametrize(("warmup", "kind"), [("0.0", "renamed"), ("0.1", "exact")])
def test_a_constant_rate_that_nothing_warms_up(read: Bring, warmup: str, kind: str) -> None:
    text = f"lr_scheduler_type: constant_with_warmup\nwarmup_ratio: {warmup}\n"
    found = read(f"model_name_or_path: m/m\ndataset_name: a/b\n{text}")
    assert fate(found, "lr_scheduler_type")[0] == kind


def test_a_prompt_that_leaves_no_room_leaves_the_data(read: Bring) -> None:
    text = (
        "beta: 0.1\nloss_type: sigmoid\nmax_prompt_length: 512\nlearning_rate: 1e-5\nbf16: true\n"
    )
    found = read(f"model_name_or_path: m/m\ndataset_mixer: {{a/b: 1.0}}\n{text}")
    assert fate(found, "max_prompt_length")[0] == "unknown"
    assert found.composed.values["data.max_length"] == 512  # up to trl 0.11
    assert [one.hub for one in found.composed.spec.data.train] == ["a/b"]
