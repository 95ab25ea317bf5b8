"""What an earlier stage left: whether it is complete, unchanged, and what the next one was planned with."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ftspec.data.template import load_template
from ftspec.errors import Problem, RunError
from ftspec.plan.positions import model_config
from ftspec.plan.resolve import stored_dtype
from ftspec.plan.stages import Plan, TakeResult
from ftspec.plan.values import Resolved
from ftspec.run.results import collect
from ftspec.run.state import FOLDER, read_state

RESULTS = "results.json"
AGAIN = "`ftspec run` with the same spec runs what is not complete; --overwrite trains it again"


def results(plan: Plan) -> Path:
    """The folder of a plan's weights."""
    return (plan.folder / plan.results()).resolve()


def noted(plan: Plan) -> dict[str, Any]:
    """What a finished run wrote down about its results; empty if it did not."""
    try:
        found = json.loads((plan.folder / FOLDER / RESULTS).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def whole(name: str, plan: Plan) -> str:
    """One hash for the complete result of an earlier stage.

    Raises:
        RunError: the stage has not run, has not ended well, was of another spec, or what it left is
            damaged or was changed.
    """
    state = read_state(plan.folder)
    if state is None:
        raise _incomplete(f"stage {name} has not run: there is no run in {plan.folder}")
    if state.status != "done":
        at = f" in `{state.stage}`" if state.stage else ""
        raise _incomplete(f"stage {name} is not complete: {state.status}{at} ({plan.folder})")
    if state.digest != plan.digest():
        raise _incomplete(
            f"{plan.folder} holds the result of another spec than stage {name} is now"
        )
    files = noted(plan).get("files")
    if not isinstance(files, dict) or not files:
        raise _incomplete(f"stage {name} noted no results in {plan.folder}")
    there = collect(results(plan), plan.answers())
    changed = sorted(file for file in files if there.get(file) != files[file])
    if changed:
        listed = ", ".join(changed)
        raise _incomplete(f"the result of stage {name} was changed after it was noted: {listed}")
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def take(stage: TakeResult, resolved: Resolved) -> str:
    """The hash of what a stage begins with, after a look at whether it is what the plan counted on.

    Raises:
        RunError: it is not complete, or it is not as planned.
    """
    found = whole(stage.name, stage.source)
    if resolved.files is None or not stage.begins:
        return found  # an adapter, or a base that is as it was; or a model beside it
    folder = results(stage.source)
    planned, stored = (
        resolved.values["derived.stored_dtype"].value,
        stored_dtype(model_config(folder)),
    )
    if planned is not None and stored != planned:
        message = f"stage {stage.name} saved weights as {stored}, and {planned} was planned with"
        raise RunError(
            Problem(message, "model.dtype", hint=f"model.dtype: {stored}, in that stage")
        )
    base = resolved.folder / resolved.files[0]
    if resolved.spec.model.chat_template == "tokenizer" and base.is_dir():
        ours, theirs = (load_template(place, {}) for place in (base, folder))
        if (ours and ours.source) != (theirs and theirs.source):
            message = f"stage {stage.name} saved a tokenizer with another chat template"
            hint = "model.chat_template: a file with the template that is meant"
            raise RunError(Problem(message, "model.chat_template", hint=hint))
    return found


def _incomplete(message: str) -> RunError:
    return RunError(message, hint=AGAIN)
