"""Spec paths <-> ds_config.json, beside the arguments of the shared TRL script."""

from __future__ import annotations

from dataclasses import replace

from ftspec.families.maps import Maps, everything
from ftspec.families.objectives.preference import Bar
from ftspec.families.objectives.reward import NO_STAGE_3
from ftspec.families.objectives.supervised import unanchored
from ftspec.families.rows.images import no_images
from ftspec.families.scripts.sft_script import CONFIG, shared_rows
from ftspec.families.training.fsdp import no_fsdp
from ftspec.families.training.tensors import tensor_row
from ftspec.families.training.zero import ENGINE, sharded, zero_rows
from ftspec.families.tuners.adapters import lower_tuner
from ftspec.families.weights.engine import AUTOCAST, precision_row
from ftspec.families.weights.float8 import no_float8
from ftspec.families.weights.qat import NO_TORCHAO, copy_row, no_qat
from ftspec.families.weights.quantised import quantisation_rows
from ftspec.families.weights.stored import scripted_row
from ftspec.mapping import FieldMap, Refuse, Row, checked, constant, only, replaced, unsupported
from ftspec.spec.precision import WEIGHTS
from ftspec_deepspeed.sequences import sequence_row
from ftspec_deepspeed.tensors import ACROSS, COUNTS, counted_row

SEEN = Bar(
    lambda compute: compute not in WEIGHTS,
    "weights in 16 bits were seen to train from demonstrations alone",
    "notimpl",
    "precision: bf16",
)


def _lower_tuner(tuner: str, quantised: str | None) -> str:
    if tuner == "adalora":
        raise Refuse(
            "the engine makes its step inside of the backward pass, and gradients are gone when ranks "
            "should be allotted by them",
            "notyet",
            "run.backends: trl",
        )
    return lower_tuner(tuner, quantised)


def stepped(row: Row) -> Row:
    """The row of the tuner without those that need more of a step; other rows as they are."""
    return replace(row, lower=_lower_tuner) if row.paths == ("method.tuner.type",) else row


def _check_init(kind: str, device: str) -> None:
    if kind == "eva" and device != "cpu":
        raise Refuse(
            "the model is in CPU memory still when EVA runs it, and gathers what it saw by NCCL, which "
            "takes nothing from there: it stops",
            "notyet",
            "run.backends: trl",
        )


def moved_late(row: Row) -> Row:
    """The row of how an adapter begins; the engine moves a model to the GPU after that."""
    begins = row.paths[:1] == ("method.tuner.init.type",)
    return checked(row, _check_init, "hardware.device") if begins else row


TWO = "a second model beside the engine's, which says what it was, is not compiled for it yet"
PRECISE = {*precision_row(CONFIG).paths}
COUNTED = f"{CONFIG}{ACROSS}"
SFT = FieldMap(
    "deepspeed",
    (
        *replaced(
            (
                unanchored(moved_late(stepped(sharded(row))), TWO)
                for row in shared_rows()
                if not (PRECISE & {*row.paths} or COUNTED in row.keys)
            ),
            *only(
                "method.tuner.type",
                "oft",
                unsupported(
                    "method.tuner.coft",
                    "constrained OFT sets weights back within the forward pass, behind the engine's back: "
                    "it was seen to end elsewhere than TRL",
                    neutral=(False,),
                ),
            ),
        ),
        scripted_row(),
        *quantisation_rows(AUTOCAST, absent=False),
        sequence_row(),
        tensor_row(COUNTS),
        counted_row(CONFIG),
        *no_fsdp(
            "DeepSpeed is the other engine: it shards by ZeRO",
            hint="run.backends: trl; or hardware.fsdp: null and hardware.zero: 3",
        ),
        no_float8(),
        no_qat(NO_TORCHAO),
        copy_row(foreseen=False),
        *no_images("models that read images were not seen to be sharded here"),
        constant(f"{CONFIG}deepspeed", ENGINE, "the engine's own settings"),
        *zero_rows(0),
        precision_row(CONFIG),
    ),
)
PAIRED = {
    "precision.compute": SEEN,
    "hardware.zero.stage": Bar(
        lambda stage: stage != 3,
        "under stage 3 pairs and their reference were not seen to train",
        "notimpl",
        "hardware.zero.stage: 2",
    ),
}
SAMPLED = {
    "precision.compute": SEEN,
    "method.objective.generation.engine": Bar(
        lambda engine: engine == "transformers",
        "vLLM is in the lock of the trl backend alone",
        "notimpl",
        "run.backends: trl",
    ),
    "hardware.zero.stage": Bar(
        lambda stage: stage != 3,
        "under stage 3 completions were not seen to be drawn",
        "notimpl",
        "hardware.zero.stage: 2",
    ),
}
MAPS = Maps(everything(SFT, PAIRED, {**NO_STAGE_3, "precision.compute": SEEN}, SAMPLED))
