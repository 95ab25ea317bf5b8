"""What is particular to axolotl: what it refuses, and what it only nearly does."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftspec.backend import lift
from ftspec.errors import UnsupportedError
from ftspec.plan.make import make_plan
from ftspec.plan.stages import Launch, Plan, PrepareData
from ftspec.registry import load as load_backend
from ftspec.spec.load import load
from tests.conftest import SPECS

TINY = SPECS / "axolotl-tiny.yaml"


def plan(tmp_path: Path, *sets: str, lossy: bool = False) -> Plan:
    return make_plan(load(TINY, sets), "axolotl", tmp_path, lossy)


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        ("method=qlora & model.quantization=int8", "all others in float16"),
        ("method.tuner={type: oft, rank: 8}", "only full and partial tuning and LoRA"),
        (
            r"method.tuner={type: partial, patterns: ['a[.]b']}",
            "a dot is one of a name",
        ),
        (
            "method.tuner={type: partial, patterns: ['head[3]']}",
            "a row of a matrix",
        ),
        ("method.tuner={type: partial, head: true}", "by patterns alone"),
        (
            "method=qlora & model.quantization={type: nf4, storage: bfloat16}",
            "rounds a new adapter",
        ),
        ("method.tuner.init=pissa", "move the weights below"),
        ("method.tuner.plus_ratio=4 & train.weight_decay=0.1", "has no weight decay"),
        (
            "method.tuner.layers=[1] & method.tuner.targets={pattern: x}",
            "layers only among modules",
        ),
        ("train.optimizer=muon", "leaves out all that is no matrix"),
        ("train.data_seed=7", "one seed for all"),
        ("precision=bf16", "insists on a GPU"),
        ("model.dtype=bfloat16", "in the type of the arithmetic"),
        ("train.micro_batch_size=2 & hardware.devices=2", "asks each GPU"),
        ("train.neftune_alpha=5", "noise"),
        ("train.label_smoothing=0.1", "no smoothing"),
        ("model.attention=flash_attention_2", "flash attention"),
        ("data.packing=documents", "keeps documents apart"),
    ],
)
def test_what_it_refuses(tmp_path: Path, sets: str, words: str) -> None:
    with pytest.raises(UnsupportedError, match=words):
        plan(tmp_path, *sets.split(" & "))


@pytest.mark.parametrize(
    ("sets", "words", "native"),
    [
        (("train.micro_batch_size=2",), "averages the means", {"gradient_accumulation_steps": 2}),
        (("train.warmup_steps=1",), "makes two of one", {"warmup_steps": 1}),
        (("train.steps=null", "train.epochs=3"), "fewer", {"num_epochs": 3.0}),
    ],
)
def test_what_it_nearly_does(
    tmp_path: Path, sets: tuple[str, ...], words: str, native: dict[str, object]
) -> None:
    with pytest.raises(UnsupportedError, match=words):
        plan(tmp_path, *sets)
    made = plan(tmp_path, *sets, lossy=True)
    assert {key: made.native[key] for key in native} == native
    assert len(made.notes) == 1


def test_the_means_of_batches_are_what_it_averages(tmp_path: Path) -> None:
    sets = ("train.micro_batch_size=2", "method.objective.average=batches")
    made = plan(tmp_path, *sets)
    assert not made.notes and made.native["gradient_accumulation_steps"] == 2
    assert lift(load_backend("axolotl"), made.native).spec["method.objective.average"] == "batches"


def test_several_devices_are_processes_whose_means_are_averaged(tmp_path: Path) -> None:
    sets = ("hardware.device=cuda", "hardware.devices=2", "train.micro_batch_size=2")
    with pytest.raises(UnsupportedError, match="means of the accumulated batches and of devices"):
        plan(tmp_path, *sets)
    made = plan(tmp_path, *sets, "method.objective.average=batches")
    (launch,) = (stage for stage in made.stages if isinstance(stage, Launch))
    assert "--nproc-per-node=2" in launch.argv and launch.argv[-3:] == (
        *("-m", "axolotl.cli.train"),
        "axolotl.yaml",
    )
    assert not made.notes and made.native["gradient_accumulation_steps"] == 1
    spec = lift(load_backend("axolotl"), made.native).spec
    assert (spec["hardware.devices"], spec["method.objective.average"]) == (2, "batches")


def test_one_epoch_is_exact(tmp_path: Path) -> None:
    made = plan(tmp_path, "train.steps=null", "train.epochs=1")
    assert not made.notes and made.native["num_epochs"] == 1.0 and "max_steps" not in made.native


def test_rows_have_the_column_that_it_knows_them_by(tmp_path: Path) -> None:
    (stage,) = (one for one in plan(tmp_path).stages if isinstance(one, PrepareData))
    assert stage.columns == ("attention_mask",)


def test_all_weights_need_no_seeded_adapter(tmp_path: Path) -> None:
    assert {file.path for file in plan(tmp_path).files()} >= {"adapter_seed.py"}
    assert "adapter_seed.py" not in {file.path for file in plan(tmp_path, "method=full").files()}


def test_it_is_told_by_the_launch_that_there_is_no_gpu(tmp_path: Path) -> None:
    launch = {file.path: file.content.decode() for file in plan(tmp_path).files()}["launch.sh"]
    assert "export CUDA_VISIBLE_DEVICES=''" in launch
    assert "python -m axolotl.cli.train axolotl.yaml" in launch
