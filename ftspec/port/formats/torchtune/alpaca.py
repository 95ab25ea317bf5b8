"""What torchtune writes of a row of Alpaca: its own prompt, in the form that a model's tokenizer has.

AlpacaToMessages (data/_messages.py) and `tokenize_messages` of each tokenizer (models/*/_tokenizer.py) of
0.6.1. They tokenise the answer by itself, and so do rows that a template of a spec writes. No tokenizer puts
a system prompt before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from ftspec.families.rows.instructions import RESERVED

COLUMNS = ("instruction", "input", "output")
_GIVEN = "{% if INPUT is defined and INPUT %}"
PROMPT = (
    "Below is an instruction that describes a task"
    f"{_GIVEN}, paired with an input that provides further context{{% endif %}}. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{{ INSTRUCTION }}\n\n"
    f"{_GIVEN}### Input:\n{{{{ INPUT }}}}\n\n{{% endif %}}"
    "### Response:"
)
"""Without the line break behind it, which some tokenizers strip."""


class Form(NamedTuple):
    """Texts around the prompt and the answer of a row."""

    before: str
    after: str
    answer: str = "{{ OUTPUT }}"
    eos: str | None = None
    """The token that ends an answer, where it may be another than the tokenizer's own."""
    odd: str = ""
    """What it writes otherwise."""


_IM = Form("<|im_start|>user\n", "\n<|im_end|>\n<|im_start|>assistant\n", eos="<|im_end|>")
_INST = Form(
    "[INST] ",
    "\n [/INST]",
    odd="the parts of [INST] ... [/INST] are tokenised one by one there: other tokens where they meet",
)
FORMS: Mapping[str, Form] = {
    # trims what it is told, and puts an end of text that does not train behind the end of the answer
    "llama3_tokenizer": Form(
        "<|start_header_id|>user<|end_header_id|>\n\n",
        "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        "{{ OUTPUT | trim }}",
        "<|eot_id|>",
    ),
    # line breaks that begin an answer become one token with the one that it puts before, and go with it
    "gemma_tokenizer": Form("", "\n", r"{{ OUTPUT.lstrip('\n').rstrip(' ') }}"),
    "qwen2_tokenizer": _IM,
    "qwen2_5_tokenizer": _IM,
    "llama2_tokenizer": _INST,
    "mistral_tokenizer": _INST,
    "phi3_mini_tokenizer": Form(
        "<|user|>\n",
        "\n<|end|>\n<|assistant|>\n",
        eos="<|end|>",
        odd="a line break stands behind the end of an answer there, and trains",
    ),
    "phi4_tokenizer": Form(
        "<|im_start|>user<|im_sep|>",
        "\n<|im_end|><|im_start|>assistant<|im_sep|>",
        eos="<|im_end|>",
        odd="no end of an answer is written there",
    ),
}
"""By the builder of the tokenizer."""
TRAINED = "the opening of an answer trains there, and here it does not"


def is_column(name: str) -> bool:
    """Whether a text of a template can say a column's name: it means nothing else in Jinja."""
    return re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) is not None and name not in RESERVED


def written(form: Form, columns: Mapping[str, str]) -> dict[str, str]:
    """`template` of a source; ``columns`` are the names of those that have others."""
    prompt, answer = form.before + PROMPT + form.after, form.answer
    for name in COLUMNS:
        prompt = prompt.replace(name.upper(), columns.get(name, name))
        answer = answer.replace(name.upper(), columns.get(name, name))
    return {"prompt": prompt, "completion": answer}
