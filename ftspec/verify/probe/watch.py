"""What happens on the way: rows fetched, the type of the arithmetic, the first gradient."""

from __future__ import annotations

from collections import deque
from typing import Any

from .state import optimizers
from .values import Recorder, canonical, whole

SCORED = {"input_ids", "attention_mask", "margin"}
"""All that the batch of a reward model holds: rows are scored whole, and no token is trained by itself."""
MASKED = -100


def watch_data(loader: Any, fetched: deque[dict[str, Any]], asked: list[list[int] | None]) -> None:
    """Note which rows are fetched and what the collator makes of them, until the forward pass.

    Rows that are handed on as they are, because completions have yet to be drawn, go to ``asked``.

    Two instance attributes; the loader itself is never iterated. With worker processes the rows are
    fetched elsewhere, and are reported as not observed.
    """
    inner = getattr(loader, "base_dataloader", loader)
    dataset, collate = inner.dataset, inner.collate_fn
    rows: list[int] = []
    if inner.num_workers or not hasattr(dataset, "__getitems__"):
        return
    fetch = dataset.__getitems__

    def fetching(indices: Any) -> Any:
        rows[:] = [int(i) for i in indices]
        return fetch(indices)

    def collating(features: Any) -> Any:
        batch = collate(features)
        note = {k: batch[k].tolist() for k in ("input_ids", "labels") if k in batch}
        note |= _both_sides(batch, getattr(collate, "pad_token_id", 0))
        if (
            "labels" not in note and "completion_mask" in batch
        ):  # which tokens count, in place of labels
            counted = zip(note["input_ids"], batch["completion_mask"].tolist(), strict=True)
            note["labels"] = [
                [each if counts else MASKED for each, counts in zip(ids, mask, strict=True)]
                for ids, mask in counted
            ]
        rows_of = [row for row in note.get("input_ids", ()) if isinstance(row, list)]
        if rows_of and {*batch} <= SCORED:
            note["labels"] = [[MASKED] * len(row) for row in rows_of]
        if isinstance(batch, list) or "input_ids" not in note:
            asked.append(list(rows) or None)
            return batch
        fetched.append({"indices": list(rows) or None, **note})
        return batch

    dataset.__getitems__ = fetching

    inner.collate_fn = collating


def _both_sides(batch: Any, padding: int) -> dict[str, Any]:
    """Rows of a batch that holds chosen and rejected answers apart, as trl's trainers join them."""
    found: dict[str, Any] = {}
    for name, fill in (("input_ids", padding), ("labels", MASKED)):
        if f"chosen_{name}" in batch and f"rejected_{name}" in batch:
            rows = [*batch[f"chosen_{name}"].tolist(), *batch[f"rejected_{name}"].tolist()]
            width = max(map(len, rows))
            found[name] = [row + [fill] * (width - len(row)) for row in rows]
    return found


def begins(rows: Any, fetched: Any) -> bool:
    """Whether these are the rows that were fetched, or those with more padding: a trainer may add some."""
    if rows == fetched or not fetched or len(rows) != len(fetched):
        return bool(rows == fetched)
    return all(row[: len(start)] == start for row, start in zip(rows, fetched, strict=True))


def widened(labels: Any, rows: Any) -> Any:
    """Labels for rows that were padded since."""
    if not labels:
        return labels
    pairs = zip(labels, rows, strict=True)
    return [kept + [MASKED] * (len(row) - len(kept)) for kept, row in pairs]


def watch_autocast(recorder: Recorder, model: Any) -> None:
    """Note in which type a layer calculates: DeepSpeed lowers it without a word in the arguments."""
    import torch

    sharded = type(model).__name__.startswith("FSDP")

    def before(module: Any, *_: Any) -> None:
        device = module.weight.device.type
        lowered: Any = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else ""
        if not lowered and sharded and module.weight.dtype in (torch.bfloat16, torch.float16):
            lowered = module.weight.dtype  # of the whole weight, which FSDP puts together and casts
        recorder.put("autocast", dtype=str(lowered).removeprefix("torch."))
        handles.pop().remove()

    cut = (m for m in model.modules() if hasattr(m, "tp_world_size"))
    linear = (*cut, *(m for m in model.modules() if isinstance(m, torch.nn.Linear)))
    handles = [layer.register_forward_pre_hook(before) for layer in [*linear][:1]]


def watch_gradients(recorder: Recorder, model: Any, outer: Any) -> None:
    """Note the first gradient that the optimizer is handed, by parameter.

    ZeRO-0 in float32 logs no gradient norm; this stands in for it.
    """
    names = {id(p): canonical(name) for name, p in model.named_parameters()}
    inner, seen = optimizers(outer)[-1], [False]

    def before(optimizer: Any, *_: Any) -> None:
        params = [p for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
        if not seen[0] and params and all(id(p) in names for p in params):
            norms = {names[id(p)]: whole(p.grad.detach(), p).double().norm().item() for p in params}
            recorder.put("gradient", norms=norms)
        seen[0] = True

    if hasattr(inner, "register_step_pre_hook"):
        inner.register_step_pre_hook(before)
