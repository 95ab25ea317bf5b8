"""Mistakes in the data, each with its file and line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Command, Write, same


def row(*turns: str) -> str:
    """A line of chat, user first."""
    roles = ("user", "assistant")
    told = [{"role": roles[n % 2], "content": turn} for n, turn in enumerate(turns)]
    return json.dumps({"messages": told}) + "\n"


GOOD = row("a", "b")
IN_THE_DATA = {
    "no file": (
        None,
        "spec.yaml:4:10: error[data]: data.train.0.path: no such file: mine.jsonl\n"
        "  help: a path in a spec starts at the spec's folder\n",
    ),
    "an unreadable row": (
        GOOD + GOOD + '{"messages": [\n',
        "mine.jsonl:3:{...}: error[data]: invalid JSON: {...}\n"
        "  help: each line holds one complete JSON object\n",
    ),
    "no rows": (
        "",
        "mine.jsonl: error[data]: the file holds no rows\n  help: add at least one row\n",
    ),
    "nothing to train on": (
        GOOD + row("a"),
        "mine.jsonl:2: error[data]: the conversation ends with user, not with assistant\n"
        "  help: drop the last turn, or leave the row out\n",
    ),
    "another shape": (
        GOOD + '{"messages": "x"}\n',
        "mine.jsonl:2: error[data]: a list of messages is expected, not a text\n",
    ),
    "unknown columns": (
        '{"q": "x", "a": "y"}\n',
        "mine.jsonl: error[data]: no known format has the columns q, a; expected are messages: "
        "messages; sharegpt: conversations; prompt-completion: prompt + completion; alpaca: "
        "instruction + output; text: text; preference: prompt + chosen + rejected; preference-implicit: "
        "chosen + rejected; sharegpt-ranking: conversations + chosen + rejected; alpaca-ranking: "
        "instruction + chosen + rejected; unpaired: prompt + completion + label; messages-unpaired: "
        "messages + label; sharegpt-unpaired: conversations + label; alpaca-unpaired: instruction + "
        "output + label; prompt: prompt\n  help: say which column is which: `columns: {messages: q}`\n",
    ),
    "a row too long": (
        GOOD + row("a", "b " * 400) + GOOD,
        "mine.jsonl:2: error[data]: the row has {...} tokens; the limit is 256\n"
        "  help: raise data.max_length, or set data.overflow to truncate or drop\n",
    ),
}


@pytest.mark.parametrize("mistake", IN_THE_DATA)
@pytest.mark.parametrize("command", ["validate", "compile"])
def test_mistakes_in_the_data(mistake: str, command: str, ftspec: Command, write: Write) -> None:
    content, message = IN_THE_DATA[mistake]
    if content is not None:
        Path("mine.jsonl").write_text(content)
    Path("chat.jsonl").unlink()  # or it would be offered as the nearest name
    more = ["-o", "build", "--backend", "trl"] if command == "compile" else []
    done = ftspec(command, write(("chat.jsonl", "mine.jsonl")), *more)
    assert (done.code, done.out) == (3, "")
    same(done.err, message)
    assert not Path("build").exists()


@pytest.mark.parametrize("command", ["validate", "compile", "data"])
def test_all_missing_files_are_named_at_their_lines(
    command: str, ftspec: Command, write: Write
) -> None:
    sources = "\n    - {path: none.jsonl, format: messages}\n    - chat.jsonl\n    - chats.json\n"
    spec = write(("train: chat.jsonl", f"train:{sources}"))
    words = {"compile": (spec, "-o", "build"), "data": ("preview", spec)}.get(command, (spec,))
    done = ftspec(command, *words)
    assert done.code == 3
    places = re.findall(r"^(spec\.yaml:\d+:\d+): error\[data\]: (\S+): ", done.err, re.MULTILINE)
    assert places == [
        ("spec.yaml:5:14", "data.train.0.path"),
        ("spec.yaml:7:7", "data.train.2.path"),
    ]


LONG = "x" * 300


@pytest.mark.parametrize(
    ("option", "code", "message"),
    [
        (
            f"data.train={LONG}.jsonl",
            3,
            f"{LONG}.jsonl: error[data]: the file cannot be read: File name too long\n",
        ),
        (
            f"model.name=./{LONG}",
            2,
            f"--set model.name=./{LONG}: error[spec]: model.name: there is no model folder ./{LONG}\n"
            "  help: paths start at the spec's own folder; a hub id has no leading `.` or `/`\n",
        ),
        (
            f"model.chat_template={LONG}.jinja",
            2,
            f"--set model.chat_template={LONG}.jinja: error[spec]: model.chat_template: there is no file "
            f"{LONG}.jinja\n  help: paths start at the spec's own folder\n",
        ),
    ],
)
def test_names_that_no_file_can_have(
    option: str, code: int, message: str, ftspec: Command, write: Write
) -> None:
    done = ftspec("validate", write(), "--set", option)
    assert (done.code, done.out) == (code, "")
    same(done.err, message)


def test_at_most_twenty_bad_rows_are_named(ftspec: Command, write: Write) -> None:
    Path("mine.jsonl").write_text(GOOD + row("a") * 50)
    done = ftspec("validate", write(("chat.jsonl", "mine.jsonl")))
    named = re.findall(r"^mine\.jsonl:(\d+): ", done.err, re.MULTILINE)
    assert named == [str(number) for number in range(2, 22)]
    assert "30 more" in done.err


@pytest.mark.parametrize("command", ["validate", "compile"])
@pytest.mark.parametrize("overflow", ["truncate", "error"])
def test_rows_held_out_leave_some_to_train_on(
    command: str, overflow: str, ftspec: Command, write: Write
) -> None:
    Path("mine.jsonl").write_text(GOOD * 3)
    more = ["-o", "build", "--backend", "trl"] if command == "compile" else []
    sets = ["--set", "data.eval_size=3", "--set", f"data.overflow={overflow}"]
    done = ftspec(command, write(("chat.jsonl", "mine.jsonl")), *more, *sets)
    assert (done.code, done.out) == (3, "")
    same(
        done.err,
        "--set data.eval_size=3: error[data]: data.eval_size: of 3 rows, 3 would be held out, and none "
        "would train\n"
        "  help: hold out fewer\n",
    )
    assert not Path("build").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["validate", LONG], 2),
        (["import", LONG], 2),
        (["explain", LONG], 2),
        (["diff", LONG, LONG], 2),
        (["init", LONG], 8),
        (["import", "trl sft --use_peft", "-o", LONG], 8),
        (["compile", "spec.yaml", "-o", LONG], 8),
    ],
)
def test_commands_with_names_that_no_file_can_have(
    arguments: list[str], code: int, ftspec: Command, write: Write
) -> None:
    write()
    done = ftspec(*arguments)
    assert done.code == code
    assert "File name too long" in done.err
