"""What losses of trl read."""

from __future__ import annotations

from ftspec.port.fates import Setting
from ftspec.port.formats.smoothing import PATH, unsmoothed
from ftspec.port.formats.trl.plain import plain
from ftspec.port.formats.trl.trainers import trainer
from ftspec.port.rules import Context, Outcome


def smoothing(setting: Setting, context: Context) -> Outcome:
    """`label_smoothing`, which DPO's loss `sigmoid` does not read today."""
    losses = context.get("loss_type", "sigmoid")
    first = losses[:1] if isinstance(losses, list) else [losses]
    if trainer(context)[0] != "dpo" or first != ["sigmoid"] or not setting.value:
        return plain(setting, context)
    if context.table and context.table.version.startswith("0."):
        return Outcome("renamed", spec={PATH: setting.value})
    return unsmoothed("trl 1", "; in trl 0.24 it counted: --as trl==0.24.0")
