"""axolotl trains what TRL trains, over prepared rows and its own, with other releases of the libraries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from ftspec.families.rows.instructions import named
from ftspec.verify.verify import Run
from ftspec_axolotl.emit import CONFIG, FRESH_FILE, SEED_FILE
from tests.real.conftest import Lab
from tests.real.test_options import assert_equal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]

PAIR = ("trl", "axolotl")
WHOLE = (
    "data.prepare=ftspec", "train.batch_size=4", "train.micro_batch_size=4", "train.warmup_steps=2",
)  # fmt: skip
"""One batch a step: it averages the means of several."""
CASES = {
    "lora": ("train.steps=4", "train.warmup_shape=quadratic"),
    "full": (
        "method=full", "train.steps=4", "train.schedule=linear", "train.weight_decay=0.1",
        "data.shuffle=false",
    ),
    "options": (
        "method.tuner.dropout=0.1", "method.tuner.rslora=true", "method.tuner.modules_to_save=[lm_head]",
        "method.tuner.targets=[q_proj, v_proj, down_proj]", "train.gradient_checkpointing=true",
        "train.steps=null", "train.epochs=1", "train.batch_size=16", "train.micro_batch_size=16",
        "train.schedule={type: cosine, min_ratio: 0.1}", "train.optimizer.beta2=0.95",
        "train.max_grad_norm=0.1", "train.seed=7",
    ),
    "dora, patterns of names": (
        "method.tuner.dora=true", "method.tuner.targets={pattern: '.*layers[.]0.*_proj'}", "train.steps=3",
        "train.schedule=polynomial",
    ),
    **{
        f"optimizer: {kind}": (
            "method=full", "train.steps=4", "train.weight_decay=0.1", f"train.optimizer={kind}", *more,
        )
        for kind, *more in (
            ("{type: torchao-adamw-8bit, beta2: 0.95}",),
            ("{type: adamw-8bit, eps: 1.0e-6}",),
            ("adafactor",),
            ("{type: lion, beta2: 0.95}", "train.learning_rate=1e-4"),
            ("{type: sgd, momentum: 0.9, nesterov: true}", "train.learning_rate=1e-2"),
            ("{type: rmsprop, smoothing: 0.9, centered: true}",),
            ("{type: adagrad, rate_decay: 0.1}", "train.learning_rate=1e-3"),
        )
    },
    "eager, all tokens": (
        "data.train={path: data/chat.jsonl, format: messages}", "data.train_on=all", "train.steps=3",
        "train.schedule=constant", "model.attention=eager",
    ),
    "qlora": ("method=qlora", "model.quantization.double=false", "train.steps=3"),
    "qlora, fp4, double": (
        "method=qlora", "model.quantization={type: fp4, double: true, storage: uint8}", "train.steps=3",
    ),
    "layers, patterns of ranks, gaussian": (
        "method.tuner.targets=[q_proj, v_proj, down_proj]", "method.tuner.layers=[1]",
        "method.tuner.rank_pattern={q_proj: 4}", "method.tuner.alpha_pattern={down_proj: 32}",
        "method.tuner.init=gaussian", "train.steps=3",
    ),
    "another rate for one half": ("method.tuner.plus_ratio=16", "train.steps=3"),
    "orthogonal": ("method.tuner.init=orthogonal", "train.steps=3"),
    "names of weights": (
        r"method.tuner={type: partial, patterns: ['model\.layers\.1\.mlp\.', 'lm_head', '.+\.0\..+norm']}",
        "train.steps=4", "train.gradient_checkpointing=true", "train.weight_decay=0.1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_trains_the_same(lab: Lab, name: str) -> None:
    proof = lab.prove(*WHOLE, *CASES[name], backends=PAIR)
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(PAIR)
    first, other = (proof.weights(backend) for backend in PAIR)
    assert first.keys() == other.keys()


TURNS = (*WHOLE[1:], "data.turn_part=ended", "train.steps=4")
ALPACA = named("alpaca") or {}


def test_over_rows_that_it_makes_itself(lab: Lab) -> None:
    """TRL and axolotl over prepared rows, and axolotl over those of its own."""

    def runs(folder: Path) -> Mapping[str, Run]:
        made = {name: lab.compiled(name, folder / name, *TURNS, WHOLE[0]) for name in PAIR}
        own = lab.compiled("axolotl", folder / "own", *TURNS)
        config = (own.folder / CONFIG).read_text("utf-8")
        assert "type: chat_template" in config and (own.folder / FRESH_FILE).is_file()
        return made | {"own": own}

    proof = lab.compare("axolotl-own-rows", runs)
    assert_equal(proof)
    assert set(proof.certificate.runs) == {*PAIR, "own"}


def test_over_prompts_that_it_makes_itself_as_trl_does(lab: Lab) -> None:
    texts = ", ".join(f"{name}: {json.dumps(text)}" for name, text in ALPACA.items())
    train = f"data.train={{path: data/alpaca.jsonl, template: {{{texts}}}}}"
    proof = lab.prove(*WHOLE[1:], train, "method=full", "train.steps=3", backends=PAIR)
    assert_equal(proof)


def test_without_its_plugin_an_adapter_begins_elsewhere(lab: Lab) -> None:
    """What the plugin is for: the same adapter for any seed, and none that another framework draws."""

    def runs(folder: Path) -> Mapping[str, Run]:
        made = {name: lab.compiled(name, folder / name, *WHOLE, "train.steps=2") for name in PAIR}
        config = made["axolotl"].folder / CONFIG
        text = config.read_text("utf-8")
        config.write_text(text.replace("plugins:\n- adapter_seed.AdapterSeed\n", ""), "utf-8")
        assert config.read_text("utf-8") != text
        (made["axolotl"].folder / SEED_FILE).unlink()
        return made

    certificate = lab.compare("axolotl-unseeded", runs).certificate
    failed = certificate.runs["axolotl"].first_failure()
    assert failed is not None and failed.name == "initial weights"
