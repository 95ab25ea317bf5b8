"""The first loss with products in float8, by hand: `python multiplied.py BASE ROWS.json`, in an environment.

Without torchao: each input and weight is scaled so that its largest value is the format's largest, rounded to
float8 (e4m3), multiplied in float32 and scaled back. Prints losses with and without, in bf16 around.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32).eval()
rows = json.loads(Path(sys.argv[2]).read_text())


def rounded(values: torch.Tensor) -> torch.Tensor:
    scale = torch.finfo(torch.float8_e4m3fn).max / values.abs().amax().float()
    return (values.float() * scale).to(torch.float8_e4m3fn).float() / scale


def loss() -> float:
    length = max(len(tokens) for tokens, _ in rows)  # one scale for a batch: it is made as it was
    length += -length % 8
    ids = torch.tensor([tokens + [0] * (length - len(tokens)) for tokens, _ in rows])
    seen = torch.tensor([[1] * len(tokens) + [0] * (length - len(tokens)) for tokens, _ in rows])
    aims = torch.tensor([labels + [-100] * (length - len(labels)) for _, labels in rows])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        said = model(input_ids=ids, attention_mask=seen).logits[:, :-1].float()
    return float(torch.nn.functional.cross_entropy(said.flatten(0, 1), aims[:, 1:].flatten()))


def multiplied(layer: torch.nn.Linear) -> None:
    def forward(values: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            return (rounded(values) @ rounded(layer.weight).T).bfloat16()

    layer.forward = forward


plain = loss()
linear = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
inner = [
    module for module in linear[1:-1] if not module.in_features % 16 + module.out_features % 16
]
for module in inner:
    multiplied(module)
found = {"plain": plain, "float8": loss(), "layers": len(inner), "linear": len(linear)}
sys.stdout.write(json.dumps(found))
