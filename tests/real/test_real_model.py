"""A real model in all four frameworks: SmolLM2-135M-Instruct, as `make demo-real` gets it."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from ftspec.data.template import load_template
from ftspec.data.tokenizer import load_tokenizer
from ftspec.spec.load import load
from ftspec.verify.certificate import Certificate, from_json
from ftspec.verify.inputs import MASKED, rows
from ftspec.verify.prove import CERTIFICATE, effective, prove
from tests.conftest import ROOT, SPECS
from tests.real.conftest import BACKENDS, Proven

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]
SPEC = SPECS / "real-smollm2-alpaca.yaml"
CERTIFICATES = ROOT / "docs" / "certificates"
SYSTEM = (
    "<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
)


@pytest.fixture(scope="module")
def model() -> Path:
    """The model's folder; made once per checkout, as it takes a download and a minute."""
    script = [sys.executable, str(ROOT / "scripts" / "real_model.py")]
    for _ in range(2):  # the second time it has nothing to do
        made = subprocess.run(script, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-4000:]
    assert "there already" in made.stdout
    return SPECS / load(SPEC).spec.model.name


def test_the_tokenizer_is_the_models_own(model: Path) -> None:
    tokens = load_tokenizer(model)
    assert tokens.special["eos_token"] == "<|im_end|>"
    assert tokens.special["pad_token"] != tokens.special["eos_token"]
    split = tokens.tokenizer.encode("In 2024", add_special_tokens=False).tokens
    assert split == ["In", "Ġ", "2", "0", "2", "4"]  # digit by digit, as the model learnt numbers
    config = json.loads((model / "config.json").read_text("utf-8"))
    assert config["dtype"] == "float32"  # LLaMA-Factory trains in what is stored
    named = [tokens.named_id(f"{role}_token") for role in ("bos", "eos", "pad")]
    assert named == [config[f"{role}_token_id"] for role in ("bos", "eos", "pad")]
    template = load_template(model, tokens.special)
    assert template is not None and not template.marks_turns
    assert "trained by Hugging Face" in template.source


def proven(folder: Path, backends: tuple[str, ...], *sets: str) -> Proven:
    """Two steps of the shipped rows: enough for every check, and most of the time is imports."""
    loaded, _ = effective(
        SPEC, ("train.batch_size=2", "train.micro_batch_size=1", *sets), 2, folder
    )
    return Proven(prove(loaded, backends, folder, reference="trl", jobs=2).certificate, folder)


@pytest.mark.parametrize(
    ("prepare", "backends"),
    [("framework", BACKENDS), ("ftspec", ("trl", "llamafactory"))],
    ids=["framework", "ftspec"],
)
def test_it_trains_the_same(
    model: Path, tmp_path: Path, prepare: str, backends: tuple[str, ...]
) -> None:
    assert model.is_dir()
    proof = proven(tmp_path, backends, f"data.prepare={prepare}")
    assert proof.certificate.verdict == "equal", {
        name: run.error or run.first_failure() for name, run in proof.certificate.runs.items()
    }
    tokens = load_tokenizer(model)
    for name in backends:
        for row in rows(proof.evidence(name)):
            # the template's default system prompt, whoever renders it
            assert tokens.tokenizer.decode(row.ids, skip_special_tokens=False).startswith(SYSTEM)
            trained = [label for label in row.labels or () if label != MASKED]
            answer = tokens.tokenizer.decode(trained, skip_special_tokens=False)
            assert answer.endswith("<|im_end|>\n") and "<|im_start|>" not in answer
    losses = [step.loss for step in proof.certificate.runs["trl"].steps]
    chance = math.log(tokens.tokenizer.get_vocab_size())  # 10.8: every token as likely as any other
    assert all(0 < loss < chance / 2 for loss in losses), "this is no model that knows English"


def certificates() -> dict[str, Certificate]:
    return {file.name: from_json(file.read_text("utf-8")) for file in CERTIFICATES.glob("*.json")}


def test_kept_certificates_are_proofs() -> None:
    found = certificates()
    assert found, f"none in {CERTIFICATES}: the names of {CERTIFICATE} copies end in .json"
    for name, certificate in found.items():
        assert certificate.verdict == "equal", name
        assert sorted(certificate.runs) == sorted(BACKENDS), name
        assert (CERTIFICATES / name).with_suffix(".html").is_file(), name
