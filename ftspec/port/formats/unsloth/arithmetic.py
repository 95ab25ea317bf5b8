"""In which numbers an Unsloth script trains on a GPU, whatever its two flags ask for.

unsloth 2026.10.9, models/rl.py (mixed precision) and models/vision.py (full_finetuning), for a GPU that has
bfloat16: without a flag it turns mixed precision on, and where all weights train that are loaded in bfloat16
it turns it off. What it imports on a CPU does neither.
"""

from __future__ import annotations

from ftspec.port.fates import Setting
from ftspec.port.formats.trl.plain import CONFIG
from ftspec.port.rules import Context, Outcome, section

TURNED_ON = (
    "without bf16 and fp16 its trainer turns mixed precision on, in bfloat16 unless the weights are in "
    "float16 (models/rl.py)"
)
NORMS_APART = "it holds norms in float32 beside all other weights in bfloat16 (training_utils.py)"


def is_full(context: Context) -> bool:
    """Whether all weights train: Unsloth then loads them whole, and makes no adapter (models/loader.py)."""
    return bool(section(context, "from_pretrained").get("full_finetuning"))


def is_whole(context: Context, dtype: str) -> bool:
    """Whether all weights train in bfloat16, without mixed precision."""
    loaded = section(context, "from_pretrained")
    mixed = loaded.get("float32_mixed_precision") is True
    return (
        is_full(context)
        and dtype == "bfloat16"
        and not mixed
        and context.get("use_cpu") is not True
    )


def flags(context: Context, dtype: str) -> dict[str, bool]:
    """bf16 and fp16 of the trainer, as its arguments end up; ``dtype`` is the type of the weights."""
    asked = {name: context.get(name) is True for name in ("bf16", "fp16")}
    if context.get("use_cpu") is True:
        return asked
    if is_whole(context, dtype):
        return {"bf16": False, "fp16": False}
    if not any(asked.values()):
        return {"bf16": dtype != "float16", "fp16": dtype == "float16"}
    return asked


def flag(setting: Setting, context: Context, dtype: str) -> Outcome:
    """What becomes of one of the two."""
    name = setting.key.rpartition(".")[2]
    value = flags(context, dtype)[name]
    native = {f"{CONFIG}{name}": value}
    if is_whole(context, dtype):
        return Outcome("derived", native)  # `full_finetuning` says more
    if value == bool(setting.value):
        return Outcome("exact", native)
    return Outcome("derived", native, why=TURNED_ON)
