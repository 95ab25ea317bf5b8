"""Words for a tuner over a quantised base: `qlora` is `lora` with `model.quantization: nf4`.

They concern two sections, so they are written out in the whole document, before it is validated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.spec.planned import Refused

QUANTISED: Mapping[str, str] = {"qlora": "lora", "qoft": "oft"}
"""A word, and the tuner that it stands for."""
BASE = "nf4"
"""The quantisation that such a word brings, where the spec names none."""


def write_out(data: Any) -> tuple[Any, list[Refused]]:
    """The document without such words, and what contradicts them in it."""
    method = data.get("method") if isinstance(data, dict) else None
    word = _word(method)
    if word is None:
        return data, []
    data = {**data, "method": _with_tuner(method, QUANTISED[word])}
    model = data.get("model")
    model = {"name": model} if isinstance(model, str) else model
    if not isinstance(model, dict):
        return data, []
    written = model.get("quantization", BASE)
    if written is None:
        message = f"`{word}` trains over a quantised base, and null says that it is none"
        hint = f"leave it out for {BASE}, or write `{QUANTISED[word]}` in place of `{word}`"
        return data, [Refused(("model", "quantization"), message, hint)]
    whole = {"type": BASE, **written} if isinstance(written, dict) else written
    return {**data, "model": {**model, "quantization": whole}}, []


def _word(method: Any) -> str | None:
    tuner = method.get("tuner") if isinstance(method, dict) else method
    word = tuner.get("type") if isinstance(tuner, dict) else tuner
    return word if isinstance(word, str) and word in QUANTISED else None


def _with_tuner(method: Any, tuner: str) -> Any:
    if not isinstance(method, dict):
        return tuner
    written = method["tuner"]
    return {**method, "tuner": {**written, "type": tuner} if isinstance(written, dict) else tuner}
