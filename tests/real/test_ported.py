"""A config in its own framework, and its port in another: they train the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ftspec.emit import yaml
from ftspec.env.install import ensure
from ftspec.plan.write import write_plan
from ftspec.port.carry import carry
from ftspec.registry import load as load_backend
from ftspec.verify.prove import as_run
from ftspec.verify.verify import Run
from tests.real.conftest import Lab

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]

CHATS = {
    "file_name": "../../specs/data/chat.jsonl",
    "formatting": "sharegpt",
    "columns": {"messages": "messages"},
    "tags": {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "system_tag": "system",
    },
}
SMALL: Mapping[str, Any] = {
    "model_name_or_path": "../../specs/tiny-model",
    "dataset": "chats",
    "dataset_dir": ".",
    "cutoff_len": 256,
    "max_steps": 6,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 2,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": "none",
    "overwrite_cache": True,
    "use_cpu": True,
    "bf16": False,
    "output_dir": "model",
}
"""What makes a config of LLaMA-Factory small enough to be trained here. How it trains stays as it is."""
PUBLISHED: Mapping[str, Any] = {
    # examples/train_lora/qwen3_lora_sft.yaml of LLaMA-Factory: lora_alpha is missing on purpose
    "model_name_or_path": "Qwen/Qwen3-4B-Instruct-2507",
    "trust_remote_code": False,
    "stage": "sft",
    "do_train": True,
    "finetuning_type": "lora",
    "lora_rank": 8,
    "lora_target": "all",
    "preprocessing_num_workers": 1,
    "save_only_model": False,
    "learning_rate": 1.0e-4,
    "num_train_epochs": 3.0,
    "lr_scheduler_type": "cosine",
    "warmup_ratio": 0.1,
    "ddp_timeout": 180000000,
    "resume_from_checkpoint": None,
}


def shrunk(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config on the tiny model and 64 chats."""
    return {**config, **SMALL}


def test_a_published_lora_trains_the_same_in_trl(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def runs(folder: Path) -> Mapping[str, Run]:
        original = lab.compiled("llamafactory", folder / "llamafactory")
        text = yaml.dump([("all", shrunk(PUBLISHED))])
        (original.folder / "train.yaml").write_text(text)
        (original.folder / "dataset_info.json").write_text(json.dumps({"chats": CHATS}))
        monkeypatch.chdir(original.folder)
        carried = carry([Path("train.yaml")], "trl", folder / "trl")
        write_plan(carried.plan)
        assert carried.plan.native["LoraConfig.lora_alpha"] == 16
        return {
            "llamafactory": original,
            "trl": as_run(carried.plan, ensure(load_backend("trl"))),
        }

    proven = lab.compare("ported-lora", runs)
    certificate = proven.certificate
    assert certificate.verdict == "equal", {
        name: (run.error or run.first_failure()) for name, run in certificate.runs.items()
    }
    losses = [step.loss for step in proven.evidence("llamafactory").steps]
    assert len(losses) == SMALL["max_steps"] and losses[0] != losses[-1]
