"""trl's setup_chat_format: ChatML, with its two tokens added (trl 0.24, models/utils.py; gone in 0.26)."""

from __future__ import annotations

from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.rules import Context, Outcome, Rule, section
from ftspec.port.scripts.names import CHAT_FORMAT

START, END = "<|im_start|>", "<|im_end|>"
KNOWN = "tokens that the vocabulary has are not added there: for such a model leave model.new_tokens out"


def _format(setting: Setting, context: Context) -> Outcome:
    if setting.value != "chatml":
        return Outcome("unknown", why="trl has no such chat format")
    said = section(context, CHAT_FORMAT)
    spec: dict[str, Any] = {
        "model.chat_template": "chatml",
        "model.special_tokens.bos": START,
        "model.special_tokens.eos": END,
        "model.special_tokens.pad": END,
        "model.new_tokens.tokens": (START, END),
        "model.new_tokens.special": True,
        "model.new_tokens.init": "mean",
        "model.new_tokens.multiple": said.get("resize_to_multiple_of") or 1,
    }
    return Outcome("derived", spec=spec, why=KNOWN)


def _multiple(_setting: Setting, _context: Context) -> Outcome:
    return Outcome("derived", of=("model.new_tokens.multiple",))


CHAT_FORMAT_RULES: dict[str, Rule] = {
    f"{CHAT_FORMAT}.format": _format,
    f"{CHAT_FORMAT}.2": _format,
    f"{CHAT_FORMAT}.resize_to_multiple_of": _multiple,
}
