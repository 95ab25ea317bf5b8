"""Rows with images in a config of axolotl 0.19.0: `processor_type` with `skip_prepare_dataset`.

Its collator (utils/collators/mm_chat.py) writes them while it trains, and processing_strategies.py says which
tokens count. None of them is cut or left out: `sequence_len` is read of rows that are prepared before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from ftspec.data.images import COLUMN as IMAGES
from ftspec.data.sources import rows
from ftspec.errors import DataError
from ftspec.port.beside import object_beside
from ftspec.port.fates import Setting
from ftspec.port.formats.axolotl.entries import Row, entries, objective
from ftspec.port.formats.axolotl.words import off_or, said, taken
from ftspec.port.rules import Context, Outcome, Rule, inert
from ftspec.spec.data import Source
from ftspec.spec.images import PARTS

TRAIN, SQUARE, COUNTED = "model.images.train", "model.images.square", "model.images.learned"
TURN_ENDS: Mapping[str, tuple[str, ...]] = {
    "qwen2_vl": ("<|im_end|>",),
    **dict.fromkeys(("gemma3", "gemma3n"), ("<end_of_turn>",)),
    "llama3_2_vision": ("<|eot_id|>",),
    "llama4": ("<|eot|>",),
    **dict.fromkeys(("pixtral", "mistral_v7_tekken"), ()),
}
"""By its name of a chat template, what ends an answer that counts; nothing: the tokenizer's eos_token."""
OPENED: Mapping[str, str] = {
    "qwen3_5": "the <think> that the template opens an answer with counts there, and here it does not",
    **dict.fromkeys(
        ("gemma4", "gemma4_unified"),
        "the template opens an answer with an empty thought that it does not write of answers that are "
        "given, at which a script stops",
    ),
}
"""By its name of a chat template, why what counts of an answer is not the same."""
AROUND = ("glm", "internvl")
"""Models whose processors mark more tokens of an image than those that stand for it."""
SQUARELESS = ("qwen2_vl", "qwen3_5", "gemma4", "gemma4_unified")
"""Templates of models whose vision_config has no image_size (transformers 5.16)."""
LANGUAGE = re.compile(r"\^?(model\\?\.)?language_model\b")
"""How a pattern begins that finds modules of the language model alone."""
ALL = (
    "without role_boundaries axolotl has marks of turns for some chat templates alone: with this one all "
    "that is no image and no padding counts"
)
WHERE = (
    "data.train: of a row axolotl reads a column `images`, or `image`, and the first one in it alone; it "
    "stands where a content has a part {type: image}, and behind the first user's text where none has one: "
    "here it stands before that, and <image> in a text is a place as well. Paths start where axolotl was "
    "started, and here at the folder of the data file"
)
TURNED = (
    "data.train: axolotl turns an image by the orientation that its file notes in EXIF (transformers, "
    "load_image), and neither trl's script nor LLaMA-Factory does: turn such files before, and save them so"
)
PADDED = (
    "axolotl masks tokens by the id of the pad token ({0}), which ends answers as well: no end counts there, "
    "and here it does"
)
PAD_UNSEEN = (
    "data.train_on: axolotl masks tokens by the id of the pad token, which is the eos_token where the "
    "tokenizer has none: if it ends answers too, no end counts there, and here it does"
)
UNTYPED = "its collator for images reads `messages` or `conversations`, whatever the type says"
LOOKED_AT = 100
"""So many rows are looked at for one with images."""
SEVERAL = "of several images of a row axolotl takes the first, and here all are read"
BEHIND = (
    "its rows have no part {type: image}: axolotl puts an image behind the first user's text, and here it "
    "stands before that, or where <image> does"
)
OVERFLOW = "truncate"
"""What a spec says of long rows where none is too long."""
SEEN_WHOLE = "rows with images are neither cut nor left out (utils/data/sft.py)"
NEEDED = "axolotl reads images of rows that are not prepared before: skip_prepare_dataset: true"
COMPARED = (
    "beside answers that are compared or scored axolotl hands trl the tokenizer alone (core/builders/rl.py): "
    "no image reaches the model, and DPO stops at a column of them; without this key the rows are texts"
)
STRETCHED = "images that are stretched to a width and a height are not in a spec"
WHICH = (
    "model.images.square: axolotl fits each image into a square of the image_size that vision_config in the "
    "model's config.json has: which one? null where it has none"
)


def shows(context: Context) -> bool:
    """Whether its collator for images makes the batches."""
    plain = not taken(context, "sample_packing") and not context.get("pretraining_dataset")
    reads = context.get("processor_type") and context.get("skip_prepare_dataset")
    return bool(reads and plain and objective(context) == "sft")


def template(context: Context) -> str:
    """Its name of the chat template, which says how it finds turns."""
    return str(context.get("chat_template") or "tokenizer_default")


def everything(context: Context) -> bool:
    """Whether prompts count as answers do."""
    known = template(context) in TURN_ENDS or template(context) in OPENED
    return bool(taken(context, "train_on_inputs")) or not known


def trained(context: Context) -> tuple[str, ...]:
    """The parts that train, or that adapters are looked for in."""
    targets = context.get("lora_target_modules")
    named = isinstance(targets, str) and LANGUAGE.match(targets) and not _several(targets)
    alone = context.get("adapter") and named and not context.get("lora_target_linear")
    return ("language",) if alone or context.get("freeze_mm_modules") else PARTS


def _several(pattern: str) -> bool:
    """Whether a pattern is one of several, of which the first alone begins it."""
    while (shorter := re.sub(r"\([^()]*\)", "", pattern)) != pattern:
        pattern = shorter
    return "|" in pattern


def seen(context: Context) -> tuple[dict[str, Any], list[str], list[str]]:
    """Spec values of rows with images, questions and notes; nothing where there are none."""
    if not shows(context):
        return {}, [], []
    side = square(context)
    whole = everything(context)
    spec = {
        TRAIN: trained(context),
        SQUARE: side if isinstance(side, int) else None,
        COUNTED: not whole,
        "data.train_on": "all" if whole else "assistant",
        "data.turn_part": "written" if whole else "ended",
        "data.turn_ends": () if whole else TURN_ENDS.get(template(context), ()),
        "data.turn_flag": None,
        "data.prepare": "framework",
        "data.max_length": None,
        "data.overflow": OVERFLOW,
    }
    questions = [side] if isinstance(side, str) else []
    unseen = not _tokenizer(context) and not _named(context).get("pad_token")
    return spec, questions, [WHERE, TURNED, *([PAD_UNSEEN] if unseen else [])]


def square(context: Context) -> int | str | None:
    """The side of the square that images are fit into; a question where it is not known here."""
    size = context.get("image_size")
    if isinstance(size, int):
        return size or None
    if size is not None:
        return None  # its own fate tells
    config = object_beside(f"{context.get('base_model') or '.'}/config.json", context)
    seeing = config.get("vision_config") or {}
    if not config or not isinstance(seeing, dict):
        return None if template(context) in SQUARELESS else WHICH
    found = seeing.get("image_size")
    if found is None or isinstance(found, int):
        return found
    return f"{SQUARE}: {STRETCHED}, and the model's vision_config says {found!r}"


def otherwise(source: Mapping[str, Any], context: Context) -> str:
    """Why rows of a local file are not read as here, by the first one that has images."""
    if source["path"] is None:
        return ""
    try:
        some = islice(rows(Source(path=source["path"]), context.document.path.parent), LOOKED_AT)
        first = next((row.values for row in some if row.values.get(IMAGES)), None)
    except DataError:
        return ""
    if first is None:
        return ""
    if isinstance(first[IMAGES], list) and len(first[IMAGES]) > 1:
        return SEVERAL
    turns = first.get(source["columns"].get("messages", "messages")) or ()
    contents = [turn.get("content") for turn in turns if isinstance(turn, dict)]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    placed = any(isinstance(part, dict) and part.get("type") == "image" for part in parts)
    return "" if placed else BEHIND


def of_images(other: Rule, own: Rule) -> Rule:
    """One rule where rows have images, and another one where they have none."""
    return lambda setting, context: (own if shows(context) else other)(setting, context)


def shown(found: Row, context: Context) -> Row:
    """The same rows with their column of images, where they have one."""
    if not shows(context):
        return found
    columns = {**found.source["columns"], IMAGES: IMAGES}
    more = tuple({**one, "columns": columns} for one in found.more)
    return found._replace(source={**found.source, "columns": columns}, more=more)


def _processor(_setting: Setting, context: Context) -> Outcome:
    if not shows(context):
        return Outcome("unknown", why=NEEDED if objective(context) == "sft" else COMPARED)
    name = str(context.get("base_model")).lower()
    if end := _masked_end(context):
        why = PADDED.format(end)
        return Outcome("approximated", why=why, of=(TRAIN, "data.train_on"))
    if everything(context) and any(one in name for one in AROUND):
        why = "the tokens before and behind an image do not count there either"
        return Outcome("approximated", why=why, of=(TRAIN, COUNTED))
    if template(context) in OPENED and not taken(context, "train_on_inputs"):
        return Outcome("approximated", why=OPENED[template(context)], of=(TRAIN, "data.turn_part"))
    if everything(context) and not taken(context, "train_on_inputs"):
        return Outcome("derived", why=ALL, of=(TRAIN, COUNTED, "data.train_on"))
    return Outcome("derived", why="rows have images", of=(TRAIN,))


def _masked_end(context: Context) -> str:
    """The token that ends answers and pads rows too, as far as the config or a local tokenizer says it."""
    own = _tokenizer(context)
    told = {**own, **_named(context)}
    pad, eos = (_content(told.get(name)) for name in ("pad_token", "eos_token"))
    pad = pad or (eos if own else None)  # what it takes where the tokenizer has none
    return str(pad) if pad and pad in (eos, *TURN_ENDS.get(template(context), ())) else ""


def _tokenizer(context: Context) -> dict[str, Any]:
    """What a local tokenizer says of itself; nothing of one that is not here."""
    return object_beside(f"{context.get('base_model') or '.'}/tokenizer_config.json", context)


def _named(context: Context) -> dict[str, Any]:
    """Special tokens that the config names."""
    named = context.get("special_tokens")
    return named if isinstance(named, dict) else {}


def _content(token: Any) -> Any:
    return token.get("content") if isinstance(token, dict) else token


def _frozen(_setting: Setting, context: Context) -> Outcome:
    """utils/freeze.py: by the names of modules, adapters in them too."""
    if not shows(context):
        why = "what belongs to images or sound is frozen, the rest trains"
        return Outcome("unknown", why=why)
    return Outcome("derived", of=(TRAIN,))


def _size(setting: Setting, context: Context) -> Outcome:
    if not shows(context):
        return Outcome("inert", why="no row has images, and text it does not touch")
    if not isinstance(setting.value, int):
        return Outcome("unknown", why=STRETCHED)
    return Outcome("renamed", spec={SQUARE: setting.value or None})


def _resampled(setting: Setting, context: Context) -> Outcome:
    if not shows(context) or square(context) is None:
        return Outcome("inert", why="axolotl resizes no image")
    if str(setting.value).lower() == "bilinear":
        return Outcome("derived", why="as images are fit into a square here", of=(SQUARE,))
    return Outcome("unknown", why="images are fit into a square by bilinear filters alone")


def _bounds(_setting: Setting, context: Context) -> Outcome:
    if not shows(context):
        return Outcome("inert", why="its collator for images alone reads it")
    return Outcome("unknown", why="marks of turns of a config's own are not in a spec")


def turns_only(text: str) -> Rule:
    """Of no effect where all counts; else what the key says must be what a spec has."""

    def rule(setting: Setting, context: Context) -> Outcome:
        if everything(context):
            return Outcome("inert", why=ALL)
        if entries(context)[0].get(setting.key.rpartition(".")[2]) != setting.value:
            return Outcome("inert", why="the first data set's word counts for all")
        if setting.value in (text, [text]):
            return Outcome("derived", of=("data.turn_part", "data.train_on"))
        return Outcome(
            "unknown", why="of rows with images the assistant's turns with their ends count"
        )

    return said(rule)


def _columns(setting: Setting, context: Context) -> Outcome:
    if shows(context) and setting.value:
        return Outcome(
            "unknown", why="all columns of rows with images would be gone: axolotl stops"
        )
    return Outcome("inert", why="columns that the model does not take are left out anyway")


UNREAD = inert("its collator for images does not read it")
UNCUT = inert(SEEN_WHOLE)
IMAGE_RULES: dict[str, Rule] = {
    "processor_type": said(_processor),
    "freeze_mm_modules": off_or(_frozen),
    "image_size": said(_size),
    "image_resize_algorithm": said(_resampled),
    "role_boundaries": off_or(_bounds),
    "role_boundaries[].": _bounds,
    "remove_unused_columns": _columns,
}
