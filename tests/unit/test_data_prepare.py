"""A whole split: what is kept, cut, dropped and refused, and what lies on the disk afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.data.arrow import DATA_FILE, read_split, write_index, write_split
from ftspec.data.kept import cut
from ftspec.data.prepare import Report, check, prepare
from ftspec.data.tokenise import IGNORED, Encoded
from ftspec.errors import DataError, OutputError, Problem
from ftspec.spec.data import Source

ROOT = Path(__file__).parents[2]
TINY = str(ROOT / "specs" / "tiny-model")
PAIRS = [
    ("Hi", "Hello"),
    ("Hi", "Hello"),
    ("Count", "One two three four five six seven eight nine ten"),
]
SPLITS = st.lists(
    st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=9).map(
        lambda ids: Encoded(ids, [IGNORED, *ids[1:]])
    ),
    min_size=1,
    max_size=9,
)


def chat(*pairs: tuple[str, str]) -> str:
    rows = [
        {"messages": [{"role": "user", "content": a}, {"role": "assistant", "content": b}]}
        for a, b in pairs
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def run(folder: Path, **options: Any) -> Report:
    sources = [Source(path=path.name) for path in sorted(folder.glob("*.jsonl"))]
    chosen = {
        "max_length": 64,
        "overflow": "truncate",
        "train_on": "assistant",
        "target": None,
        **options,
    }
    return prepare(sources, base=folder, tokenizer=TINY, **chosen)


def refused(folder: Path, **options: Any) -> tuple[Problem, ...]:
    with pytest.raises(DataError) as caught:
        run(folder, **options)
    return caught.value.problems


def test_report_of_a_split(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(chat(*PAIRS))
    report = run(tmp_path)
    assert (report.rows, report.kept, report.duplicates, report.truncated) == (3, 3, 1, 0)
    assert report.longest <= 64
    assert 0 < report.trained_tokens < report.tokens
    short = run(tmp_path, max_length=20)
    assert (short.kept, short.truncated, short.longest) == (3, 1, report.longest)
    assert short.tokens == report.tokens - (report.longest - 20)
    dropped = run(tmp_path, max_length=20, overflow="drop")
    assert (dropped.rows, dropped.kept, dropped.dropped) == (3, 2, 1)


def test_sources_follow_one_another(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(chat(PAIRS[0]))
    (tmp_path / "b.jsonl").write_text(json.dumps({"instruction": "Hi", "output": "Hello"}))
    report = run(tmp_path, target=tmp_path / "out")
    assert (report.kept, report.duplicates) == (2, 1)
    first, second = read_split(tmp_path / "out")
    assert first == second


def test_long_rows_are_named_with_their_length(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(chat(*PAIRS, *PAIRS))
    found = refused(tmp_path, max_length=20, overflow="error")
    assert [problem.line for problem in found] == [3, 6]
    assert found[0].message == f"the row has {run(tmp_path).longest} tokens; the limit is 20"


def test_a_row_with_nothing_to_train_on_after_the_cut(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(chat(PAIRS[0], ("long " * 30, "Hello")))
    (problem,) = refused(tmp_path, max_length=20)
    assert problem.line == 2
    assert problem.message.startswith("nothing to train on is among the first 20 of the row's ")
    assert run(tmp_path, max_length=20, overflow="drop").kept == 1


def test_a_row_with_nothing_to_train_on_at_all(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(chat(PAIRS[0]))
    (tmp_path / "silent.jinja").write_text(
        "{% generation %}{% endgeneration %}{{ messages[0].content }}"
    )
    (problem,) = refused(tmp_path, template="silent.jinja")
    assert (problem.line, problem.message) == (1, "the row has nothing to train on")


def test_no_row_is_left(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(chat(*PAIRS))
    (problem,) = refused(tmp_path, max_length=8, overflow="drop")
    assert (problem.path, problem.message) == (
        "data.max_length",
        "no row is left: all are longer than 8 tokens",
    )


def test_all_problems_of_all_sources_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(chat(PAIRS[0]) + '{"messages": []}\n{\n' + chat(("x", "")))
    (tmp_path / "b.jsonl").write_text('{"question": 1}\n{"question": 2}\n')
    (tmp_path / "c.jsonl").write_text("")
    found = refused(tmp_path, target=tmp_path / "out")
    assert [(Path(problem.file).name, problem.line) for problem in found] == [
        ("a.jsonl", 2),
        ("a.jsonl", 3),
        ("a.jsonl", 4),
        ("b.jsonl", 0),
        ("c.jsonl", 0),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "b.jsonl", "c.jsonl"]


def test_many_bad_rows_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(chat(*[("x", "")] * 30))
    found = refused(tmp_path)
    assert (len(found), found[-1].message) == (21, "and 10 more")


def test_a_template_error_names_the_row(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(chat(*PAIRS))
    (tmp_path / "t.jinja").write_text(
        "{% if messages[0].content == 'Count' %}{{ raise_exception('no') }}{% endif %}x"
    )
    (problem,) = refused(tmp_path, template="t.jinja", train_on="all", max_length=1)[-1:]
    assert (problem.line, problem.message) == (3, "the chat template refuses the conversation: no")


def test_conversations_without_a_template_are_told_once(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "tokenizer.json").write_bytes((Path(TINY) / "tokenizer.json").read_bytes())
    (tmp_path / "a.jsonl").write_text(chat(*PAIRS))
    with pytest.raises(DataError) as caught:
        prepare(
            [Source(path="a.jsonl")],
            base=tmp_path,
            tokenizer="./model",
            max_length=64,
            overflow="truncate",
            train_on="all",
            target=None,
        )
    assert [problem.path for problem in caught.value.problems] == ["model.chat_template"]


def test_a_look_without_tokenising(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(chat(*PAIRS))
    sources = [Source(path="a.jsonl")]
    assert check(sources, base=tmp_path, lengths=False) == Report(rows=3, kept=3, duplicates=1)
    full = check(sources, base=tmp_path, lengths=True, tokenizer=TINY, max_length=64)
    assert full == run(tmp_path)
    (tmp_path / "a.jsonl").write_text('{"messages": 1}')
    with pytest.raises(DataError, match="a list of messages is expected, not a number"):
        check(sources, base=tmp_path, lengths=False)


def test_the_shipped_data_is_fit_to_train_on() -> None:
    for name in ("chat.jsonl", "chat.eval.jsonl"):
        report = check(
            [Source(path=f"data/{name}")],
            base=ROOT / "specs",
            lengths=True,
            tokenizer="tiny-model",
            max_length=512,
            overflow="error",
        )
        assert report.kept == report.rows > 0


def test_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(chat(*PAIRS))
    for name in ("one", "two"):
        run(tmp_path, target=tmp_path / name)
    for name in (DATA_FILE, "state.json", "dataset_info.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    before = json.loads((tmp_path / "one" / "state.json").read_text())["_fingerprint"]
    run(tmp_path, target=tmp_path / "one", train_on="all")  # replaces the split
    assert json.loads((tmp_path / "one" / "state.json").read_text())["_fingerprint"] != before
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [
        DATA_FILE,
        "dataset_info.json",
        "state.json",
    ]


def test_the_file_is_what_pyarrow_and_datasets_read(tmp_path: Path) -> None:
    write_split([Encoded([1, 2], [IGNORED, 2]), Encoded([3], [IGNORED])], tmp_path / "train")
    with pyarrow.OSFile(str(tmp_path / "train" / DATA_FILE)) as file:
        table = pyarrow.ipc.open_stream(file).read_all()
    assert table.to_pydict() == {"input_ids": [[1, 2], [3]], "labels": [[IGNORED, 2], [IGNORED]]}
    assert [str(field.type.value_type) for field in table.schema] == ["int32", "int64"]
    info = json.loads((tmp_path / "train" / "dataset_info.json").read_text())
    assert info["features"] == json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    write_index(tmp_path, ["train"])
    assert json.loads((tmp_path / "dataset_dict.json").read_text()) == {"splits": ["train"]}


def test_somebody_elses_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="not prepared data"):
        write_split([Encoded([1], [1])], tmp_path)
    with pytest.raises(OutputError, match="cannot be written"):
        write_split([Encoded([1], [1])], tmp_path / "thesis.txt" / "train")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_interrupted_split_leaves_the_old_one(tmp_path: Path) -> None:
    def rows() -> Any:
        yield Encoded([1], [IGNORED])
        raise KeyboardInterrupt

    write_split([Encoded([7], [IGNORED])], tmp_path / "train")
    with pytest.raises(KeyboardInterrupt):
        write_split(rows(), tmp_path / "train")
    assert [path.name for path in tmp_path.iterdir()] == ["train"]
    assert [row.input_ids for row in read_split(tmp_path / "train")] == [[7]]


@given(split=SPLITS)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, split: list[Encoded]) -> None:
    folder = tmp_path_factory.mktemp("split") / "train"
    assert write_split(split, folder) == len(split)
    assert list(read_split(folder)) == split


@given(split=SPLITS, limit=st.integers(1, 12))
def test_cutting_keeps_the_first_tokens(split: list[Encoded], limit: int) -> None:
    for row in split:
        short = cut(row, limit)
        assert len(short.input_ids) == len(short.labels) == min(limit, len(row.input_ids))
        assert short.input_ids == row.input_ids[:limit]
        assert cut(short, limit) == short
