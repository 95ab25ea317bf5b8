"""Tensor parallelism: each layer's weights are cut over devices, by DeepSpeed's AutoTP.

deepspeed 0.19.8, runtime/tensor_parallel/config.py and runtime/engine.py (`_apply_autotp_partitioning`);
accelerate 1.11 hands the devices of one group the same rows (data_loader.py).

The layers that are cut are named, and the output layer is not among them: by the model's own plan it would
be, and trl 1.16 multiplies by `lm_head.weight` itself, so that half of the words were seen to be missing from
the loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ftspec.families.training.launch import TENSORS
from ftspec.mapping import MISSING, Refuse, Row, unsupported

PATH = "hardware.tensor_parallel"
SIZE = "autotp_size"
LAYERS: Mapping[str, Any] = {
    "use_default_specs": False,
    "layer_specs": [
        {"patterns": [r".*\.(q|k|v|gate|up)_proj\.weight$"], "partition_type": "column"},
        {"patterns": [r".*\.(o|down)_proj\.weight$"], "partition_type": "row"},
        # whole on each device, which knows the gradient of its own heads alone
        {
            "patterns": [r".*\.(q|k)_norm\.weight$"],
            "partition_type": "skip",
            "grad_allreduce": True,
        },
    ],
}
"""Which weights are cut along which side."""
FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
"""Models whose layers have these names; qwen3 is the one with norms of heads."""
PLAIN: Mapping[str, Sequence[Any]] = {
    "method.tuner.type": ("full",),
    "method.objective.type": ("sft", "cpt"),
    "method.objective.loss": ("nll", None),
    "method.objective.prompt_weight": (0.0, None),
    "method.objective.average": ("tokens", None),
    "train.optimizer.type": ("adamw",),
    "train.embedding_learning_rate": (None,),
    "train.label_smoothing": (0.0,),
    "train.neftune_alpha": (None,),
    "train.keep": ("last", None),
    # what an evaluation measures is another number where its last batch is not full
    "train.early_stopping": (None,),
    "train.resume": (None,),
    "model.quantization.type": (None,),
    "model.stored.type": (None,),
    "model.experts.balance_loss": (0.0, None),
    "data.packing": (None,),
    "data.group_by_length": (False,),
    "precision.compute": ("fp32", "bf16"),
    "hardware.zero.offload_optimizer": (False, None),
    "hardware.sequence_parallel": (1,),
    "output.quantization": (None,),
}
"""Under which values cut layers were seen to train alike."""
USES = (*PLAIN, "hardware.zero.stage", "derived.model_type", "derived.replicas", "run.environment")


def tensor_row(one_group: str = "", least: int = 0) -> Row:
    """How many devices share each layer; more than one group of them is refused for ``one_group``.

    ``least`` is the first stage of ZeRO under which there is an engine at all.
    """

    def lower(size: int, *uses: Any) -> Any:
        if size == 1:
            return MISSING
        _refuse(dict(zip(USES, uses, strict=True)), one_group, least)
        return {SIZE: size, "partition_config": LAYERS}

    return Row((PATH,), (TENSORS,), lower, shared, uses=USES, absent=(None,))


def shared(section: Any) -> int:
    """How many devices the engine's section says; 1 without one."""
    if section in (None, MISSING):
        return 1
    if section.get("partition_config") != LAYERS:
        raise Refuse("another choice of layers that are cut is not in a spec", "notimpl")
    return int(section[SIZE])


def no_tensors(reason: str, hint: str = "run.backends: deepspeed") -> Row:
    """Refusal of a backend in which no devices share a layer."""
    return unsupported(PATH, reason, "notyet", (1,), hint)


def _refuse(used: Mapping[str, Any], one_group: str, least: int) -> None:
    stage, family = used["hardware.zero.stage"], used["derived.model_type"]
    if stage is None or stage < least:
        raise Refuse("DeepSpeed's engine cuts layers", "notyet", "hardware.zero: 1")
    if stage == 3:
        raise Refuse(
            "transformers 5.6 stops at stage 3 beside it: weights of a checkpoint are not converted there "
            "(integrations/deepspeed.py)",
            "notyet",
            "hardware.zero.stage: 2",
        )
    if used["run.environment"] != "aligned":
        raise Refuse(
            "only with the aligned versions was it seen how tokens are counted over such devices",
            "notimpl",
            "run.environment: aligned",
        )
    if family is not None and family not in FAMILIES:
        raise Refuse(
            f"the layers of models of the type {family} were not seen to be cut", "notimpl"
        )
    if one_group and used["derived.replicas"] > 1:
        raise Refuse(one_group, "notyet", "run.backends: llamafactory")
    if odd := [path for path, values in PLAIN.items() if used[path] not in values]:
        raise Refuse(
            f"layers were not seen to be cut beside {', '.join(f'{p}: {used[p]}' for p in odd)}",
            "notimpl",
            f"{PATH}: 1",
        )
