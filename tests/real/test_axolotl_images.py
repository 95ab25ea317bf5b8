"""Rows with images: a config of axolotl trains the same where it is ported to trl."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ftspec.emit import yaml
from ftspec.env.install import ensure
from ftspec.port.carry import carry
from ftspec.registry import load as load_backend
from ftspec.verify.prove import as_run
from ftspec.verify.verify import Run
from ftspec_axolotl.emit import CONFIG, SEED, SEED_FILE
from ftspec_axolotl.tuners import SEEDED
from tests.real.conftest import Lab, keep_pair
from tests.real.test_ported_pairs import OWN

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]

AXOLOTL: Mapping[str, Any] = {
    "base_model": "../../seeing",
    "processor_type": "AutoProcessor",
    "skip_prepare_dataset": True,
    "shuffle_merged_datasets": False,
    "dataloader_num_workers": 0,
    "remove_unused_columns": False,
    "sample_packing": False,
    "datasets": [{"path": "parts.jsonl", "ds_type": "json", "type": "chat_template"}],
    "output_dir": "model",
    "sequence_len": 32,  # all rows are longer
    "micro_batch_size": 2,
    "gradient_accumulation_steps": 2,
    "max_steps": 6,
    "seed": 42,
    "learning_rate": 1.0e-3,
    "optimizer": "adamw_torch",
    "lr_scheduler": "cosine",
    "warmup_steps": 2,
    "weight_decay": 0.0,
    "logging_steps": 1,
    "bf16": False,
    "tf32": False,
    "save_strategy": "no",
}
ADAPTED: Mapping[str, Any] = {
    "adapter": "lora",
    "lora_r": 8,
    "lora_alpha": 16,
    "lora_dropout": 0.0,
    # without a dropout it switches kernels on, at which it stops for Qwen2-VL (monkeypatch/lora_kernels.py)
    **dict.fromkeys(("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel"), False),
    "lora_target_modules": r"model.language_model.layers.[\d]+.(mlp|self_attn).(up|down|gate|q|k|v|o)_proj",
    "plugins": [SEEDED, "padded.Padded"],
}
AXOLOTLS: Mapping[str, Mapping[str, Any]] = {
    "answers of its template": {**ADAPTED, "chat_template": "qwen2_vl"},
    "all of a conversation": ADAPTED,
    "a square, and names that the tower has too": {
        **ADAPTED,
        "chat_template": "qwen2_vl",
        "image_size": 84,
        "lora_target_modules": ["q_proj", "v_proj", "fc1", "qkv"],
    },
    "four bits": {
        **ADAPTED,
        "adapter": "qlora",
        "load_in_4bit": True,
        "chat_template": "qwen2_vl",
    },
    "all weights but the tower": {
        "freeze_mm_modules": True,
        "learning_rate": 1.0e-4,
        "plugins": ["padded.Padded"],
    },
}
PADDED = """\
\"\"\"Pads to a multiple of 8, as scripts do: its collator for images does not read that number.\"\"\"

from axolotl.integrations.base import BasePlugin
from axolotl.utils.collators.mm_chat import MultiModalChatDataCollator
from torch.nn.functional import pad

FILLED = {"input_ids": None, "attention_mask": 0, "mm_token_type_ids": 0, "labels": -100}


class Padded(BasePlugin):
    def register(self, cfg):
        collated = MultiModalChatDataCollator.torch_call

        def padded(self, rows):
            batch = collated(self, rows)
            more = -batch["input_ids"].shape[1] % 8
            filled = {**FILLED, "input_ids": self.tokenizer.pad_token_id}
            return {k: pad(v, (0, more), value=filled[k]) if k in filled else v for k, v in batch.items()}

        MultiModalChatDataCollator.torch_call = padded
"""


@pytest.mark.parametrize("case", AXOLOTLS)
def test_a_config_of_axolotl_with_images_trains_the_same_in_trl(
    lab: Lab, pictures: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    same_as_ported(lab, pictures, monkeypatch, case, "trl")


@pytest.mark.parametrize(
    "case", ["all of a conversation", "four bits", "all weights but the tower"]
)
def test_what_is_compiled_of_it_trains_the_same_in_axolotl_itself(
    lab: Lab, pictures: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """Its own collator beside that of the plugin."""
    same_as_ported(lab, pictures, monkeypatch, case, "axolotl")


def same_as_ported(
    lab: Lab, pictures: Path, monkeypatch: pytest.MonkeyPatch, case: str, port: str
) -> None:
    """A config of axolotl's own, and what it is ported to."""

    def runs(folder: Path) -> Mapping[str, Run]:
        original = lab.compiled("axolotl", folder / "axolotl", *OWN)
        place = ensure(load_backend("axolotl"), "vision")
        original = replace(original, python=place.python, programs=place.bin)
        (original.folder / CONFIG).write_text(yaml.dump([("all", {**AXOLOTL, **AXOLOTLS[case]})]))
        (original.folder / SEED_FILE).write_text(SEED)
        (original.folder / "padded.py").write_text(PADDED)
        shutil.copy(pictures / "parts.jsonl", original.folder)
        shutil.copytree(pictures / "pictures", original.folder / "pictures")
        monkeypatch.chdir(original.folder)
        carried = carry([Path(CONFIG)], port, folder / "ported", allow_lossy=True)
        lost = [f for f in carried.imported.fates if not f.faithful and f.setting.key != "plugins"]
        assert not lost, [(f.setting.key, f.kind, f.why) for f in lost]
        return {
            "original": original,
            "ported": as_run(carried.plan, ensure(load_backend(port), carried.plan.lock())),
        }

    proven = lab.compare(f"axolotl-images-{port}-{case}", runs, "original")
    certificate = proven.certificate
    assert certificate.verdict == "equal", {
        name: (run.error or run.first_failure()) for name, run in certificate.runs.items()
    }
    seen = [batch.images for batch in proven.evidence("ported").batches]
    assert all(seen) and len({*seen}) > 4
    name = f"axolotl, images, {case}" if port == "trl" else f"axolotl, images, compiled, {case}"
    keep_pair(name, "axolotl", port, certificate)


LYING = """\
from types import SimpleNamespace
from PIL import Image
from axolotl.processing_strategies import ProcessingStrategy

noted = Image.Exif()
noted[0x0112] = 6  # its top is at the right
Image.new("RGB", (40, 20)).save("lying.jpg", exif=noted)
said = [{"role": "user", "content": "which?"}]
rows = ProcessingStrategy(SimpleNamespace(tokenizer=None))(
    [{"messages": said, "images": ["lying.jpg"]}]
)
print(rows[0]["messages"][0]["content"][-1]["image"].size, Image.open("lying.jpg").size)
"""


def test_axolotl_turns_a_file_that_notes_so_and_pillow_does_not(tmp_path: Path) -> None:
    python = ensure(load_backend("axolotl"), "vision").python
    ran = subprocess.run(
        [str(python), "-c", LYING], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.stdout.splitlines()[-1:] == ["(20, 40) (40, 20)"], ran.stderr[-2000:]
