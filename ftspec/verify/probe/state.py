"""What trains: the weights, and the optimizer's groups."""

from __future__ import annotations

import contextlib
import hashlib
from typing import Any

from .values import RANK, Recorder, canonical, gathered, held, parts, plain, sha256, short, whole


def record_weights(recorder: Recorder, model: Any, name: str) -> None:
    """Trainable weights as safetensors and as hashes, and before training one hash of all others.

    Every process walks all parameters, as all take part in gathering them; one of them writes.
    """
    import torch
    from safetensors.torch import save_file

    tensors, table, frozen = {}, {}, {}
    sizes: dict[str, list[int]] = {}
    # trl's frozen copy of an adapter, as a reference: what it says is in the losses
    copies = tuple(f".{adapter}." for adapter in getattr(model, "peft_config", {}))
    copies = tuple(name for name in copies if name != ".default.")
    for raw_name, spread in model.named_parameters():
        key = canonical(raw_name)
        if not spread.requires_grad and name != "initial":
            continue
        if any(copy in raw_name for copy in copies):
            continue
        with torch.no_grad(), gathered(spread):
            parameter = whole(spread)
            if RANK:
                continue
            if spread.requires_grad:
                values = parameter.detach().to("cpu", torch.float32, copy=True).contiguous()
                shape, dtype = list(parameter.shape), short(parameter)
                tensors[key] = values
                table[key] = {"shape": shape, "dtype": dtype, "sha256": sha256(values)}
            else:
                kind, pieces = held(parameter), parts(parameter)
                frozen[key] = f"{kind} {sha256(*pieces)}"
                count, size = sizes.get(kind, (0, 0))
                sizes[kind] = [count + 1, size + sum(p.numel() * p.element_size() for p in pieces)]
    if RANK:
        return
    save_file(tensors, str(recorder.folder / f"{name}.safetensors"))
    lines = "\n".join(f"{key} {value}" for key, value in sorted(frozen.items()))
    recorder.put(
        name,
        tensors=table,
        frozen=hashlib.sha256(lines.encode()).hexdigest() if frozen else "",
        frozen_sizes=dict(sorted(sizes.items())),
    )


def optimizers(outer: Any) -> list[Any]:
    """An optimizer and those inside it, outermost first: accelerate > ZeRO > torch."""
    found: list[Any] = []
    while outer is not None and outer not in found:
        found.append(outer)
        outer = getattr(outer, "optimizer", None)
    return found


def kind_of(optimizer: Any) -> str:
    """The update rule by torch's name for it, whoever wrote the kernel.

    With its package where that is not torch, as many a package calls something else AdamW, and with the
    bits of its states where they are few.
    """
    name, package = type(optimizer).__name__, type(optimizer).__module__.partition(".")[0]
    if name in ("DeepSpeedCPUAdam", "FusedAdam"):
        return "AdamW" if getattr(optimizer, "adam_w_mode", True) else "Adam"
    bits = getattr(getattr(optimizer, "args", None), "optim_bits", 32)  # bitsandbytes
    rule = name if package == "torch" else f"{package}.{name}"
    return rule if bits == 32 else f"{rule}, {bits} bits"


def members(chain: list[Any], group: dict[str, Any], index: int) -> list[Any]:
    """The model's parameters in a group; ZeRO flattens groups and keeps the originals aside."""
    for layer in chain:
        if hasattr(layer, "bit16_groups"):  # ZeRO 1 and 2
            return list(layer.bit16_groups[index])
        if hasattr(layer, "sub_group_to_group_id"):  # ZeRO 3
            owners = layer.sub_group_to_group_id
            return [p for i, sub in enumerate(layer.fp16_groups) if owners[i] == index for p in sub]
    return list(group["params"])


def record_optimizer(recorder: Recorder, model: Any, outer: Any) -> None:
    """Per group what it does to its parameters, by name wherever names can be found."""
    chain = optimizers(outer)
    names = {id(p): canonical(name) for name, p in model.named_parameters()}
    groups = []
    for index, group in enumerate(getattr(chain[-1], "param_groups", [])):
        found: list[Any] = []
        with contextlib.suppress(IndexError, KeyError, AttributeError, TypeError):
            found = members(chain, group, index)
        known = [names.get(id(p)) for p in found]
        complete = None not in known and bool(found or not group["params"])
        settings = {key: plain(value) for key, value in group.items() if key != "params"}
        count = sum(getattr(p, "ds_numel", p.numel()) for p in found or group["params"])
        groups.append({"settings": settings, "count": count, "names": known if complete else None})
    recorder.put("optimizer", rule=kind_of(chain[-1]), groups=groups)


def record_states(recorder: Recorder, outer: Any) -> None:
    """How many numbers the optimizer keeps in which type: states of 8 bits are found by looking."""
    numbers: dict[str, int] = {}
    for state in getattr(optimizers(outer)[-1], "state", {}).values():
        for value in state.values() if isinstance(state, dict) else ():
            kept: Any = getattr(
                value, "codes", value
            )  # torchao's states have the look of their weights
            if hasattr(kept, "numel"):
                numbers[short(kept)] = numbers.get(short(kept), 0) + kept.numel()
    recorder.put("states", numbers=numbers)
