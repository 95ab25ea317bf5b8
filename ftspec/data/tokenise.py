"""Examples as token ids and labels.

What a chat means: the whole conversation is rendered once by the template and tokenised as one
string, without special tokens of the tokenizer's own. Labels then say which ids count in the loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ftspec.data.example import Example
from ftspec.data.template import Rendered, Template
from ftspec.data.tokenizer import Tokens
from ftspec.errors import DataError, Problem

TrainOn = Literal["completions", "assistant", "all"]
IGNORED = -100
"""The label that no framework counts."""
PREFIX_HINT = (
    "use a template that renders a prompt alone as it renders it in the conversation, or one that "
    "marks assistant turns with {% generation %}"
)


@dataclass(frozen=True)
class Encoded:
    """One row as the frameworks take it. ``labels[i]`` is ``input_ids[i]`` or -100."""

    input_ids: Sequence[int]
    labels: Sequence[int]

    @property
    def trained(self) -> int:
        """How many tokens count in the loss."""
        return sum(label != IGNORED for label in self.labels)


def encode(
    example: Example, *, tokens: Tokens, template: Template | None, train_on: TrainOn
) -> Encoded:
    """Ids and labels of one example, uncut. Raises if it cannot be said what is trained.

    The first label is always -100: nothing predicts the first token, yet transformers up to 5.6
    counts its label in the denominator of the loss where later ones do not (hazards.md#loss-denominator).
    """
    if example.kind == "chat":
        if template is None:
            raise DataError(no_template(tokens))
        ids, mask = _chat(example, tokens, template, train_on)
    else:
        ids, mask = _plain(example, tokens, train_on)
    labels = [token if counts else IGNORED for token, counts in zip(ids, mask, strict=True)]
    return Encoded(ids, [IGNORED, *labels[1:]])


def no_template(tokens: Tokens) -> Problem:
    """That the rows are conversations and nothing says how they are written."""
    return Problem(
        "the tokenizer has no chat template, and the rows are conversations",
        path="model.chat_template",
        file=str(tokens.folder),
        hint="give one: `model.chat_template: FILE.jinja`",
    )


def _chat(
    example: Example, tokens: Tokens, template: Template, train_on: TrainOn
) -> tuple[list[int], list[bool]]:
    whole = template.render(example.messages, tools=example.tools)
    encoding = tokens.tokenizer.encode(whole.text, add_special_tokens=False)
    ids: list[int] = list(encoding.ids)
    if train_on == "all":
        return ids, [True] * len(ids)
    if train_on == "assistant" and template.marks_turns:
        return ids, _marked(whole, encoding, len(ids))

    def begin(count: int, *, prompt: bool) -> int:
        part = template.render(example.messages[:count], prompt=prompt, tools=example.tools)
        return _prefix_length(tokens.ids(part.text), ids, count)

    if train_on == "completions":
        start = begin(example.given, prompt=True)
        return ids, [at >= start for at in range(len(ids))]
    mask = [False] * len(ids)
    for at, message in enumerate(example.messages):
        if message.role == "assistant":
            start = begin(at, prompt=True)
            last = at + 1 == len(example.messages)
            end = len(ids) if last else begin(at + 1, prompt=False)
            mask[start:end] = [True] * (end - start)
    return ids, mask


def _prefix_length(part: list[int], ids: list[int], count: int) -> int:
    """How many ids the first ``count`` messages have, which alone must read as in the whole."""
    if ids[: len(part)] == part:
        return len(part)
    message = (
        f"the tokens of the first {count} messages do not begin those of the conversation, "
        "so it cannot be told where the trained turn starts"
    )
    raise DataError(Problem(message, hint=PREFIX_HINT))


def _marked(whole: Rendered, encoding: Any, length: int) -> list[bool]:
    """Tokens of the spans that the template marks, as transformers counts them."""
    mask = [False] * length
    for start_char, end_char in whole.spans:
        if start_char == end_char:
            continue
        start = encoding.char_to_token(start_char)
        if start is None:
            break
        end = encoding.char_to_token(end_char - 1)
        stop = end + 1 if end else length
        mask[start:stop] = [True] * len(mask[start:stop])
    return mask


def _plain(example: Example, tokens: Tokens, train_on: TrainOn) -> tuple[list[int], list[bool]]:
    """Plain strings: the tokenizer's own special tokens in front, one eos_token at the end."""
    eos = tokens.special.get("eos_token")
    if eos is None:
        message = "the tokenizer names no eos_token, and plain text must end with one"
        raise DataError(Problem(message, file=str(tokens.folder / "tokenizer_config.json")))
    text = example.completion if example.completion.endswith(eos) else example.completion + eos
    ids = tokens.ids(example.prompt + text, special=True)
    if example.kind == "text" or train_on == "all":
        return ids, [True] * len(ids)
    prompt = tokens.ids(example.prompt, special=True)
    if ids[: len(prompt)] != prompt:
        raise DataError(
            Problem(
                "the prompt's last token merges with the start of the completion",
                hint="end the prompt where a token ends: put the space before the completion",
            )
        )
    return ids, [at >= len(prompt) for at in range(len(ids))]
