"""Thoughts and tools in the frameworks' own data paths: the same text, tokens and labels everywhere."""

from __future__ import annotations

import pytest

from ftspec.data.findings import Findings
from ftspec.data.preview import look
from ftspec.data.view import View
from ftspec.plan.readers import readers
from ftspec.spec.load import load
from ftspec.verify.inputs import MASKED, rows
from tests.real.conftest import BACKENDS, Lab, Proven
from tests.real.test_options import assert_equal, refusal
from tests.real.thoughts import thinking_model, tool_rows

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]
EMPTY = "<think>\n\n</think>\n\n"
SHORT = ("train.steps=2", "data.max_length=512")
LAST = ("data.train_on=completions", "data.overflow=truncate", *SHORT)


@pytest.fixture(scope="module")
def model(lab: Lab) -> str:
    """The tiny model with a template that has thoughts and tools."""
    thinking_model(lab.specs / "tiny-model", lab.specs / "thinking-model")
    return "model.name=./thinking-model"


def trained_texts(proof: Proven, name: str) -> list[str]:
    """Per row, what is left of the text where training begins."""
    tokenizer = load_tokenizer(proof)
    return [
        tokenizer.decode(
            [label for label in row.labels or () if label != MASKED], skip_special_tokens=False
        )
        for row in rows(proof.evidence(name))
    ]


def load_tokenizer(proof: Proven):  # type: ignore[no-untyped-def]
    import tokenizers

    return tokenizers.Tokenizer.from_file(str(proof.model("trl") / "tokenizer.json"))


def shown_as_trained(lab: Lab, proof: Proven, *sets: str) -> None:
    """What the preview says of a row is what went through each model."""
    asked = readers(load(lab.spec, sets), tuple(proof.certificate.runs))
    assert not asked.unknown and not asked.refused
    for group in asked.groups:
        found = Findings()
        looked = look(asked.sources("train"), asked.folder, asked.tokens, [group.rule], found)
        said = [row.views[0] for row in looked]
        found.check()
        for name in group.backends:
            for row in rows(proof.evidence(name)):
                view = said[row.source or 0]
                assert isinstance(view, View)
                assert list(row.ids) == view.input_ids and list(row.labels or ()) == view.labels


@pytest.mark.parametrize("on", [True, False])
def test_thinking_trains_alike(lab: Lab, model: str, on: bool) -> None:
    sets = (model, *LAST, f"model.template_options={{enable_thinking: {str(on).lower()}}}")
    cut = "loses tokens from prompt and answer in proportion"
    assert cut in refusal(lab, "llamafactory", *sets)
    sets = (*sets, "data.overflow=error")
    proof = lab.prove(*sets, backends=BACKENDS if not on else ("trl", "llamafactory"))
    assert_equal(proof)
    for row in rows(proof.evidence("trl")):
        assert (row.text or "").count(EMPTY) == 1  # an empty thought before the last answer alone
    # what is trained begins with it, or behind it
    for text in trained_texts(proof, "llamafactory"):
        assert text.startswith(EMPTY) == on
    shown_as_trained(lab, proof, *sets)


def test_tools_and_thoughts_in_native_rows_train_alike(lab: Lab, model: str) -> None:
    tool_rows(lab.specs / "tools.jsonl")
    options = "model.template_options={enable_thinking: true}"
    sets = (model, *SHORT, options, "data.train=tools.jsonl", "data.train_on=assistant")
    assert "writes tools, calls and what comes back" in refusal(lab, "llamafactory", *sets)
    proof = lab.prove(*sets, backends=("trl", "unsloth", "deepspeed"))
    assert_equal(proof)
    for row in rows(proof.evidence("trl")):
        text = row.text or ""
        assert text.count('"type": "function"') == 1 and "null" not in text
        assert "<tool_call>{" in text and "<think>\nIt said so.\n</think>\n\nIn the north." in text
    shown_as_trained(lab, proof, *sets)
