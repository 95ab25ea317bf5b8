"""Models that read images, by their names: nothing else of a config says whether its rows have any.

trl 1.16 trains images where a data set has a column `images` or `image` (trainer/{sft,dpo}_trainer.py).
"""

from __future__ import annotations

import re

from ftspec.port.formats.trl.trainers import trainer
from ftspec.port.rules import Context

SEEN = re.compile(
    r"[-_]vl[-_]|llava|vision|pixtral|internvl|smolvlm|idefics|paligemma|qwen-?3\.5|"
    r"gemma-?3-(4|12|27)b|gemma-?3n|gemma-?4|mistral-small-3|ministral-3|moondream|[-_]ocr",
    re.IGNORECASE,
)
"""Names of models that read images."""
HAVE_ANY = (
    "data.train: have its rows images? this model reads some: then model.images, and columns: {images: ...} "
    "of the source; this spec is for text alone"
)
OTHERS_MAYBE = (
    "data.train: have its rows images? this model reads some, and beside answers that are judged, scored or "
    "drawn, or compared otherwise than by trl's own DPO, no spec has any"
)


def named_so(context: Context) -> bool:
    """Whether the model's name is that of one that reads images."""
    return SEEN.search(str(context.get("model_name_or_path") or "")) is not None


def may_have(context: Context) -> list[str]:
    """The question of a config that names such a model and no column of texts."""
    if not named_so(context) or context.get("dataset_text_field"):
        return []
    return [HAVE_ANY if trainer(context)[0] in ("sft", "dpo") else OTHERS_MAYBE]
