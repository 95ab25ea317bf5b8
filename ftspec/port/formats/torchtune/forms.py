"""What torchtune's tokenizers write around what is said, and which of it trains.

`tokenize_messages` of models/*/_tokenizer.py of 0.6.1. Each piece is tokenised by itself. Nothing stands
before a conversation that has no system prompt; the chat templates of models often put something there. All
of an answer's turn trains.
"""

from __future__ import annotations

from collections.abc import Mapping

from ftspec.port.formats.forms import Form, alike

SEAMS = "its pieces are tokenised one by one there: other tokens where they meet"
NEW_LINES = "what begins with a line break is tokenised apart from the one before it there"

_IM = Form(
    alike("<|im_start|>{}\n", "<|im_end|>\n"),
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
        alike("<|start_header_id|>{}<|end_header_id|>\n\n", "<|eot_id|>"),
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
        alike("<|{}|>\n", "<|end|>\n"),
        "<|end|>\n",
        ".rstrip(' ')",
        eos="<|end|>",
        cut="plain",
        odd="a line break stands behind the end of an answer there, and trains",
        odd_chat=SEAMS,
    ),
    "phi4_tokenizer": Form(
        {**alike("<|im_start|>{}<|im_sep|>", "<|im_end|>"),
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
