"""Embeddings and head beside Unsloth's adapters, as 2026.10.9 trains them (models/_utils.py)."""

from __future__ import annotations

from typing import Any

from ftspec.port.beside import object_beside
from ftspec.port.fates import Setting
from ftspec.port.formats.scripts.rules import adapter
from ftspec.port.rules import Context, Outcome, section

MATRICES = ("embed_tokens", "lm_head")
IN_FULL = "embeddings and head among the targets train in full, beside the adapters"
NONE_LEFT = (
    "embeddings and head train in full, and no other target is left, where Unsloth stops unless "
    "target_parameters has some: name a layer as well"
)
"""_raise_if_no_lora_targets_left."""
TIED = (
    "of a model whose head is its embeddings Unsloth trains one matrix for both; in a spec each has a copy "
    "of its own, which peft trains apart"
)


def targets(setting: Setting, context: Context) -> Outcome:
    """Embeddings and head among them train in full (_redirect_embedding_targets)."""
    found, value = _moved(context), setting.value
    if isinstance(value, list | tuple):  # it takes each name once
        value = [name for place, name in enumerate(value) if name not in value[:place]]
    if not found:
        return adapter(setting._replace(value=value), context)
    left = [name for name in value if name not in found]
    if not left:
        return Outcome("unknown", why=NONE_LEFT)
    native = {
        "LoraConfig.target_modules": left,
        "LoraConfig.modules_to_save": list(dict.fromkeys((*_given(context), *found))),
    }
    if _is_one(context):
        return Outcome("approximated", native, why=f"{IN_FULL}; {TIED}")
    return Outcome("derived", native, why=IN_FULL)


def saved(setting: Setting, context: Context) -> Outcome:
    """What trains in full."""
    if _moved(context):
        return Outcome("derived", why=IN_FULL, of=("method.tuner.modules_to_save",))
    found = adapter(setting, context)
    if found.kind == "exact" and _is_one(context):
        return found._replace(kind="approximated", why=TIED)
    return found


def _moved(context: Context) -> list[str]:
    """Targets that Unsloth makes modules of their own. Beside vLLM it leaves the head an idle target."""
    named = section(context, "get_peft_model").get("target_modules")
    vllm = section(context, "from_pretrained").get("fast_inference")
    if not isinstance(named, list | tuple) or vllm:
        return []
    return [name for name in named if _leaf(name) in MATRICES]


def _given(context: Context) -> list[Any]:
    said = section(context, "get_peft_model").get("modules_to_save") or ()
    return [said] if isinstance(said, str) else list(said) if isinstance(said, list | tuple) else []


def _is_one(context: Context) -> bool:
    """Whether both train, and may be one matrix (_resolve_ensure_weight_tying, _drop_tied_output_module)."""
    both = {_leaf(name) for name in (*_given(context), *_moved(context))}.issuperset(MATRICES)
    apart = section(context, "get_peft_model").get("ensure_weight_tying") is False
    config = object_beside(f"{context.get('model_name_or_path')}/config.json", context, here=True)
    return both and not apart and config.get("tie_word_embeddings") is not False


def _leaf(name: Any) -> str:
    return str(name).rpartition(".")[2]
