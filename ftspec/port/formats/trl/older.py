"""Keys of older trl, of alignment-handbook and of open-r1 that trl 1.16 does not have, or has otherwise.

Read off the argument classes of trl 0.9 to 0.29, and off the recipes' own (open_r1/configs.py).
"""

from __future__ import annotations

from typing import Any

from ftspec.port.fates import Kind, Setting
from ftspec.port.formats.hf_arguments import KERNEL
from ftspec.port.formats.trl.aged import WRAPPED, only_wrapped
from ftspec.port.formats.trl.plain import CONFIG, plain
from ftspec.port.rules import Context, Outcome, Rule, group, inert, section, unknown, unless

SHOWN = "what is shown or kept, not what is trained"
PADS = "what is padded does not train"
DRAWN = "where completions are drawn, and how fast, not which"
OF_A_REWARD = "an argument of a reward function of the project that the recipe belongs to"
BLOCKS = (
    "trl up to 0.18 packs all rows as one text, which it cuts into blocks of the length, an end of text "
    "between two; up to 0.12 it draws them in an order of its own"
)
FIRST_FIT = "trl 0.19 puts a row where it fits first, here it is put where it fits best"
NO_ENGINE = "vLLM draws nothing: use_vllm is off"
GONE = "an argument of transformers 4 that is not in a spec"
NOTHING: tuple[Any, ...] = (None, False, 0, [], "")


def _scale(setting: Setting, context: Context) -> Outcome:
    """Once a switch, since then a word (trainer/grpo_config.py)."""
    if context.get("multi_objective_aggregation") == "normalize_then_sum":
        return Outcome(
            "inert", why="not read where each reward is scaled by itself (grpo_trainer.py)"
        )
    words = {True: "group", "true": "group", "True": "group", False: "none", "false": "none"}
    word = words.get(setting.value, setting.value)
    kind: Kind = "exact" if word == setting.value else "renamed"
    return Outcome(kind, {"GRPOConfig.scale_rewards": word})


def off(why: str) -> Rule:
    """Inert where nothing is said by it, else not understood."""
    return unless(NOTHING, "it is off", unknown(why))


def with_switch(switch: str, why: str) -> Rule:
    """Read only where the switch is on."""

    def rule(_setting: Setting, context: Context) -> Outcome:
        if not context.get(switch):
            return Outcome("inert", why=f"nothing reads it without {switch}")
        return Outcome("unknown", why=why)

    return rule


def _by_engine(setting: Setting, context: Context) -> Outcome:
    """A setting of vLLM, which Unsloth switches on where it loads the model."""
    draws = context.get("use_vllm") or section(context, "from_pretrained").get("fast_inference")
    return plain(setting, context) if draws else Outcome("inert", why=NO_ENGINE)


def packed(setting: Setting, context: Context) -> Outcome:
    """Up to trl 0.18 there was one way to pack (trainer/sft_trainer.py, _prepare_dataset)."""
    if (
        not setting.value
        or "packing_strategy" in context.document.data
        or not only_wrapped(context)
    ):
        return plain(setting, context)
    native = {f"{CONFIG}packing": True, f"{CONFIG}packing_strategy": WRAPPED}
    return Outcome("approximated", native, why=BLOCKS)


def strategy(setting: Setting, context: Context) -> Outcome:
    """First fit, which came before best fit: rows that are packed do not see each other either."""
    if setting.value != "ffd":
        return plain(setting, context)
    return Outcome("approximated", {f"{CONFIG}packing_strategy": "bfd"}, why=FIRST_FIT)


def usual(*values: Any, why: str) -> Rule:
    """Inert where it says what happens anyway, else what that means."""
    return unless((None, *values), "what happens anyway", unknown(why))


OLDER: dict[str, Rule] = {
    **dict.fromkeys(
        (
            "vllm_mode", "vllm_gpu_memory_utilization", "vllm_tensor_parallel_size", "vllm_model_impl",
            "vllm_enable_sleep_mode", "vllm_max_model_length", "vllm_structured_outputs_regex",
            "vllm_importance_sampling_correction", "vllm_importance_sampling_mode",
            "vllm_importance_sampling_cap", "vllm_importance_sampling_clip_max",
            "vllm_importance_sampling_clip_min",
        ),
        _by_engine,
    ),
    "packing_strategy": strategy,
    "use_mps_device": off("an Apple GPU is taken where there is one: hardware.device"),
    "jit_mode_eval": off(GONE),
    "use_ipex": off(GONE),
    "torchdynamo": off(GONE),
    "split_batches": off("batches that are split between devices are not in a spec"),
    "dispatch_batches": off("rows that one process reads for all are not in a spec"),
    "past_index": usual(-1, why=GONE),
    "half_precision_backend": usual("auto", "cuda_amp", why="apex is not in a spec"),
    "fp16_opt_level": usual("O1", why="a level of apex is not in a spec"),
    **group("for SageMaker and Ray", "mp_parameters", "ray_scope"),
    "include_inputs_for_metrics": inert("how it evaluates, not what it trains"),
    "scale_rewards": _scale,
    "rpo_alpha": off("the likelihood of the chosen answer in the loss is not in a spec beside DPO's"),
    "reference_free": off("DPO without a reference is not in a spec: orpo, cpo and simpo are"),
    "is_encoder_decoder": off("only decoders are in a spec"),
    "force_use_ref_model": off("a reference beside an adapter is the base with the adapter off"),
    "model_adapter_name": off("several adapters in one model are not in a spec"),
    "ref_adapter_name": off("several adapters in one model are not in a spec"),
    "max_target_length": off("a limit for answers of their own is not in a spec"),
    "ref_model_mixup_alpha": with_switch("sync_ref_model", "a reference that follows is not in a spec"),
    "ref_model_sync_steps": with_switch("sync_ref_model", "a reference that follows is not in a spec"),
    "vllm_guided_decoding_regex": off("completions that follow a pattern are not in a spec"),
    "tokenizer_name_or_path": unless((None,), "the model's own", unknown("another model's tokenizer")),
    **group(PADS, "label_pad_token_id", "padding_value", "pad_token"),
    **group(
        KERNEL, "use_num_logits_to_keep", "use_logits_to_keep", "use_liger", "use_liger_loss",
    ),
    **group("how it evaluates, not what it trains", "generate_during_eval"),
    **group(
        "how rows are read in older packing, not which",
        "num_of_sequences", "chars_per_token", "dataset_batch_size",
    ),
    **group(
        SHOWN, "num_completions_to_print", "log_unique_prompts", "wandb_log_unique_prompts",
        "log_completions_hub_repo", "callbacks", "benchmarks", "wandb_log_model",
    ),
    **group(
        DRAWN, "vllm_device", "vllm_max_model_len", "vllm_server_host", "vllm_server_port",
        "vllm_server_timeout", "vllm_server_base_url", "vllm_group_port", "vllm_enable_prefix_caching",
    ),
    **{
        key: unknown(OF_A_REWARD)
        for key in (
            "cosine_min_value_wrong", "cosine_max_value_wrong", "cosine_min_value_correct",
            "cosine_max_value_correct", "cosine_max_len", "repetition_n_grams", "repetition_max_penalty",
            "code_language", "code_eval_test_batch_size", "code_eval_scoring_mode", "code_provider",
            "parallel_code_exec_per_proc", "e2b_router_url", "morph_router_url", "ioi_provider",
            "piston_endpoint", "max_completion_len", "soft_punish_cache",
        )
    },
}  # fmt: skip
