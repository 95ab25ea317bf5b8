"""What DeepSpeed makes of its JSON once transformers has filled it in. Runs in its environment."""

import torch
from effective import plain
from stand_ins import Nothing

ADAM = {"lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0}
"""What its Adam assumes: ops/adam/fused_adam.py."""
ALIKE = {"adam_w_mode": True, "bias_correction": True, "amsgrad": False}
"""As torch's AdamW does."""
APART = ("mesh_device", "optimizer_params", "scheduler_params", "zero_config", "scheduler_name")


def engine(args, steps):
    """Fields of the engine's own reading, its optimizer and rates as the trainer's."""
    from deepspeed.runtime.config import DeepSpeedConfig

    whole = args.hf_deepspeed_config
    sized = Nothing(config=Nothing(hidden_size=64, hidden_sizes=None))
    whole.trainer_config_finalize(args, sized, steps)
    read = DeepSpeedConfig(whole.config)
    found = {f"zero.{key}": plain(one) for key, one in read.zero_config.model_dump().items()}
    for name, value in vars(read).items():
        if not name.startswith("_") and name not in APART:
            made = value.model_dump() if hasattr(value, "model_dump") else value
            found[f"engine.{name}"] = plain(made)
    for name in ("offload_optimizer", "offload_param"):
        where = found[f"zero.{name}"] or {}
        found[f"zero.{name}"] = where.get("device", "none")
        if read.zero_config.stage < 3 and found[f"zero.{name}"] == "nvme":
            found[f"zero.{name}"] = "cpu"  # runtime/zero/stage_1_and_2.py knows CPU memory alone
        if read.zero_config.stage < (3 if name == "offload_param" else 1):
            found[f"zero.{name}"] = "none"
    found |= _steps(read, args, steps)
    return found


def _steps(read, args, steps):
    own = [args.adam_beta1, args.adam_beta2]
    values = (args.learning_rate, own, args.adam_epsilon, args.weight_decay)
    made = dict(zip(ADAM, values, strict=True))
    if read.optimizer_name is not None:
        given = dict(read.optimizer_params or {})
        made = {key: plain(given.pop(key, value)) for key, value in ADAM.items()}
        given.pop("torch_adam", None)
        if read.optimizer_name == "SGD":
            one = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=made["lr"], **given)
            return {"= engine's Adam": made, "= optimizer": ["SGD", plain(one.defaults)]}
        if read.optimizer_name == "adamw":  # the name decides: runtime/engine.py
            given.pop("adam_w_mode", None)
        other = {name: on for name, on in given.items() if ALIKE.get(name, not on) != on}
        made |= {"other": plain(other)} if other else {}
    found = {"= engine's Adam": made}
    if read.scheduler_name is not None:
        from deepspeed.runtime import lr_schedules

        line = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=made["lr"])
        schedule = getattr(lr_schedules, read.scheduler_name)(line, **read.scheduler_params)
        found["= engine's rates"] = []
        for _ in range(steps):
            found["= engine's rates"].append(line.param_groups[0]["lr"])
            schedule.step()
    return found
