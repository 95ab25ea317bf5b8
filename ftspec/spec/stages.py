"""spec.stages: several runs in one file, one after the other, each over what all of them share."""

from collections.abc import Mapping
from typing import Any, Literal

from ftspec.spec.base import Node, StageName
from ftspec.spec.root import Spec
from ftspec.spec.train import EXCLUSIVE
from ftspec.spec.vocabulary import nodes
from ftspec.spec.writing import Writing

NOT_SHARED: Mapping[str, Mapping[str, str]] = {
    "output": {"hub": "every stage would upload to it: say it in the stage that shall"},
    "train": {"resume": "a checkpoint is of one stage: say it there"},
}
"""What cannot be the same for every stage, and why."""

MODELS: Mapping[str, str] = {"reference_stage": "reference", "teacher_stage": "teacher"}
"""Fields of objectives that name an earlier stage, and those that the place of its model goes into."""


class Taken(Node):
    """In a stage, `model` may take what an earlier stage left in place of a `name`."""

    stage: StageName
    """The earlier stage whose result this one begins with."""
    adapter: Literal["continue", "merge"] | None = None
    """Where that stage trained an adapter, and only there: `continue` trains it further over the same base.
    `merge` adds it to the base first, in a step of its own, and this stage begins with whole weights."""


class Stage(Node):
    """One run of several. It has all sections of a spec; a field that it leaves out is the shared one."""

    name: StageName
    """What other stages and messages call it. Its results lie in a folder of this name."""
    write: Writing | None = None
    """Answers that a teacher writes first, in a step of its own: the stage trains on them, in place of
    `data.train`. null: the stage trains on data that is there."""


def overlay(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The shared sections with a stage's own over them, field by field.

    A field that both have is the stage's, whole: nothing below it is mixed. Of two fields that exclude
    each other, the stage's one replaces the shared other.
    """
    both = {
        name: _section(name, shared[name], own[name]) for name in shared if name in own
    }  # in the order of the file
    return {**shared, **own, **both}


def full(name: str, value: Any) -> Any:
    """A section with its short form written out; anything else as it is."""
    models = nodes(Spec.model_fields[name].annotation) if name in Spec.model_fields else ()
    return models[0].expand(value) if models else value


def _section(name: str, shared: Any, own: Any) -> Any:
    shared, own = full(name, shared), full(name, own)
    if not (isinstance(shared, dict) and isinstance(own, dict)):
        return own
    gone = {
        other
        for pair in (EXCLUSIVE if name == "train" else ())
        for one, other in (pair, pair[::-1])
        if own.get(one) is not None
    }
    return {**{key: value for key, value in shared.items() if key not in gone}, **own}
