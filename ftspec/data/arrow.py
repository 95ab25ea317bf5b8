"""Prepared splits on disk, in the layout that `datasets.load_from_disk` reads.

Written with pyarrow alone: a folder with one Arrow stream, state.json and dataset_info.json. Equal
rows give equal bytes. A split appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from ftspec.data.tokenise import Encoded
from ftspec.errors import OutputError, Problem

DATA_FILE = "data-00000-of-00001.arrow"
STATE_FILE = "state.json"
INFO_FILE = "dataset_info.json"
ROWS_PER_BATCH = 1000
"""As `datasets` writes them."""
TYPES = {"input_ids": "int32", "labels": "int64"}
"""Columns and their types, as `datasets` infers them. Collators add the attention mask."""
PACKED: Mapping[str, tuple[str, Callable[[Encoded], Sequence[int]]]] = {
    "seq_lengths": ("int32", lambda row: row.lengths),
    "attention_mask": (
        "int32",
        lambda row: (
            _each(row, lambda number, _: number) if row.lengths else [1] * len(row.input_ids)
        ),
    ),
    "position_ids": ("int64", lambda row: _each(row, lambda _, at: at)),
}
"""Columns by which collators keep the documents of a row apart: trl's, and LLaMA-Factory's two, of which
the mask holds the number of a token's document, 1 where a row is one."""


def write_split(rows: Iterable[Encoded], target: Path, columns: Sequence[str] = ()) -> int:
    """Write rows as the folder ``target`` and return how many there were.

    ``columns``: those of `PACKED` that are written as well.
    An earlier split there is replaced; any other folder is left alone. If ``rows`` raises, nothing
    stays.
    """
    with _appearing(target) as folder:
        types = TYPES | {name: PACKED[name][0] for name in columns}
        count, digest = _write_stream(rows, folder / DATA_FILE, types)
        _dump(folder / STATE_FILE, _state(digest))
        _dump(folder / INFO_FILE, _info(types))
    return count


def _each(row: Encoded, value: Callable[[int, int], int]) -> list[int]:
    """A value for each token: of its document's number, from 1, and its place there; 0 for padding."""
    found = [
        value(number, at) for number, length in enumerate(row.lengths, 1) for at in range(length)
    ]
    return found + [0] * (len(row.input_ids) - len(found))


def copy_split(source: Path, target: Path) -> None:
    """Write the split in the folder ``source`` as the folder ``target`` as well."""
    with _appearing(target) as folder:
        for name in (DATA_FILE, STATE_FILE, INFO_FILE):
            shutil.copyfile(source / name, folder / name)


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """A folder to fill, which then takes the place of ``target`` at once."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        _refuse_foreign(target)
        temporary.mkdir(parents=True)
        yield temporary
        if target.exists():
            old = temporary / "replaced"
            target.rename(old)  # a folder cannot be renamed onto another one
        temporary.rename(target)
        shutil.rmtree(target / "replaced", ignore_errors=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            Problem(f"the prepared data cannot be written: {reason}", file=str(target))
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_index(folder: Path, splits: Sequence[str]) -> None:
    """Make a folder of splits a `DatasetDict`: LLaMA-Factory reads `train` and `validation` so."""
    temporary = folder / f".dataset_dict.{secrets.token_hex(4)}"
    try:
        _dump(temporary, {"splits": list(splits)})
        temporary.replace(folder / "dataset_dict.json")
    except OSError as error:
        temporary.unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise OutputError(
            Problem(f"the prepared data cannot be written: {reason}", file=str(folder))
        ) from None


def read_split(folder: Path) -> Iterator[Encoded]:
    """The rows of a prepared split."""
    import pyarrow  # noqa: PLC0415 -- 0.1 s that most commands need not pay

    with (
        pyarrow.memory_map(str(folder / DATA_FILE)) as file,
        pyarrow.ipc.open_stream(file) as stream,
    ):
        for batch in stream:
            for row in batch.to_pylist():
                yield Encoded(row["input_ids"], row["labels"], row.get("seq_lengths", ()))


def _write_stream(rows: Iterable[Encoded], file: Path, types: Mapping[str, str]) -> tuple[int, str]:
    import pyarrow  # noqa: PLC0415

    lists = {name: pyarrow.list_(getattr(pyarrow, kind)()) for name, kind in types.items()}
    features = json.dumps({"info": {"features": _features(types)}})
    schema = pyarrow.schema(lists, metadata={"huggingface": features})
    hashed, count, left = hashlib.sha256(), 0, iter(rows)
    with pyarrow.OSFile(str(file), "wb") as out, pyarrow.ipc.new_stream(out, schema) as stream:
        while batch := list(islice(left, ROWS_PER_BATCH)):
            columns = [[row.input_ids for row in batch], [row.labels for row in batch]]
            columns += [[PACKED[name][1](row) for row in batch] for name in types if name in PACKED]
            arrays = [
                pyarrow.array(values, kind)
                for values, kind in zip(columns, lists.values(), strict=True)
            ]
            stream.write_batch(pyarrow.record_batch(arrays, schema=schema))
            for row in batch:
                hashed.update(array("q", (len(row.input_ids), *row.input_ids, *row.labels)))
                hashed.update(array("q", row.lengths))
            count += len(batch)
    return count, hashed.hexdigest()


def _refuse_foreign(target: Path) -> None:
    """Never replace a folder that is not a prepared split."""
    if (
        target.exists()
        and not (target / STATE_FILE).is_file()
        and (not target.is_dir() or any(target.iterdir()))
    ):
        hint = "choose another folder, or move this one away"
        raise OutputError(
            Problem("this is not prepared data, so it stays", file=str(target), hint=hint)
        )


def _features(types: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: {"feature": {"dtype": kind, "_type": "Value"}, "_type": "List"}
        for name, kind in types.items()
    }


def _info(types: Mapping[str, str]) -> dict[str, Any]:
    return {
        "citation": "",
        "description": "",
        "features": _features(types),
        "homepage": "",
        "license": "",
    }


def _state(digest: str) -> dict[str, Any]:
    return {
        "_data_files": [{"filename": DATA_FILE}],
        "_fingerprint": digest[:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }


def _dump(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8", newline="\n")
