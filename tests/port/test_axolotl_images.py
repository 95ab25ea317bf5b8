"""Rows with images in a config of axolotl: what counts of them, what trains, which form an image has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ftspec.errors import UnsupportedError
from ftspec.port.carry import carry
from tests.port.conftest import Bring, fate

SEES = """\
base_model: org/sees
processor_type: AutoProcessor
skip_prepare_dataset: true
remove_unused_columns: false
sample_packing: false
adapter: lora
lora_r: 8
lora_alpha: 16
lora_dropout: 0.05
lora_target_modules: 'model.language_model.layers.[\\d]+.(mlp|self_attn).(up|q)_proj'
sequence_len: 2048
micro_batch_size: 2
learning_rate: 0.0002
datasets:
  - path: rows.jsonl
    type: chat_template
"""
QWEN = SEES + "chat_template: qwen2_vl\n"
PARTS = ("language", "projector", "vision")


def values(read: Bring, text: str, **how: Any) -> dict[str, Any]:
    return dict(read(text, **how).composed.values)


def of_entry(line: str) -> str:
    """A config with one more key of its data set."""
    return QWEN.replace("    type: chat_template\n", f"    type: chat_template\n    {line}\n")


def test_answers_count_where_the_template_has_marks_of_turns(read: Bring) -> None:
    imported = read(QWEN)
    found = imported.composed.values
    assert all(one.faithful for one in imported.fates)
    assert not imported.composed.open
    assert found["data.train"][0]["columns"] == {"images": "images"}
    assert found["data.train_on"] == "assistant" and found["data.turn_part"] == "ended"
    assert found["data.turn_ends"] == ("<|im_end|>",)
    assert found["data.prepare"] == "framework"
    assert found["data.max_length"] is None  # sequence_len is read of prepared rows alone
    assert fate(imported, "sequence_len")[0] == "inert"
    assert found["model.images.learned"] is True and found["model.images.square"] is None


def test_that_files_of_images_are_turned_is_told(read: Bring) -> None:
    assert any("EXIF" in note for note in read(QWEN).notes)
    assert not any("EXIF" in note for note in read(QWEN.replace("processor_type", "# ")).notes)


@pytest.mark.parametrize("said", ["", "chat_template: llava\n", "chat_template: chatml\n"])
def test_all_but_images_counts_where_it_has_none(read: Bring, said: str) -> None:
    found = values(read, SEES + said)
    assert found["data.train_on"] == "all" and found["data.turn_part"] == "written"
    assert found["model.images.learned"] is False


def test_inputs_count_where_it_says_so(read: Bring) -> None:
    found = values(read, QWEN + "train_on_inputs: true\n")
    assert found["data.train_on"] == "all" and found["model.images.learned"] is False


@pytest.mark.parametrize(
    ("said", "parts"),
    [
        ("", ("language",)),
        ("lora_target_modules: [q_proj, fc1]\n", PARTS),  # found in the tower as well
        ("lora_target_modules: 'model.language_model.x|visual.y'\n", PARTS),
        ("lora_target_modules: [q_proj]\nfreeze_mm_modules: true\n", ("language",)),
        ("adapter:\n", PARTS),
        ("adapter:\nfreeze_mm_modules: true\n", ("language",)),
    ],
)
def test_which_parts_train(read: Bring, said: str, parts: tuple[str, ...]) -> None:
    lines = {line.partition(":")[0] for line in said.splitlines()}
    kept = (line for line in QWEN.splitlines(True) if line.partition(":")[0] not in lines)
    assert values(read, "".join(kept) + said)["model.images.train"] == parts


def test_the_last_part_of_a_name_may_be_a_number(read: Bring) -> None:
    assert fate(read(QWEN + "lora_target_linear: true\n"), "lora_target_linear")[0] == "unknown"


@pytest.mark.parametrize(
    ("config", "side", "asked"),
    [
        ({"vision_config": {"image_size": 336}}, 336, False),
        ({"vision_config": {}}, None, False),
        ({"vision_config": {"image_size": [448, 448]}}, None, True),
        (None, None, True),
    ],
)
def test_an_image_is_fit_into_the_square_of_the_model(
    read: Bring, tmp_path: Path, config: Any, side: int | None, asked: bool
) -> None:
    (tmp_path / "org" / "sees").mkdir(parents=True)
    if config is not None:
        (tmp_path / "org" / "sees" / "config.json").write_text(json.dumps(config))
    found = read(SEES.replace("org/sees", "./org/sees")).composed
    assert found.values.get("model.images.square") == side
    assert any("model.images.square" in one for one in found.open) == asked


@pytest.mark.parametrize(
    ("text", "key", "kind"),
    [
        (QWEN + "image_size: 84\n", "image_size", "renamed"),
        (QWEN + "image_size: [84, 56]\n", "image_size", "unknown"),
        (
            QWEN + "image_size: 84\nimage_resize_algorithm: bilinear\n",
            "image_resize_algorithm",
            "derived",
        ),
        (
            QWEN + "image_size: 84\nimage_resize_algorithm: bicubic\n",
            "image_resize_algorithm",
            "unknown",
        ),
        (QWEN + "image_resize_algorithm: bicubic\n", "image_resize_algorithm", "inert"),
        (QWEN + "role_boundaries: [{role: a, start: b}]\n", "role_boundaries[0].start", "unknown"),
        (
            QWEN.replace("remove_unused_columns: false", "remove_unused_columns: true"),
            "remove_unused_columns",
            "unknown",
        ),
        (QWEN + "model_type: AutoModelForImageTextToText\n", "model_type", "inert"),
        (
            QWEN.replace("skip_prepare_dataset: true", "skip_prepare_dataset: false"),
            "processor_type",
            "unknown",
        ),
        (SEES.replace("org/sees", "org/GLM-sees"), "processor_type", "approximated"),
        (SEES + "chat_template: qwen3_5\n", "processor_type", "approximated"),
        (of_entry("train_on_eos: turn"), "datasets[0].train_on_eos", "derived"),
        (of_entry("train_on_eos: all"), "datasets[0].train_on_eos", "unknown"),
        (of_entry("train_on_eot: all"), "datasets[0].train_on_eot", "inert"),
        (of_entry("roles_to_train: [assistant]"), "datasets[0].roles_to_train", "derived"),
        (of_entry("roles_to_train: [user]"), "datasets[0].roles_to_train", "unknown"),
        (of_entry("chat_template: chatml"), "datasets[0].chat_template", "inert"),
        (QWEN.replace("type: chat_template", "type: alpaca"), "datasets[0].type", "unknown"),
    ],
)
def test_fates(read: Bring, text: str, key: str, kind: str) -> None:
    assert fate(read(text), key)[0] == kind


PART = {"type": "image"}


@pytest.mark.parametrize(
    ("content", "images", "word"),
    [
        ([PART, {"type": "text", "text": "What?"}], ["a.png"], ""),
        ([PART, PART], ["a.png", "b.png"], "takes the first"),
        ("<image>What?", ["a.png"], "behind the first user's text"),
        ([{"type": "text", "text": "What?"}], ["a.png"], "behind the first user's text"),
        ("Hello", [], ""),
    ],
)
def test_rows_that_are_here_are_looked_at(
    read: Bring, tmp_path: Path, content: Any, images: list[str], word: str
) -> None:
    row = {"messages": [{"role": "user", "content": content}], "images": images}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    kind, why = fate(read(QWEN), "datasets[0].type")
    assert kind == ("approximated" if word else "derived") and word in why


def test_llamafactory_has_a_way_out_in_so_many_words(
    read: Bring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It trains a line break more of each answer, and by names: each of these is said."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org" / "sees").mkdir(parents=True)
    said = {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 14, "merge_size": 2}
    (tmp_path / "org" / "sees" / "preprocessor_config.json").write_text(
        json.dumps(said | {"max_pixels": 784 * 64})
    )
    config = {"model_type": "qwen2_vl", "dtype": "bfloat16", "vision_config": {}}
    (tmp_path / "org" / "sees" / "config.json").write_text(json.dumps(config))
    asked = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]}
    rows = {"messages": [asked], "images": ["a.png"]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(rows) + "\n")
    text = QWEN.replace("org/sees", "./org/sees") + "max_steps: 4\n"
    read(text)
    with pytest.raises(UnsupportedError) as stopped:
        carry(
            [tmp_path / "config.yaml"],
            "llamafactory",
            tmp_path / "build",
            sets=["hardware.device=cuda"],
        )
    options = (
        *("model.chat_template=qwen2_vl", "method.tuner.targets=all-linear"),
        "data.max_length=2048",
        *("data.turn_part=written", "data.turn_ends=[]"),
    )
    for option in options:
        assert option in (stopped.value.way_out or ""), stopped.value.way_out


@pytest.mark.parametrize(
    ("said", "own", "masked"),
    [
        ("", {"pad_token": "<|endoftext|>", "eos_token": "<|im_end|>"}, False),
        ("", {"pad_token": {"content": "<|im_end|>"}, "eos_token": "<|im_end|>"}, True),
        ("special_tokens: {pad_token: <|im_end|>}\n", {}, True),
        ("special_tokens: {pad_token: <pad>}\n", {"pad_token": "</s>", "eos_token": "</s>"}, False),
        ("", {"pad_token": None, "eos_token": "<|im_end|>"}, True),
        ("", None, False),
    ],
)
def test_an_end_that_pads_rows_too_does_not_count_there(
    read: Bring, tmp_path: Path, said: str, own: Any, masked: bool
) -> None:
    """processing_strategies.py masks by the id of the pad token, wherever it stands."""
    (tmp_path / "org" / "sees").mkdir(parents=True)
    if own is not None:
        (tmp_path / "org" / "sees" / "tokenizer_config.json").write_text(json.dumps(own))
    imported = read(QWEN + said)
    kind, why = fate(imported, "processor_type")
    assert any("pad token" in note for note in imported.notes) == (own is None)
    assert (kind == "approximated" and "pad token" in why) == masked
