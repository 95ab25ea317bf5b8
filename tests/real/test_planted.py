"""Planted differences: one native file is changed behind the compiler's back, and must be found out.

All of them are compared with one and the same run of TRL, in one certificate: which check differs
first, at which step and row, with which two values, and what the likely cause is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ftspec.data.arrow import read_split, write_split
from ftspec.data.tokenise import Encoded
from ftspec.verify.certificate import CheckRecord
from ftspec.verify.checks import CHECKS
from ftspec.verify.inputs import MASKED
from ftspec.verify.verify import Run
from tests.conftest import SPECS
from tests.real.conftest import Lab, Proven
from tests.real.test_equality import LORA

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
STEPS = 3
FRAMEWORK, PREPARED = "data.prepare=framework", "data.prepare=ftspec"
Tamper = Callable[[Path], None]


def set_to(name: str, value: str) -> Tamper:
    """Give the one argument (or YAML key) of this name another value."""

    def tamper(folder: Path) -> None:
        file = folder / ("train.py" if (folder / "train.py").exists() else "train.yaml")
        text = file.read_text("utf-8")
        yaml = file.suffix == ".yaml"
        pattern = rf"(?m)^{name}: .*$" if yaml else rf"(?<![\w.]){name}=[^,\s()]+"
        changed, count = re.subn(pattern, f"{name}: {value}" if yaml else f"{name}={value}", text)
        assert count == 1, f"{name} stands {count} times in {file.name}"
        assert changed != text
        file.write_text(changed, "utf-8")

    return tamper


def added(line: str, before: str = r"(?=args = SFTConfig\()") -> Tamper:
    """Put a line into a script, or at the end of a YAML file."""

    def tamper(folder: Path) -> None:
        script = folder / "train.py"
        if not script.exists():
            yaml = folder / "train.yaml"
            yaml.write_text(f"{yaml.read_text('utf-8')}\n{line}\n", "utf-8")
            return
        changed, count = re.subn(before, f"{line}\n", script.read_text("utf-8"))
        assert count == 1
        script.write_text(changed, "utf-8")

    return tamper


def other_template(folder: Path) -> None:
    """The tokenizer's template with one word more in each turn's head."""
    template = (SPECS / "tiny-model" / "chat_template.jinja").read_text("utf-8")
    assert template.count("<|im_start|>' +") == 1
    (folder / "other.jinja").write_text(
        template.replace("<|im_start|>' +", "<|im_start|>the ' +"), "utf-8"
    )
    added('    chat_template_path="other.jinja",', r"(?<=SFTConfig\(\n)")(folder)


def in_rows(change: Callable[[list[Encoded]], list[Encoded]]) -> Tamper:
    """Rewrite the rows that ftspec prepared."""

    def tamper(folder: Path) -> None:
        split = folder / "data" / "train"
        rows = list(read_split(split))
        changed = change(list(rows))
        assert changed != rows
        write_split(changed, split)

    return tamper


def unmasked(rows: list[Encoded]) -> list[Encoded]:
    """One label that was masked, in every row, as the drawn order is not known here."""
    at = [list(row.labels).index(MASKED, 1) for row in rows]
    labels = [
        [row.input_ids[i] if i == where else label for i, label in enumerate(row.labels)]
        for row, where in zip(rows, at, strict=True)
    ]
    return [replace(row, labels=new) for row, new in zip(rows, labels, strict=True)]


def autocast(folder: Path) -> None:
    """The engine's own switch for 16 bits, of which the script says nothing."""
    file = folder / "ds_config.json"
    engine = json.loads(file.read_text("utf-8"))
    file.write_text(
        json.dumps(engine | {"torch_autocast": {"enabled": True, "dtype": "bfloat16"}}), "utf-8"
    )


@dataclass(frozen=True)
class Plant:
    """A difference, and what has to be said about it."""

    backend: str
    tamper: Tamper
    check: str
    cause: str
    where: str
    """A pattern for the place: step and row, or a name."""
    values: tuple[str, str]
    """Patterns for the two values."""
    sets: tuple[str, ...] = (LORA, FRAMEWORK)


ROW = r"step \d+, row \d+"
PLANTS = {
    "template": Plant(
        "deepspeed", other_template, "text", "chat-template", rf"{ROW}.*character \d+",
        ("im_start", "the user|the system|the assistant"),
    ),
    "system prompt": Plant(
        "llamafactory", added("default_system: Be brief."), "text", "system-prompt",
        rf"{ROW}.*character \d+", ("user", "system"),
    ),
    "max_length": Plant(
        "deepspeed", set_to("max_length", "54"), "text", "truncation", ROW, (".", "end of row"),
    ),
    "row order": Plant(
        "unsloth", added("train = train.shuffle(seed=1)"), "text", "data-order", ROW, (".", "."),
    ),
    "dropped row": Plant(
        "unsloth", added("train = train.select(range(1, len(train)))"), "data order",
        "dropped-rows", ROW, (r"row \d+ in step 1", r"row \d+ in step 1"),
    ),
    "data seed": Plant(
        "llamafactory", set_to("data_seed", "43"), "data order", "data-order", ROW,
        (r"row \d+ in step 1", r"row \d+ in step 1"),
    ),
    "not shuffled": Plant(
        "llamafactory", set_to("disable_shuffling", "true"), "data order", "data-order", ROW,
        (r"row \d+ in step 1", "row 0 in step 1"),
    ),
    "one label unmasked": Plant(
        "deepspeed", in_rows(unmasked), "label mask", "what-is-trained", rf"{ROW}.*token 1",
        ("not trained", r"trained, label \d+"), (LORA, PREPARED),
    ),
    "other turns trained": Plant(
        "llamafactory", set_to("mask_history", "true"), "label mask", "what-is-trained",
        rf"{ROW}.*token \d+", (r"trained, label \d+", "not trained"),
    ),
    "padding": Plant(
        "deepspeed", set_to("pad_to_multiple_of", "64"), "batches", "padding",
        r"step 1, micro-batch 1", (r"2 rows x \d+ tokens", r"2 rows x (64|128) tokens"),
    ),
    "alpha halved": Plant(
        "unsloth", set_to("lora_alpha", "8"), "trainable parameters", "lora-rank-and-alpha",
        "adapter on model.layers.0", (r"scaled by 2\.0", r"scaled by 1\.0"),
    ),
    "a layer left out": Plant(
        "llamafactory", set_to("lora_target", "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj"),
        "trainable parameters", "lora-targets", "parameter model.layers.0.mlp.down_proj",
        ("float32", "not trained"),
    ),
    "dropout": Plant(
        "deepspeed", set_to("lora_dropout", "0.1"), "trainable parameters", "dropout-and-noise",
        "lora_dropout", ("0.0", "0.1"),
    ),
    "seed": Plant(
        "deepspeed", set_to("seed", "43"), "initial weights", "initial-weights",
        r"parameter model.layers.0.*lora_A", (r"\d\.\d+", r"\d\.\d+"),
    ),
    "seed of the adapter": Plant(
        "unsloth", set_to("random_state", "3407"), "initial weights", "initial-weights",
        r"parameter model.layers.0.*lora_A", (r"\d\.\d+", r"\d\.\d+"),
    ),
    "weight decay": Plant(
        "unsloth", set_to("weight_decay", "0.01"), "optimizer groups", "weight-decay",
        "weight_decay of model.layers.0", ("0", "0.01"),
    ),
    "learning rate": Plant(
        "llamafactory", set_to("learning_rate", "0.0003"), "optimizer groups", "learning-rate",
        "learning rate of model.layers.0", ("0.0002", "0.0003"),
    ),
    "betas": Plant(
        "deepspeed", set_to("adam_beta2", "0.95"), "optimizer groups", "optimizer",
        "betas of model.layers.0", ("0.999", "0.95"),
    ),
    "schedule": Plant(
        "unsloth", set_to("warmup_steps", "2"), "learning rates", "schedule",
        r"step \d", (r"\d", r"\d"),
    ),
    "noise": Plant(
        "llamafactory", set_to("neftune_noise_alpha", "5"), "first loss", "dropout-and-noise",
        "step 1", (r"6\.9", r"6\.9"),
    ),
    "sixteen bits": Plant(
        "deepspeed", autocast, "first loss", "precision", "step 1", (r"6\.9", r"6\.9"),
    ),
    "clipping": Plant(
        "unsloth", set_to("max_grad_norm", "0.1"), "first gradient norm", "clipping", "",
        (r"\d", r"\d"),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def planted(lab: Lab) -> Proven:
    """All of them against TRL as it was compiled, trained and certified together."""
    steps = f"train.steps={STEPS}"

    def runs(folder: Path) -> dict[str, Run]:
        made = {"trl": lab.compiled("trl", folder / "trl", LORA, FRAMEWORK, steps)}
        for name, plant in PLANTS.items():
            made[name] = lab.compiled(plant.backend, folder / name, *plant.sets, steps)
            plant.tamper(made[name].folder)
        return made

    return lab.compare("planted", runs)


def test_every_kind_of_check_has_its_plant(planted: Proven) -> None:
    found = {plant.check for plant in PLANTS.values()}
    # nothing but tokenising differently parts ids before text; what follows from rounding is last
    assert found >= {c.name for c in CHECKS} - {"token ids", "trajectory", "final update"}
    assert {plant.backend for plant in PLANTS.values()} == {"llamafactory", "unsloth", "deepspeed"}
    assert len(planted.certificate.runs) == len(PLANTS) + 1


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_difference_is_found_and_named(planted: Proven, name: str) -> None:
    plant, run = PLANTS[name], planted.certificate.runs[name]
    assert not run.error, run.error
    assert run.conclusion == "differs"
    found = run.first_failure()
    assert found is not None
    assert found.name == plant.check, found
    assert found.verdict == "differs"
    assert found.link == f"docs/hazards.md#{plant.cause}", found
    assert found.cause
    assert re.search(plant.where, found.where), found.where
    _shows(found, plant.values)


def _shows(found: CheckRecord, values: tuple[str, str]) -> None:
    assert re.search(values[0], found.reference), found.reference
    assert re.search(values[1], found.other), found.other
    assert found.reference != found.other


def test_a_difference_is_not_a_success(planted: Proven) -> None:
    assert planted.certificate.verdict == "differs"
    assert planted.certificate.exit_code == 1
    assert planted.certificate.runs["trl"].conclusion == "reference"
