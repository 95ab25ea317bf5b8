"""What a stage is called, in a word for progress and in a sentence for the plan."""

from __future__ import annotations

import shlex

from ftspec.emit.shell import portable
from ftspec.plan.stages import (
    BuildEnvironment,
    CheckData,
    CheckFolder,
    Collect,
    CopyModel,
    Launch,
    PrepareData,
    Stage,
    TakeResult,
    WriteFile,
)


def title(stage: Stage) -> str:
    """A stage's name: `train`, `write train.py`."""
    return _words(stage)[0]


def sentence(stage: Stage) -> str:
    """One line about a stage, in the imperative."""
    return _words(stage)[1]


def _words(stage: Stage) -> tuple[str, str]:
    match stage:
        case CheckData(split, lengths):
            more = ", and tokenise them to find rows beyond data.max_length" if lengths else ""
            words = f"check data: {split}", f"read the {split} rows and check each{more}"
        case PrepareData(split, target):
            said = f"render and tokenise the {split} rows into {target}"
            words = f"prepare data: {split}", said
        case CopyModel(source, target, changed):
            said = (
                f"link the files of {source} into {target}, with another {', '.join(changed)} there"
            )
            words = "copy the model", said
        case CheckFolder(field, folder):
            words = f"check {field}", f"find {folder}, which {field} names"
        case TakeResult(name, source, _):
            said = (
                f"see that stage {name} has ended well and its result in {source.folder} is whole"
            )
            words = f"take {name}", said
        case WriteFile(file):
            size = len(file.content)
            words = f"write {file.path}", f"write {file.path} ({size} bytes)"
        case BuildEnvironment(backend, lock, key, why):
            said = f"have the environment {backend} ({lock}, lock {key})"
            said += f", because {why}" if why else ""
            words = f"environment: {lock}", said
        case Launch(argv):
            words = "train", f"start {shlex.join(portable(argv))}"
        case Collect(folder):
            words = "collect results", f"check and note the results in {folder}"
    return words
