"""Names, numbers and tensors as the evidence has them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

RANK = int(os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or 0)


def canonical(name: str) -> str:
    """A parameter's name without what wrappers add to it."""
    name = re.sub(r"^((module|_orig_mod|_fsdp_wrapped_module)\.)+", "", name)
    name = re.sub(r"^base_model\.model\.", "", name)
    wrappers = "default|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module"
    return re.sub(rf"\.({wrappers})(?=\.|$)", "", name)


def plain(value: Any) -> Any:
    """A value as JSON has it; numbers keep every digit, anything else becomes a word."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return str({**value})  # a class of axolotl's answers to every attribute
    if hasattr(value, "item") and getattr(value, "numel", lambda: 2)() == 1:
        return value.item()
    return str(getattr(value, "value", value))


def short(tensor: Any) -> str:
    """`float32` of torch.float32."""
    return str(tensor.dtype).removeprefix("torch.")


def held(parameter: Any) -> str:
    """Its dtype; for a weight that bitsandbytes has packed the kind: its dtype is a container's."""
    state = getattr(parameter, "quant_state", None)
    if state is not None:
        return f"{state.quant_type}-double" if state.nested else str(state.quant_type)
    return short(parameter)


def parts(parameter: Any) -> list[Any]:
    """The tensors that a weight is made of: itself, and the constants of a packed one."""
    state = getattr(parameter, "quant_state", None)
    constants = list(state.as_dict(packed=True).values()) if state is not None else []
    rows = getattr(parameter, "SCB", None)  # of int8
    return [parameter, *constants, *([] if rows is None else [rows])]


def sha256(*tensors: Any) -> str:
    """A hash of tensors' bytes in their own dtypes; numpy has no bfloat16, hence the view."""
    import torch

    digest = hashlib.sha256()
    for tensor in tensors:
        flat = tensor.detach().to("cpu").contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def gathered(parameter: Any) -> contextlib.AbstractContextManager[Any]:
    """The whole of a parameter that ZeRO-3 has spread over processes; nothing to do elsewhere."""
    if not hasattr(parameter, "ds_id"):
        return contextlib.nullcontext()
    import deepspeed  # type: ignore[import-not-found]

    return deepspeed.zero.GatheredParameters([parameter])


def whole(tensor: Any, owner: Any = None) -> Any:
    """All of a tensor that is spread over processes, which all have to ask; others as they are.

    FSDP 2 spreads each tensor; DeepSpeed cuts weights of layers, and with them the gradient of an ``owner``.
    """
    if hasattr(tensor, "full_tensor"):
        return tensor.full_tensor()
    cut = tensor if owner is None else owner
    layer = getattr(getattr(cut, "gather_params", None), "__self__", None)
    if layer is None or (cut is layer.bias and type(layer).__name__ == "LinearAllreduce"):
        return tensor
    # what is gathered in its place would no longer be the engine's own
    copy = tensor.detach().clone()
    layer.gather_params([copy])
    return copy


def sharing(model: Any) -> int:
    """How many processes share each layer, and with it the rows."""
    return max((getattr(module, "tp_world_size", 1) for module in model.modules()), default=1)


class Recorder:
    """The event file of one process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.file = folder, (folder / f"rank{RANK}.jsonl").open("w", encoding="utf-8")

    def put(self, kind: str, **values: Any) -> None:
        """Write one event now."""
        print(json.dumps({"kind": kind, **values}), file=self.file, flush=True)
