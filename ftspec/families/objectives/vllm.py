"""Who draws completions: the model that trains, or vLLM beside it."""

from __future__ import annotations

from typing import Any

from ftspec.families.objectives.preference import OBJECTIVE
from ftspec.families.trainers import GRPO, ONLINE_DPO
from ftspec.mapping import MISSING, Refuse, Row

GENERATION = f"{OBJECTIVE}generation."


def engine_row(config: str) -> Row:
    """Who draws: the model that trains, or vLLM beside it, in the same process and on the same GPU.

    trl 1.16, generation/vllm_generation.py and grpo_trainer.py. Where nothing is said here, vLLM's own
    choice holds: the length that the model was made for.
    """
    beside = {
        "vllm_mode": "colocate",
        "vllm_tensor_parallel_size": 1,
        "vllm_model_impl": "vllm",
        "vllm_enable_sleep_mode": False,
        "vllm_structured_outputs_regex": None,
    }
    if config != ONLINE_DPO.prefix:
        beside["vllm_max_model_length"] = None
    if config == GRPO.prefix:
        beside |= {
            "vllm_importance_sampling_correction": True,
            "vllm_importance_sampling_mode": "sequence_mask",
            "vllm_importance_sampling_clip_max": 3.0,
            "vllm_importance_sampling_clip_min": None,
        }
    share = 0.55 if config == ONLINE_DPO.prefix else 0.3

    def lower(engine: str, memory: float, device: str, environment: str) -> tuple[Any, ...]:
        if engine == "transformers":
            return (False, *(MISSING for _ in range(len(beside) + 1)))
        if device == "cpu":
            raise Refuse("vLLM draws on an NVIDIA GPU alone", "never", "hardware.device: cuda")
        if environment == "latest":
            raise Refuse(
                "the lock with vLLM is over the aligned versions",
                "notimpl",
                "run.environment: aligned",
            )
        return (True, memory, *beside.values())

    def lift(vllm: bool, memory: float, *others: Any) -> tuple[str, float]:
        if not vllm:
            return "transformers", 0.3
        for (name, value), other in zip(beside.items(), others, strict=True):
            if other != value:
                raise Refuse(f"{name}={other!r} is not in a spec: it is {value!r}", "notimpl")
        return "vllm", memory

    return Row(
        (f"{GENERATION}engine", f"{GENERATION}memory"),
        tuple(config + name for name in ("use_vllm", "vllm_gpu_memory_utilization", *beside)),
        lower,
        lift,
        uses=("hardware.device", "run.environment"),
        absent=(False, share, *beside.values()),
    )
