"""Kept proofs: condensed from certificates, and found by the values that they prove."""

from __future__ import annotations

from dataclasses import replace

from ftspec.registry import names
from ftspec.verify import proven
from ftspec.verify.certificate import from_json
from ftspec.verify.proven import condensed, dump, of_value
from tests.conftest import ROOT

CERTIFICATE = ROOT / "docs" / "certificates" / "quickstart.json"


def record() -> proven.Proven:
    return condensed("quickstart", from_json(CERTIFICATE.read_text("utf-8")))


def test_a_record_says_what_was_proven_and_names_no_file() -> None:
    found = record()
    assert set(found.runs) == set(names()) - {"axolotl"}
    assert all(found.proves(backend) for backend in found.runs)
    assert found.values["method.tuner.type"] == "lora"
    assert not [path for path in found.values if path.startswith(("model.name", "data.train", "output"))
                and path != "data.train_on"]  # fmt: skip
    assert 0 < found.measured["final update"] < 1e-3
    assert found.versions["trl"]["trl"] == "1.16.0"


def test_a_value_is_proven_only_where_two_runs_were_equal() -> None:
    found = record()
    assert of_value([found], "method.tuner.type", "lora", "trl") == found
    assert of_value([found], "method.tuner.type", "full", "trl") is None
    assert of_value([found], "no.such.path", None, "trl") is None
    alone = replace(found, runs={"trl": "reference", "unsloth": "differs"})
    assert not alone.proves("trl")
    assert not alone.proves("unsloth")
    newer = replace(found, date="2999-01-01")
    assert of_value([newer, found], "precision.compute", "fp32", "deepspeed") == newer


def test_the_kept_file_is_what_the_script_writes() -> None:
    kept = proven.load()
    assert dump(kept) == proven.FILE.read_text("utf-8")
    for each in kept:
        assert any(each.proves(backend) for backend in each.runs), each.case
