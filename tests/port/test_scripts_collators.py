"""Collators that scripts write for models which read images."""

from __future__ import annotations

from typing import Any

import pytest

from tests.port.conftest import Bring, fate
from tests.port.test_scripts_images import TEXTS, TRL, UNSLOTH, images, source

COLLATE = """\
def collate_fn(examples):
    # texts, and images beside them
    texts = [processor.apply_chat_template(example["messages"], tokenize=False) for example in examples]
    images = [example["images"] for example in examples]
    batch = processor(text=texts, images=images, return_tensors="pt", padding=True)
    labels = batch["input_ids"].clone()
    labels[labels == processor.tokenizer.pad_token_id] = -100
    image_token_id = processor.tokenizer.convert_tokens_to_ids(processor.image_token)
    labels[labels == image_token_id] = -100
    batch["labels"] = labels
    return batch

"""


COLLATED = TRL.replace("trainer = SFT", f"{COLLATE}trainer = SFT").replace(
    "processing_class=processor,", "processing_class=processor, data_collator=collate_fn,"
)


@pytest.mark.parametrize(
    "loader",
    ["AutoModelForImageTextToText", "Qwen2VLForConditionalGeneration", "AutoModelForVision2Seq"],
)
def test_a_script_of_trl_that_collates_by_itself(read: Bring, loader: str) -> None:
    imported = read(COLLATED.replace("AutoModelForImageTextToText", loader), "train.py")
    values = imported.composed.values
    assert values["model.name"] == "Qwen/Qwen2-VL-2B-Instruct"
    assert images(imported)["train"] == ("language", "projector", "vision")
    assert images(imported)["learned"] is False
    assert (values["data.train_on"], values["data.max_length"]) == ("all", None)
    assert source(imported)["columns"] == {"images": "images"}
    assert source(imported)["format"] == "messages"
    assert not imported.composed.open
    assert fate(imported, "collate.column")[0] == "approximated"


@pytest.mark.parametrize(
    ("old", "new", "path", "value"),
    [
        ("    labels[labels == image_token_id] = -100\n", "", "model.images.learned", True),
        (
            COLLATE[COLLATE.index("    texts =") : COLLATE.index("    batch =")],
            "    texts, images = [], []\n    for example in examples:\n"
            '        text = processor.apply_chat_template(example["messages"], tokenize=False)\n'
            "        texts.append(text.strip())\n"
            '        images.append(example["images"])\n',
            "data.train_on",
            "all",
        ),
        ("== image_token_id]", "== processor.image_token_id]", "model.images.learned", False),
        ("padding=True)", "padding=True, truncation=True, max_length=700)", "data.max_length", 700),
        ("padding=True)", "padding=True, pad_to_multiple_of=8)", "data.max_length", None),
        ('example["messages"]', 'example["turns"]', "data.train", "turns"),
        ('[example["images"] for', '[[example["shot"]] for', "data.train", "shot"),
        ("tokenize=False)", "tokenize=False).strip()", "data.train_on", "all"),
        (
            "image_token_id = processor.tokenizer.convert_tokens_to_ids(processor.image_token)\n"
            "    labels[labels == image_token_id] = -100\n",
            "marks = [151652, 151653, 151655]\n    for mark in marks:\n"
            "        labels[labels == mark] = -100\n",
            "model.images.learned",
            False,
        ),
    ],
)
def test_what_a_collator_says(read: Bring, old: str, new: str, path: str, value: Any) -> None:
    assert old in COLLATED
    imported = read(COLLATED.replace(old, new), "train.py")
    found = imported.composed.values[path]
    if path == "data.train":
        assert value in found[0]["columns"].values()
    else:
        assert found == value
    assert not imported.composed.open
    if "strip" in new:
        assert fate(imported, "collate.stripped")[0] == "approximated"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # answers found by a piece of text, other labels, first images alone, another processor's call
        ("    batch[", "    labels[:, :cut] = -100\n    batch["),
        ("== image_token_id]", "== other_id]"),
        ('[example["images"] for', '[example["images"][0] for'),
        ("padding=True)", "padding=True, add_special_tokens=False)"),
        ("    return batch", "    return labels"),
        ('["input_ids"].clone()', '["attention_mask"].clone()'),
    ],
)
def test_a_collator_that_is_not_understood_is_asked_for(read: Bring, old: str, new: str) -> None:
    assert old in COLLATED
    imported = read(COLLATED.replace(old, new), "train.py")
    assert "data_collator = collate_fn" in " ".join(imported.composed.open)
    assert "have its rows images?" in " ".join(imported.composed.open)
    assert not images(imported)


def test_rows_that_are_lists_of_turns(read: Bring) -> None:
    """As the cookbook has them: images in the turns, which qwen_vl_utils takes out."""
    script = COLLATED.replace('example["messages"]', "example").replace(
        '[example["images"] for', "[process_vision_info(example)[0] for"
    )
    made = UNSLOTH[UNSLOTH.index("instruction") : UNSLOTH.index("FastVisionModel.for")]
    made = made.replace('return {"messages": conversation}', "return conversation")
    script = script.replace("trainer = SFT", f"{made}trainer = SFT")
    imported = read(script.replace("train_dataset=dataset", "train_dataset=converted"), "train.py")
    assert source(imported)["template"] == TEXTS
    assert source(imported)["columns"] == {"images": "picture"}
    assert not imported.composed.open, imported.composed.open
    assert "multiples of 28" in fate(imported, "collate.images")[1]
