"""Configs that axolotl 0.19.0 stops at: utils/schemas/validation.py, config.py, peft.py, deprecated.py.

No run can have come of them, so what they mean is a question. `tests/real/test_axolotl_settings.py` holds the
list against axolotl's own validators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ftspec.port.formats.axolotl.words import compute, taken
from ftspec.port.rules import Context, section

Condition = Callable[[Context], Any]


def on(*keys: str) -> Condition:
    """All of these say something, by themselves or by what is assumed."""
    return lambda context: all(taken(context, key) for key in keys)


def alone(key: str, other: str) -> Condition:
    """A setting that is on, without another that it needs."""
    return lambda context: taken(context, key) and not taken(context, other)


def says(key: str, *values: Any) -> Condition:
    """It is one of these, and stands there."""
    return lambda context: key in context.document.data and context.get(key) in values


def both(one: Condition, other: Condition) -> Condition:
    """Two conditions at once."""
    return lambda context: one(context) and other(context)


def mismatch(strategy: str, *others: str) -> Condition:
    """Something happens every so many steps, and a strategy says another thing."""

    def found(context: Context) -> bool:
        every = any(context.get(key) for key in others)
        return bool(every and context.get(strategy) not in (None, "", "steps"))

    return found


def _no_passes(context: Context) -> bool:
    nothing = says("gradient_accumulation_steps", None, 0)(context)
    return bool(nothing and not context.get("batch_size"))


def _words(key: str) -> Condition:
    return lambda context: isinstance(context.get(key), str) and bool(context.get(key))


def _cut_in_full(context: Context) -> bool:
    """integrations/cut_cross_entropy/args.py asks what is written, not what holds."""
    cut = "CutCrossEntropy" in str(context.get("plugins")) and context.get("cut_cross_entropy")
    written = context.document.data
    return bool(cut) and not (written.get("bf16") or written.get("fp16"))


def _two_batches(context: Context) -> Any:
    return context.get("batch_size") and context.get("gradient_accumulation_steps")


def _batch_alone(context: Context) -> bool:
    others = ("micro_batch_size", "gradient_accumulation_steps")
    return bool(context.get("batch_size")) and not any(context.get(key) for key in others)


def _no_bits(context: Context) -> bool:
    return context.get("adapter") == "qlora" and not context.get("load_in_4bit")


def _no_rows(context: Context) -> bool:
    return all(context.get(key) is None for key in ("datasets", "pretraining_dataset"))


def _streams(context: Context) -> bool:
    return bool(context.get("pretraining_dataset") or context.get("streaming"))


def _no_token(context: Context) -> bool:
    pushes = context.get("push_dataset_to_hub")
    return bool(pushes and context.get("hf_use_auth_token") is not True)


def _half_arithmetic(context: Context) -> bool:
    return compute(context) != "fp32"


def _half_of_dpo(context: Context) -> bool:
    said = (context.get(f"dpo_loss_{name}") for name in ("type", "weights"))
    return any(one is not None for one in said) and context.get("rl") != "dpo"


def _flat(context: Context) -> bool:
    flash = context.get("flash_attention") or "flash" in str(context.get("attn_implementation"))
    return context.get("batch_flattening") is True and not flash


def _new_tokens(context: Context) -> bool:
    """loaders/adapter.py: an adapter that would leave new rows as they are drawn."""
    text = " ".join(map(str, context.get("lora_modules_to_save") or ()))
    whole = "embed" in text and "lm_head" in text
    return bool(context.get("adapter") and context.get("tokens") and not whole)


def _groups(context: Context) -> bool:
    """GRPO's groups fill its batches (check_grpo_batch_size_divisibility)."""
    drawn = section(context, "trl")
    count = drawn.get("num_generations")
    if context.get("rl") != "grpo" or not isinstance(count, int):
        return False
    sizes = (context.get(key) or 1 for key in ("micro_batch_size", "gradient_accumulation_steps"))
    micro, passes = sizes
    size = drawn.get("generation_batch_size") or micro * passes
    return count < 2 or bool(size % count)


def _low_rank_gradients(context: Context) -> bool:
    name = str(context.get("optimizer") or "")
    return name.startswith(("galore", "apollo")) and not context.get("optim_target_modules")


def _fused_ipo(context: Context) -> bool:
    kinds = context.get("dpo_loss_type") or ()
    first = kinds[0] if isinstance(kinds, list) and kinds else kinds
    return bool(context.get("dpo_use_liger_kernel")) and "ipo" in (context.get("rl"), first)


def _no_decay_steps(context: Context) -> bool:
    """transformers' get_wsd_schedule demands the number."""
    stable = context.get("lr_scheduler") == "warmup_stable_decay"
    return stable and "num_decay_steps" not in section(context, "lr_scheduler_kwargs")


def _unused_columns(context: Context) -> bool:
    return context.get("remove_unused_columns") is not False


def _any(context: Context, keys: Sequence[str]) -> bool:
    return any(context.get(key) for key in keys)


def _legacy_attention(context: Context) -> bool:
    return bool(context.get("attn_implementation")) and _any(context, FLAGS)


def _nothing_held_out(context: Context) -> bool:
    """A number that is written: a missing one is no 0 to this check."""
    paced = _any(context, ("eval_steps", "eval_strategy")) and context.get("eval_strategy") != "no"
    return paced and says("val_set_size", 0)(context) and not context.get("test_datasets")


def _eight_bits_sharded(context: Context) -> bool:
    """bitsandbytes' states under FSDP: on the CPU, or in the pieces of version 2."""
    config, name = section(context, "fsdp_config"), str(context.get("optimizer") or "")
    version = context.get("fsdp_version") or config.get("version") or config.get("fsdp_version")
    if str(version) == "2":
        return bool(config) and name in ("adamw_8bit", "adamw_bnb_8bit")
    offloads = config.get("offload_params") or config.get("fsdp_offload_params")
    return bool(offloads) and "8bit" in name


def _no_section(context: Context) -> bool:
    """utils/trainer.py, setup_fsdp_envs, asks it without looking; an engine's file is asked in its place."""
    words = context.get("fsdp") and not context.get("deepspeed")
    return bool(words) and context.get("fsdp_config") is None


def _reentrant(context: Context) -> bool:
    return section(context, "gradient_checkpointing_kwargs").get("use_reentrant") is True


FLAGS = (
    *("xformers_attention", "sage_attention", "flex_attention", "flash_attention"),
    *("sdp_attention", "eager_attention", "s2_attention"),
)
"""Attention as older releases named it (LEGACY_ATTN_FLAG_TO_IMPL)."""
KERNELS = ("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel")
LOSSES = (
    *("cut_cross_entropy", "chunked_cross_entropy"),
    *("liger_cross_entropy", "liger_fused_linear_cross_entropy"),
)
WORDS = ("eval_strategy", "evaluation_strategy", "save_strategy")
NULLS = ("micro_batch_size", "num_epochs", "sequence_len", "optimizer", "base_model")
ROWS: tuple[tuple[str, Condition], ...] = (
    *((f"{key}: null, which is not what a missing key is", says(key, None)) for key in NULLS),
    *((f"{key}: no, which is false to YAML: put it in quotes", says(key, False)) for key in WORDS),
    *((f"{key} that is no list", _words(key)) for key in ("plugins", "fsdp")),
    ("cut_cross_entropy where neither bf16 nor fp16 is written", _cut_in_full),
    ("gradient_accumulation_steps that says nothing, without batch_size", _no_passes),
    ("batch_size without micro_batch_size", _batch_alone),
    ("gradient_accumulation_steps with batch_size", _two_batches),
    ("adapter: qlora without load_in_4bit: true", _no_bits),
    ("adapter: qlora with gptq", both(says("adapter", "qlora"), on("gptq"))),
    (
        "model_quantization_config with load_in_4bit or load_in_8bit",
        both(on("model_quantization_config"), lambda c: _any(c, ("load_in_4bit", "load_in_8bit"))),
    ),
    (
        "lora_*_kernel with 8-bit LoRA",
        both(lambda c: _any(c, KERNELS), both(says("adapter", "lora"), on("load_in_8bit"))),
    ),
    (
        "lora_*_kernel with trust_remote_code",
        both(lambda c: _any(c, KERNELS), on("trust_remote_code")),
    ),
    (
        "peft_layers_pattern without peft_layers_to_transform",
        alone("peft_layers_pattern", "peft_layers_to_transform"),
    ),
    ("unfrozen_parameters with use_reentrant: true", both(on("unfrozen_parameters"), _reentrant)),
    ("attn_implementation with an older flag for attention", _legacy_attention),
    (
        "several of " + ", ".join(LOSSES),
        lambda c: sum(bool(c.get(key)) for key in LOSSES) > 1,
    ),
    ("an 8-bit optimizer under FSDP that offloads, or FSDP 2", _eight_bits_sharded),
    (
        "tokenizer_use_mistral_common with a tokenizer or a template that is changed",
        both(
            on("tokenizer_use_mistral_common"),
            lambda c: _any(
                c,
                (
                    "special_tokens",
                    "tokens",
                    "added_tokens_overrides",
                    "chat_template",
                    "processor_kwargs",
                ),
            ),
        ),
    ),
    ("deepspeed with fsdp", on("deepspeed", "fsdp")),
    ("fsdp without fsdp_config", _no_section),
    ("max_memory with gpu_memory_limit", on("max_memory", "gpu_memory_limit")),
    ("lr_groups with loraplus_lr_ratio", on("lr_groups", "loraplus_lr_ratio")),
    (
        "noisy_embedding_alpha with neftune_noise_alpha",
        on("noisy_embedding_alpha", "neftune_noise_alpha"),
    ),
    (
        "dataset_exact_deduplication with skip_prepare_dataset",
        on("dataset_exact_deduplication", "skip_prepare_dataset"),
    ),
    ("fp8_config without fp8", alone("fp8_config", "fp8")),
    ("eval_steps or eval_strategy with val_set_size: 0", _nothing_held_out),
    (
        "sample_packing with eval_table_size, without eval_sample_packing: false",
        both(
            on("sample_packing", "eval_table_size"),
            lambda c: c.get("eval_sample_packing") is not False,
        ),
    ),
    ("warmup_steps with warmup_ratio", on("warmup_steps", "warmup_ratio")),
    ("saves_per_epoch with save_steps", on("saves_per_epoch", "save_steps")),
    ("evals_per_epoch with eval_steps", on("evals_per_epoch", "eval_steps")),
    ("save_steps with a save_strategy that is not steps", mismatch("save_strategy", "save_steps")),
    (
        "eval_steps or evals_per_epoch with an eval_strategy that is not steps",
        mismatch("eval_strategy", "eval_steps", "evals_per_epoch"),
    ),
    (
        "save_strategy: best without metric_for_best_model",
        both(says("save_strategy", "best"), lambda c: not c.get("metric_for_best_model")),
    ),
    ("val_set_size with test_datasets", on("test_datasets", "val_set_size")),
    *(
        (f"{key}: an empty list", says(key, []))
        for key in ("datasets", "test_datasets", "pretraining_dataset")
    ),
    ("a config without datasets and pretraining_dataset", _no_rows),
    ("rows that stream, without max_steps", both(_streams, lambda c: not c.get("max_steps"))),
    ("rows that stream, with val_set_size", both(_streams, on("val_set_size"))),
    *(
        (f"{key} without gradient_checkpointing", alone(key, "gradient_checkpointing"))
        for key in ("activation_offloading", "selective_checkpointing")
    ),
    ("deepcompile without deepspeed", alone("deepcompile", "deepspeed")),
    ("push_dataset_to_hub without hf_use_auth_token: true", _no_token),
    (
        "chat_template: jinja without chat_template_jinja",
        both(says("chat_template", "jinja"), lambda c: not c.get("chat_template_jinja")),
    ),
    ("flash_attn_fuse_mlp with an adapter", on("flash_attn_fuse_mlp", "adapter")),
    ("flash_optimum with bf16 or fp16", both(says("flash_optimum", True), _half_arithmetic)),
    ("batch_flattening without flash attention", _flat),
    ("lora_target_parameters with lora_dropout", on("lora_target_parameters", "lora_dropout")),
    ("new tokens without embed_tokens and lm_head in lora_modules_to_save", _new_tokens),
    ("an optimizer of GaLore or Apollo without optim_target_modules", _low_rank_gradients),
    ("rl: nothing, where a missing key is meant", says("rl", "", False)),
    ("dpo_loss_type or dpo_loss_weights without rl: dpo", _half_of_dpo),
    ("dpo_use_liger_kernel with the loss ipo", _fused_ipo),
    ("lr_scheduler: warmup_stable_decay without num_decay_steps", _no_decay_steps),
    ("neftune_noise_alpha: 0", says("neftune_noise_alpha", 0)),
    ("rl with sample_packing", on("rl", "sample_packing")),
    ("rl: kto without remove_unused_columns: false", both(says("rl", "kto"), _unused_columns)),
    ("rl: simpo with warmup_ratio", both(says("rl", "simpo"), on("warmup_ratio"))),
    ("rl: grpo with batches that its groups do not fill", _groups),
    ("rl: ebft without a section ebft", both(says("rl", "ebft"), lambda c: not c.get("ebft"))),
)
"""What it is called, and whether it is there."""

UNSLOTH = ("cross_entropy_loss", "lora_mlp", "lora_qkv", "lora_o")
OLDER: tuple[tuple[str, Condition], ...] = (
    ("gradient_checkpointing: unsloth", says("gradient_checkpointing", "unsloth")),
    ("save_safetensors: false", says("save_safetensors", False)),
    *((f"{key}: false", says(key, False)) for key in ("wandb_watch", "wandb_log_model")),
    ("bf16: full", says("bf16", "full")),
    ("tokens that are named by their use", lambda context: isinstance(context.get("tokens"), dict)),
    *((f"optimizer: {name}", says("optimizer", name)) for name in ("adamw_hf", "ao_adamw_8bit")),
    *((key, on(key)) for key in ("flash_attn_rms_norm", *(f"unsloth_{name}" for name in UNSLOTH))),
    *(
        (key, says(key, True, False))
        for key in ("dpo_generate_during_eval", "dpo_use_logits_to_keep")
    ),
)
"""What older releases took, with a meaning that is read here: a word to the reader, and no question."""


def refused(context: Context) -> Iterator[str]:
    """Questions: what axolotl stops at."""
    return (f"axolotl stops at {text}" for text, found in ROWS if _holds(found, context))


def _holds(found: Condition, context: Context) -> Any:
    """Whether it is there; not where a value is of a kind that it cannot be, whose own fate tells."""
    try:
        return found(context)
    except TypeError:
        return False


def outdated(context: Context) -> Sequence[str]:
    """Notes: what axolotl 0.19.0 stops at, read as the releases before took it."""
    return [
        f"{text}: axolotl 0.19.0 stops at it, and it is read as older releases did"
        for text, found in OLDER
        if found(context)
    ]
