"""An engine's settings as people write them: with comments, inside of another file, and left to others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ftspec.port.effective import meaning
from ftspec.read.json import uncommented
from tests.port.conftest import Bring, fate
from tests.port.test_engines import AUTO, CONFIG

NOTED = """{
  // "fp16": {"enabled": true},
  "bf16": {"enabled": true}, # on
  "zero_optimization": {"stage": 2, /* "offload": 1,
  */ "allgather_bucket_size": 5e8,},
  "comment": "a // b, # c, ]",
  "train_micro_batch_size_per_gpu": 2,
}
"""


def test_an_engines_json_with_comments(read: Bring) -> None:
    imported = read(NOTED, name="ds.json")
    values = imported.composed.values
    assert values["hardware.zero.stage"] == 2
    assert values["precision.compute"] == "bf16-weights"
    assert not any(f.setting.key.startswith("fp16") for f in imported.fates)
    (said,) = [f.setting.value for f in imported.fates if f.setting.key == "comment"]
    assert said == "a // b, # c, ]"
    assert [f.setting.line for f in imported.fates if f.setting.key == "bf16.enabled"] == [3]
    assert any("transformers and accelerate stop" in line for line in imported.notes)


def test_an_engines_json_with_comments_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "ds.json"
    path.write_text(NOTED)
    assert meaning([path]).values["hardware.zero.stage"] == 2


def test_a_trainer_stops_at_comments(read: Bring) -> None:
    imported = read(CONFIG + "bf16: true\n", other={"ds.json": NOTED})
    assert any("transformers and accelerate stop" in line for line in imported.composed.open)


def test_strict_json_is_no_other_text() -> None:
    text = json.dumps({"a": ["// b", 1, {"c": ",}"}], "#": None}, indent=1)
    assert uncommented(text) == text


@pytest.mark.parametrize(
    ("more", "key", "kind"),
    [
        ({"train_batch_size": "8"}, "train_batch_size", "unknown"),
        ({"train_batch_size": 8.5}, "train_batch_size", "unknown"),
        ({"train_batch_size": 8.0}, "train_batch_size", "derived"),
        ({"gradient_accumulation_steps": 0}, "gradient_accumulation_steps", "unknown"),
        ({"scheduler": {"params": {"warmup_num_steps": 5}}}, "scheduler.params.warmup_num_steps", "unknown"),
        ({"optimizer": {"params": {"lr": 0.5}}}, "optimizer.params.lr", "unknown"),
        ({"optimizer": None}, "optimizer", "unknown"),
        ({"scheduler": {}}, "scheduler", "inert"),
        ({"bf16": True}, "bf16", "unknown"),
        ({"zero_optimization": None}, "zero_optimization", "unknown"),
        ({"fp16": {}}, "fp16", "inert"),
        ({"tensor_parallel": {"tp_size": 2}}, "tensor_parallel.tp_size", "unknown"),
        ({"tensor_parallel": {"preset_model": "llama"}}, "tensor_parallel.preset_model", "inert"),
        ({"weight_quantization": {"quantized_initialization": {"num_bits": 4}}},
         "weight_quantization.quantized_initialization.num_bits", "unknown"),
        ({"communication_data_type": "half"}, "communication_data_type", "unknown"),
        ({"communication_data_type": "FP32"}, "communication_data_type", "inert"),
        ({"zero_optimization": {"stage": 3, "stage3_reduce_scatter": True}},
         "zero_optimization.stage3_reduce_scatter", "unknown"),
        ({"zero_optimization": {"stage": 3, "stage3_max_live_parameters": 10}},
         "zero_optimization.stage3_max_live_parameters", "inert"),
        ({"zero_optimization": {"stage": 3, "gather_16bit_weights_on_model_save": True}},
         "zero_optimization.gather_16bit_weights_on_model_save", "inert"),
        ({"logging": {"steps_per_print": 10}}, "logging.steps_per_print", "inert"),
        ({"quantize_training": {"enabled": True, "quantize_verbose": True}},
         "quantize_training.quantize_verbose", "inert"),
        ({"autotuning": {"enabled": True, "overwrite": True}}, "autotuning.overwrite", "inert"),
        ({"autotuning": {"enabled": True, "fast": True}}, "autotuning.fast", "unknown"),
        ({"data_types": {"grad_accum_dtype": "float32"}}, "data_types.grad_accum_dtype", "inert"),
        ({"data_types": {"param_dtype": "fp32"}}, "data_types.param_dtype", "inert"),
        ({"data_types": {"param_dtype": "bf16"}}, "data_types.param_dtype", "unknown"),
    ],
)  # fmt: skip
def test_what_the_engine_stops_at_or_does_not_read(
    read: Bring, more: dict[str, Any], key: str, kind: str
) -> None:
    engine = {"train_micro_batch_size_per_gpu": 2, "zero_optimization": {"stage": 2}, **more}
    imported = read(json.dumps(engine), name="ds.json")
    assert fate(imported, key)[0] == kind
    assert not {"train.learning_rate", "train.warmup_steps"} & imported.composed.values.keys()


@pytest.mark.parametrize(
    ("kind", "params", "key", "told"),
    [
        ("Adam", {"bias_correction": True}, "bias_correction", ""),
        ("Adam", {"bias_correction": False}, "bias_correction", "without its correction"),
        ("Adam", {"bias_correction": True, "torch_adam": True}, "bias_correction", "stops at it"),
        ("Adam", {"amsgrad": True}, "amsgrad", "has no amsgrad"),
        ("Adam", {"amsgrad": True, "torch_adam": True}, "amsgrad", "the largest of"),
        ("Lion", {"bias_correction": True}, "bias_correction", "has no bias_correction"),
        ("Lamb", {"bias_correction": False}, "bias_correction", "the engine's own optimizer"),
        ("Lion", {"adam_w_mode": True}, "adam_w_mode", "has no adam_w_mode"),
        ("Adam", {"foreach": True, "torch_adam": True}, "foreach", ""),
        ("Adam", {"foreach": True}, "foreach", "stops at it"),
        ("OneBitAdam", {"cuda_aware": False}, "cuda_aware", ""),
        ("OneBitAdam", {"freeze_step": 400}, "freeze_step", "the engine's own optimizer"),
        ("Adam", {"cuda_aware": False}, "cuda_aware", "the engine's own optimizer"),
    ],
)
def test_what_adam_alone_takes(
    read: Bring, kind: str, params: dict[str, Any], key: str, told: str
) -> None:
    engine = {
        "zero_optimization": {},
        "optimizer": {"type": kind, "params": {"lr": 1e-3, **params}},
    }
    found, why = fate(read(json.dumps(engine), name="ds.json"), f"optimizer.params.{key}")
    assert (found == "unknown", told in why) == (bool(told), True)


def test_a_whole_number_with_a_point_is_one(read: Bring) -> None:
    engine = {"train_batch_size": 64.0, "gradient_accumulation_steps": 2, "zero_optimization": {}}
    values = read(json.dumps(engine), name="ds.json").composed.values
    assert (values["train.batch_size"], values["train.micro_batch_size"]) == (64, 32)


RISE = {"warmup_num_steps": 5}
DECAY = {**RISE, "total_num_steps": 50}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("kind", "params", "rate"),
    [
        ("WarmupLR", RISE, 1e-4),
        ("WarmupLR", {**RISE, "warmup_max_lr": 2e-4}, 2e-4),
        ("WarmupLR", {**RISE, "warmup_max_lr": None}, 1e-4),
        ("WarmupDecayLR", DECAY, 1e-3),  # its own, whatever the optimizer says
        ("WarmupDecayLR", {**DECAY, "warmup_max_lr": 2e-4}, 2e-4),
        ("WarmupDecayLR", {**DECAY, "warmup_max_lr": None}, 1e-4),
        ("WarmupCosineLR", DECAY, 1e-4),
    ],
)
def test_which_rate_holds(
    read: Bring, kind: str, params: dict[str, Any], rate: float, turned: bool
) -> None:
    """runtime/lr_schedules.py, in whatever order the two sections stand."""
    sections = {
        "optimizer": {"type": "AdamW", "params": {"lr": 1e-4}},
        "scheduler": {"type": kind, "params": params},
    }
    ordered = dict(sorted(sections.items(), reverse=turned))
    imported = read(json.dumps({**ordered, "zero_optimization": {}}), name="ds.json")
    assert imported.composed.values["train.learning_rate"] == rate


@pytest.mark.parametrize(("word", "compute"), [("false", "fp32"), ("true", "bf16-weights")])
def test_a_switch_that_is_a_text(read: Bring, word: str, compute: str) -> None:
    engine = {"bf16": {"enabled": word}, "zero_optimization": {}}
    assert read(json.dumps(engine), name="ds.json").composed.values["precision.compute"] == compute


def test_a_batch_that_no_devices_make(read: Bring) -> None:
    batch = {"train_batch_size": 8, "train_micro_batch_size_per_gpu": 3, "zero_optimization": {}}
    assert any(
        "no multiple" in one for one in read(json.dumps(batch), name="ds.json").composed.open
    )


def test_two_number_formats_at_once(read: Bring) -> None:
    both = {"fp16": {"enabled": True}, "bf16": {"enabled": True}, "zero_optimization": {"stage": 2}}
    assert any("both are on" in q for q in read(json.dumps(both), name="ds.json").composed.open)


LEFT: dict[str, Any] = {
    "bf16": {"enabled": "auto"},
    "zero_optimization": {
        "stage": "auto",
        "stage3_gather_16bit_weights_on_model_save": "auto",
        "offload_optimizer": {"device": "auto"},
        "offload_param": {"device": "auto"},
    },
    "gradient_clipping": "auto",
    "train_batch_size": "auto",
    "train_micro_batch_size_per_gpu": "auto",
    "gradient_accumulation_steps": "auto",
}
"""As accelerate's documentation has it: the launcher says the rest."""
WHERE = "hardware.zero.stage", "hardware.zero.offload_optimizer", "hardware.zero.offload_parameters"


def test_what_the_engines_file_leaves_to_accelerate(read: Bring) -> None:
    trainer = CONFIG + "bf16: true\n"
    values = read(trainer, other={"ds.json": json.dumps(LEFT)}).composed.values
    assert [values[path] for path in WHERE] == [2, False, False]
    (where,) = {f.setting.file for f in read(json.dumps(LEFT), name="ds.json").fates}
    command = (
        f"accelerate launch --use_deepspeed --deepspeed_config_file {where} --zero_stage 3 "
        "--offload_param_device cpu --gradient_clipping 0.7 --num_processes 4 trl/scripts/sft.py "
        "--model_name_or_path m --output_dir o --bf16 True --max_grad_norm 0.7\n"
    )
    imported = read(command, name="run.sh")
    assert [imported.composed.values[path] for path in WHERE] == [3, False, True]
    assert imported.composed.values["train.max_grad_norm"] == 0.7
    assert not any("stops at that" in question for question in imported.composed.open)


def test_a_word_that_nobody_fills_in(read: Bring) -> None:
    zero = {"stage": 3, "sub_group_size": "auto", "reduce_bucket_size": "auto"}
    engine = json.dumps({**AUTO, "zero_optimization": zero})
    imported = read(CONFIG, other={"ds.json": engine})
    (told,) = [line for line in imported.composed.open if "nobody fills in" in line]
    assert told.startswith("zero_optimization.sub_group_size: auto")
    assert not any("nobody" in line for line in read(engine, name="alone.json").composed.open)


def test_the_type_in_which_gradients_travel_goes_on_to_the_engine(read: Bring) -> None:
    engine = json.dumps({**AUTO, "bf16": {"enabled": True}, "communication_data_type": "FP32"})
    spec = read(CONFIG + "bf16: true\n", other={"ds.json": engine}).composed.spec
    for backend in ("deepspeed", "llamafactory"):
        assert spec.native[backend]["ds_config.communication_data_type"] == "fp32"


INLINE = {"zero_optimization": {"stage": 3, "offload_optimizer": {"device": "cpu"}},
          "train_micro_batch_size_per_gpu": "auto", "gradient_clipping": "auto"}  # fmt: skip
HEAD = (
    "model_name_or_path: org/m\ndataset_name: org/r\noutput_dir: o\nbf16: true\n"
    "per_device_train_batch_size: 2\n"
)


@pytest.mark.parametrize(
    "head", [HEAD, HEAD + "stage: sft\ndo_train: true\ndataset: alpaca_en_demo\n"]
)
def test_an_engines_settings_in_the_place_of_its_file(read: Bring, head: str) -> None:
    imported = read(f"{head}deepspeed: {json.dumps(INLINE)}\n")
    zero = imported.composed.spec.hardware.zero
    assert zero is not None and (zero.stage, zero.offload_optimizer) == (3, True)
    assert imported.composed.spec.precision.compute == "bf16-weights"
    assert all(one.faithful for one in imported.fates if "zero" in one.setting.key)


def test_settings_inside_and_a_file_that_is_given_as_well(read: Bring) -> None:
    other = {"ds.json": json.dumps(AUTO)}
    imported = read(f"{HEAD}deepspeed: {json.dumps(INLINE)}\n", other=other)
    assert fate(imported, "deepspeed.gradient_clipping")[0] == "unknown"


SCRIPT = """
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

engine = {"zero_optimization": {"stage": STAGE}, "train_micro_batch_size_per_gpu": "auto"}
args = SFTConfig(output_dir="o", per_device_train_batch_size=2, deepspeed=engine, bf16=True)
trainer = SFTTrainer("org/m", args=args, train_dataset=load_dataset("org/r", split="train"))
trainer.train()
"""


@pytest.mark.parametrize(("stage", "wanted"), [("2", 2), ("chosen()", None)])
def test_an_engines_settings_in_a_script(read: Bring, stage: str, wanted: int | None) -> None:
    imported = read(SCRIPT.replace("STAGE", stage), name="train.py")
    zero = imported.composed.spec.hardware.zero
    assert (zero and zero.stage) == wanted
    asked = [line for line in imported.composed.open if "deepspeed" in line]
    assert bool(asked) == (wanted is None)
