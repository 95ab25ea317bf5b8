"""axolotl's settings of the optimisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.families.training.optimizers import NAMES, SYNONYMS
from ftspec.port.fates import Kind, Setting
from ftspec.port.formats.axolotl.entries import objective
from ftspec.port.formats.axolotl.schedules import SCHEDULE_RULES, figure, is_flat
from ftspec.port.formats.axolotl.sharding import recomputes
from ftspec.port.formats.axolotl.unread import unread
from ftspec.port.formats.axolotl.words import (
    CONFIG,
    EMPTY,
    evaluates,
    known_steps,
    not_of_rl,
    number,
    off_or,
    said,
    switched,
    taken,
)
from ftspec.port.formats.order import GROUPED, MEASURED, STRATEGY
from ftspec.port.rules import Context, Outcome, Rule, engine_file, engine_inside, renamed, unknown

OPTIMIZERS = {
    "adamw_torch": "adamw_torch_fused",
    "adamw_hf": "adamw_torch_fused",
    "ao_adamw_8bit": "adamw_torch_8bit",
    **{word: NAMES[kind] for word, kind in SYNONYMS.items()},
}
BOTH = "FSDP recomputes, by activation_checkpointing; where the trainer is asked as well, as here, it stops"
PASSES = "gradient_accumulation_steps"
AVERAGED = (
    "axolotl averages the means of the batches, whatever the number of trained tokens in each"
)
"""core/trainers/base.py, __init__: it turns `model_accepts_loss_kwargs` off for every causal model."""


def otherwise(setting: Setting, context: Context) -> Outcome:
    """A key without a rule: what it says by default does nothing."""
    root = setting.key.partition(".")[0].partition("[")[0]
    entry = context.table.find(root) if context.table else None
    if setting.value is None or setting.value in ({}, []):
        return Outcome("inert", why=EMPTY)
    if entry is None:
        known = context.table.calls[""] if context.table else ()
        return unread(setting, context, known)
    if root == setting.key and entry[1] == setting.value and type(entry[1]) is type(setting.value):
        return Outcome("inert", why="what axolotl assumes anyway")
    if root == setting.key and setting.value is False:
        return Outcome("inert", why="it is off")
    return Outcome("unknown", why="only axolotl has it")


def _native(name: str) -> Rule:
    return said(renamed(CONFIG + name))


def _rate(setting: Setting, _context: Context) -> Outcome:
    return Outcome("exact", {f"{CONFIG}learning_rate": number(setting.value)})


def _optimizer(setting: Setting, _context: Context) -> Outcome:
    word = str(setting.value)
    if word in OPTIMIZERS:
        return Outcome("renamed", {f"{CONFIG}optim": OPTIMIZERS[word]}, why="another name for it")
    if word in NAMES.values():
        return Outcome("exact", {f"{CONFIG}optim": word})
    native = {f"{CONFIG}optim": word}  # which no row lifts
    return Outcome("unknown", native, why=f"the optimizer {word!r} is not in a spec")


def _epochs(setting: Setting, context: Context) -> Outcome:
    if known_steps(context):
        return Outcome("inert", why="max_steps stands in its place")
    return Outcome("renamed", {f"{CONFIG}num_train_epochs": float(setting.value)})


def _accumulation(_setting: Setting, context: Context) -> Outcome:
    steps = accumulation(context)
    native, averaged = {f"{CONFIG}gradient_accumulation_steps": steps}, average(context)
    if steps == 1 or not averaged:
        return Outcome("exact", native)
    return Outcome("derived", native, averaged, AVERAGED)


ONCE = (
    "where gradient_accumulation_steps is missing it is 1 (utils/schemas/training.py), whatever this says; "
    "releases before 0.4 made this batch: say gradient_accumulation_steps if that is meant"
)
COUNTED = "the steps of which a share warms up are counted by it all the same"


def _batch(setting: Setting, context: Context) -> Outcome:
    """utils/config, normalize_config: asked for where the passes are null, not where they are missing."""
    if PASSES in context.document.data:
        return _accumulation(setting, context)
    if context.get("warmup_steps") is None and not is_flat(context):
        return Outcome("approximated", why=f"{ONCE}; {COUNTED}", of=("train.batch_size",))
    return Outcome("inert", why=ONCE, loud=True)


def average(context: Context) -> dict[str, Any]:
    """What the loss of a step is the mean of, where several passes make one."""
    passes = accumulation(context) * context.devices * context.nodes // context.sharing
    if passes == 1 or objective(context) not in ("sft", "cpt") or context.get("use_eaft"):
        return {}  # of a loss that is handed to it, transformers counts the tokens
    return {"method.objective.average": "batches"}


def accumulation(context: Context) -> int:
    """utils/config, normalize_config: a batch_size is that of one device."""
    if PASSES not in context.document.data:
        return 1
    micro, steps, batch = (
        value
        if isinstance(value, int) and value > 0
        else None  # what else there is is told elsewhere
        for value in (
            taken(context, "micro_batch_size"),
            context.get(PASSES),
            context.get("batch_size"),
        )
    )
    if steps is None and batch is not None:
        return max(batch // (micro or 1), 1)
    return steps or 1


def _checkpointing(setting: Setting, context: Context) -> Outcome:
    if setting.value and recomputes(context):
        # transformers 5.16, trainer.py: one of the two alone
        spec = {"train.gradient_checkpointing": True}
        return Outcome("derived", spec=spec, why=BOTH)
    if setting.value in ("offload", "offload_disk", "unsloth"):  # the last until 0.7, in CPU memory
        native = {f"{CONFIG}gradient_checkpointing": True}
        return Outcome("derived", native, why="where activations wait in between changes no result")
    return Outcome("exact", {f"{CONFIG}gradient_checkpointing": switched(setting.value)})


def _every(context: Context, key: str, often: str) -> float | None:
    """Steps between two of them, or a share of all steps (utils/config, normalize_config).

    One at the end of all epochs would be a share of 1: it is left to the strategy.
    """
    times, epochs = figure(context.get(often)), figure(taken(context, "num_epochs") or 1.0)
    if times and epochs and times * epochs > 1:
        return 1 / (times * epochs)
    return figure(context.get(key))


def _pace(every: float) -> float:
    return every if 0 < every < 1 else int(every)


PACES: Mapping[str, Any] = {"no": None, "steps": 500, "epoch": "epoch"}
"""By save_strategy, how often it saves where no number says so; 500 is transformers' own."""


def _save(context: Context) -> dict[str, Any]:
    """core/builders/base.py: after each epoch, unless something else is said."""
    if every := _every(context, "save_steps", "saves_per_epoch"):
        return {"train.save_steps": _pace(every)}
    return {"train.save_steps": PACES.get(str(context.get("save_strategy")), "epoch")}


def save(context: Context) -> dict[str, Any]:
    """What is saved, and how often."""
    return {**_save(context), "train.save_total_limit": context.get("save_total_limit") or 4}


def _saves(setting: Setting, context: Context) -> Outcome:
    if setting.value == "best":
        why = "saved is a model that is better than all before it; here, one after each epoch"
        return Outcome("approximated", spec=_save(context), why=why)
    if setting.key == "save_strategy" and setting.value not in PACES:
        return Outcome("unknown", why="transformers knows no, steps, epoch and best")
    return Outcome("derived", spec=_save(context))


def evaluation(context: Context) -> dict[str, Any]:
    """How often it evaluates. Nothing is trained by it."""
    strategy = context.get("eval_strategy", context.get("evaluation_strategy"))
    if not evaluates(context):
        return {"train.eval_steps": None}
    if every := _every(context, "eval_steps", "evals_per_epoch"):
        return {"train.eval_steps": _pace(every)}
    if strategy == "steps":  # transformers: as often as it logs
        return {"train.eval_steps": context.get("logging_steps")}
    return {"train.eval_steps": "epoch" if strategy == "epoch" else None}


def _aligned(context: Context) -> bool:
    """Whether it evaluates whenever it saves, in steps."""
    save = _every(context, "save_steps", "saves_per_epoch")
    every = _every(context, "eval_steps", "evals_per_epoch")
    return bool(save and every and not save % every)


def judged(context: Context) -> dict[str, Any]:
    """Which weights it leaves (core/builders/causal.py): the best ones, if it is asked and can tell them.

    Null asks as well: only false does not.
    """
    best = context.get("load_best_model_at_end", False) is not False
    asked = best or context.get("early_stopping_patience")
    held = bool(context.get("test_datasets")) != bool(context.get("val_set_size"))
    if asked and held and _aligned(context) and not context.get("rl"):
        return {"train.keep": "best"}
    return {"train.keep": "last"}


def _stops(setting: Setting, context: Context) -> Outcome:
    if not _aligned(context):
        return Outcome(
            "unknown", why="axolotl takes it with save_steps that eval_steps divide alone"
        )
    if not evaluates(context) or judged(context)["train.keep"] != "best":
        # transformers' callback stops the run: there is no measure without the best model
        return Outcome(
            "unknown", why="without rows that are held out it has nothing to stop by, and fails"
        )
    spec = {"train.early_stopping": setting.value, **judged(context)}
    return Outcome("renamed", spec=spec)


def _best(setting: Setting, context: Context) -> Outcome:
    found = judged(context)
    if found["train.keep"] == "best":
        return Outcome("renamed", spec=found)
    why = "axolotl keeps the best one of val_set_size alone, with save_steps that eval_steps divide"
    return Outcome("inert", why=why if setting.value is not False else "it is off")


def _measure(setting: Setting, context: Context) -> Outcome:
    if judged(context)["train.keep"] != "best":
        return Outcome("inert", why="no weights are chosen by it")
    if setting.value in ("loss", "eval_loss"):
        return Outcome("derived", spec=judged(context), why="the evaluation loss, as here")
    return Outcome("unknown", why="a spec judges a run by its evaluation loss alone")


def _evals(setting: Setting, context: Context) -> Outcome:
    if not evaluates(context) or not setting.value:
        return Outcome("inert", why="nothing is evaluated")
    return Outcome("derived", spec=evaluation(context))


def _eaft(setting: Setting, context: Context) -> Outcome:
    """monkeypatch/loss/eaft.py: as the paper has it, but for the entropy, which is divided by nothing."""
    if not context.get("use_eaft"):
        return Outcome("inert", why="use_eaft is off")
    if setting.key == "use_eaft":
        spec = {"method.objective.loss": "eaft", "method.objective.entropy_scale": 1.0}
        return Outcome("derived", spec=spec)
    name = {"eaft_alpha": "entropy_power", "eaft_k": "entropy_tokens"}[setting.key]
    return Outcome("renamed", spec={f"method.objective.{name}": setting.value})


def _wandb(setting: Setting, _context: Context) -> Outcome:
    word = {
        "wandb_project": "wandb",
        "mlflow_tracking_uri": "mlflow",
        "comet_project_name": "comet_ml",
    }
    tracker = word.get(setting.key, setting.key.removeprefix("use_").partition("_")[0])
    return Outcome("derived", {f"{CONFIG}report_to": [tracker]}, why="a tracker is reported to")


def _hub(setting: Setting, _context: Context) -> Outcome:
    native = {
        f"{CONFIG}push_to_hub": True,
        f"{CONFIG}hub_model_id": setting.value,
        f"{CONFIG}hub_private_repo": True,
    }
    return Outcome("derived", native, why="pushed as a private repository")


def _resume(setting: Setting, _context: Context) -> Outcome:
    return Outcome("exact", {"train.resume_from_checkpoint": setting.value})


def _grouped(_setting: Setting, context: Context) -> Outcome:
    """core/trainers/base.py, _get_train_sampler, before transformers' Trainer is asked."""
    if context.get("pretraining_dataset"):
        return Outcome("inert", why="a stream has no lengths: transformers leaves it in its order")
    if context.get("reward_model"):
        return Outcome("unknown", why=MEASURED)
    for key, why in (
        ("curriculum_sampling", "rows stay in their order"),
        ("sample_packing", "packed rows are drawn in random order"),
    ):
        if taken(context, key):
            return Outcome("inert", why=f"{key} comes first: {why}")
    native = {f"{CONFIG}{STRATEGY}": GROUPED}
    if evaluates(context):
        why = "transformers 5.16 draws rows to evaluate on apart: later epochs have another random order"
        return Outcome("approximated", native, why=why)
    return Outcome("renamed", native)


STILL = "there, such embeddings do not decay"


def _embeddings(setting: Setting, context: Context) -> Outcome:
    """core/trainers/mixins/optimizer.py, create_optimizer and create_optimizer_grouped_parameters."""
    scale, saved = context.get("embedding_lr_scale"), context.get("lora_modules_to_save")
    decays = number(taken(context, "weight_decay") or 0)
    if setting.value == 0 and decays and not scale:
        return Outcome(
            "approximated", why=STILL
        )  # 0 is no rate, and makes their group all the same
    if not setting.value or (setting.key == "embedding_lr" and scale):
        return Outcome("inert", why="embedding_lr_scale comes first" if scale else "it is off")
    if context.get("loraplus_lr_ratio"):
        return Outcome("inert", why="peft makes the optimizer of LoRA+")
    if context.get("adapter") and not saved:
        return Outcome(
            "unknown", why="no embeddings train as a whole: adapters of some may have it"
        )
    if objective(context) not in ("sft", "cpt"):
        return Outcome("unknown", why="a rate of embeddings is read of supervised training only")
    rate = number(setting.value)
    if setting.key == "embedding_lr_scale":
        rate = number(context.get("learning_rate")) * rate
    spec = {"train.embedding_learning_rate": rate}
    kind: Kind = "approximated" if decays else "renamed"
    return Outcome(kind, spec=spec, why=STILL if decays else "")


TRAIN_RULES: dict[str, Rule] = {
    **dict.fromkeys(("embedding_lr", "embedding_lr_scale"), _embeddings),
    **SCHEDULE_RULES,
    "learning_rate": said(_rate),
    "weight_decay": _native("weight_decay"),
    "max_grad_norm": _native("max_grad_norm"),
    "adam_beta1": _native("adam_beta1"),
    "adam_beta2": _native("adam_beta2"),
    "adam_epsilon": _native("adam_epsilon"),
    "optim_args": off_or(unknown("further arguments of the optimizer are not read")),
    "optimizer": said(_optimizer),
    "num_epochs": said(_epochs),
    "max_steps": said(renamed(f"{CONFIG}max_steps")),
    "micro_batch_size": said(renamed(f"{CONFIG}per_device_train_batch_size")),
    "gradient_accumulation_steps": said(_accumulation),
    "batch_size": said(_batch),
    "eval_batch_size": said(renamed(f"{CONFIG}per_device_eval_batch_size")),
    "seed": _native("seed"),
    "gradient_checkpointing": said(_checkpointing),
    "save_steps": off_or(_saves),
    "save_strategy": said(_saves),
    "saves_per_epoch": said(_saves),
    "save_total_limit": said(renamed(f"{CONFIG}save_total_limit")),
    "eval_steps": off_or(_evals),
    "eval_strategy": said(_evals),
    "evaluation_strategy": said(_evals),
    "evals_per_epoch": said(_evals),
    "logging_steps": _native("logging_steps"),
    "output_dir": _native("output_dir"),
    **dict.fromkeys(("use_eaft", "eaft_alpha", "eaft_k"), said(not_of_rl(_eaft))),
    **dict.fromkeys(
        ("neftune_noise_alpha", "noisy_embedding_alpha"),
        off_or(not_of_rl(_native("neftune_noise_alpha"))),
    ),
    "hub_model_id": off_or(_hub),
    "resume_from_checkpoint": said(_resume),
    "group_by_length": off_or(not_of_rl(_grouped)),
    "deepspeed": off_or(engine_file),
    "deepspeed.": engine_inside,
    "wandb_project": off_or(_wandb),
    "use_wandb": off_or(_wandb),
    "use_swanlab": off_or(_wandb),
    "use_mlflow": off_or(_wandb),
    "use_tensorboard": off_or(_wandb),
    "use_trackio": off_or(_wandb),
    "trackio_project_name": off_or(_wandb),
    "early_stopping_patience": off_or(not_of_rl(_stops)),
    "load_best_model_at_end": _best,
    "metric_for_best_model": said(_measure),
    "greater_is_better": off_or(_measure),
}
