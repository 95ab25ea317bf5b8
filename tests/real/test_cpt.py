"""Continued pre-training: documents of plain text, each with its end, alike in every framework."""

from __future__ import annotations

import json

import pytest

from ftspec.verify.inputs import MASKED, rows
from tests.real.conftest import BACKENDS, Lab
from tests.real.test_options import assert_equal, refusal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
END = "<|im_end|>"
DOCUMENTS = 8


@pytest.fixture(scope="module", params=["columns: {text: body}", "template: {text: '{{ body }}'}"])
def text(lab: Lab, request: pytest.FixtureRequest) -> str:
    """Documents of different lengths; one says its own end, one speaks of ends within.

    They are a column, or a text that the spec writes.
    """
    folder = lab.base / "text"
    folder.mkdir(exist_ok=True)
    lines = (lab.specs / "data" / "chat.jsonl").read_text("utf-8").splitlines()
    chats = [json.loads(line)["messages"] for line in lines[:DOCUMENTS]]
    texts = [
        " ".join(turn["content"] for turn in chat) * (1 + i % 3) for i, chat in enumerate(chats)
    ]
    texts[0] += END
    texts[1] = f"Before{END}after"
    rows = "".join(json.dumps({"body": text}) + "\n" for text in texts)
    (folder / "documents.jsonl").write_text(rows, "utf-8")
    return f"{{path: ../text/documents.jsonl, {request.param}}}"


def sets_for(text: str, prepare: str) -> tuple[str, ...]:
    return (
        "method.objective=cpt", f"data.train={text}", f"data.prepare={prepare}",
        "data.overflow=truncate", "data.max_length=96", "train.steps=null", "train.epochs=2",
    )  # fmt: skip


@pytest.mark.parametrize("prepare", ["framework", "ftspec"])
def test_documents_train_alike(lab: Lab, text: str, prepare: str) -> None:
    sets = sets_for(text, prepare)
    expected = set(BACKENDS)
    if prepare == "framework":
        words = (
            "writes no rows by texts" if "template" in text else "plain text loses its trained end"
        )
        assert words in refusal(lab, "llamafactory", *sets)
        expected.remove("llamafactory")
    proof = lab.prove(*sets)
    assert_equal(proof)
    assert set(proof.certificate.runs) == expected
    taken = rows(proof.evidence("trl"))
    assert len(taken) == 2 * DOCUMENTS
    assert any(len(row.ids) == 96 for row in taken)
    for row in taken:
        assert row.labels and MASKED not in row.labels[1:]
        # one end, which is trained, unless the document was cut before it
        assert row.text and (len(row.ids) == 96 or row.text.endswith(END))
        assert not row.text.endswith(END * 2)
