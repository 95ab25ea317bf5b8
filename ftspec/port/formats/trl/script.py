"""Training scripts around trl's trainers: its classes, with transformers' model and peft's LoraConfig."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ftspec.families.training.launch import SEQUENCES
from ftspec.port.fates import Setting
from ftspec.port.format import Completion
from ftspec.port.formats import trl
from ftspec.port.formats.scripts import images
from ftspec.port.formats.scripts.rules import (
    SCRIPT_RULES,
    STOPS,
    has,
    objective,
    plain_defaults,
    rows,
)
from ftspec.port.formats.trl import BITS
from ftspec.port.formats.trl.aged import aged, biased, loads_float32
from ftspec.port.formats.trl.chat_format import CHAT_FORMAT_RULES
from ftspec.port.formats.trl.models import written
from ftspec.port.formats.trl.plain import CONFIG
from ftspec.port.formats.trl.prompts import assumed
from ftspec.port.formats.trl.stops import STORED, head_question, is_stored
from ftspec.port.formats.trl.trainers import trainer
from ftspec.port.rules import Context, Outcome, derived, inert
from ftspec.port.scripts.names import LOADED, PREPARED, UNTIL

DTYPE = (
    "dtype is missing, and all weights train: transformers 5 loads them as they are stored, transformers 4 "
    "in float32: model.dtype"
)

AT_MOST = "without a number it takes 1024 tokens, or what the tokenizer says if that is less"
WIDENED = "peft holds the weights in float32 then"
HELD = (
    "peft holds what is not quantised in float32 then, here it is held in model.dtype: float32 there says "
    "the same, for trl alone"
)
BLOCKS = (
    "a trainer that is told to pack is one of trl up to 0.12: it joins texts, an end of text between two, "
    "and cuts blocks of the length; it draws rows in an order of its own there"
)


def _recognise(data: Mapping[str, Any]) -> bool:
    return "config_class" in data


def _dtype(setting: Setting, _context: Context) -> Outcome:
    return Outcome("exact", {BITS + setting.key: str(setting.value).removeprefix("torch.")})


def _packing(setting: Setting, _context: Context) -> Outcome:
    """An argument of the trainer itself up to trl 0.12, whose packing was another."""
    if not setting.value:
        return Outcome("inert", why="rows stay apart")
    native = {f"{CONFIG}packing": True, f"{CONFIG}packing_strategy": "wrapped"}
    return Outcome("approximated", native, why=BLOCKS)


def _length(setting: Setting, context: Context) -> Outcome:
    """Of the trainer itself up to trl 0.12, of its config up to 0.19."""
    if setting.value is None and trainer(context)[0] == "sft":
        return Outcome("approximated", {f"{CONFIG}max_length": 1024}, why=AT_MOST)
    return trl.format.rules["max_seq_length"](setting, context)


def _prepared(_setting: Setting, context: Context) -> Outcome:
    """peft, utils/other.py: all weights in 16 bits become float32, those of 4 and 8 bits aside."""
    if not context.get("load_in_4bit") and not context.get("load_in_8bit"):
        return Outcome("derived", {"model.dtype": "float32"}, why=WIDENED)
    if str(context.get("dtype", context.get("torch_dtype"))).endswith("float32"):
        return Outcome("inert", why="what is not quantised is held in float32 anyway")
    return Outcome("approximated", why=HELD)


def _labels(setting: Setting, context: Context) -> Outcome:
    """How many numbers a model scores with."""
    if setting.value == 1 and trainer(context)[0] == "reward":
        return Outcome("inert", why="trl's own head has one output as well")
    return Outcome("unknown", why="a model that sorts into classes is not in a spec")


def _complete(context: Context) -> Completion:
    adapted = has(context, "LoraConfig")
    native, spec, questions = rows(context)
    word, open_ones = objective(context)
    questions += open_ones
    native |= {
        "launch.processes": context.devices,
        "launch.nodes": context.nodes,
        SEQUENCES: context.sharing,
        "data.prepare": "framework",
        "tuner": "lora" if adapted else "full",
        **plain_defaults(context, CONFIG),
    }
    if context.get("fp16") and context.get("bf16") is None:
        native[f"{CONFIG}bf16"] = False  # its None means: unless fp16
    if not context.get("dtype") and not context.get("torch_dtype"):
        # a trainer that is given a name loads float32: trl, trainer/utils.py, create_model_from_path
        named = context.get("loaded_by") == "trainer"
        bits = context.get("load_in_4bit") or context.get("load_in_8bit")
        old = loads_float32(context) and not bits
        native["model.dtype"] = "auto" if adapted and not named and not old else "float32"
        questions += [] if adapted or named or old else [DTYPE]
    if adapted and not (context.get("LoraConfig") or {}).get("target_modules"):
        native["LoraConfig.target_modules"] = list(trl.TARGETS)
        questions.append(
            "target_modules is missing, and peft chooses by architecture: q_proj and v_proj for llama, "
            "mistral, gemma and qwen; see its utils/constants.py for others"
        )
    if adapted:
        adapter = context.get("LoraConfig") or {}
        task, saved = adapter.get("task_type"), adapter.get("modules_to_save")
        questions += head_question(context, task, saved)
    elif is_stored(context):
        questions.append(STORED)
    spec["method.objective.type"] = word
    once, doubts = aged(context)
    native |= {**once, **assumed(context)}
    questions += [*doubts, *biased(context)]
    native |= written(context) if word == "gkd" else {}
    return Completion(native, spec, tuple(questions), images.notes(context))


format = replace(
    trl.format,
    name="trl_script",
    title="TRL",
    signs=frozenset(),
    stops=STOPS,
    recognise=_recognise,
    complete=_complete,
    rules={
        **trl.format.rules,
        **SCRIPT_RULES,
        "SFTTrainer.packing": _packing,
        "max_length": images.limit(trl.format.rules["max_length"]),
        "max_seq_length": images.limit(_length),
        PREPARED: _prepared,
        f"{UNTIL}.": derived(why="how old trl was, which says what it assumed"),
        f"{LOADED}.num_labels": _labels,
        "model_init_kwargs.num_labels": _labels,
        **CHAT_FORMAT_RULES,
        "bnb_4bit_use_double_quant": trl.format.rules["use_bnb_nested_quant"],
        "bnb_4bit_compute_dtype": _dtype,
        "bnb_4bit_quant_storage": _dtype,
        "use_cache": inert("for generation, not for training"),
    },
)
