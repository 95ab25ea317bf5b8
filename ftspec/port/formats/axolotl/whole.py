"""What an axolotl file says as a whole: its missing keys, and values that several of them make."""

from __future__ import annotations

from typing import Any

from ftspec.families.training.launch import SEQUENCES
from ftspec.port.format import Completion
from ftspec.port.formats.axolotl.attention import attention
from ftspec.port.formats.axolotl.data import data
from ftspec.port.formats.axolotl.energy import of_energy
from ftspec.port.formats.axolotl.entries import objective
from ftspec.port.formats.axolotl.images import seen, shows
from ftspec.port.formats.axolotl.model import targets
from ftspec.port.formats.axolotl.numbers import LIFTED, ROUGH, lifts
from ftspec.port.formats.axolotl.preferences import defaults
from ftspec.port.formats.axolotl.refused import outdated, refused
from ftspec.port.formats.axolotl.schedules import CAPPED, ROUNDED, is_flat, warmup
from ftspec.port.formats.axolotl.sharding import sharded
from ftspec.port.formats.axolotl.train import accumulation, average, evaluation, judged, save
from ftspec.port.formats.axolotl.turns import copies, lasts
from ftspec.port.formats.axolotl.words import (
    BITS,
    CONFIG,
    LORA,
    compute,
    is_quantised,
    known_steps,
    taken,
)
from ftspec.port.rules import Context, section

NOWHERE = "neither lora_target_linear nor lora_target_modules: which modules get an adapter?"
ALONE = (
    "lora_target_parameters without lora_target_linear and lora_target_modules: no module gets an adapter "
    "there, and in a spec some do: which?"
)
DTYPES = {"bf16": "bfloat16", "bf16-pure": "bfloat16", "fp16": "float16", "fp32": "float32"}


def complete(context: Context) -> Completion:
    """Every value that counts, axolotl's defaults included."""
    questions: list[str] = []
    spec, asked = data(context)
    questions += asked
    word = compute(context)
    held = compute(context, eight=False)
    half = "float16" if context.get("load_in_8bit") and held == "fp32" else DTYPES[held]
    native: dict[str, Any] = {
        "launch.processes": context.devices,
        "launch.nodes": context.nodes,
        SEQUENCES: context.sharing,
        "data.prepare": "framework",
        "data.shape": "text" if objective(context) == "cpt" else "messages",
        "model.dtype": half,
        "tuner": "lora" if context.get("adapter") else "full",
        f"{CONFIG}max_length": taken(context, "sequence_len"),
        f"{CONFIG}per_device_train_batch_size": taken(context, "micro_batch_size") or 1,
        f"{CONFIG}gradient_accumulation_steps": accumulation(context),
        f"{CONFIG}gradient_checkpointing": bool(taken(context, "gradient_checkpointing")),
        f"{CONFIG}tf32": context.get("tf32") is True,
        f"{CONFIG}logging_steps": _logging(context),
        f"{CONFIG}weight_decay": taken(context, "weight_decay") or 0.0,
        f"{CONFIG}seed": taken(context, "seed") or 42,
        f"{CONFIG}lr_scheduler_type": taken(context, "lr_scheduler"),
        f"{CONFIG}optim": taken(context, "optimizer"),
        f"{CONFIG}output_dir": taken(context, "output_dir"),
        f"{CONFIG}report_to": "none",
        f"{CONFIG}average_tokens_across_devices": False,
    }
    if objective(context) == "simpo":  # core/builders/rl.py
        native["CPOConfig.loss_type"] = "simpo"
    if shows(context):
        native[f"{CONFIG}max_length"] = None
    if objective(context) == "grpo":
        del native[f"{CONFIG}max_length"]
        if not section(context, "trl").get("max_completion_length"):
            questions.append(
                "trl.max_completion_length is missing: completions end where they end there"
            )
    if known_steps(context) is None:
        native[f"{CONFIG}num_train_epochs"] = taken(context, "num_epochs") or 1.0
    if kernel := attention(context):
        native["model.attn_implementation"] = kernel
    spec |= {"precision.compute": word, "method.objective.type": objective(context)}
    assumed, open_ = defaults(context)
    spec |= assumed | of_energy(context)
    questions += open_
    spec |= sharded(context)
    spec |= {**warmup(context), **save(context), **evaluation(context), **judged(context)}
    spec |= average(context)
    if context.get("adapter"):
        found, more = _adapter(context, half)
        native |= found
        questions += more
    if context.get("learning_rate") in (None, ""):
        questions.append("learning_rate is missing: axolotl takes no config without one")
    questions += refused(context)
    return Completion(native, spec, tuple(questions), _notes(context, word))


def _notes(context: Context, word: str) -> tuple[str, ...]:
    """What a person should know; ``word``: the arithmetic."""
    notes = []
    if (
        context.get("warmup_steps") is None
        and not is_flat(context)
        and known_steps(context) is None
    ):
        notes.append(f"train.warmup_ratio: {ROUNDED}")
        if context.get("warmup_ratio") is None:
            notes.append(CAPPED)
    if word == "fp32" and context.get("tf32", "auto") == "auto":
        notes.append(f"tf32: {ROUGH}")
    if lifts(context) and context.get("bf16") is None and word == "bf16":
        notes.append(f"model.dtype: {LIFTED}")
    return (*notes, *lasts(context), *copies(context), *seen(context)[2], *outdated(context))


def _logging(context: Context) -> int:
    """core/builders/base.py: about two hundred times a run, at most every tenth step."""
    given, total = context.get("logging_steps"), known_steps(context)
    return given or (max(min(int(0.005 * total), 10), 1) if total else 10)


def _adapter(context: Context, half: str) -> tuple[dict[str, Any], list[str]]:
    native: dict[str, Any] = {f"{LORA}lora_dropout": taken(context, "lora_dropout") or 0.0}
    questions = []
    found = targets(context)
    native[f"{LORA}target_modules"] = found or ["q_proj", "v_proj"]
    if not found and not context.get("lora_model_dir"):
        questions.append(ALONE if context.get("lora_target_parameters") else NOWHERE)
    if not context.get("lora_model_dir"):
        questions += [
            f"{key} is missing: axolotl takes no adapter without it"
            for key in ("lora_r", "lora_alpha")
            if not context.get(key)
        ]
    if is_quantised(context, "load_in_4bit"):
        native |= {  # loaders/model.py: what its bnb_config says where nothing else is said
            f"{BITS}load_in_4bit": True,
            f"{BITS}bnb_4bit_quant_type": "nf4",
            f"{BITS}bnb_4bit_use_double_quant": True,
            f"{BITS}bnb_4bit_compute_dtype": half,
            # what the others calculate in, by which the field map judges that one
            f"{CONFIG}bf16": half == "bfloat16",
            f"{CONFIG}fp16": half == "float16",
            # in bfloat16 there; its peft rounds a new adapter to the type of the arithmetic (0.20,
            # tuners_utils.py, _get_base_layer_device_and_dtype), the others' to that of the container
            f"{BITS}bnb_4bit_quant_storage": half,
        }
    return native, questions
