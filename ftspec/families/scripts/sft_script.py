"""Rows of the supervised script that TRL, DeepSpeed and Unsloth share.

trl's SFTConfig around transformers' TrainingArguments, a model by name, peft's LoraConfig.

Names and defaults: trl 1.15 and 1.16, trainer/sft_config.py; checked against schemas/native/*.json.
Keys are `Call.argument`, as they stand in the emitted script.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ftspec.families.objectives.supervised import objective_row, token_loss_rows
from ftspec.families.rows.packing import packing_row
from ftspec.families.rows.script_data import data_rows
from ftspec.families.rows.template import template_rows
from ftspec.families.training.best import STOPPING, stopping_row
from ftspec.families.training.embeddings import embedding_row
from ftspec.families.training.fsdp import RECOMPUTES
from ftspec.families.training.hf_trainer import training_rows
from ftspec.families.training.launch import launch_rows
from ftspec.families.training.steps import step_rows
from ftspec.families.tuners.adapters import adapter_rows, lower_tuner
from ftspec.families.tuners.loraplus import plus_rows
from ftspec.families.tuners.partial import partial_rows
from ftspec.families.tuners.peft import lora_rows
from ftspec.families.weights.experts import expert_rows
from ftspec.families.weights.rope import rope_rows
from ftspec.families.weights.tokens import new_row, special_rows
from ftspec.mapping import MISSING, Refuse, Row, constant, field, only, ours, unsupported

CONFIG = "SFTConfig."
TRL_DEFAULTS = {"learning_rate": 2e-5, "logging_steps": 10, "bf16": True}
"""Where trl's SFTConfig assumes otherwise than transformers (bf16: None, which comes to True)."""
SAVED = "method.tuner.modules_to_save"
OWN_PATHS = (
    "version",
    "run.backends",
    "run.environment",
    "run.telemetry",
    "native",
)
"""Paths that ftspec answers for itself: who runs, where, with how many processes."""


def loss_rows() -> tuple[Row, ...]:
    """The loss, and what disturbs it on purpose."""
    return (
        *token_loss_rows(),
        constant(f"{CONFIG}use_liger_kernel", False, "other kernels round otherwise", absent=False),
        packing_row(CONFIG),
        constant(
            f"{CONFIG}shuffle_dataset",
            False,
            "rows are drawn by the seeded sampler alone",
            absent=False,
        ),
    )


def checkpointing_rows() -> tuple[Row, ...]:
    """Gradient checkpointing as TrainingArguments has it."""
    return (
        Row(
            ("train.gradient_checkpointing",),
            (f"{CONFIG}gradient_checkpointing", f"{CONFIG}gradient_checkpointing_kwargs"),
            _lower_checkpointing,
            lambda on, _kwargs, engine: bool(on or engine),
            uses=("hardware.fsdp.activation_checkpointing",),
            reads=(RECOMPUTES,),
            absent=(True, None),
        ),
    )


def model_rows() -> tuple[Row, ...]:
    """The model, by name: SFTTrainer loads it with these arguments."""
    return (
        field("model.name", "model.name"),
        field("model.revision", "model.revision", absent="main"),
        field("model.dtype", "model.dtype", absent="float32"),
        field("model.attention", "model.attn_implementation"),
        field("model.trust_remote_code", "model.trust_remote_code", absent=False),
        *special_rows(),
        new_row(),
        *rope_rows(),
        *expert_rows(CONFIG),
        *template_rows(CONFIG),
        Row(
            ("train.resume",),
            ("train.resume_from_checkpoint",),
            lambda folder: MISSING if folder is None else folder,
            lambda folder: folder,
            absent=(None,),
        ),
    )


def tuner_rows() -> tuple[Row, ...]:
    """Full tuning, a part of the weights, a new LoRA adapter, or a saved one trained further."""
    return (
        objective_row("sft"),
        Row(
            ("method.tuner.type",),
            ("tuner",),
            lower_tuner,
            lambda tuner: tuner,
            uses=("model.quantization.type",),
        ),
        *only(
            "method.tuner.type",
            "lora",
            Row(
                ("method.tuner.adapter",),
                ("model.adapter",),
                lambda adapter: MISSING if adapter is None else adapter,
                lambda adapter: adapter,
                absent=(None,),
            ),
            *(adapted(row) for row in lora_rows("LoraConfig.")),
            *plus_rows(CONFIG),
        ),
        *partial_rows(),
        *adapter_rows(),
    )


def adapted(row: Row) -> Row:
    """A LoRA row that writes nothing where a saved adapter's own configuration decides."""

    def lower(*values: Any) -> Any:
        *own, adapter, dtype, stored = values
        held = stored if dtype == "auto" else dtype
        if row.paths == (SAVED,) and own[0] and held != "float32":
            raise Refuse(
                "modules that are trained in full beside an adapter have the model's own type in a spec, and "
                "only in float32 were they seen to train alike here",
                "notimpl",
                "model.dtype: float32; or run.backends: trl",
            )
        if adapter is None:
            return row.lower(*own)
        return MISSING if len(row.keys) == 1 else (MISSING,) * len(row.keys)

    uses = (*row.uses, "method.tuner.adapter", "model.dtype", "derived.stored_dtype")
    return replace(row, lower=lower, uses=uses)


def saved_row() -> Row:
    """Modules beside an adapter, where peft and the trainer leave them the model's own type."""

    def lower(
        modules: tuple[str, ...],
        adapter: str | None,
        dtype: str,
        stored: str | None,
        compute: str,
        strategy: str | None,
    ) -> Any:
        held = stored if dtype == "auto" else dtype
        if modules and held != "float32" and strategy is not None:
            raise Refuse(
                "under FSDP accelerate turns weights that train into float32 (utils/fsdp_utils.py); modules "
                "beside an adapter have the model's own type in a spec",
                "notyet",
                "model.dtype: float32, or leave method.tuner.modules_to_save out",
            )
        if modules and held != "float32" and (held == "float16" or compute != "bf16"):
            raise Refuse(
                "modules that are trained in full beside an adapter have the model's own type: 16 bits train "
                "under bf16 alone, since torch scales no gradients that are float16 themselves",
                "notyet",
                "model.dtype: float32; or precision: bf16 and model.dtype: bfloat16",
            )
        return MISSING if adapter is not None else list(modules) or None

    (row,) = (row for row in lora_rows("LoraConfig.") if row.paths == (SAVED,))
    uses = (
        *("method.tuner.adapter", "model.dtype", "derived.stored_dtype", "precision.compute"),
        "hardware.fsdp.sharding_strategy",
    )
    return only("method.tuner.type", "lora", replace(row, lower=lower, uses=uses))[0]


def shared_rows() -> tuple[Row, ...]:
    """All of the above: what a script backend starts from."""
    return (
        *model_rows(),
        *data_rows(),
        *tuner_rows(),
        *checkpointing_rows(),
        *loss_rows(),
        *training_rows(CONFIG, TRL_DEFAULTS),
        *step_rows(),
        embedding_row(),
        stopping_row(STOPPING),
        *launch_rows(),
        *ours(*OWN_PATHS),
    )


def _lower_checkpointing(on: bool, engine: bool | None) -> tuple[bool, Any]:
    if engine:  # FSDP recomputes, and transformers takes only one of the two (trainer.py)
        return False, MISSING
    # non-reentrant: the variant torch recommends, and the only one all backends share
    return on, {"use_reentrant": False} if on else MISSING


def no_sequences(reason: str) -> Row:
    """Refusal of a backend in which no devices share a row."""
    return unsupported(
        "hardware.sequence_parallel", reason, "notyet", (1,), "run.backends: deepspeed"
    )


def no_zero(title: str) -> tuple[Row, ...]:
    """Refusals of a backend that does not shard."""
    why = f"{title} alone does not shard; the deepspeed backend does"
    return (
        unsupported(
            "hardware.zero.stage", why, "never", neutral=(None, 0), hint="run.backends: deepspeed"
        ),
        unsupported("hardware.zero.offload_optimizer", why, "never", neutral=(None, False)),
        unsupported("hardware.zero.offload_parameters", why, "never", neutral=(None, False)),
        unsupported("hardware.zero.offload_folder", why, "never"),
        unsupported("hardware.zero.leaf_modules", why, "never"),
    )
