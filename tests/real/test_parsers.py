"""Configs by the hundred: what trl's and DeepSpeed's own parsers make of each, and of its port.

Each is imported; where nothing is lost by its fates, the spec is compiled for the same framework again. The
original, read by the framework's own parser, and the compiled script, run up to its trainer, then hand that
trainer the same values, field by field. Nothing trains.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ftspec.env.install import ensure
from ftspec.env.variables import variables
from ftspec.registry import load
from tests.conftest import SPECS
from tests.real.oracle.combined import combined
from tests.real.oracle.engines import engines
from tests.real.oracle.translate import Translated, translate
from tests.real.oracle.values import CLASSES, singles

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
SCRIPT = Path(__file__).parent / "oracle" / "reference.py"
ROWS = {
    "sft": "chat",
    "kto": "feedback",
    **dict.fromkeys(("dpo", "reward", "orpo", "cpo", "simpo"), "preferences"),
    **dict.fromkeys(("grpo", "rloo"), "prompts"),
}
RIGHTLY = {
    "output_dir": "a run of ftspec has a folder of its own",
    "deepspeed": "the name of the engine's file",
    "logging_first_step": "what is shown, not what is trained",
    "logging_nan_inf_filter": "what is shown, not what is trained",
    "log_completions": "what is shown, not what is trained",
    "generate_during_eval": "what is shown, not what is trained",
    "disable_tqdm": "what is shown, not what is trained",
    "per_device_eval_batch_size": "it evaluates in other batches, and trains the same",
    "pad_to_multiple_of": "what is padded does not train",
    "gradient_checkpointing_kwargs": "both ways recompute the same activations",
    "tf32": "off is what nothing said leaves a new process with",
    "use_liger_kernel": "the same mathematics in other kernels",
    "liger_kernel_config": "the same mathematics in other kernels",
    "use_cpu": "every script is compiled for a GPU here",
    "dataloader_pin_memory": "it follows from use_cpu",
    "router_aux_loss_coef": "the model is no mixture of experts",
    "disable_dropout": "of GRPO and RLOO: the import says so",
    "remove_unused_columns": "of GRPO and RLOO: rewards read other columns",
    "min_p": "None is what generation_config.json of the model says: here nothing",
    "model.device_map": "where weights lie, not what they are",
    "model.attn_implementation": "None is transformers' choice, sdpa",
    "fsdp": "one process shards nothing",
    "fsdp_config": "one process shards nothing",
    "= overrides": "of trl's experimental trainers: told; of those with rewards: completions are noted",
    "engine.grad_accum_dtype": "None is the type of the weights (runtime/engine.py, get_data_types)",
    "zero.gather_16bit_weights_on_model_save": "the end result holds all weights",
}
"""Fields that differ where nothing is wrong, and why."""
ENGINES_OWN = ("engine.", "zero.")
MOVED = ("zero.stage", "zero.offload_optimizer", "zero.offload_param")
TRAINS = (
    *("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps"),
    *("gradient_clipping", "float16_config", "bfloat16_config", "torch_autocast_enabled"),
)
"""Of the engine's fields those that decide what is trained; the others say how it moves data."""
NOTED = {"_calculate_rewards", "_calculate_rewards_from_functions", "_keep"}
TEMPLATES = {"concatenated_inputs", "tokenize_row"}


def text(trainer: str, said: dict[str, Any]) -> str:
    """The YAML of a config: each value as JSON has it."""
    least = {
        "model_name_or_path": "org/model",
        "datasets": [
            {"path": "json", "data_files": str(SPECS / "data" / f"{ROWS[trainer]}.jsonl")}
        ],
        "output_dir": "out",
        "max_steps": 10,
    }
    if trainer in ("grpo", "rloo"):
        least["reward_funcs"] = ["think_format_reward"]
    else:
        least["max_length"] = 256
    if trainer == "simpo":
        least["loss_type"] = "simpo"
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in {**least, **said}.items())


def judged(backend: str, cases: Sequence[Translated], folder: Path) -> list[dict[str, Any]]:
    """What the reference says of each, in the backend's own environment."""
    given = [
        {"trainer": one.trainer, "text": one.text, "folder": str(one.folder or "")} for one in cases
    ]
    (folder / "cases.json").write_text(json.dumps(given), "utf-8")
    place = ensure(load(backend))
    silent = {"CUDA_VISIBLE_DEVICES": "", "DS_ACCELERATOR": "cpu", "HF_HUB_OFFLINE": "1"}
    environ = variables(place, {**os.environ, **silent, "OMP_NUM_THREADS": "1"})
    command = [place.python, SCRIPT, folder / "cases.json", folder / "found.json"]
    subprocess.run(list(map(str, command)), env=environ, check=True, stdout=subprocess.DEVNULL)
    return list(json.loads((folder / "found.json").read_text("utf-8")))


GROUPED = 'train_sampling_strategy: "group_by_length"'
"""Rows of like length are drawn by `seed`: transformers, trainer.py, _get_train_sampler."""
ENGINE = "use_vllm: true"
"""Without it nothing reads vLLM's settings (trl, grpo_trainer.py)."""


def wrong(cases: Sequence[Translated], found: Sequence[dict[str, Any]]) -> list[str]:
    """What was read as something else, or read although its own framework stops at it."""
    told = []
    for case, one in zip(cases, found, strict=True):
        if case.how != "faithful":
            continue
        said = case.text.replace("\n", "; ")
        if "refused" in one and "alike" not in one:
            told.append(f"{case.trainer} stops, and ftspec does not: {one['refused']}: {said}")
        if "broken" in one:
            told.append(f"the compiled script stops: {one['broken']}: {said}")
        for name, (first, second) in one.get("differs", {}).items():
            unread = name == "data_seed" and GROUPED in case.text
            unread |= name.startswith("vllm_") and ENGINE not in case.text
            if not unread and not _is_right(name, second):
                told.append(f"{case.trainer}: {name}: {first} became {second}: {said}")
    return told


def _is_right(name: str, value: Any) -> bool:
    if name == "= overrides":
        return set(value) <= NOTED or set(value) <= TEMPLATES
    if name.startswith(ENGINES_OWN) and name not in MOVED:
        return name.partition(".")[2] not in TRAINS
    return name in RIGHTLY


def counted(cases: Sequence[Translated], found: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """Configs whose fields were compared, and how many fields."""
    compared = [one["compared"] for one in found if "compared" in one]
    assert len(compared) <= len(cases)
    return len(compared), sum(compared)


def test_what_trl_reads_is_what_its_port_says(tmp_path: Path) -> None:
    said = [
        *((trainer, one) for trainer in CLASSES for one in singles(trainer)),
        *combined(1, 120),
    ]
    cases = [
        translate(trainer, text(trainer, one), tmp_path / str(at))
        for at, (trainer, one) in enumerate(said)
    ]
    found = judged("trl", cases, tmp_path)
    assert not wrong(cases, found)
    configs, fields = counted(cases, found)
    assert len(cases) >= 1_200
    assert configs >= 800
    assert fields >= 100_000


def test_what_deepspeed_reads_is_what_its_port_says(tmp_path: Path) -> None:
    cases = []
    for at, (said, engine) in enumerate(engines()):
        folder = tmp_path / str(at)
        named = {**said, "deepspeed": str(folder / "ds.json")}
        cases.append(translate("sft", text("sft", named), folder, engine=json.dumps(engine)))
    found = judged("deepspeed", cases, tmp_path)
    assert not wrong(cases, found)
    configs, fields = counted(cases, found)
    assert len(cases) >= 140
    assert configs >= 90
    assert fields >= 18_000
