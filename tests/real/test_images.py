"""Rows with images: a config of LLaMA-Factory trains the same where it is ported to trl."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ftspec.emit import yaml
from ftspec.env.install import ensure
from ftspec.port.carry import carry
from ftspec.registry import load as load_backend
from ftspec.verify.prove import as_run
from ftspec.verify.verify import Run
from tests.real.conftest import Lab, keep_pair
from tests.real.pictures import write_pictures
from tests.real.test_ported import CHATS, SMALL
from tests.real.warm import interpreter

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]

SHOWN = {
    **CHATS,
    "file_name": "../../pictures/rows.jsonl",
    "columns": {"messages": "messages", "images": "images"},
}
SEEING: Mapping[str, Any] = {
    **SMALL,
    "model_name_or_path": "../../seeing",
    "media_dir": "../../pictures",
    "template": "qwen2_vl",
    "image_max_pixels": 9000,  # some of the pictures are larger
    "stage": "sft",
    "do_train": True,
    "finetuning_type": "lora",
    "lora_target": "all",
    "learning_rate": 1.0e-3,
    "warmup_steps": 1,
}
CASES: Mapping[str, Mapping[str, Any]] = {
    "the language model": {},
    "the tower as well": {"freeze_vision_tower": False, "mask_history": True},
    "all weights but the tower": {
        "finetuning_type": "full",
        "freeze_multi_modal_projector": False,
        "learning_rate": 1.0e-4,
    },
}


@pytest.fixture(scope="module")
def pictures(lab: Lab) -> Path:
    """A tiny model that reads images, and rows for it, beside the specs."""
    place = ensure(load_backend("trl"), "vision")
    target = lab.base / "seeing"
    if not target.exists():
        script = Path(__file__).with_name("seeing.py")
        command = [interpreter(place, {}), script, lab.specs / "tiny-model", target]
        subprocess.run(list(map(str, command)), check=True)
        write_pictures(lab.base / "pictures")
    return lab.base / "pictures"


@pytest.mark.parametrize("case", CASES)
def test_a_config_with_images_trains_the_same_in_trl(
    lab: Lab, pictures: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    def runs(folder: Path) -> Mapping[str, Run]:
        original = lab.compiled("llamafactory", folder / "llamafactory")
        text = yaml.dump([("all", {**SEEING, **CASES[case]})])
        (original.folder / "train.yaml").write_text(text)
        (original.folder / "dataset_info.json").write_text(json.dumps({"rows": SHOWN}))
        monkeypatch.chdir(original.folder)
        carried = carry([Path("train.yaml")], "trl", folder / "trl")
        return {
            "llamafactory": original,
            "trl": as_run(carried.plan, ensure(load_backend("trl"), carried.plan.lock())),
        }

    proven = lab.compare(f"images-{case}", runs)
    certificate = proven.certificate
    assert certificate.verdict == "equal", {
        name: (run.error or run.first_failure()) for name, run in certificate.runs.items()
    }
    seen = [batch.images for batch in proven.evidence("trl").batches]
    assert all(seen) and len({*seen}) > 4
    keep_pair(f"llamafactory, images, {case}", "llamafactory", "trl", certificate)
