"""Spec paths <-> the arguments of a TRL script."""

from __future__ import annotations

from functools import partial

from ftspec.families.maps import Maps, everything
from ftspec.families.objectives.ppo import ppo
from ftspec.families.rows.images import image_rows
from ftspec.families.scripts.sft_script import no_sequences, no_zero, saved_row, shared_rows
from ftspec.families.training.fsdp import fsdp_rows
from ftspec.families.training.tensors import no_tensors
from ftspec.families.weights.float8 import float8_row
from ftspec.families.weights.pure import with_adapters
from ftspec.families.weights.qat import copy_row, qat_row
from ftspec.families.weights.quantised import quantisation_rows
from ftspec.families.weights.stored import scripted_row
from ftspec.mapping import FieldMap, replaced

WHY = "its context parallelism, within FSDP 2, is not compiled for it"
CUTS = (
    "transformers 5.6 stops where a model is cut by a plan of its own beside accelerate 1.11, which the "
    "aligned environments share: it asks for a later one (trainer.py)"
)
SHARED = shared_rows()
ARITHMETIC = [row for row in SHARED if row.paths == ("precision.compute",)]
SFT = FieldMap(
    "trl",
    (
        *replaced(SHARED, saved_row(), *map(with_adapters, ARITHMETIC)),
        scripted_row(),
        *quantisation_rows(),
        qat_row(),
        float8_row(),
        copy_row(),
        *image_rows(),
        *no_zero("TRL"),
        *fsdp_rows(),
        no_sequences(WHY),
        no_tensors(CUTS),
    ),
)
MAPS = Maps({**everything(SFT), "ppo": partial(ppo, SFT)})
