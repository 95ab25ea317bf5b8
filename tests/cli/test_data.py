"""ftspec data preview: what it says, as JSON and for people, and how it ends."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ftspec.data import preview as rows_of
from ftspec.data.preview import Looked
from ftspec.plan.readers import readers
from ftspec.report.preview_rows import print_rows
from ftspec.spec.load import load
from tests.cli.conftest import Command, Done

Write = Callable[..., Path]
TRUNCATE = ("overflow: error", "overflow: truncate")
SHORT = ("max_length: 256", "max_length: 48")


def chat(*turns: str) -> str:
    roles = ("user", "assistant") * len(turns)
    messages = [{"role": role, "content": text} for role, text in zip(roles, turns, strict=False)]
    return json.dumps({"messages": messages}, ensure_ascii=False) + "\n"


def as_json(done: Done) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_json_has_ids_texts_and_labels_for_each_backend(ftspec: Command, write: Write) -> None:
    done = ftspec("data", "preview", write(TRUNCATE, SHORT), "--rows", "0,3", "--json")
    assert (done.code, done.err) == (0, "")
    found = as_json(done)
    assert [reader["backends"] for reader in found["readers"]] == [
        ["trl", "unsloth", "deepspeed"],
        ["llamafactory"],
    ]
    assert found["readers"][1]["lossy"] and not found["readers"][0]["lossy"]
    assert [(row["row"], row["line"]) for row in found["rows"]] == [(0, 1), (3, 4)]
    one, two = found["rows"][1]["views"]
    for view in (one, two):
        assert len(view["input_ids"]) == len(view["labels"]) == len(view["tokens"]) == 48
        assert "".join(view["tokens"]) == view["text"]
        assert view["length"] == 116
    assert one["input_ids"] != two["input_ids"]
    numbers = found["statistics"]["readers"]
    assert [each["cut"]["count"] for each in numbers] == [49, 49]
    assert numbers[0]["steps"] == 4 and numbers[0]["steps_per_epoch"] == 16
    assert any("rows cut to data.max_length 48: 49" in text for text in found["warnings"])
    assert found["complete"] and not found["problems"]


def test_people_see_tokens_differences_numbers_and_warnings(ftspec: Command, write: Write) -> None:
    done = ftspec("data", "preview", write(TRUNCATE, SHORT), "--rows", "3,")
    assert (done.code, done.err) == (0, "")
    assert "row 3, chat.jsonl:4" in done.out
    assert "<|im_start|>|user|\\n|" in done.out and "[[```|python|\\n|" in done.out
    assert "first difference at token 25: trl has 287 ' f' (not trained)" in done.out
    assert re.search(r"tokens per epoch +\| +2,913 *\| +2,913 *\|", done.out)
    assert "warning: llamafactory: data.overflow" in done.out
    assert "\x1b" not in done.out  # not a terminal: no colours


def test_backends_that_agree_share_one_view_and_one_column(ftspec: Command, write: Write) -> None:
    done = ftspec("data", "preview", write(), "--rows", "1")
    assert done.out.count("50 tokens, 29 of them trained") == 1
    assert "first difference" not in done.out and "warning" not in done.out
    assert re.search(r"\|trained on +\| +64 *\|\n", done.out)


def test_prepared_rows_are_the_same_for_all(ftspec: Command, write: Write) -> None:
    spec = write(("overflow: error", "overflow: drop\n  prepare: ftspec"), SHORT)
    (reader,) = as_json(ftspec("data", "preview", spec, "--json", "--stats-only"))["readers"]
    assert reader["backends"] == ["trl", "unsloth", "llamafactory", "deepspeed"]
    assert reader["too_long"] == "a row longer than 48 tokens is left out"


def test_a_choice_of_backends(ftspec: Command, write: Write) -> None:
    spec = write(TRUNCATE)
    (reader,) = as_json(ftspec("data", "preview", spec, "--backend", "trl", "--json"))["readers"]
    assert reader["backends"] == ["trl"]
    assert ftspec("data", "preview", spec, "--backend", "trll").code == 5


def test_a_gpu_run_of_unsloth_is_not_known(ftspec: Command, write: Write) -> None:
    spec = write(("device: cpu", "device: cuda"), ("precision: fp32", "precision: bf16"))
    found = as_json(ftspec("data", "preview", spec, "--json", "--no-stats"))
    assert list(found["unknown"]) == ["unsloth"]
    said = ftspec("data", "preview", spec, "--no-stats").out
    assert "unsloth: not known: on a GPU" in said and "data.prepare: ftspec" in said


def test_packed_rows_are_counted(ftspec: Command, write: Write) -> None:
    packed = write(TRUNCATE, ("  max_length: 256", "  max_length: 256\n  packing: documents"))
    found = as_json(ftspec("data", "preview", packed, "--backend", "trl", "--json"))
    (reader,) = found["readers"]
    assert "documents share rows of 256 tokens" in " ".join(map(str, reader.values()))
    (numbers,) = found["statistics"]["readers"]
    assert numbers["kept"] == 64 and numbers["packed_rows"] < 20
    assert numbers["packed_rows"] * 256 >= numbers["tokens_per_epoch"]
    said = ftspec("data", "preview", packed, "--backend", "trl", "--stats-only").out
    assert "packed into rows" in said and "of their room filled" in said
    alone = ftspec("data", "preview", packed, "--set", "data.packing=null", "--json")
    assert as_json(alone)["statistics"]["readers"][0]["packed_rows"] is None


def test_a_system_prompt_is_shown_where_it_is_put_in(ftspec: Command, write: Write) -> None:
    spec = write(("  max_length: 256", "  max_length: 256\n  system: Be brief."))
    found = as_json(ftspec("data", "preview", spec, "--json", "--rows", "1", "--no-stats"))
    assert not found["unknown"]
    texts = {view["text"] for view in found["rows"][0]["views"]}
    assert texts and all("Be brief." in text for text in texts)


def test_tokens_that_count_a_little_are_spoken_of(ftspec: Command, write: Write) -> None:
    spec = write(
        ("method: lora", "method: {objective: {type: sft, prompt_weight: 0.1}, tuner: lora}")
    )
    found = as_json(ftspec("data", "preview", spec, "--backend", "trl", "--json"))
    assert "a token not marked as trained counts 0.1" in found["warnings"][0]


@pytest.mark.parametrize(
    ("word", "numbers"),
    [("2", [0, 1]), ("0", []), ("5,0", [0, 5]), ("7,", [7]), ("2-4,9", [2, 3, 4, 9])],
)
def test_rows_are_chosen(word: str, numbers: list[int], ftspec: Command, write: Write) -> None:
    found = as_json(ftspec("data", "preview", write(), "--rows", word, "--json", "--no-stats"))
    assert [row["row"] for row in found["rows"]] == numbers
    assert "statistics" not in found


@pytest.mark.parametrize("word", ["x", "-1", "3-1", ",", "1.5", "", "64,", "1,99"])
def test_rows_that_are_none_are_a_usage_error(word: str, ftspec: Command, write: Write) -> None:
    done = ftspec("data", "preview", write(), "--rows", word)
    assert done.code == 2 and "--rows" in done.err
    assert as_json(ftspec("data", "preview", write(), f"--rows={word}", "--json"))["error"]


def test_nothing_to_show_is_a_usage_error(ftspec: Command, write: Write) -> None:
    done = ftspec("data", "preview", write(), "--stats-only", "--no-stats")
    assert done.code == 2 and "nothing to show" in done.err


def test_no_stats_reads_no_further_than_the_last_row(
    ftspec: Command, write: Write, somewhere: Path
) -> None:
    (somewhere / "bad.jsonl").write_text(chat("a?", "b.") * 600 + "not json\n")
    spec = write(("train: chat.jsonl", "train: bad.jsonl"))
    assert ftspec("data", "preview", spec, "--no-stats").code == 0
    done = ftspec("data", "preview", spec)
    assert done.code == 3 and "bad.jsonl:601:1: error[data]: invalid JSON" in done.err
    assert "trained on" in done.out  # what is good is counted all the same


def test_rows_nobody_can_train_on_end_with_3(ftspec: Command, write: Write) -> None:
    done = ftspec("data", "preview", write(("max_length: 256", "max_length: 40")))
    assert done.code == 3
    assert "chat.jsonl:1: error[data]: the row has 50 tokens; the limit is 40" in done.err
    assert "and 35 more" in done.err
    again = ftspec("data", "preview", write(("max_length: 256", "max_length: 40")), "--json")
    assert again.code == 3 and again.err == ""
    assert len(as_json(again)["problems"]) == 21


def test_what_one_backend_refuses_is_said_of_it_alone(
    ftspec: Command, write: Write, somewhere: Path
) -> None:
    twice = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    rows = json.dumps({"messages": [*twice, {"role": "assistant", "content": "c"}]})
    (somewhere / "twice.jsonl").write_text(rows + "\n" + chat("a?", "b."))
    done = ftspec("data", "preview", write(("train: chat.jsonl", "train: twice.jsonl")))
    assert done.code == 0
    assert "llamafactory: stops the run" in done.out
    assert "warning: llamafactory: rows that stop the run: 1 (twice.jsonl:1)" in done.out


def test_rows_with_nothing_to_train_on_are_named(
    ftspec: Command, write: Write, somewhere: Path
) -> None:
    (somewhere / "long.jsonl").write_text(chat("a?", "b.") + chat("why? " * 60, "because."))
    done = ftspec(
        *("data", "preview", write(("train: chat.jsonl", "train: long.jsonl"), TRUNCATE, SHORT))
    )
    assert done.code == 0
    assert "rows left out, no trained token is left" in done.out
    assert "trl, unsloth, deepspeed: rows left out" in done.out
    assert done.out.count("long.jsonl:2") >= 2


def test_repeats_are_named(ftspec: Command, write: Write, somewhere: Path) -> None:
    (somewhere / "twice.jsonl").write_text(chat("a?", "b.") + chat("c?", "d.") + chat("a?", "b."))
    done = ftspec("data", "preview", write(("train: chat.jsonl", "train: twice.jsonl")))
    assert "repeat an earlier one exactly: 1 (twice.jsonl:3 (as row 0))" in done.out
    assert "3 rows are less than one batch of 4" in done.out


def test_a_split_without_rows(ftspec: Command, write: Write) -> None:
    done = ftspec("data", "preview", write(), "--split", "eval")
    assert done.code == 3 and "no rows to evaluate on" in done.err
    spec = write(("train: chat.jsonl", "train: chat.jsonl\n  eval: chat.jsonl"))
    found = as_json(ftspec("data", "preview", spec, "--split", "eval", "--json"))
    assert found["split"] == "eval" and found["statistics"]["rows"] == 64


def test_hub_rows_need_a_copy(ftspec: Command, write: Write) -> None:
    spec = write(
        ("train: chat.jsonl", "train: {hub: org/set, format: messages}"),
        ("overflow: error", "overflow: drop"),
    )
    done = ftspec("data", "preview", spec, "--backend", "trl")
    assert done.code == 3
    assert "org/set is a hub data set" in done.err
    assert "help: hf download --repo-type dataset org/set" in done.err


EVIL = "\x1b[2J\x9b31m\u202eevil\u202c\x07\u200b"


def test_nothing_in_the_rows_reaches_the_terminal_raw(
    ftspec: Command, write: Write, somewhere: Path
) -> None:
    bad = json.dumps({"messages": [{"role": "user" + EVIL, "content": "a"}]}, ensure_ascii=False)
    (somewhere / "evil.jsonl").write_text(chat(f"a{EVIL}b", "c") + bad + "\n", "utf-8")
    spec = write(("train: chat.jsonl", "train: evil.jsonl"))
    done = ftspec("data", "preview", spec)
    assert done.code == 3 and "evil.jsonl:2" in done.err
    assert "<U+001B>" in done.out and "<U+202E>" in done.out
    found = ftspec("data", "preview", spec, "--json")
    assert EVIL in as_json(found)["rows"][0]["views"][0]["text"]
    for text in (done.out, done.err, found.out, found.err):
        assert not set(EVIL) - set("[2J31mevil") & set(text)


def test_an_interrupt_gives_what_was_counted(
    ftspec: Command, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = rows_of.look

    def interrupted(*arguments: Any) -> Iterator[Looked]:
        for looked in real(*arguments):
            if looked.number == 10:
                raise KeyboardInterrupt
            yield looked

    monkeypatch.setattr(rows_of, "look", interrupted)
    done = ftspec("data", "preview", write(), "--rows", "1")
    assert done.code == 130
    assert "interrupted: these numbers are of the first 10 rows" in done.out
    assert "train rows: 10" in done.out
    found = ftspec("data", "preview", write(), "--json")
    assert found.code == 130
    assert not as_json(found)["complete"] and as_json(found)["statistics"]["rows"] == 10


def test_json_lines_alpaca_prompts_and_text_are_all_shown(
    ftspec: Command, write: Write, somewhere: Path
) -> None:
    formats = {
        "sharegpt": {"conversations": [{"from": "human", "value": "Q?"}, {"from": "gpt", "value": "A."}]},
        "alpaca": {"instruction": "Q?", "input": "", "output": "A."},
        "prompt-completion": {"prompt": "Q?", "completion": " A."},
        "text": {"text": "Q? A."},
    }  # fmt: skip
    for name, row in formats.items():
        (somewhere / "rows.json").write_text(json.dumps([row]))
        changes = [("train: chat.jsonl", "train: rows.json")]
        if name == "text":
            changes.append(("method: lora", "method: {objective: cpt, tuner: lora}"))
        spec = write(*changes, ("overflow: error", "overflow: truncate"))
        found = as_json(ftspec("data", "preview", spec, "--backend", "trl", "--json"))
        (view,) = found["rows"][0]["views"]
        assert "Q?" in view["text"] and "A." in view["text"], name
        assert any(view["trained"]), name


def _drawn(spec: Path, **options: Any) -> str:
    asked = readers(load(spec, ()), ("trl", "llamafactory"))
    rules = [group.rule for group in asked.groups]
    looked = list(rows_of.look(asked.sources("train"), asked.folder, asked.tokens, rules, _none()))
    out = io.StringIO()
    print_rows(looked[3:4], asked.groups, Console(file=out, width=120, **options), full=False)
    return out.getvalue()


def _none() -> Any:
    from ftspec.data.findings import Findings

    return Findings()


def test_colour_is_never_the_only_sign(write: Write) -> None:
    spec = write(TRUNCATE, SHORT)
    coloured = _drawn(spec, force_terminal=True, color_system="truecolor")
    assert "\x1b[1;4;32m" in coloured and "⏎" in coloured and "[[" not in coloured
    plain = _drawn(spec, force_terminal=True, color_system="truecolor", no_color=True)
    assert "\x1b[32m" not in plain and "[[" in plain
    assert _drawn(spec).isascii()


def test_of_a_long_row_the_middle_is_left_out(write: Write, somewhere: Path) -> None:
    (somewhere / "long.jsonl").write_text(chat("why? " * 200, "because.") * 4)
    spec = write(("train: chat.jsonl", "train: long.jsonl"), ("max_length: 256", "max_length: 512"))
    asked = readers(load(spec, ()), ("trl",))
    (group,) = asked.groups
    looked = next(
        rows_of.look(asked.sources("train"), asked.folder, asked.tokens, [group.rule], _none())
    )
    texts = []
    for full in (False, True):
        out = io.StringIO()
        print_rows([looked], asked.groups, Console(file=out, width=120), full)
        texts.append(out.getvalue())
    (view,) = looked.views
    hidden = view.tokens - 320  # type: ignore[union-attr]
    assert f"... {hidden:,} tokens more, --full shows them ..." in texts[0]
    assert "tokens more" not in texts[1] and len(texts[1]) > len(texts[0])
    assert texts[0].rstrip().endswith("|\\n]]")


@pytest.mark.parametrize("rows", ["99999999999999", "0-99999999999999"])
def test_a_great_many_rows_are_asked_for_at_once(rows: str, ftspec: Command, write: Write) -> None:
    done = ftspec("data", "preview", write(), "--rows", rows, "--no-stats", "--json")
    if "-" in rows:
        assert (done.code, "numbers from 0 to 63" in done.err) == (2, True)
    else:
        assert len(json.loads(done.out)["rows"]) == 64
