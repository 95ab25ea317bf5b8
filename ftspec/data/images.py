"""Images of a row: where they stand in its texts, whether they are there, and how long they may be."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftspec.data.example import Example
from ftspec.errors import DataError, Problem
from ftspec.spec.present import is_file

MARK = "<image>"
"""What stands for an image in a text, as LLaMA-Factory has it (extras/constants.py)."""
COLUMN = "images"
IMAGE_TOKENS = "derived.image_tokens"
"""How many tokens an image has at most; nothing where that is not known before the run."""
ENDLESS = 10**12
"""More pixels than any image has: what stands for no bound where a number has to."""
SLANTED = 200
"""A Qwen-VL's processor takes no image that is longer than so many times its width."""


def marked(turns: Any) -> tuple[Any, bool]:
    """Turns with a text in the place of each list of parts, and whether there was one.

    Raises:
        DataError: a part is neither text nor image, or has an image of its own.
    """
    if not isinstance(turns, list | tuple):
        return turns, False
    apart = [isinstance(turn, dict) and isinstance(turn.get("content"), list) for turn in turns]
    return [
        {**turn, "content": "".join(map(_part, turn["content"]))} if parted else turn
        for turn, parted in zip(turns, apart, strict=True)
    ], any(apart)


def _part(part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    if kind == "image" and part.get("image") is None and part.get("url") is None:
        return MARK
    if kind == "image":
        hint = "put the images of a row into a column `images`, in their order"
        raise DataError(Problem("an image stands in the content itself", hint=hint))
    message = f"a part of a content is of the type {kind!r}"
    raise DataError(Problem(message, hint="parts are {type: text, text: ...} and {type: image}"))


def listed(value: Any) -> tuple[Any, ...]:
    """The images of a row: paths, or what a Parquet file holds."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def fit_images(example: Example, folder: Path) -> Example:
    """The example, if each of its images has a place in it and is there.

    Raises:
        DataError: there are more or fewer places than images, or a file is missing.
    """
    places = sum(message.content.count(MARK) for message in example.messages)
    named = [image for image in example.images if isinstance(image, str)]
    if missing := [name for name in named if not is_file(folder / name)]:
        hint = f"paths of images start at {folder}"
        raise DataError(Problem(f"there is no image {missing[0]}", hint=hint))
    if places and places != len(example.images):
        message = f"the row has {len(example.images)} images and {places} places for them"
        raise DataError(Problem(message, hint=f"write {MARK} where each image stands"))
    if not places and example.images and not any(m.role == "user" for m in example.messages):
        raise DataError(Problem("the row has images and no turn of a user to stand in"))
    return example


def by_places(example: Example) -> None:
    """Refuse what LLaMA-Factory stops at: images without a mark, and content in parts (data/mm_plugin.py).

    Raises:
        DataError: the row is one of these.
    """
    if example.in_parts:
        message = "LLaMA-Factory reads texts, not content in parts"
        raise DataError(Problem(message, hint=f"write {MARK} into the text where an image stands"))
    if example.images and not any(MARK in message.content for message in example.messages):
        message = "LLaMA-Factory stops at images that have no place in a text"
        raise DataError(Problem(message, hint=f"write {MARK} where each image stands"))


def most_tokens(model: Path, max_pixels: int | None) -> int | None:
    """How many tokens an image has at most, by the files of a local model; None where that is not known.

    Known are the processors of the Qwen-VLs: sides become multiples of a patch's, up to their own limit.
    """
    settings = _read(model / "preprocessor_config.json")
    if not str(settings.get("image_processor_type", "")).startswith("Qwen2VLImageProcessor"):
        return None
    size = settings.get("size") or {}
    own = settings.get("max_pixels") or size.get("longest_edge")
    side = settings.get("patch_size", 14) * settings.get("merge_size", 2)
    if not own:
        return None
    if max_pixels is None:
        return int(own / side**2)
    longer, shorter = math.sqrt(max_pixels * SLANTED), math.sqrt(max_pixels / SLANTED)
    # each side is rounded to the next multiple, and is one at least
    made = (longer + side / 2) * max(side, shorter + side / 2)
    return int(min(own, made) / side**2)


def _read(file: Path) -> Mapping[str, Any]:
    if not is_file(file):
        return {}
    try:
        found = json.loads(file.read_text("utf-8"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def lengthened(example: Example, count: int, encoded: Any, ignored: int) -> Any:
    """The row with as many tokens more as its images may have."""
    more = [0] * (count * len(example.images))
    return replace(
        encoded,
        input_ids=[*encoded.input_ids, *more],
        labels=[*encoded.labels, *(ignored for _ in more)],
    )
