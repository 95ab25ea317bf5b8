"""trl's YAML: of its command line, and the recipes of alignment-handbook, open-r1 and SimPO.

Read as trl 1.16 reads it: PyYAML, then argparse, which makes numbers of text (scripts/utils.py,
TrlParser). A recipe of an older handbook has other names for some keys.
"""

from __future__ import annotations

import re
from typing import Any

from ftspec.families.training.launch import SEQUENCES
from ftspec.port.fates import Setting
from ftspec.port.format import Completion, Format
from ftspec.port.formats.fsdp import doubly
from ftspec.port.formats.hf_arguments import ACCEPTED, IDLE, is_five, training_rules
from ftspec.port.formats.order import GROUPED, STRATEGY, order_seed
from ftspec.port.formats.trl.aged import aged, biased
from ftspec.port.formats.trl.data import DATA_RULES, data, said
from ftspec.port.formats.trl.losses import smoothing
from ftspec.port.formats.trl.models import DIVIDED, MODEL_RULES, of_arithmetic, written
from ftspec.port.formats.trl.older import OLDER, packed
from ftspec.port.formats.trl.plain import BALANCE, CONFIG, plain
from ftspec.port.formats.trl.prompts import assumed, missing, prompt_rules
from ftspec.port.formats.trl.seeing import may_have
from ftspec.port.formats.trl.stops import (
    A_PATTERN,
    STORED,
    comma,
    drawn_at_once,
    head_question,
    is_stored,
    optimizer,
    order,
    otherwise,
    timed,
)
from ftspec.port.formats.trl.templates import template, template_path
from ftspec.port.formats.trl.trainers import CLASSES, FREE, config_class, release, trainer
from ftspec.port.rules import (
    Context,
    Outcome,
    Rule,
    group,
    inert,
    renamed,
    says,
    unknown,
    unless,
)
from ftspec.read import pyyaml

MIXTURE = re.compile(r"mixtral|moe|gpt-oss|grok|-a\d+(\.\d+)?b|deepseek-v[23]", re.IGNORECASE)
"""Names of mixtures of experts: a model of the hub shows no more of itself."""
LOSS = f"{CONFIG}loss_type"
BITS = "BitsAndBytesConfig."
OPENED = {
    "lora_r": "LoraConfig.r",
    "lora_alpha": "LoraConfig.lora_alpha",
    "lora_dropout": "LoraConfig.lora_dropout",
    "lora_target_modules": "LoraConfig.target_modules",
    "lora_target_parameters": "LoraConfig.target_parameters",
    "lora_modules_to_save": "LoraConfig.modules_to_save",
    "use_rslora": "LoraConfig.use_rslora",
    "use_dora": "LoraConfig.use_dora",
}
"""ModelConfig's names for what get_peft_config hands to LoraConfig."""
OLD_NAMES = frozenset(
    (
        *("torch_dtype", "max_seq_length", "evaluation_strategy"),
        *("dataset_mixer", "use_flash_attention_2"),
    )
)
"""Keys that trl 1.16 does not have any more."""
ENDLESS = ("sft", "cpt", "dpo", "kto", "reward")
"""Trainers that cut nothing where `max_length` is None."""
OWN_LENGTH = "without a number it takes 512 or 1024 tokens: give data.max_length"
ENDS = (
    "answers end as the chat template ends them; trl's experimental trainers add another end-of-sequence "
    "token where a template writes something after it, such as the end of a line"
)
TARGETS = ("q_proj", "v_proj")
"""What peft takes for llama, mistral, mixtral, gemma, qwen2, qwen3 and others (utils/constants.py)."""
SIGNS = frozenset(
    (
        "dataset_name", "dataset_config", "dataset_train_split", "dataset_test_split",
        "dataset_mixture", "dataset_mixer", "dataset_splits", "torch_dtype", "dtype", "use_peft",
        "lora_r", "lora_target_modules", "max_seq_length", "max_length", "max_prompt_length",
        "dataset_num_proc", "model_revision", "attn_implementation", "gamma_beta_ratio",
        "num_generations", "reward_funcs", "chat_template", "load_in_4bit", "loss_type",
        "assistant_only_loss", "completion_only_loss", "gradient_checkpointing_kwargs",
    )
)  # fmt: skip


def _adapter(setting: Setting, context: Context) -> Outcome:
    if not context.get("use_peft"):
        return Outcome("inert", why="use_peft is not set: all weights train")
    key = OPENED[setting.key]
    if setting.key == "lora_target_modules" and not setting.value:
        return Outcome("derived", why="peft's own choice for this architecture")
    value = setting.value
    if setting.key == "lora_target_modules" and value in ("all-linear", ["all-linear"]):
        value = "all-linear"
    elif setting.key in ("lora_target_modules", "lora_modules_to_save") and (why := comma(value)):
        return Outcome("unknown", why=why)
    elif setting.key == "lora_target_modules" and (isinstance(value, str) or len(value) == 1):
        return Outcome("unknown", why=A_PATTERN)
    elif isinstance(value, str) and setting.key == "lora_modules_to_save":
        return Outcome(
            "unknown", why="of a bare word trl takes each letter for the name of a module"
        )
    return Outcome("renamed", {key: value})


def _length(setting: Setting, context: Context) -> Outcome:
    """None is no limit, where the trainer does not have one of its own then."""
    old = setting.key != "max_length"
    if setting.value is None and (old or trainer(context)[0] not in ENDLESS):
        return Outcome("unknown", why=OWN_LENGTH)
    if setting.value is None and context.get("packing"):
        return Outcome("unknown", why="trl packs up to a length, and stops without one")
    if old:
        return Outcome("renamed", {f"{CONFIG}max_length": setting.value})
    return plain(setting, context)


def _dtype(setting: Setting, context: Context) -> Outcome:
    """None was float32 to transformers 4, which configs with the older name ran on."""
    if setting.value is not None:
        return Outcome("renamed", {"model.dtype": str(setting.value).removeprefix("torch.")})
    if setting.key == "torch_dtype" or not is_five(context, CONFIG):
        why = "float32, as transformers 4 loads weights where nothing is said"
        return Outcome("derived", {"model.dtype": "float32"}, why=why)
    why = "as they are stored: transformers 5 (modeling_utils.py, from_pretrained)"
    return Outcome("derived", {"model.dtype": "auto"}, why=why)


def _bits(setting: Setting, context: Context) -> Outcome:
    if not context.get("load_in_4bit") and not context.get("load_in_8bit"):
        return Outcome("inert", why="nothing is loaded in few bits")
    types = (context.get("dtype"), context.get("torch_dtype"))
    own = context.get("config_class") is not None  # a script has made its BitsAndBytesConfig itself
    if setting.key == "load_in_4bit" and "auto" in types and not own:
        why = "trl calculates in `dtype`, and stops at auto (get_quantization_config): name it"
        return Outcome("unknown", why=why)
    names = {"use_bnb_nested_quant": "bnb_4bit_use_double_quant"}
    return Outcome("renamed", {f"{BITS}{names.get(setting.key, setting.key)}": setting.value})


def _trainer(setting: Setting, context: Context) -> Outcome:
    """`sft` of the command `trl sft`."""
    if not isinstance(setting.value, str) or trainer(context)[0] not in CLASSES:
        return Outcome("unknown", why="no trainer of trl that ftspec knows")
    return Outcome("derived", of=("method.objective.type",))


def _margin(setting: Setting, context: Context) -> Outcome:
    """Of SimPO's recipes: the margin as a share of beta."""
    beta = context.get("beta", 2.0)
    if not all(isinstance(value, int | float) for value in (setting.value, beta)):
        return Outcome("unknown", why="the margin is this number times beta")
    why = "SimPO's own name: the margin is this times beta"
    return Outcome("renamed", {"CPOConfig.simpo_gamma": setting.value * beta}, why=why)


def _simpo_loss(setting: Setting, context: Context) -> Outcome:
    """Of SimPO's recipes, `sigmoid` is the loss of its paper: trl's `simpo`."""
    if context.get("gamma_beta_ratio") is None:
        return plain(setting, context)
    if setting.value != "sigmoid":
        return Outcome("unknown", why=f"trl's SimPO has no loss {setting.value}")
    return Outcome("renamed", {"CPOConfig.loss_type": "simpo"}, why="what trl calls simpo")


def _token(setting: Setting, _context: Context) -> Outcome:
    """A token of the vocabulary: with any other one trl stops, as a run of a spec does."""
    if setting.value is None:
        return Outcome("inert", why="the tokenizer's own")
    word = setting.key.removesuffix("_token")
    return Outcome("renamed", spec={f"model.special_tokens.{word}": setting.value})


def _unpadded(setting: Setting, context: Context) -> Outcome:
    if trainer(context)[0] == "dpo":
        return Outcome("inert", why="what is padded does not train; trl's DPO pads all the same")
    return plain(setting, context)


def _environment(setting: Setting, _context: Context) -> Outcome:
    return Outcome(
        "unknown", why="sets a variable of the environment: set it yourself, ftspec does not"
    )


def _balance(context: Context, config: str) -> dict[str, Any]:
    """Where nothing is said, a mixture of experts is balanced by the weight of its own config.json."""
    entry = context.table.calls.get(config, {}).get(BALANCE) if context.table else None
    name = str(context.get("model_name_or_path") or "")
    own = entry is not None and entry[1] is None and context.get(BALANCE) is None
    return {f"{CONFIG}{BALANCE}": None} if own and MIXTURE.search(name) else {}


def _complete(context: Context) -> Completion:
    """What ModelConfig assumes, and what the file leaves open."""
    native: dict[str, Any] = {
        "launch.processes": context.devices,
        "launch.nodes": context.nodes,
        SEQUENCES: context.sharing,
        "data.prepare": "framework",
        "tuner": "lora" if context.get("use_peft") else "full",
    }
    questions = []
    dtype = context.assumed("ModelConfig.dtype") or "float32"
    word, question = trainer(context)
    spec: dict[str, Any] = {"method.objective.type": word}
    questions += [question] if question else []
    if context.get("use_peft"):
        task = context.get("lora_task_type")
        questions += head_question(context, task, context.get("lora_modules_to_save"))
        native |= {
            "LoraConfig.r": context.assumed("ModelConfig.lora_r"),
            "LoraConfig.lora_alpha": context.assumed("ModelConfig.lora_alpha"),
            "LoraConfig.lora_dropout": context.assumed("ModelConfig.lora_dropout"),
        }
        if not context.get("lora_target_modules"):
            native["LoraConfig.target_modules"] = list(TARGETS)
            questions.append(
                "lora_target_modules is missing, and peft chooses by architecture: q_proj and v_proj "
                "for llama, mistral, gemma and qwen; see its utils/constants.py for others"
            )
    if context.get("load_in_4bit"):
        native |= {
            f"{BITS}bnb_4bit_quant_type": context.assumed("ModelConfig.bnb_4bit_quant_type"),
            f"{BITS}bnb_4bit_use_double_quant": context.assumed("ModelConfig.use_bnb_nested_quant"),
            # get_quantization_config: in the type of the weights
            f"{BITS}bnb_4bit_compute_dtype": context.get("torch_dtype", context.get("dtype"))
            or dtype,
        }
    native["model.dtype"] = dtype
    if is_stored(context) and not context.get("use_peft"):
        questions.append(STORED)
    if context.get("gamma_beta_ratio") is not None:
        # SimPO's own trainer adds no likelihood where `sft_weight` is not said, and has no other loss
        native |= {LOSS: "simpo", "CPOConfig.cpo_alpha": 0.0}
    if context.get("fp16") and context.get("bf16") is None:
        native[f"{CONFIG}bf16"] = False  # its None means: unless fp16
    own = config_class(context)
    if own != "SFTConfig" and context.table is not None:
        defaults = context.table.calls.get(own, {})
        native |= {
            f"{CONFIG}{name}": entry[1]
            for name, entry in defaults.items()
            if name in context.table.calls["SFTConfig"]
            and (name not in context.document.data or context.get(name) is entry[1] is None)
            # None, which comes to True as in SFTConfig: trainer/base_config.py; None, the model's own
            if name not in ("bf16", BALANCE)
            if f"{CONFIG}{name}" != LOSS or LOSS not in native
        }
    native |= {**assumed(context), **_balance(context, own)}
    once, doubts = aged(context)
    native |= once
    questions += [*doubts, *biased(context), *may_have(context), *doubly(context)]
    cut, notes = missing(context)
    spec |= cut
    if old := sorted(OLD_NAMES & set(context.document.data)):
        notes = (
            *notes,
            f"{', '.join(old)}: names of an older trl; where a key is missing, the defaults of "
            f"{context.table.title if context.table else 'trl'} are taken",
        )
    if word in FREE:
        notes = (*notes, ENDS)
    notes = (*notes, *otherwise(context))
    if word == "ppo":
        native |= {f"{CONFIG}bf16": False, f"{CONFIG}fp16": False}
    if word == "gkd" and (over := written(context)):
        native |= over
        notes = (*notes, DIVIDED)
    found = data(context)
    return Completion(
        {**native, **found.native},
        {**spec, **found.spec},
        (*questions, *found.questions),
        notes,
    )


_FLASH: Rule = unless(
    (False, None),
    "transformers' choice",
    renamed("model.attn_implementation", lambda _: "flash_attention_2"),
)


def _launch(setting: Setting, context: Context) -> Outcome:
    """The file of its launch, which is not here."""
    if "accelerate" in context.companions:
        return Outcome("derived", why="read from the file that was given with it")
    return Outcome(
        "unknown", why=f"how it is launched stands in {setting.value}, which is not here"
    )


format = Format(
    name="trl",
    title="TRL",
    backend="trl",
    package="trl",
    signs=SIGNS,
    scalar=pyyaml.scalar,
    last_wins=True,
    otherwise=plain,
    stops=", and its parser stops at it (scripts/utils.py, parse_args_and_config)",
    complete=_complete,
    release=release,
    native_key=lambda key: f"{CONFIG}{key}",
    classes=("ModelConfig", "ScriptArguments"),
    rules={
        **training_rules(CONFIG),
        **OLDER,
        **timed(),
        "label_smoothing": smoothing,
        "packing": packed,
        **DATA_RULES,
        **dict.fromkeys(OPENED, _adapter),
        "trainer": _trainer,
        "accelerate_config": _launch,
        **{key: of_arithmetic(plain) for key in ("bf16", "fp16")},
        "model_revision": renamed("model.revision"),
        "torch_dtype": _dtype,
        "dtype": _dtype,
        "attn_implementation": unless(
            (None,), "transformers' choice", renamed("model.attn_implementation")
        ),
        "use_flash_attention_2": _FLASH,
        "trust_remote_code": renamed("model.trust_remote_code"),
        "resume_from_checkpoint": renamed("train.resume_from_checkpoint"),
        "use_peft": says("method.tuner.type", lambda on: "lora" if on else "full"),
        "lora_task_type": inert("the model is a causal language model"),
        "load_in_4bit": _bits,
        "load_in_8bit": _bits,
        "bnb_4bit_quant_type": _bits,
        "use_bnb_nested_quant": _bits,
        "bnb_4bit_quant_storage": _bits,
        "max_length": _length,
        "max_seq_length": _length,
        "chat_template": template,
        "chat_template_path": template_path(plain),
        **prompt_rules(plain),
        "padding_free": _unpadded,
        "optim": optimizer,
        **dict.fromkeys((STRATEGY, GROUPED), order),
        "data_seed": order_seed(plain),
        "remove_unused_columns": inert("trl's collators take the columns that they need"),
        "generation_batch_size": drawn_at_once,
        "loss_type": _simpo_loss,
        **MODEL_RULES,
        "eos_token": _token,
        "pad_token": _token,
        "report_to": unless((None,), "what is reported, not what is trained", plain),
        "system_prompt": says("data.system"),
        "dataset_prompt_column": said("data.train", why="the column of prompts"),
        "gamma_beta_ratio": _margin,
        "sft_weight": renamed("CPOConfig.cpo_alpha"),
        "env.": _environment,
        **group(
            "trl reads skip_prepare_dataset alone: a conversation has the tokens of its template",
            "dataset_kwargs.add_special_tokens",
            "dataset_kwargs.append_concat_token",
        ),
        "dataset_kwargs.": unknown("how trl's preparation of rows is changed is not in a spec"),
        "model_init_kwargs.": unless(
            (None,),
            "nothing is said",
            unknown("further arguments of from_pretrained are not in a spec"),
        ),
        "gradient_checkpointing_use_reentrant": inert("both ways recompute the same activations"),
        **group(
            "what is shown or kept, not what is trained",
            "wandb_entity",
            "wandb_project",
            "wandb_run_group",
            "hub_model_revision",
            "log_completions",
            "overwrite_hub_revision",
            "push_to_hub_revision",
        ),
    },
    mentions={"deepspeed": "deepspeed"},
    accepted={
        **ACCEPTED,
        "pad_to_multiple_of": "padding is not trained on",
        "local_rollout_forward_batch_size": "how many completions are measured at once",
        "total_episodes": "trl's PPO trains whole batches: as many as it takes",
    },
    idle={**IDLE, "gradient_checkpointing_kwargs": "nothing is recomputed"},
)
