"""What a run is: versions, arguments, dtypes, the adapter."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import platform
from typing import Any

from .values import Recorder, canonical, held, plain, sha256

SCHEMA = 1
PACKAGES = (
    *("torch", "transformers", "peft", "accelerate", "trl", "datasets", "tokenizers", "numpy"),
    *("safetensors", "deepspeed", "unsloth", "unsloth_zoo", "llamafactory", "bitsandbytes"),
    "axolotl",
)
ARGUMENTS = (
    *("seed", "data_seed", "per_device_train_batch_size", "gradient_accumulation_steps"),
    *("max_steps", "num_train_epochs", "learning_rate", "lr_scheduler_type", "warmup_steps"),
    *("weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "optim", "max_grad_norm"),
    *("optim_args", "lr_scheduler_kwargs"),
    *("label_smoothing_factor", "neftune_noise_alpha", "bf16", "fp16", "gradient_checkpointing"),
    *("dataloader_num_workers", "dataloader_drop_last", "average_tokens_across_devices"),
)
"""Training arguments that explain a difference. No paths, no names, no tokens."""
ADAPTER = (
    *("peft_type", "r", "lora_alpha", "lora_dropout", "bias", "use_rslora", "use_dora"),
    "init_lora_weights",
)


def fingerprint() -> str:
    """Which random numbers would come next. Reading the state does not draw."""
    import torch

    digest = hashlib.sha256(torch.get_rng_state().numpy().tobytes())
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        digest.update(torch.cuda.get_rng_state().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def versions() -> dict[str, str]:
    """What is installed here, of the packages that decide numbers."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def angles(model: Any) -> str:
    """Which rotary angles the model turns by: a hash of its frequencies, and of their scale."""
    found = [
        (canonical(name), sha256(m.inv_freq), float(getattr(m, "attention_scaling", 1.0)))
        for name, m in model.named_modules()
        if hasattr(getattr(m, "inv_freq", None), "detach")
    ]
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16] if found else ""


def balance(model: Any) -> float:
    """The weight of a mixture's balance loss, as the model's forward pass has it; 0 where it has none."""
    config = model.config.get_text_config()
    on = getattr(config, "output_router_logits", False)
    return float(getattr(config, "router_aux_loss_coef", 0.0) or 0.0) if on else 0.0


def record_setting(recorder: Recorder, args: Any, state: Any, model: Any, loader: Any) -> None:
    """Versions, threads, dtypes, the arguments that explain differences, the adapter's settings."""
    import torch

    recorder.put(
        "setting",
        schema=SCHEMA,
        versions=versions(),
        threads=torch.get_num_threads(),
        processes=args.world_size,
        cpu=torch.backends.cpu.get_cpu_capability(),
        # not where the weights lie: an engine may keep them in CPU memory between steps
        device=torch.cuda.get_device_name() if args.device.type == "cuda" else "cpu",
        model=type(model).__name__,
        attention=getattr(model.config, "_attn_implementation", None),
        angles=angles(model),
        balance=balance(model),
        leaves=sorted({type(m).__name__ for m in model.modules() if getattr(m, "_z3_leaf", 0)}),
        vocabulary=getattr(model.config, "vocab_size", None),
        dtypes=sorted({held(p) for p in model.parameters()}),
        config=type(args).__name__,
        max_steps=state.max_steps,
        rows=len(loader.dataset) if hasattr(loader.dataset, "__len__") else None,
        args={name: plain(getattr(args, name, None)) for name in ARGUMENTS},
    )
    config = getattr(model, "peft_config", {}).get("default")
    settings = {name: plain(getattr(config, name, None)) for name in ADAPTER} if config else {}
    scaled = [
        (n, m) for n, m in model.named_modules() if isinstance(getattr(m, "scaling", 0), dict)
    ]
    factors = {canonical(name): plain(module.scaling.get("default")) for name, module in scaled}
    recorder.put("adapter", config=settings, scaling=factors)
