"""The engine's own optimizer and schedule, and what it assumes where they say little.

deepspeed 0.19.8: ops/adam/fused_adam.py and cpu_adam.py, runtime/lr_schedules.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.formats.deepspeed.precision import NO_SECTION, by_main, unless_auto
from ftspec.port.formats.deepspeed.schedules import (
    KINDS,
    LOWEST,
    RATE,
    SCHEDULE,
    WARMUP,
    params,
    rate,
)
from ftspec.port.formats.deepspeed.zero import device
from ftspec.port.rules import Context, Outcome, Rule, inert, says, section, unknown, unless

GONE = ("onebitadam", "zerooneadam", "onebitlamb")
"""Optimizers that were taken out: the engine looks for them in torch.optim, and stops."""
ADAM: Mapping[str, Mapping[str, Any]] = {
    "lr": {"train.learning_rate": RATE},
    "betas": {"train.optimizer.beta1": 0.9, "train.optimizer.beta2": 0.999},
    "eps": {"train.optimizer.eps": 1e-8},
    "weight_decay": {"train.weight_decay": 0.0},
}
"""What its Adam assumes without these settings: the trainer's own are not asked."""
SQUARES: Mapping[str, Mapping[str, Any]] = {
    "lr": {"train.learning_rate": 1e-2},
    "eps": {},
    "weight_decay": ADAM["weight_decay"],
}
"""The same of torch.optim.RMSprop and Adagrad, whose eps are those of a spec."""
ASSUMED: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "adamw": ADAM,
    "lion": {name: values for name, values in ADAM.items() if name != "eps"},
    "sgd": {name: ADAM[name] for name in ("lr", "weight_decay")},
    "rmsprop": SQUARES,
    "adagrad": SQUARES,
}
"""The same by a spec's optimizer: ops/lion/, and torch.optim."""
STANDS = (
    "where a gradient and its momentum are nothing, its Lion takes a step, and bitsandbytes' none"
)
"""csrc/lion/multi_tensor_lion.cu: a direction that is not above zero goes the other way."""
ANEW = (
    "ZeRO makes Adagrad anew, out of the schedule's reach: each step was seen to be made at the first rate, "
    "whatever the log says (zero/stage_1_and_2.py and stage3.py)"
)
OTHERS = {
    "muon": "its Muon scales the step of a matrix by its shape, a spec's to the size of AdamW's",
    "adagrad": ANEW,
    "lamb": "Lamb, which scales steps by the size of each weight, is not in a spec",
    **dict.fromkeys(
        ("muadam", "muadamw", "musgd"), "rates by the width of each layer (mup) are not in a spec"
    ),
    **dict.fromkeys(
        ("cpuadam", "deepspeedcpuadam", "fusedadam"),
        "DeepSpeed 0.19.8 has no optimizer of this name, and stops at it: which of its Adams it takes, "
        "offload_optimizer says",
    ),
}
TORCH = {"SGD": "sgd", "RMSprop": "rmsprop"}
"""torch's own have to be spelt as torch spells them."""
OWN: Mapping[str, Mapping[str, str]] = {
    "momentum": {"sgd": "momentum", "rmsprop": "momentum"},
    "nesterov": {"sgd": "nesterov"},
    "alpha": {"rmsprop": "smoothing"},
    "centered": {"rmsprop": "centered"},
    "lr_decay": {"adagrad": "rate_decay"},
}
"""Settings of these and of torch.optim.Adagrad alone, and how a spec calls them."""
TORCH_DECAY = 0.01
"""Of torch.optim.AdamW, which `torch_adam` asks for."""
AMSGRAD = "the largest of its second moments so far, as torch's Adam has them with amsgrad, is not in a spec"


def missing_steps(context: Context) -> dict[str, Any]:
    """Values of what a section leaves out."""
    spec: dict[str, Any] = {}
    kind = _taken(context)
    said = params(context, "optimizer")
    for name, values in ASSUMED.get(kind, {}).items():
        spec |= {} if name in said else values
    if kind == "adamw":
        if said.get("torch_adam") and "weight_decay" not in said and _decays_apart(context):
            spec |= {"train.weight_decay": TORCH_DECAY, "train.weight_decay_on": "all"}
        if said.get("weight_decay") == "auto" and by_main(context, "weight_decay"):
            spec |= {} if _adapts(context) else {"train.weight_decay_on": "all"}
    if (kind := str(section(context, "scheduler").get("type"))) in KINDS:
        said = params(context, "scheduler")
        spec |= {} if "warmup_num_steps" in said else WARMUP
        if kind == "WarmupCosineLR":
            return spec | {"train.schedule.min_ratio": said.get("cos_min_ratio", LOWEST)}
        if kind == "WarmupDecayLR" and "warmup_max_lr" not in said:
            spec["train.learning_rate"] = RATE
        elif said.get("warmup_max_lr") is not None:
            spec.pop("train.learning_rate", None)  # it sets the optimizer's
    return spec


def never_warm(context: Context) -> bool:
    """Whether its warm-up is the trainer's, which has none: at 0 steps the engine stops."""
    said = section(context, "scheduler")
    auto = params(context, "scheduler").get("warmup_num_steps") == "auto"
    none = context.trains.get("train.warmup_steps") == 0
    return str(said.get("type")) in KINDS and auto and none


def _kind(name: Any) -> str:
    """A spec's optimizer; "" for one that it has not."""
    kinds = {"adam": "adamw", "adamw": "adamw", "lion": "lion", "adagrad": "adagrad"}
    return TORCH.get(str(name), kinds.get(str(name).lower(), ""))


def _taken(context: Context) -> str:
    """The one that the file names; "" where that does not come to a spec's."""
    kind = _kind(section(context, "optimizer").get("type"))
    anew = kind == "adagrad" and section(context, "zero_optimization").get("stage", 0) != 0
    return "" if anew else kind


def _optimizer(setting: Setting, context: Context) -> Outcome:
    kind, name = _taken(context), str(setting.value).lower()
    if kind:
        spec = {"train.optimizer.type": kind}
        if kind == "lion":
            return Outcome("approximated", spec=spec, why=STANDS)
        why = "its Adam decays weights apart" if kind == "adamw" else "torch's"
        return Outcome("renamed", spec=spec, why=why)
    if name in GONE:
        return Outcome(
            "unknown", why=f"{setting.value} was taken out, and DeepSpeed 0.19.8 stops at it"
        )
    why = OTHERS.get(name, f"the engine's own optimizer {setting.value} is not in a spec")
    return Outcome("unknown", why=why)


def _unless_alien(rule: Rule) -> Rule:
    """A setting that not all of these optimizers take: the others stop at it, even where it says `auto`."""

    def chosen(setting: Setting, context: Context) -> Outcome:
        kind, name = (
            _taken(context),
            setting.key.rpartition(".")[2],
        )
        if kind and name not in ASSUMED[kind]:
            return Outcome("unknown", why=f"its optimizer has no {name}, and stops at it")
        return unless_auto(rule)(setting, context)

    return chosen


def _of_adam(rule: Rule, torch: str = "") -> Rule:
    """A setting of its own Adam: of others, and of torch's where `torch` says so, it is none."""

    def chosen(setting: Setting, context: Context) -> Outcome:
        kind = _taken(context)
        if not kind:
            return Outcome("unknown", why="a setting of the engine's own optimizer")
        if kind != "adamw":
            name = setting.key.rpartition(".")[2]
            return Outcome("unknown", why=f"its optimizer has no {name}, and stops at it")
        if torch and params(context, "optimizer").get("torch_adam"):
            return Outcome("unknown", why=torch)
        return rule(setting, context)

    return chosen


def _travelled(setting: Setting, context: Context) -> Outcome:
    if str(section(context, "optimizer").get("type")).lower() in GONE:
        return Outcome("inert", why="how its gradients travelled, in versions that had it")
    return Outcome("unknown", why="a setting of the engine's own optimizer")


def _of_torchs_adam(rule: Rule) -> Rule:
    def chosen(setting: Setting, context: Context) -> Outcome:
        if not params(context, "optimizer").get("torch_adam"):
            return Outcome("unknown", why="a setting of torch's Adam: the engine's own stops at it")
        return rule(setting, context)

    return chosen


def _of_torch(setting: Setting, context: Context) -> Outcome:
    kind = _taken(context)
    ours = OWN[setting.key.rpartition(".")[2]].get(kind)
    if ours is None:
        return Outcome("unknown", why="a setting of the engine's own optimizer")
    return Outcome("renamed", spec={f"train.optimizer.{ours}": setting.value})


def _moved(context: Context) -> bool:
    """Whether the optimizer's states lie in CPU memory or on a disk."""
    return bool(device(context, "offload_optimizer") != "none")


def _decays_apart(context: Context) -> bool:
    """Whether its Adam is AdamW: the name decides, or else adam_w_mode.

    runtime/engine.py, _configure_basic_optimizer.
    """
    named = str(section(context, "optimizer").get("type")).lower() == "adamw"
    return named or params(context, "optimizer").get("adam_w_mode", True) is not False


def _apart(_setting: Setting, context: Context) -> Outcome:
    if _decays_apart(context):
        return Outcome("inert", why="as a spec's AdamW does")
    if not params(context, "optimizer").get("weight_decay"):
        return Outcome("inert", why="nothing decays")
    return Outcome("unknown", why="decay through the gradient is not in a spec")


def _states(setting: Setting, context: Context) -> Outcome:
    """The type of the states of its Adam in CPU memory: no other has such a setting."""
    if (
        setting.value is True
        or not _moved(context)
        or params(context, "optimizer").get("torch_adam")
    ):
        return Outcome("inert", why="states of float32")
    return Outcome("unknown", why="states in the type of the weights are not in a spec")


def _decay(setting: Setting, context: Context) -> Outcome:
    spec = {"train.weight_decay": setting.value}
    if not setting.value:
        return Outcome("renamed", spec=spec)
    if _adapts(context):
        why = "of an adapter all weights decay here as well: it has no biases and norms"
        return Outcome("renamed", spec=spec, why=why)
    why = "the engine's optimizer decays biases and norms too"
    return Outcome("derived", spec=spec | {"train.weight_decay_on": "all"}, why=why)


def _adapts(context: Context) -> bool:
    """Whether the file that says the training tunes an adapter and nothing else."""
    said = context.main.data if context.main else {}
    factory = "stage" in said and said.get("finetuning_type", "lora") == "lora"
    whole = said.get("additional_target") or said.get("lora_modules_to_save")
    return (factory or said.get("use_peft") is True) and not whole


def _betas(setting: Setting, _context: Context) -> Outcome:
    if not isinstance(setting.value, list) or len(setting.value) != 2:
        return Outcome("unknown", why="betas are two numbers")
    first, second = setting.value
    return Outcome(
        "renamed", spec={"train.optimizer.beta1": first, "train.optimizer.beta2": second}
    )


def _named(rule: Rule) -> Rule:
    """Settings of a section that names its kind: without `type` nothing reads them (runtime/config.py)."""

    def chosen(setting: Setting, context: Context) -> Outcome:
        root = setting.key.partition(".")[0]
        if section(context, root).get("type") is None:
            return Outcome("unknown", why=f"no type stands in {root}, and nothing reads its params")
        return rule(setting, context)

    return chosen


_STEPS: Mapping[str, Rule] = {
    "optimizer.type": _optimizer,
    **dict.fromkeys(("optimizer", "scheduler"), unless(({},), "empty", unknown(NO_SECTION))),
    "optimizer.legacy_fusion": unless(
        (False,), "off", unknown("an older way to step in float16 is not in a spec")
    ),
    "optimizer.params.lr": unless_auto(rate),
    "optimizer.params.betas": _unless_alien(_betas),
    "optimizer.params.eps": _unless_alien(says("train.optimizer.eps")),
    "optimizer.params.weight_decay": unless_auto(_decay),
    "optimizer.params.torch_adam": _of_adam(inert("which implementation of the same Adam")),
    **dict.fromkeys(
        ("optimizer.params.foreach", "optimizer.params.fused"),
        _of_adam(_of_torchs_adam(inert("how torch's Adam makes its steps"))),
    ),
    **dict.fromkeys(
        ("optimizer.params.cuda_aware", "optimizer.params.comm_backend_name"), _travelled
    ),
    "optimizer.params.adam_w_mode": _of_adam(_apart),
    "optimizer.params.fp32_optimizer_states": _of_adam(_states),
    "optimizer.params.amsgrad": unless(
        (False,), "off", _of_adam(unknown("its Adam has no amsgrad, and stops"), AMSGRAD)
    ),
    "optimizer.params.max_grad_norm": unknown(
        "DeepSpeed 0.19.8 stops at it here: gradient_clipping says it"
    ),
    "optimizer.params.bias_correction": _of_adam(
        unless(
            (True,),
            "as a spec's AdamW does",
            unknown("Adam without its correction is not in a spec"),
        ),
        "torch's Adam has no bias_correction, and stops at it",
    ),
    **{f"optimizer.params.{name}": _of_torch for name in OWN},
    "optimizer.params.initial_accumulator_value": unless(
        (0, 0.0),
        "from nothing, as without it",
        unknown("sums that begin elsewhere are not in a spec"),
    ),
    "optimizer.params.": unknown("a setting of the engine's own optimizer"),
    **SCHEDULE,
}
STEPS: Mapping[str, Rule] = {
    key: _named(rule) if ".params" in key else rule for key, rule in _STEPS.items()
}
"""Rules of the sections `optimizer` and `scheduler`."""
