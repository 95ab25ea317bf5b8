"""What a model is given of images: the pixels, and the positions that their tokens have."""

from __future__ import annotations

import hashlib
from typing import Any

PIXELS = "pixel_values"


def shown(given: dict[str, Any]) -> str | None:
    """A fingerprint of the images of a micro-batch, as the processor left them; None without any."""
    pixels = given.get(PIXELS)
    if pixels is None or not hasattr(pixels, "detach"):
        return None
    held = pixels.detach().float().cpu().contiguous().numpy()
    return f"{tuple(held.shape)} {hashlib.sha256(held.tobytes()).hexdigest()[:16]}"


def placed(model: Any, given: dict[str, Any]) -> list[list[int]] | None:
    """Positions in time, height and width, one row after the other, where a model has such.

    One framework's collator makes them, another leaves them to the model (transformers, get_rope_index).
    """
    kinds, positions = given.get("mm_token_type_ids"), given.get("position_ids")
    if positions is None and kinds is not None and given.get("image_grid_thw") is not None:
        find = next(
            (m.get_rope_index for m in model.modules() if hasattr(m, "get_rope_index")), None
        )
        if find is not None:
            names = ("input_ids", "image_grid_thw", "attention_mask", "mm_token_type_ids")
            positions, _ = find(**{name: given.get(name) for name in names})
    if positions is None or positions.ndim != 3:
        return None
    rows = positions[-3:].transpose(
        0, 1
    )  # a first of four repeats the second, for masks of packed rows
    found: list[list[int]] = rows.reshape(rows.shape[0], -1).tolist()
    return found
