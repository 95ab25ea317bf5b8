"""Spec paths <-> the arguments of a TRL script."""

from __future__ import annotations

from ftspec.families.objectives import continued
from ftspec.families.quantised import quantisation_rows
from ftspec.families.sft_script import no_zero, shared_rows
from ftspec.mapping import FieldMap

SFT = FieldMap("trl", (*shared_rows(), *quantisation_rows(), *no_zero("TRL")))
CPT = continued(SFT)
