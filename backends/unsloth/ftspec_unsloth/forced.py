"""Models that Unsloth does not train in float16 on a GPU: it loads them in bfloat16 and trains in float32.

unsloth_zoo 2026.10.9, model_lists.py (FORCE_FLOAT32); unsloth, models/loader.py.
"""

from __future__ import annotations

FORCED = (
    *("gemma3", "gemma4", "embedding_gemma2", "glm4_moe", "gpt_oss", "qwen3_5", "qwen3_moe"),
    # as names of models on the hub have them
    *("embeddinggemma", "glm45", "glm46", "glm47", "qwen330ba3b", "qwen3235ba22b", "qwen3coder"),
)


def is_forced(name: str, kind: str | None) -> bool:
    """Whether a model is one of them: by its type, or where only a hub name is known by that."""
    found = _plain(kind or name)
    return any(_plain(part) in found for part in FORCED)


def _plain(text: str) -> str:
    return "".join(sign for sign in text.lower() if sign.isalnum())
