"""Which of trl's trainers a config is for. The file does not say it: the command does (`trl dpo`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.port.rules import Context

CLASSES: Mapping[str, str] = {
    "sft": "SFTConfig",
    "dpo": "DPOConfig",
    "orpo": "ORPOConfig",
    "simpo": "CPOConfig",
    "cpo": "CPOConfig",
    "kto": "KTOConfig",
    "reward": "RewardConfig",
    "grpo": "GRPOConfig",
    "rloo": "RLOOConfig",
    "gkd": "GKDConfig",
    "online-dpo": "OnlineDPOConfig",
    "ppo": "PPOConfig",
}
"""By the objective's name in a spec."""
FREE = ("orpo", "cpo", "simpo")
"""Those that compare answers without a reference."""
WITH_PPO = "0.24.0"
WORDS: Mapping[str, str] = {"online_dpo": "online-dpo"}
"""Names of trl's commands and scripts that are no objective's."""
TELLING: Mapping[str, tuple[str, ...]] = {
    "rloo": ("normalize_advantages", "reward_clip_range"),
    "grpo": ("num_generations", "reward_funcs", "scale_rewards"),
    "gkd": ("lmbda", "seq_kd", "teacher_model_name_or_path"),
    "ppo": ("num_ppo_epochs", "whiten_rewards", "cliprange", "vf_coef"),
    "simpo": ("gamma_beta_ratio", "simpo_gamma"),
    "kto": ("desirable_weight", "undesirable_weight"),
    "cpo": ("cpo_alpha",),
    "dpo": (
        "precompute_ref_log_probs", "ref_model_mixup_alpha", "sync_ref_model", "rpo_alpha",
        "reference_free", "use_weighting", "ld_alpha",
    ),
    "reward": ("center_rewards_coefficient",),
}  # fmt: skip
"""Keys that only one trainer has."""
ANSWERS = "max_completion_length"
DRAWN_OR_CUT = (
    f"which trainer reads it? {ANSWERS} belongs to GRPO's, and to DPO's, KTO's and ORPO's up to trl 0.28; a "
    'command in the place of the file says it: "trl dpo --config FILE"'
)
DPO_LOSSES = frozenset(
    ("sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot",
     "aot_pair", "aot_unpaired", "discopop", "apo_zero", "apo_down", "sft", "sigmoid_norm")
)  # fmt: skip


def trainer(context: Context) -> tuple[str, str]:
    """The objective's name, and the question that is left where the content does not decide."""
    said = context.get("trainer")
    if context.get("loss_type") == "simpo" and said in (None, "cpo"):
        return "simpo", ""  # a loss of CPOTrainer
    if isinstance(said, str):
        # a trainer that ftspec has not keeps its own word: nobody shall train by another
        return WORDS.get(said, said), ""
    for objective, keys in TELLING.items():
        if any(context.get(key) is not None for key in keys):
            return objective, ""
    return _by_limits(context)


def _by_limits(context: Context) -> tuple[str, str]:
    """By settings that several trainers have."""
    drawn = context.get(ANSWERS) is not None
    if drawn and context.get("max_length") is None and context.get("beta") is None:
        return "grpo", ""
    loss = context.get("loss_type")
    losses = loss if isinstance(loss, list) else [loss]
    if any(isinstance(one, str) and one in DPO_LOSSES for one in losses):
        return "dpo", ""
    if drawn:
        return "dpo", DRAWN_OR_CUT
    if context.get("beta") is not None or context.get("max_prompt_length") is not None:
        return (
            "dpo",
            "which trainer reads it? beta and max_prompt_length belong to DPO's and to ORPO's, and once did "
            "to GRPO's; a command in "
            'the place of the file says it: "trl dpo --config FILE"',
        )
    return "sft", ""


def release(data: Mapping[str, Any]) -> str | None:
    """The last release that is known to have the trainer: trl 1.16 has no PPO."""
    said = data.get("trainer")
    told = said is None and any(data.get(key) is not None for key in TELLING["ppo"])
    return WITH_PPO if said == "ppo" or told else None


def config_class(context: Context) -> str:
    """The class of arguments that the config fills."""
    return CLASSES.get(trainer(context)[0], CLASSES["sft"])
