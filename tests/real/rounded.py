"""Look at a result and its copy in few bits: `python rounded.py RESULT BASE CASE.json`, in an environment.

CASE.json: `qat` (weights, group_size, activations) or null, and the first step's rows. Prints a JSON object.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

result, base, case = Path(sys.argv[1]), sys.argv[2], json.loads(Path(sys.argv[3]).read_text())
copy, qat = result / "quantized", case["qat"]
whole_folder = result / "merged" if (result / "merged").is_dir() else result
ids = torch.arange(60).reshape(1, -1)


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=ids).logits.float()


def scheme() -> object:
    from torchao.quantization import Int8DynamicActivationIntxWeightConfig as Both
    from torchao.quantization import IntxWeightOnlyConfig, PerAxis, PerGroup

    how = PerGroup(qat["group_size"]) if qat["group_size"] else PerAxis(0)
    dtype = getattr(torch, qat["weights"])
    if qat["activations"]:
        return Both(weight_dtype=dtype, weight_granularity=how)
    return IntxWeightOnlyConfig(weight_dtype=dtype, granularity=how)


def loss(model: torch.nn.Module) -> float:
    """Of the first step's rows, before anything was trained."""
    total, count = 0.0, 0
    for tokens, labels in case["rows"]:
        with torch.no_grad():
            said = model.eval()(input_ids=torch.tensor([tokens])).logits[0, :-1].float()
        aims = torch.tensor(labels[1:])
        total += float(torch.nn.functional.cross_entropy(said, aims, reduction="sum"))
        count += int((aims != -100).sum())
    return total / count


whole = AutoModelForCausalLM.from_pretrained(whole_folder)
rounded = AutoModelForCausalLM.from_pretrained(copy)
found = {
    "bytes": sum(file.stat().st_size for file in copy.glob("*.safetensors")),
    "whole_bytes": sum(file.stat().st_size for file in whole_folder.glob("*.safetensors")),
    "kinds": sorted(
        {type(m.weight).__name__ for name, m in rounded.named_modules() if name.endswith("_proj")}
    ),
    "head": str(rounded.get_output_embeddings().weight.dtype),
    "off_whole": float((logits(rounded) - logits(whole)).abs().max()),
    "spread": float(logits(whole).std()),
    "template": AutoTokenizer.from_pretrained(copy).chat_template
    == AutoTokenizer.from_pretrained(result).chat_template,
}
if qat:
    from torchao.quantization import quantize_
    from torchao.quantization.qat import QATConfig

    def inner(model: torch.nn.Module) -> object:
        head = model.get_output_embeddings()
        return lambda module, _name: isinstance(module, torch.nn.Linear) and module is not head

    quantize_(whole, QATConfig(scheme(), step="prepare"), filter_fn=inner(whole))
    found["off_trained"] = float((logits(rounded) - logits(whole)).abs().max())
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    found["first_loss_whole"] = loss(plain)
    quantize_(plain, scheme(), filter_fn=inner(plain))
    found["first_loss_rounded"] = loss(plain)
else:
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig.from_dict(rounded.config.quantization_config.to_dict())
    again = AutoModelForCausalLM.from_pretrained(
        whole_folder, dtype="auto", device_map="cpu", quantization_config=config
    )
    found["off_trained"] = float((logits(rounded) - logits(again)).abs().max())
sys.stdout.write(json.dumps(found) + "\n")
