"""Keys of LLaMA-Factory that change nothing of what a config trains.

Some never do, others not with what else the config says. Read off where 0.9.5 reads them: hparams/*.py, and
what train/ and model/ do with them.
"""

from __future__ import annotations

from collections.abc import Mapping

from ftspec.port.fates import Setting
from ftspec.port.formats.hf_arguments import plain
from ftspec.port.rules import Context, Outcome, Rule, group, inert

PLAIN = plain()
STAGES: Mapping[str, tuple[str, ...]] = {
    "pref_beta": ("dpo", "kto"),
    "pref_ftx": ("dpo", "kto"),
    "pref_loss": ("dpo",),
    "pref_bco_weight": ("dpo",),
    "dpo_label_smoothing": ("dpo",),
    "simpo_gamma": ("dpo",),
    "ld_alpha": ("dpo",),
    "kto_chosen_weight": ("kto",),
    "kto_rejected_weight": ("kto",),
}
"""Keys that only these stages read."""
SWITCHES: Mapping[str, tuple[str, ...]] = {
    "use_apollo": (
        "apollo_target", "apollo_rank", "apollo_update_interval", "apollo_scale", "apollo_proj",
        "apollo_proj_type", "apollo_scale_type", "apollo_layerwise", "apollo_scale_front",
    ),
    "use_badam": ("badam_update_ratio", "badam_mask_mode", "badam_verbose"),
    "use_asft_loss": ("asft_alpha",),
    "use_eaft_loss": ("eaft_alpha",),
    "use_kt": (
        "kt_weight_path", "kt_expert_checkpoint_path", "kt_use_lora_experts", "kt_lora_expert_num",
        "kt_lora_expert_intermediate_size",
    ),
    "use_hyper_parallel": ("hyper_parallel_args",),
    "quantization_bit": ("quantization_type", "double_quantization"),
    "pissa_init": ("pissa_iter", "pissa_convert"),
    "loraplus_lr_ratio": ("loraplus_lr_embedding",),
    "streaming": ("buffer_size",),
}  # fmt: skip
"""Keys that nothing reads while the switch is off."""


def _of_stage(setting: Setting, context: Context) -> Outcome:
    stages = STAGES[setting.key]
    if context.get("stage") in stages:
        return PLAIN(setting, context)
    return Outcome("inert", why=f"only the stage {' or '.join(stages)} reads it")


def _behind(switch: str) -> Rule:
    def rule(setting: Setting, context: Context) -> Outcome:
        if context.get(switch):
            return PLAIN(setting, context)
        return Outcome("inert", why=f"nothing reads it without {switch}")

    return rule


def _reference(setting: Setting, context: Context) -> Outcome:
    if context.get("stage") in ("dpo", "kto", "ppo") or context.get("use_asft_loss"):
        return PLAIN(setting, context)
    return Outcome("inert", why="this stage measures from no other model")


def idle_rules() -> dict[str, Rule]:
    """One for each of these keys."""
    return {
        **dict.fromkeys(STAGES, _of_stage),
        **{key: _behind(switch) for switch, keys in SWITCHES.items() for key in keys},
        **dict.fromkeys(
            ("ref_model", "ref_model_adapters", "ref_model_quantization_bit"), _reference
        ),
        **group(
            "what is shown or kept, not what is trained",
            "use_swanlab",
            "swanlab_project",
            "swanlab_workspace",
            "swanlab_run_name",
            "swanlab_mode",
            "swanlab_logdir",
            "swanlab_lark_webhook_url",
            "enable_torch_profiler",
            "profiler_active_steps",
            "profiler_output_dir",
            "profiler_profile_memory",
            "profiler_record_shapes",
            "profiler_repeat",
            "profiler_wait_steps",
            "profiler_warmup_steps",
            "profiler_with_stack",
            "profile_modules",
            "compute_accuracy",
        ),
        **group(
            "for generation, not for training",
            "do_sample",
            "num_beams",
            "length_penalty",
            "max_length",
            "skip_special_tokens",
            "generation_config",
            "generation_max_length",
            "generation_num_beams",
            "eval_num_beams",
            "infer_dtype",
            "vllm_config",
            "vllm_config.",
            "vllm_enforce_eager",
            "vllm_gpu_util",
            "vllm_max_lora_rank",
            "vllm_maxlen",
            "sglang_config",
            "sglang_config.",
            "sglang_lora_backend",
            "sglang_maxlen",
            "sglang_mem_fraction",
            "sglang_tp_size",
            "use_kv_cache",
        ),
        **group(
            "only `llamafactory-cli export` reads it",
            "export_dir",
            "export_size",
            "export_device",
            "export_quantization_bit",
            "export_quantization_dataset",
            "export_quantization_nsamples",
            "export_quantization_maxlen",
            "export_legacy_format",
            "export_hub_model_id",
        ),
        **group(
            "sound and film are out of scope: rows with any are refused",
            "audio_sampling_rate",
            "use_audio_in_video",
        ),
        **group(
            "both ways recompute the same activations: disable_gradient_checkpointing decides whether",
            "gradient_checkpointing",
            "gradient_checkpointing_kwargs",
            "gradient_checkpointing_kwargs.",
            "use_unsloth_gc",
        ),
        "offload_folder": inert("where weights lie, not what they are"),
    }
