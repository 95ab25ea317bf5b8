"""What Unsloth's path for GPUs asks for otherwise than its path for a CPU: seen on a GPU, held here.

Its loader stops at the name of a type, and takes bfloat16 where there is none; its trainer turns on mixed
precision where none is asked for; its rows are packed by as many processes as there are cores.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ftspec.errors import UnsupportedError
from ftspec.plan.make import make_plan
from ftspec.plan.write import write_plan
from ftspec.port.bring import bring
from ftspec.spec.load import load, loads
from tests.conftest import SPECS

GPU = ("hardware.device=cuda", "precision=bf16")
WRITTEN = {
    "auto": "dtype=stored,",
    "bfloat16": "dtype=torch.bfloat16,",
    "float16": "dtype=torch.float16,",
    "float32": "dtype=torch.float32,",
}


def script(folder: Path, *sets: str) -> Path:
    write_plan(make_plan(load(SPECS / "quickstart.yaml", sets), "unsloth", folder))
    return folder / "train.py"


@pytest.mark.parametrize("dtype", WRITTEN)
def test_types_are_torch_s_own_and_come_back(dtype: str, tmp_path: Path) -> None:
    half = "fp16" if dtype == "float16" else "bf16"
    sets = (GPU[0], f"precision={half}", f"model.dtype={dtype}")
    file = script(tmp_path, *sets)
    assert WRITTEN[dtype] in file.read_text()
    assert 'dtype="' not in file.read_text().split("SFTConfig(")[0]
    imported = bring([file])
    assert imported.faithful
    assert loads(imported.composed.text, str(tmp_path / "s.yaml")).spec.model.dtype == dtype


def test_a_checkpoint_that_names_no_type_stops_the_script(tmp_path: Path) -> None:
    text = script(tmp_path, *GPU).read_text()
    assert "\nif stored is None:" in text and "raise SystemExit(" in text
    assert 'dtype="auto"' in script(tmp_path / "cpu").read_text()


def test_the_type_of_another_checkpoint_is_not_its_own(tmp_path: Path) -> None:
    text = script(tmp_path, *GPU).read_text()
    before, _, after = text.partition("AutoConfig.from_pretrained(")
    path = text.split('model_name="')[1].split('"')[0]
    other = tmp_path / "other.py"
    other.write_text(
        before + "AutoConfig.from_pretrained(" + after.replace(path, "org/other", 1), "utf-8"
    )
    imported = bring([other])
    (fate,) = (each for each in imported.fates if each.setting.key.endswith("dtype"))
    assert not fate.faithful


def test_float32_is_not_to_be_had() -> None:
    for compute in ("fp32", "{compute: fp32, tf32: true}"):
        spec = load(SPECS / "quickstart.yaml", (GPU[0], f"precision={compute}"))
        with pytest.raises(UnsupportedError, match="turns on mixed precision in bfloat16"):
            make_plan(spec, "unsloth")


def test_one_process_packs(tmp_path: Path) -> None:
    packed = script(tmp_path / "packed", *GPU, "data.packing=documents")
    assert "dataset_num_proc=1" in packed.read_text()
    assert bring([packed]).faithful
    assert "dataset_num_proc" not in script(tmp_path / "apart", *GPU).read_text()


@pytest.mark.parametrize("tuner", ["full", "{type: partial, last_layers: 1}"])
@pytest.mark.parametrize(
    ("dtype", "compute"), [("bfloat16", "bf16"), ("bfloat16", "fp16"), ("float16", "bf16")]
)
def test_weights_that_train_whole_are_held_in_float32(tuner: str, dtype: str, compute: str) -> None:
    """It would turn mixed precision off over bfloat16, and make float32 of float16, without a word."""
    sets = (GPU[0], f"precision={compute}", f"method.tuner={tuner}")
    make_plan(load(SPECS / "quickstart.yaml", (*sets, "model.dtype=float32")), "unsloth")
    with pytest.raises(UnsupportedError, match="turns mixed precision off") as found:
        make_plan(load(SPECS / "quickstart.yaml", (*sets, f"model.dtype={dtype}")), "unsloth")
    assert "model.dtype: float32" in str(found.value.problems[0])


def test_what_a_checkpoint_stores_counts_where_a_part_of_it_trains(tmp_path: Path) -> None:
    """Most are stored in bfloat16, so that `auto` is no float32."""
    sets = (*GPU, "method.tuner={type: partial, last_layers: 1}")
    make_plan(load(SPECS / "quickstart.yaml", sets), "unsloth")
    shutil.copytree(SPECS / "tiny-model", tmp_path / "model")
    file = tmp_path / "model" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"dtype": "bfloat16"}))
    rounded = load(SPECS / "quickstart.yaml", (*sets, f"model={tmp_path / 'model'}"))
    with pytest.raises(UnsupportedError, match="turns mixed precision off"):
        make_plan(rounded, "unsloth")
    hub = load(SPECS / "quickstart.yaml", (*sets, "model=org/model"))
    with pytest.raises(UnsupportedError, match=r"only if the hub's config\.json says float32"):
        make_plan(hub, "unsloth")


@pytest.mark.parametrize(("dtype", "compute"), [("float16", "bf16"), ("bfloat16", "fp16")])
def test_beside_an_adapter_it_stops_at_the_other_half(dtype: str, compute: str) -> None:
    sets = (GPU[0], f"precision={compute}", f"model.dtype={dtype}")
    with pytest.raises(UnsupportedError, match=f"over weights in {dtype} it stops at {compute}"):
        make_plan(load(SPECS / "quickstart.yaml", sets), "unsloth")


@pytest.mark.parametrize(
    ("name", "goes"),
    [
        ("google/gemma-3-4b-it", False),
        ("openai/gpt-oss-20b", False),
        ("Qwen/Qwen3.5-4B", False),
        ("zai-org/GLM-4.5-Air", False),
        ("Qwen/Qwen3-8B", True),
        ("google/gemma-2-9b", True),
        ("meta-llama/Llama-3.1-8B", True),
    ],
)
def test_some_models_are_not_trained_in_float16(name: str, goes: bool) -> None:
    sets = (GPU[0], "precision=fp16", "model.dtype=float16", f"model.name={name}")
    spec = load(SPECS / "quickstart.yaml", sets)
    if goes:
        assert make_plan(spec, "unsloth")
    else:
        with pytest.raises(UnsupportedError, match="trains this model in float32"):
            make_plan(spec, "unsloth")
