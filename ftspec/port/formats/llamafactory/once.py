"""What LLaMA-Factory's templates were in older releases.

Read off data/template.py of its releases 0.7.1 to 0.9.5, name by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Release = tuple[int, ...]
LATEST: Release = (99,)
HELPFUL = "You are a helpful assistant."
SYSTEMS: Mapping[str, tuple[tuple[Release, Any], ...]] = {
    "qwen": (
        ((0, 9, 2), HELPFUL),
        (LATEST, "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."),
    ),
    "llama3": (((0, 8, 1), HELPFUL), (LATEST, None)),
    "phi": (((0, 8, 1), "You are a helpful AI assistant."), (LATEST, None)),
}
"""The system prompt of rows that have none; the last release with each, oldest first."""
UNTRAINED: Release = (0, 9, 1)
"""The last release in which a line break between two turns was of no answer."""
BROKEN = (
    "chatml", "chatml_de", "dbrx", "exaone", "llava_next_qwen", "llava_next_video_yi", "llava_next_yi",
    "opencoder", "phi", "phi_small", "qwen", "qwen2_vl", "sailor", "starchat", "yi",
)  # fmt: skip
"""Templates with such a line break, which is learned with each answer since."""
OTHERS: Mapping[str, Release] = {
    **dict.fromkeys(("gemma", "intern2", "paligemma", "pixtral"), (0, 9, 1)),
    **dict.fromkeys(("hunyuan", "minicpm_o"), (0, 9, 3)),
}
"""Templates whose text, or what is learned of it, was otherwise, and the last release with that."""
LINE_BREAK = (
    "up to 0.9.1 the line break behind an answer was not learned, and behind the last one there was none; "
    "it is a part of every answer since"
)


def otherwise(name: str, last: Release) -> tuple[str, bool]:
    """What was another in a release that can have run the config, and whether in all that can have.

    ``last`` is the last of them.
    """
    end = UNTRAINED if name in BROKEN else OTHERS.get(name)
    if end is None or last == LATEST:
        return "", False
    spelt = ".".join(map(str, end))
    text = f"up to {spelt} it wrote or learned other tokens; the spec has today's"
    return LINE_BREAK if name in BROKEN else text, last <= end
