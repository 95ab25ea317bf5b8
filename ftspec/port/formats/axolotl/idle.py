"""axolotl's settings that change no result, and why."""

from __future__ import annotations

from ftspec.port.fates import Setting
from ftspec.port.formats.axolotl.alone import plugin
from ftspec.port.formats.axolotl.entries import entries
from ftspec.port.formats.axolotl.shared import is_shared
from ftspec.port.formats.axolotl.words import FAST, KERNEL, SHOWN, off_or, said
from ftspec.port.rules import Context, Outcome, Rule, group, inert

KERNELS = ("cut_cross_entropy", "CutCrossEntropyPlugin", "LigerPlugin", "liger", "KernelsPlugin")
TRACKERS = ("SwanLabPlugin", "swanlab", "lm_eval", "LMEvalPlugin")


DERIVED = (
    "which kernels are patched, and on which side rows are padded (loaders/tokenizer.py): positions are "
    "relative, so that results differ by rounding"
)


def _system(_setting: Setting, context: Context) -> Outcome:
    """loaders/tokenizer.py replaces a text of its chatml template, which has had none since 0.5."""
    if any(is_shared(one.get("type")) for one in entries(context)):
        return Outcome("derived", of=("data.system",))
    return Outcome("inert", why="no template of axolotl's has the text that it would replace")


def _plugins(setting: Setting, _context: Context) -> Outcome:
    names = setting.value if isinstance(setting.value, list) else [setting.value]
    other = [
        str(name) for name in names if str(name).rpartition(".")[2] not in (*KERNELS, *TRACKERS)
    ]
    if other:
        return Outcome("unknown", why="; ".join(map(plugin, other)))
    return Outcome("inert", why=KERNEL)


IDLE_RULES: dict[str, Rule] = {
    "plugins": off_or(_plugins),
    "skip_prepare_dataset": off_or(inert("rows are tokenised while it trains: the same rows")),
    "strict": inert("whether axolotl takes unknown keys"),
    "cloud": inert("where it trains: an option of its command line"),
    **group(
        KERNEL, "liger_rope", "liger_rms_norm", "liger_rms_norm_gated", "liger_glu_activation",
        "liger_swiglu", "liger_layer_norm", "liger_cross_entropy", "liger_fused_linear_cross_entropy",
        "lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel", "lora_embedding_kernel", "use_kernels",
        "use_scattermoe", "use_sonicmoe", "experts_implementation", "flash_attn_cross_entropy",
        "flash_attn_fuse_mlp", "flash_attn_rms_norm", "flash_optimum", "flex_attn_compile_kwargs.",
        "cut_cross_entropy", "tiled_mlp", "fused_attn_kernel", "use_glm_dsa_kernels", "batch_flattening",
        "torch_compile", "torch_compile_mode", "torch_compile_backend", "torch_compile_options.",
        "chunked_cross_entropy", "chunked_cross_entropy_num_chunks", "flash_attn_d512", "sdpa_varlen",
        "tiled_mlp_num_shards", "deepcompile", "selective_checkpointing", "selective_checkpointing.",
        "heads_k_stride", "ring_attn_func",
        "gemma4_hybrid_attn_impl", "unsloth_cross_entropy_loss", "unsloth_lora_mlp", "unsloth_lora_qkv",
        "unsloth_lora_o", "sdpa_varlen_packing",
    ),
    **group(
        DERIVED, "is_falcon_derived_model", "is_llama_derived_model", "is_mistral_derived_model",
    ),
    "default_system_message": said(_system),
    **group(
        FAST, "dataset_num_proc", "dataset_processes", "dataloader_num_workers", "dataloader_pin_memory",
        "dataloader_prefetch_factor", "ddp_timeout", "ddp_bucket_cap_mb", "ddp_broadcast_buffers",
        "ddp_find_unused_parameters", "ddp", "low_cpu_mem_usage", "gc_steps", "gc_collect_steps",
        "experimental_skip_move_to_device", "activation_offloading", "layer_offloading", "lora_on_cpu",
        "gradient_checkpointing_kwargs.", "pad_to_sequence_len", "pad_to_multiple_of",
        "qlora_sharded_model_loading", "torch_empty_cache_steps",
        "sample_packing_eff_est", "sample_packing_group_size", "sample_packing_bin_size",
        "sample_packing_seq_len_multiplier", "sample_packing_mp_start_method", "total_num_tokens",
        "eval_batch_size", "tokenizer_use_fast", "local_rank", "device_map", "device_map.", "max_memory",
        "max_memory.", "auto_resume_from_checkpoints", "relora_cpu_offload", "dataset_keep_in_memory",
        "num_dataset_shards_to_save", "gpu_memory_limit", "use_ray", "ray_run_name", "ray_num_workers",
        "resources_per_worker.", "ple_cpu_offload", "preprocess_iterable", "is_preprocess",
        "axolotl_config_path",
    ),
    **group(
        SHOWN, "wandb_entity", "wandb_watch", "wandb_name", "wandb_log_model", "wandb_run_id",
        "wandb_mode", "mlflow_experiment_name", "mlflow_run_name", "hf_mlflow_log_artifacts",
        "use_comet", "comet_workspace", "comet_experiment_key", "comet_mode", "comet_online",
        "comet_project_name", "comet_experiment_config.", "mlflow_tracking_uri", "use_otel_metrics",
        "otel_metrics_host", "otel_metrics_port", "gradio_title", "gradio_share", "gradio_server_name",
        "eval_table_max_new_tokens",
        "gradio_server_port", "gradio_max_new_tokens", "gradio_temperature", "hub_revision",
        "profiler_steps_start", "total_supervised_tokens", "merge_method",
        "trackio_run_name", "trackio_space_id",
        "swanlab_project", "swanlab_experiment_name", "swanlab_description", "swanlab_mode",
        "swanlab_log_completions", "swanlab_completion_log_interval", "swanlab_completion_max_buffer",
        "swanlab_workspace", "swanlab_log_model", "debug", "eval_table_size", "eval_max_new_tokens",
        "save_safetensors", "save_only_model", "hub_strategy", "push_dataset_to_hub", "profiler_steps",
        "include_tokens_per_second", "include_tkps", "save_first_step", "loss_watchdog_threshold",
        "loss_watchdog_patience", "tokenizer_save_jinja_files", "hf_use_auth_token", "merge_lora",
    ),
}  # fmt: skip
