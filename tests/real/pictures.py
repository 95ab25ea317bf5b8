"""Conversations about small pictures, always the same: the repository need not hold them."""

from __future__ import annotations

import json
import random
import struct
import zlib
from pathlib import Path
from typing import Any

WIDTHS, HEIGHTS = (40, 64, 90, 150, 200), (36, 56, 84, 120)
"""Some are larger than the limit of the tests, and some no multiple of a patch."""


def write_pictures(folder: Path, count: int = 16) -> None:
    """rows.jsonl, and a folder of PNG files beside it."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    drawn = random.Random(1)  # noqa: S311 - pictures
    rows = [_row(folder, number, drawn) for number in range(count)]
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def _row(folder: Path, number: int, drawn: random.Random) -> dict[str, Any]:
    """One to two pictures, one to two questions; one row without any picture."""
    names = [f"pictures/{number}-{at}.png" for at in range(2 if number % 5 == 0 else 1)]
    for name in names:
        _draw(folder / name, drawn.choice(WIDTHS), drawn.choice(HEIGHTS), drawn)
    turns = [
        {"role": "user", "content": "<image>" * len(names) + f"What is in picture {number}?"},
        {"role": "assistant", "content": f"A gradient, number {number}, of some colours."},
    ]
    if number % 3 == 0:
        turns += [
            {"role": "user", "content": "And what else?"},
            {"role": "assistant", "content": "Nothing " * (1 + number % 4) + "else."},
        ]
    if number == 7:
        turns[0]["content"], names = "Hello there", []
    return {"messages": turns, "images": names}


def _draw(file: Path, width: int, height: int, drawn: random.Random) -> None:
    """A gradient with some noise."""
    first = [drawn.randrange(256) for _ in range(3)]
    lines = (
        b"\0"
        + bytes(
            (first[colour] + x * (3 + colour) + y * (5 - colour) + drawn.randrange(20)) % 256
            for x in range(width)
            for colour in range(3)
        )
        for y in range(height)
    )
    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(lines))), (b"IEND", b""))
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks))


def _chunk(kind: bytes, data: bytes) -> bytes:
    length, check = struct.pack(">I", len(data)), struct.pack(">I", zlib.crc32(kind + data))
    return length + kind + data + check


def write_parts(folder: Path) -> None:
    """parts.jsonl beside rows.jsonl: contents that are lists of parts, and one picture in each row."""
    rows = map(json.loads, (folder / "rows.jsonl").read_text().splitlines())
    lines = [json.dumps(_apart(number, row)) for number, row in enumerate(rows) if row["images"]]
    (folder / "parts.jsonl").write_text("\n".join(lines) + "\n")


def _apart(number: int, row: dict[str, Any]) -> dict[str, Any]:
    """The picture of each third row stands behind the question."""
    turns = []
    for turn in row["messages"]:
        text = turn["content"]
        parts = [{"type": "text", "text": text.replace("<image>", "")}]
        if "<image>" in text:
            parts.insert(number % 3 == 1, {"type": "image"})
        turns.append({**turn, "content": parts})
    return {"messages": turns, "images": row["images"][:1]}


def write_pairs(folder: Path) -> None:
    """pairs.jsonl beside rows.jsonl: of each row the first question, and two answers to it."""
    rows = map(json.loads, (folder / "rows.jsonl").read_text().splitlines())
    lines = [json.dumps(_compared(number, row)) for number, row in enumerate(rows)]
    (folder / "pairs.jsonl").write_text("\n".join(lines) + "\n")


def _compared(number: int, row: dict[str, Any]) -> dict[str, Any]:
    """Some with a system turn before; the rejected answer is shorter or longer than the other."""
    asked, answer = row["messages"][:2]
    system = [{"from": "system", "value": "Be brief."}] if number % 4 == 1 else []
    return {
        "conversations": [*system, {"from": "human", "value": asked["content"]}],
        "chosen": {"from": "gpt", "value": answer["content"]},
        "rejected": {"from": "gpt", "value": "I see nothing. " * (1 + number % 3)},
        "images": row["images"],
    }


def write_others(folder: Path) -> None:
    """gpt.jsonl and asked.jsonl beside rows.jsonl: turns by other names, and rows that a template writes."""
    rows = map(json.loads, (folder / "rows.jsonl").read_text().splitlines())
    shown = [row for row in rows if row["images"]]
    names = {"user": "human", "assistant": "gpt"}
    for name, written in (
        (
            "gpt.jsonl",
            [
                {
                    "talk": [
                        {"from": names[turn["role"]], "value": turn["content"]}
                        for turn in row["messages"]
                    ],
                    "shots": row["images"],
                }
                for row in shown
            ],
        ),
        (
            "asked.jsonl",
            [
                {
                    "asked": row["messages"][0]["content"].replace("<image>", ""),
                    "said": row["messages"][1]["content"],
                    "shots": row["images"],
                }
                for row in shown
            ],
        ),
    ):
        (folder / name).write_text("".join(f"{json.dumps(row)}\n" for row in written))
