"""A model's tokenizer and its chat template: what makes a text of a row, and tokens of the text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ftspec.data.named_text import named_template
from ftspec.data.template import Template, load_template
from ftspec.data.tokenise import TrainOn
from ftspec.data.tokenizer import AS_IT_IS, Tokens, Vocabulary, load_tokenizer
from ftspec.errors import Problem, SpecError
from ftspec.spec.chat_templates import NAMED
from ftspec.spec.home import at_home
from ftspec.spec.present import is_folder

NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})
OWN_TEMPLATE = "tokenizer"
"""What `model.chat_template` says for the template that comes with the tokenizer."""


def text_side(
    name: str,
    revision: str,
    template: str,
    base: Path,
    options: Mapping[str, Any] = NO_OPTIONS,
    train_on: TrainOn = "assistant",
    vocabulary: Vocabulary = AS_IT_IS,
) -> tuple[Tokens, Template | None]:
    """A model's tokenizer and the chat template that goes with it, with the values that it is given.

    A named template with thoughts asks whether the last answer alone trains.

    Raises:
        SpecError: the template reads no such value.
    """
    folder = base / at_home(name)
    local = name.startswith((".", "/", "~")) or is_folder(folder)
    tokens = load_tokenizer(folder if local else name, revision, vocabulary)
    if template in NAMED:
        text = named_template(template, last=train_on == "completions")
        return tokens, Template(text, tokens.special, template, dict(options))
    file = None if template == OWN_TEMPLATE else base / at_home(template)
    found = load_template(tokens.folder, tokens.special, file)
    if found is not None and options:
        refuse_unread(found, options)
        found = replace(found, options=dict(options))
    return tokens, found


def refuse_unread(template: Template, options: Mapping[str, Any]) -> None:
    """Raise SpecError for a value that the template does not read: it would have no effect."""
    for name in options:
        if not template.reads(name):
            message = f"the chat template reads no `{name}`"
            hint = f"leave it out, or see {template.file or 'the template'} for what it reads"
            raise SpecError(Problem(message, "model.template_options", hint=hint))
