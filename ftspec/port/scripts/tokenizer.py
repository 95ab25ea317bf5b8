"""How a script loads the tokenizer that its trainer is given, next to what it changes of that later."""

from __future__ import annotations

from typing import Any

from ftspec.port.scripts.names import OWN_TOKENS, PLAIN, TOKENIZED, TOKENIZER, TRAINERS
from ftspec.read.placed import Place, Trail
from ftspec.read.python import Calls

GIVEN = ("processing_class", "tokenizer")
NAMES = ("0", "pretrained_model_name_or_path")
LATER = (*OWN_TOKENS, "chat_template")
"""Arguments that say what an assignment to the tokenizer says."""
UNNAMED = f"{TOKENIZED}: which tokenizer it is, is not known"


def tokenizer(
    calls: Calls, data: dict[str, Any], places: dict[Trail, Place]
) -> list[tuple[int, str]]:
    """Note how it is loaded, and give back a question where the model's name is known and its own is not."""
    call = _call(calls)
    start = f"{call}."
    asked: list[tuple[int, str]] = []
    for place, line in calls.lines.items():
        if not place.startswith(start):
            continue
        name = place.removeprefix(start)
        if place in calls.values:
            later = "tokenizer" if name in LATER else TOKENIZER
            key = NAMES[0] if name in NAMES else name
            held = data.setdefault(later, {})
            if isinstance(held, dict) and key not in held:
                held[key] = calls.values[place]
                places[(later, key)] = Place(line, 1)
        elif name in NAMES and isinstance(data.get("model_name_or_path"), str):
            asked.append((line, UNNAMED))
    return asked


def _call(calls: Calls) -> str:
    """The call whose tokenizer the trainer is given; the only one, where that is not seen."""
    for short in ("", *TRAINERS):
        for name in GIVEN:
            origin = calls.origins.get(f"{short}{PLAIN}.{name}", "")
            if origin.partition("#")[0] == TOKENIZED:
                return origin
    found = {place.rpartition(".")[0] for place in calls.lines if place.startswith(TOKENIZED)}
    return TOKENIZED if found == {TOKENIZED} else "none"
