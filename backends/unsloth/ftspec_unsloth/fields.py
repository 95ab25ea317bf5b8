"""Spec paths <-> the arguments of an Unsloth script.

Names and defaults: unsloth and unsloth_zoo 2026.10.9 (models/loader.py, cpu/loader.py).
"""

from __future__ import annotations

from dataclasses import replace

from ftspec.families.maps import Maps, answering
from ftspec.families.objectives.preference import Bar, barred
from ftspec.families.objectives.supervised import unanchored
from ftspec.families.rows.images import no_images
from ftspec.families.rows.packing import gathers_on_cpu, packing_row
from ftspec.families.scripts.sft_script import CONFIG, no_sequences, no_zero, shared_rows
from ftspec.families.training.fsdp import no_fsdp
from ftspec.families.training.optimizers import TYPE, lower_type
from ftspec.families.training.tensors import no_tensors
from ftspec.families.weights.float8 import no_float8
from ftspec.families.weights.qat import no_copy, no_qat
from ftspec.families.weights.stored import no_stored
from ftspec.families.weights.tokens import no_new_row
from ftspec.mapping import MISSING, FieldMap, Refuse, Row, choice, replaced, unsupported
from ftspec_unsloth import lora
from ftspec_unsloth.positions import position_rows
from ftspec_unsloth.precision import WHOLE, precision_row
from ftspec_unsloth.quantised import LOAD, dtype_row, other_kernels, quantisation_rows

TUNER = "method.tuner.type"
ADAPT = "get_peft_model."
ALONE = "several processes are not compiled for it yet, so no two can share a row or a layer"


def _lower_optimizer(kind: str, device: str, tuner: str) -> str:
    if device == "cpu" and ("8bit" in kind or kind.startswith("paged-")):
        raise Refuse(
            "its CPU path trains with AdamW instead (unsloth_zoo, cpu/trainer.py)",
            "notyet",
            "hardware.device: cuda, or another train.optimizer",
        )
    return lower_type(kind, device, tuner)


def unchanged(row: Row) -> Row:
    """The row of the optimizer without those that it changes; other rows as they are."""
    return replace(row, lower=_lower_optimizer) if row.paths == (TYPE,) else row


TWO = "a second model beside its own, which says what it was, is not compiled for it yet"


def _one(count: int) -> int:
    if count != 1:
        raise Refuse("several processes are not compiled for it yet", "notimpl")
    return count


def chosen(row: Row) -> Row:
    """The row of the tuner's type, with those it has; other rows as they are."""
    if row.paths != (TUNER,):
        return row
    names = {name: name for name in ("full", "lora", "partial")}
    return choice(TUNER, "tuner", names, otherwise="it makes LoRA adapters and no others")


ENDS = {
    "data.max_length": Bar(
        lambda length: length is not None,
        "its models cut each batch to max_seq_length, which without a number is the model's own "
        "(unsloth/models/llama.py)",
        hint="data.max_length: a number",
    )
}
SFT = FieldMap(
    "unsloth",
    (
        *replaced(
            (
                *barred(
                    (unanchored(unchanged(chosen(row)), TWO) for row in lora.own(shared_rows())),
                    ENDS,
                ),
                *no_zero("Unsloth"),
                *no_fsdp("Unsloth trains on one device, and one has nothing to share"),
                no_sequences(ALONE),
                no_tensors(ALONE),
            ),
            precision_row(),
            unsupported(
                "method.tuner.adapter",
                "it loads a saved adapter with the base model that the adapter's own file names, whatever "
                "model.name says",
            ),
            no_new_row(
                "it grows embeddings by a function of its own, around the mean of the rows that it holds for "
                "trained, and adapters were not seen to train alike over them"
            ),
            *position_rows(),
            dtype_row(),
            gathers_on_cpu(packing_row(CONFIG)),
            Row(("hardware.devices",), (), _one, lambda: 1),
            Row(("hardware.nodes",), (), _one, lambda: 1),
        ),
        no_stored(other_kernels),
        *no_images(
            "on a CPU its FastVisionModel stops (vision models are not supported there), so that no run "
            "could be compared; such scripts are not compiled yet"
        ),
        *quantisation_rows(),
        no_float8(),
        no_qat(
            "its loader has a switch for it, qat_scheme, which its path on a CPU leaves out without a word; "
            "on a GPU it was not seen"
        ),
        no_copy("it saves in few bits by functions of its own, which are not compiled for yet"),
        Row(
            (),
            (f"{LOAD}full_finetuning",),
            lambda tuner: tuner in WHOLE,
            lambda _full: (),
            uses=("method.tuner.type",),
        ),
        Row(
            (),
            (f"{LOAD}max_seq_length",),
            lambda length: MISSING if length is None else length,
            lambda _length: (),
            uses=("data.max_length",),
        ),
        Row(
            (),
            (f"{LOAD}use_gradient_checkpointing",),
            lambda on: on,
            lambda _on: (),
            uses=("train.gradient_checkpointing",),
        ),
        Row(
            (),
            (f"{ADAPT}random_state", f"{ADAPT}use_gradient_checkpointing"),
            lambda seed, on, tuner, adapter: (
                (seed, on) if tuner == "lora" and adapter is None else (MISSING, MISSING)
            ),
            lambda _seed, _on: (),
            uses=(
                "train.seed",  # its own default is 3407: another seed, other initial weights
                "train.gradient_checkpointing",
                "method.tuner.type",
                "method.tuner.adapter",
            ),
        ),
    ),
)
PAIRED = {
    "hardware.device": Bar(
        lambda device: device == "cpu",
        "on a GPU it trains pairs with a trainer that it rewrites; that is not compiled for yet",
        "notimpl",
        "hardware.device: cpu, or run.backends: trl or deepspeed",
    ),
}
MAPS = Maps(answering(SFT, PAIRED))
