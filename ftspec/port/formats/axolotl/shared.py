"""`type: sharegpt` of the releases before 0.5: conversations that FastChat's templates write.

prompt_strategies/sharegpt.py and prompters.py of 0.4.1. A row without a system turn got the template's own;
of an answer what it says trains, with all that the template writes behind it. 0.19.0 stops at the type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FASTCHAT: Mapping[str, str] = {"chatml": "chatml", "llama3": "llama3"}
"""The names of FastChat's templates, and axolotl's templates that write the same turns."""
ASKED = "You are a helpful assistant."
"""The system prompt of both, unless `default_system_message` says another."""
OLD = (
    "axolotl 0.19.0 stops at it: it is read as releases before 0.5 did, which tokenised FastChat's turns one "
    "by one, behind the tokenizer's beginning of text where it has one"
)


def is_shared(kind: Any) -> bool:
    """Whether rows are of this type, by any of the names that it had."""
    return kind in ("sharegpt", "sharegpt:chat", "sharegpt.load", "sharegpt_simple")


def why_not_shared(entry: Mapping[str, Any]) -> str:
    """Why its rows are not read; empty of rows of any other type."""
    if not is_shared(entry.get("type")):
        return ""
    named = [key for key in ("field_human", "field_model", "roles") if entry.get(key)]
    return f"other names of its roles ({named[0]}) are not in a spec" if named else ""


def template_of(entry: Mapping[str, Any]) -> str:
    """axolotl's chat template for it; empty where it has none that writes the same."""
    return FASTCHAT.get(str(entry.get("conversation")), "")


def asks(entry: Mapping[str, Any], place: str) -> str:
    """What a person has to say about its rows, if anything."""
    if template_of(entry):
        return ""
    name = entry.get("conversation") or "vicuna_v1.1"
    return f"model.chat_template: FastChat's template {name} wrote the turns of {place}: which one does here?"
