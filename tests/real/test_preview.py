"""What `ftspec data preview` says against what each framework really makes of the same rows.

The compiled folder runs in the framework's own environment up to the first step; its data set is then
compared with the preview: which rows are left, every id, every label.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow
import pytest

from ftspec.data.findings import Findings
from ftspec.data.pack import best_fit
from ftspec.data.preview import look
from ftspec.data.view import View
from ftspec.plan.data_stages import prepare_split
from ftspec.plan.make import make_plan
from ftspec.plan.readers import readers
from ftspec.spec.load import load
from tests.real.conftest import BACKENDS
from tests.real.previewed import compare, ours, theirs

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]


CUT = ("data.overflow=truncate", "data.max_length=48")


CASES = [
    *((name, "assistant") for name in BACKENDS),
    *((name, train_on) for name in ("trl", "llamafactory") for train_on in ("completions", "all")),
]


@pytest.mark.parametrize(("backend", "train_on"), CASES)
def test_long_rows_are_cut_as_the_framework_cuts(
    project: Path, backend: str, train_on: str
) -> None:
    said = compare(
        project, backend, *CUT, f"data.train_on={train_on}", "data.eval=data/chat.eval.jsonl"
    )
    # trl leaves out rows of which the cut took all that is trained, so fewer remain for `completions`
    assert sum(len(row["input_ids"]) == 48 for row in said) >= 30


@pytest.mark.parametrize("backend", ["trl", "llamafactory"])
def test_rows_held_out_are_the_same_in_the_same_order(project: Path, backend: str) -> None:
    limits = "data.train=[{path: data/chat.jsonl, limit: 21}, {path: data/chat.jsonl, limit: 30}]"
    said = compare(project, backend, *CUT, limits, "data.eval_size=0.1")
    assert len(said) == 51 - 6
    assert len(ours(project, backend, "eval", *CUT, limits, "data.eval_size=0.1")) == 6


def test_the_last_rows_are_held_out_of_those_that_are_not_too_long(project: Path) -> None:
    sets = (
        *("data.overflow=drop", "data.max_length=48", "data.train_on=completions"),
        *("data.eval_size=0.2", "data.eval_draw=last"),
    )
    real = theirs(project, "trl", *sets)
    assert 10 < len(real["train"]) < 45 and len(real["eval"]) > 2
    assert [row["input_ids"] for row in real["train"]] != sorted(
        row["input_ids"] for row in real["train"]
    )
    for prepared in ((), ("data.prepare=ftspec",)):
        for split, rows in real.items():
            assert ours(project, "trl", split, *sets, *prepared) == rows
    assert written(project, *sets) == real


@pytest.mark.parametrize("backend", ["trl", "unsloth"])
def test_shares_and_mixed_rows_are_the_same_in_the_same_order(project: Path, backend: str) -> None:
    sets = (
        "data.train=[{path: data/chat.jsonl, share: 0.5}, {path: data/chat.jsonl, limit: 21, share: 1},"
        " {path: data/chat.jsonl, limit: 9}]",
        *("data.mixed=true", "data.draw_seed=3", "data.eval_size=7", "data.train_on=completions"),
    )
    real = theirs(project, backend, *sets)
    assert (len(real["train"]), len(real["eval"])) == (32 + 21 + 9 - 7, 7)
    for split, rows in real.items():
        assert ours(project, backend, split, *sets) == rows
    if backend == "trl":
        assert written(project, *sets) == real


def written(project: Path, *sets: str) -> dict[str, Any]:
    """The rows that ftspec writes where it prepares them, by split."""
    made = make_plan(load(project / "quickstart.yaml", (*sets, "data.prepare=ftspec")), "trl")
    found = {}
    for split in ("train", "eval"):
        folder = project.parent / "written" / split
        shutil.rmtree(folder, ignore_errors=True)
        prepare_split(made.resolved, split, folder)
        (file,) = folder.glob("*.arrow")
        with pyarrow.memory_map(str(file)) as memory:
            table = pyarrow.ipc.open_stream(memory).read_all()
        found[split] = [
            {key: row[key] for key in ("input_ids", "labels")} for row in table.to_pylist()
        ]
    return found


def test_packed_rows_are_made_of_the_rows_that_are_shown(project: Path) -> None:
    sets = (
        "data.overflow=truncate",
        "data.max_length=96",
        "data.packing=documents",
        "data.system=Hi.",
    )
    real = theirs(project, "trl", *sets)["train"]
    said = ours(project, "trl", "train", *sets)
    bins = best_fit([len(row["input_ids"]) for row in said], 96)
    assert [row["input_ids"] for row in real] == [
        [token for at in found for token in said[at]["input_ids"]] for found in bins
    ]
    plain = (
        "method.objective=cpt", "data.max_length=96", "data.packing=blocks",
        "data.train={path: data/alpaca.jsonl, format: text, columns: {text: output}}",
        "data.overflow=truncate",
    )  # fmt: skip
    real = theirs(project, "trl", *plain)["train"]
    every = [token for row in ours(project, "trl", "train", *plain) for token in row["input_ids"]]
    assert [row["input_ids"] for row in real] == [
        every[at : at + 96] for at in range(0, len(every), 96)
    ]


FORMATS: dict[str, list[dict[str, Any]]] = {
    "sharegpt": [
        {"conversations": [{"from": "system", "value": "S"}, {"from": "human", "value": "Q?"},
                           {"from": "gpt", "value": "A."}]},
        {"conversations": [{"from": "human", "value": "Q? " * 40}, {"from": "gpt", "value": "A."}]},
    ],
    "alpaca": [
        {"instruction": "Add.", "input": "1 and 2", "output": "3"},
        {"instruction": "Say yes.", "input": "", "output": "Yes, " * 40},
    ],
    "prompt-completion": [
        {"prompt": "Q: one?\nA:", "completion": " two"},
        {"prompt": "th", "completion": "e end"},
        {"prompt": "Q: ends?\nA:", "completion": " yes<|im_end|>"},
        {"prompt": "long " * 40, "completion": "lost"},
    ],
    "text": [{"text": "Plain text."}, {"text": "Ends itself.<|im_end|>"}, {"text": "long " * 40}],
}  # fmt: skip


PAIRS = [
    *((format, "trl") for format in FORMATS),
    *(("sharegpt", "llamafactory"), ("alpaca", "llamafactory")),  # it refuses the others
    ("prompt-completion", "unsloth"),
]


@pytest.mark.parametrize(("format", "backend"), PAIRS)
def test_every_format_is_read_as_the_framework_reads_it(
    project: Path, format: str, backend: str
) -> None:
    given = FORMATS[format]
    file = project / "data" / f"{format}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in given))
    objective = "cpt" if format == "text" else "sft"
    said = compare(
        project,
        backend,
        f"data.train={{path: data/{format}.jsonl, format: {format}}}",
        f"method.objective={objective}",
        "data.overflow=truncate",
        "data.max_length=24",
    )
    lost = {"sharegpt": 1, "prompt-completion": 1} if backend != "llamafactory" else {}
    assert len(said) == len(given) - lost.get(format, 0)


@pytest.mark.parametrize("backend", ["trl", "llamafactory"])
def test_rows_that_ftspec_prepares(project: Path, backend: str) -> None:
    sets = ("data.prepare=ftspec", "data.overflow=drop", "data.max_length=64")
    assert 0 < len(compare(project, backend, *sets)) < 64


def test_rows_that_a_script_drops(project: Path) -> None:
    assert 0 < len(compare(project, "trl", "data.overflow=drop", "data.max_length=64")) < 64


def test_a_row_that_is_refused_for_llamafactory_is_one_that_it_leaves_out(project: Path) -> None:
    """Roles of the other convention: without ftspec's check they would be gone in silence."""
    turns = [{"from": "user", "value": "Q?"}, {"from": "assistant", "value": "A."}]
    given = [*FORMATS["sharegpt"], {"conversations": turns}]
    file = project / "data" / "roles.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in given))
    sets = ("data.train={path: data/roles.jsonl, format: sharegpt}", "data.overflow=truncate")
    assert len(theirs(project, "llamafactory", *sets, check=False)["train"]) == len(given) - 1
    asked = readers(load(project / "quickstart.yaml", sets), ("llamafactory",))
    rules = [group.rule for group in asked.groups]
    looked = list(look(asked.sources("train"), asked.folder, asked.tokens, rules, Findings()))
    refused = [row.views[0] for row in looked if not isinstance(row.views[0], View)]
    assert [error.problems[0].line for error in refused] == [len(given)]


def test_pairs_are_cut_as_the_framework_cuts(project: Path) -> None:
    """trl cuts each answer behind the prompt when it makes a batch; LLaMA-Factory shares the room."""
    sets = (
        "data.train=data/preferences.jsonl",
        "data.train_on=completions",
        "method.objective=dpo",
        "data.overflow=truncate",
        "data.max_length=40",
    )
    asked = readers(load(project / "quickstart.yaml", sets), ("trl", "llamafactory"))
    rules = [group.rule for group in asked.groups]
    assert len(rules) == 2
    looked = list(look(asked.sources("train"), asked.folder, asked.tokens, rules, Findings()))
    said: dict[str, list[View]] = {"trl": [], "llamafactory": []}
    for row in looked:
        for group, view in zip(asked.groups, row.views, strict=True):
            assert isinstance(view, View)
            if not view.left_out:
                said[group.backends[0]].append(view)
    real = {name: theirs(project, name, *sets, check=False)["train"] for name in said}
    assert len(said["trl"]) == len(real["trl"]) < len(looked) == len(real["llamafactory"])
    for view, row in zip(said["trl"], real["trl"], strict=True):
        assert view.rejected is not None
        for side, name in ((view, "chosen"), (view.rejected, "rejected")):
            whole = row["prompt_ids"] + row[f"{name}_ids"]
            assert side.input_ids == whole[:40]  # by its collator
            given = len(row["prompt_ids"])
            assert side.labels == ([-100] * given + row[f"{name}_ids"])[:40]
    for view, row in zip(said["llamafactory"], real["llamafactory"], strict=True):
        assert view.rejected is not None
        for side, name in ((view, "chosen"), (view.rejected, "rejected")):
            assert side.input_ids == row[f"{name}_input_ids"]
            assert side.labels == row[f"{name}_labels"]
    assert sum(len(view.labels) < view.length for view in said["llamafactory"]) > 10
