"""Which model torchtune trains, and which of its layers get adapters (modules of models/ of 0.6.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.formats.torchtune.learning import ADAPTING, PAIRS, adapted, word
from ftspec.port.rules import Context, Outcome, Rule, inert, renamed, section, unknown, unless

LORA = "LoraConfig."
MODULES = {
    "q_proj": "q_proj",
    "k_proj": "k_proj",
    "v_proj": "v_proj",
    "output_proj": "o_proj",
}
MLP = ("gate_proj", "up_proj", "down_proj")
FUSED = {
    **dict.fromkeys(("q_proj", "k_proj", "v_proj"), "qkv_proj"),
    **dict.fromkeys(("gate_proj", "up_proj"), "gate_up_proj"),
}
"""What transformers' Phi-3 and Phi-4 have in one layer."""
ONE_LAYER = (
    "transformers has q, k and v in one layer, gate and up in another, and each gets one adapter"
)
ASSUMED: Mapping[str, Any] = {"r": 8, "lora_alpha": 16, "lora_dropout": 0.0}
"""What every builder of a model with adapters assumes (models/*/_model_builders.py)."""
WHOLE = "that builder makes no adapters: torchtune stops at lora_rank and its like"
NO_PLACE = (
    "lora_attn_modules is missing: torchtune stops, for it wants the layers that get an adapter"
)
NF4 = "torchao's nf4 becomes bitsandbytes'"
FILES = "the model's own files"
METAS = (
    "Meta's own files lie there; a spec reads those of Hugging Face, which stand in the folder above where "
    "they were downloaded with them"
)
KEPT = "dropout counts there beside pairs, and trainers of pairs switch it off"


def builder(context: Context) -> str:
    """The name of the model's builder."""
    return word(context, "model")


def is_whole(context: Context) -> bool:
    """Whether settings of adapters are given to a builder of torchtune's that makes none."""
    path = str(section(context, "model").get("_component_"))
    own = path.startswith("torchtune.models.") and not builder(context).startswith(ADAPTING)
    return own and any(str(key).startswith("lora_") for key in section(context, "model"))


def unplaced(context: Context) -> tuple[str, ...]:
    """A question where a model with adapters is not told which layers get them."""
    said = section(context, "model").get("lora_attn_modules") or is_whole(context)
    return () if said or not adapted(context) else (NO_PLACE,)


def is_fused(context: Context) -> bool:
    """Whether transformers has its layers in other pieces."""
    return "phi" in builder(context)


def few_bits(context: Context) -> bool:
    """Whether the base is held in nf4."""
    said = section(context, "model").get("quantize_base") is True
    return said or builder(context).startswith("qlora")


def targets(context: Context) -> list[str]:
    """Modules with an adapter, as transformers names them."""
    model = section(context, "model")
    modules = model.get("lora_attn_modules")
    modules = modules if isinstance(modules, list) else [modules]
    named = [MODULES[str(one)] for one in modules if str(one) in MODULES]
    named += list(MLP) if model.get("apply_lora_to_mlp") else []
    named += ["lm_head"] if model.get("apply_lora_to_output") else []
    if is_fused(context):
        named = list(dict.fromkeys(FUSED.get(one, one) for one in named))
    return named


def adapters(context: Context) -> dict[str, Any]:
    """What holds of an adapter where nothing is said."""
    native = {f"{LORA}{key}": value for key, value in ASSUMED.items()}
    native[f"{LORA}target_modules"] = targets(context)
    if few_bits(context):
        bits = "BitsAndBytesConfig."
        native |= {f"{bits}load_in_4bit": True, f"{bits}bnb_4bit_quant_type": "nf4",
                   f"{bits}bnb_4bit_use_double_quant": True,
                   f"{bits}bnb_4bit_compute_dtype": "bfloat16"}  # fmt: skip
    return native


def _passed_over(value: Any) -> str:
    """Names of layers that its builders do not look for, such as `o_proj`."""
    names = value if isinstance(value, list) else [] if value is None else [value]
    return ", ".join(str(one) for one in names if str(one) not in MODULES)


def _targeted(setting: Setting, context: Context) -> Outcome:
    kind: Any = "approximated" if is_fused(context) and setting.value else "derived"
    why = ONE_LAYER if kind == "approximated" else ""
    if setting.key.endswith("modules") and (strange := _passed_over(setting.value)):
        return Outcome("unknown", why=f"torchtune has no {strange}, and makes no adapter for it")
    return Outcome(kind, {f"{LORA}target_modules": targets(context)}, why=why)


def _model(setting: Setting, context: Context) -> Outcome:
    name = builder(context)
    if "vision" in name or "clip" in name:
        return Outcome("unknown", why=f"{name}: images are out of scope")
    if name.endswith("_classifier"):
        return Outcome("unknown", why=f"{name}: a model that judges")
    if is_whole(context):
        return Outcome("unknown", why=WHOLE)
    if few_bits(context):
        return Outcome("approximated", of=("model.quantization.type",), why=NF4)
    return Outcome("derived", why="which model it is follows from its files", of=("model.name",))


def _folder(setting: Setting, context: Context) -> Outcome:
    kind = word(context, "checkpointer")
    if kind == "FullModelMetaCheckpointer":
        above = str(setting.value).rstrip("/").removesuffix("/original")
        return Outcome("approximated", {"model.name": above}, why=METAS)
    if kind == "FullModelTorchTuneCheckpointer":
        return Outcome(
            "approximated", {"model.name": setting.value}, why="torchtune's own files lie there"
        )
    return Outcome("renamed", {"model.name": setting.value})


def _dropout(setting: Setting, context: Context) -> Outcome:
    if setting.value and word(context, "loss") in PAIRS:
        return Outcome("unknown", why=KEPT)
    return Outcome("renamed", {f"{LORA}lora_dropout": setting.value})


MODEL_RULES: Mapping[str, Rule] = {
    "model._component_": _model,
    **dict.fromkeys(
        ("model.lora_attn_modules", "model.apply_lora_to_mlp", "model.apply_lora_to_output"), _targeted
    ),
    "model.lora_rank": renamed(f"{LORA}r"),
    "model.lora_alpha": renamed(f"{LORA}lora_alpha"),
    "model.lora_dropout": _dropout,
    "model.use_dora": renamed(f"{LORA}use_dora"),
    "model.quantize_base": unless(
        (False,), "no", lambda _s, _c: Outcome("approximated", of=("model.quantization.type",), why=NF4)
    ),
    "model.image_size": unknown("images are out of scope"),
    "checkpointer.checkpoint_dir": _folder,
    "checkpointer.": inert(FILES),
    "ref_checkpointer.": inert(FILES),
}  # fmt: skip
