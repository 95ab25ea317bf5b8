"""Files for other commands of LLaMA-Factory than the one that trains, and who starts its processes.

0.9.5: launcher.py, eval/evaluator.py, train/tuner.py (export_model), hparams/evaluation_args.py.
"""

from __future__ import annotations

from ftspec.port.arguments import asked_of
from ftspec.port.fates import Setting
from ftspec.port.formats.hf_arguments import plain
from ftspec.port.rules import Context, Outcome, Rule, group

PLAIN = plain()
MEASURED = "only `llamafactory-cli eval` reads it, which trains nothing"
OF_TRAINING = ("dataset", "learning_rate", "num_train_epochs", "max_steps")
"""Keys that nobody says of a model that only answers."""
MEASURES = ("task", "task_dir", "batch_size", "lang", "n_shot", "save_dir", "download_mode")


def measures(context: Context) -> bool:
    """Whether the file is for its command `eval`, whose parser knows no stage."""
    return "task" in context.document.data and not context.get("do_train")


def hidden(context: Context) -> str:
    """Words of a command line that only the shell knows, where do_train is not among the others."""
    if context.get("do_train") is not None:
        return ""
    words = (asked_of(text).partition(": ")[2] for _, text in context.document.foreign)
    return " ".join(word for word in words if word.startswith(("$", "`")))


def other(context: Context) -> str | None:
    """What a file is for that trains nothing; None where it trains."""
    if context.get("do_train") or hidden(context):
        return None
    if measures(context):
        name = context.get("task")
        return (
            f"this file trains nothing: `llamafactory-cli eval` measures a model by it, on {name}"
        )
    if context.get("export_dir"):
        return (
            "this file trains nothing: `llamafactory-cli export` writes a model by it. An adapter is added "
            "to its base between two stages of a spec by `adapter: merge` (stages.md)"
        )
    if context.get("do_predict") or context.get("do_eval"):
        return "this file trains nothing: do_train is not set, it evaluates or predicts"
    if any(key in context.document.data for key in OF_TRAINING):
        return "this file trains nothing: do_train is not set, and it is no default"
    return "this file trains nothing: a model is loaded by it, for chatting, serving or writing answers"


def doubts(context: Context) -> list[str]:
    """Questions about whether it trains at all."""
    if words := hidden(context):
        return [f"do_train is not set, and it is no default: does {words} hold it?"]
    purpose = other(context)
    return [] if purpose is None else [purpose]


def command_rules() -> dict[str, Rule]:
    """Settings of those commands, and of Ray."""
    return {
        **dict.fromkeys(MEASURES, _measured),
        "ray_num_workers": _workers,
        **group(
            "where the processes are and how they find each other",
            "ray_init_kwargs",
            "ray_init_kwargs.",
            "master_addr",
            "master_port",
        ),
    }


def _measured(setting: Setting, context: Context) -> Outcome:
    return Outcome("inert", why=MEASURED) if measures(context) else PLAIN(setting, context)


def _workers(setting: Setting, context: Context) -> Outcome:
    """Ray starts so many processes, if the environment asks for it: USE_RAY=1 (extras/misc.py)."""
    count = context.devices
    if setting.value in (1, count):
        return Outcome("derived", why="as many processes", of=("hardware.devices",))
    why = (
        f"where USE_RAY=1 has Ray start them, {setting.value} processes train, each with this batch: the "
        f"spec's batch is that of {count}; `--devices {setting.value}` counts them"
    )
    return Outcome("approximated", why=why)
