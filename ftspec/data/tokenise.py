"""Examples as token ids and labels.

What a chat means: the whole conversation is rendered once by the template and tokenised as one
string, without special tokens of the tokenizer's own. Labels then say which ids count in the loss.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from ftspec.data.example import Example
from ftspec.data.template import Rendered, Template
from ftspec.data.tokenizer import Tokens
from ftspec.data.turns import WRITTEN, Turns, said
from ftspec.errors import DataError, Problem

TrainOn = Literal["completions", "assistant", "all"]
IGNORED = -100
"""The label that no framework counts."""
ENDLESS = sys.maxsize
"""A length that no row reaches: nothing is cut."""
PREFIX_HINT = (
    "use a template that renders a prompt alone as it renders it in the conversation, or one that "
    "marks assistant turns with {% generation %}"
)


@dataclass(frozen=True)
class Encoded:
    """One row as the frameworks take it. ``labels[i]`` is ``input_ids[i]`` or -100."""

    input_ids: Sequence[int]
    labels: Sequence[int]
    lengths: Sequence[int] = ()
    """Tokens of each document in it, one after the other, where several share the row."""

    @property
    def trained(self) -> int:
        """How many tokens count in the loss."""
        return sum(label != IGNORED for label in self.labels)


@dataclass(frozen=True)
class Question:
    """What has to be tokenised to say what a row trains on.

    Apart from the answer, so that the texts of many rows can be tokenised at once.
    """

    texts: tuple[str, ...]
    """The row's whole text, then the beginnings of it that tell where trained turns start."""
    special: bool
    """Whether the tokenizer puts its own special tokens around them, such as BOS."""
    mask: Callable[[Sequence[Any]], list[bool]]
    """From the encodings of ``texts``: which tokens of the whole are trained. May raise DataError."""
    after: tuple[str, ...] = ()
    """Texts that go on behind the first one, without special tokens; their encodings stand last."""

    def ids(self, encodings: Sequence[Any]) -> list[int]:
        """The ids of the row."""
        behind = encodings[len(self.texts) :]
        return [token for encoding in (encodings[0], *behind) for token in encoding.ids]


def encode(
    example: Example,
    *,
    tokens: Tokens,
    template: Template | None,
    train_on: TrainOn,
    turns: Turns = WRITTEN,
) -> Encoded:
    """Ids and labels of one example, uncut. Raises if it cannot be said what is trained."""
    question = ask(example, tokens=tokens, template=template, train_on=train_on, turns=turns)
    pairs = [(text, question.special) for text in question.texts]
    pairs += [(text, False) for text in question.after]
    encodings = [
        tokens.tokenizer.encode(text, add_special_tokens=special) for text, special in pairs
    ]
    return answer(question, encodings)


def answer(question: Question, encodings: Sequence[Any]) -> Encoded:
    """Ids and labels, from the encodings of the question's texts.

    The first label is always -100: nothing predicts the first token, yet transformers up to 5.6
    counts its label in the denominator of the loss where later ones do not (hazards.md#loss-denominator).
    """
    ids = question.ids(encodings)
    labels = labels_of(ids, question.mask(encodings))
    return Encoded(ids, [IGNORED, *labels[1:]])


def labels_of(ids: Sequence[int], mask: Sequence[bool]) -> list[int]:
    """Each id where it is trained, else -100."""
    return [token if counts else IGNORED for token, counts in zip(ids, mask, strict=True)]


def ask(
    example: Example,
    *,
    tokens: Tokens,
    template: Template | None,
    train_on: TrainOn,
    turns: Turns = WRITTEN,
    diverging: bool = False,
) -> Question:
    """What to tokenise for an example. Raises if it cannot be rendered.

    ``turns``: which tokens of a trained turn count; plain texts have no turns.

    ``diverging``: where a prompt alone does not read as in the whole, the trained part starts at the
    first token that differs, as trl has it; otherwise such a row is refused.
    """
    if example.kind == "prompt" and not example.messages:
        return Question((example.prompt,), True, _all)
    if example.kind == "prompt" and template is not None:
        asked = template.render(example.messages, prompt=True, tools=example.tools)
        return Question((asked.text,), False, _all)
    if example.kind not in ("chat", "prompt"):
        return _plain(example, tokens, train_on, diverging)
    if template is None:
        raise DataError(no_template(tokens))
    if turns != WRITTEN:
        return _said(example, template, train_on, turns)
    return _chat(example, template, train_on, diverging)


def no_template(tokens: Tokens) -> Problem:
    """That the rows are conversations and nothing says how they are written."""
    return Problem(
        "the tokenizer has no chat template, and the rows are conversations",
        path="model.chat_template",
        file=str(tokens.folder),
        hint="give one: `model.chat_template: FILE.jinja`",
    )


def _chat(example: Example, template: Template, train_on: TrainOn, diverging: bool) -> Question:
    whole = template.render(example.messages, tools=example.tools)
    if train_on == "all":
        return Question((whole.text,), False, _all)
    if train_on == "assistant" and template.marks_turns:
        return Question((whole.text,), False, partial(_marked, whole))
    last = len(example.messages)
    if train_on == "completions":
        turns = [(example.given, last)]
    else:
        roles = [message.role for message in example.messages]
        turns = [(at, at + 1) for at, role in enumerate(roles) if role == "assistant"]
    begins = [(start, True) for start, _ in turns] + [(end, False) for _, end in turns[:-1]]
    begun = [
        template.render(example.messages[:count], prompt=prompt, tools=example.tools).text
        for count, prompt in begins
    ]

    def mask(encodings: Sequence[Any]) -> list[bool]:
        ids = list(encodings[0].ids)
        lengths = {(last, False): len(ids)}
        for begin, encoding in zip(begins, encodings[1:], strict=True):
            strict = "" if diverging else f"the first {begin[0]} messages"
            lengths[begin] = _common(encoding.ids, ids, strict)
        found = [False] * len(ids)
        for start, end in turns:
            span = slice(lengths[start, True], lengths[end, False])
            found[span] = [True] * len(found[span])
        return found

    return Question((whole.text, *begun), False, mask)


def _said(example: Example, template: Template, train_on: TrainOn, turns: Turns) -> Question:
    """Of all turns, those of the assistant or those of the completion: what they say."""
    written = turns.unflagged(example)
    text = template.render(written.messages, tools=written.tools).text
    usual = {
        "all": range(len(example.messages)),
        "completions": range(example.given, len(example.messages)),
        "assistant": [
            at for at, message in enumerate(example.messages) if message.role == "assistant"
        ],
    }[train_on]
    chosen = turns.chosen(example.messages, usual)
    return Question((text,), False, said(written, template, text, chosen, turns))


def _all(encodings: Sequence[Any]) -> list[bool]:
    return [True] * len(encodings[0].ids)


def _common(part: Sequence[int], ids: Sequence[int], strict: str = "") -> int:
    """How many ids both begin with. ``strict``: what to say if that is not all of ``part``."""
    if list(ids[: len(part)]) == list(part):
        return len(part)
    if strict:
        message = (
            f"the tokens of {strict} do not begin those of the conversation, "
            "so it cannot be told where the trained turn starts"
        )
        raise DataError(Problem(message, hint=PREFIX_HINT))
    pairs = enumerate(zip(part, ids, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(part), len(ids)))


def _behind(everything: bool, encodings: Sequence[Any]) -> list[bool]:
    """The tokens behind the prompt, or all of them."""
    prompt, completion = (len(encoding.ids) for encoding in encodings)
    return [everything] * prompt + [True] * completion


def _marked(whole: Rendered, encodings: Sequence[Any]) -> list[bool]:
    """Tokens of the spans that the template marks, as transformers counts them."""
    (encoding,) = encodings
    length = len(encoding.ids)
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


def _plain(example: Example, tokens: Tokens, train_on: TrainOn, diverging: bool) -> Question:
    """Plain strings: the tokenizer's own special tokens in front, one eos_token at the end."""
    eos = tokens.special.get("eos_token")
    if eos is None:
        message = "the tokenizer names no eos_token, and plain text must end with one"
        raise DataError(Problem(message, file=str(tokens.folder / "tokenizer_config.json")))
    text = example.completion if example.completion.endswith(eos) else example.completion + eos
    if example.apart:
        return Question((example.prompt,), True, partial(_behind, train_on == "all"), (text,))
    whole = example.prompt + text
    if example.kind == "text" or train_on == "all":
        return Question((whole,), True, _all)

    def mask(encodings: Sequence[Any]) -> list[bool]:
        ids, prompt = list(encodings[0].ids), list(encodings[1].ids)
        start = _common(prompt, ids)
        if start < len(prompt) and not diverging:
            raise DataError(
                Problem(
                    "the prompt's last token merges with the start of the completion",
                    hint="end the prompt where a token ends: put the space before the completion",
                )
            )
        return [at >= start for at in range(len(ids))]

    return Question((whole, example.prompt), True, mask)
