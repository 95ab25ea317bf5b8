"""Reading rows: every class of bad input has its own message, with its place."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from ftspec.data.sources import count_rows, rows
from ftspec.errors import DataError, Problem
from ftspec.spec.data import Source

ROWS = [
    {"instruction": "Say hi, politely.", "output": 'He said "hi".\nThen he left.'},
    {"instruction": "Größe?", "output": "日本 😀"},
]


def read(folder: Path, name: str, content: bytes | str | None = None) -> list[Any]:
    if content is not None:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(rows(Source(path=name), folder))


def problems(folder: Path, name: str, content: bytes | str | None = None) -> tuple[Problem, ...]:
    with pytest.raises(DataError) as caught:
        read(folder, name, content)
    return caught.value.problems


def write_all(folder: Path) -> None:
    (folder / "a.json").write_text(json.dumps(ROWS, indent=2))
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (folder / "lines.json").write_text("\n".join(json.dumps(row) for row in ROWS))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), folder / "a.parquet")
    with (folder / "a.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(ROWS[0]))
        writer.writeheader()
        writer.writerows(ROWS)


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "lines.json", "a.parquet", "a.csv"])
def test_every_file_format_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    write_all(tmp_path)
    assert [dict(row.values) for row in read(tmp_path, name)] == ROWS
    assert [row.index for row in read(tmp_path, name)] == [0, 1]
    assert count_rows(Source(path=name), tmp_path) == 2


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "lines.json", "a.parquet", "a.csv"])
def test_beyond_the_limit_nothing_is_read(tmp_path: Path, name: str) -> None:
    write_all(tmp_path)
    if name != "a.parquet":
        with (tmp_path / name).open("a") as file:
            file.write("{broken")
    one = Source(path=name, limit=1)
    assert [dict(row.values) for row in rows(one, tmp_path)] == ROWS[:1]
    assert count_rows(one, tmp_path) == 1
    assert count_rows(Source(path="a.parquet", limit=9), tmp_path) == 2


@pytest.mark.parametrize(
    ("name", "lines"),
    [("a.json", [2, 6]), ("a.jsonl", [1, 2]), ("a.parquet", [0, 0]), ("a.csv", [2, 4])],
)
def test_rows_know_their_line(tmp_path: Path, name: str, lines: list[int]) -> None:
    write_all(tmp_path)
    assert [row.line for row in read(tmp_path, name)] == lines


def test_a_byte_order_mark_and_empty_lines_do_no_harm(tmp_path: Path) -> None:
    bom = b"\xef\xbb\xbf"
    assert read(tmp_path, "a.jsonl", bom + b'{"a": 1}\r\n\r\n{"a": 2}\r\n')[1].line == 3
    assert read(tmp_path, "a.json", bom + b' [{"a": 1}]')[0].values == {"a": 1}
    assert read(tmp_path, "a.csv", bom + b"text\r\nhello\r\n")[0].values == {"text": "hello"}


def test_missing_file_suggests_a_near_name(tmp_path: Path) -> None:
    (tmp_path / "chat.jsonl").write_text("{}")
    (problem,) = problems(tmp_path, "chats.jsonl")
    assert problem.message == "no such file"
    assert problem.hint == "did you mean chat.jsonl?"
    (problem,) = problems(tmp_path, "data/chat.jsonl")
    assert problem.message == "no such file: its folder does not exist"


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    assert problems(tmp_path, "a.json")[0].message == "this is a folder; a data file is expected"


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv"])
def test_not_utf8_names_line_and_byte(tmp_path: Path, name: str) -> None:
    content = {
        "a.json": b'[\n{"text": "gr\xfc\xdf"}]',
        "a.jsonl": b'{"text": "x"}\n{"text": "gr\xfc\xdf"}',
        "a.csv": b"text\ngr\xfc\xdf\n",
    }[name]
    (problem,) = problems(tmp_path, name, content)
    assert problem.message == "not UTF-8: byte 0xfc cannot be read"
    assert problem.line == 2
    assert problem.column == content.split(b"\n")[1].index(b"\xfc") + 1
    assert problem.hint == "save the file as UTF-8"


def test_invalid_json_lines_are_all_named(tmp_path: Path) -> None:
    found = problems(tmp_path, "a.jsonl", '{"a": 1}\n{"a": }\n{"b": 2}\n{"a" 1}\n[1]\n7\nnull\n')
    assert [(p.line, p.column, p.message) for p in found] == [
        (2, 7, "invalid JSON: Expecting value"),
        (4, 6, "invalid JSON: Expecting ':' delimiter"),
        (5, 0, "the row is a list, not an object"),
        (6, 0, "the row is a number, not an object"),
        (7, 0, "the row is null, not an object"),
    ]


def test_an_object_over_several_lines_is_told_once(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "a.jsonl", '{\n  "a": 1\n}\n')
    assert problem.line == 1
    assert "all of them in one array" in problem.hint


@pytest.mark.parametrize(
    ("content", "line", "column", "message"),
    [
        ('[\n  {"a": 1},\n  {"a": }\n]', 3, 9, "Expecting value"),
        ('[\n  {"a": 1}\n  {"a": 2}\n]', 3, 3, "Expecting ',' or ']' after a row"),
        ('[{"a": 1},\n', 2, 1, "Expecting value"),
        ('[{"a": 1}]\n]', 2, 1, "Text after the end of the array"),
    ],
)
def test_invalid_json_array_names_line_and_column(
    tmp_path: Path, content: str, line: int, column: int, message: str
) -> None:
    (problem,) = problems(tmp_path, "a.json", content)
    assert (problem.line, problem.column) == (line, column)
    assert problem.message == f"invalid JSON: {message}"


def test_array_elements_that_are_no_objects_have_their_line(tmp_path: Path) -> None:
    found = problems(tmp_path, "a.json", '[\n{"a": 1},\n"x",\n{"a": 2}]')
    assert [(p.line, p.message) for p in found] == [(3, "the row is a text, not an object")]


def test_deep_nesting_is_an_error_and_no_traceback(tmp_path: Path) -> None:
    deep = "[" * 100_000
    assert "nested too deeply" in problems(tmp_path, "a.jsonl", '{"a": ' + deep)[0].message
    assert "nested too deeply" in problems(tmp_path, "a.json", '[{"a": ' + deep)[0].message


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.jsonl", ""), ("b.jsonl", "\n\n"), ("c.json", "[]"), ("d.csv", "text\n")],
)
def test_no_rows(tmp_path: Path, name: str, content: str) -> None:
    (problem,) = problems(tmp_path, name, content)
    assert problem.message == "the file holds no rows"


def test_parquet_without_rows_and_broken_parquet(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(
        pyarrow.table({"text": pyarrow.array([], "string")}), tmp_path / "a.parquet"
    )
    assert problems(tmp_path, "a.parquet")[0].message == "the file holds no rows"
    broken = problems(tmp_path, "b.parquet", b"not parquet at all")
    assert broken[0].message.startswith("not a readable Parquet file: ")
    with pytest.raises(DataError, match="no such file"):
        count_rows(Source(path="c.parquet"), tmp_path)


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("a,b\n1,2\n3\n", 3, "the row has 1 cells, the header has 2"),
        ('a,b\n"1\n1",2\n3,4,5\n', 4, "the row has 3 cells, the header has 2"),
        ("a,a\n1,2\n", 1, "the header names a column twice: a"),
        ('a,b\n1,"2\n', 2, "invalid CSV: unexpected end of data"),
        ('a,b\n1,"2"3\n', 2, "invalid CSV: ',' expected after '\"'"),
    ],
)
def test_bad_csv_rows_have_their_line(
    tmp_path: Path, content: str, line: int, message: str
) -> None:
    (problem,) = problems(tmp_path, "a.csv", content)
    assert (problem.line, problem.message) == (line, message)


def test_problems_are_capped(tmp_path: Path) -> None:
    found = problems(tmp_path, "a.jsonl", "7\n" * 33)
    assert len(found) == 21
    assert found[-1].message == "and 13 more"


def test_a_hub_source_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        list(rows(Source(hub="org/name"), tmp_path))
    assert "org/name" in caught.value.problems[0].message
    assert "data.prepare: framework" in caught.value.problems[0].hint


def test_good_rows_come_out_before_the_problems(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{\n{"a": 2}\n')
    good = []
    with pytest.raises(DataError):
        for row in rows(Source(path="a.jsonl"), tmp_path):
            good.append(row.line)
    assert good == [1, 3]
