"""Previews of pairs, of judged answers and of prompts."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.cli.conftest import Command
from tests.cli.test_data import Write, as_json, chat


def pair(chosen: str, rejected: str) -> str:
    sides = {"chosen": chosen, "rejected": rejected}
    row = {name: [{"role": "assistant", "content": text}] for name, text in sides.items()}
    return json.dumps({"prompt": [{"role": "user", "content": "Why?"}], **row}) + "\n"


def of(write: Write, objective: str, rows: str, *changes: tuple[str, str]) -> Path:
    """The project's spec for another objective, with these rows."""
    named = ("method: lora", f"method: {{objective: {objective}, tuner: lora}}")
    spec = write(named, ("train: chat.jsonl", "train: rows.jsonl"), *changes)
    (spec.parent / "rows.jsonl").write_text(rows, "utf-8")
    return spec


def test_pairs_are_shown_with_both_answers(ftspec: Command, write: Write) -> None:
    rows = pair("Because it is so.", "No.") + pair("Well.", "Well.")
    spec = of(write, "dpo", rows)
    done = ftspec("data", "preview", spec, "--rows", "1")
    assert (done.code, done.err) == (0, "")
    assert re.search(r"chosen: \d+ tokens.*rejected: \d+", done.out)
    assert re.search(r"chosen answer is the longer one \| +50.0%", done.out)
    told = "pairs of two equal answers, from which nothing is learned: 1 (rows.jsonl:2)"
    assert told in done.out.replace("\n", " ")
    found = as_json(ftspec("data", "preview", spec, "--json"))
    (view,) = found["rows"][0]["views"]  # all four see them alike
    assert "Because it is so." in view["text"] and "No." in view["rejected"]["text"]
    assert view["labels"] != view["input_ids"]
    given = view["labels"].index(next(label for label in view["labels"] if label != -100))
    assert view["rejected"]["labels"][:given] == [-100] * given
    assert found["statistics"]["readers"][0]["pairs"]["same"]["count"] == 1


def test_pairs_beyond_the_limit_stop_the_run_by_either_answer(
    ftspec: Command, write: Write
) -> None:
    rows = pair("Yes.", "No.") + pair("Yes.", "and so on " * 40)
    spec = of(write, "dpo", rows, ("max_length: 256", "max_length: 64"))
    found = as_json(ftspec("data", "preview", spec, "--json"))
    for reader in found["statistics"]["readers"]:
        assert (reader["refused"]["count"], reader["kept"]) == (1, 1)


def test_judged_answers_are_shown_with_their_label(ftspec: Command, write: Write) -> None:
    row = json.loads(chat("Why?", "So."))
    rows = "".join(json.dumps(row | {"label": label}) + "\n" for label in (True, True, False))
    done = ftspec("data", "preview", of(write, "kto", rows), "--rows", "1")
    assert ", a good answer: " in done.out
    assert re.search(r"good and bad answers +\| +2 and 1", done.out)
    only = rows.replace("false", "true")
    done = ftspec("data", "preview", of(write, "kto", only), "--rows", "1")
    assert "warning: all answers are good" in done.out


def test_prompts_are_shown_without_an_answer(ftspec: Command, write: Write) -> None:
    rows = json.dumps({"prompt": [{"role": "user", "content": "Why?"}]}) + "\n"
    rewards = "{type: grpo, rewards: [{by: regex, pattern: a}], generation: {completions: 4}}"
    done = ftspec("data", "preview", of(write, rewards, rows * 3), "--json")
    found = as_json(done)
    (view,) = found["rows"][0]["views"]
    assert view["backends"] == ["trl", "deepspeed"] and {*view["labels"]} == {-100}
    assert view["text"].endswith("<|im_start|>assistant\n")
    assert found["statistics"]["readers"][0]["steps_per_epoch"] == 3  # 3 groups of 4, a batch of 4
    assert not any("nothing to train on" in text for text in found["warnings"])


def test_rows_that_a_teacher_has_yet_to_write(
    ftspec: Command, write: Write, somewhere: Path
) -> None:
    text = write().read_text("utf-8")
    (somewhere / "prompts.jsonl").write_text('{"prompt": "Why?"}\n')
    stage = "stages:\n  - name: pupil\n    write: {teacher: ./tiny-model, prompts: prompts.jsonl}\n"
    Path("stages.yaml").write_text(text.replace("  train: chat.jsonl\n", "") + stage)
    done = ftspec("data", "preview", "stages.yaml", "--stage", "pupil")
    assert done.code == 3
    assert "no teacher has written these rows yet" in done.err and "Traceback" not in done.err
