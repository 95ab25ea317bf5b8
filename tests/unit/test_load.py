# ruff: noqa: E501 - tables, one case a line
"""Loading: what is accepted in which forms, and what a person is told about each mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from ftspec.errors import Problem, SpecError
from ftspec.spec.load import Loaded, load, loads
from ftspec.spec.planned import ALIASES, PLANNED_OBJECTIVES, PLANNED_TUNERS
from ftspec.spec.vocabulary import fields
from tests.unit.spec_damage import damaged

BASE = "model: org/name\ndata: train.jsonl\n"


def problems(text: str, *sets: str) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        loads(text, "f.yaml", sets)
    return caught.value.problems


def only(text: str, *sets: str) -> Problem:
    (problem,) = problems(text, *sets)
    return problem


def same(one: str, other: str) -> bool:
    return loads(one).spec == loads(other).spec


# ---- forms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("model: x\ndata: a.jsonl", "model: {name: x}\ndata: {train: [{path: a.jsonl}]}"),
        ("model: x\ndata: org/set", "model: x\ndata: {train: {hub: org/set}}"),
        ("model: x\ndata: [a.jsonl, b/c]", "model: x\ndata: {train: [{path: a.jsonl}, {hub: b/c}]}"),
        ("model: x\ndata: {train: A.CSV}", "model: x\ndata: {train: {path: A.CSV}}"),
        (BASE + "method: full", BASE + "method: {tuner: {type: full}}"),
        (BASE + "method: lora", BASE + "method: {objective: sft, tuner: {type: lora}}"),
        (BASE + "method: sft", BASE),
        (BASE + "method: {tuner: full}", BASE + "method: full"),
        (BASE + "precision: fp32", BASE + "precision: {compute: fp32}"),
        (BASE + "train: {optimizer: adamw}", BASE + "train: {optimizer: {type: adamw}}"),
        (BASE + "train: {optimizer: {eps: 1e-9}}", BASE + "train: {optimizer: {type: adamw, eps: 1e-9}}"),
        (BASE + "train: {optimizer: lion}", BASE + "train: {optimizer: {type: lion}}"),
        (BASE + "train: {schedule: linear}", BASE + "train: {schedule: {type: linear}}"),
        (BASE + "hardware: {zero: 3}", BASE + "hardware: {zero: {stage: 3}}"),
        (BASE + "output: runs/x", BASE + "output: {folder: runs/x}"),
        (BASE + "output: {hub: a/b, trackers: wandb}", BASE + "output: {hub: {repo: a/b}, trackers: [wandb]}"),
        (BASE + "run: trl", BASE + "run: {backends: [trl]}"),
        (BASE + "run: [trl, unsloth]", BASE + "run: {backends: [trl, unsloth]}"),
        (BASE + "train: {epochs: 1}", BASE + "train: {epochs: 1.0}"),
        (BASE + "method: {tuner: {type: lora, targets: q_proj}}", BASE + "method: {tuner: {type: lora, targets: [q_proj]}}"),
    ],
)  # fmt: skip
def test_short_forms_are_the_full_forms(short: str, full: str) -> None:
    assert same(short, full)
    assert loads(short).digest == loads(full).digest


def test_loaded_knows_where_things_are(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text("model: x\ndata:\n  train:\n    - path: a.jsonl\ntrain:\n  steps: 5\n")
    loaded = load(file, ["train.seed=1"])
    assert isinstance(loaded, Loaded)
    assert loaded.file == file
    assert loaded.positions["train.steps"] == (6, 10)
    assert loaded.positions["data.train.0.path"] == (4, 13)
    assert loaded.sets == ("train.seed=1",)
    assert len(loaded.digest) == 64
    assert loaded.problem("train.steps", "no").place() == f"{file}:6:10"
    assert loaded.problem("model.dtype", "no").place() == f"{file}:1:8", "the nearest above it"
    assert loaded.problem("hardware.zero.stage", "no").place() == str(file)
    assert loaded.problem("train.seed", "no").place() == "--set train.seed=1"


def test_the_digest_is_of_the_meaning() -> None:
    assert loads(BASE).digest == loads("# hi\n" + BASE + "train: {seed: 42}").digest
    assert loads(BASE).digest != loads(BASE, sets=["train.seed=43"]).digest


# ---- files ---------------------------------------------------------------------------------------


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(BASE)
    cases = {
        tmp_path / "none.yaml": ("no such file", "mine.yaml"),
        tmp_path: ("a folder", "mine.yaml"),
        tmp_path / "none" / "x.yaml": ("no such file", "ftspec init"),
        tmp_path / "mine.yaml" / "x": ("cannot be read", ""),
        tmp_path / ("x" * 400): ("cannot be read", ""),
        Path("a\0b"): ("cannot be read", ""),
    }
    for path, (message, hint) in cases.items():
        with pytest.raises(SpecError) as caught:
            load(path)
        (problem,) = caught.value.problems
        assert message in problem.message
        assert hint in problem.hint
        assert problem.file == str(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("# nothing", "empty"),
        ("- a", "a list, not a spec"),
        ("hello", "one value, not a spec"),
    ],
)
def test_files_that_are_no_spec(text: str, words: str) -> None:
    assert words in only(text).message


# ---- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "path", "message", "hint"),
    [
        ("train: {steps: '8'}", "3:16", "train.steps", "expected a whole number, got the text '8'", "write 8"),
        ("train: {steps: 1e3}", "3:16", "train.steps", "expected a whole number, got 1000.0", "write 1000"),
        ("train: {steps: 1_000}", "3:16", "train.steps", "expected a whole number, got the text '1_000'", "write 1000"),
        ("train: {steps: true}", "3:16", "train.steps", "expected a whole number, got true", ""),
        ("train: {steps: 0}", "3:16", "train.steps", "expected 1 or more, got 0", ""),
        ("train:\n  learning_rate: 2e4x", "4:18", "train.learning_rate", "expected a number, got the text '2e4x'", ""),
        ("train: {seed: 4294967296}", "3:15", "train.seed", "expected less than 4294967296", ""),
        ("train: {max_grad_norm: 0}", "3:24", "train.max_grad_norm", "expected more than 0, got 0", ""),
        ("train: {gradient_checkpointing: no}", "3:33", "train.gradient_checkpointing", "expected true or false, got the text 'no'", "write false"),
        ("train: {schedule: cosin}", "3:19", "train.schedule", "there is no schedule `cosin`", "did you mean `cosine`?"),
        ("train: {schedule: {cycles: 1}}", "3:19", "train.schedule", "`type` is missing in `train.schedule`", "add `type`: linear, cosine, constant, "),
        ("train: {optimizer: adamw_bnb_8bit}", "3:20", "train.optimizer", "there is no optimizer `adamw_bnb_8bit`", "did you mean `adamw-8bit`?"),
        ("train: {optimizer: {type: sgd, nesterov: true}}", "3:42", "train.optimizer.nesterov", "`nesterov` needs a `momentum`", ""),
        ("train: {optimizer: {type: lion, eps: 1e-8}}", "3:33", "train.optimizer.eps", "`eps` is not a field of the lion optimizer", ""),
        ("train: {save_steps: x}", "3:21", "train.save_steps", "expected a whole number or a number or `epoch`, got the text 'x'", ""),
        ("train: {save_steps: 0}", "3:21", "train.save_steps", "expected 1 or more or more than 0 or `epoch`, got 0", ""),
        ("train: {seed: }", "3:9", "train.seed", "expected a whole number, got nothing (null)", "leave the key out"),
        ("train:", "3:1", "train", "expected a section, got nothing (null)", "leave the key out"),
        ("train: 5", "3:8", "train", "expected a section, got 5", ""),
        ("train: [1]", "3:8", "train", "expected a section, got a list", ""),
        ("train: {epochs: 1, steps: 1}", "3:17", "train.epochs", "`epochs` and `steps` exclude each other", ""),
        ("precision: bf61", "3:12", "precision", "expected `fp32`, `bf16`, `fp16`, `bf16-weights`, `fp16-weights`, `bf16-pure` or `fp8`", "did you mean `bf16`?"),
        ("hardware: {zero: 4}", "3:18", "hardware.zero", "expected 0, 1, 2 or 3, got 4", ""),
        ("hardware: {zero: {stage: 2, offload_parameters: true}}", "3:49", "hardware.zero.offload_parameters", "needs stage 3", ""),
        ("output: {hub: my own}", "3:15", "output.hub", "expected a repository, `org/name` or a bare name", ""),
        ("output: {trackers: [wandbb]}", "3:21", "output.trackers.0", "got the text 'wandbb'", "`wandb`"),
        ("run: []", "3:6", "run", "expected at least 1 item, got an empty list", ""),
        ("native: {trl: 1}", "3:15", "native.trl", "expected a section, got 1", ""),
        ("version: 1.0", "3:10", "version", "expected a whole number, got 1.0", "write 1"),
        ("hardware: {zero: true}", "3:18", "hardware.zero", "expected a whole number, got true", ""),
        ("version: 2", "3:10", "version", "expected 1, got 2", ""),
        ("method: loar", "3:9", "method", "`loar` is neither an objective nor a tuner", "did you mean `lora`?"),
        ("method: {tuner: loar}", "3:17", "method.tuner", "there is no tuner `loar`", "did you mean `lora`?"),
        ("method: {tuner: {type: loar}}", "3:24", "method.tuner.type", "there is no tuner `loar`", "`lora`"),
        ("method: {tuner: {rank: 8}}", "3:17", "method.tuner", "`type` is missing in `method.tuner`", "add `type`: full, lora"),
        ("method: {tuner: 8}", "3:17", "method.tuner", "expected a name or a section, got 8", ""),
        ("method: {tuner: sft}", "3:17", "method.tuner", "there is no tuner `sft`", "write `objective: sft`"),
        ("method: {objective: lora}", "3:21", "method.objective", "there is no objective `lora`", "write `tuner: lora`"),
        ("method: {objective: ctp}", "3:21", "method.objective", "there is no objective `ctp`", "did you mean `cpt`?"),
        ("method: {tuner: {type: full, rank: 8}}", "3:30", "method.tuner.rank", "`rank` is not a field of the full tuner", "belongs to lora"),
        ("method: {rank: 8}", "3:10", "method.rank", "`rank` is not a field of `method`", "belongs to `method.tuner`"),
        ("method: {lora: {rank: 8}}", "3:10", "method.lora", "`lora` is not a field of `method`", "{type: lora, ...}"),
        ("method: {tuner: {type: lora, targets: 'a,b'}}", "3:39", "method.tuner.targets", "or a module's name", "write a list: [a, b]"),
        ("method: {tuner: {type: lora, targets: all_linear}}\nx: 1", "4:1", "x", "`x` is not a field", ""),
        ("method: {tuner: {type: lora, targets: [q, 1]}}", "3:43", "method.tuner.targets.1", "expected text, got 1", 'in quotes: "1"'),
        ("method: {tuner: {type: lora, adapter: x, rank: 3}}", "3:48", "method.tuner.rank", "no effect", ""),
        ("method: partial", "3:9", "method", "say which part trains", ""),
        ("method: {tuner: {type: freeze}}", "3:24", "method.tuner.type", "no tuner `freeze`", "that is `partial` here"),
        ("method: {tuner: {type: partial, last_layers: 1, first_layers: 1}}", "3:46", "method.tuner.last_layers", "exclude each other", ""),
        ("method: {tuner: {freeze_trainable_layers: 1, type: partial}}", "3:18", "method.tuner.freeze_trainable_layers", "not a field", "`last_layers` of the partial"),
        ("learning_rate: 1e-4", "3:1", "learning_rate", "`learning_rate` is not a field of the spec", "belongs to `train`"),
        ("train: {lr: 1}", "3:9", "train.lr", "`lr` is not a field of `train`", "`train.learning_rate`"),
        ("train: {batchsize: 1}", "3:9", "train.batchsize", "`batchsize` is not a field", "did you mean `batch_size`?"),
        ("train: {gradient_accumulation_steps: 4}", "3:9", "train.gradient_accumulation_steps", "not a field", "global batch"),
        ("train: {bf16: true}", "3:9", "train.bf16", "not a field", "`precision.compute`"),
        ("train: {packing: true}", "3:9", "train.packing", "not a field", "`packing` belongs to `data`"),
        ("lora_alpha: 16", "3:1", "lora_alpha", "not a field", "`method.tuner.alpha`"),
        ("train: {qat_scheme: int4}", "3:9", "train.qat_scheme", "not a field", "that is `train.qat` here"),
        ("output: {export_quantization_bit: 4}", "3:10", "output.export_quantization_bit", "not a field", "is `output.quantization`"),
        ("shift_attn: true", "3:1", "shift_attn", "not a field", "before 4.48"),
        ("mixture_of_depths: load", "3:1", "mixture_of_depths", "not a field", "not in its lock"),
        ("stpes: 5", "3:1", "stpes", "not a field", "`train.steps`"),
        ("zzz: 5", "3:1", "zzz", "not a field", "fields here: version, model"),
        ("'': 5", "3:1", "", "`` is not a field", ""),
    ],
)  # fmt: skip
def test_one_mistake_one_problem(text: str, place: str, path: str, message: str, hint: str) -> None:
    problem = only(BASE + text)
    assert problem.place() == f"f.yaml:{place}"
    assert problem.path == path
    assert message in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("text", "place", "path", "message", "hint"),
    [
        ("data: a.jsonl", "1:1", "model", "`model` is missing", "model: org/name"),
        ("model: x", "1:1", "data", "`data` is missing", "data: train.jsonl"),
        ("model: x\ndata: {max_length: 9}", "2:7", "data.train", "`train` is missing", "hub id"),
        ("model: {revision: x}\ndata: a.jsonl", "1:8", "model.name", "`name` is missing", "name the model"),
        ("model: 5\ndata: a.jsonl", "1:8", "model", "expected text, got 5", 'quotes: "5"'),
        ("model: ''\ndata: a.jsonl", "1:8", "model", "text that is not empty", ""),
        ("model: x\ndata:", "2:1", "data", "expected a section, got nothing", "data: train.jsonl"),
        ("model: x\ndata: {train: []}", "2:15", "data.train", "at least 1 item", ""),
        ("model: x\ndata: {train: {path: a.txt}}", "2:15", "data.train", "a data file ends in", ""),
        ("model: x\ndata: {train: [a.jsonl, 7]}", "2:25", "data.train.1", "expected text, got 7", ""),
        ("model: x\ndata: {train: {path: a.jsonl, hub: b}}", "2:22", "data.train.path", "one of them is needed", ""),
        ("model: x\ndata: {train: {hub: a/b, split: 'b[:3]', limit: 2}}", "2:49", "data.train.limit", "name of one", ""),
        ("model: x\ndata: {train: a.csv, eval: a.csv, eval_size: 0.1}", "2:28", "data.eval", "or held out", ""),
        ("model: x\ndata: {train: a.csv, eval_size: 1.5}", "2:33", "data.eval_size", "whole number of rows", ""),
        ("model: x\ndata: {train: a.csv, eval_draw: last}", "2:33", "data.eval_draw", "which rows `eval_size` holds out", ""),
        ("model: x\ndata: {train: a.csv, shuffle: false, group_by_length: true}", "2:55", "data.group_by_length", "rows that are drawn", ""),
        ("model: x\ndata: {train: a.csv, turn_flag: b}", "2:33", "data.turn_flag", "belongs to `turn_part: ended` or", ""),
        ("model: x\ndata: {train: a.csv, turn_ends: [b]}", "2:33", "data.turn_ends", "belongs to `turn_part: ended`", ""),
        ("model: x\ndata: {train: {split: b}}", "2:15", "data.train", "one of them is needed", ""),
        ("model: x\ndata: {train: {path: a.jsonl, columns: {text: 1}}}", "2:47", "data.train.columns.text", "expected text", ""),
        ("model: x\ndata:\n  train:\n    - path: a.jsonl\n      lol: 1", "5:7", "data.train.0.lol", "`lol` is not a field of `data.train`", "path, hub"),
        ("model: x\ndata: {path: a.jsonl, train: b.jsonl}", "2:8", "data.path", "not a field of `data`", "belongs to `data.train`"),
    ],
)  # fmt: skip
def test_mistakes_in_what_is_required(
    text: str, place: str, path: str, message: str, hint: str
) -> None:
    problem = only(text)
    assert problem.place() == f"f.yaml:{place}"
    assert problem.path == path
    assert message in problem.message
    assert hint in problem.hint


def test_all_problems_at_once_in_the_order_of_the_file() -> None:
    found = problems(
        "data: 5\nmodel: {nmae: x}\nmethod: loar\ntrain: {lr: 1, seed: x, optimizer: lion}\n"
    )
    assert [problem.line for problem in found] == sorted(problem.line for problem in found)
    assert {problem.path for problem in found} >= {
        "data",
        "model.nmae",
        "method",
        "train.lr",
        "train.seed",
    }


def test_typos_are_recognised() -> None:
    """One letter lost, doubled, or swapped with its neighbour, in every field name of the vocabulary."""
    tried = found = 0
    for section, name, _ in fields():
        if len(name) < 5 or "." in section:
            continue
        middle = len(name) // 2
        swapped = name[: middle - 1] + name[middle] + name[middle - 1] + name[middle + 1 :]
        for typo in {
            name[:middle] + name[middle + 1 :],
            name[:middle] + name[middle:][0] + name[middle:],
            swapped,
        }:
            if typo == name:
                continue
            line = f"{typo}: 1" if not section else f"{section}:\n  {typo}: 1"
            hints = [problem.hint for problem in problems(line) if problem.path.endswith(typo)]
            tried += 1
            found += any(f"`{name}`" in hint or f".{name}`" in hint for hint in hints)
    assert tried > 80
    assert found / tried >= 0.9, f"{found} of {tried}"


# ---- planned methods -----------------------------------------------------------------------------

PLANNED = [*PLANNED_OBJECTIVES, *PLANNED_TUNERS, *ALIASES]


@pytest.mark.parametrize("word", PLANNED)
def test_planned_methods_are_refused_by_name(word: str) -> None:
    part = "tuner" if {word, ALIASES.get(word)} & set(PLANNED_TUNERS) else "objective"
    for text in (
        f'method: "{word}"',
        f'method: {{{part}: "{word}"}}',
        f'method: {{{part}: {{type: "{word}", beta: 0.1, bits: [4]}}}}',
        f'method: {{{part}: "{word.upper().replace("-", "_")}"}}',
    ):
        problem = only(BASE + text)
        assert (
            problem.message.lower().replace("_", "-")
            == f"method `{word}` is not in this version of ftspec yet"
        )
        assert problem.line == 3


@pytest.mark.parametrize("init", ["corda", "{type: corda}", "CorDA"])
def test_planned_initialisations_are_refused_by_name(init: str) -> None:
    problem = only(BASE + f"method: {{tuner: {{type: lora, init: {init}}}}}")
    assert "is not in this version of ftspec yet" in problem.message
    assert (problem.path, problem.line) == ("method.tuner.init", 3)


def test_planned_methods_hide_no_other_problem() -> None:
    found = problems(
        BASE + "method: {objective: ipo, tuner: {type: boft, bits: 4}}\ntrain: {stepz: 1}"
    )
    assert [problem.path for problem in found] == [
        "method.objective",
        "method.tuner.type",
        "train.stepz",
    ]


# ---- --set ---------------------------------------------------------------------------------------


# ---- a law ----------------------------------------------------------------------------------------


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(damaged())
def test_no_accident_is_a_crash(document: dict[str, Any]) -> None:
    try:
        loads(json.dumps(document), "f.yaml")
    except SpecError as error:
        assert error.problems
        for problem in error.problems:
            assert problem.message
            assert problem.path or problem.line
            assert problem.line, problem


def test_a_slice_of_a_split_is_a_limit() -> None:
    one = loads("model: x\ndata: {train: {hub: a/b, split: 'train[:500]'}}").spec.data.train[0]
    assert (one.split, one.limit) == ("train", 500)
    other = loads("model: x\ndata: {train: {hub: a/b, split: 'train[:20%]'}}").spec.data.train[0]
    assert (other.split, other.limit) == ("train[:20%]", None)
