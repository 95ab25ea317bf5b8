"""What torchtune's recipes learn by: losses, optimizers, and the number formats of both."""

from __future__ import annotations

from typing import Any

from ftspec.families.training.optimizers import NAMES
from ftspec.port.fates import Setting
from ftspec.port.formats.torchtune.rows import last
from ftspec.port.rules import Context, Outcome, Rule, inert, section, unknown, unless

CONFIG = "SFTConfig."
LIKELIHOOD = ("CEWithChunkedOutputLoss", "CrossEntropyLoss", "LinearCrossEntropyLoss")
PAIRS = {"DPOLoss": "sigmoid", "RSOLoss": "hinge"}
"""Losses of pairs (rlhf/loss/dpo.py), by trl's names."""
OPTIMIZERS = {
    "torch.optim.AdamW": "adamw", "torch.optim.adamw.AdamW": "adamw",
    "bitsandbytes.optim.AdamW": "adamw", "bitsandbytes.optim.PagedAdamW": "paged-adamw",
    "bitsandbytes.optim.PagedAdamW8bit": "paged-adamw-8bit", "bitsandbytes.optim.AdamW8bit": "adamw-8bit",
    "torchao.optim.AdamW8bit": "torchao-adamw-8bit", "torchao.optim.AdamW4bit": "torchao-adamw-4bit",
    "torchao.prototype.low_bit_optim.AdamW8bit": "torchao-adamw-8bit",
    "torchao.prototype.low_bit_optim.AdamW4bit": "torchao-adamw-4bit",
    "torch.optim.SGD": "sgd", "torch.optim.Adagrad": "adagrad",
}  # fmt: skip
MIXED_RATIO = (
    "a part of its loss is the likelihood of the data's answers, which no objective of a spec adds to a "
    "teacher's"
)
NO_PPO = "its recipe for PPO draws, whitens and punishes otherwise than the trainer of a spec"
SUMS = "on one device gradients are sums over the tokens of a batch there, not means"
SHARDED = frozenset(("fsdp_cpu_offload", "fsdp_reshard_after_forward", "custom_sharded_layers"))
"""Keys that recipes for several devices have; a config does not name its recipe."""


ADAPTING = ("lora_", "qlora_")
"""Beginnings of builders whose models have adapters."""


def word(context: Context, name: str) -> str:
    """The name of a section's component."""
    return last(section(context, name).get("_component_"))


def adapted(context: Context) -> bool:
    """Whether an adapter trains, and not all weights: by the builder, which has a rank of its own."""
    named = word(context, "model").startswith(ADAPTING)
    return named or "lora_rank" in section(context, "model")


def objective(context: Context) -> str:
    """What is learned, as a spec or the recipe calls it."""
    if "kd_loss" in context.document.data:
        return "knowledge distillation"
    loss = word(context, "loss")
    if loss == "PPOLoss":
        return "ppo"
    return "dpo" if loss in PAIRS else "sft"


def assumed_decay(context: Context) -> float:
    """What AdamW's own default is, of torch, of torchao and of bitsandbytes."""
    name = word(context, "optimizer")
    return 0.01 if "AdamW" in name else 0.0


def optimizer(setting: Setting, _context: Context) -> Outcome:
    """The optimizer, by its class."""
    kind = OPTIMIZERS.get(str(setting.value))
    if kind is None:
        return Outcome("unknown", why=f"the optimizer {setting.value} is not in a spec")
    return Outcome("renamed", {f"{CONFIG}optim": NAMES[kind]})


def betas(setting: Setting, _context: Context) -> Outcome:
    """Both at once."""
    one, two = setting.value
    return Outcome("derived", {f"{CONFIG}adam_beta1": one, f"{CONFIG}adam_beta2": two})


def loss(setting: Setting, context: Context) -> Outcome:
    """What is minimised."""
    name = last(setting.value)
    to = ("method.objective.type",)
    if name in LIKELIHOOD and objective(context) != "sft":
        return Outcome("unknown", why=MIXED_RATIO)
    if name in LIKELIHOOD:
        return Outcome("derived", of=to)
    if name in PAIRS:
        return Outcome("derived", spec={"method.objective.loss": PAIRS[name]})
    return Outcome("unknown", why=f"{name} is not in a spec, or not with the same numbers")


def beta(setting: Setting, context: Context) -> Outcome:
    """`beta` of DPOLoss, `gamma` of RSOLoss."""
    own = {"DPOLoss": "beta", "RSOLoss": "gamma"}.get(word(context, "loss"))
    if setting.key != f"loss.{own}":
        return Outcome("unknown", why="that loss has no such setting")
    return Outcome("renamed", spec={"method.objective.beta": setting.value})


def smoothing(setting: Setting, context: Context) -> Outcome:
    """Of DPOLoss: the share of pairs that are the wrong way round. Of a likelihood: not read."""
    if word(context, "loss") == "DPOLoss":
        return Outcome("renamed", spec={"method.objective.label_smoothing": float(setting.value)})
    return unless((0, 0.0), "none", unknown("a smoothed likelihood"))(setting, context)


def clipping(setting: Setting, context: Context) -> Outcome:
    """Its recipes for pairs do not read it."""
    if objective(context) == "dpo":
        return Outcome("inert", why="its recipes for pairs never cut gradients")
    if setting.value is None or float(setting.value) == float("inf"):
        return Outcome("inert", why="gradients are not cut")
    if not float(setting.value):
        return Outcome("unknown", why="all gradients become 0 there, and nothing trains")
    return Outcome("renamed", {f"{CONFIG}max_grad_norm": float(setting.value)})


def schedule(setting: Setting, _context: Context) -> Outcome:
    """Of the rate, after the warm-up."""
    if last(setting.value) == "get_cosine_schedule_with_warmup":
        return Outcome("derived", spec={"train.schedule.type": "cosine"})
    return Outcome("unknown", why=f"the schedule {setting.value} is not in a spec")


def dtype(setting: Setting, _context: Context) -> Outcome:
    """All of it is in one type: weights, what trains, and what the optimizer remembers."""
    names = {"bf16": "bfloat16", "fp32": "float32"}
    if setting.value not in names:
        return Outcome("unknown", why=f"{setting.value} is not in a spec")
    native = {"model.dtype": names[setting.value]}
    compute = "bf16-pure" if setting.value == "bf16" else "fp32"
    return Outcome("derived", native, {"precision.compute": compute}, "all of it in this type")


def in_backward(setting: Setting, context: Context) -> Outcome:
    """A step for each weight as soon as its gradient is there (full_finetune_single_device.py)."""
    if not setting.value or context.devices > 1 or SHARDED & {*context.document.data}:
        return Outcome("inert", why="how fast, or where things lie: not what is trained")
    return Outcome("approximated", of=("train.optimizer.type",), why=SUMS)


def reference(setting: Setting, context: Context) -> Outcome:
    """The model that pairs are measured from, in recipes that train all weights."""
    if setting.value == section(context, "checkpointer").get("checkpoint_dir"):
        return Outcome("derived", why="the model as training finds it")
    return Outcome("renamed", spec={"method.objective.reference": setting.value})


def rounding(setting: Setting, context: Context) -> Outcome:
    """`Int8DynActInt4WeightQATQuantizer` of torchao: as train.qat, and the head as well."""
    if last(setting.value) != "Int8DynActInt4WeightQATQuantizer" or adapted(context):
        return Outcome("unknown", why="that rounding is not in a spec, or not beside adapters")
    group = section(context, "quantizer").get("groupsize", 256)
    spec: dict[str, Any] = {
        "train.qat.weights": "int4",
        "train.qat.group_size": group,
        "train.qat.activations": "int8",
    }
    return Outcome(
        "approximated",
        spec=spec,
        why="the head is rounded there too, where it is a layer of its own",
    )


LEARNING_RULES: dict[str, Rule] = {
    "optimizer._component_": optimizer,
    "optimizer.betas": betas,
    "loss._component_": loss,
    "loss.beta": beta,
    "loss.gamma": beta,
    "loss.label_smoothing": smoothing,
    "loss.num_output_chunks": inert("how much of it is calculated at once"),
    "loss.ignore_index": unless((-100,), "as anywhere", unknown("marks of its own")),
    "loss.": unknown("a setting of the loss is not read"),
    "clip_grad_norm": clipping,
    "lr_scheduler._component_": schedule,
    "dtype": dtype,
    "optimizer_in_bwd": in_backward,
    "quantizer._component_": rounding,
    "quantizer.groupsize": lambda _setting, context: (
        Outcome("unknown", why="see the quantizer") if adapted(context)
        else Outcome("derived", of=("train.qat.group_size",))),
    "quantizer.": unknown("a setting of the rounding is not read"),
    "fake_quant_after_n_steps": unless((None,), "from the first step", unknown("a later beginning")),
    "ref_checkpointer.checkpoint_dir": reference,
    **{key: unknown(MIXED_RATIO) for key in (
        "kd_loss.", "kd_ratio", "teacher_model.", "teacher_checkpointer.")},
    **{key: unknown(NO_PPO) for key in (
        "policy_model.", "reward_and_value_model.", "ref_policy_checkpointer.", "value_checkpointer.",
        "reward_checkpointer.", "num_steps", "ppo_epochs", "ppo_batch_size", "forward_batch_size",
        "max_generated_tokens", "temperature", "top_k", "min_response_length", "penalise_no_eos",
        "reward_penalty", "stop_token_ids", "gamma", "lmbda", "kl_coeff", "whiten_rewards")},
}  # fmt: skip
