"""Load what a run saved, as a user would: `python reloaded.py BASE OUT FOLDER...`, in an environment.

Writes one safetensors file per folder: the loaded weights, and under `#logits` and `#base` what the
loaded and the untouched model say to the same tokens.
"""

import re
import sys
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

base, out, *folders = map(Path, sys.argv[1:])
ids = torch.arange(80).reshape(1, -1)


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        found = model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    return found[:, -ids.shape[1] :].contiguous()  # virtual tokens have logits too


def canonical(name: str) -> str:
    return re.sub(r"\.default(?=\.|$)", "", name.removeprefix("base_model.model."))


for number, folder in enumerate(folders):
    untouched = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    before = logits(untouched)
    adapter = (folder / "adapter_config.json").is_file()
    if adapter:
        model = PeftModel.from_pretrained(untouched, folder)
    else:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    weights = {canonical(name): p.detach().clone() for name, p in model.named_parameters()}
    save_file({**weights, "#logits": logits(model), "#base": before}, out / f"{number}.safetensors")
