"""Models that read images in LLaMA-Factory: which parts train, how large an image may be, where it lies.

Names and defaults: llamafactory 0.9.5, hparams/{model,data,finetuning}_args.py. What they do:
model/model_utils/visual.py freezes parts by their names, data/mm_plugin.py makes images smaller.
"""

from __future__ import annotations

from typing import Any

from ftspec.data.images import COLUMN, ENDLESS, IMAGE_TOKENS
from ftspec.families.rows.images import (
    ALSO,
    MAX_WIDTH,
    NOT_YET,
    PATHS,
    image_folder,
    image_mark,
    refuse_unseen,
)
from ftspec.mapping import MISSING, Refuse, Row
from ftspec.spec.chat_templates import NAMED

KEYS = (
    *("freeze_language_model", "freeze_multi_modal_projector", "freeze_vision_tower"),
    *("image_min_pixels", "image_max_pixels", "media_dir"),
    *("image_do_pan_and_scan", "crop_to_patches"),
)
"""The first three stand for the parts of a model, in the order of a spec."""
ABSENT = (False, True, True, 32 * 32, 768 * 768, None, False, False)
LAYERS = frozenset(
    (
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
        "qkv",
        "fc1",
        "fc2",
    )
)
"""Names that are part of no other one: it looks for them anywhere in a module's name."""
SPLIT = "dataset_info.train"


def image_rows() -> tuple[Row, ...]:
    """The section `model.images`; nothing is written for a model of text."""
    return (
        Row(
            PATHS,
            KEYS,
            _lower,
            _lift,
            uses=(
                *("data.train", "data.eval", "model.chat_template", "data.overflow"),
                *("data.max_length", IMAGE_TOKENS, "method.tuner.targets"),
                *NOT_YET,
            ),
            reads=(SPLIT,),
            absent=ABSENT,
        ),
        Row(
            (MAX_WIDTH, ALSO),
            (),
            _lower_more,
            lambda entries: (None, True) if shown(entries) else (MISSING, MISSING),
            uses=("data.train_on",),
            reads=(SPLIT,),
        ),
    )


def _lower_more(width: int | None, learned: bool | None, train_on: str) -> tuple[()]:
    if width is not None:
        raise Refuse(
            "it makes images smaller by their pixels alone (data/mm_plugin.py)",
            "notyet",
            "model.images.max_pixels, or run.backends: trl",
        )
    if learned is False and train_on == "all":
        raise Refuse(
            "where all of a conversation is learned, it learns the tokens of images as well "
            "(data/processor/supervised.py)",
            "notyet",
            "model.images.learned: true, or run.backends: trl",
        )
    return ()


def shown(entries: Any) -> bool:
    """Whether entries of dataset_info.json name a column of images."""
    return isinstance(entries, tuple) and any(COLUMN in each.get("columns", {}) for each in entries)


def _lower(
    parts: tuple[str, ...] | None,
    least: int | None,
    most: int | None,
    side: int | None,
    train: tuple[dict[str, Any], ...],
    evaluated: tuple[dict[str, Any], ...],
    template: str,
    overflow: str,
    length: int | None,
    tokens: int | None,
    targets: Any,
    *values: Any,
) -> Any:
    if parts is None:
        return (MISSING,) * len(KEYS)
    given = dict(zip(NOT_YET, values, strict=True))
    refuse_unseen(given, train)
    if template not in NAMED:
        raise Refuse(
            "it reads images with templates of its own alone: in one that it takes from the tokenizer it "
            "stops at them (data/template.py, parse_template)",
            "notyet",
            "model.chat_template: qwen2_vl, or another named template of the same text",
        )
    if side is not None:
        raise Refuse(
            "it makes images smaller or larger, and fits none into a square (data/mm_plugin.py)",
            "notyet",
            "model.images.square: null",
        )
    image_mark(template)  # refuses what is not known
    hub = any(source["hub"] for source in (*train, *evaluated))
    if overflow == "error" and length is not None and hub:
        raise Refuse(
            "it cuts a long row without a word, and rows of the hub are not measured before the run",
            "notimpl",
            "download the rows and name the file",
        )
    if overflow == "error" and length is not None and tokens is None:
        raise Refuse(
            "it cuts a long row without a word, and how many tokens an image of this model has is not known "
            "before the run",
            "notimpl",
            "a local folder as model.name",
        )
    if given["method.tuner.type"] == "lora":
        _refuse_targets(parts, targets)
    frozen = (part not in parts for part in ("language", "projector", "vision"))
    pixels = (least or 0, most or ENDLESS)
    return (*frozen, *pixels, image_folder(train, evaluated), False, False)


def _refuse_targets(parts: tuple[str, ...], targets: Any) -> None:
    if "projector" in parts:
        raise Refuse(
            "`lora_target: all` leaves the projector out (model/model_utils/misc.py)",
            "notyet",
            "model.images.train: [language, vision], or without an adapter",
        )
    if targets != "all-linear" and not {*targets} <= LAYERS:
        raise Refuse(
            "of a model that reads images it looks for a target anywhere in a module's name "
            "(model/model_utils/visual.py), which may find more",
            "notimpl",
            "method.tuner.targets: all-linear, or names such as q_proj",
        )


def _lift(*values: Any) -> Any:
    *frozen, least, most, _folder, pan, crop, entries = values
    if not shown(entries):
        return (MISSING,) * len(PATHS)
    if pan or crop:
        raise Refuse("image_do_pan_and_scan and crop_to_patches cut images in pieces", "notimpl")
    names = ("language", "projector", "vision")
    parts = tuple(name for name, off in zip(names, frozen, strict=True) if not off)
    if not parts:
        raise Refuse("all parts of the model are frozen", "never")
    return parts, least or None, None if most >= ENDLESS else most, None
