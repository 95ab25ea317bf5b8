"""What torchtune's tokenizers write around what is said, and which of it trains.

`tokenize_messages` of models/*/_tokenizer.py of 0.6.1. Each piece is tokenised by itself. Nothing stands
before a conversation that has no system prompt; the chat templates of models often put something there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple


class Form(NamedTuple):
    """How a tokenizer writes a conversation."""

    turns: Mapping[str, tuple[str, str]]
    """By role, what stands before and behind what is said. All of an answer's turn trains."""
    ends: str = ""
    """What stands behind the last answer, where that is not what stands behind others."""
    clean: str = ""
    """What becomes of what is said, in Jinja."""
    opens: Literal["once", "turn", ""] = "once"
    """Where the token stands that begins a text: before all, before each question, or nowhere."""
    eos: str | None = None
    """The token that ends an answer, where it may be another than the tokenizer's own."""
    text_eos: str | None = None
    """The one that ends a plain text."""
    cut: Literal["masked", "plain", "trained"] = "trained"
    """What the last token of a longer row becomes: an end that trains not, itself, or one that does."""
    ends_masked: bool = False
    """Whether the end of the last answer does not train where there is a limit of the length."""
    odd: str = ""
    """What differs of a question and an answer that a template writes."""
    odd_chat: str = ""
    """What differs of a conversation that a chat template writes."""


ROLES = ("system", "user", "assistant")
SEAMS = "its pieces are tokenised one by one there: other tokens where they meet"
NEW_LINES = "what begins with a line break is tokenised apart from the one before it there"


def _alike(before: str, after: str) -> dict[str, tuple[str, str]]:
    return {role: (before.format(role), after) for role in ROLES}


_IM = Form(
    _alike("<|im_start|>{}\n", "<|im_end|>\n"),
    "<|im_end|>",
    opens="",
    eos="<|im_end|>",
    text_eos="<|im_end|>",
    cut="masked",
    ends_masked=True,
    odd_chat=NEW_LINES,
)
_INST = Form(
    {"user": ("[INST] ", " [/INST]"), "assistant": ("", "")},
    clean=".rstrip(' ')",
    opens="turn",
    odd=SEAMS,
)
FORMS: Mapping[str, Form] = {
    # behind the last answer it puts an end of text that does not train
    "llama3_tokenizer": Form(
        _alike("<|start_header_id|>{}<|end_header_id|>\n\n", "<|eot_id|>"),
        "<|eot_id|>",
        " | trim",
        eos="<|eot_id|>",
        text_eos="<|end_of_text|>",
        cut="masked",
    ),
    # line breaks that begin an answer become one token with the one that it puts before, and go with it
    "gemma_tokenizer": Form(
        {"system": ("", ""), "user": ("", ""), "assistant": ("", "<eos>")},
        "<eos>",
        ".rstrip(' ')",
        "turn",
        odd_chat=SEAMS,
    ),
    "qwen2_tokenizer": _IM,
    "qwen2_5_tokenizer": _IM,
    "llama2_tokenizer": _INST,
    "mistral_tokenizer": _INST,
    "phi3_mini_tokenizer": Form(
        _alike("<|{}|>\n", "<|end|>\n"),
        "<|end|>\n",
        ".rstrip(' ')",
        eos="<|end|>",
        cut="plain",
        odd="a line break stands behind the end of an answer there, and trains",
        odd_chat=SEAMS,
    ),
    "phi4_tokenizer": Form(
        {**_alike("<|im_start|>{}<|im_sep|>", "<|im_end|>"),
         "assistant": ("<|im_start|>assistant<|im_sep|>", "")},
        "",
        ".rstrip(' ')",
        "",
        eos="<|im_end|>",
        text_eos="<|im_end|>",
        cut="plain",
        odd="no end of an answer is written there",
    ),
}  # fmt: skip
"""By the builder of the tokenizer."""
BRACKETS = ("llama2_tokenizer", "mistral_tokenizer")
"""Those that have a prompt template of their own, unless they are told to have none."""


def text(words: str) -> str:
    """Plain text as a piece of Jinja."""
    return f"{{{{ {words!r} }}}}" if words else ""


def chat(form: Form, limited: bool) -> str:
    """The chat template that writes what the tokenizer does.

    ``limited``: whether rows have a longest length.
    """
    ends = "" if limited and form.ends_masked else form.ends
    said = f"{{{{- message['content']{form.clean} -}}}}"
    begins = "{{- bos_token -}}" if form.opens == "once" else ""
    lines = [begins, "{%- for message in messages -%}"]
    if form.opens == "turn":
        lines.append(
            "{%- if loop.first or loop.previtem['role'] == 'assistant' -%}{{- bos_token -}}{%- endif -%}"
        )
    for number, (role, (before, after)) in enumerate(form.turns.items()):
        word = "elif" if number else "if"
        lines.append(f"{{%- {word} message['role'] == '{role}' -%}}")
        if role == "assistant":
            behind = _either(after, ends)
            lines.append(f"{{%- generation -%}}{text(before)}{said}{behind}{{%- endgeneration -%}}")
        else:
            lines.append(f"{text(before)}{said}{text(after)}")
    opening = form.turns["assistant"][0]
    lines += [
        "{%- else -%}",
        "{{- raise_exception('a role that torchtune has not: ' ~ message['role']) -}}",
        "{%- endif -%}",
        "{%- endfor -%}",
        f"{{%- if add_generation_prompt -%}}{text(opening)}{{%- endif -%}}" if opening else "",
    ]
    return "\n".join(line for line in lines if line) + "\n"


def _either(after: str, ends: str) -> str:
    if after == ends:
        return text(after)
    return f"{{%- if loop.last -%}}{text(ends)}{{%- else -%}}{text(after)}{{%- endif -%}}"
