"""Rows of axolotl's configs: what axolotl makes of them itself, and what the imported spec does.

Ids and labels of every row, in order, of those that train and of those that are held out.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import yaml

from ftspec.data.findings import Findings
from ftspec.data.preview import look
from ftspec.data.view import View
from ftspec.env.install import ensure
from ftspec.plan.data_stages import prepare_split
from ftspec.plan.make import make_plan
from ftspec.plan.readers import readers
from ftspec.plan.write import write_plan
from ftspec.port.bring import bring
from ftspec.registry import load as load_backend
from ftspec.spec.load import Loaded, load
from ftspec_axolotl.data import KEPT
from ftspec_axolotl.emit import CONFIG
from tests.conftest import SPECS
from tests.real.axolotl_cases import BASE, CASES, CHANGED, CHATS, KEYS, OWN, SPECS_OF_ROWS, THINKS
from tests.real.warm import interpreter

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
REFERENCE = Path(__file__).parent / "axolotl_reference.py"
ROWS = 60
TALKS = 48
SHORT = ("calls.jsonl", "thoughts.jsonl")
BEGINS = "tiny-that-begins"
"""The tiny model with a token that begins texts, which templates print."""


def calls() -> list[dict[str, Any]]:
    """Conversations that call a tool, with words beside the call and without."""
    place = {"type": "object", "properties": {"city": {"type": "string"}}}
    tool = {"type": "function", "function": {"name": "w", "description": "d", "parameters": place}}
    found = []
    for number in range(8):
        call = {"type": "function", "function": {"name": "w", "arguments": {"city": f"B{number}"}}}
        words = "I look." * (number % 2)
        messages = [
            {"role": "user", "content": f"Weather {number}?"},
            {"role": "assistant", "content": words, "tool_calls": [call]},
            {"role": "tool", "content": "sunny", "name": "w"},
            {"role": "assistant", "content": f"It is sunny, {number}."},
        ]
        found.append({"messages": messages, "tools": [tool]})
    return found


def thoughts() -> list[dict[str, Any]]:
    """Conversations whose answers have a thought under each of the names that templates know."""
    found = []
    for number in range(8):
        names = ("thinking", "reasoning_content", "reasoning")
        thought = {name: f"{name} {number}" for name in names[number % 2 :]}
        found.append({"messages": [
            {"role": "user", "content": f"Count to {number}."},
            {"role": "assistant", "content": f"{number}!", **thought},
        ]})  # fmt: skip
    return found


def _begins(model: Path) -> None:
    file = model / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "bos_token": "<|im_start|>"}))


def talks() -> list[dict[str, Any]]:
    """Conversations of several turns, with system turns, thoughts and awkward texts."""
    found = []
    texts = (
        "Ja. ",
        "\n\nSo:\n- one\n",
        "[[another",
        "zz",
        "Grüße 🙂",
        "<b>fat</b>\n",
        " again" * 9,
    )
    for number in range(TALKS):
        turns: list[dict[str, Any]] = []
        if number % 3 == 0:
            turns.append({"role": "system", "content": f"Be {number}."})
        for turn in range(1 + number % 4):
            text = texts[(number + turn) % len(texts)]
            turns.append({"role": "user", "content": f"{text}{turn}?"})
            answer = {"role": "assistant", "content": f"{turn}{text}"}
            if number % 2:
                answer["content"] = text + "!" * (number % 5)
            if number % 4 == 1 and turn % 2 == 0:
                answer["reasoning_content"] = f"Hm, {number}.\nAnd {text}{turn}"
            if number % 8 == 2:
                answer["content"] = f"<think>\nHm {text}\n</think>\n\n{number}"
            turns.append(answer)
        found.append({"messages": turns})
    return found


def flagged() -> list[dict[str, Any]]:
    """The same, with a flag in some turns; the last one of each trains."""
    found = talks()
    for row in found:
        for number, turn in enumerate(row["messages"][:-1]):
            word = (True, False, None)[(number + len(turn["content"])) % 3]
            if word is not None:
                turn["train"] = word
    return found


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config for each case, beside the tiny model and rows that have the columns of all of them."""
    folder = tmp_path_factory.mktemp("axolotl-rows")
    shutil.copytree(SPECS / "tiny-model", folder / "tiny-model")
    lines = []
    for number in range(ROWS):
        text = "again and again " * (number % 7)
        row = {
            "instruction": f"Count to {number}, {{please}}.", "input": text if number % 3 else "",
            "output": f"{number} {{% of {number}" + " and so on" * (number % 4 * 20) + "\n" * (number % 2),
            "question": f"Why {number}?", "context": text if number % 2 else None,
            "category": f"Numbers {number % 4}", "answer": f"Because of {number}.",
            "role": "Be kind." if number % 4 else "", "system": "Be just." if number % 3 else "",
            "response": f"So it is, {number}.", "system_prompt": "Be quick." if number % 5 else "",
            "INSTRUCTION": f"Do {number}.", "RESPONSE": f"Done {number}.",
            "text": f"Text {number % 50}: "
            + f"so, {number % 50}. " * (140 if number == 9 else number % 9 * 8),
            "message_1": f"Hello {number}.", "message_2": f"Goodbye {number}.",
            "article": f"News {number}.\n" * (number % 4), "summary": f"In short, {number}.",
            "unanswerable_question": f"But why {number}?", "revision": f"Rather {number}.",
        }  # fmt: skip
        lines.append(json.dumps(row))
    told = [json.dumps(json.loads(line) | {"context": "So."}) for line in lines]
    for file, part in (
        ("rows", lines),
        ("told", told),
        ("first", lines[:20]),
        ("rest", lines[20:]),
    ):
        (folder / f"{file}.jsonl").write_text("\n".join(part) + "\n", "utf-8")
    for name, (kind, more) in CASES.items():
        entry = {"path": "rows.jsonl", "ds_type": "json", "type": kind}
        if isinstance(kind, dict) and not any("field" in key for key in kind):
            entry |= {"type": "alpaca", **kind}
        config = {**BASE, "datasets": [entry], "dataset_prepared_path": f"cache-{name}", **more}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
    _begins(shutil.copytree(SPECS / "tiny-model", folder / BEGINS))
    told = (SPECS / "data" / "chat.jsonl").read_text("utf-8").splitlines()
    rows = [*(json.loads(line) for line in told), *talks()]
    files = {"chats": rows, "calls": calls(), "thoughts": thoughts(), "flagged": flagged()}
    for file, found in files.items():
        text = "".join(f"{json.dumps(row)}\n" for row in found)
        (folder / f"{file}.jsonl").write_text(text, "utf-8")
    for name, (said, more) in CHATS.items():
        entry = {"path": "chats.jsonl", "ds_type": "json", "type": "chat_template", **said}
        chats = {**BASE, "datasets": [entry], "shuffle_merged_datasets": False, **more}
        chats |= {"dataset_prepared_path": f"cache-{name}", "base_model": BEGINS}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(chats, sort_keys=False), "utf-8")
    (folder / "own.jinja").write_text(OWN, "utf-8")
    (folder / "thinks.jinja").write_text(THINKS, "utf-8")
    table = pyarrow.Table.from_pylist([json.loads(line) for line in lines])
    pyarrow.parquet.write_table(table, folder / "rows.parquet")
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ("instruction", "output", "answer"), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(map(json.loads, lines))
    called = {"system": "system", "user": "human", "assistant": "gpt"}
    talk = [
        [{"from": called[one["role"]], "value": one["content"]} for one in row["messages"]]
        for row in talks()
    ]
    text = "".join(f"{json.dumps({'talk': turns})}\n" for turns in talk)
    (folder / "talks.jsonl").write_text(text, "utf-8")
    for name, part in (("changed.jsonl", rows[:20]), ("changed.jsonl.new", rows[20:50])):
        text = "".join(f"{json.dumps(row)}\n" for row in part)
        (folder / name).write_text(text, "utf-8")
    for name, (data, more) in SPECS_OF_ROWS.items():
        write_plan(make_plan(own_spec(folder, name, data, more), "axolotl", folder / name))
    return folder


def own_spec(folder: Path, name: str, data: dict[str, Any], more: tuple[str, ...]) -> Loaded:
    """A spec whose rows axolotl makes."""
    turns = "template" not in str(data) and "text" not in str(data)
    given = {"train": "chats.jsonl", "max_length": 512, "overflow": "error"}
    given |= {"turn_part": "ended"} if turns else {}
    spec = {"version": 1, "model": f"./{BEGINS}", "data": given | data, "precision": "fp32"}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(spec, sort_keys=False), "utf-8")
    sets = ("train.warmup_steps=0", "train.steps=9", "train.batch_size=1", "hardware.device=cpu")
    return load(folder / f"{name}.yaml", (*sets, *more))


def reference(project: Path, out: str, *configs: str) -> subprocess.Popen[str]:
    """A process in which axolotl makes the rows of configs."""
    variables = {
        **os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(project / "hf"),
        "CUDA_VISIBLE_DEVICES": "", "DO_NOT_TRACK": "1", "AXOLOTL_DO_NOT_TRACK": "1",
    }  # fmt: skip
    python = interpreter(ensure(load_backend("axolotl")), variables)
    command = [str(python), str(REFERENCE), out, *configs]
    return subprocess.Popen(command, cwd=project, env=variables, stderr=subprocess.PIPE, text=True)


def made_by(process: subprocess.Popen[str], out: Path) -> dict[str, Any]:
    """The rows that the process leaves, by config and split."""
    _, said = process.communicate()
    assert process.returncode == 0, said[-4000:]
    found: dict[str, Any] = json.loads(out.read_text())
    return found


@pytest.fixture(scope="module")
def theirs(project: Path) -> dict[str, Any]:
    """The rows that axolotl made, by case and split."""
    configs = {name: f"{name}.yaml" for name in (*CASES, *CHATS)}
    configs |= {name: f"{name}/{CONFIG}" for name in SPECS_OF_ROWS}
    again = ("changed.jsonl.new", f"{CHANGED}/{CONFIG}")
    process = reference(project, "rows.json", *configs.values(), *again)
    found = made_by(process, project / "rows.json")
    return {name: found[config] for name, config in configs.items()}


def ours(project: Path, name: str, model: str = "tiny-model") -> dict[str, Any]:
    """The rows that ftspec prepares of the imported spec."""
    imported = bring([project / f"{name}.yaml"])
    lost = [fate.setting.key for fate in imported.fates if not fate.faithful]
    assert not lost
    assert not imported.composed.open
    spec = project / f"{name}.spec.yaml"
    spec.write_text(imported.composed.text, "utf-8")
    for file, text in imported.files.items():
        (project / file).write_text(text, "utf-8")
    loaded = load(spec, ("data.prepare=ftspec", f"model.name=./{model}", "hardware.device=cpu"))
    return prepared(project / "ours" / name, loaded)


def prepared(folder: Path, loaded: Loaded) -> dict[str, Any]:
    """The rows that ftspec prepares of a spec, by split."""
    resolved = make_plan(loaded, "trl").resolved
    found: dict[str, Any] = {"eval": None}
    for split in ("train", "eval") if loaded.spec.data.eval_size else ("train",):
        prepare_split(resolved, split, folder / split)
        (file,) = (folder / split).glob("*.arrow")
        with pyarrow.memory_map(str(file)) as memory:
            table = pyarrow.ipc.open_stream(memory).read_all()
        rows = table.select(["input_ids", "labels"]).to_pylist()
        found[split] = [{key: row[key] for key in ("input_ids", "labels")} for row in rows]
    return found


@pytest.mark.parametrize("name", CASES)
def test_rows_are_axolotls(project: Path, theirs: dict[str, Any], name: str) -> None:
    made, real = ours(project, name), theirs[name]
    for split in ("train", "eval"):
        if real[split] is None:
            assert made[split] is None
            continue
        assert 0 < len(real[split]) <= (25 * ROWS if "completion" in name else 4 * ROWS)
        for row in real[split]:
            row["labels"][0] = -100  # nothing predicts the first token
        order = (lambda row: row["input_ids"]) if real["eval"] is None else None
        # without rows to hold out it shuffles as well, and an epoch draws them in random order anyway
        one, other = (
            sorted(side, key=order) if order else side for side in (made[split], real[split])
        )
        assert one == other, name
    if name == "short":
        assert len(real["train"]) + len(real["eval"]) < ROWS


@pytest.mark.parametrize("name", CHATS)
def test_turns_are_axolotls(project: Path, theirs: dict[str, Any], name: str) -> None:
    made, real = ours(project, name, BEGINS)["train"], theirs[name]["train"]
    few = CHATS[name][0].get("path")
    assert len(made) == len(real) == (8 if few in SHORT else TALKS if few else 64 + TALKS)
    for row in real:
        row["labels"][0] = -100  # nothing predicts the first token
    apart = [at for at, (one, other) in enumerate(zip(made, real, strict=True)) if one != other]
    assert not apart


@pytest.mark.parametrize("name", SPECS_OF_ROWS)
def test_rows_of_its_own_are_those_of_the_spec(
    project: Path, theirs: dict[str, Any], name: str
) -> None:
    data, more = SPECS_OF_ROWS[name]
    real = theirs[name]["train"]
    assert len(real) >= 8
    assert shown(own_spec(project, name, data, more)) == real
    sets = (*more, "data.prepare=ftspec")
    made = prepared(project / "prepared" / name, own_spec(project, name, data, sets))["train"]
    for row in real:
        row["labels"][0] = -100  # nothing predicts the first token
    assert made == real
    assert name != CHANGED or len(made) == 30


def test_processes_of_one_run_make_the_same_rows(project: Path, theirs: dict[str, Any]) -> None:
    """They wait for each other in one folder, and find no rows there."""
    config, outs = f"turns/{CONFIG}", ("one.json", "two.json")
    running = [reference(project, out, config) for out in outs]
    for process, out in zip(running, outs, strict=True):
        found, real = made_by(process, project / out)[config]["train"], theirs["turns"]["train"]
        assert len(found) == len(real) >= 100
        for one, other in zip(found, real, strict=True):
            assert one["input_ids"] == other["input_ids"]
            assert one["labels"][1:] == other["labels"][1:]
    assert not list((project / "turns" / KEPT).glob("*/*.arrow"))


def shown(loaded: Loaded) -> list[dict[str, list[int]]]:
    """The rows that `ftspec data preview` says axolotl trains on."""
    asked, found = readers(loaded, ("axolotl",)), Findings()
    rules = [group.rule for group in asked.groups]
    looked = look(
        asked.sources("train"), asked.folder, asked.tokens, rules, found, asked.draw("train")
    )
    views = [view for one in looked for view in one.views if isinstance(view, View)]
    found.check()
    return [
        {"input_ids": view.input_ids, "labels": view.labels} for view in views if not view.left_out
    ]


def test_what_is_compiled_is_read_back(project: Path) -> None:
    """`ftspec import` of the config alone, as if somebody had written it."""
    for name in SPECS_OF_ROWS:
        config = project / name / CONFIG
        (alone := project / "alone" / name).mkdir(parents=True)
        imported = bring([Path(shutil.copy(config, alone / CONFIG))])
        keys = {fate.setting.key: fate.faithful for fate in imported.fates}
        of_rows = [key for key in keys if key.startswith(("datasets", *KEYS))]
        lost = [key for key in of_rows if not keys[key]]
        assert not lost, name
        assert len(of_rows) >= 8


def test_the_cases_differ(theirs: dict[str, Any]) -> None:
    assert len({*CASES, *CHATS, *SPECS_OF_ROWS}) == len(theirs) == len(CASES) + len(CHATS) + 16
    texts = {
        json.dumps(sorted(map(json.dumps, found["train"])))
        for name, found in theirs.items()
        if name in CASES
    }
    assert len(texts) == len(CASES)
