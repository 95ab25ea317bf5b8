"""Images in scripts and notebooks: what collates them, which parts of the model train, how large they are.

trl 1.16, trainer/sft_trainer.py: a data set with a column `images` or `image` is collated with them, and all
of a conversation is learned. unsloth_zoo 2026.10.9, vision_utils.py: its collator learns no token of an image
and makes one that is too wide smaller; peft_utils.py, get_peft_regex: which layers get adapters.
"""

from __future__ import annotations

import re
from typing import Any

from ftspec.data.images import COLUMN
from ftspec.port.fates import Setting
from ftspec.port.formats.trl.seeing import HAVE_ANY, OTHERS_MAYBE, named_so
from ftspec.port.formats.trl.trainers import trainer
from ftspec.port.formats.unsloth.templates import OPENERS
from ftspec.port.rules import Context, Outcome, Rule, derived, group, inert, section, unknown
from ftspec.port.scripts.names import (
    COLLATED,
    OF_TRL,
    OF_UNSLOTH,
    PROCESSOR,
    SEEING,
    SEES,
    SHOWING,
    WRITTEN,
)
from ftspec.spec.images import PARTS

TRAIN = "model.images.train"
MAX_WIDTH = "model.images.max_width"
LEARNED = "model.images.learned"
PART = "train_on_responses_only"
AT_MOST = 1024
"""How many tokens of a row trl keeps, unless told."""
WIDE = 512
"""What Unsloth takes where a model has no size of its own for images (UnslothVisionDataCollator)."""
SIZELESS = re.compile(r"qwen-?(2|2\.5|2_5|3)-?vl|qwen-?3\.5", re.IGNORECASE)
"""Models without such a size: transformers 5.6, configuration_qwen*.py."""
STACKED = re.compile(r"qwen-?3-?vl", re.IGNORECASE)
OTHERS = (
    "data.train: images beside answers that are judged, scored or drawn are not in a spec, and of answers "
    "that are compared only those that trl's DPOTrainer makes batches of by itself"
)
WHICH_COLUMN = (
    "data.train.columns.images: which column holds the images of a row? if none does, model.images is to be "
    "left out"
)
HOW_WIDE = (
    "model.images.max_width: an image that is wider than vision_config.image_size of this model is made so "
    "wide there (resize), and which width that is its own file says"
)
OWN_LIMIT = "the collator has a limit of its own for rows with images, which decides"
NOTHING_CUT = "the script's own collator cuts nothing, or says itself how much"
MULTIPLES = (
    "there the sides of an image that stands in a turn become multiples of 28 pixels first; here the "
    "model's processor alone does that"
)
FEWER = (
    "tokens around those of an image, such as <|vision_start|>, are not learned there, and are here"
)
TWICE = "a token that begins a text stands there once more, where the tokenizer adds one; here once"
UNENDED = (
    "an answer ends with the tokenizer's eos_token there, if it has one; what the template writes behind "
    "it, such as the end of a line, is learned here: data.turn_part: ended"
)
STRIPPED = "blanks at the ends of a text are cut off there, and learned here"
UNSTACKED = (
    "Unsloth gives the deepstack mergers of Qwen3-VL no adapters, and they belong to `vision` here"
)
TEXT_THERE = (
    "trl puts the images of a row before its first question where no part of a turn is a place for one, and "
    "<image> in a text is text there; here it is a place: are there such texts?"
)
APART = (
    "trl's collator of pairs with images makes tokens of a prompt and of each answer apart, so that a "
    "tokenizer which begins a text with a blank (older Llamas' and Mistral's) puts one before answers too; "
    "here not"
)
WHOLE_TOWER = "there the parts that see stay in 16 bits, and here all layers are quantised"
BOUND = (
    "there it is the processor's own bound; here an image is resized before the processor sees it"
)


def collator(context: Context) -> str:
    """What makes batches of rows with images; empty where none are read, as far as that is seen."""
    word, given = trainer(context)[0], _given_one(context)
    if given or word not in ("sft", "dpo"):
        return given if word == "sft" else ""
    if not _by_trl(context):
        return ""
    shown = COLUMN in section(context, WRITTEN)
    sees = context.get(SEES) == SEEING and PROCESSOR in context.document.data
    return SEEING if shown or (sees and not context.get("dataset_text_field")) else ""


def _given_one(context: Context) -> str:
    """The collator that a script makes or writes; empty where none is known."""
    for name in SHOWING:
        if section(context, name).get("given"):
            return name
    return COLLATED if COLLATED in context.document.data else ""


def _by_trl(context: Context) -> bool:
    """Whether trl's trainer chooses the collator."""
    other = any("data_collator" in told for _, told in context.document.foreign)
    return not (_given_one(context) or other or _of_unsloth(context))


def _of_unsloth(context: Context) -> bool:
    return "from_pretrained" in context.document.data


def columns(context: Context) -> dict[str, Any]:
    """Format and columns of rows whose images no function of the script writes."""
    if not (name := collator(context)) or COLUMN in section(context, WRITTEN):
        return {}
    said = section(context, COLLATED) if name == COLLATED else {}
    other = {"messages": said["column"]} if said.get("column", "messages") != "messages" else {}
    found: dict[str, Any] = {"columns": {**other, COLUMN: said.get("images") or COLUMN}}
    if trainer(context)[0] == "dpo":
        return {"format": "preference", **found}  # its collator reads these three columns
    return {"format": "messages", **found} if said.get("column") else found


def seen(context: Context) -> dict[str, Any]:
    """What a spec says of images and of what is learned beside them; nothing where there are none."""
    name = collator(context)
    if not name:
        return {}
    spec: dict[str, Any] = {TRAIN: _trained(context)}
    said = section(context, name)
    if name == OF_UNSLOTH:
        own = section(context, "from_pretrained").get("max_seq_length", 2048)
        answers = said.get(PART) or PART in context.document.data
        last = said.get("last_response_only") or section(context, PART).get("last_response_only")
        width = _width(context)
        whom = "completions" if answers and last else _whom(bool(answers))
        spec |= {"data.max_length": said.get("max_seq_length") or own, "data.train_on": whom}
        spec |= {LEARNED: False} if whom == "all" else {}
        # up to the tokenizer's eos_token, which is what ends a turn of these models
        spec |= {"data.turn_part": "ended"} if whom != "all" and _sizeless(context) else {}
        spec |= {MAX_WIDTH: width} if width else {}
    elif name == OF_TRL:
        spec["data.max_length"] = said.get("max_length")
        completions = "completions" if said.get("completion_only_loss") else None
        spec["data.train_on"] = completions or _whom(bool(said.get("assistant_only_loss")))
    elif name == COLLATED:
        spec |= {"data.max_length": said.get("length"), "data.train_on": "all"}
        spec[LEARNED] = not said.get("masked")
    own = context.get("max_length", context.get("max_seq_length", AT_MOST))
    if spec.get("data.max_length", own) is not None:
        # a cut may take a part of an image; a run of a spec stops at such a row
        spec["data.overflow"] = "error"
    return spec


def _whom(answers: bool) -> str:
    return "assistant" if answers else "all"


def _trained(context: Context) -> tuple[str, ...]:
    """The parts whose layers train, or get adapters."""
    adapted = section(context, "get_peft_model")
    whole = section(context, "from_pretrained").get("full_finetuning")
    if not _of_unsloth(context) or whole or "get_peft_model" not in context.document.data:
        return PARTS
    targets = adapted.get("target_modules")
    flags = {
        part: bool(adapted.get(f"finetune_{part}_layers", True)) for part in ("language", "vision")
    }
    if targets == "all-linear":
        return ("language", "vision")
    if targets and all(flags.values()):
        return PARTS  # names in a list are looked for everywhere
    return tuple(part for part, on in flags.items() if on) or PARTS


def _width(context: Context) -> int | None:
    """How wide Unsloth lets an image be; None where it leaves it, or where only the model knows."""
    resize = section(context, OF_UNSLOTH).get("resize", "min")
    if isinstance(resize, int) and not isinstance(resize, bool):
        return resize
    return WIDE if resize == "min" and _sizeless(context) else None


def _sizeless(context: Context) -> bool:
    return SIZELESS.search(str(context.get("model_name_or_path"))) is not None


def asked(context: Context) -> list[str]:
    """What is left open of images."""
    word, name = trainer(context)[0], collator(context)
    sees = context.get(SEES) is not None or named_so(context)
    given = any(one in context.document.data for one in SHOWING) or COLUMN in section(
        context, WRITTEN
    )
    if word != "sft" and not name and not (word == "dpo" and _by_trl(context)):
        maybe = [OTHERS_MAYBE] if sees and not _writes_texts(context) else []
        return [OTHERS] if given else maybe
    if not name:
        return [HAVE_ANY] if given or (sees and not _writes_texts(context)) else []
    found = []
    if COLUMN not in section(context, WRITTEN) and not section(context, COLLATED).get("images"):
        found.append(WHICH_COLUMN)
    least = section(context, OF_UNSLOTH).get("resize", "min") == "min"
    if name == OF_UNSLOTH and least and _width(context) is None:
        found.append(HOW_WIDE)
    return found


def _writes_texts(context: Context) -> bool:
    """Whether a script says that its rows are texts: their column, what writes them, that no tower trains."""
    tower = section(context, "get_peft_model").get("finetune_vision_layers", True)
    written = section(context, WRITTEN).keys() & {"text", "rendered"}
    return bool(context.get("dataset_text_field") or written or not tower)


def notes(context: Context) -> tuple[str, ...]:
    """What a person should know of rows that are too long, and of layers that are left out."""
    if not (name := collator(context)):
        return ()
    found = [TEXT_THERE] if name in (SEEING, OF_TRL) else []
    found += [APART] if trainer(context)[0] == "dpo" else []
    if "data.overflow" in seen(context):
        found.append(
            "a row with images that is too long is cut there or stops it, and stops the run here"
        )
    stacked = STACKED.search(str(context.get("model_name_or_path")))
    if name == OF_UNSLOTH and stacked and "vision" in _trained(context):
        found.append(UNSTACKED)
    return tuple(found)


def _given(setting: Setting, context: Context) -> Outcome:
    if collator(context) != setting.key.partition(".")[0]:
        return Outcome("unknown", why=OTHERS)
    if setting.key.startswith(OF_TRL):
        return Outcome("derived", of=(TRAIN, "data.train_on"))
    found = seen(context)
    why = f"{MULTIPLES}; {FEWER}" if LEARNED in found else MULTIPLES
    return Outcome("approximated", why=why, of=tuple(found))


def _resize(setting: Setting, context: Context) -> Outcome:
    if setting.value == "max":
        return Outcome("inert", why="the model's processor alone makes images smaller")
    if setting.value == "min" or isinstance(setting.value, int):
        return Outcome("derived", of=(MAX_WIDTH,))
    return Outcome("unknown", why="images that are all made one size are not in a spec")


def _opens(setting: Setting, context: Context) -> Outcome:
    if str(setting.value).strip() in {one.strip() for one in OPENERS}:
        if "data.turn_part" in seen(context):
            return Outcome("derived", of=("data.train_on", "data.turn_part"))
        return Outcome("approximated", why=UNENDED, of=("data.train_on",))
    return Outcome("unknown", why="it opens no answer of a chat template that is known")


def _off(*values: Any) -> Rule:
    def rule(setting: Setting, _context: Context) -> Outcome:
        if setting.value in values:
            return Outcome("inert", why="as it is anyway")
        return Outcome("unknown", why="a further way to make batches of images is not in a spec")

    return rule


def _learned(setting: Setting, _context: Context) -> Outcome:
    if setting.value:
        return Outcome("approximated", why=FEWER, of=(LEARNED,))
    return Outcome("derived", of=(LEARNED,))


def _stripped(setting: Setting, _context: Context) -> Outcome:
    if setting.value:
        return Outcome("approximated", why=STRIPPED, of=("data.train_on",))
    return Outcome("derived", of=("data.train_on",))


def _column(setting: Setting, context: Context) -> Outcome:
    of = ("data.train",)
    if setting.key.endswith(COLUMN):
        why = "" if setting.value else MULTIPLES
        return Outcome("derived" if setting.value else "approximated", why=why, of=of)
    return Outcome("approximated", why=TWICE, of=of)


def _pixels(setting: Setting, context: Context) -> Outcome:
    name = setting.key.rpartition(".")[2]
    if not collator(context):
        return Outcome("inert", why="no row is known to have images")
    if type(setting.value) is not int or setting.value < 1:
        return Outcome("unknown", why="a number of pixels is a whole one from 1 on")
    return Outcome("approximated", spec={f"model.images.{name}": setting.value}, why=BOUND)


def _sees(_setting: Setting, context: Context) -> Outcome:
    return Outcome("derived", of=(TRAIN,) if collator(context) else ("model.name",))


def _prepared(setting: Setting, context: Context) -> Outcome:
    if collator(context):
        return Outcome("inert", why="rows with images become tokens when a batch is made")
    return Outcome("unknown", why="how trl's preparation of rows is changed is not in a spec")


def limit(rule: Rule) -> Rule:
    """The rule of the trainer's own limit, which says nothing where a collator has one."""

    def of_rows(setting: Setting, context: Context) -> Outcome:
        name = collator(context)
        if name in ("", SEEING):
            return rule(setting, context)
        return Outcome("inert", why=NOTHING_CUT if name == COLLATED else OWN_LIMIT)

    return of_rows


def field(rule: Rule) -> Rule:
    """The rule of the column of texts, of which rows with images have none."""

    def of_rows(setting: Setting, context: Context) -> Outcome:
        if collator(context) and not setting.value:
            return Outcome("inert", why="rows with images have no column of texts")
        return rule(setting, context)

    return of_rows


def bits(rule: Rule) -> Rule:
    """The rule of Unsloth's loading in few bits, which leaves the parts that see as they are."""

    def of_rows(setting: Setting, context: Context) -> Outcome:
        found = rule(setting, context)
        if not setting.value or not collator(context) or found.kind == "inert":
            return found
        return found._replace(kind="approximated", why=WHOLE_TOWER)

    return of_rows


def part(rule: Rule) -> Rule:
    """The rule of `finetune_..._layers`, beside images."""

    def of_rows(setting: Setting, context: Context) -> Outcome:
        if not collator(context) or not setting.key.endswith("_layers"):
            return rule(setting, context)
        return Outcome("derived", spec={TRAIN: _trained(context)}, why="which parts get adapters")

    return of_rows


IMAGE_RULES: dict[str, Rule] = {
    SEES: _sees,
    **{f"{name}.given": _given for name in SHOWING},
    f"{OF_UNSLOTH}.resize": _resize,
    f"{OF_UNSLOTH}.max_seq_length": derived("data.max_length"),
    f"{OF_UNSLOTH}.{PART}": derived("data.train_on"),
    f"{OF_UNSLOTH}.instruction_part": derived("data.train_on"),
    f"{OF_UNSLOTH}.response_part": _opens,
    f"{OF_UNSLOTH}.last_response_only": derived("data.train_on"),
    f"{OF_UNSLOTH}.force_match": _off(True),
    f"{OF_UNSLOTH}.resize_dimension": _off(0),
    f"{OF_UNSLOTH}.snap_to_patch_size": _off(False),
    f"{OF_UNSLOTH}.completion_only_loss": _off(True),
    **group(
        "it does not change what is trained",
        *(f"{OF_UNSLOTH}.{name}" for name in ("num_proc", "ignore_index", "pad_to_multiple_of")),
        *(f"{OF_TRL}.{name}" for name in ("pad_to_multiple_of", "return_tensors")),
        *(f"{PROCESSOR}.{name}" for name in ("trust_remote_code", "padding_side", "revision")),
    ),
    f"{OF_UNSLOTH}.": unknown("a further argument of Unsloth's collator is not in a spec"),
    f"{OF_TRL}.max_length": derived("data.max_length"),
    f"{OF_TRL}.completion_only_loss": derived("data.train_on"),
    f"{OF_TRL}.assistant_only_loss": derived("data.train_on"),
    f"{OF_TRL}.": unknown("a further argument of trl's collator is not in a spec"),
    f"{COLLATED}.column": _column,
    f"{COLLATED}.images": _column,
    f"{COLLATED}.masked": _learned,
    f"{COLLATED}.stripped": _stripped,
    f"{COLLATED}.length": derived("data.max_length"),
    PROCESSOR: inert("it comes with the model"),
    f"{PROCESSOR}.min_pixels": _pixels,
    f"{PROCESSOR}.max_pixels": _pixels,
    f"{PROCESSOR}.": unknown("a further argument of a processor is not in a spec"),
    "dataset_kwargs.skip_prepare_dataset": _prepared,
}
