"""What a name that is no field may have meant: a neighbour, another section, another tool's."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from ftspec.spec.base import Node
from ftspec.spec.planned import title
from ftspec.spec.root import Spec
from ftspec.spec.vocabulary import field_names, sections, tag

BATCH = (
    "a spec gives the global batch, `train.batch_size`; accumulation is "
    "batch_size / (micro_batch_size x devices x nodes) and follows from it"
)
LATER = "this is not in this version of ftspec yet"

EXPORT = (
    "a copy of the result in few bits is `output.quantization`: nf4, fp4 or int8 by bitsandbytes, or what "
    "`train.qat` trained for; other formats are made by the program that will serve the model"
)
SHIFTED = (
    "LoRA with shifted attention is not in this version of ftspec: LLaMA-Factory alone has it, for "
    "transformers before 4.48, and its lock has a later one"
)
DEPTHS = (
    "mixture of depths is not in this version of ftspec: LLaMA-Factory alone has it, by a package that is "
    "not in its lock"
)

FOREIGN: Mapping[str, str] = {
    # what other tools call it -> our path, or a sentence
    "stages": "this spec is one run; several are a list `stages` at the top: docs/stages.md",
    "write": "a stage writes before it trains: it stands in an item of `stages`, docs/stages.md",
    "accumulation_steps": BATCH,
    "gradient_accumulation": BATCH,
    "gradient_accumulation_steps": BATCH,
    "per_device_train_batch_size": "train.micro_batch_size",
    "train_micro_batch_size_per_gpu": "train.micro_batch_size",
    "per_device_eval_batch_size": "train.micro_batch_size",
    "train_batch_size": "train.batch_size",
    "global_batch_size": "train.batch_size",
    "lr": "train.learning_rate",
    "num_train_epochs": "train.epochs",
    "num_epochs": "train.epochs",
    "n_epochs": "train.epochs",
    "max_steps": "train.steps",
    "num_steps": "train.steps",
    "scheduler": "train.schedule",
    "lr_scheduler": "train.schedule",
    "lr_scheduler_type": "train.schedule",
    "lr_scheduler_kwargs": "arguments stand beside the word: `schedule: {type: cosine, min_ratio: 0.1}`",
    "num_cycles": "train.schedule.cycles",
    "min_lr_rate": "train.schedule.min_ratio",
    "min_lr_ratio": "train.schedule.min_ratio",
    "cosine_min_lr_ratio": "train.schedule.min_ratio",
    "num_stable_steps": "train.schedule.stable_steps",
    "num_decay_steps": "train.schedule.decay_steps",
    "warmup": "say `train.warmup_steps` (a count) or `train.warmup_ratio` (a share)",
    "optim": "train.optimizer",
    "optim_args": "settings stand beside the word: `optimizer: {type: sgd, momentum: 0.9}`",
    "adam_beta1": "train.optimizer.beta1",
    "adam_beta2": "train.optimizer.beta2",
    "adam_epsilon": "train.optimizer.eps",
    "betas": "say `train.optimizer.beta1` and `train.optimizer.beta2`",
    "gradient_clipping": "train.max_grad_norm",
    "clip_grad_norm": "train.max_grad_norm",
    "label_smoothing_factor": "train.label_smoothing",
    "neftune_noise_alpha": "train.neftune_alpha",
    "save_strategy": "train.save_steps",
    "eval_strategy": "train.eval_steps",
    "evaluation_strategy": "train.eval_steps",
    "resume_from_checkpoint": "train.resume",
    "random_state": "train.seed",
    "use_gradient_checkpointing": "train.gradient_checkpointing",
    "embedding_lr": "train.embedding_learning_rate",
    "train_sampling_strategy": "say `data.shuffle`, or `data.group_by_length`",
    "curriculum_sampling": "data.shuffle",
    "disable_shuffling": "data.shuffle",
    "r": "method.tuner.rank",
    "lora_r": "method.tuner.rank",
    "lora_rank": "method.tuner.rank",
    "lora_alpha": "method.tuner.alpha",
    "lora_dropout": "method.tuner.dropout",
    "lora_bias": "method.tuner.bias",
    "lora_target": "method.tuner.targets",
    "lora_target_modules": "method.tuner.targets",
    "lora_target_linear": "`method.tuner.targets: all-linear` means each linear layer but the head",
    "target_modules": "method.tuner.targets",
    "lora_modules_to_save": "method.tuner.modules_to_save",
    "additional_target": "method.tuner.modules_to_save",
    "use_rslora": "method.tuner.rslora",
    "peft_use_rslora": "method.tuner.rslora",
    "use_dora": "method.tuner.dora",
    "peft_use_dora": "method.tuner.dora",
    "init_lora_weights": "method.tuner.init",
    "peft_init_lora_weights": "method.tuner.init",
    "pissa_init": "`method.tuner.init: pissa` is what `true` meant",
    "pissa_iter": "method.tuner.init.iterations",
    "loraplus_lr_ratio": "method.tuner.plus_ratio",
    "lora_plus_ratio": "method.tuner.plus_ratio",
    "loraplus_lr_embedding": "method.tuner.plus_embedding_rate",
    "exclude_modules": "method.tuner.exclude",
    "layers_to_transform": "method.tuner.layers",
    "peft_layers_to_transform": "method.tuner.layers",
    "target_parameters": "method.tuner.parameters",
    "lora_target_parameters": "method.tuner.parameters",
    "trainable_token_indices": "method.tuner.trainable_tokens",
    "peft_trainable_token_indices": "method.tuner.trainable_tokens",
    "lora_model_dir": "method.tuner.adapter",
    "adapter_name_or_path": "method.tuner.adapter",
    "finetuning_type": "method.tuner",
    "freeze_trainable_layers": "`last_layers` of the partial tuner; negative: `first_layers`",
    "use_llama_pro": "`expanded_layers` of the partial tuner",
    "freeze_trainable_modules": "`modules` of the partial tuner",
    "freeze_extra_modules": "`embeddings`, `head` and `norms` of the partial tuner",
    "unfrozen_parameters": r"`patterns` of the partial tuner; a dot of a name is `\.` there",
    "peft_config": "method.tuner",
    "stage": "method.objective",
    "rl": "method.objective",
    "cutoff_len": "data.max_length",
    "max_len": "data.max_length",
    "max_seq_len": "data.max_length",
    "max_seq_length": "data.max_length",
    "model_max_length": "data.max_length",
    "sequence_len": "data.max_length",
    "sequence_length": "data.max_length",
    "dataset": "data.train",
    "datasets": "data.train",
    "train_file": "data.train",
    "eval_dataset": "data.eval",
    "test_datasets": "data.eval",
    "val_set_size": "data.eval_size",
    "val_size": "data.eval_size",
    "test_size": "data.eval_size",
    "test_split_size": "data.eval_size",
    "max_samples": "`limit` of each source in `data.train`",
    "num_samples": "`limit` of each source in `data.train` takes the first rows",
    "train_on_inputs": "`data.train_on: all` is what `true` meant, `assistant` what `false` meant",
    "train_on_prompt": "`data.train_on: all` is what `true` meant, `assistant` what `false` meant",
    "train_on_eos": "`data.turn_part: ended` trains the ends of trained turns, `said` none",
    "train_on_eot": "`data.turn_part: ended` trains the ends of trained turns, `said` none",
    "eot_tokens": "data.turn_ends",
    "message_field_training": "data.turn_flag",
    "completion_only_loss": "data.train_on",
    "assistant_only_loss": "data.train_on",
    "load_in_4bit": "say `model.quantization: nf4`, or `fp4`",
    "load_in_8bit": "say `model.quantization: int8`",
    "quantization_bit": "say `model.quantization: nf4`, `fp4` or `int8`",
    "quantization_type": "model.quantization",
    "quantization_config": "model.quantization",
    "bnb_4bit_quant_type": "model.quantization",
    "bnb_4bit_use_double_quant": "model.quantization.double",
    "double_quantization": "model.quantization.double",
    "double_quant": "model.quantization.double",
    "quantize_moe_experts": "model.quantization.experts",
    "bnb_4bit_quant_storage": "model.quantization.storage",
    "bnb_4bit_compute_dtype": "that follows from `precision.compute`",
    "sample_packing": "`data.packing: documents` is what it meant",
    "neat_packing": "data.packing",
    "packing_strategy": "data.packing",
    "padding_free": "data.packing",
    "qat": "train.qat",
    "qat_scheme": "train.qat",
    "quantization_aware_training": "train.qat",
    "fake_quant": "train.qat",
    "export_quantization_bit": EXPORT,
    "quantized_export": EXPORT,
    "gguf": EXPORT,
    "shift_attn": SHIFTED,
    "s2_attention": SHIFTED,
    "longlora": SHIFTED,
    "mixture_of_depths": DEPTHS,
    "bf16": "precision.compute",
    "fp16": "precision.compute",
    "fp32": "precision.compute",
    "pure_bf16": "say `precision: bf16-pure`",
    "torch_dtype": "model.dtype",
    "base_model": "model.name",
    "model_name": "model.name",
    "model_id": "model.name",
    "model_name_or_path": "model.name",
    "attn_implementation": "model.attention",
    "flash_attention": "model.attention",
    "flash_attn": "model.attention",
    "template": "model.chat_template",
    "chat_template_path": "model.chat_template",
    "chat_template_kwargs": "model.template_options",
    "enable_thinking": "model.template_options",
    "default_system": "data.system",
    "system_prompt": "data.system",
    "loss_type": "method.objective.loss",
    "pref_loss": "method.objective.loss",
    "pref_beta": "method.objective.beta",
    "dpo_beta": "method.objective.beta",
    "dpo_label_smoothing": "method.objective.label_smoothing",
    "pref_ftx": "method.objective.sft_weight",
    "rpo_alpha": "method.objective.sft_weight",
    "loss_weights": "`method.objective.sft_weight` is the weight of the likelihood beside the loss",
    "ref_model": "method.objective.reference",
    "precompute_ref_log_probs": "method.objective.precompute_reference",
    "use_dft_loss": "`method.objective: {type: sft, loss: dft}` is what it meant",
    "load_best_model_at_end": "`train.keep: best` is what it means",
    "early_stopping_patience": "train.early_stopping",
    "early_stopping_steps": "train.early_stopping",
    "prompt_loss_weight": "method.objective.prompt_weight",
    "moe_aux_loss_coef": "model.experts.balance_loss",
    "router_aux_loss_coef": "model.experts.balance_loss",
    "aux_loss_coef": "model.experts.balance_loss",
    "context_parallel_size": "hardware.sequence_parallel",
    "sequence_parallel_size": "hardware.sequence_parallel",
    "autotp_size": "hardware.tensor_parallel",
    "tp_size": "hardware.tensor_parallel",
    "tensor_parallel_size": "hardware.tensor_parallel",
    "tensor_model_parallel_size": "hardware.tensor_parallel",
    "leaf_module": "hardware.zero.leaf_modules",
    "nvme_path": "hardware.zero.offload_folder",
    "bos_token": "model.special_tokens.bos",
    "eos_token": "model.special_tokens.eos",
    "pad_token": "model.special_tokens.pad",
    "unk_token": "model.special_tokens.unk",
    "add_tokens": "model.new_tokens",
    "add_special_tokens": "model.new_tokens",
    "additional_special_tokens": "model.new_tokens",
    "resize_vocab": "embeddings grow where `model.new_tokens` needs more rows",
    "resize_token_embeddings_to_32x": "model.new_tokens.multiple",
    "mean_resizing_embeddings": "model.new_tokens.init",
    "freeze_vision_tower": "`model.images.train`: without `vision` the tower stays as it is",
    "freeze_multi_modal_projector": "`model.images.train`: without `projector`",
    "freeze_language_model": "`model.images.train`: without `language`",
    "finetune_vision_layers": "`model.images.train`: with `vision`",
    "finetune_language_layers": "`model.images.train`: with `language`",
    "mask_image_tokens": "`model.images.learned: false`",
    "image_max_pixels": "model.images.max_pixels",
    "image_min_pixels": "model.images.min_pixels",
    "media_dir": "paths of images start at the folder of the data file",
    "rope_scaling": "model.rope",
    "rope_parameters": "model.rope",
    "rope_type": "model.rope.type",
    "rope_theta": "model.rope.theta",
    "original_max_position_embeddings": "model.rope.original_length",
    "fsdp": "hardware.fsdp",
    "fsdp_config": "hardware.fsdp",
    "fsdp_version": "hardware.fsdp.version",
    "fsdp_sharding_strategy": "hardware.fsdp.sharding_strategy",
    "reshard_after_forward": "`hardware.fsdp.sharding_strategy`: full_shard is true, shard_grad_op false",
    "fsdp_offload_params": "hardware.fsdp.offload_parameters",
    "offload_params": "hardware.fsdp.offload_parameters",
    "fsdp_transformer_layer_cls_to_wrap": "hardware.fsdp.transformer_layer_cls_to_wrap",
    "deepspeed": "hardware.zero",
    "zero_stage": "hardware.zero.stage",
    "zero_optimization": "hardware.zero",
    "num_gpus": "hardware.devices",
    "gpus": "hardware.devices",
    "nproc_per_node": "hardware.devices",
    "nnodes": "hardware.nodes",
    "output_dir": "output.folder",
    "report_to": "output.trackers",
    "use_wandb": "output.trackers",
    "wandb_project": "output.trackers",
    "push_to_hub": "output.hub",
    "hub_model_id": "output.hub.repo",
    "hub_private_repo": "output.hub.private",
    "backend": "run.backends",
}
FOREIGN_WORDS: Mapping[str, str] = {
    # what transformers calls an optimizer or a schedule -> our word
    "adamw_torch": "adamw",
    "adamw_torch_fused": "adamw",
    "adamw_hf": "adamw",
    "adam": "adamw",
    "galore_adamw": "galore",
    "adamw_bnb_8bit": "adamw-8bit",
    "adamw_8bit": "adamw-8bit",
    "paged_adamw": "paged-adamw",
    "paged_adamw_32bit": "paged-adamw",
    "paged_adamw_8bit": "paged-adamw-8bit",
    "adamw_torch_8bit": "torchao-adamw-8bit",
    "adamw_torch_4bit": "torchao-adamw-4bit",
    "lion_32bit": "lion",
    "lion_8bit": "lion-8bit",
    "paged_lion_32bit": "paged-lion",
    "paged_lion_8bit": "paged-lion-8bit",
    "cosine_with_restarts": "cosine-restarts",
    "cosine_with_min_lr": "cosine",
    "constant_with_warmup": "constant",
    "inverse_sqrt": "inverse-sqrt",
    "warmup_stable_decay": "warmup-stable-decay",
    "wsd": "warmup-stable-decay",
}
UNAVAILABLE: Mapping[str, str] = {
    "apollo": "its package may not be used commercially (CC BY-NC 4.0), so no environment holds it",
    "adam-mini": "its package names two licences that contradict each other, so no environment holds it",
    "schedule-free": LATER,
    "ademamix": LATER,
    "stable-adamw": LATER,
    "lomo": LATER,
}
"""Optimizers that some backend has and a spec has not, and why."""


def label(model: type[Node], section: str) -> str:
    """What a section is called in a message: `the full tuner`, `train`, `the spec`."""
    if model is Spec:
        return "the spec"
    word = tag(model)
    return f"the {word} {section.rpartition('.')[2]}" if word else f"`{section}`"


def suggest(name: str, model: type[Node], section: str) -> str:
    """A hint for a name that is no field of this model."""
    siblings = tuple(model.model_fields)
    near, afar = close(name, siblings), close(name, field_names(), 0.75)
    home = next((place for place in sections(name) if place[1] is not model), None)
    if home and name not in COMMON:
        hint = _belongs(name, *home, section)
    elif known := _foreign(name) or _variant(name):
        hint = known
    elif near:
        hint = f"did you mean `{near}`?"
    elif home:
        homes = dict.fromkeys(place for place, owner in sections(name) if owner is not model)
        places = [place for place in homes if place.startswith(f"{section}.")] or homes
        hint = f"`{name}` belongs to {' or '.join(f'`{place}`' for place in places)}"
    elif afar:
        hint = _belongs(afar, *sections(afar)[0], section, "did you mean ")
    else:
        hint = f"fields here: {', '.join(siblings)}"
    return hint


COMMON = frozenset({"type", "name", "path", "train", "eval"})
"""Names so short that a neighbour is meant as often as the field of another section."""


def _foreign(name: str) -> str | None:
    meant = FOREIGN.get(name.lower().replace("-", "_"))
    return f"that is `{meant}` here" if meant and " " not in meant else meant


def close(word: str, words: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The nearest of some words, None where nothing is near."""
    folded = {known.lower(): known for known in words}
    found = difflib.get_close_matches(word.lower().replace("-", "_"), folded, n=1, cutoff=cutoff)
    found = found or difflib.get_close_matches(word.lower(), folded, n=1, cutoff=cutoff)
    return folded[found[0]] if found else None


def _belongs(name: str, home: str, owner: type[Node], section: str, lead: str = "") -> str:
    word = tag(owner)
    if word and home == section:
        return f"{lead}`{name}` belongs to {word}: write `type: {word}`"
    if lead:
        return f"{lead}`{home}.{name}`?".replace("`.", "`")
    return f"`{name}` belongs to `{home}`" if home else f"`{name}` belongs to the top of the spec"


def _variant(name: str) -> str | None:
    for home, owner in sections("type"):
        if tag(owner) == name:
            return f"name it with `{home}: {name}`, or `{home}: {{type: {name}, ...}}` with fields"
    if meaning := title(name):
        return f"{meaning}: {LATER}"
    return None
