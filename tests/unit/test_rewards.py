"""Rewards: the copied file by what it gives, a file of one's own that is only read, the words of a spec."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ftspec.errors import SpecError
from ftspec.families.objectives import scored
from ftspec.plan.make import make_plan
from ftspec.spec.load import load
from ftspec.spec.online import FIELDS, GRPO, Rewarded

SHIPPED: dict[str, Any] = runpy.run_path(str(scored.SOURCE))
SCHEMA = {
    "type": "object",
    "properties": {
        "n": {"type": "integer", "minimum": 0, "maximum": 9},
        "of": {"enum": ["a", None]},
    },
    "required": ["n"],
    "additionalProperties": False,
}


def rewards(
    function: str, given: dict[str, Any], completions: list[Any], **more: Any
) -> list[float]:
    made = SHIPPED[function](**given)
    found: list[float] = made(prompts=[""] * len(completions), completions=completions, **more)
    return found


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("<think>a</think><answer>b</answer>", 1),
        (" <think>a\nb</think>\n<answer>b</answer>\n", 1),
        ("<think></think><answer>b</answer>", 0),
        ("<answer>b</answer><think>a</think>", 0),
        ("<think>a</think><answer>b</answer> and more", 0),
        ("<think>a</think><think>a</think><answer>b</answer>", 0),
        ("", 0),
    ],
)
def test_the_format_is_all_that_stands_there(text: str, reward: float) -> None:
    given = {"tags": ["think", "answer"]}
    assert rewards("in_format", given, [text, said(text)]) == [reward, reward]


def test_a_pattern_is_found_anywhere_and_over_lines() -> None:
    found = rewards("matches", {"pattern": "a.b"}, ["xx a\nb", "ab", said("a b")])
    assert found == [1, 0, 1]


def test_an_answer_is_that_of_its_row() -> None:
    completions, right = [" 7 ", "8", said("7")], {"answer": ["7", "7", 7]}
    given = {"column": "answer", "pattern": None}
    assert rewards("exact_match", given, completions, **right) == [1, 0, 1]
    given = {"column": "answer", "pattern": r"(-?\d+)"}
    last = ["first 3, then 7", "7 or 8", "none"]
    assert rewards("exact_match", given, last, answer=["7", "7", "7"]) == [1, 0, 0]
    with pytest.raises(KeyError, match="no column 'answer'"):
        rewards("exact_match", given, last, other=["7", "7", "7"])


def test_lengths_fall_off_outside_of_their_limits() -> None:
    given = {"minimum": 2, "maximum": 4, "unit": "words"}
    texts = ["a", "a b", "a b c d", "a b c d e f g h", ""]
    ids = [[0] * 3] * 5
    assert rewards("length", given, texts, completion_ids=ids) == [0.5, 1, 1, 0.5, 0]
    given = {"minimum": None, "maximum": 2, "unit": "tokens"}
    assert rewards("length", given, texts[:1], completion_ids=ids[:1]) == [2 / 3]
    given = {"minimum": 4, "maximum": None, "unit": "characters"}
    assert rewards("length", given, ["abc", "abcd"], completion_ids=ids[:2]) == [0.75, 1]


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ({"n": 3}, True), ({"n": 3, "of": None}, True), ({"n": 3.0}, True), ({"n": 3.5}, False),
        ({"n": 10}, False), ({"n": True}, False), ({"of": "a"}, False), ({"n": 1, "x": 1}, False),
        ({"n": 1, "of": "b"}, False), ([], False), (None, False), (float("inf"), False),
        ({"n": float("inf")}, False),
    ],
)  # fmt: skip
def test_json_is_held_to_its_schema(value: Any, fits: bool) -> None:
    texts = [json.dumps(value), f"Here: {json.dumps(value)}"]
    assert rewards("json_schema", {"schema": SCHEMA}, texts) == [float(fits), 0]


def test_no_json_is_no_answer() -> None:
    deep = "[" * 100_000
    assert rewards("json_schema", {"schema": {}}, ["{", "", deep, "1"]) == [0, 0, 0, 1]
    lists = {"type": "array", "items": {"type": "string", "minLength": 2}, "maxItems": 2}
    texts = ['["ab"]', '["a"]', '["ab", "ab", "ab"]', '{"a": 1}']
    assert rewards("json_schema", {"schema": lists}, texts) == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        ({"by": "regex"}, "the reward `regex` needs `pattern`"),
        ({"by": "regex", "pattern": "("}, "`pattern` is no regular expression"),
        (
            {"by": "regex", "pattern": "a", "column": "b"},
            "`column` belongs to the reward exact-match",
        ),
        ({"by": "exact-match"}, "the reward `exact-match` needs `column`"),
        ({"by": "exact-match", "column": "a", "pattern": "b"}, "needs a group"),
        ({"by": "length"}, "needs a `minimum`, a `maximum`, or both"),
        ({"by": "length", "minimum": 3, "maximum": 2}, "`minimum` is above `maximum`"),
        ({"by": "format", "tags": ["a b"]}, "a tag is a word"),
        ({"by": "format"}, "needs `tags`"),
        ({"by": "json-schema", "json_schema": {"oneOf": []}}, "`oneOf` is not understood"),
        ({"by": "json-schema", "json_schema": {"type": "text"}}, "'text' is no type"),
        ({"by": "json-schema", "json_schema": {"items": {"a": 1}}}, "`items.a` is not understood"),
        ({"by": "python", "file": "a.py", "function": "os.system"}, "String should match pattern"),
        ({"by": "python", "file": "a.py"}, "needs `function`"),
        ({"by": "model"}, "either a `name` or a `stage`"),
    ],
)
def test_a_reward_that_means_nothing_is_refused(reward: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message.replace("(", r"\(")):
        Rewarded.model_validate(reward)


def test_each_kind_has_a_function_and_every_field_a_kind() -> None:
    assert set(FIELDS) == set(scored.CALLS)
    for kind, (function, arguments) in scored.CALLS.items():
        assert set(arguments.values()) == set(FIELDS[kind]) - {"stage"}  # which becomes a name
        assert callable(SHIPPED[function])
    assert {"by", *scored.EMPTY} == set(Rewarded.model_fields)


def test_cispo_says_what_its_limit_is() -> None:
    rewarded = {"rewards": {"by": "regex", "pattern": "a"}, "loss": "cispo"}
    with pytest.raises(ValidationError, match="`cispo` needs `clip_high`"):
        GRPO.model_validate(rewarded)
    assert GRPO.model_validate({**rewarded, "clip_high": 5.0}).clip_high == 5


SPEC = """\
version: 1
model: org/name
data: {train: {path: a.jsonl, format: prompt}}
method:
  objective:
    type: grpo
    rewards: {by: python, file: own.py, function: score}
    generation: {completions: 4}
train: {batch_size: BATCH, steps: 1}
hardware: {device: cpu}
"""


def spec(folder: Path, source: str | bytes | None, batch: int = 8) -> Path:
    if source is not None:
        content = source.encode() if isinstance(source, str) else source
        (folder / "own.py").write_bytes(content)
    file = folder / "spec.yaml"
    file.write_text(SPEC.replace("BATCH", str(batch)))
    return file


def test_a_file_of_ones_own_is_copied_and_never_run(tmp_path: Path) -> None:
    source = "open('ran', 'w')\nraise SystemExit\ndef score(completions, **_):\n    return []\n"
    plan = make_plan(load(spec(tmp_path, source)), "trl")
    files = {file.path: file.content.decode() for file in plan.files()}
    assert files["own_rewards_1.py"] == source
    assert 'rewards.own(file="own_rewards_1.py", function="score")' in files["train.py"]
    assert not (tmp_path / "ran").exists()
    assert "own_rewards_1.py" in json.loads(files["manifest.json"])["files"]
    other = make_plan(load(spec(tmp_path, source + "# other\n")), "trl")
    assert other.digest() != plan.digest()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "own.py cannot be read: No such file or directory"),
        ("def score(:", "own.py is no Python"),
        ("def other(): pass", "own.py has no function score at its top level"),
        ("class A:\n    def score(self): pass", "own.py has no function score at its top level"),
        (b"\xff", "own.py is no UTF-8 text"),
        ("#" * (1 << 20) + "\n", "own.py is larger than a mebibyte"),
    ],
)
def test_a_file_that_holds_no_such_function_is_refused(
    tmp_path: Path, source: str | bytes | None, message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        make_plan(load(spec(tmp_path, source)), "trl")


def test_a_batch_holds_whole_groups(tmp_path: Path) -> None:
    source = "score = print"
    with pytest.raises(
        SpecError, match="a batch of 6 completions cannot be made of whole groups of 4"
    ) as e:
        make_plan(load(spec(tmp_path, source, 6)), "trl")
    (problem,) = e.value.problems
    assert problem.hint == (
        "a train.batch_size of 4 or 8 would do, or generation.completions of 2, 3, 6"
    )
