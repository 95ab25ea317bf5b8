"""Carry out the writing stages of a plan: prepared data first, then the files, all or none."""

from __future__ import annotations

from pathlib import Path

from ftspec.emit.disk import write_files
from ftspec.plan.data_stages import check_split, prepare_split
from ftspec.plan.stages import CheckData, Plan, PrepareData


def write_plan(plan: Plan, overwrite: bool = False) -> tuple[Path, ...]:
    """Write what `compile` promises, and return the paths.

    Raises:
        DataError: a row cannot be read or trained on.
        OutputError: a file cannot be written, or was changed by hand.
    """
    written: list[Path] = []
    for stage in plan.stages:
        if isinstance(stage, CheckData):
            check_split(plan.resolved, stage.split, stage.lengths)
        elif isinstance(stage, PrepareData):
            target = plan.folder / stage.target
            prepare_split(plan.resolved, stage.split, target)
            written.append(target)
    write_files(plan.folder, plan.files(), overwrite=overwrite)
    return (*written, *(plan.folder / file.path for file in plan.files()))
