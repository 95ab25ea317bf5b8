"""What only PPO's environment can tell: `python ppo_checks.py PPO.PY MODEL CHECKPOINT`. Prints JSON."""

import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from datasets import Dataset
from transformers import AutoTokenizer

place, model, checkpoint = map(Path, sys.argv[1:])
spec = importlib.util.spec_from_file_location("ppo", place)
ppo = importlib.util.module_from_spec(spec)
spec.loader.exec_module(ppo)

tokenizer = AutoTokenizer.from_pretrained(model)
said = [{"role": "user", "content": "What is 3 + 4?"}]
asked = [Dataset.from_list([{"prompt": each}]) for each in ("What is 3 + 4?", said)]
ids = [ppo.tokenised(rows, tokenizer)[0]["input_ids"] for rows in asked]
texts = [tokenizer.decode(each) for each in ids]
side = ppo.padding(tokenizer).padding_side, tokenizer.padding_side
tokenizer.pad_token = tokenizer.eos_token
new = ppo.padding(tokenizer).pad_token_id, len(tokenizer)
tokenizer.pad_token = tokenizer.decode(ids[0][0])
try:
    refused = str(ppo.tokenised(asked[0], tokenizer))
except ValueError as error:
    refused = str(error)
# a gradient of norm 5 under a limit of 0.5: the norm that is noted, and what is left
layer = torch.nn.Linear(2, 1, bias=False)
layer.weight.grad = torch.tensor([[3.0, 4.0]])
trainer = SimpleNamespace(args=SimpleNamespace(max_grad_norm=0.5), model=layer, norms=[])
ppo.Trainer._clip(trainer)
norms = [*trainer.norms, layer.weight.grad.norm().item()]
state = torch.load(checkpoint / "optimizer.pt", weights_only=True)
steps = sorted({int(each["step"]) for each in state["state"].values()})
json.dump(
    {"texts": texts, "side": side, "new": new, "norms": norms, "refused": refused, "steps": steps},
    sys.stdout,
)
