"""Spec paths <-> the arguments of a TRL script."""

from __future__ import annotations

from functools import partial

from ftspec.families.maps import Maps, everything
from ftspec.families.objectives.ppo import ppo
from ftspec.families.scripts.sft_script import no_sequences, no_zero, saved_row, shared_rows
from ftspec.families.training.fsdp import fsdp_rows
from ftspec.families.weights.float8 import float8_row
from ftspec.families.weights.qat import copy_row, qat_row
from ftspec.families.weights.quantised import quantisation_rows
from ftspec.families.weights.stored import scripted_row
from ftspec.mapping import FieldMap, replaced

WHY = "its context parallelism, within FSDP 2, is not compiled for it"
SFT = FieldMap(
    "trl",
    (
        *replaced(shared_rows(), saved_row()),
        scripted_row(),
        *quantisation_rows(),
        qat_row(),
        float8_row(),
        copy_row(),
        *no_zero("TRL"),
        *fsdp_rows(),
        no_sequences(WHY),
    ),
)
MAPS = Maps({**everything(SFT), "ppo": partial(ppo, SFT)})
