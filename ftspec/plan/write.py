"""Carry out the writing stages of a plan: prepared data first, then the files, all or none."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ftspec.emit.disk import write_files
from ftspec.plan.data_stages import check_split, copy_prepared, prepare_split, reads
from ftspec.plan.model_copy import copy_model
from ftspec.plan.stages import CheckData, CopyModel, Plan, PrepareData


def write_plan(plan: Plan, overwrite: bool = False) -> tuple[Path, ...]:
    """Write what `compile` promises, and return the paths.

    Raises:
        DataError: a row cannot be read or trained on.
        OutputError: a file cannot be written, or was changed by hand.
    """
    return write_plans([plan], overwrite)[plan.backend]


def write_plans(plans: Iterable[Plan], overwrite: bool = False) -> dict[str, tuple[Path, ...]]:
    """The same for several backends, by their names; data that they share is read once."""
    data = _Data()
    written = {}
    for plan in plans:
        prepared = []
        for stage in plan.stages:
            if isinstance(stage, CheckData) and not stage.later:
                data.check(stage, plan)
            elif isinstance(stage, PrepareData):
                prepared.append(data.prepare(stage, plan))
            elif isinstance(stage, CopyModel):
                prepared.append(copy_model(stage, plan.folder))
        write_files(plan.folder, plan.files(), overwrite=overwrite)
        written[plan.backend] = (*prepared, *(plan.folder / file.path for file in plan.files()))
    return written


class _Data:
    """What was read so far, and for what."""

    def __init__(self) -> None:
        self.checked: set[tuple[str, bool, bool, bool]] = set()
        self.prepared: dict[str, Path] = {}

    def check(self, stage: CheckData, plan: Plan) -> None:
        asked = reads(plan.resolved, stage.split)
        # lengths are the same for all, so the rows need not be tokenised for each
        lengths = stage.lengths and not any(done[:2] == (asked, True) for done in self.checked)
        asking = (asked, stage.lengths, stage.alternating, stage.parsing)
        if lengths or asking not in self.checked:
            check_split(plan.resolved, stage.split, lengths, stage.alternating, stage.parsing)
            self.checked.add(asking)

    def prepare(self, stage: PrepareData, plan: Plan) -> Path:
        target = plan.folder / stage.target
        asked = reads(plan.resolved, stage.split) + repr(stage.columns)
        if asked in self.prepared:
            copy_prepared(self.prepared[asked], target)
        else:
            prepare_split(plan.resolved, stage.split, target, stage.columns)
            self.prepared[asked] = target
        return target
