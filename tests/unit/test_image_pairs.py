"""Pairs of answers beside images: what a row has to have, and what each backend writes or refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ftspec.backend import lift
from ftspec.cli import cli
from ftspec.errors import DataError, FtspecError, SpecError, UnsupportedError
from ftspec.plan.data_stages import check_split
from ftspec.plan.make import Plan, make_plan
from ftspec.registry import load as load_backend
from ftspec.spec.load import load
from tests.conftest import SPECS
from tests.unit.test_images import files

SPEC = """\
version: 1
model: {name: org/sees, chat_template: qwen2_vl, images: {train: language, max_pixels: 9000}}
data: {train: {path: rows.jsonl, columns: {images: images}}, max_length: null}
method: {objective: {type: dpo}}
precision: fp32
train: {steps: 6, batch_size: 4, micro_batch_size: 2}
hardware: {device: cpu}
"""
CUT = ("data.max_length=300", "data.overflow=truncate")
ROW: dict[str, Any] = {
    "conversations": [{"from": "human", "value": "<image>What is this?"}],
    "chosen": {"from": "gpt", "value": "A line."},
    "rejected": {"from": "gpt", "value": "Nothing."},
    "images": ["a.png"],
}
ASKED = {"instruction": "<image>What?", "chosen": "A line.", "rejected": "No.", "images": ["a.png"]}
PARTS: dict[str, Any] = {
    "prompt": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]}],
    "chosen": [{"role": "assistant", "content": [{"type": "text", "text": "A line."}]}],
    "rejected": [{"role": "assistant", "content": "No."}],
    "images": ["a.png"],
}


def plan(
    folder: Path, *sets: str, backend: str = "trl", row: Any = ROW, lossy: bool = False
) -> Plan:
    (folder / "a.png").write_bytes(b"")
    (folder / "rows.jsonl").write_text(json.dumps(row) + "\n")
    (folder / "spec.yaml").write_text(SPEC)
    return make_plan(load(folder / "spec.yaml", sets), backend, folder / "build", lossy)


@pytest.mark.parametrize("row", [ROW, ASKED, PARTS], ids=["sharegpt", "alpaca", "preference"])
def test_a_script_collates_pairs_with_their_images(tmp_path: Path, row: dict[str, Any]) -> None:
    made = plan(tmp_path, row=row)
    script = files(made)["train.py"].content.decode()
    assert "from trl import DPOConfig, DPOTrainer" in script
    assert 'return {**batch, "completion_mask": learned}' in script
    assert '"labels"' not in script
    # trl's trainers of preferences take no template: the processor writes rows by its own
    assert "processor.chat_template = tokenizer.chat_template" in script
    back = lift(load_backend("trl"), load_backend("trl").read([*files(made).values()]))
    assert not back.refusals and not back.unknown
    assert back.spec["method.objective.type"] == "dpo"
    assert back.spec["model.images.train"] == ("language",)
    assert back.spec["model.images.max_pixels"] == 9000
    assert back.spec["model.images.learned"] is True
    assert back.spec["data.train_on"] == "completions"
    assert back.spec["data.train"][0]["columns"] == {"images": "images"}
    assert (
        back.spec["data.train"][0]["format"]
        == made.resolved.values["data.train"].value[0]["format"]
    )
    check_split(made.resolved, "train", lengths=False)


def test_a_processors_own_template_stays_its_own(tmp_path: Path) -> None:
    script = files(plan(tmp_path, "model.chat_template=tokenizer"))["train.py"].content.decode()
    assert 'IMAGE_FOLDER, IMAGE_MARK = "..", None' in script
    assert "processor.chat_template" not in script


def test_of_all_weights_a_script_loads_the_reference_as_the_model(tmp_path: Path) -> None:
    sets = ("method.tuner={type: full}", "model.dtype=float32")
    script = files(plan(tmp_path, *sets))["train.py"].content.decode()
    assert "reference = AutoModelForImageTextToText.from_pretrained(" in script
    assert "ref_model=reference" in script
    assert "AutoModelForCausalLM" not in script
    with pytest.raises(UnsupportedError, match="the reference would keep the stored ones"):
        plan(tmp_path, "method.tuner={type: full}", "precision=bf16")


def test_a_limit_stops_the_run_and_comes_back(tmp_path: Path) -> None:
    made = plan(tmp_path, "data.max_length=300", "data.overflow=error")
    script = files(made)["train.py"].content.decode()
    assert "max_length=300" in script
    back = lift(load_backend("trl"), load_backend("trl").read([*files(made).values()])).spec
    assert (back["data.max_length"], back["data.overflow"]) == (300, "error")
    with pytest.raises(UnsupportedError, match="may lose tokens of an image"):
        plan(tmp_path, *CUT)


def test_llamafactory_is_told_of_the_column(tmp_path: Path) -> None:
    folder = tmp_path / "sees"
    folder.mkdir()
    settings = {
        "image_processor_type": "Qwen2VLImageProcessor",
        "patch_size": 14,
        "merge_size": 2,
        "max_pixels": 12544,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    (folder / "config.json").write_text("{}")
    sets = ("model.name=./sees", "data.max_length=300", "data.overflow=error")
    made = plan(tmp_path, *sets, backend="llamafactory", lossy=True)
    info = json.loads(files(made)["dataset_info.json"].content)
    (entry,) = info.values()
    assert entry["ranking"] is True
    assert entry["columns"] == {
        **{name: name for name in ("chosen", "rejected", "images")},
        "messages": "conversations",
    }
    assert "stage: dpo" in files(made)["train.yaml"].content.decode()
    back = lift(
        load_backend("llamafactory"), load_backend("llamafactory").read([*files(made).values()])
    )
    assert back.spec["data.train"][0]["columns"] == {"images": "images"}
    assert back.spec["model.images.train"] == ("language",)


@pytest.mark.parametrize(
    ("sets", "told"),
    [
        (("method.objective={type: orpo}",), "compared otherwise than by DPO"),
        (("method.objective={type: reward}",), "compared otherwise than by DPO"),
        (("method.objective={type: dpo, loss: ipo}",), "method.objective.loss: 'ipo'"),
        (("method.objective={type: dpo, sft_weight: 0.5}",), "method.objective.sft_weight"),
        (("method.objective={type: dpo, reference: org/other}",), "method.objective.reference"),
        (
            ("method.objective={type: dpo, precompute_reference: true}",),
            "method.objective.precompute_reference",
        ),
        (("data.max_prompt_length=50",), "data.max_prompt_length"),
    ],
)
def test_what_was_not_seen_to_train_alike_is_refused(
    tmp_path: Path, sets: tuple[str, ...], told: str
) -> None:
    with pytest.raises(UnsupportedError, match=told):
        plan(tmp_path, *sets)


@pytest.mark.parametrize("backend", ["unsloth", "deepspeed", "axolotl"])
def test_other_backends_refuse(tmp_path: Path, backend: str) -> None:
    with pytest.raises(UnsupportedError, match=r"model\.images\.train"):
        plan(tmp_path, backend=backend)


def test_whole_conversations_have_no_images(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "<image>What?"}]
    row = {
        "chosen": [*turns, {"role": "assistant", "content": "A line."}],
        "rejected": [*turns, {"role": "assistant", "content": "No."}],
        "images": ["a.png"],
    }
    with pytest.raises(SpecError, match="preference-implicit are read without images"):
        plan(tmp_path, row=row)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"images": ["b.png"]}, "no image b.png"),
        ({"images": ["a.png", "a.png"]}, "2 images and 1 places"),
        (
            {"rejected": {"from": "gpt", "value": "<image>Nothing."}},
            "1 images and 2 places",
        ),
    ],
)
def test_both_answers_have_a_place_for_each_image(
    tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    made = plan(tmp_path, row={**ROW, **change})
    with pytest.raises(DataError, match=told):
        check_split(made.resolved, "train", lengths=False)


def test_llamafactory_stops_at_parts_and_at_images_without_a_place(tmp_path: Path) -> None:
    bare = {**ROW, "conversations": [{"from": "human", "value": "What is this?"}]}
    made = plan(tmp_path, row=bare)
    check_split(made.resolved, "train", lengths=False)
    with pytest.raises(FtspecError, match="no place in a text"):
        check_split(made.resolved, "train", lengths=False, alternating=True)


def test_a_preview_shows_no_texts_in_the_place_of_images(tmp_path: Path) -> None:
    plan(tmp_path)
    words = [
        "data",
        "preview",
        str(tmp_path / "spec.yaml"),
        "--set",
        f"model.name={SPECS}/tiny-model",
    ]
    found = CliRunner().invoke(cli, words).output
    assert "trl: not known: how many tokens an image becomes" in found.replace("\n", " ")
    assert "<|im" not in found
