"""What a spec's own files of rewards say, read as text: nothing of them is run here."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from ftspec.errors import Problem, SpecError
from ftspec.spec.home import at_home
from ftspec.spec.root import Spec
from ftspec.spec.stages import MODELS

LARGEST = 1 << 20
"""Bytes of a file of rewards: what is larger is not one."""


def decide_rewards(spec: Spec, folder: Path, decide: Any) -> None:
    """Read the files that rewards of the kind `python` name, to be copied.

    Raises:
        SpecError: an objective names a stage, and this is one run; a file is not there, is no Python, or
            has no such function.
    """
    for field, plain in MODELS.items():
        if (name := getattr(spec.method.objective, field, None)) is not None:
            message = f"there is no stage {name}: this is one run"
            path = f"method.objective.{field}"
            raise SpecError(Problem(message, path=path, hint=f"{plain}: a folder or a hub id"))
    rewards = getattr(spec.method.objective, "rewards", ())
    for at, each in enumerate(rewards):
        if each.stage is not None:
            message = f"there is no stage {each.stage}: this is one run"
            hint = "name: the folder or hub id of a reward model"
            path = f"method.objective.rewards.{at}.stage"
            raise SpecError(Problem(message, path=path, hint=hint))
    own = [(at, each) for at, each in enumerate(rewards) if each.by == "python"]
    texts = tuple(_text(each, f"method.objective.rewards.{at}", folder) for at, each in own)
    if texts:
        decide("derived.reward_files", texts, "the files that are copied")


def _text(reward: Any, path: str, folder: Path) -> str:
    file = folder / at_home(reward.file)
    try:
        with file.open("rb") as source:
            content = source.read(LARGEST + 1)
        text = content.decode()
    except OSError as error:
        hint = "paths start at the spec's own folder"
        message = f"{reward.file} cannot be read: {error.strerror}"
        raise SpecError(Problem(message, path=f"{path}.file", hint=hint)) from error
    except UnicodeDecodeError as error:
        message = f"{reward.file} is no UTF-8 text"
        raise SpecError(Problem(message, path=f"{path}.file")) from error
    if len(content) > LARGEST:
        message = f"{reward.file} is larger than a mebibyte"
        raise SpecError(Problem(message, path=f"{path}.file"))
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        message = f"{reward.file} is no Python: {error}"
        raise SpecError(Problem(message, path=f"{path}.file")) from error
    if reward.function not in (names := _names(tree)):
        known = f"it has {', '.join(names)}" if names else "it has no function"
        message = f"{reward.file} has no function {reward.function} at its top level"
        raise SpecError(Problem(message, path=f"{path}.function", hint=known))
    return text


def _names(tree: ast.Module) -> list[str]:
    """What may be called: functions, classes, and names that are assigned or imported."""
    found: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.Assign):
            found += [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found += [alias.asname or alias.name for alias in node.names]
    return found
