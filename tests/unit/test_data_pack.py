"""Packing: no token is lost, no row is too long, and documents can be told apart again."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ftspec.data.arrow import PACKED, read_split, write_split
from ftspec.data.pack import Packed, Packs, best_fit, blocks, documents, padded
from ftspec.data.tokenise import IGNORED, Encoded

SIZE = 16
LENGTHS = st.lists(st.integers(1, SIZE), min_size=1, max_size=60)


@given(LENGTHS, st.integers(1, 70))
def test_packed_rows_are_counted_as_they_are_made(lengths: list[int], window: int) -> None:
    made = {
        Packs("documents", SIZE, window): sum(
            len(best_fit(lengths[at : at + window], SIZE)) for at in range(0, len(lengths), window)
        ),
        Packs("blocks", SIZE, window): sum(
            -(-sum(lengths[at : at + window]) // SIZE) for at in range(0, len(lengths), window)
        ),
        Packs("blocks", SIZE, 0): len(list(blocks(rows(lengths), SIZE))),
    }
    for packs, count in made.items():
        packed = Packed(packs)
        for length in lengths:
            packed.add(length)
        assert packed.count == count, packs


def rows(lengths: list[int]) -> list[Encoded]:
    """Documents of different tokens, of which the first is not trained."""
    return [
        Encoded([n * 100 + at for at in range(k)], [IGNORED, *(n * 100 + at for at in range(1, k))])
        for n, k in enumerate(lengths, 1)
    ]


@given(LENGTHS)
def test_every_document_is_in_one_row_that_holds_it(lengths: list[int]) -> None:
    bins = best_fit(lengths, SIZE)
    assert sorted(at for found in bins for at in found) == list(range(len(lengths)))
    filled = [sum(lengths[at] for at in found) for found in bins]
    assert max(filled) <= SIZE
    # no row could have taken in a later, and so shorter, row's first document
    for number, found in enumerate(bins):
        assert all(
            sum(lengths[at] for at in earlier if lengths[at] >= lengths[found[0]])
            + lengths[found[0]]
            > SIZE
            for earlier in bins[:number]
        )


@given(LENGTHS)
def test_documents_can_be_told_apart(lengths: list[int]) -> None:
    whole = {tuple(row.input_ids): tuple(row.labels) for row in rows(lengths)}
    found = {}
    for row in (padded(short, SIZE, 7) for short in documents(rows(lengths), SIZE)):
        assert len(row.input_ids) == len(row.labels) == SIZE
        start = 0
        for length in row.lengths:
            end = start + length
            found[tuple(row.input_ids[start:end])] = tuple(row.labels[start:end])
            start = end
        rest = SIZE - start
        assert list(row.labels[start:]) == [IGNORED] * rest
        numbers = PACKED["attention_mask"][1](row)
        places = PACKED["position_ids"][1](row)
        assert list(numbers[start:]) == list(places[start:]) == [0] * rest
        assert [places[at] for at in range(start) if not places[at]] == [0] * len(row.lengths)
        assert sorted(set(numbers[:start])) == list(range(1, len(row.lengths) + 1))
    assert found == whole


@given(LENGTHS)
def test_blocks_are_full_but_the_last(lengths: list[int]) -> None:
    tokens = [token for row in rows(lengths) for token in row.input_ids]
    found = list(blocks(rows(lengths), SIZE))
    kept = [token for row in found for token in row.input_ids]
    # a single token at the end has nothing that predicts it, and nothing that it predicts
    assert kept == (tokens if len(tokens) % SIZE != 1 else tokens[:-1])
    assert all(len(row.input_ids) == SIZE for row in found[:-1])
    assert all(row.labels == [IGNORED, *row.input_ids[1:]] for row in found)


def test_columns_are_written_as_asked(tmp_path: Path) -> None:
    packed = list(documents(rows([9, 5, 2, 4]), SIZE))
    assert [list(row.lengths) for row in packed] == [[9, 5, 2], [4]]
    assert write_split(packed, tmp_path / "a", ("seq_lengths",)) == 2
    assert [list(row.lengths) for row in read_split(tmp_path / "a")] == [[9, 5, 2], [4]]
    assert write_split(packed, tmp_path / "b", ("attention_mask", "position_ids")) == 2
    import pyarrow

    with pyarrow.ipc.open_stream(tmp_path / "b" / "data-00000-of-00001.arrow") as stream:
        table = stream.read_all()
    assert table.column_names == ["input_ids", "labels", "attention_mask", "position_ids"]
    assert table["attention_mask"][0].as_py() == [1] * 9 + [2] * 5 + [3] * 2
    assert table["position_ids"][0].as_py() == [*range(9), *range(5), *range(2)]
