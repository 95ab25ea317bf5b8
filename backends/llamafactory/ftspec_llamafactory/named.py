"""The slots of LLaMA-Factory's own templates that a spec names: 0.9.5, data/template.py.

Their special tokens stand in the vocabulary, or the spec is refused; so they are the same ids where it
turns the first stop word into the end of text.
"""

from __future__ import annotations

from dataclasses import replace

from ftspec.data.tokenizer import Tokens
from ftspec_llamafactory.slots import HOLE, Slots

BOS, EOS = "<bos>", "<eos>"
"""Stand for the tokenizer's own."""
QWEN = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."


def _turns(system: str, user: str, answer: str, prefix: str = "", default: str = "") -> Slots:
    return Slots(prefix, system, user, answer, default, thinks=False)


def _im(default: str = "") -> Slots:
    return _turns(
        f"<|im_start|>system\n{HOLE}<|im_end|>\n",
        f"<|im_start|>user\n{HOLE}<|im_end|>\n<|im_start|>assistant\n",
        f"{HOLE}<|im_end|>\n",
        default=default,
    )


NAMED = {
    "chatml": _im(),
    "qwen": _im(QWEN),
    "qwen3_nothink": _im(),
    "qwen3_5_nothink": _im(),
    "llama3": _turns(
        f"<|start_header_id|>system<|end_header_id|>\n\n{HOLE}<|eot_id|>",
        f"<|start_header_id|>user<|end_header_id|>\n\n{HOLE}<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        f"{HOLE}<|eot_id|>",
        BOS,
    ),
    "phi4": _turns(
        f"<|im_start|>system<|im_sep|>{HOLE}<|im_end|>",
        f"<|im_start|>user<|im_sep|>{HOLE}<|im_end|><|im_start|>assistant<|im_sep|>",
        f"{HOLE}<|im_end|>",
    ),
    "deepseek3": _turns(
        HOLE, f"<\uff5cUser\uff5c>{HOLE}<\uff5cAssistant\uff5c>", f"{HOLE}{EOS}", BOS
    ),
}


def named_slots(name: str, tokens: Tokens) -> Slots:
    """The slots of a named template, with this tokenizer's tokens."""
    slots = NAMED[name]
    return replace(
        slots,
        prefix=slots.prefix.replace(BOS, tokens.special.get("bos_token", "")),
        assistant=slots.assistant.replace(EOS, tokens.special.get("eos_token", "")),
    )
