"""Number formats: what is asked for is what trains, and what a CPU cannot do is refused for it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from ftspec.env.install import ensure
from ftspec.env.variables import variables
from ftspec.registry import load as load_backend
from ftspec.verify.verify import Run
from tests.real.conftest import Lab, Proven
from tests.real.test_equality import FULL
from tests.real.test_options import assert_equal, refusal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
PURE = (FULL, "precision=bf16-pure", "train.steps=3", "train.learning_rate=1e-3")


def test_weights_in_bfloat16_train_alike(lab: Lab) -> None:
    assert "insists on a GPU" in refusal(lab, "llamafactory", *PURE)
    assert "float32 copies" in refusal(lab, "deepspeed", *PURE)
    proof = lab.prove(*PURE)
    assert_equal(proof)
    assert set(proof.certificate.runs) == {"trl", "unsloth"}
    for backend in proof.certificate.runs:
        evidence = proof.evidence(backend)
        assert {tensor.dtype for tensor in evidence.trainable.values()} == {"bfloat16"}
        assert evidence.setting["autocast"] == ""  # nothing lowers the type: the weights have it
        assert any((evidence.after[name] != begun).any() for name, begun in evidence.before.items())


STEPPED = ("train.steps=4", "train.learning_rate=1e-3", "train.warmup_steps=0")
SCALE = 128
HALVES = {
    "bfloat16": "precision=bf16-weights",
    "float16": f"precision={{compute: fp16-weights, loss_scale: {SCALE}}}",
}


def by_hand(lab: Lab, proof: Proven, kind: str) -> list[float]:
    """The losses of the same batches, without DeepSpeed."""
    evidence, steps = proof.evidence(kind), {}
    for batch in evidence.batches:
        steps.setdefault(batch.step, []).append((batch.input_ids, batch.labels, batch.attended()))
    task = {
        "rates": [step.learning_rate for step in evidence.steps],
        "steps": [steps[number] for number in sorted(steps)],
        "norm": 1.0,
        "type": kind,
        "scale": SCALE if kind == "float16" else 1,
    }
    told = proof.folder / f"{kind}.json"
    told.write_text(json.dumps(task), "utf-8")
    place = ensure(load_backend("trl"))
    script = Path(__file__).with_name("copied.py")
    ran = subprocess.run(
        list(map(str, [place.python, script, lab.specs / "tiny-model", told])),
        env=variables(place, {**os.environ}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    found: list[float] = json.loads(ran.stdout.splitlines()[-1])
    return found


def cast(lab: Lab) -> Proven:
    """Weights in 16 bits under several stages, and autocast beside them."""

    def runs(folder: Path) -> dict[str, Run]:
        sets = {
            "autocast": (FULL, "precision=bf16"),
            **{kind: (FULL, word) for kind, word in HALVES.items()},
            "sharded": (FULL, HALVES["bfloat16"], "hardware.zero=3"),
            "adapter": (HALVES["bfloat16"],),
        }
        return {
            name: lab.compiled("deepspeed", folder / name, *STEPPED, *more)
            for name, more in sets.items()
        }

    return lab.compare("weights in 16 bits", runs, reference="bfloat16")


@pytest.mark.parametrize("kind", HALVES)
def test_weights_are_cast_and_copied(lab: Lab, kind: str) -> None:
    proof = cast(lab)
    if "fp16 is not supported" in (proof.certificate.runs[kind].error or ""):
        pytest.skip("this processor does not multiply float16, and the engine says so")
    evidence, autocast = proof.evidence(kind), proof.evidence("autocast")
    assert {tensor.dtype for tensor in evidence.trainable.values()} == {kind}
    assert {tensor.dtype for tensor in autocast.trainable.values()} == {"float32"}
    assert set(evidence.states) == {"float32"}  # the optimizer steps copies
    assert (evidence.setting["autocast"], autocast.setting["autocast"]) == ("", "bfloat16")
    losses, expected = [step.loss for step in evidence.steps], by_hand(lab, proof, kind)
    assert len(losses) == len(expected) == 4
    off = [abs(a - b) for a, b in zip(losses, expected, strict=True)]
    apart = [abs(a - b.loss) for a, b in zip(expected, autocast.steps, strict=True)]
    # A step turns what 16 bits round away into a rate's length (AdamW), more or less by processor: 2e-5
    # on an Intel one, 8e-5 on an AMD one with avx512_bf16, where the other meaning is 6e-4 away.
    assert max(off) < max(2e-5, max(apart) / 4)
    assert max(apart) > 4e-5  # the other meaning of the word is another training


def test_sharding_and_adapters_are_cast_alike(lab: Lab) -> None:
    proof = cast(lab)
    whole, sharded, adapter = map(proof.evidence, ("bfloat16", "sharded", "adapter"))
    assert all(abs(a.loss - b.loss) < 1e-6 for a, b in zip(whole.steps, sharded.steps, strict=True))
    assert {tensor.dtype for tensor in adapter.trainable.values()} == {"bfloat16"}
    assert set(adapter.frozen_sizes) == {"bfloat16"}  # the base is cast as well
    assert adapter.steps[0].loss == whole.steps[0].loss


def test_where_no_copies_are_kept(lab: Lab) -> None:
    for backend in ("trl", "llamafactory", "unsloth", "axolotl"):
        assert "what ZeRO's optimizers keep" in refusal(lab, backend, FULL, HALVES["float16"])
    unsharded = (FULL, HALVES["bfloat16"], "hardware.zero=0")
    assert "unfused_optimizer" in refusal(lab, "deepspeed", *unsharded)


@pytest.mark.parametrize("quantised", [(), ("model.quantization=nf4",)], ids=["whole", "nf4"])
def test_adapters_in_bfloat16(lab: Lab, quantised: tuple[str, ...]) -> None:
    for backend in ("llamafactory", "unsloth", "deepspeed"):
        assert "is for full tuning" in refusal(lab, backend, "precision=bf16-pure")

    def runs(folder: Path) -> dict[str, Run]:
        sets = ("train.steps=3", "train.learning_rate=1e-3", "model.dtype=bfloat16", *quantised)
        return {
            name: lab.compiled("trl", folder / name, *sets, f"precision={name}")
            for name in ("bf16-pure", "bf16")
        }

    proof = lab.compare(f"adapters in bfloat16 {len(quantised)}", runs, reference="bf16")
    pure, mixed = map(proof.evidence, ("bf16-pure", "bf16"))
    assert {tensor.dtype for tensor in pure.trainable.values()} == {"bfloat16"}
    assert {tensor.dtype for tensor in mixed.trainable.values()} == {"float32"}
    assert pure.setting["autocast"] == ""
    assert set(pure.trainable) == set(mixed.trainable)
    assert all(abs(a.loss - b.loss) < 0.02 for a, b in zip(pure.steps, mixed.steps, strict=True))
    assert any((pure.after[name] != begun).any() for name, begun in pure.before.items())


@pytest.mark.parametrize("backend", ["trl", "llamafactory", "unsloth", "deepspeed"])
@pytest.mark.parametrize(
    ("sets", "reason"),
    [
        (("precision=fp16",), "float16 does not run on a CPU"),
        ((FULL, "precision=fp32", "model.dtype=bfloat16"), "multiplied in bfloat16"),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else "",
)
def test_nothing_is_changed_in_silence(
    lab: Lab, backend: str, sets: tuple[str, ...], reason: str
) -> None:
    assert reason in refusal(lab, backend, *sets)
