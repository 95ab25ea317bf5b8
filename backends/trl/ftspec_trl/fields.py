"""Spec paths <-> the arguments of a TRL script."""

from __future__ import annotations

from ftspec.families.dpo import dpo
from ftspec.families.free import free
from ftspec.families.gkd import gkd
from ftspec.families.kto import kto
from ftspec.families.objectives import continued
from ftspec.families.online import grpo, online_dpo, rloo
from ftspec.families.qat import copy_row, qat_row
from ftspec.families.quantised import quantisation_rows
from ftspec.families.reward import reward
from ftspec.families.sft_script import no_sequences, no_zero, shared_rows
from ftspec.families.trainers import CPO, ORPO, SIMPO
from ftspec.mapping import FieldMap

WHY = "its context parallelism is that of FSDP 2, which does not shard anything here"
SFT = FieldMap(
    "trl",
    (
        *shared_rows(),
        *quantisation_rows(),
        qat_row(),
        copy_row(),
        *no_zero("TRL"),
        no_sequences(WHY),
    ),
)
CPT = continued(SFT)
DPO = dpo(SFT)
KTO = kto(SFT)
FREE = {each.objective: free(SFT, each) for each in (ORPO, CPO, SIMPO)}
REWARD = reward(SFT)
GRPO = grpo(SFT)
RLOO = rloo(SFT)
GKD = gkd(SFT)
ONLINE_DPO = online_dpo(SFT)
