"""Pairs of answers beside images: a config of LLaMA-Factory trains the same where it is ported to trl."""

from __future__ import annotations

import json
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
from tests.real.test_images import SEEING

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]

COMPARED = {
    "file_name": "../../pictures/pairs.jsonl",
    "formatting": "sharegpt",
    "ranking": True,
    "columns": {
        "messages": "conversations",
        "chosen": "chosen",
        "rejected": "rejected",
        "images": "images",
    },
}
"""As the entry of `rlhf_v` has it."""
PAIRED: Mapping[str, Any] = {
    **SEEING,
    "stage": "dpo",
    "pref_beta": 0.1,
    "pref_loss": "sigmoid",
    "learning_rate": 1.0e-2,
}
CASES: Mapping[str, Mapping[str, Any]] = {
    "the language model": {},
    "the tower as well": {"freeze_vision_tower": False, "pref_beta": 0.5},
    "all weights but the tower": {
        "finetuning_type": "full",
        "freeze_multi_modal_projector": False,
        "learning_rate": 1.0e-4,
    },
}


@pytest.mark.parametrize("case", CASES)
def test_pairs_with_images_train_the_same_in_trl(
    lab: Lab, pictures: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    def runs(folder: Path) -> Mapping[str, Run]:
        original = lab.compiled("llamafactory", folder / "llamafactory")
        text = yaml.dump([("all", {**PAIRED, **CASES[case]})])
        (original.folder / "train.yaml").write_text(text)
        (original.folder / "dataset_info.json").write_text(json.dumps({"rows": COMPARED}))
        monkeypatch.chdir(original.folder)
        carried = carry([Path("train.yaml")], "trl", folder / "trl")
        return {
            "llamafactory": original,
            "trl": as_run(carried.plan, ensure(load_backend("trl"), carried.plan.lock())),
        }

    proven = lab.compare(f"image-pairs-{case}", runs)
    certificate = proven.certificate
    assert certificate.verdict == "equal", {
        name: (run.error or run.first_failure()) for name, run in certificate.runs.items()
    }
    seen = [batch.images for batch in proven.evidence("trl").batches]
    assert all(seen) and len({*seen}) > 4
    keep_pair(f"llamafactory, pairs with images, {case}", "llamafactory", "trl", certificate)
