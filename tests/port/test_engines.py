"""DeepSpeed's JSON: alone, and beside a config that it belongs to; accelerate's YAML beside both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.port.conftest import Bring, fate

CONFIG = (
    "model_name_or_path: org/model\nstage: sft\ndo_train: true\ndataset: alpaca_en_demo\n"
    "output_dir: o\nper_device_train_batch_size: 2\ngradient_accumulation_steps: 4\n"
    "deepspeed: ds.json\n"
)
AUTO = {
    "train_batch_size": "auto",
    "train_micro_batch_size_per_gpu": "auto",
    "gradient_accumulation_steps": "auto",
    "gradient_clipping": "auto",
    "zero_allow_untested_optimizer": True,
    "fp16": {"enabled": "auto", "loss_scale": 0},
    "bf16": {"enabled": "auto"},
    "zero_optimization": {
        "stage": 3,
        "overlap_comm": False,
        "offload_optimizer": {"device": "cpu", "pin_memory": True},
        "offload_param": {"device": "none"},
        "stage3_gather_16bit_weights_on_model_save": True,
    },
}
LAUNCH = (
    "compute_environment: LOCAL_MACHINE\ndistributed_type: MULTI_GPU\nmixed_precision: bf16\n"
    "num_machines: 2\nnum_processes: 16\nmachine_rank: 0\n"
)


def test_files_of_one_source_are_read_as_one(read: Bring) -> None:
    other = {"ds.json": json.dumps(AUTO), "launch.yaml": LAUNCH}
    imported = read(CONFIG, other=other)
    spec = imported.composed.spec
    assert spec.hardware.zero is not None
    assert (spec.hardware.zero.stage, spec.hardware.zero.offload_optimizer) == (3, True)
    assert not spec.hardware.zero.offload_parameters
    assert (spec.hardware.devices, spec.hardware.nodes) == (8, 2)
    assert spec.train.batch_size == 2 * 4 * 16
    assert imported.faithful, [one for one in imported.fates if not one.faithful]
    assert {one.setting.file.rpartition("/")[2] for one in imported.fates} == {
        "config.yaml",
        *other,
    }


@pytest.mark.parametrize("word", ["bf16", "fp16"])
def test_a_trainer_that_switches_the_engine_on(read: Bring, word: str) -> None:
    """`auto` is the trainer's word, and the engine casts the weights."""
    imported = read(CONFIG + f"{word}: true\n", other={"ds.json": json.dumps(AUTO)})
    assert imported.composed.spec.precision.compute == f"{word}-weights"
    assert imported.faithful, [one for one in imported.fates if not one.faithful]
    scaled = "renamed" if word == "fp16" else "inert"
    assert fate(imported, "fp16.loss_scale")[0] == scaled
    alone = read(CONFIG.replace("deepspeed: ds.json\n", "") + f"{word}: true\n")
    assert alone.composed.spec.precision.compute == word


def test_an_engine_that_clips_by_its_own_norm_is_told(read: Bring) -> None:
    """Without the key the engine clips at 1.0, whatever max_grad_norm says."""
    silent = {key: value for key, value in AUTO.items() if key != "gradient_clipping"}
    imported = read(CONFIG + "max_grad_norm: 0.5\n", other={"ds.json": json.dumps(silent)})
    assert imported.composed.spec.train.max_grad_norm == 1.0
    assert any("train.max_grad_norm: 0.5 in config.yaml" in line for line in imported.composed.open)


@pytest.mark.parametrize(
    ("section", "path", "value"),
    [
        ({"train_batch_size": 64, "gradient_accumulation_steps": 4}, "train.batch_size", 64),
        ({"train_batch_size": 64, "gradient_accumulation_steps": 4}, "train.micro_batch_size", 8),
        (
            {"train_micro_batch_size_per_gpu": 3, "gradient_accumulation_steps": 4},
            "train.batch_size",
            24,
        ),
        ({"gradient_clipping": 1.0}, "train.max_grad_norm", 1.0),
        ({"gradient_clipping": 0}, "train.max_grad_norm", None),
        ({}, "train.max_grad_norm", 1.0),
        ({"optimizer": {"type": "AdamW", "params": {"lr": 3e-5}}}, "train.learning_rate", 3e-5),
        (
            {"optimizer": {"type": "Adam", "params": {"betas": [0.8, 0.9]}}},
            "train.optimizer.beta1",
            0.8,
        ),
        ({"scheduler": {"type": "WarmupDecayLR", "params": {}}}, "train.schedule.type", "linear"),
        ({"scheduler": {"type": "WarmupLR", "params": {}}}, "train.warmup_shape", "log"),
        ({"scheduler": {"type": "WarmupLR", "params": {}}}, "train.schedule_delay", 1),
        (
            {"scheduler": {"type": "WarmupLR", "params": {"warmup_type": "linear"}}},
            "train.warmup_shape",
            "linear",
        ),
        (
            {"scheduler": {"type": "WarmupLR", "params": {"warmup_num_steps": 1}}},
            "train.warmup_steps",
            2,
        ),
        (
            {"scheduler": {"type": "WarmupLR", "params": {"warmup_min_lr": 5e-6}}},
            "train.warmup_start",
            5e-6,
        ),
        (
            {"scheduler": {"type": "WarmupDecayLR", "params": {"warmup_min_lr": 5e-6}}},
            "train.schedule.end_rate",
            5e-6,
        ),
        ({"scheduler": {"type": "WarmupLR", "params": {}}}, "train.warmup_steps", 1000),
        ({"scheduler": {"type": "WarmupDecayLR", "params": {}}}, "train.learning_rate", 1e-3),
        ({"optimizer": {"type": "Adam", "params": {}}}, "train.learning_rate", 1e-3),
        (
            {"optimizer": {"type": "AdamW", "params": {"weight_decay": 0.1}}},
            "train.weight_decay_on",
            "all",
        ),
        (
            {"optimizer": {"type": "AdamW", "params": {"torch_adam": True}}},
            "train.weight_decay",
            0.01,
        ),
        ({"optimizer": {"type": "AdamW", "params": {}}}, "train.weight_decay", 0.0),
        ({"optimizer": {"type": "Lion", "params": {}}}, "train.optimizer.beta2", 0.999),
        ({"optimizer": {"type": "SGD", "params": {}}}, "train.learning_rate", 1e-3),
        (
            {"scheduler": {"type": "WarmupCosineLR", "params": {}}},
            "train.schedule.min_ratio",
            1e-4,
        ),
        (
            {
                "optimizer": {"type": "AdamW", "params": {"lr": 2e-5}},
                "scheduler": {"type": "WarmupCosineLR", "params": {"warmup_min_ratio": 0.5}},
            },
            "train.warmup_start",
            1e-5,
        ),
        (
            {"torch_autocast": {"enabled": True, "dtype": "torch.bfloat16"}},
            "precision.compute",
            "bf16",
        ),
        ({"sequence_parallel_size": 2}, "hardware.sequence_parallel", 2),
        ({"tensor_parallel": {"autotp_size": 4}}, "hardware.tensor_parallel", 4),
        (
            {"optimizer": {"type": "Adagrad", "params": {"lr_decay": 0.1}}},
            "train.optimizer.rate_decay",
            0.1,
        ),
        ({"optimizer": {"type": "Adagrad"}}, "train.learning_rate", 1e-2),
        (
            {"optimizer": {"type": "RMSprop", "params": {"alpha": 0.9}}},
            "train.optimizer.smoothing",
            0.9,
        ),
        (
            {
                "zero_optimization": {
                    "stage": 3,
                    "offload_optimizer": {"device": "nvme", "nvme_path": "/local/nvme/"},
                    "offload_param": {"device": "nvme", "nvme_path": "/local/nvme"},
                }
            },
            "hardware.zero.offload_folder",
            "/local/nvme",
        ),
        (
            {"zero_optimization": {"stage": 3, "leaf_module": {"classes": ["a.Block"]}}},
            "hardware.zero.leaf_modules",
            ("a.Block",),
        ),
        (
            {"zero_optimization": {"stage": 3, "cpu_offload_params": True}},
            "hardware.zero.offload_parameters",
            True,
        ),
        ({"bf16": {"enabled": True}}, "precision.compute", "bf16-weights"),
        ({"fp16": {"enabled": True}}, "precision.compute", "fp16-weights"),
        ({"fp16": {"enabled": False}}, "precision.compute", "fp32"),
        ({"fp16": {"enabled": True, "loss_scale": 128}}, "precision.loss_scale.fixed", 128.0),
        (
            {"fp16": {"enabled": True, "loss_scale": 0, "loss_scale_window": 500}},
            "precision.loss_scale.window",
            500,
        ),
        ({"zero_optimization": {"stage": 2}}, "hardware.zero.stage", 2),
        ({"zero_optimization": True}, "hardware.zero.stage", 1),
        ({"zero_optimization": {}}, "hardware.zero.stage", 0),
        (
            {"zero_optimization": {"stage": 2, "cpu_offload": True}},
            "hardware.zero.offload_optimizer",
            True,
        ),
    ],
)
def test_an_engine_alone(read: Bring, section: dict[str, Any], path: str, value: Any) -> None:
    text = json.dumps({"steps_per_print": 1, **section})
    imported = read(text, name="ds.json", devices=2)
    assert imported.composed.values[path] == value
    assert "TODO: which model?" in imported.composed.text


@pytest.mark.parametrize(
    ("section", "key", "kind"),
    [
        ({"fp16": {"enabled": False, "loss_scale": 0}}, "fp16.loss_scale", "inert"),
        ({"bf16": {"enabled": True}}, "bf16.enabled", "renamed"),
        ({"bf16": {"enabled": True, "bf16_master_weights_and_grads": True}},
         "bf16.bf16_master_weights_and_grads", "unknown"),
        ({"bf16": {"enabled": True}, "data_types": {"grad_accum_dtype": "bf16"}},
         "data_types.grad_accum_dtype", "inert"),
        ({"bf16": {"enabled": True}, "data_types": {"grad_accum_dtype": "fp32"}},
         "data_types.grad_accum_dtype", "approximated"),
        ({"fp16": {"enabled": True, "loss_scale": 8, "hysteresis": 4}}, "fp16.hysteresis", "inert"),
        ({"zero_optimization": {"stage": 2, "reduce_bucket_size": 5e8}},
         "zero_optimization.reduce_bucket_size", "inert"),
        ({"zero_optimization": {"stage": 2, "offload_param": {"device": "cpu"}}},
         "zero_optimization.offload_param.device", "inert"),
        ({"zero_optimization": {"stage": 3, "offload_param": {"device": "nvme"}}},
         "zero_optimization.offload_param.device", "unknown"),
        ({"zero_optimization": {"stage": 3, "offload_param": {"device": "nvme", "nvme_path": "/a/b/"}}},
         "zero_optimization.offload_param.device", "exact"),
        ({"zero_optimization": {"stage": 3, "offload_param": {"device": "nvme", "nvme_path": "b"}}},
         "zero_optimization.offload_param.device", "unknown"),
        ({"zero_optimization": {"stage": 3, "offload_param": {"device": "nvme", "nvme_path": "/a"},
                                "offload_optimizer": {"device": "cpu"}}},
         "zero_optimization.offload_param.device", "unknown"),
        ({"zero_optimization": {"stage": 2, "offload_optimizer": {"device": "nvme", "nvme_path": "/a"}}},
         "zero_optimization.offload_optimizer.device", "derived"),
        ({"zero_optimization": {"stage": 3, "offload_param": {"device": "cpu", "nvme_path": "/a"}}},
         "zero_optimization.offload_param.nvme_path", "inert"),
        ({"zero_optimization": {"stage": 3, "offload_param": None}},
         "zero_optimization.offload_param", "inert"),
        ({"zero_optimization": {"stage": 3, "offload_param": "cpu"}},
         "zero_optimization.offload_param", "unknown"),
        ({"zero_optimization": {"stage": 3, "offload_param": {"device": "nvme", "nvme_path": "b"}}},
         "zero_optimization.offload_param.nvme_path", "unknown"),
        ({"zero_optimization": {"stage": 2, "zenflow": {}}}, "zero_optimization.zenflow", "unknown"),
        ({"torch_autocast": {"enabled": "auto"}}, "torch_autocast.enabled", "unknown"),
        ({"data_efficiency": {}}, "data_efficiency", "inert"),
        ({"optimizer": {"type": "Lamb", "params": {}}}, "optimizer.type", "unknown"),
        ({"compression_training": {"sparse_pruning": {"shared_parameters": {"enabled": False}}}},
         "compression_training.sparse_pruning.shared_parameters.enabled", "inert"),
        ({"compression_training": {"sparse_pruning": {"shared_parameters": {"enabled": True}}}},
         "compression_training.sparse_pruning.shared_parameters.enabled", "unknown"),
        ({"gradient_allreduce_op": "mean"}, "gradient_allreduce_op", "inert"),
        ({"gradient_allreduce_op": "sum"}, "gradient_allreduce_op", "unknown"),
        ({"zero_optimization": {"stage": 3, "zero_quantized_nontrainable_weights": True}},
         "zero_optimization.zero_quantized_nontrainable_weights", "kept"),
        ({"no_such": 1}, "no_such", "unknown"),
        ({"zero_optimization": {"stage": 2, "no_such": 1}}, "zero_optimization.no_such", "unknown"),
        ({"zero_optimization": {"stage": 2, "zero_quantized_weights": True}},
         "zero_optimization.zero_quantized_weights", "inert"),
        ({"zero_optimization": {"stage": 3, "zero_quantized_weights": True}},
         "zero_optimization.zero_quantized_weights", "kept"),
        ({"elasticity": {"enabled": True}}, "elasticity.enabled", "unknown"),
        ({"elasticity": {"enabled": False}}, "elasticity.enabled", "inert"),
        ({"amp": {"enabled": True}}, "amp.enabled", "unknown"),
        ({"sparse_attention": {"mode": "fixed"}}, "sparse_attention.mode", "unknown"),
        ({"sparse_gradients": True}, "sparse_gradients", "inert"),
        ({"data_efficiency": {"enabled": True, "data_routing": {"random_ltd": {"enabled": True}}}},
         "data_efficiency.data_routing.random_ltd.enabled", "inert"),
        ({"hybrid_engine": {"max_out_tokens": 128}}, "hybrid_engine.max_out_tokens", "inert"),
        ({"hybrid_engine": {"enabled": True}}, "hybrid_engine.enabled", "unknown"),
        ({"autotuning": {"enabled": True, "fast": False}}, "autotuning.fast", "unknown"),
        ({"tensor_parallel": {"autotp_size": 1}}, "tensor_parallel.autotp_size", "inert"),
        ({"optimizer": {"type": "rmsprop"}}, "optimizer.type", "unknown"),
        ({"optimizer": {"type": "CPUAdam"}}, "optimizer.type", "unknown"),
        ({"optimizer": {"type": "Lamb"}}, "optimizer.type", "unknown"),
        ({"optimizer": {"type": "RMSprop", "params": {"nesterov": True}}}, "optimizer.params.nesterov",
         "unknown"),
        ({"optimizer": {"type": "Adagrad", "params": {"betas": [0.9, 0.9]}}}, "optimizer.params.betas",
         "unknown"),
        ({"optimizer": {"type": "Adagrad", "params": {"lr_decay": 0.1}}, "zero_optimization": {"stage": 1}},
         "optimizer.params.lr_decay", "unknown"),
        ({"optimizer": {"type": "Adagrad"}, "zero_optimization": {"stage": 2, "offload_optimizer":
          {"device": "cpu"}}}, "optimizer.type", "unknown"),
        ({"tensor_parallel": {"autotp_size": 2}}, "tensor_parallel.autotp_size", "renamed"),
        ({"tensor_parallel": {"autotp_size": 3}}, "tensor_parallel.autotp_size", "unknown"),
        ({"compile": {"deepcompile": True}}, "compile.deepcompile", "inert"),
        ({"compile": {"disable": False}}, "compile.disable", "unknown"),  # as of 0.14: it stops
        ({"compile": {"backend": "inductor"}}, "compile.backend", "unknown"),
        ({"managed_gradient_accumulation": False}, "managed_gradient_accumulation", "unknown"),
        ({"bf16": {"enabled": True}, "communication_data_type": "bf16"}, "communication_data_type",
         "inert"),
        ({"bf16": {"enabled": True}, "communication_data_type": "fp32"}, "communication_data_type",
         "kept"),
        ({"data_types": {"keep_in_fp32_modules": "auto"}}, "data_types.keep_in_fp32_modules", "inert"),
        ({"data_types": {"param_dtype": "bf16"}}, "data_types.param_dtype", "unknown"),
        ({"torch_autocast": {"enabled": True, "dtype": "float16"}}, "torch_autocast.enabled", "unknown"),
        ({"torch_autocast": {"enabled": True, "dtype": "bfloat16"}, "bf16": {"enabled": True}},
         "torch_autocast.enabled", "unknown"),
        ({"optimizer": {"type": "AdamW", "params": {"adam_w_mode": False, "weight_decay": 0.1}}},
         "optimizer.params.adam_w_mode", "inert"),
        ({"optimizer": {"type": "Adam", "params": {"adam_w_mode": False, "weight_decay": 0.1}}},
         "optimizer.params.adam_w_mode", "unknown"),
        ({"optimizer": {"type": "Adam", "params": {"adam_w_mode": False}}},
         "optimizer.params.adam_w_mode", "inert"),
        ({"optimizer": {"type": "Adam", "params": {"max_grad_norm": 1.0}}},
         "optimizer.params.max_grad_norm", "unknown"),
        ({"optimizer": {"type": "OneBitAdam", "params": {}}}, "optimizer.type", "unknown"),
        ({"optimizer": {"type": "Lion", "params": {}}}, "optimizer.type", "approximated"),
        ({"optimizer": {"type": "SGD", "params": {"momentum": 0.9}}}, "optimizer.params.momentum",
         "renamed"),
        ({"optimizer": {"type": "sgd", "params": {}}}, "optimizer.type", "unknown"),
        ({"optimizer": {"type": "AdamW", "params": {"momentum": 0.9}}}, "optimizer.params.momentum",
         "unknown"),
        ({"scheduler": {"type": "WarmupCosineLR", "params": {}}}, "scheduler.type", "approximated"),
        ({"scheduler": {"type": "WarmupLR", "params": {"cos_min_ratio": 0.1}}},
         "scheduler.params.cos_min_ratio", "unknown"),
        ({"scheduler": {"type": "WarmupLR", "params": {"warmup_num_steps": 0}}},
         "scheduler.params.warmup_num_steps", "approximated"),
    ],
)  # fmt: skip
def test_fates_of_an_engines_settings(
    read: Bring, section: dict[str, Any], key: str, kind: str
) -> None:
    imported = read(json.dumps({"steps_per_print": 1, **section}), name="ds.json")
    assert fate(imported, key)[0] == kind


@pytest.mark.parametrize(("tuner", "kind"), [("lora", "matrices"), ("full", "all")])
def test_a_decay_of_the_trainers_falls_on_all(read: Bring, tuner: str, kind: str) -> None:
    """`auto` is the trainer's number, and still the engine's optimizer."""
    auto = {"lr": "auto", "betas": "auto", "eps": "auto", "weight_decay": "auto"}
    engine = {"steps_per_print": 1, "optimizer": {"type": "AdamW", "params": auto}}
    text = CONFIG + f"finetuning_type: {tuner}\nweight_decay: 0.1\n"
    train = read(text, other={"ds.json": json.dumps(engine)}).composed.spec.train
    assert (train.weight_decay, train.weight_decay_on) == (0.1, kind)


@pytest.mark.parametrize(
    ("tuner", "kind"),
    [
        ("lora", "renamed"),
        ("lora\nadditional_target: lm_head", "derived"),
        ("full", "derived"),
    ],
)
def test_of_an_adapter_everything_decays_anyway(
    read: Bring, tmp_path: Path, tuner: str, kind: str
) -> None:
    engine = {"steps_per_print": 1, "optimizer": {"type": "AdamW", "params": {"weight_decay": 0.1}}}
    (tmp_path / "ds.json").write_text(json.dumps(engine))
    trained = f"stage: sft\ndo_train: true\nfinetuning_type: {tuner}\n"
    text = f"{trained}model_name_or_path: m\ndeepspeed: ds.json\n"
    assert fate(read(text), "optimizer.params.weight_decay")[0] == kind


def test_settings_of_float16_in_the_block_of_bfloat16(read: Bring) -> None:
    """Files have them a hundredfold: older versions of DeepSpeed passed over them."""
    text = json.dumps(
        {"bf16": {"enabled": True, "loss_scale": 0, "hysteresis": 2}, "zero_optimization": {}}
    )
    imported = read(text, name="ds.json")
    kind, why = fate(imported, "bf16.loss_scale")
    assert kind == "inert"
    assert "0.19.8 stops" in why
    assert any("bf16.hysteresis" in note for note in imported.notes)


def test_a_schedule_that_begins_with_the_first_step(read: Bring) -> None:
    for first, kind in ((-1, "inert"), (5, "unknown")):
        params = {"last_batch_iteration": first, "warmup_num_steps": 10}
        config = {"scheduler": {"type": "WarmupLR", "params": params}, "zero_optimization": {}}
        imported = read(json.dumps(config), name="ds.json")
        assert fate(imported, "scheduler.params.last_batch_iteration")[0] == kind
