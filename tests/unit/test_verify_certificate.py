"""The certificate: round trip, verdicts, and nothing in it that names a machine."""

from __future__ import annotations

import getpass
import json
import math
import socket
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.errors import VerifyError
from ftspec.verify.certificate import (
    Certificate,
    CheckRecord,
    RunRecord,
    StepRecord,
    from_json,
    to_json,
)
from ftspec.verify.machine import machine, scrubbed

numbers = st.floats(allow_nan=False) | st.just(math.inf)
words = st.text(max_size=12)
checks = st.builds(
    CheckRecord,
    name=words,
    compares=words,
    verdict=st.sampled_from(["equal", "within", "differs", "not-compared"]),
    measured=st.none() | numbers,
    tolerance=st.floats(0, 1),
    why=words,
    context=st.none() | st.tuples(words, words),
    note=words,
)
steps = st.builds(
    StepRecord,
    step=st.integers(1, 99),
    loss=numbers,
    grad_norm=st.none() | numbers,
    learning_rate=st.none() | numbers,
)
records = st.builds(
    RunRecord,
    title=words,
    conclusion=st.sampled_from(["equal", "differs", "incomplete", "failed"]),
    versions=st.dictionaries(words, words, max_size=2),
    lock=words,
    files=st.dictionaries(words, words, max_size=2),
    setting=st.dictionaries(words, st.integers() | st.lists(words, max_size=2), max_size=2),
    steps=st.lists(steps, max_size=3).map(tuple),
    seconds=st.floats(0, 1e6),
    checks=st.lists(checks, max_size=3).map(tuple),
    error=words,
)


def certificate(**conclusions: str) -> Certificate:
    reference = RunRecord("TRL", "reference", {}, "", {}, {}, (), 1.0)
    runs = {name: replace(reference, conclusion=c) for name, c in conclusions.items()}  # type: ignore[arg-type]
    return Certificate(
        1,
        "0.1.0",
        "2026-11-21",
        "demo",
        "0" * 64,
        "model: x\n",
        "trl",
        {},
        {"trl": reference, **runs},
    )


@given(st.dictionaries(words, records, max_size=2))
def test_json_round_trip_keeps_every_digit(runs):
    whole = replace(certificate(), runs={**certificate().runs, **runs})
    text = to_json(whole)
    assert from_json(text) == whole
    assert to_json(from_json(text)) == text


def test_json_is_strict_json_in_a_fixed_order():
    step = StepRecord(1, math.nan, math.inf, None)
    record = replace(certificate().runs["trl"], steps=(step,))
    whole = replace(certificate(), runs={"trl": record})

    def refuse(word: str) -> None:
        raise AssertionError(word)

    content = json.loads(to_json(whole), parse_constant=refuse)
    assert content["runs"]["trl"]["steps"][0]["loss"] == "nan"
    assert list(content)[:3] == ["schema", "ftspec", "date"]
    assert content["verdict"] == "incomplete"
    back = from_json(to_json(whole)).runs["trl"].steps[0]
    assert math.isnan(back.loss)
    assert back.grad_norm == math.inf


@pytest.mark.parametrize(
    ("conclusions", "verdict", "code"),
    [
        ({"a": "equal", "b": "equal"}, "equal", 0),
        ({"a": "equal", "b": "differs"}, "differs", 1),
        ({"a": "failed", "b": "differs"}, "differs", 1),
        ({"a": "failed", "b": "equal"}, "failed", 1),
        ({"a": "incomplete", "b": "equal"}, "incomplete", 1),
        ({}, "incomplete", 1),
    ],
)
def test_verdict_is_that_of_the_worst_run(conclusions, verdict, code):
    found = certificate(**conclusions)
    assert (found.verdict, found.exit_code) == (verdict, code)


def test_a_failed_reference_proves_nothing():
    whole = certificate(a="equal")
    failed = replace(whole.runs["trl"], conclusion="failed")
    assert replace(whole, runs={**whole.runs, "trl": failed}).verdict == "failed"


def test_a_difference_comes_before_what_could_not_be_compared():
    one = CheckRecord("text", "", "not-compared", None, 0.0, "")
    two = CheckRecord("batches", "", "differs", None, 0.0, "")
    record = replace(certificate().runs["trl"], checks=(one, two))
    assert record.first_failure() is two
    assert replace(record, checks=(one,)).first_failure() is one
    assert replace(record, checks=()).first_failure() is None


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"schema": 2}', '{"schema": 1}'])
def test_what_is_no_certificate_is_refused_in_words(text):
    with pytest.raises(VerifyError):
        from_json(text)


def test_the_machine_is_described_and_not_named():
    found = machine()
    assert found["cores"] >= 1
    assert found["memory_gib"] > 0
    text = json.dumps(found)
    for name in (socket.gethostname(), getpass.getuser() if getpass.getuser() != "root" else ""):
        assert not name or name not in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/ada/run/train.log is full", "train.log is full"),
        ("cannot open '/srv/data/x.json': no", "cannot open 'x.json': no"),
        ("~/models/tiny/config.json", "config.json"),
        ("loss 1/2 of a/b", "loss 1/2 of a/b"),
        ("see https://example.org/a/b/c", "see https://example.org/a/b/c"),
    ],
)
def test_messages_lose_their_folders(text, expected):
    assert scrubbed(text) == expected
