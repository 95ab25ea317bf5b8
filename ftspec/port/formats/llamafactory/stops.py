"""Configs that LLaMA-Factory stops at, before it trains: what the end of its parser asks of them.

0.9.5, hparams/parser.py and the `__post_init__` of hparams/*_args.py; tests/real/test_parsed.py holds this
against them. A config that it takes has one meaning; of one that it refuses, a person has to say which part
is meant. What only a machine decides, such as a GPU without bfloat16, is not here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from ftspec.port.formats.llamafactory.stored import is_third
from ftspec.port.rules import Context

Get = Callable[[str], Any]
LORA_ALONE = ("loraplus_lr_ratio", "use_rslora", "use_dora", "pissa_init")
"""Keys that other tuners may not have set (hparams/finetuning_args.py)."""
OWN_OPTIMIZERS = ("use_galore", "use_apollo", "use_badam")
LEAST = 1e-6
"""What it takes for nothing, of a share or a weight."""


class Stop(NamedTuple):
    """One of its checks: it stops where ``holds``."""

    message: str
    holds: Callable[[Get], Any]


def _each(
    keys: Iterable[str],
    message: str,
    applies: Callable[[Get], Any],
    wrong: Callable[[Any], Any] = bool,
) -> Iterator[Stop]:
    """A check for each of several keys: where it ``applies``, it stops at ``wrong`` values."""
    return (Stop(f"`{key}` {message}", _checked(key, applies, wrong)) for key in keys)


def _checked(
    key: str, applies: Callable[[Get], Any], wrong: Callable[[Any], Any]
) -> Callable[[Get], Any]:
    return lambda get: applies(get) and wrong(get(key))


def _tuner(get: Get) -> Any:
    return get("finetuning_type")


def _no_lora(get: Get) -> bool:
    return bool(_tuner(get) != "lora")


def _is_said(value: Any) -> bool:
    return value not in (None, False)


def _is_quantised(get: Get) -> bool:
    return get("quantization_bit") is not None


def _held_out(get: Get) -> bool:
    return get("eval_dataset") is not None or _number(get("val_size")) >= LEAST


def _number(value: Any) -> float:
    return value if isinstance(value, int | float) else 0.0


def _measures(get: Get) -> bool:
    """Whether answers are measured from another model: PiSSA has changed the one beneath the adapter."""
    stage, loss = get("stage"), get("pref_loss")
    return stage in ("ppo", "kto") or (stage == "dpo" and loss not in ("orpo", "simpo"))


def _strategy(get: Get) -> Any:
    """When it evaluates while it trains; None: never."""
    said = get("eval_strategy")
    said = get("evaluation_strategy") if said in (None, "no") else said
    return None if said in (None, False, "no") else said


def _saves(get: Get) -> Any:
    return get("save_strategy") or "no"


def _picks(get: Get) -> bool:
    """Whether an evaluation has a measure by which it is the best (transformers, training_args.py)."""
    plateau = get("lr_scheduler_type") in ("reduce_lr_on_plateau", "greedy")
    return bool(get("load_best_model_at_end") or get("metric_for_best_model") or plateau)


STOPS = (
    *_each(LORA_ALONE, "belongs to finetuning_type: lora", _no_lora, _is_said),
    Stop(
        "`adapter_name_or_path` belongs to finetuning_type: lora",
        lambda get: get("adapter_name_or_path") is not None and _no_lora(get),
    ),
    Stop(
        "`use_llama_pro` does not go with finetuning_type: full",
        lambda get: get("use_llama_pro") and _tuner(get) == "full",
    ),
    Stop(
        "GaLore, APOLLO and BAdam do not go with finetuning_type: lora",
        lambda get: _tuner(get) == "lora" and any(map(get, OWN_OPTIMIZERS)),
    ),
    Stop(
        "GaLore, APOLLO and BAdam exclude each other",
        lambda get: sum(bool(get(key)) for key in OWN_OPTIMIZERS) > 1,
    ),
    Stop(
        "`pissa_init` does not go with a stage that measures from the model it began with",
        lambda get: get("pissa_init") and _measures(get),
    ),
    Stop(
        "`dpo_label_smoothing` belongs to pref_loss: sigmoid",
        lambda get: (
            get("stage") == "dpo"
            and get("pref_loss") != "sigmoid"
            and _number(get("dpo_label_smoothing")) > LEAST
        ),
    ),
    Stop(
        "weights in few bits go with finetuning_type: lora or oft",
        lambda get: _is_quantised(get) and _tuner(get) not in ("lora", "oft"),
    ),
    *_each(
        ("pissa_init", "resize_vocab", "fp8"), "does not go with quantization_bit", _is_quantised
    ),
    Stop(
        "over weights in few bits a saved adapter can be trained further, one alone",
        lambda get: (
            get("quantization_bit") is not None
            and get("adapter_name_or_path") is not None
            and (get("create_new_adapter") or "," in str(get("adapter_name_or_path")))
        ),
    ),
    *_each(
        ("ref_model_quantization_bit", "reward_model_quantization_bit"),
        "has to be 4 or 8",
        lambda _get: True,
        lambda bits: bits not in (None, 4, 8),
    ),
    Stop(
        "`mask_history` and `train_on_prompt` exclude each other",
        lambda get: get("mask_history") and get("train_on_prompt"),
    ),
    *_each(
        ("predict_with_generate", "neat_packing", "train_on_prompt", "mask_history"),
        "belongs to stage: sft",
        lambda get: get("stage") != "sft",
    ),
    Stop(
        "`do_predict` needs predict_with_generate",
        lambda get: (
            get("stage") == "sft" and get("do_predict") and not get("predict_with_generate")
        ),
    ),
    *_each(
        ("do_eval", "do_predict", "predict_with_generate"),
        "needs eval_dataset or val_size",
        lambda get: not _held_out(get),
    ),
    Stop(
        "`eval_strategy` needs eval_dataset or val_size",
        lambda get: _strategy(get) and not _held_out(get),
    ),
    Stop(
        "`predict_with_generate` and `compute_accuracy` exclude each other",
        lambda get: get("predict_with_generate") and get("compute_accuracy"),
    ),
    Stop(
        "`load_best_model_at_end` does not go with the stages rm and ppo",
        lambda get: get("stage") in ("rm", "ppo") and get("load_best_model_at_end"),
    ),
    Stop(
        "`reward_model_type: lora` belongs to finetuning_type: lora",
        lambda get: (
            get("stage") == "ppo" and get("reward_model_type") == "lora" and _tuner(get) != "lora"
        ),
    ),
    Stop(
        "`load_best_model_at_end` needs an eval_strategy, and a save_strategy that is the same",
        lambda get: (
            get("load_best_model_at_end")
            and _saves(get) != "best"
            and _saves(get) != (_strategy(get) or "no")
        ),
    ),
    Stop(
        "`infer_backend` is huggingface where it trains",
        lambda get: get("infer_backend") != "huggingface",
    ),
    Stop(
        "`quantization_device_map` is for chatting, not for training",
        lambda get: get("quantization_device_map") == "auto",
    ),
    Stop(
        "`interleave_probs` needs a mix_strategy that interleaves",
        lambda get: get("interleave_probs") is not None and get("mix_strategy") == "concat",
    ),
    Stop(
        "`dataloader_prefetch_factor` needs dataloader_num_workers",
        lambda get: (
            get("dataloader_prefetch_factor") is not None and get("dataloader_num_workers") == 0
        ),
    ),
    Stop(
        "`export_quantization_bit` needs export_quantization_dataset",
        lambda get: (
            get("export_quantization_bit") is not None
            and get("export_quantization_dataset") is None
        ),
    ),
)
LATER = (
    Stop(
        "`early_stopping_steps` needs an eval_strategy, and load_best_model_at_end or metric_for_best_model",
        lambda get: (
            get("early_stopping_steps") is not None and not (_strategy(get) and _picks(get))
        ),
    ),
    Stop(
        "`cosine_with_min_lr` needs one of min_lr and min_lr_rate among its lr_scheduler_kwargs",
        lambda get: (
            get("lr_scheduler_type") == "cosine_with_min_lr"
            and len({"min_lr", "min_lr_rate"} & set(get("lr_scheduler_kwargs") or ())) != 1
        ),
    ),
)
"""What its parser takes, and transformers' trainer stops at (trainer_callback.py, optimization.py)."""

DIVIDED = tuple(
    _each(
        ("predict_with_generate", "pissa_init", "pure_bf16", "use_unsloth", "use_kt"),
        "does not go with stage 3 of ZeRO",
        lambda _get: True,
    )
)
"""What it stops at beside an engine that divides weights."""
BESIDE_AN_ENGINE = (
    Stop(
        "GaLore and APOLLO do not go with DeepSpeed",
        lambda get: get("use_galore") or get("use_apollo"),
    ),
)
OF_SEVERAL = (
    Stop(
        "layerwise GaLore trains in one process alone",
        lambda get: get("use_galore") and get("galore_layerwise"),
    ),
    Stop(
        "layerwise APOLLO trains in one process alone",
        lambda get: get("use_apollo") and get("apollo_layerwise"),
    ),
)


def _checks(context: Context) -> Iterator[Stop]:
    """Those that go with how it is launched."""
    yield from STOPS
    if context.get("deepspeed"):
        yield from BESIDE_AN_ENGINE
    if is_third(context):
        yield from DIVIDED
    if context.devices * context.nodes > 1:
        yield from OF_SEVERAL


def stops(context: Context) -> Iterator[str]:
    """What it would say; nothing where it trains."""
    if not context.get("do_train"):
        return

    def get(key: str) -> Any:
        return context.get(key, context.assumed(key))

    for stop in _checks(context):
        if stop.holds(get):
            yield f"LLaMA-Factory stops at this config: {stop.message}. Which part is meant?"
    for stop in LATER:
        if stop.holds(get):
            yield f"LLaMA-Factory's trainer stops before its first step: {stop.message}. Which is meant?"
