"""Observe a training run from outside, without changing a number of it.

::

    python probe.py --out FOLDER script train.py                            TRL, DeepSpeed
    python probe.py --out FOLDER --first-import unsloth script train.py     Unsloth
    python probe.py --out FOLDER llamafactory train.yaml                    LLaMA-Factory
    torchrun --nproc_per_node 2 probe.py --out FOLDER script train.py       several processes

Runs inside a backend's environment and imports nothing of ftspec. The artefact stays the file that
`compile` wrote; this launcher hands transformers one more callback and then runs it. Every line is
flushed as it is written, so a run that dies leaves what it had:

    rank<r>.jsonl           events in the order they happened, `kind` first; one file per process
    initial.safetensors     trainable weights before the first step, float32, canonical names
    final.safetensors       the same after the last step

What may not happen here, because it would change the run: drawing random numbers, iterating the
data loader, touching a gradient, keeping a tensor alive that the trainer expects to be free.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import importlib.metadata
import json
import os
import platform
import re
import runpy
import sys
from collections import deque
from pathlib import Path
from typing import Any

SCHEMA = 1
PACKAGES = (
    *("torch", "transformers", "peft", "accelerate", "trl", "datasets", "tokenizers", "numpy"),
    *("safetensors", "deepspeed", "unsloth", "unsloth_zoo", "llamafactory", "bitsandbytes"),
)
ARGUMENTS = (
    *("seed", "data_seed", "per_device_train_batch_size", "gradient_accumulation_steps"),
    *("max_steps", "num_train_epochs", "learning_rate", "lr_scheduler_type", "warmup_steps"),
    *("weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "optim", "max_grad_norm"),
    *("label_smoothing_factor", "neftune_noise_alpha", "bf16", "fp16", "gradient_checkpointing"),
    *("dataloader_num_workers", "dataloader_drop_last", "average_tokens_across_devices"),
)
"""Training arguments that explain a difference. No paths, no names, no tokens."""
ADAPTER = ("peft_type", "r", "lora_alpha", "lora_dropout", "bias", "use_rslora", "use_dora")
SEEN = ("input_ids", "labels", "attention_mask", "position_ids")
RANK = int(os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or 0)


def canonical(name: str) -> str:
    """A parameter's name without what wrappers add to it."""
    name = re.sub(r"^((module|_orig_mod|_fsdp_wrapped_module)\.)+", "", name)
    name = re.sub(r"^base_model\.model\.", "", name)
    return re.sub(r"\.(default|_orig_mod|_fsdp_wrapped_module)(?=\.|$)", "", name)


def plain(value: Any) -> Any:
    """A value as JSON has it; numbers keep every digit, anything else becomes a word."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item") and getattr(value, "numel", lambda: 2)() == 1:
        return value.item()
    return str(getattr(value, "value", value))


def short(tensor: Any) -> str:
    """`float32` of torch.float32."""
    return str(tensor.dtype).removeprefix("torch.")


def sha256(tensor: Any) -> str:
    """A hash of a tensor's bytes in its own dtype; numpy has no bfloat16, hence the view."""
    import torch

    flat = tensor.detach().to("cpu").contiguous().reshape(-1)
    return hashlib.sha256(flat.view(torch.uint8).numpy().tobytes()).hexdigest()


def gathered(parameter: Any) -> contextlib.AbstractContextManager[Any]:
    """The whole of a parameter that ZeRO-3 has spread over processes; nothing to do elsewhere."""
    if not hasattr(parameter, "ds_id"):
        return contextlib.nullcontext()
    import deepspeed  # type: ignore[import-not-found]

    return deepspeed.zero.GatheredParameters([parameter])


def fingerprint() -> str:
    """Which random numbers would come next. Reading the state does not draw."""
    import torch

    digest = hashlib.sha256(torch.get_rng_state().numpy().tobytes())
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        digest.update(torch.cuda.get_rng_state().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def versions() -> dict[str, str]:
    """What is installed here, of the packages that decide numbers."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


class Recorder:
    """The event file of one process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.file = folder, (folder / f"rank{RANK}.jsonl").open("w", encoding="utf-8")

    def put(self, kind: str, **values: Any) -> None:
        """Write one event now."""
        print(json.dumps({"kind": kind, **values}), file=self.file, flush=True)


def record_setting(recorder: Recorder, args: Any, state: Any, model: Any, loader: Any) -> None:
    """Versions, threads, dtypes, the arguments that explain differences, the adapter's settings."""
    import torch

    recorder.put(
        "setting",
        schema=SCHEMA,
        versions=versions(),
        threads=torch.get_num_threads(),
        processes=args.world_size,
        cpu=torch.backends.cpu.get_cpu_capability(),
        device=torch.cuda.get_device_name() if next(model.parameters()).is_cuda else "cpu",
        model=type(model).__name__,
        attention=getattr(model.config, "_attn_implementation", None),
        vocabulary=getattr(model.config, "vocab_size", None),
        dtypes=sorted({short(p) for p in model.parameters()}),
        max_steps=state.max_steps,
        rows=len(loader.dataset) if hasattr(loader.dataset, "__len__") else None,
        args={name: plain(getattr(args, name, None)) for name in ARGUMENTS},
    )
    config = getattr(model, "peft_config", {}).get("default")
    settings = {name: plain(getattr(config, name, None)) for name in ADAPTER} if config else {}
    scaled = [
        (n, m) for n, m in model.named_modules() if isinstance(getattr(m, "scaling", 0), dict)
    ]
    factors = {canonical(name): plain(module.scaling.get("default")) for name, module in scaled}
    recorder.put("adapter", config=settings, scaling=factors)


def record_weights(recorder: Recorder, model: Any, name: str) -> None:
    """Trainable weights as safetensors and as hashes, and before training one hash of all others.

    Every process walks all parameters, as all take part in gathering them; one of them writes.
    """
    import torch
    from safetensors.torch import save_file

    tensors, table, frozen = {}, {}, {}
    for raw_name, parameter in model.named_parameters():
        key = canonical(raw_name)
        if not parameter.requires_grad and name != "initial":
            continue
        with torch.no_grad(), gathered(parameter):
            if RANK:
                continue
            if parameter.requires_grad:
                values = parameter.detach().to("cpu", torch.float32, copy=True).contiguous()
                shape, dtype = list(parameter.shape), short(parameter)
                tensors[key] = values
                table[key] = {"shape": shape, "dtype": dtype, "sha256": sha256(values)}
            else:
                frozen[key] = f"{short(parameter)} {sha256(parameter)}"
    if RANK:
        return
    save_file(tensors, str(recorder.folder / f"{name}.safetensors"))
    lines = "\n".join(f"{key} {value}" for key, value in sorted(frozen.items()))
    recorder.put(
        name,
        tensors=table,
        frozen=hashlib.sha256(lines.encode()).hexdigest() if frozen else "",
        frozen_dtypes=sorted({value.split()[0] for value in frozen.values()}),
    )


def optimizers(outer: Any) -> list[Any]:
    """An optimizer and those inside it, outermost first: accelerate > ZeRO > torch."""
    found: list[Any] = []
    while outer is not None and outer not in found:
        found.append(outer)
        outer = getattr(outer, "optimizer", None)
    return found


def kind_of(optimizer: Any) -> str:
    """The update rule by torch's name for it, whoever wrote the kernel."""
    name = type(optimizer).__name__
    if name in ("DeepSpeedCPUAdam", "FusedAdam"):
        return "AdamW" if getattr(optimizer, "adam_w_mode", True) else "Adam"
    return name


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
        whole = None not in known and bool(found or not group["params"])
        settings = {key: plain(value) for key, value in group.items() if key != "params"}
        count = sum(getattr(p, "ds_numel", p.numel()) for p in found or group["params"])
        groups.append({"settings": settings, "count": count, "names": known if whole else None})
    recorder.put("optimizer", rule=kind_of(chain[-1]), groups=groups)


def watch_data(loader: Any, fetched: deque[dict[str, Any]]) -> None:
    """Note which rows are fetched and what the collator makes of them, until the forward pass.

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
        fetched.append({"indices": list(rows) or None, **note})
        return batch

    dataset.__getitems__ = fetching

    inner.collate_fn = collating


def watch_autocast(recorder: Recorder, model: Any) -> None:
    """Note in which type a layer calculates: DeepSpeed lowers it without a word in the arguments."""
    import torch

    def before(module: Any, *_: Any) -> None:
        device = module.weight.device.type
        lowered = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else ""
        recorder.put("autocast", dtype=str(lowered).removeprefix("torch."))
        handles.pop().remove()

    linear = (m for m in model.modules() if isinstance(m, torch.nn.Linear))
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
            norms = {names[id(p)]: p.grad.detach().double().norm().item() for p in params}
            recorder.put("gradient", norms=norms)
        seen[0] = True

    if hasattr(inner, "register_step_pre_hook"):
        inner.register_step_pre_hook(before)


def make_probe(folder: Path) -> type:
    """The callback class; made late, as transformers is imported only after `--first-import`."""
    import torch
    from transformers import TrainerCallback

    class Probe(TrainerCallback):  # type: ignore[misc]
        """Writes what it sees of one training run."""

        def __init__(self) -> None:
            self.recorder: Recorder | None = None
            self.fetched: deque[dict[str, Any]] = deque()
            self.clock = {"step": 0, "micro": 0}
            self.tokenizer: Any = None
            self.known: set[int] = set()

        def on_train_begin(self, args: Any, state: Any, control: Any, **seen: Any) -> None:
            """Everything that is decided before the first step."""
            self.recorder = recorder = Recorder(folder)
            model, loader = seen["model"], seen["train_dataloader"]
            self.tokenizer = seen.get("processing_class")
            recorder.put("rng", step=0, state=fingerprint())
            record_setting(recorder, args, state, model, loader)
            record_weights(recorder, model, "initial")
            record_optimizer(recorder, model, seen["optimizer"])
            watch_data(loader, self.fetched)
            watch_autocast(recorder, model)
            watch_gradients(recorder, model, seen["optimizer"])
            model.register_forward_pre_hook(self.forward, with_kwargs=True)

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            """Which step the following micro-batches belong to."""
            self.clock["step"] = state.global_step + 1
            if self.recorder:
                self.recorder.put("rng", step=self.clock["step"], state=fingerprint())

        def forward(self, module: Any, inputs: Any, given: dict[str, Any]) -> None:
            """One micro-batch as the model is about to see it; a pass for metrics is not one."""
            training = module.training and torch.is_grad_enabled()
            if not (self.recorder and training and torch.is_tensor(given.get("input_ids"))):
                return
            batch = {k: given[k].tolist() for k in SEEN if torch.is_tensor(given.get(k))}
            note: dict[str, Any] = {}
            while self.fetched and not note:  # batches are fetched in order, some before their turn
                candidate = self.fetched.popleft()
                note = candidate if candidate.get("input_ids") == batch["input_ids"] else {}
            batch.setdefault("labels", note.get("labels"))
            rows = batch["input_ids"]
            masks = batch.get("attention_mask") or [[1] * len(row) for row in rows]
            sides = zip(rows, masks, strict=False)
            kept = [[t for t, on in zip(*side, strict=False) if on] for side in sides]
            self.recorder.put(
                "batch",
                rank=RANK,
                **self.clock,
                indices=note.get("indices"),
                **batch,
                text=[self.decode(row) for row in kept],
                pieces=self.pieces({token for row in kept for token in row}),
            )
            self.clock["micro"] += 1

        def decode(self, ids: list[int]) -> str | None:
            """Ids as their tokenizer reads them back, special tokens and all."""
            decode = getattr(self.tokenizer, "decode", None)
            verbatim = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
            return str(decode(ids, **verbatim)) if decode else None

        def pieces(self, ids: set[int]) -> dict[int, str | None]:
            """The text of ids that were not met before."""
            new = sorted(ids - self.known)
            self.known.update(new)
            return {token: self.decode([token]) for token in new}

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            """Losses, norms and rates, unrounded."""
            if self.recorder and RANK == 0:
                values = {name: plain(value) for name, value in (logs or {}).items()}
                self.recorder.put("log", step=state.global_step, **values)

        def on_train_end(self, args: Any, state: Any, control: Any, **seen: Any) -> None:
            """What came of it."""
            if self.recorder:
                record_weights(self.recorder, seen["model"], "final")
                self.recorder.put("end", step=state.global_step, rng=fingerprint())

    return Probe


def main() -> None:
    """Register the probe, then become the training process."""
    # The deepspeed launcher puts --local_rank behind the first program; it is meant for the script.
    local = [word for word in sys.argv[1:] if word.startswith("--local_rank")]
    parser = argparse.ArgumentParser(description="Run a training artefact, noting what it does.")
    parser.add_argument("--out", required=True, type=lambda text: Path(text).resolve())
    parser.add_argument("--first-import", default="")
    parser.add_argument("kind", choices=["script", "llamafactory"])
    parser.add_argument("entry")
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    options = parser.parse_args([word for word in sys.argv[1:] if word not in local])

    sys.path[0] = str(Path(options.entry).resolve().parent)  # as `python train.py` would have it
    sys.argv = [options.entry, *local, *options.rest]
    if options.first_import:
        importlib.import_module(options.first_import)
    if options.kind == "llamafactory":
        from llamafactory.train.tuner import run_exp

        sys.argv.insert(0, "llamafactory-cli")  # run_exp reads the config's name from argv[1]
        run_exp(callbacks=[make_probe(options.out)()])
    else:
        import transformers.trainer

        transformers.trainer.DEFAULT_CALLBACKS.append(make_probe(options.out))
        runpy.run_path(options.entry, run_name="__main__")


if __name__ == "__main__":
    main()
