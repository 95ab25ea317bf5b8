"""A key of a config as a native key: in a class that ftspec writes already, or the trainer's own."""

from __future__ import annotations

from ftspec.port.fates import Setting
from ftspec.port.formats.trl.trainers import config_class
from ftspec.port.rules import Context, Outcome

CONFIG = "SFTConfig."
BALANCE = "router_aux_loss_coef"
"""Its null says something: the model's own weight."""


def plain(setting: Setting, context: Context) -> Outcome:
    """A key of the trainer's config class, or of SFTConfig where that class has it from it."""
    root = setting.key.split(".", 1)[0].split("[", 1)[0]
    value = setting.value if root == setting.key else context.get(root)
    key = native_key(root, context)
    declared = context.table.find(key) if context.table else None
    if value is None and declared and declared[1] is None and root != BALANCE:
        return Outcome("inert", why="what trl assumes anyway")
    return Outcome("exact", {key: value})


def native_key(name: str, context: Context) -> str:
    """`Call.name`: in a class that ftspec writes already, or the trainer's own."""
    own, table = config_class(context), context.table
    there = table.find(f"{own}.{name}") if table else None
    shared = table.find(f"{CONFIG}{name}") if table else None
    if shared is None or (there is not None and there[0] != shared[0]):
        return f"{own}.{name}"
    return f"{CONFIG}{name}"
