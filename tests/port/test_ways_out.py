"""Options that a stop of `port` proposes: they go, and none of them changes more than it has to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftspec.errors import SpecError, UnsupportedError
from ftspec.port.carry import carry

LLAMA = """\
model_name_or_path: org/model
do_train: true
dataset: rows
dataset_dir: .
template: qwen
output_dir: out
cutoff_len: 256
"""
PAIRS = {
    "hf_hub_url": "org/pairs",
    "ranking": True,
    "formatting": "sharegpt",
    "columns": {"messages": "conversations", "chosen": "good", "rejected": "bad"},
}
INFO = {"rows": {"hf_hub_url": "org/rows"}, "pairs": PAIRS}
ENGINE = {
    "zero_optimization": {"stage": 2, "offload_optimizer": {"device": "cpu"}},
    "train_micro_batch_size_per_gpu": "auto",
    "bf16": {"enabled": True},
}
FULL = "stage: sft\nfinetuning_type: full\nbf16: true\n"


@pytest.mark.parametrize(
    ("text", "backend", "options"),
    [
        pytest.param(
            f"{FULL}deepspeed: ds.json\noptim: adamw_8bit\n",
            *("deepspeed", "train.optimizer=adamw"),
            id="what lies in CPU memory has to be sharded",
        ),
        pytest.param(
            f"{FULL}use_galore: true\noptim: adamw_torch\n",
            *("trl", "train.optimizer.eps=1e-06"),
            id="the one eps of transformers' GaLore",
        ),
        pytest.param(
            "stage: dpo\ndpo_label_smoothing: 0.1\n",
            *("trl", "method.objective.label_smoothing=0"),
            id="the same formula without what trl has not",
        ),
    ],
)
def test_what_is_proposed_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, backend: str, options: str
) -> None:
    monkeypatch.chdir(tmp_path)
    data = LLAMA.replace("rows", "pairs") if "dpo" in text else LLAMA
    Path("config.yaml").write_text(data + text)
    Path("dataset_info.json").write_text(json.dumps(INFO))
    Path("ds.json").write_text(json.dumps(ENGINE))
    given = ["hardware.device=cuda"]
    with pytest.raises(UnsupportedError) as stopped:
        carry([Path("config.yaml")], backend, Path("build"), allow_lossy=True, sets=given)
    assert stopped.value.way_out == f"--set {options}"
    carry([Path("config.yaml")], backend, Path("build"), allow_lossy=True, sets=[*given, options])


@pytest.mark.parametrize(("backend", "told"), [("trl", True), ("llamafactory", False)])
def test_a_checkpoint_of_another_framework_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, told: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(f"{LLAMA}stage: sft\nresume_from_checkpoint: out/checkpoint-2\n")
    Path("dataset_info.json").write_text(json.dumps(INFO))
    carried = carry([Path("config.yaml")], backend, Path("build"), allow_lossy=True)
    assert any("saved that checkpoint" in note for note in carried.imported.notes) is told


def test_a_checkpoint_of_axolotl_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(
        "base_model: org/m\ndatasets: [{path: org/rows, type: alpaca}]\nmicro_batch_size: 1\nadapter: lora\n"
        "lora_r: 8\nlora_alpha: 8\nlora_target_modules: [q_proj]\nresume_from_checkpoint: out/checkpoint-2\n"
        "gradient_accumulation_steps: 1\nnum_epochs: 1\nlearning_rate: 1e-4\noutput_dir: out\nbf16: true\n"
    )
    given = ["hardware.device=cuda"]
    carried = carry([Path("config.yaml")], "trl", Path("build"), allow_lossy=True, sets=given)
    assert any("axolotl saved that checkpoint" in note for note in carried.imported.notes)


def test_both_formats_are_asked_for_at_once(tmp_path: Path) -> None:
    said = (
        "model_name_or_path: org/m\ndataset_name: org/rows\neval_strategy: epoch\noutput_dir: out\n"
    )
    (tmp_path / "sft.yaml").write_text(said)
    with pytest.raises(SpecError) as asked:
        carry([tmp_path / "sft.yaml"], "trl", tmp_path / "build", wanted="trl")
    (hint,) = (one.hint for one in asked.value.problems if one.message.startswith("data.train"))
    assert hint == "--set data.train.format=... --set data.eval.format=..."
