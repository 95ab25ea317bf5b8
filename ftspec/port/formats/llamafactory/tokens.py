"""LLaMA-Factory's new tokens: hparams/model_args.py and model/model_utils/embedding.py of 0.9.5.

Where one is new, the embeddings grow in steps of 64 rows, and LoRA without `additional_target` trains them
and the head in full (model/adapter.py).
"""

from __future__ import annotations

from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.rules import Context, Outcome, Rule, unknown, unless

NEW = "model.new_tokens."
EMBEDDINGS = ("embed_tokens", "lm_head")
NORMALISED = (
    "it looks for these tokens in normalised text: the same where a tokenizer normalises none"
)
CALLED = (
    "where LoRA names no additional_target, embeddings and head train, by the names that Llama has for "
    "them"
)
SHADOWED = "new_special_tokens_config goes before it"
KINDS = "special tokens and others are both added: a spec adds one kind"
ONE_KIND = ("add_tokens", "add_special_tokens")


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(text.strip() for text in str(value).split(","))


def _new(setting: Setting, context: Context) -> Outcome:
    if not setting.value:
        return Outcome("inert", why="no tokens are added")
    if setting.key == "add_special_tokens" and context.get("new_special_tokens_config"):
        return Outcome("inert", why=SHADOWED)
    texts = _texts(setting.value)
    if len(set(texts)) < len(texts) or "" in texts:
        return Outcome("unknown", why="its tokens are texts, each of which stands there once")
    if all(context.get(key) for key in ONE_KIND):
        return Outcome("unknown", why=KINDS)
    special = setting.key == "add_special_tokens"
    spec: dict[str, Any] = {
        f"{NEW}tokens": texts,
        f"{NEW}special": special,
        f"{NEW}init": "noise",
        f"{NEW}multiple": 64,
    }
    why = "" if special else NORMALISED
    if _trains_embeddings(context):
        spec["method.tuner.modules_to_save"] = EMBEDDINGS
        why = CALLED if special else f"{NORMALISED}; {CALLED}"
    return Outcome("renamed" if special else "approximated", spec=spec, why=why)


def _trains_embeddings(context: Context) -> bool:
    tuner = context.get("finetuning_type") or context.assumed("finetuning_type") or "lora"
    return tuner == "lora" and context.get("additional_target") is None


def _resized(setting: Setting, context: Context) -> Outcome:
    if any(context.get(key) for key in ONE_KIND):
        return Outcome("derived", why="embeddings grow for new tokens", of=(f"{NEW}tokens",))
    if not setting.value:
        return Outcome("exact", {"resize_vocab": False})
    spec = {"method.tuner.modules_to_save": EMBEDDINGS} if _trains_embeddings(context) else {}
    why = "embeddings that are smaller than the vocabulary would grow without a token to name"
    return Outcome(
        "approximated", spec=spec, why=f"{why}; {CALLED}" if spec else why
    )  # fmt: skip


def _init(setting: Setting, context: Context) -> Outcome:
    if context.get("new_special_tokens_config"):
        return Outcome("unknown", why="what descriptions of new tokens say is not in a spec")
    return Outcome("inert", why="without descriptions it is noise_init")


TOKEN_RULES: dict[str, Rule] = {
    **dict.fromkeys(ONE_KIND, _new),
    "resize_vocab": _resized,
    "init_special_tokens": _init,
    "new_special_tokens_config": unless(
        (None,), "no tokens are described", unknown("descriptions of new tokens are not in a spec")
    ),
}
