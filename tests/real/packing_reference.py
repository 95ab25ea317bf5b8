"""What a model makes of a packed batch, and of the same one with one document changed.

Runs in a framework's environment: `python packing_reference.py MODEL BATCH.json OUT.json`. The batch is
one that the probe saw; nothing of ftspec or of a trainer is imported.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

model_folder, batch_file, out = sys.argv[1:]
batch = json.loads(Path(batch_file).read_text())
ids = torch.tensor(batch["input_ids"])
positions = torch.tensor(batch["position_ids"])
row, start, end = batch["changed"]
other = ids.clone()
other[row, start:end] = (other[row, start:end] + 7) % 1000
model = AutoModelForCausalLM.from_pretrained(
    model_folder, dtype="float32", attn_implementation=batch["attention"]
).eval()


def log_probs(tokens: torch.Tensor, **more: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        logits = model(input_ids=tokens, position_ids=positions, use_cache=False, **more).logits
    return logits.log_softmax(-1).max(-1).values


def moved(**more: torch.Tensor) -> list[float]:
    """How far each document's outputs moved, the changed one's excepted."""
    apart = (log_probs(ids, **more) - log_probs(other, **more)).abs()
    return [
        apart[r, s:e].max().item()
        for r, s, e in batch["documents"]
        if (r, s, e) != (row, start, end)
    ]


Path(out).write_text(
    json.dumps({"apart": moved(), "seen": moved(attention_mask=torch.ones_like(ids))})
)
