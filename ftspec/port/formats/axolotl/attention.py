"""axolotl's kernels of attention, and which of them keep packed rows apart (utils/schemas/enums.py)."""

from __future__ import annotations

from ftspec.families.rows.packing import CARRIED, is_recurrent
from ftspec.port.fates import Setting
from ftspec.port.formats.axolotl.words import KERNEL, off_or, said
from ftspec.port.rules import Context, Outcome, Rule

FLAGS = {
    "xformers_attention": "xformers",
    "sage_attention": "sage",
    "flex_attention": "flex_attention",
    "flash_attention": "flash_attention_2",
    "sdp_attention": "sdpa",
    "eager_attention": "eager",
}
"""LEGACY_ATTN_FLAG_TO_IMPL: the first of them that is on holds."""
WORDS = ("sdpa", "eager", "flash_attention_2", "flash_attention_3")
"""Those that a spec has."""
OTHERS = ("flash_attention_4", "flash_attention_torch", "flex_attention", "xformers")
ROUGH = ("sage", "fp8")
HUB = tuple(f"kernels-community/{name}" for name in ("flash-attn2", "flash-attn3"))
APART = (*WORDS, *OTHERS, "sage", *HUB, "kernels-community/sage-attention")
"""attn_decontaminates_packing (utils/schemas/config.py)."""
TOGETHER = (
    "without attn_implementation the mask of packed rows stays (attn_decontaminates_packing), and is one of "
    "ones to the model: whole rows that see those before them; which of them share one row is chosen "
    "otherwise"
)
FILLED = (
    "for this kernel axolotl keeps the mask (attn_decontaminates_packing), which flash attention reads as "
    "padding alone: rows that are filled up see each other, full ones mostly not, which is not in a spec; "
    "attn_implementation: sdpa keeps them apart"
)
"""modeling_flash_attention_utils.py of transformers: a mask without padding is left out; positions count."""
LEFT_OUT = (
    "without attn_implementation axolotl leaves the mask out for some of these models "
    "(core/trainers/base.py), and their packed rows do not see each other: attn_implementation: sdpa keeps "
    "them apart in any case"
)
UNKNOWN = (
    "whether packed rows see each other with this kernel is not known; attn_implementation: sdpa keeps them "
    "apart"
)
EIGHT_BITS = "it multiplies in eight bits, where a spec's attention is exact"


def kernel(context: Context) -> str | None:
    """What the file asks for, in axolotl's words, without a revision."""
    word = context.get("attn_implementation") or None
    word = word or next((FLAGS[flag] for flag in FLAGS if context.get(flag)), None)
    return None if word is None else str(word).partition(":")[0].partition("@")[0].strip()


def attention(context: Context) -> str | None:
    """The nearest that a spec has."""
    word = kernel(context)
    return word if word in WORDS or word is None else "sdpa"


def shares(context: Context) -> tuple[str | None, str]:
    """How packed rows share one, in a spec's word, and why; None where a spec has no such."""
    word, name = kernel(context), str(context.get("base_model")).lower()
    if word is None and is_recurrent(name):
        return None, CARRIED
    if word is None and any(part in name for part in ("gemma-3", "gemma3", "gemma-4", "gemma4")):
        return None, LEFT_OUT
    if word is None:
        return "together", TOGETHER
    if word in APART:
        return (
            "documents",
            "whole rows that do not see each other; which of them share one row is chosen otherwise",
        )
    return None, FILLED if "flash" in word else UNKNOWN


def casts(context: Context) -> bool:
    """Whether norms and embeddings are held in the type of the other weights for its sake.

    attn_needs_dtype_cast, ATTN_IMPLS_WITHOUT_DTYPE_CAST (utils/schemas/config.py, enums.py).
    """
    return kernel(context) not in (None, "sdpa", "eager")


def _attention(setting: Setting, context: Context) -> Outcome:
    word, nearest = str(kernel(context)), attention(context)
    native = {"model.attn_implementation": nearest}
    if word == nearest:
        same = setting.key == "flash_attention" or setting.value == word
        return Outcome("exact", native) if same else Outcome("derived", native, why=KERNEL)
    if word in ROUGH or "sage" in word:
        return Outcome("approximated", native, why=EIGHT_BITS)
    if word in OTHERS or "/" in word:
        return Outcome("derived", native, why=KERNEL)
    return Outcome("unknown", why=f"axolotl has no attention {word!r}")


ATTENTION_RULES: dict[str, Rule] = {
    "attn_implementation": said(_attention),
    **dict.fromkeys(FLAGS, off_or(_attention)),
}
