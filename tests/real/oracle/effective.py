"""What a trainer was given, as fields that decide what is trained, each by its effective value.

Runs inside an environment of trl. Two ways to write one thing come to one value here, by the
framework's own means: its scheduler, its optimizer, its counting of steps.
"""

import dataclasses
import enum
import math
from pathlib import Path

import torch
import transformers
from stand_ins import ROWS
from transformers import Trainer

OPTIMIZER = (
    *("optim", "optim_args", "optim_target_modules"),
    *("adam_beta1", "adam_beta2", "adam_epsilon"),
)
GALORE = {"rank": "128", "update_proj_gap": "200", "scale": "0.25", "proj_type": "std"}
"""What transformers hands to GaLore where nothing is said: trainer_optimizer.py."""
SCHEDULE = (
    *("warmup_steps", "warmup_ratio", "lr_scheduler_type", "lr_scheduler_kwargs", "learning_rate"),
)


def plain(value):
    """A value as JSON has it."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, set | frozenset | list | tuple):
        many = [plain(one) for one in value]
        return many if isinstance(value, list | tuple) else sorted(many)
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return value if isinstance(value, bool | int | float | str | None) else type(value).__name__


def view(kept):
    """All fields, by name."""
    args = kept.given["args"]
    found = {f.name: plain(getattr(args, f.name)) for f in dataclasses.fields(args)}
    steps = count(args)
    for name in SCHEDULE:
        found.pop(name)
    found["= rates"] = rates(args, steps)
    found |= optimizer(args, found)
    found |= model(kept.given, found)
    found["= overrides"] = sorted(n for n in vars(kept.kind) if not n.startswith("__"))
    found["= evaluates"] = kept.given.get("eval_dataset") is not None
    _idle(args, found, steps)
    return found


def count(args):
    """How many steps it takes, a thousand at most."""
    batch = args.per_device_train_batch_size * args.gradient_accumulation_steps
    epochs = math.ceil(math.ceil(ROWS / batch) * args.num_train_epochs)
    return min(args.max_steps if args.max_steps > 0 else max(epochs, 1), 1000)


def rates(args, steps):
    """The learning rate of each step."""
    given = dict(args.lr_scheduler_kwargs or {})
    line = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=args.learning_rate)
    schedule = transformers.get_scheduler(
        *(args.lr_scheduler_type, line, args.get_warmup_steps(steps), steps),
        scheduler_specific_kwargs=given,
    )
    found = []
    for _ in range(steps):
        found.append(line.param_groups[0]["lr"])
        line.step()
        schedule.step()
    return found


def optimizer(args, found):
    """The optimizer with all its settings; by its words where it is not installed here."""
    said = {name: found.pop(name) for name in OPTIMIZER}
    try:
        kind, named = Trainer.get_optimizer_cls_and_kwargs(args, None)
    except (ImportError, ValueError):
        if str(said["optim"]).startswith("galore"):
            given = dict(one.split("=") for one in (said["optim_args"] or "").split(",") if one)
            said["optim_args"] = {**GALORE, **given}
        return {f"optimizer.{name}": value for name, value in said.items()}
    if kind is torch.optim.AdamW:
        named["fused"] = True  # the same mathematics in another kernel
    made = kind([torch.nn.Parameter(torch.zeros(2, 2))], **named)
    return {"= optimizer": [kind.__name__, plain(made.defaults)]}


def model(given, found):
    """How weights are loaded, held and adapted, whoever loads them."""
    args, said = given["args"], given.get("model")
    loaded = getattr(said, "__dict__", {}).get("loaded")
    name, how = loaded if loaded is not None else (said, dict(args.model_init_kwargs or {}))
    quantised = how.get("quantization_config") or given.get("quantization_config")
    fields = {"= model": Path(str(name)).name, "quantised": None, "adapter": None}
    how = {
        "dtype": "float32" if loaded is None else "auto",
        "revision": "main",
        **how,
        "trust_remote_code": found.pop("trust_remote_code", False),
    }
    fields |= {f"model.{k}": plain(v) for k, v in how.items() if k != "quantization_config"}
    fields["model.dtype"] = str(fields["model.dtype"] or "auto")  # transformers 5: from_pretrained
    found.pop("model_init_kwargs", None)
    if quantised is not None:
        fields["quantised"] = plain(quantised.to_dict())
        half = "bfloat16" if args.bf16 else "float16" if args.fp16 else "float32"
        if fields["quantised"].get("bnb_4bit_compute_dtype") == "float32":
            # autocast multiplies in 16 bits all the same: bitsandbytes, autograd/_functions.py
            fields["quantised"]["bnb_4bit_compute_dtype"] = half
    adapter = given.get("peft_config") or getattr(said, "__dict__", {}).get("adapter")
    if adapter is not None:
        fields |= {f"adapter.{key}": plain(value) for key, value in adapter.to_dict().items()}
        if fields.pop("adapter.task_type") == "SEQ_CLS" and type(args).__name__ == "RewardConfig":
            # the head trains: peft, peft_model.py
            saved = fields["adapter.modules_to_save"] or []
            fields["adapter.modules_to_save"] = sorted({*saved, "score"} - {"classifier"})
        if getattr(args, "disable_dropout", False):
            fields["adapter.lora_dropout"] = 0.0
    return fields


def _idle(args, found, steps):
    """Without what others make idle, and with what is meant where nothing is said."""
    found["data_seed"] = args.seed if args.data_seed is None else args.data_seed
    if args.max_steps > 0:
        found.pop("num_train_epochs")
    for name in ("save", "eval", "logging"):
        every = found.pop(f"{name}_steps")
        if found[f"{name}_strategy"] == "steps":
            found[f"{name}_steps"] = math.ceil(every * steps) if 0 < every < 1 else every
    if not args.push_to_hub:
        for name in [name for name in found if name.startswith("hub_")]:
            found.pop(name)
    else:
        found["hub_model_id"] = args.hub_model_id or Path(args.output_dir).name
        found["hub_private_repo"] = bool(args.hub_private_repo)
    if args.load_best_model_at_end:
        found["metric_for_best_model"] = args.metric_for_best_model.removeprefix("eval_")
    else:
        found.pop("metric_for_best_model")
        found.pop("greater_is_better")
    if found["eval_strategy"] == "no":
        for name in ("eval_delay", "per_device_eval_batch_size"):
            found.pop(name)
    _meant(found)


def _meant(found):
    """Where nothing is said, or by two names."""
    if "completion_only_loss" in found:
        found["completion_only_loss"] = bool(found["completion_only_loss"])  # no prompts apart here
    if found.get("packing") and found["packing_strategy"] == "bfd":
        found["padding_free"] = True  # trainer/sft_trainer.py
    elif "packing_strategy" in found:
        found.pop("packing_strategy")
    if "reward_weights" in found and found["reward_weights"] is None:
        found["reward_weights"] = [1.0]
    if "loss_weights" in found and found["loss_weights"] is None:
        found["loss_weights"] = [1.0] * len(found["loss_type"])
    if found.get("multi_objective_aggregation") == "normalize_then_sum":
        found.pop("scale_rewards")


def differ(one, two):
    """Whether two values are not the same number, text or list."""
    if isinstance(one, list) and isinstance(two, list):
        return len(one) != len(two) or any(map(differ, one, two))
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() != two.keys() or any(differ(one[key], two[key]) for key in one)
    if isinstance(one, bool) or isinstance(two, bool) or isinstance(one, str | None):
        return one is not two if isinstance(one, bool) else one != two
    if isinstance(one, int | float) and isinstance(two, int | float):
        return not math.isclose(one, two, rel_tol=1e-9, abs_tol=1e-15)
    return one != two
