"""A compiled script's collator beside Unsloth's, over the same rows; which layers Unsloth adapts.

Run by Unsloth's environment: `python seen_reference.py SCRIPT MODEL ROWS PATTERNS HOW OUT`.
"""

from __future__ import annotations

import ast
import copy
import json
import math
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "gemma3", "llava", "mistral3", "internvl")


def ours(script: Path, model: Path) -> Any:
    """The script's own functions about rows, with its constants."""
    import torch
    from PIL import Image, ImageOps
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(model)
    names: dict[str, Any] = {
        "processor": processor,
        "tokenizer": processor.tokenizer,
        "ImageOps": ImageOps,
        "math": math,
        "torch": torch,
        "Image": Image,
        "join": os.path.join,
        "re": re,
        "args": SimpleNamespace(max_length=None),
    }
    body = [
        node
        for node in ast.parse(script.read_text()).body
        if isinstance(node, ast.FunctionDef)
        or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).isupper())
    ]
    exec(compile(ast.Module(body, []), str(script), "exec"), names)  # noqa: S102
    return names


def batches(names: Any, rows: list[Any], model: Path, **how: Any) -> dict[str, Any]:
    """What both make of the rows: whether tokens, labels and pixels are the same."""
    from PIL import Image
    from transformers import AutoModelForImageTextToText
    from unsloth_zoo.vision_utils import UnslothVisionDataCollator

    seeing = AutoModelForImageTextToText.from_pretrained(model)
    theirs = UnslothVisionDataCollator(seeing, names["processor"], **how)
    folder = names["IMAGE_FOLDER"]
    given = copy.deepcopy(rows)
    for row in given:
        row["images"] = [Image.open(Path(folder) / each).convert("RGB") for each in row["images"]]
        row["messages"], _ = names["conversation"](row["messages"], row["images"])
    a, b = names["collate"](rows), theirs(given)
    width = b["input_ids"].shape[1]
    ids, labels = a["input_ids"][:, :width], a["labels"][:, :width]
    own, other = labels != -100, b["labels"] != -100
    words = names["processor"].tokenizer.convert_ids_to_tokens
    return {
        "ids": bool((ids == b["input_ids"]).all()),
        "ours": [word.replace("\u010a", "\n") for word in words(ids[own & ~other].tolist())],
        "theirs": words(ids[other & ~own].tolist()),
        "learned": int((b["labels"] != -100).sum()),
        "pixels": float((a["pixel_values"] - b["pixel_values"].float()).abs().max()),
        "grid": a["image_grid_thw"].tolist() == b["image_grid_thw"].tolist(),
        "rows": len(rows),
    }


def layers(patterns: dict[str, str]) -> dict[str, Any]:
    """By family and parts, linear layers that get adapters in one way alone."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText
    from unsloth_zoo.peft_utils import get_peft_regex

    found: dict[str, Any] = {}
    for family in FAMILIES:
        with torch.device("meta"):
            model = AutoModelForImageTextToText.from_config(AutoConfig.for_model(family))
        head = model.get_output_embeddings()
        linear = [
            name
            for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear) and module is not head
        ]
        for parts, pattern in patterns.items():
            flags = {f"finetune_{part}_layers": part in parts for part in ("vision", "language")}
            theirs = {
                n for n in linear if re.fullmatch(get_peft_regex(model, **flags), n, re.DOTALL)
            }
            own = {name for name in linear if not re.fullmatch(pattern, name)}
            found[f"{family} {parts}"] = [len(own), sorted(own - theirs), sorted(theirs - own)]
    return found


if __name__ == "__main__":
    import unsloth  # noqa: F401

    script, model, rows = map(Path, sys.argv[1:4])
    patterns, how = json.loads(sys.argv[4]), json.loads(sys.argv[5])
    read = [json.loads(line) for line in rows.read_text().splitlines()]
    made = batches(ours(script, model), read, model, **how) if how else {}
    found = {"batches": made, "layers": layers(patterns) if patterns else {}}
    Path(sys.argv[6]).write_text(json.dumps(found))
