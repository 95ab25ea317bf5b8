"""axolotl's settings of the model, and of what trains of it."""

from __future__ import annotations

import re
from typing import Any

from ftspec.families.tuners.unfrozen import ROWS, regular
from ftspec.families.weights.stored import CALLS, KERNELS
from ftspec.port.beside import object_beside
from ftspec.port.fates import Setting
from ftspec.port.formats.axolotl.attention import ATTENTION_RULES
from ftspec.port.formats.axolotl.entries import objective
from ftspec.port.formats.axolotl.grpo import AGGREGATION, scales_apart
from ftspec.port.formats.axolotl.images import shows
from ftspec.port.formats.axolotl.words import (
    BITS,
    KERNEL,
    LORA,
    is_quantised,
    off_or,
    said,
)
from ftspec.port.rules import Context, Outcome, Rule, inert, renamed, section, unknown
from ftspec.spec.model import UNPACKED

STORED = "model_quantization_config"
UNPACKING = tuple(CALLS[kind] for kind in UNPACKED)
DOTS = "axolotl takes each dot for itself"
JOINED = "of releases before 0.4: rows were joined and cut to so many tokens; 0.19.0 stops at it"
ANYWHERE = (
    "of linear layers it takes the last parts of their names (loaders/adapter.py): in a tower of images one "
    "may be a number, which names other modules as well, at which peft stops"
)
NO_ADAPTER = "no adapter: all weights train"
SAVED = "the saved adapter's own adapter_config.json says it (loaders/adapter.py)"
LINEAR = frozenset(
    (
        *("q_proj", "k_proj", "v_proj", "o_proj", "out_proj", "qkv_proj", "gate_proj", "up_proj"),
        *(
            "down_proj",
            "gate_up_proj",
            "query_key_value",
            "dense",
            "dense_h_to_4h",
            "dense_4h_to_h",
        ),
        *("Wqkv", "c_attn", "c_proj", "c_fc", "fc1", "fc2", "fc_in", "fc_out", "w1", "w2", "w3"),
        *("q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "wqkv", "wo"),
    )
)
"""Names of linear layers inside a model's blocks, which `lora_target_linear` finds as well."""
BESIDE = (
    "beside all linear layers axolotl gives {} an adapter as well, if the model has it: in a spec it is all "
    "linear layers but the head, or those that are named"
)
ASKED = "with trust_remote_code, or gptq, axolotl does not read it: the class follows from the model's files"
NOT_FOUR = (
    "axolotl holds a base in four bits with adapter: qlora alone; with adapter: lora 0.19.0 loads all of it, "
    "and turns its weights into float32 (loaders/model.py), and 0.8.0 had transformers hold it in fp4: say "
    "model.quantization: nf4 if four bits are meant"
)


def _routed(setting: Setting, context: Context) -> Outcome:
    """loaders/utils.py hands it to the model's config: with it a mixture adds its balance loss by itself."""
    if objective(context) not in ("sft", "cpt") or context.get("use_eaft"):
        return Outcome("unknown", why="what its trainer makes of a balance loss is not known here")
    weight = _own_weight(context)
    spec = {"model.experts.balance_loss": weight if setting.value else 0.0}
    return Outcome("derived", spec=spec, why="by the weight of the model's config.json")


def _own_weight(context: Context) -> Any:
    """A weight that the file sets as well stands in the place of the model's own."""
    for name in ("model_config", "overrides_of_model_config"):
        given = section(context, name).get("router_aux_loss_coef")
        if given is not None:
            return given
    return "model"


def _adapter(setting: Setting, _context: Context) -> Outcome:
    if setting.value in ("lora", "qlora"):
        return Outcome("derived", {"tuner": "lora"})
    return Outcome("unknown", why=f"the adapter {setting.value!r} is not in a spec")


def _lora(key: str) -> Rule:
    def rule(setting: Setting, context: Context) -> Outcome:
        if why := _idle(setting, context):
            return Outcome("inert", why=why)
        return Outcome("renamed", {LORA + key: setting.value})

    return said(rule)


def targets(context: Context) -> Any:
    """`lora_target_linear` adds each linear layer but the head to what is named (loaders/adapter.py)."""
    named = context.get("lora_target_modules")
    return "all-linear" if context.get("lora_target_linear") else named or None


def _targets(setting: Setting, context: Context) -> Outcome:
    if why := _idle(setting, context):
        return Outcome("inert", why=why)
    if setting.key == "lora_target_modules" and context.get("lora_target_linear"):
        if further := _further(setting.value):
            return Outcome("unknown", why=BESIDE.format(", ".join(further)))
        return Outcome("derived", why="among all linear layers", of=("method.tuner.targets",))
    if context.get("lora_target_linear") and shows(context):
        return Outcome("unknown", why=ANYWHERE)
    return Outcome("renamed", {f"{LORA}target_modules": targets(context)})


def _idle(setting: Setting, context: Context) -> str:
    """Why a setting of a new adapter says nothing; empty where it does."""
    if not context.get("adapter"):
        return NO_ADAPTER
    if not setting.value and "target" in setting.key:
        return "it is off"
    return SAVED if context.get("lora_model_dir") else ""


def _further(named: Any) -> list[str]:
    """Modules that `lora_target_linear` may not find: heads, embeddings, and what has another name."""
    names = named if isinstance(named, list) else [named]
    return [str(name) for name in names if str(name).rpartition(".")[2] not in LINEAR]


def _bits(setting: Setting, context: Context) -> Outcome:
    adapter = context.get("adapter") or None
    if adapter == "lora" and setting.key == "load_in_4bit":
        return Outcome("unknown", why=NOT_FOUR)
    if not is_quantised(context, setting.key):
        return Outcome("unknown", why=f"axolotl stops at it with adapter: {adapter or 'null'}")
    native = {BITS + setting.key: setting.value}
    if part := _left_whole(setting, context):
        return Outcome("approximated", native, why=LEFT.format(part))
    return Outcome("derived", native)


LEFT = (
    "of this model axolotl leaves {} in 16 bits and holds the head in few (loaders/model.py); here all "
    "linear layers but the head are held in few"
)
WHOLE = {
    "load_in_4bit": {"falcon_h1": "out_proj"}, "load_in_8bit": {"falcon_h1": "out_proj", "jamba": "mamba"},
}  # fmt: skip
"""Modules that stay as they are, by the model's type."""


def _left_whole(setting: Setting, context: Context) -> str:
    """By a local model's config.json, else by its name."""
    model = str(context.get("base_model") or "")
    kind = object_beside(f"{model}/config.json", context).get("model_type")
    name = str(kind or model).lower().replace("-", "_")
    return next((part for type_, part in WHOLE[setting.key].items() if type_ in name), "")


def _double(setting: Setting, context: Context) -> Outcome:
    if not is_quantised(context, "load_in_4bit"):
        return Outcome("inert", why="nothing is held in four bits: it is read with adapter: qlora")
    return Outcome("renamed", {BITS + setting.key.rpartition(".")[2]: setting.value})


def _experts(_setting: Setting, context: Context) -> Outcome:
    """monkeypatch/moe_quant.py: it reads no bnb_config_kwargs, and its eight bits are another kind."""
    if not context.get("adapter") or context.get("lora_target_linear"):
        return Outcome(
            "unknown", why="axolotl takes it beside an adapter on modules that are named alone"
        )
    packed = section(context, "bnb_config_kwargs")
    kind = packed.get("bnb_4bit_quant_type", "nf4"), packed.get("bnb_4bit_use_double_quant", True)
    if not is_quantised(context, "load_in_4bit"):
        why = "experts in few bits beside others that have 8, or all, are not in a spec"
        return Outcome("unknown", why=why)
    if kind != ("nf4", True):
        why = (
            "experts are always nf4 with double constants there, other weights are not, as it says"
        )
        return Outcome("unknown", why=why)
    return Outcome("renamed", spec={"model.quantization.experts": True})


def _stored(setting: Setting, context: Context) -> Outcome:
    """The configuration beside a checkpoint's own: loaders/model.py, _set_quantization_config."""
    name, settings = (context.get(key) for key in (STORED, f"{STORED}_kwargs"))
    if name not in UNPACKING:
        if name is None:
            return Outcome("inert", why="no configuration is named")
        return Outcome("unknown", why=f"axolotl has no {name}")
    if not (settings or {}).get("dequantize"):
        return Outcome(
            "unknown", why=f"{name} without dequantize: transformers trains nothing over it"
        )
    return Outcome("renamed", {f"{name}.dequantize": True})


def _packed(_setting: Setting, _context: Context) -> Outcome:
    """transformers' own configuration of GPTQ, with the numbers of the checkpoint."""
    native = {"GPTQConfig.backend": KERNELS["gptq"], "GPTQConfig.bits": 4}
    return Outcome("derived", native, why=KERNEL)


def _class(setting: Setting, context: Context) -> Outcome:
    if str(setting.value).endswith(("ForCausalLM", "LMHeadModel")) or "Tokenizer" in str(
        setting.value
    ):
        return Outcome("inert", why="the class follows from the model's files")
    if context.get("reward_model") and str(setting.value).endswith("ForSequenceClassification"):
        return Outcome("inert", why="a reward model scores whole answers")
    if shows(context) and re.search("ImageTextToText|ForConditionalGeneration", str(setting.value)):
        return Outcome("inert", why="the class follows from the model's files")
    if (context.get("trust_remote_code") or context.get("gptq")) and not shows(context):
        return Outcome("inert", why=ASKED)
    return Outcome("unknown", why=f"{setting.value} is no causal language model of text")


def _config(setting: Setting, context: Context) -> Outcome:
    """`Gemma3TextConfig` beside `Gemma3ForCausalLM`: the class that the model's own files name."""
    family = re.sub(r"(Text)?Config$", "", str(setting.value))
    if context.get("model_type") in (f"{family}ForCausalLM", f"{family}LMHeadModel"):
        return Outcome("inert", why="the class follows from the model's files")
    return Outcome("unknown", why="a model is read by the class that its own files name")


def _unfrozen(setting: Setting, context: Context) -> Outcome:
    """utils/freeze.py: every weight is asked, an adapter's too, and begins as one of the patterns says."""
    patterns = setting.value
    if not isinstance(patterns, list):
        return Outcome("unknown", why="axolotl takes a list")
    if context.get("adapter"):
        return Outcome(
            "unknown",
            why="an adapter's weights begin with `base_model.`: the patterns freeze them as well",
        )
    if rows := [name for name in patterns if ROWS.match(name)]:
        return Outcome("unknown", why=f"some rows of a weight, as in {rows[0]}, are not in a spec")
    names = [regular(name) for name in patterns]
    return Outcome("derived", {"tuner": "partial", "partial.patterns": names}, why=DOTS)


def _lying(_setting: Setting, context: Context) -> Outcome:
    """peft 0.20, tuners/lora/layer.py, dispatch_default: it asks each layer, whatever is said."""
    if context.get("lora_target_parameters"):
        return Outcome("unknown", why="weights that lie the other way round are not in a spec")
    return Outcome("inert", why="peft sees from each layer how its weights lie")


def _same_place(setting: Setting, context: Context) -> Outcome:
    if setting.value == context.get("base_model"):
        return Outcome("inert", why="the model's own files")
    return Outcome("unknown", why="files of another model beside its weights are not in a spec")


def _objective(setting: Setting, context: Context) -> Outcome:
    spec = {"method.objective.type": objective(context)}
    if scales_apart(context):
        spec[AGGREGATION] = "normalize-then-sum"
    if setting.value == "ipo":
        spec["method.objective.loss"] = "ipo"
    return Outcome("derived", spec=spec)


def _center(setting: Setting, context: Context) -> Outcome:
    if objective(context) != "reward":
        return Outcome("inert", why="reward models alone are centred")
    return Outcome("renamed", spec={"method.objective.center": setting.value})


MODEL_RULES: dict[str, Rule] = {
    "base_model": renamed("model.name"),
    "base_model_config": said(_same_place),
    "tokenizer_config": said(_same_place),
    "processor_config": said(_same_place),
    "model_revision": said(renamed("model.revision")),
    "revision_of_model": said(renamed("model.revision")),
    "model_type": said(_class),
    "type_of_model": said(_class),
    "tokenizer_type": said(_class),
    "cls_model_config": said(_config),
    "trust_remote_code": said(renamed("model.trust_remote_code")),
    **ATTENTION_RULES,
    "model_config.output_router_logits": said(_routed),
    "overrides_of_model_config.output_router_logits": said(_routed),
    "adapter": said(_adapter),
    "lora_model_dir": said(renamed("model.adapter")),
    "lora_r": _lora("r"),
    "lora_alpha": _lora("lora_alpha"),
    "lora_dropout": _lora("lora_dropout"),
    "lora_target_modules": _targets,
    "lora_target_linear": _targets,
    "lora_target_parameters": _lora("target_parameters"),
    "lora_modules_to_save": off_or(_lora("modules_to_save")),
    "lora_rank_pattern.": unknown("ranks of single modules are not read yet"),
    "lora_alpha_pattern.": unknown("alphas of single modules are not read yet"),
    "peft_layers_to_transform": _lora("layers_to_transform"),
    "peft_use_dora": _lora("use_dora"),
    "peft_use_rslora": _lora("use_rslora"),
    "peft_init_lora_weights": _lora("init_lora_weights"),
    "peft_trainable_token_indices": _lora("trainable_token_indices"),
    "unfrozen_parameters": off_or(_unfrozen),
    "max_packed_sequence_len": off_or(unknown(JOINED)),
    "lora_fan_in_fan_out": off_or(_lying),
    "loraplus_lr_ratio": said(lambda s, _c: Outcome("renamed", spec={"method.tuner.plus_ratio": s.value})),
    "loraplus_lr_embedding": said(
        lambda s, c: Outcome("renamed", spec={"method.tuner.plus_embedding_rate": s.value})
        if c.get("loraplus_lr_ratio")
        else Outcome("inert", why="loraplus_lr_ratio is not set")
    ),
    STORED: said(_stored),
    f"{STORED}_kwargs.dequantize": _stored,
    "gptq": off_or(_packed),
    "gptq_disable_exllama": inert("which kernel unpacks: rounding alone"),
    "load_in_4bit": off_or(_bits),
    "load_in_8bit": off_or(_bits),
    "bnb_config_kwargs.bnb_4bit_use_double_quant": _double,
    "bnb_config_kwargs.bnb_4bit_quant_type": _double,
    "quantize_moe_experts": off_or(_experts),
    "rl": said(_objective),
    "reward_model": off_or(_objective),
    "center_rewards_coefficient": said(_center),
    "num_labels": said(inert("one number comes out of a reward model")),
}  # fmt: skip
