"""Other models that trl's configs name: who rewards, and who teaches.

trl 1.16, scripts/grpo.py: the reward model comes first, then the functions by their names; `reward_weights`
are in that order.
"""

from __future__ import annotations

from typing import Any

from ftspec.families.objectives.gkd import OVER_WRITTEN, TEACHER
from ftspec.port.fates import Setting
from ftspec.port.formats.trl.trainers import trainer
from ftspec.port.rules import Context, Outcome, Rule, renamed
from ftspec.port.scripts.names import REWARD_SOURCE

REWARDS = "TODO.py"
"""A file that a person has to write, since the source names functions of its own project."""
FIELD = "method.objective.rewards"
MODELS = ("reward_model_name_or_path", "reward_model_path")
"""Names of the reward model: of `trl grpo` and `trl rloo`, and of scripts of PPO and online DPO."""
OWN = ("accuracy_reward", "reasoning_accuracy_reward", "think_format_reward")
"""Functions of trl.rewards that `reward_funcs` may name."""
PUNISHMENT = "get_soft_overlong_punishment"
DIVIDED = (
    "trl divides the divergence of answers that a model wrote by the tokens of the data's answers; here it "
    "is the mean over what was written"
)


def names(context: Context) -> list[Any]:
    """What `reward_funcs` names."""
    found = context.get("reward_funcs")
    return list(found) if isinstance(found, list) else [] if found is None else [found]


def _file(context: Context) -> str:
    return f"{context.document.path.stem}.rewards.py"


def _text(own: list[str]) -> str:
    """A module with trl's own functions, for those that a spec names."""
    lines = ['"""Rewards that the training takes from trl."""', ""]
    lines.append(f"from trl.rewards import {', '.join(sorted(set(own)))}")
    if PUNISHMENT in own:
        lines += ["", "soft_overlong_punishment = get_soft_overlong_punishment(1280, 256)"]
    return "\n".join(lines) + "\n"


def _function(name: str, context: Context) -> dict[str, Any]:
    if name == PUNISHMENT and not context.get(REWARD_SOURCE):
        return {
            "by": "python",
            "file": f"./{_file(context)}",
            "function": "soft_overlong_punishment",
        }
    here = name in OWN or context.get(REWARD_SOURCE)
    file = f"./{_file(context)}" if here else REWARDS
    return {"by": "python", "file": file, "function": name}


def rewards(context: Context) -> tuple[dict[str, Any], ...]:
    """What rewards, in trl's order, each with its weight."""
    named = [context.get(key) for key in MODELS]
    models = [name for name in named if isinstance(name, str) and name]
    found: list[dict[str, Any]] = [{"by": "model", "name": model} for model in models]
    found += [_function(name, context) for name in names(context) if _is_name(name)]
    weights = context.get("reward_weights")
    if not isinstance(weights, list) or len(weights) != len(found):
        weights = [1.0] * len(found)
    return tuple({**one, "weight": weight} for one, weight in zip(found, weights, strict=True))


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and name.isidentifier()


def _functions(_setting: Setting, context: Context) -> Outcome:
    """Named functions: trl's own are known, those of a project are for a person to copy."""
    if not (names(context) and all(map(_is_name, names(context)))):
        return Outcome("unknown", why="rewards are named functions, or models")
    if text := context.get(REWARD_SOURCE):
        why = f"the script's own functions, written to {_file(context)}"
        return Outcome(
            "derived", spec={FIELD: rewards(context)}, why=why, files={_file(context): str(text)}
        )
    own = [name for name in names(context) if name in (*OWN, PUNISHMENT)]
    files = {_file(context): _text(own)} if own else {}
    spec = {FIELD: rewards(context)}
    if len(own) < len(names(context)):
        why = f"functions of the project that the recipe belongs to: copy them into {REWARDS}"
        return Outcome("unknown", spec=spec, why=why, files=files)
    return Outcome("derived", spec=spec, why=f"trl's own, by {_file(context)}", files=files)


def _source(_setting: Setting, _context: Context) -> Outcome:
    return Outcome("derived", why="the text of these functions", of=(FIELD,))


def _model(setting: Setting, context: Context) -> Outcome:
    if not (isinstance(setting.value, str) and setting.value):
        return Outcome("unknown", why="no name of a model")
    return Outcome("renamed", spec={FIELD: rewards(context)}, why="the model that rewards")


def _weights(setting: Setting, context: Context) -> Outcome:
    found = rewards(context)
    if not found:
        return Outcome("unknown", why="weights of rewards that are not known")
    if not isinstance(setting.value, list) or len(setting.value) != len(found):
        return Outcome("unknown", why=f"{len(found)} rewards need as many weights")
    return Outcome("derived", why="the weight of each reward", of=(FIELD,))


def _share(setting: Setting, context: Context) -> Outcome:
    """`lmbda`, the share of answers that the model writes."""
    native = {"GKDConfig.lmbda": setting.value}
    if not setting.value and not context.get("seq_kd"):
        return Outcome("renamed", native)
    return Outcome("approximated", {**native, OVER_WRITTEN: True}, why=DIVIDED)


def _rewritten(setting: Setting, _context: Context) -> Outcome:
    """`seq_kd`: the teacher writes the other answers."""
    native = {"GKDConfig.seq_kd": setting.value}
    if not setting.value:
        return Outcome("renamed", native)
    return Outcome("approximated", {**native, OVER_WRITTEN: True}, why=DIVIDED)


def written(context: Context) -> dict[str, Any]:
    """The native values of distillation where `lmbda` is missing: half of the answers are written."""
    share = context.get("lmbda", context.assumed("GKDConfig.lmbda"))
    return {OVER_WRITTEN: True} if share or context.get("seq_kd") else {}


def _policy(setting: Setting, context: Context) -> Outcome:
    """Of PPO: what trains. `model_name_or_path` is there for the tokenizer alone (examples' ppo.py)."""
    if trainer(context)[0] != "ppo":
        return Outcome("unknown", why="a setting of PPO alone")
    return Outcome("renamed", spec={"model.name": setting.value}, why="the model that trains")


def _named(setting: Setting, context: Context) -> Outcome:
    trained = context.get("sft_model_path")
    if trainer(context)[0] != "ppo" or trained is None:
        return Outcome("renamed", {"model.name": setting.value})
    if trained == setting.value:
        return Outcome("derived", of=("model.name",))
    return Outcome("unknown", why="a tokenizer of another model than the one that trains")


def of_arithmetic(rule: Rule) -> Rule:
    """PPO's Accelerator is made without the trainer's precision (trl 0.24, trainer/ppo_trainer.py)."""

    def chosen(setting: Setting, context: Context) -> Outcome:
        if trainer(context)[0] == "ppo":
            return Outcome(
                "inert", why="trl's PPO never asks for it: layers calculate as they are held"
            )
        return rule(setting, context)

    return chosen


MODEL_RULES: dict[str, Rule] = {
    **dict.fromkeys(MODELS, _model),
    "sft_model_path": _policy,
    "model_name_or_path": _named,
    "reward_funcs": _functions,
    "reward_funcs[]": _functions,
    REWARD_SOURCE: _source,
    "reward_weights": _weights,
    "reward_weights[]": _weights,
    "teacher_model_name_or_path": renamed(TEACHER),
    "teacher_model_revision": renamed("model.teacher_revision"),
    "lmbda": _share,
    "seq_kd": _rewritten,
}
