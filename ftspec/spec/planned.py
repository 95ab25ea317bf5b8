"""Methods that later versions bring. A spec that names one is refused by that name, and only so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ftspec.spec.method import OBJECTIVES, TUNERS

PLANNED_OBJECTIVES: Mapping[str, str] = {
    "ipo": "identity preference optimisation",
    "distillation": "knowledge distillation by the student's own answers alone; `gkd` has a share of them",
}
CORDA = "LoRA that begins with the covariance of its inputs; `eva` looks at the inputs too"
PLANNED_TUNERS: Mapping[str, str] = {
    "corda": CORDA,
    "longlora": "LoRA with shifted attention, which LLaMA-Factory has for transformers before 4.48 alone",
    "mixture-of-depths": "layers that tokens may pass by; LLaMA-Factory's package for it is in no lock",
}
PLANNED_INITS: Mapping[str, str] = {"corda": CORDA}
ALIASES: Mapping[str, str] = {
    "distill": "distillation",
    "kd": "distillation",
    "mod": "mixture-of-depths",
    "shift-attn": "longlora",
    "s2-attn": "longlora",
}


class Refused(NamedTuple):
    """A planned name, and where it stands."""

    path: tuple[str, ...]
    message: str
    hint: str


def title(word: object) -> str | None:
    """What a planned name means, None for a name that is not planned."""
    if not isinstance(word, str):
        return None
    name = word.strip().lower().replace("_", "-")
    name = ALIASES.get(name, name)
    return PLANNED_OBJECTIVES.get(name) or PLANNED_TUNERS.get(name)


def set_aside(data: Any) -> tuple[Any, list[Refused]]:
    """The spec without its planned methods, so nothing follows from them; a refusal of each."""
    if not isinstance(data, dict) or "method" not in data:
        return data, []
    method = data["method"]
    if not isinstance(method, dict):
        refused = _refuse(("method",), method)
        return ({k: v for k, v in data.items() if k != "method"} if refused else data), refused
    every: list[Refused] = []
    kept = dict(method)
    for part in ("objective", "tuner"):
        value = method.get(part)
        inside = isinstance(value, dict)
        path = ("method", part, "type") if inside else ("method", part)
        if refused := _refuse(path, value.get("type") if isinstance(value, dict) else value):
            every += refused
            del kept[part]
    tuner = kept.get("tuner")
    if isinstance(tuner, dict) and (refused := _refuse_init(tuner.get("init"))):
        every += refused
        kept["tuner"] = {key: value for key, value in tuner.items() if key != "init"}
    return {**data, "method": kept}, every


def _refuse(path: tuple[str, ...], word: object) -> list[Refused]:
    meaning = title(word)
    if meaning is None:
        return []
    now = f"this version has {_words(OBJECTIVES)} with {_words(TUNERS)}"
    return [
        Refused(path, f"method `{word}` is not in this version of ftspec yet", f"{meaning}; {now}")
    ]


def _refuse_init(init: object) -> list[Refused]:
    word = init.get("type") if isinstance(init, dict) else init
    if not isinstance(word, str) or word.lower() not in PLANNED_INITS:
        return []
    message = f"`{word}` is not in this version of ftspec yet"
    return [Refused(("method", "tuner", "init"), message, PLANNED_INITS[word.lower()])]


def _words(names: tuple[str, ...]) -> str:
    return " or ".join(f"`{name}`" for name in names)
