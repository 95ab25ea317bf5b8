"""What DeepSpeed's engine trains by JSON settings: `python engine_reference.py CONFIGS.json OUT.json`.

For each of them three steps of one small model, through `deepspeed.initialize` as accelerate calls it: a
model, an optimizer, no rows. Writes the losses and a hash of the weights behind them, or what the error says.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

import torch

for name, value in {
    "RANK": "0",
    "LOCAL_RANK": "0",
    "WORLD_SIZE": "1",
    "MASTER_ADDR": "127.0.0.1",
}.items():
    os.environ.setdefault(name, value)
os.environ.setdefault("MASTER_PORT", "29577")
os.environ["DS_ACCELERATOR"] = "cpu"
import deepspeed  # noqa: E402 - it looks for an accelerator when it is imported

# one process exchanges nothing: this operation would take minutes to compile
deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def model() -> torch.nn.Module:
    torch.manual_seed(7)
    return torch.nn.Sequential(
        torch.nn.Embedding(64, 32), torch.nn.Linear(32, 64), torch.nn.LayerNorm(64), torch.nn.GELU(),
        torch.nn.Linear(64, 64),
    )  # fmt: skip


def trained(config: dict) -> dict:
    net = model()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2, weight_decay=0.1)
    engine, *_ = deepspeed.initialize(
        model=net, optimizer=optimizer, config=config, dist_init_required=None
    )
    generator = torch.Generator().manual_seed(11)
    losses = []
    for _ in range(3 * config["gradient_accumulation_steps"]):
        rows = torch.randint(0, 64, (2, 9), generator=generator)
        logits = engine(rows[:, :-1]).float()
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
        engine.backward(loss)
        engine.step()
        losses.append(float(loss.detach()))
    whole = config["zero_optimization"]["stage"] == 3
    weights = hashlib.sha256()
    with deepspeed.zero.GatheredParameters([*net.parameters()], enabled=whole):
        for weight in net.parameters():
            weights.update(weight.detach().float().numpy().tobytes())
    engine.destroy()
    return {"losses": losses, "weights": weights.hexdigest()}


found = []
for one in json.loads(Path(sys.argv[1]).read_text()):
    try:
        found.append(trained(one))
    except Exception as error:
        found.append({"error": f"{type(error).__name__}: {str(error).splitlines()[0]}"})
Path(sys.argv[2]).write_text(json.dumps(found))
