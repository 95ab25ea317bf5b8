"""Rows with images in a script around trl's trainer: what it reads, what is made of each, what trains.

trl 1.16 cannot mask a conversation with images under transformers 5.6 (trainer/sft_trainer.py asks for 5.18),
and pads no prompt with a completion to a multiple, so a script brings a collator of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any

from ftspec.data.named import templates
from ftspec.families.rows.shapes import IMAGES
from ftspec.mapping import MISSING, Flat, Refuse, Row, unsupported
from ftspec.spec.chat_templates import NAMED

_NAMES = ("train", "min_pixels", "max_pixels", "square")
PATHS = tuple(f"model.images.{name}" for name in _NAMES)
MAX_WIDTH = "model.images.max_width"
ALSO = "model.images.learned"
"""Whether tokens that stand for images are learned."""
READ = "images.read"
"""Native pseudo-key: the folder that paths of images start at, and what stands for one in a text."""
WIDEST = "images.width"
"""Native pseudo-key: how wide an image may be."""
PIXELS = "images.pixels"
"""Native pseudo-key: the smallest and the largest image, and the side of a square that it is fit into."""
FROZEN = "images.frozen"
"""Native pseudo-key: a pattern of the weights that stay as they are."""
LEARNED = "images.learned"
"""Native pseudo-key: what of a conversation trains."""
TEXT = "text"
"""All of a conversation, less the tokens that stand for images."""
ANSWERS = "answers"
"""Of a pair, both answers."""
ENDS = "images.ends"
"""Native pseudo-key: the tokens of which the first one ends what counts of an answer."""
COLLATOR = files("ftspec.families") / "templates" / "images.py.j2"
CONSTANTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    READ: ('IMAGE_FOLDER, IMAGE_MARK = "@folder", "@mark"', ("folder", "mark")),
    PIXELS: (
        'MIN_PIXELS, MAX_PIXELS, SQUARE = "@least", "@most", "@side"',
        ("least", "most", "side"),
    ),
    WIDEST: ('MAX_WIDTH = "@width"', ("width",)),
    ENDS: ('TURN_ENDS = "@ends"', ("ends",)),
    FROZEN: ('FROZEN = "@pattern"', ("pattern",)),
    LEARNED: ('LEARNED = "@learned"', ("learned",)),
}
"""Statements of the script that give these keys."""
MARKS = {
    "Qwen2VL": "<|vision_start|><|image_pad|><|vision_end|>",
    "Qwen3VL": "<|vision_start|><|image_pad|><|vision_end|>",
}
"""What LLaMA-Factory puts in the place of `<image>`, by the plugin of its template (data/mm_plugin.py); the
processor makes as many tokens of it as the image has."""
_LANGUAGE, _PROJECTOR = r"language_model|lm_head", r"multi_modal_projector|visual\.merger"
OUTSIDE: Mapping[tuple[str, ...], str | None] = {
    ("language", "projector", "vision"): None,
    ("language", "projector"): rf"(?!.*\b({_LANGUAGE}|{_PROJECTOR})\b).*",
    ("language", "vision"): rf".*\b({_PROJECTOR})\b.*",
    ("projector", "vision"): rf".*\b({_LANGUAGE})\b.*",
    ("language",): rf"(?!.*\b({_LANGUAGE})\b).*",
    ("projector",): rf"(?!.*\b({_PROJECTOR})\b).*",
    ("vision",): rf".*\b({_LANGUAGE}|{_PROJECTOR})\b.*",
}
"""By the parts that train, the pattern of all other names: what transformers 5 calls these parts of Llava,
Gemma 3, Mistral 3, InternVL and the Qwen-VLs."""
NOT_YET: Mapping[str, tuple[Any, ...]] = {
    "method.objective.type": ("sft", "dpo"),
    "method.objective.loss": ("nll", "sigmoid", None),
    "method.objective.prompt_weight": (0.0, None),
    "method.objective.sft_weight": (0.0, None),
    "method.objective.ld_alpha": (None,),
    "method.objective.reference": (None,),
    "method.objective.reference_stage": (None,),
    "method.objective.precompute_reference": (False, None),
    "method.tuner.type": ("full", "lora"),
    "method.tuner.adapter": (None,),
    "method.tuner.exclude": ((), None),
    "method.tuner.layers": ((), None),
    "method.tuner.parameters": ((), None),
    "method.tuner.modules_to_save": ((), None),
    "method.tuner.trainable_tokens": ((), None),
    "method.tuner.init.type": ("default", None),
    "method.tuner.plus_ratio": (None,),
    "method.tuner.bias": ("none", None),
    "model.quantization.type": (None, "nf4"),
    "model.stored.type": (None,),
    "model.new_tokens.tokens": ((), None),
    "model.rope.type": (None,),
    "model.experts.freeze_router": (False, None),
    "model.experts.balance_loss": (0.0, None),
    "model.template_options": ({}, None),
    "data.prepare": ("framework",),
    "data.packing": (None,),
    "data.max_prompt_length": (None,),
    "data.group_by_length": (False, None),
    "train.qat.weights": (None,),
    "train.neftune_alpha": (None,),
    "train.embedding_learning_rate": (None,),
    "hardware.fsdp.version": (None,),
    "hardware.zero.stage": (None, 0),
    "hardware.sequence_parallel": (1, None),
    "hardware.tensor_parallel": (1, None),
    "precision.compute": ("fp32", "bf16", "fp16", "bf16-pure"),
    "output.quantization": (None,),
}
"""Under which values rows with images are compiled; under all others they were not seen to train alike."""
OTHER_OBJECTIVES = (
    "images beside answers that are judged, scored or drawn, or compared otherwise than by DPO, are read by "
    "every framework in a way of its own, and were not seen to train alike"
)


NO_COLUMN = (
    "none of the sources has a column of images, and a model that reads some is trained on those"
)
COLUMNS_HINT = "columns: {images: images} of a source; or leave model.images out"


def image_rows() -> tuple[Row, ...]:
    """A model that reads images, in a script."""
    return (
        Row(
            PATHS,
            (FROZEN, PIXELS, READ, ENDS),
            _lower,
            _lift,
            uses=(
                *("data.train", "data.eval", "model.chat_template", "derived.marks_turns"),
                *("data.overflow", "data.max_length", "data.turn_part", "data.turn_ends"),
                "data.train_on",
                *NOT_YET,
            ),
        ),
        Row(
            (MAX_WIDTH,),
            (WIDEST,),
            lambda width, parts: MISSING if parts is None else width,
            lambda width: width,
            uses=(PATHS[0],),
        ),
        Row((ALSO,), (), lambda _learned: (), _lift_learned, reads=(LEARNED,)),
    )


def no_images(reason: str, hint: str = "run.backends: trl or llamafactory") -> tuple[Row, ...]:
    """The section in a backend that compiles no images."""
    return tuple(
        unsupported(path, reason, "notimpl", hint=hint) for path in (*PATHS, MAX_WIDTH, ALSO)
    )


def refuse_unseen(given: Mapping[str, Any], train: tuple[dict[str, Any], ...]) -> None:
    """Raise for what rows with images are not compiled with, and for sources that have none.

    ``given``: the values of `NOT_YET`.
    """
    for path, seen in NOT_YET.items():
        value = given[path]
        if value in seen:
            continue
        if path == "method.objective.type":
            raise Refuse(OTHER_OBJECTIVES, "notimpl", "leave model.images out")
        raise Refuse(
            f"rows with images were not seen to train alike with {path}: {value!r}",
            "notimpl",
            f"leave {path} out",
        )
    if not with_images(train):
        raise Refuse(NO_COLUMN, "notimpl", COLUMNS_HINT)


def image_folder(*splits: tuple[dict[str, Any], ...]) -> str:
    """The folder that paths of images start at: that of the data files."""
    paths = [source["path"] for split in splits for source in split if source["path"]]
    folders = {str(PurePosixPath(path).parent) for path in paths}
    if len(folders) > 1:
        raise Refuse(
            "images are looked for in one folder, and these data files lie in several",
            "notimpl",
            "put the data files beside each other",
        )
    return folders.pop() if folders else "."


def image_mark(template: str) -> str | None:
    """What a named template has for an image; None for the processor's own, which writes it itself."""
    if template not in NAMED:
        return None
    plugin = templates()[template].plugin
    if plugin not in MARKS:
        what = f"images of its plugin {plugin}" if plugin else "no images"
        raise Refuse(
            f"of the template {template} {what} are known here",
            "notimpl",
            "model.chat_template: tokenizer, or qwen2_vl, qwen3_vl_nothink",
        )
    return MARKS[plugin]


def _lower(
    parts: tuple[str, ...] | None,
    least: int | None,
    most: int | None,
    side: int | None,
    train: tuple[dict[str, Any], ...],
    evaluated: tuple[dict[str, Any], ...],
    template: str,
    marks_turns: bool | None,
    overflow: str,
    length: int | None,
    part: str,
    ends: tuple[str, ...],
    train_on: str,
    *values: Any,
) -> Any:
    if parts is None:
        return (MISSING,) * 4
    given = dict(zip(NOT_YET, values, strict=True))
    refuse_unseen(given, train)
    if overflow != "error" and length is not None:
        raise Refuse(
            "a row that is cut may lose tokens of an image, at which the model stops",
            "notyet",
            "data.overflow: error, or data.max_length: null",
        )
    marked = template not in NAMED and marks_turns and given["method.objective.type"] == "sft"
    if marked and train_on != "all":
        raise Refuse(
            "the chat template marks what of an answer trains; of rows with images all that it writes of "
            "an answer does",
            "notimpl",
            "a template without {% generation %}",
        )
    folder = image_folder(train, evaluated)
    said = None if part == "written" else [*ends]
    return OUTSIDE[tuple(parts)], (least, most, side), (folder, image_mark(template)), said


def _lift(frozen: Any, pixels: Any, read: Any, _ends: Any) -> Any:
    if MISSING in (frozen, pixels, read):
        raise Refuse("of rows with images it says a part alone", "notimpl")
    for parts, pattern in OUTSIDE.items():
        if pattern == frozen:
            return parts, *pixels
    raise Refuse(f"what the pattern {frozen!r} freezes is in no spec", "notimpl")


def _lift_learned(learned: Any) -> Any:
    return MISSING if learned is MISSING else learned != TEXT


def with_images(sources: tuple[dict[str, Any], ...]) -> bool:
    """Whether rows of these sources have images; all of them or none."""
    having = {IMAGES in source["columns"] for source in sources}
    if len(having) > 1:
        raise Refuse("rows with images and rows without a column for them", "notimpl")
    return having == {True}


def context(native: Flat) -> dict[str, Any]:
    """What a template prints of them."""
    if READ not in native:
        return {"images": None}
    (folder, mark), (least, most, side) = native[READ], native[PIXELS]
    return {
        "images": {
            "folder": folder,
            "mark": mark,
            "least": least,
            "most": most,
            "side": side,
            "ends": native[ENDS],
            "frozen": native[FROZEN],
            "learned": native[LEARNED],
            "width": native[WIDEST],
            "freezes": native["tuner"] == "full" and native[FROZEN] is not None,
            "upcast": native["model.dtype"] == "auto",
            "compared": native[LEARNED] == ANSWERS,
            "excludes": native["tuner"] == "lora" and native[FROZEN] is not None,
        }
    }
