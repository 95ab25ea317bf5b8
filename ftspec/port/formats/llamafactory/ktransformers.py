"""Settings of KTransformers, which computes a mixture's experts on the CPU while an adapter trains.

llamafactory 0.9.5 has use_kt and five names beside it (hparams/model_args.py). Releases after it name more,
and a section kt_config (https://github.com/hiyouga/LlamaFactory/tree/main/examples/ktransformers): 0.9.5
stops at those, whatever they say.
"""

from __future__ import annotations

from ftspec.port.fates import Setting
from ftspec.port.rules import Context, Outcome, Rule

LATER = "releases after 0.9.5 have it, and 0.9.5 stops at it"
HOW = (
    "kt_cpu_activation", "kt_config.kt_num_threads", "kt_config.kt_threadpool_count",
    "kt_config.kt_tp_enabled", "kt_config.kt_max_cache_depth", "kt_config.kt_share_backward_bb",
    "kt_config.kt_weight_lifecycle", "kt_config.kt_skip_expert_loading", "kt_config.kt_model_max_length",
)  # fmt: skip
"""How fast it computes, and in how much memory."""
COPY = "kt_non_expert_weight_path"
TYPED = {
    "kt_config.kt_expert_weight_format": ("bf16",),
    "kt_config.kt_backend": ("auto", "AMXBF16"),
}
"""What experts are computed in, and the values with which that is the checkpoint's own bfloat16."""


def _later(setting: Setting, context: Context) -> Outcome:
    if not context.get("use_kt"):
        return Outcome("inert", why=f"nothing reads it without use_kt; {LATER}")
    if setting.key in HOW:
        return Outcome("inert", why=f"how KTransformers computes, not what; {LATER}")
    if setting.key == COPY:
        return Outcome("inert", why=f"a copy of weights that the checkpoint has; {LATER}")
    if setting.value in TYPED.get(setting.key, ()):
        return Outcome(
            "inert", why=f"the experts stay in the type that they are stored in; {LATER}"
        )
    if setting.key in TYPED:
        return Outcome("unknown", why=f"experts in another type than the checkpoint's; {LATER}")
    return Outcome("unknown", why=f"KTransformers is not in a spec; {LATER}")


KTRANSFORMERS_RULES: dict[str, Rule] = dict.fromkeys((*HOW, COPY, *TYPED, "kt_config."), _later)
