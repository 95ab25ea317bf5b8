"""axolotl's settings of number formats: utils/config, resolve_dtype; core/builders/base.py of 0.19."""

from __future__ import annotations

from ftspec.port.fates import Setting
from ftspec.port.formats.axolotl.attention import casts
from ftspec.port.formats.axolotl.words import CONFIG, compute, off_or, said
from ftspec.port.rules import Context, Outcome, Rule

FULL = "full"
"""What `bf16` could be before 0.19: weights and steps in bfloat16, and no autocast."""
ROUGH = (
    "axolotl switches it on where the GPU has it, and its float32 products then round more: "
    "precision.tf32: true says so"
)
ALL_16 = (
    "weights, gradients and steps all in float16, with no factor on the loss, are not in a spec"
)


LIFTED = (
    "norms and embeddings train in float32 there, beside weights in 16 bits: only adapters, flash attention, "
    "an engine that shards, and cut cross entropy hold all in one type (loaders/model.py)"
)
CUT = "CutCrossEntropyPlugin"


def lifts(context: Context) -> bool:
    """Whether some of the weights that train are float32, and the others not.

    `_configure_embedding_dtypes` of loaders/model.py.
    """
    cut = CUT in str(context.get("plugins"))
    asked = context.get("cut_cross_entropy", cut)
    others = ("adapter", "deepspeed", "fsdp", "fsdp_config")
    return (
        compute(context, eight=False) != "fp32"
        and not any(context.get(key) for key in others)
        and not casts(context)
        and not asked
    )


def _half(setting: Setting, context: Context) -> Outcome:
    word = compute(context)
    why = ""
    if setting.value == FULL:
        if context.get("adapter"):
            why = (
                "adapters in float32 over weights in bfloat16, without autocast, are not in a spec"
            )
            return Outcome("unknown", why=why)
        why = "as before 0.19, which takes true, false or auto"
    elif setting.value is None:
        why = "null is off: only where it is missing bf16 is on"
    elif setting.value == "auto" and word == "bf16":
        why = "bfloat16 where the GPU has it, which is taken for granted"
    if setting.value and lifts(context):
        return Outcome("approximated", spec={"precision.compute": word}, why=LIFTED)
    return Outcome("derived", spec={"precision.compute": word}, why=why)


def _other(setting: Setting, context: Context) -> Outcome:
    word = compute(context)
    if setting.value == FULL:
        return Outcome("unknown", why="axolotl takes true or false")
    if setting.key == "fp16" and setting.value and word == "fp16":
        spec = {"precision.compute": word}
        return (
            Outcome("approximated", spec=spec, why=LIFTED)
            if lifts(context)
            else Outcome("renamed", spec=spec)
        )
    if not setting.value or word.startswith("bf16") or word == "fp8":
        return Outcome("inert", why="bf16 decides")
    return Outcome("unknown", why=ALL_16)


def _tf32(setting: Setting, context: Context) -> Outcome:
    if setting.value == "auto":
        if compute(context) == "fp32":
            return Outcome("approximated", why=ROUGH)
        return Outcome("inert", why="products are calculated in 16 bits, where it changes nothing")
    return Outcome("exact", {f"{CONFIG}tf32": setting.value is True})


NUMBER_RULES: dict[str, Rule] = {
    "bf16": _half,
    "bfloat16": said(_other),
    "fp16": said(_other),
    "float16": off_or(_other),
    "tf32": said(_tf32),
}
