"""Unsloth's scripts and notebooks, as 2026.10.9 reads them.

On a GPU it writes trl's config classes anew, with other defaults (models/rl.py); its adapters have a seed
of their own (models/llama.py, get_peft_model).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.format import Completion
from ftspec.port.formats import trl
from ftspec.port.formats.order import is_grouped
from ftspec.port.formats.scripts import images
from ftspec.port.formats.scripts.rules import (
    SCRIPT_RULES,
    STOPS,
    adapter,
    has,
    objective,
    plain_defaults,
    rows,
)
from ftspec.port.formats.scripts.texts import is_parted
from ftspec.port.formats.trl import BITS
from ftspec.port.formats.trl.plain import CONFIG
from ftspec.port.formats.trl.trainers import trainer
from ftspec.port.formats.unsloth.arithmetic import NORMS_APART, flag, flags, is_full, is_whole
from ftspec.port.formats.unsloth.grpo import GROUP_RULES, assumed
from ftspec.port.formats.unsloth.matrices import saved, targets
from ftspec.port.formats.unsloth.templates import PART, answers
from ftspec.port.rules import (
    Context,
    Outcome,
    Rule,
    inert,
    renamed,
    section,
    unknown,
)
from ftspec.read.python import stored_of
from ftspec.spec.online import ONLINE

LOAD = "from_pretrained."
LENT = (*ONLINE, "gkd", "reward")
"""Objectives of trl's trainers that the backend has not."""
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
REWRITTEN: Mapping[str, Any] = {
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 2,
    "weight_decay": 0.001,
    "seed": 3407,
    "optim": "adamw_8bit",
    "learning_rate": 5e-5,
    "logging_steps": 1,
    "warmup_steps": 0.1,
    "report_to": "none",
}
"""Defaults of the config classes that it writes anew."""
DRAWN = "adapters are drawn with a seed of their own there; a spec has one for them and for dropout"
NO_IMAGES = "layers for images stay as they are"
IMAGES = "adapters on layers for images are not in a spec"
NAMED = "parts without adapters: name the others in method.tuner.targets"
COMBINED = (
    "model.quantization: load_in_4bit is on unless it is said to be off, and Unsloth stops at a second of "
    "load_in_8bit, load_in_16bit and load_in_fp8 beside it"
)
UPLOADS = (
    "Unsloth takes an upload of its own in 4 bits where it has one of this model, and some of these keep "
    "layers in 16 bits; here bitsandbytes quantises all that it can"
)
WHOLE = ("-unsloth-bnb-4bit", "-bnb-4bit")


def _recognise(data: Mapping[str, Any]) -> bool:
    return isinstance(data.get("from_pretrained"), dict) and (
        "config_class" in data or "get_peft_model" in data
    )


def _name(setting: Setting, _context: Context) -> Outcome:
    name = str(setting.value)
    ending = next((end for end in WHOLE if name.endswith(end)), None)
    if ending is None:
        return Outcome("renamed", {"model.name": name})
    why = f"{name} holds weights in 4 bits already: the whole ones, which are quantised as they are loaded"
    return Outcome("approximated", {"model.name": name.removesuffix(ending)}, why=why)


def _of_adapter(rule: Rule) -> Rule:
    def of_none(setting: Setting, context: Context) -> Outcome:
        if is_full(context):
            return Outcome("inert", why="beside full_finetuning Unsloth makes no adapter")
        return rule(setting, context)

    return of_none


def _stops(context: Context) -> list[str]:
    """models/loader.py, _precision_flags_conflict: `load_in_4bit` is on unless it is said to be off."""
    loaded = section(context, "from_pretrained")
    others = (context.get("load_in_8bit"), loaded.get("load_in_16bit"), loaded.get("load_in_fp8"))
    flags = [context.get("load_in_4bit", True), *others]
    return [] if is_full(context) or sum(map(bool, flags)) < 2 else [COMBINED]


def _bits(setting: Setting, context: Context) -> Outcome:
    name = setting.key.rpartition(".")[2]
    if is_full(context):
        return Outcome("inert", why="beside full_finetuning Unsloth loads the weights whole")
    if not _is_lent(context):
        return Outcome("exact", {LOAD + name: setting.value})
    if not setting.value:
        return Outcome("inert", why="it is off")
    return Outcome("renamed", {BITS + name: True})


def _is_lent(context: Context) -> bool:
    """Whether the objective is one of trl's that ftspec compiles for trl alone."""
    return trainer(context)[0] in LENT


def _loaded(context: Context, half: str) -> dict[str, Any]:
    """In how many bits the base is loaded: in 4, unless something else is said."""
    four = not is_full(context) and context.get("load_in_4bit", not context.get("load_in_8bit"))
    if not _is_lent(context):
        eight = not is_full(context) and context.get("load_in_8bit", False)
        return {f"{LOAD}load_in_4bit": four, f"{LOAD}load_in_8bit": eight}
    if not four:
        return {}
    return {
        f"{BITS}load_in_4bit": True,
        f"{BITS}bnb_4bit_quant_type": "nf4",
        f"{BITS}bnb_4bit_use_double_quant": True,
        f"{BITS}bnb_4bit_compute_dtype": half,
        f"{BITS}bnb_4bit_quant_storage": "uint8",
    }


def _flag(setting: Setting, context: Context) -> Outcome:
    return flag(setting, context, _type(context))


def _full(_setting: Setting, context: Context) -> Outcome:
    if is_whole(context, _type(context)):
        return Outcome("approximated", of=("method.tuner.type",), why=NORMS_APART)
    return Outcome("derived", of=("method.tuner.type",))


def _dtype(setting: Setting, context: Context) -> Outcome:
    return Outcome("derived", {"model.dtype": _type(context)})


def _type(context: Context) -> str:
    """The type of the weights; where it is not said, that of the only GPUs on which it does not stop.

    unsloth, models/rl.py of 2026.10.9: bfloat16, which it takes where the GPU has it, and `fp16: true`.
    """
    said = section(context, "from_pretrained").get("dtype")
    halved = context.get("fp16") is True and not context.get("bf16")
    if said == stored_of(context.get("model_name_or_path")):
        return "auto"
    return str(said).removeprefix("torch.") if said else "float16" if halved else "bfloat16"


def _length(setting: Setting, context: Context) -> Outcome:
    if trainer(context)[0] in ONLINE:
        return Outcome("inert", why="prompts and completions have limits of their own")
    if context.get("max_length") is not None or context.get("max_seq_length") is not None:
        return Outcome("inert", why="the trainer's own limit decides")
    return Outcome("renamed", {f"{CONFIG}max_length": setting.value})


def _checkpointing(setting: Setting, _context: Context) -> Outcome:
    return Outcome("derived", {f"{CONFIG}gradient_checkpointing": bool(setting.value)})


def _seed(setting: Setting, context: Context) -> Outcome:
    if setting.value == _trainer_seed(context):
        return Outcome("derived", of=("train.seed",))
    spec = {"train.seed": setting.value}
    kept = "data_seed" in context.document.data or is_grouped(context)
    if not kept and trainer(context)[0] not in ONLINE:
        spec["train.data_seed"] = _trainer_seed(context)  # the order of rows stays what it was
    return Outcome("approximated", spec=spec, why=DRAWN)


def _trainer_seed(context: Context) -> Any:
    return context.get("seed", 42 if plain_defaults(context, "") or _plain(context) else 3407)


def _plain(context: Context) -> bool:
    return context.get("config_class") in ("TrainingArguments", "UnslothTrainingArguments")


def _complete(context: Context) -> Completion:
    loaded, adapted = section(context, "from_pretrained"), section(context, "get_peft_model")
    native, spec, questions = rows(context)
    word, open_ones = objective(context)
    questions += open_ones
    questions += _stops(context)
    lora = has(context, "get_peft_model") and not is_full(context)
    half = _type(context)
    native |= {
        "launch.processes": context.devices,
        "launch.nodes": context.nodes,
        "data.prepare": "framework",
        "tuner": "lora" if lora else "full",
        "model.dtype": half,
        **_loaded(context, half),
        f"{CONFIG}max_length": loaded.get("max_seq_length", 2048),
        f"{CONFIG}gradient_checkpointing": True,
    }
    if not _plain(context):
        native |= _unsaved(context)
        native |= {
            f"{CONFIG}{key}": value for key, value in REWRITTEN.items() if context.get(key) is None
        }
    native |= {
        key: value
        for key, value in plain_defaults(context, CONFIG).items()
        if not key.endswith(("bf16", "gradient_checkpointing"))
    }
    native |= assumed(context)
    native |= {f"{CONFIG}{name}": value for name, value in flags(context, half).items()}
    if lora:
        native |= {"LoraConfig.r": 16, "LoraConfig.lora_alpha": 16, "LoraConfig.lora_dropout": 0.0}
        if not adapted.get("target_modules"):
            shown = images.collator(context)
            native["LoraConfig.target_modules"] = "all-linear" if shown else list(TARGETS)
        if "random_state" not in adapted and _trainer_seed(context) != 3407:
            questions.append(
                f"train.seed: adapters are drawn with 3407 there, dropout with {_trainer_seed(context)}: one "
                "seed does both in a spec"
            )
    shown = images.collator(context)
    if has(context, PART) and word != "cpt" and not is_parted(context) and not shown:
        spec["data.train_on"] = answers(context)
    spec["method.objective.type"] = word
    notes = (*_uploads(context), *images.notes(context))
    return Completion(native, spec, tuple(questions), notes)


def _uploads(context: Context) -> tuple[str, ...]:
    """models/loader_utils.py, get_model_name, and models/mapper.py."""
    four = context.get("load_in_4bit", not context.get("load_in_8bit")) and not is_full(context)
    name = str(context.get("model_name_or_path") or "").lower()
    exact = section(context, "from_pretrained").get("use_exact_model_name")
    return (UPLOADS,) if four and not exact and not name.endswith(WHOLE) else ()


def _unsaved(context: Context) -> dict[str, Any]:
    """Where neither a folder nor when to save is said, nothing is saved: models/rl.py, saving_check."""
    said = (context.get("output_dir"), context.get("save_strategy", "steps"))
    if said != (None, "steps") or context.get("save_steps", 500) != 500:
        return {}
    return {f"{CONFIG}output_dir": "unsloth_training_checkpoints", f"{CONFIG}save_strategy": "no"}


def _part(setting: Setting, _context: Context) -> Outcome:
    """models/vision.py, get_peft_model: which parts of a model get adapters."""
    of_images = setting.key.endswith("finetune_vision_layers")
    if bool(setting.value) != of_images:
        return Outcome("inert", why=NO_IMAGES if of_images else "its adapters are asked for")
    return Outcome("unknown", why=IMAGES if of_images else NAMED)


def _embeddings(setting: Setting, context: Context) -> Outcome:
    """trainer.py, create_optimizer of UnslothTrainer."""
    if setting.value is None or not context.get("unsloth_trainer"):
        return Outcome("inert", why="no UnslothTrainer reads it")
    return Outcome("renamed", spec={"train.embedding_learning_rate": setting.value})


_LOADED: dict[str, Rule] = {
    f"{LOAD}max_seq_length": _length,
    f"{LOAD}dtype": _dtype,
    f"{LOAD}full_finetuning": _full,
    f"{LOAD}load_in_16bit": inert("nothing is quantised"),
    f"{LOAD}use_gradient_checkpointing": _checkpointing,
    f"{LOAD}fast_inference": inert("for generation, not for training"),
    f"{LOAD}gpu_memory_utilization": inert("for generation, not for training"),
    f"{LOAD}max_lora_rank": inert("for generation, not for training"),
    f"{LOAD}use_exact_model_name": inert("which upload of the same weights is taken"),
    f"{LOAD}": unknown("a further argument of from_pretrained is not in a spec"),
}
_ADAPTED: dict[str, Rule] = {
    f"get_peft_model.{name}": _of_adapter(rule)
    for name, rule in {
        "": adapter,
        "target_modules": targets,
        "modules_to_save": saved,
        **{
            f"finetune_{part}": images.part(_part)
            for part in ("vision_layers", "language_layers", "attention_modules", "mlp_modules")
        },
        "random_state": _seed,
        "use_gradient_checkpointing": _checkpointing,
    }.items()
}
format = replace(
    trl.format,
    name="unsloth_script",
    title="Unsloth",
    backend="unsloth",
    lender="trl",
    signs=frozenset(),
    stops=STOPS,
    recognise=_recognise,
    complete=_complete,
    rules={
        **trl.format.rules,
        **SCRIPT_RULES,
        **_LOADED,
        **GROUP_RULES,
        **dict.fromkeys(("bf16", "fp16"), _flag),
        "model_name_or_path": _name,
        "load_in_4bit": images.bits(_bits),
        "load_in_8bit": images.bits(_bits),
        "max_length": images.limit(trl.format.rules["max_length"]),
        "max_seq_length": images.limit(trl.format.rules["max_seq_length"]),
        "model_revision": renamed("model.revision"),
        **_ADAPTED,
        "SFTTrainer.packing": renamed(f"{CONFIG}packing"),
        "embedding_learning_rate": _embeddings,
    },
)
