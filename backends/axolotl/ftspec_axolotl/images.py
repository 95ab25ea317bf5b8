"""Models that read images: a plugin brings rows into shape and makes batches as a script around trl does.

axolotl's own collator (utils/collators/mm_chat.py) takes the first image of a row alone, puts it behind the
first user's text, reads files from where it is started, turns them by what they note in EXIF, always masks
the tokens of images, finds answers by the name of a chat template, and pads to no multiple. A spec says
otherwise, and means the same in every backend. What people write `ftspec/port/formats/axolotl/images.py`
reads.

axolotl 0.19.0: loaders/{model,processor,adapter}.py, core/builders/causal.py, utils/freeze.py.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from ftspec.emit.python import render
from ftspec.families.rows import images
from ftspec.families.rows.datasets import context, read_split, template
from ftspec.families.rows.shapes import IMAGES
from ftspec.families.scripts.unify import match
from ftspec.mapping import MISSING, Flat, Refuse, Row, only
from ftspec_axolotl.answers import NOWHERE

SEEN = "model.images.train"
"""The path by which a spec says that rows have images."""
PROCESSOR = "processor_type"
SHAPE = "images.rows"
"""Native pseudo-key: the format of the rows, their columns, and texts that write them."""
SYSTEM = "images.system"
"""Native pseudo-key: a system prompt for conversations that begin with none."""
UNFROZEN = "unfrozen_parameters"
FILE, PLUGIN, TRAINER = "image_rows.py", "image_rows.ImageRows", "image_rows.Trainer"
"""axolotl goes on where it finds no plugin, and stops where it finds no trainer."""
HEAD = '''\
"""Rows with images and their batches, as the spec says them: axolotl would take one image of each row."""

import math
from os.path import join
from types import SimpleNamespace

import torch
from axolotl import train as training
from axolotl.core.trainers import AxolotlTrainer
from axolotl.integrations.base import BasePlugin
from axolotl.loaders import load_processor
from axolotl.utils.data import sft
{% if train.template %}
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
{% endif %}
from PIL import Image, ImageOps
'''
TAIL = """\
    return train


class Trainer(AxolotlTrainer):
    # named by the config: without this file axolotl would train on rows as it reads them itself
    pass


def load(cfg, tokenizer):
    found = load_processor(cfg, tokenizer)
    if cfg.chat_template == "jinja":
        found.chat_template = tokenizer.chat_template
    return found


class ImageRows(BasePlugin):
    def register(self, cfg):
        training.load_processor = load  # else its own template would be saved with the model
        sft.get_dataset_wrapper = lambda dataset, **_options: (shaped(dataset), None)

    def post_model_build(self, cfg, model):
        self.held = {name: parameter.dtype for name, parameter in model.named_parameters()}

    def pre_lora_load(self, cfg, model):
        cfg.lora_exclude_modules = FROZEN
        # beside a quantised base it has made float32 of all that is not quantised
        for name, parameter in model.named_parameters():
            if parameter.dtype != self.held[name]:
                parameter.data = parameter.data.to(self.held[name])

    def get_collator_cls_and_kwargs(self, cfg, is_eval=False):
        def collator(given, **_options):
            global args, processor, tokenizer
            limit = cfg.sequence_len if cfg.excess_length_strategy == "raise" else None
            args, tokenizer, processor = SimpleNamespace(max_length=limit), given, load(cfg, given)
            return collate

        return collator, {}
"""
_LANGUAGE, _PROJECTOR = "language_model|lm_head", "multi_modal_projector|visual.merger"
WEIGHTS: Mapping[str, str] = {
    "language": rf"(\w+.)*({_LANGUAGE})\b",
    "projector": rf"(\w+.)*({_PROJECTOR})\b",
    "vision": rf"(?!(\w+.)*({_LANGUAGE}|{_PROJECTOR})\b)",
}
"""By part, the pattern of its weights, in which each dot is one of a name (utils/freeze.py)."""


def image_rows() -> tuple[Row, ...]:
    """The section `model.images`, and what axolotl is told beside the plugin."""
    return (
        *images.image_rows(),
        Row(
            (),
            (PROCESSOR,),
            lambda parts: MISSING if parts is None else "AutoProcessor",
            _lift_processor,
            uses=(SEEN,),
            absent=(None,),
        ),
        _beside("remove_unused_columns", False),
        _beside("trainer_cls", TRAINER),
        Row(
            (),
            ("type_of_model",),
            lambda parts: MISSING if parts is not None else "AutoModelForCausalLM",
            _lift_class,
            uses=(SEEN,),
            reads=(PROCESSOR,),
            absent=(None,),
        ),
        Row((), (SHAPE,), _lower_shape, lambda _shape: (), uses=(SEEN, "data.train")),
    )


def _beside(key: str, value: Any) -> Row:
    """What a key says beside rows with images, and beside no others."""

    def lift(said: Any, processor: Any) -> tuple[()]:
        if said != (value if sees(processor) else None):
            raise Refuse(f"{key}={said!r} is not what ftspec writes")
        return ()

    return Row(
        (),
        (key,),
        lambda parts: MISSING if parts is None else value,
        lift,
        uses=(SEEN,),
        reads=(PROCESSOR,),
        absent=(None,),
    )


def frozen_row() -> Row:
    """Where all weights would train, those of the parts that do; the row of the tuner's type comes first."""
    (row,) = only(
        "method.tuner.type",
        "full",
        Row(
            (),
            (UNFROZEN,),
            lambda parts: MISSING if parts in (None, (*WEIGHTS,)) else unfrozen(parts),
            _lift_unfrozen,
            uses=(SEEN,),
            reads=(images.FROZEN,),
            absent=(None,),
        ),
    )
    return row


def unfrozen(parts: Sequence[str]) -> list[str]:
    """The patterns of the weights of these parts."""
    return [WEIGHTS[part] for part in parts]


def sees(processor: Any) -> bool:
    """Whether rows have images, by the value of `processor_type`."""
    return processor not in (None, MISSING)


def _lift_processor(name: str | None) -> tuple[()]:
    if name not in (None, "AutoProcessor"):
        raise Refuse(f"a processor of the kind {name} is read by `ftspec import` only", "notimpl")
    return ()


def _lift_class(name: str | None, processor: Any) -> tuple[()]:
    if name is not None and (sees(processor) or name != "AutoModelForCausalLM"):
        raise Refuse(f"type_of_model={name!r} is in no spec")
    return ()


def _lift_unfrozen(patterns: Any, frozen: Any) -> tuple[()]:
    names = tuple(patterns or ())
    of_parts = [parts for parts, pattern in images.OUTSIDE.items() if pattern == frozen]
    if names and (frozen is MISSING or names not in [tuple(unfrozen(p)) for p in of_parts]):
        raise Refuse("other weights train than those of the parts that the plugin names", "notimpl")
    return ()


def _lower_shape(parts: tuple[str, ...] | None, sources: tuple[dict[str, Any], ...]) -> Any:
    if parts is None or not sources or not images.with_images(sources):
        return MISSING  # the row of the parts says why
    _printed(sources)
    first = sources[0]
    return first["format"], dict(first["columns"]), first.get("template")


def _printed(sources: Sequence[Mapping[str, Any]], system: str | None = None) -> dict[str, Any]:
    taken = tuple({**source, **NOWHERE} for source in sources)
    return context(taken, IMAGES, "", system=system) | {"taken": True}


def image_file(native: Flat) -> str:
    """The text of the plugin's file."""
    kind, columns, texts = native[SHAPE]
    source = {"format": kind, "columns": columns, "template": texts}
    printed = _printed([source], native.get(SYSTEM))
    shaping = textwrap.indent(template("train", printed), "    ")
    seen = images.context({"tuner": None, "model.dtype": None, **native})
    text = HEAD + images.COLLATOR.read_text("utf-8") + "\ndef shaped(train):\n" + shaping + TAIL
    return render(text, train=printed, **seen)


def read_image_file(text: str) -> dict[str, Any]:
    """Its native values; nothing where there is none."""
    if not text:
        return {}
    tree = ast.parse(text)
    native: dict[str, Any] = {}
    for statement in tree.body:
        for key, (pattern, names) in images.CONSTANTS.items():
            if (found := match(pattern, statement)) is not None:
                values = tuple(found[name] for name in names)
                native[key] = values if values[1:] else values[0]
    (body,) = (
        node.body
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name == "shaped"
    )
    loaded = ast.parse(f"train = load_dataset({NOWHERE['hub']!r}, split='train')").body
    split = read_split(ast.Module([*loaded, *body[:-1]], []), "train")
    if split is None:
        raise ValueError(f"{FILE} brings rows into a shape that is not ftspec's")
    (source,) = split.sources
    return native | {
        SHAPE: (source["format"], dict(source["columns"]), source["template"]),
        **({} if split.system is None else {SYSTEM: split.system}),
    }
