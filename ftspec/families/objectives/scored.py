"""Rewards in a script: calls of a file that is copied beside it, and the way back from their syntax.

The file (templates/rewards.py) is the same in every folder; all that a spec says stands in the calls,
as literals.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from ftspec.backend import File, Job
from ftspec.mapping import MISSING, Flat
from ftspec.spec.online import Rewarded

REWARDS = "rewards"
"""Native pseudo-key: what completions are rewarded for, as (call, arguments)."""
OWN = "derived.reward_files"
"""The texts of a person's own files, in the order of the rewards that name them."""
FILE = "rewards.py"
SOURCE = files("ftspec.families") / "templates" / FILE
CALLS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "format": ("in_format", {"tags": "tags"}),
    "regex": ("matches", {"pattern": "pattern"}),
    "exact-match": ("exact_match", {"column": "column", "pattern": "pattern"}),
    "length": ("length", {"minimum": "minimum", "maximum": "maximum", "unit": "unit"}),
    "json-schema": ("json_schema", {"schema": "json_schema"}),
    "python": ("own", {"file": "file", "function": "function"}),
    "model": ("model", {"name": "name", "adapter": "adapter"}),
}
"""Each kind of reward: its function in the copied file, and that one's arguments by field."""
TRUST = "trust_remote_code"
EMPTY: Mapping[str, Any] = {
    name: known.default for name, known in Rewarded.model_fields.items() if not known.is_required()
}
"""What a reward says of that which does not belong to its kind."""
LIST = """\
reward_funcs = [
{% for call, given in scored.calls %}
    {{ call|call(**given) }},
{% endfor %}
]  # fmt: skip
{{ "trainer_class = rewards.keeping"|call(trainer|code, scored.names) }}
"""
"""The statements that make the rewards, and the trainer that notes completions with them."""


def own_file(number: int) -> str:
    """The name under which a person's file is copied: none that hides a package."""
    return f"own_rewards_{number}.py"


def lower_rewards(rewards: Sequence[Mapping[str, Any]], trust: bool) -> tuple[Any, ...]:
    """Each reward as (function, arguments)."""
    made, files = [], 0
    for reward in rewards:
        function, arguments = CALLS[reward["by"]]
        given = {name: reward[path] for name, path in arguments.items()}
        if reward["by"] == "python":
            files += 1
            given["file"] = own_file(files)
        if reward["by"] == "model":
            given[TRUST] = trust
        if "tags" in given:
            given["tags"] = list(given["tags"])
        made.append((function, given))
    return tuple(made)


def lift_rewards(made: Any, weights: Sequence[float] | None) -> Any:
    """The way back; rewards without weights count 1."""
    if made is MISSING:
        return MISSING
    weights = [1.0] * len(made) if weights is None else weights
    kinds = {function: (kind, arguments) for kind, (function, arguments) in CALLS.items()}
    found = []
    for (function, given), weight in zip(made, weights, strict=True):
        kind, arguments = kinds[function]
        said = {path: given[name] for name, path in arguments.items()}
        if "tags" in said:
            said["tags"] = tuple(said["tags"])
        found.append({"by": kind, **EMPTY, "weight": float(weight), **said})
    return tuple(found)


def context(native: Flat) -> dict[str, Any] | None:
    """What the template prints of rewards; None where the trainer has none."""
    made = native.get(REWARDS)
    if made is None:
        return None
    kinds = {function: kind.replace("-", "_") for kind, (function, _) in CALLS.items()}
    return {
        "calls": [(f"{REWARDS}.{function}", given) for function, given in made],
        "names": list(_names([kinds[function] for function, _ in made])),
    }


def _names(kinds: Sequence[str]) -> Iterator[str]:
    """What each reward is called in the log: its kind, with a number where there are several."""
    several, seen = Counter(kinds), Counter[str]()
    for kind in kinds:
        seen[kind] += 1
        yield f"{kind}_{seen[kind]}" if several[kind] > 1 else kind


def reward_files(native: Flat, job: Job) -> list[File]:
    """The copied file of rewards, and a person's own ones; nothing for other trainers."""
    if REWARDS not in native:
        return []
    own = job.values.get(OWN, ())
    copies = [File.text(own_file(at), text) for at, text in enumerate(own, 1)]
    return [File.text(FILE, SOURCE.read_text("utf-8")), *copies]


def read_rewards(tree: ast.Module) -> dict[str, Any]:
    """The rewards out of a script's syntax tree; nothing where it has none."""
    for node in tree.body:
        alone = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "reward_model"
        if alone and isinstance(node, ast.Assign):
            return {REWARDS: (_call(node.value),)}
        named = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "reward_funcs"
        if named and isinstance(node, ast.Assign) and isinstance(node.value, ast.List):
            return {REWARDS: tuple(_call(item) for item in node.value.elts)}
    return {}


def _call(node: ast.expr) -> tuple[str, dict[str, Any]]:
    if not isinstance(node, ast.Call):
        raise TypeError("a reward is a call")
    given = {str(each.arg): ast.literal_eval(each.value) for each in node.keywords}
    return ast.unparse(node.func).removeprefix(f"{REWARDS}."), given
