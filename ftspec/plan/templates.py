"""What a model's chat template says: its tokens, whose turns it marks, what it does with thoughts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ftspec.data.named import special_tokens
from ftspec.data.template import Template, load_template
from ftspec.data.text_side import OWN_TEMPLATE, refuse_unread
from ftspec.data.thinking import empty_thoughts
from ftspec.errors import DataError, Problem, SpecError
from ftspec.spec.chat_templates import NAMED
from ftspec.spec.home import at_home
from ftspec.spec.model import Model
from ftspec.spec.present import is_file
from ftspec.spec.root import Spec

PROCESSORS = ("preprocessor_config.json", "processor_config.json")
"""Files of a model that takes images or sound."""


def added_tokens(models: Sequence[Model]) -> tuple[str, ...]:
    """The tokens that these model sections add."""
    return tuple(token for model in models if model.new_tokens for token in model.new_tokens.tokens)


def decide_template(
    spec: Spec, model: str, folder: Path, decide: Any, new: Sequence[str] = ()
) -> None:
    """What backends have to know of the template; ``model`` is the folder whose tokenizer is read.

    ``new`` are tokens that the tokenizer gets.

    Raises:
        SpecError: there is no such file; the tokenizer lacks its tokens; it reads no such option.
    """
    named, options = spec.model.chat_template, spec.model.template_options
    _tokens_of(named, folder / at_home(model), new)
    seen = folder.is_dir()  # a spec may be lowered without a look at any file
    if named not in (OWN_TEMPLATE, *NAMED) and seen and not is_file(folder / at_home(named)):
        hint = "paths start at the spec's own folder"
        raise SpecError(Problem(f"there is no file {named}", "model.chat_template", hint=hint))
    found = template_of(named, model, folder)
    if found is not None:
        refuse_unread(found, options)
    marks = True if named in NAMED else marks_turns(found)
    decide("derived.marks_turns", marks, "the chat template", "machine")
    thoughts = "none" if named in NAMED else None if found is None else empty_thoughts(found)
    decide("derived.empty_thoughts", thoughts, "the chat template", "machine")
    sees = _sees_images(folder / at_home(model))
    decide("derived.sees_images", sees, "the model's files", "machine")


def _sees_images(model: Path) -> bool | None:
    """Whether a model comes with a processor of images; None where it is not here."""
    if not is_file(model / "config.json"):
        return None
    return any(is_file(model / file) for file in PROCESSORS)


def template_of(template: str, model: str, folder: Path) -> Template | None:
    """A template that is no named one; None where it is not to be seen."""
    if template in NAMED:
        return None
    file = None if template == OWN_TEMPLATE else folder / at_home(template)
    try:
        return load_template(folder / at_home(model), {}, file)
    except DataError:
        return None  # whoever reads the rows says what is wrong with it


def marks_turns(found: Template | None) -> bool | None:
    """Whether a template says which text is the assistant's; None where it is not to be seen."""
    return None if found is None else found.marks_turns


def _tokens_of(template: str, model: Path, new: Sequence[str]) -> None:
    """A named template prints special tokens: a tokenizer without them takes them for plain text."""
    file = model / "tokenizer.json"
    if template not in NAMED or not is_file(file):
        return
    vocabulary = file.read_text("utf-8", "replace")
    absent = [
        token
        for token in special_tokens(template)
        if token not in new and json.dumps(token, ensure_ascii=False) not in vocabulary
    ]
    if absent:
        message = f"the tokenizer has no token {absent[0]}, which the template {template} prints"
        hint = "name the template that the model was made with, or `tokenizer`; or model.new_tokens"
        raise SpecError(Problem(message, path="model.chat_template", hint=hint))
