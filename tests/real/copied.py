"""A training with weights in 16 bits and float32 copies, by hand: `python copied.py BASE TASK.json`.

Without DeepSpeed, in an environment with torch and transformers. TASK.json has the micro-batches of each
step, the rate of each, the norm that gradients are cut to, the type, and the factor on the loss. Prints the
loss before each step.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

task = json.loads(Path(sys.argv[2]).read_text())
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
held, scale = getattr(torch, task["type"]), task["scale"]
for weight in model.parameters():
    weight.data = weight.data.to(held)
weights = dict(model.named_parameters())
copies = {name: weight.detach().float() for name, weight in weights.items()}
optimizer = torch.optim.AdamW(copies.values(), lr=0.0, weight_decay=0.0)
losses = []
for rate, batches in zip(task["rates"], task["steps"], strict=True):
    trained = sum(label != -100 for _, aims, _ in batches for row in aims for label in row[1:])
    losses.append(0.0)
    for ids, aims, seen in batches:
        said = model(input_ids=torch.tensor(ids), attention_mask=torch.tensor(seen)).logits
        flat, labels = said[:, :-1].float().flatten(0, 1), torch.tensor(aims)[:, 1:].flatten()
        loss = torch.nn.functional.cross_entropy(flat, labels, reduction="sum") / trained
        (loss * scale).backward()
        losses[-1] += loss.item()
    for name, copy in copies.items():
        copy.grad = weights[name].grad.float() / scale
    torch.nn.utils.clip_grad_norm_(copies.values(), task["norm"])
    optimizer.param_groups[0]["lr"] = rate
    optimizer.step()
    for name, weight in weights.items():
        weight.data = copies[name].to(held)
        weight.grad = None
sys.stdout.write(json.dumps(losses))
