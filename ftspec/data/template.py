"""Chat templates, rendered as `apply_chat_template` of transformers 5 renders them, in a sandbox.

Stricter than transformers in one point: reaching for an unsafe attribute is an error even where the
result would not be used. What a harmless template prints is the same to the last character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ftspec.data.example import Message
from ftspec.data.tokenizer_files import read_json, read_text
from ftspec.errors import DataError, Problem
from ftspec.spec.present import is_file

if TYPE_CHECKING:
    import jinja2

LARGEST = 1 << 18
"""Characters in a template. The largest in use (gpt-oss) has 16,000."""
LONGEST = 1 << 26
"""Characters in a rendered conversation, so that a loop in a template cannot fill the memory."""
TEMPLATE_FILE = "chat_template.jinja"


@dataclass(frozen=True)
class Rendered:
    """A conversation as text, and the spans that the template marks as the assistant's."""

    text: str
    spans: tuple[tuple[int, int], ...]
    """Start and end, in characters; empty if the template has no `{% generation %}`."""


@dataclass(frozen=True)
class Template:
    """A chat template and the special tokens that it may print."""

    source: str
    special: Mapping[str, str]
    """`bos_token`, `eos_token` and so on, as the tokenizer names them."""
    file: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further values that it reads, by their names."""

    @cached_property
    def marks_turns(self) -> bool:
        """Whether the template says itself which text is the assistant's."""
        return re.search(r"\{%-?\s*generation\s*-?%\}", self.source) is not None

    @cached_property
    def dated(self) -> bool:
        """Whether what it prints depends on the day (`strftime_now`)."""
        return "strftime_now" in self.source

    def reads(self, name: str) -> bool:
        """Whether the template has a variable of this name."""
        return re.search(rf"\b{re.escape(name)}\b", self.source) is not None

    @cached_property
    def compiled(self) -> jinja2.Template:
        """The template in its sandbox; raises where it is not valid Jinja."""
        import jinja2  # noqa: PLC0415 -- most commands render nothing

        from ftspec.data.sandbox import environment  # noqa: PLC0415

        try:
            return environment().from_string(self.source)
        except (jinja2.TemplateError, RecursionError) as error:
            line = getattr(error, "lineno", None) or 0
            message = f"the chat template is not valid Jinja: {error}"
            raise DataError(Problem(message, file=self.file, line=line)) from None

    def render(
        self, messages: Sequence[Message], *, prompt: bool = False, tools: Sequence[Any] = ()
    ) -> Rendered:
        """The conversation as text. ``prompt``: with the opening of an assistant turn."""
        compiled = self.compiled
        spans: list[tuple[int, int]] = []
        blocks: list[str] = []
        values = {
            **self.special,
            "messages": [message.native() for message in messages],
            "tools": list(tools) or None,
            "documents": None,
            "add_generation_prompt": prompt,
            **self.options,
        }
        try:
            with compiled.environment.spans_into(spans, blocks):  # type: ignore[attr-defined]
                for block in bounded(compiled.generate(values)):
                    blocks.append(block)  # one by one: spans are counted from what is there
        except Exception as error:  # a template is foreign code and raises what it likes
            _refuse(error, self.file)
        return Rendered("".join(blocks), tuple(spans))


def load_template(
    folder: Path, special: Mapping[str, str], file: Path | None = None
) -> Template | None:
    """The template in ``file``, or the tokenizer's own; None if it has none.

    Of several named templates in a tokenizer, the one named `default`.
    """
    if file is not None:
        if not is_file(file):
            hint = "a path in a spec starts at the spec's folder"
            raise DataError(
                Problem("no such chat template", "model.chat_template", file=str(file), hint=hint)
            )
        return _sized(read_text(file), special, file)
    if is_file(folder / TEMPLATE_FILE):
        return _sized(read_text(folder / TEMPLATE_FILE), special, folder / TEMPLATE_FILE)
    config = folder / "tokenizer_config.json"
    found = read_json(config).get("chat_template") if is_file(config) else None
    if isinstance(found, list):
        found = {
            entry.get("name"): entry.get("template") for entry in found if isinstance(entry, dict)
        }
    if isinstance(found, dict):
        if "default" not in found:
            names = ", ".join(map(str, found))
            message = f"the tokenizer has several chat templates ({names}), none named default"
            hint = "save the one you want as a file and name it: `model.chat_template: FILE`"
            raise DataError(Problem(message, file=str(config), hint=hint))
        found = found["default"]
    return _sized(found, special, config) if isinstance(found, str) else None


def _sized(source: str, special: Mapping[str, str], file: Path) -> Template:
    if len(source) > LARGEST:
        message = f"the chat template has {len(source):,} characters; the limit is {LARGEST:,}"
        raise DataError(Problem(message, file=str(file)))
    return Template(source, dict(special), str(file))


def bounded(blocks: Iterator[str]) -> Iterator[str]:
    """What a template prints, piece by piece, up to LONGEST characters; then OverflowError."""
    length = 0
    for block in blocks:
        length += len(block)
        if length > LONGEST:
            raise OverflowError(f"it prints more than {LONGEST:,} characters")
        yield block


def _refuse(error: Exception, file: str) -> NoReturn:
    """A template's error as a problem of the row; the caller knows which."""
    import jinja2  # noqa: PLC0415

    reason = str(error).partition("\n")[0] or type(error).__name__
    if isinstance(error, jinja2.exceptions.SecurityError):
        message = f"the chat template is unsafe: {reason}"
        raise DataError(Problem(message, hint=f"do not use {file or 'it'}")) from None
    if type(error) is jinja2.TemplateError:
        message = f"the chat template refuses the conversation: {reason}"
        raise DataError(Problem(message)) from None
    kind = "" if isinstance(error, jinja2.TemplateError) else f"{type(error).__name__}: "
    raise DataError(Problem(f"the chat template fails: {kind}{reason}")) from None
