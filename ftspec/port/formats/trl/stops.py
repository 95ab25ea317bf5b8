"""Where trl, transformers or peft stop, or train otherwise than a config seems to say.

Held against trl's own parser by tests/real/test_parsers.py.
"""

from __future__ import annotations

from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.formats.hf_arguments import is_five, training_rules
from ftspec.port.formats.order import GROUPED, MEASURED, PACKED, SAMPLED, STRATEGY, by_length
from ftspec.port.formats.trl.plain import CONFIG, native_key, plain
from ftspec.port.formats.trl.trainers import config_class, trainer
from ftspec.port.rules import Context, Outcome, Rule
from ftspec.spec.online import ONLINE

A_PATTERN = (
    "trl makes one word of a list of one, and peft takes a word for a pattern of whole names: a bare name "
    "is found nowhere (ModelConfig, peft's check_target_module_exists), and a pattern is not in a spec"
)
A_COMMA = (
    "{} is no name of a module: a shell parts words by blanks alone, so that the comma belongs to the word, "
    "and peft finds no module of that name"
)
BARE_NO = (
    "YAML reads a bare `no` as false, and transformers stops at it (IntervalStrategy): write 'no'"
)
WARM = "constant_with_warmup"
STORED = "dtype: all weights train in the type that they are stored in: name it in model.dtype"
EVALUATED = "test_split_size holds rows out, and nothing evaluates there; here they are evaluated each epoch"
ROUNDED = (
    "over a quantised base trl rounds what an adapter trains to bfloat16 (trainer/sft_trainer.py and its "
    "siblings); here it stays in float32"
)
FROZEN_HEAD = (
    "lora_task_type is not SEQ_CLS: trl leaves the head that scores as it was drawn at random, and trains "
    "the adapter alone (peft adds `score` to what trains for SEQ_CLS); the spec trains the head"
)


def comma(value: Any) -> str:
    """Why a list of modules is not what it seems: each name but the last ends with the comma of the line."""
    listed = value if isinstance(value, list) else []
    odd = [one for one in listed if isinstance(one, str) and one.endswith(",")]
    return A_COMMA.format(odd[0]) if odd else ""


def is_stored(context: Context) -> bool:
    """Whether weights are loaded in the type that they are stored in."""
    said = next((key for key in ("dtype", "torch_dtype") if key in context.document.data), None)
    value = context.get(said) if said else None
    if value is None:
        return said == "dtype" and is_five(context, CONFIG)
    return str(value) == "auto"


def head_question(context: Context, task: Any, saved: Any) -> tuple[str, ...]:
    """Of a reward model with an adapter, whether its new head trains (trainer/reward_trainer.py)."""
    trains = str(task).endswith("SEQ_CLS") or (isinstance(saved, list | str) and "score" in saved)
    return () if trains or trainer(context)[0] != "reward" else (FROZEN_HEAD,)


def otherwise(context: Context) -> tuple[str, ...]:
    """What a person should know that no field says."""
    few = context.get("load_in_4bit") or context.get("load_in_8bit")
    told = (ROUNDED,) if few and context.get("use_peft") else ()
    return (*told, EVALUATED) if _holds_out(context) else told


def _holds_out(context: Context) -> bool:
    """Whether rows are held out that only a spec evaluates on."""
    asked = context.get("eval_strategy", context.get("evaluation_strategy", "no"))
    return context.get("test_split_size") is not None and asked in ("no", False, None)


def optimizer(setting: Setting, context: Context) -> Outcome:
    """GaLore stops without the modules that it is for (transformers, trainer_optimizer.py)."""
    if str(setting.value).startswith("galore") and not context.get("optim_target_modules"):
        return Outcome("unknown", why="transformers stops without optim_target_modules")
    return training_rules(CONFIG)["optim"](setting, context)


def schedule(setting: Setting, context: Context) -> Outcome:
    """Its last argument but one has no default (transformers, optimization.py, get_wsd_schedule)."""
    given = context.get("lr_scheduler_kwargs")
    named = isinstance(given, dict) and "num_decay_steps" in given
    if setting.value == WARM and not any(
        context.get(key) for key in ("warmup_ratio", "warmup_steps")
    ):
        return Outcome(
            "renamed", {f"{CONFIG}lr_scheduler_type": "constant"}, why="nothing warms up"
        )
    if setting.value == "warmup_stable_decay" and not named:
        return Outcome("unknown", why="transformers stops without num_decay_steps")
    return plain(setting, context)


def when(otherwise: Rule) -> Rule:
    """When it evaluates, saves or tells: YAML makes false of a bare `no`, and transformers stops at that."""

    def rule(setting: Setting, context: Context) -> Outcome:
        if setting.value is False:
            return Outcome("unknown", why=BARE_NO)
        return otherwise(setting, context)

    return rule


def drawn_at_once(setting: Setting, context: Context) -> Outcome:
    """`generation_batch_size` is another way to say `steps_per_generation` (trainer/grpo_config.py)."""
    if setting.value is None or trainer(context)[0] not in ("grpo", "rloo"):
        return plain(setting, context)
    config = config_class(context)
    micro = context.get("per_device_train_batch_size")
    micro = context.assumed(f"{config}.per_device_train_batch_size") if micro is None else micro
    steps, rest = divmod(int(setting.value), int(micro) * context.devices)
    if rest or context.get("steps_per_generation") is not None:
        return Outcome(
            "unknown", why="trl stops: not whole batches, or said beside steps_per_generation"
        )
    return Outcome(
        "derived", {f"{config}.steps_per_generation": steps}, why="batches drawn at once"
    )


def order(setting: Setting, context: Context) -> Outcome:
    """In which order rows come: some trainers stop at one, others never ask."""
    word, loss = trainer(context)[0], context.get("loss_type", "kto")
    grouped = setting.value == GROUPED if setting.key == STRATEGY else bool(setting.value)
    if setting.key == GROUPED and not grouped:
        return Outcome("inert", why="it is off")
    if word == "kto" and loss == "kto" and setting.value != "sequential":
        # trainer/kto_trainer.py
        return Outcome("unknown", why="trl's KTO stops unless rows stay in their order")
    if grouped and (found := _ungrouped(word, context)):
        return found
    if setting.key == GROUPED:
        return by_length(native_key(STRATEGY, context))(setting, context)
    return plain(setting, context)


def _ungrouped(word: str, context: Context) -> Outcome | None:
    """What becomes of rows of like length, where a trainer has none."""
    if word in ONLINE:
        return Outcome("inert", why=SAMPLED)
    if word not in ("sft", "gkd"):
        return Outcome("unknown", why=MEASURED)
    return Outcome("approximated", why=PACKED) if context.get("packing") else None


def timed() -> dict[str, Rule]:
    """Rules of the settings that say when something is done, and of the schedule."""
    keys = ("eval_strategy", "evaluation_strategy", "save_strategy", "logging_strategy")
    asked = {key: when(training_rules(CONFIG).get(key, plain)) for key in keys}
    return {**asked, "lr_scheduler_type": schedule}
