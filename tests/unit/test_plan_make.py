"""Plans: what follows from a spec, in which order, and what is said where it does not work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ftspec.errors import BackendError, SpecError, UnsupportedError
from ftspec.plan.choose import choose
from ftspec.plan.make import make_plan
from ftspec.plan.resolve import resolve
from ftspec.plan.stages import Plan
from ftspec.registry import load as backend_of
from ftspec.registry import names
from ftspec.spec.load import Loaded, loads

SPEC = """\
model: org/name
data:
  train: {path: a.jsonl, format: messages}
  overflow: error
precision: fp32
train: {batch_size: 12}
hardware: {device: cpu}
"""


LEAST = {
    "axolotl": (
        *("model.dtype=float32", "data.prepare=ftspec"),
        *("train.warmup_steps=2", "train.micro_batch_size=12"),
    )
}
"""What a backend cannot do without, where others can do either."""


def spec(more: str = "", *sets: str) -> Loaded:
    return loads(SPEC + more, "nowhere/mine.yaml", sets)


def kinds(plan: Plan) -> list[str]:
    return [type(stage).__name__ for stage in plan.stages]


@pytest.mark.parametrize("name", names())
def test_stages_in_their_order(name: str) -> None:
    plan = make_plan(spec("", *LEAST.get(name, ())), name)
    written = kinds(plan).count("WriteFile")
    first = "PrepareData" if name in LEAST else "CheckData"
    assert kinds(plan) == [
        first, *["WriteFile"] * written, "BuildEnvironment", "Launch", "Collect",
    ]  # fmt: skip
    assert plan.files()[-1].path == "manifest.json"
    assert len({file.path for file in plan.files()}) == written >= 4
    assert plan.folder == Path("nowhere/runs/mine") / name


def test_rows_that_ftspec_prepares_come_first() -> None:
    plan = make_plan(
        spec("", "data.prepare=ftspec", "data.eval={path: b.jsonl, format: messages}"), "trl"
    )
    assert kinds(plan)[:3] == ["PrepareData", "PrepareData", "WriteFile"]


def test_hub_data_is_not_read_from_here() -> None:
    sets = ("data.train={hub: o/a, format: messages}", "data.overflow=truncate")
    assert "CheckData" not in kinds(make_plan(spec("", *sets), "trl"))


def test_origins() -> None:
    values = resolve(spec("", "train.warmup_ratio=0.1")).values
    assert {path: (values[path].value, values[path].origin) for path in (
        "train.batch_size", "train.warmup_ratio", "train.weight_decay", "train.learning_rate",
        "train.micro_batch_size", "derived.accumulation_steps", "train.epochs", "train.data_seed",
        "method.tuner.alpha", "output.folder", "hardware.device", "data.train_on",
    )} == {
        "train.batch_size": (12, "spec"), "train.warmup_ratio": (0.1, "spec"),
        "train.weight_decay": (0.0, "default"), "train.learning_rate": (2e-4, "derived"),
        "train.micro_batch_size": (6, "derived"), "derived.accumulation_steps": (2, "derived"),
        "train.epochs": (1.0, "derived"), "train.data_seed": (42, "derived"),
        "method.tuner.alpha": (32, "derived"), "output.folder": ("runs/mine", "derived"),
        "hardware.device": ("cpu", "spec"), "data.train_on": ("assistant", "default"),
    }  # fmt: skip
    assert all(value.why for value in values.values() if value.origin == "derived")


def test_a_backend_decides_what_the_spec_leaves_open() -> None:
    plan = make_plan(spec("", "hardware.zero={}"), "deepspeed")
    assert plan.resolved.values["hardware.zero.stage"].value == 2
    for name in names():
        for path, (value, why) in backend_of(name).defaults.items():
            assert why, (name, path, value)


def test_what_a_file_name_comes_to() -> None:
    for file, name in (("a.yaml", "a"), ("a.yml", "a"), ("a.json", "a"), ("a.b.yaml", "a.b")):
        assert resolve(loads(SPEC, file)).name == name


def test_every_refusal_at_once_each_with_its_line() -> None:
    with pytest.raises(UnsupportedError) as caught:
        make_plan(spec("", "hardware.zero=2", "precision.tf32=true"), "trl")
    places = {problem.path: problem.place() for problem in caught.value.problems}
    assert places["precision.tf32"] == "--set precision.tf32=true"
    assert places["hardware.zero.stage"] == "--set hardware.zero=2"


def test_a_message_shows_the_path_that_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nowhere").mkdir()
    Path("nowhere/mine.jinja").write_text("{{ messages }}")
    with pytest.raises(UnsupportedError) as caught:
        make_plan(spec("", "model.chat_template=mine.jinja"), "llamafactory")
    (problem,) = caught.value.problems
    assert "model.chat_template = 'mine.jinja': " in problem.message


def test_a_chat_template_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nowhere").mkdir()
    with pytest.raises(SpecError, match=r"there is no file mine\.jinja"):
        make_plan(spec("", "model.chat_template=mine.jinja"), "trl")


def test_values_that_are_structures_are_not_printed() -> None:
    both = "data.train=[{path: a.jsonl, format: messages}, {path: a.csv, format: messages}]"
    with pytest.raises(UnsupportedError) as caught:
        make_plan(spec("", both), "trl")
    (problem,) = caught.value.problems
    assert problem.message.startswith("TRL: data.train: files of one type")


def test_choose_takes_the_first_that_can() -> None:
    plan, why = choose(spec("", "run.backends=[unsloth, trl]", "hardware.devices=2"))
    assert plan.backend == "trl"
    assert why == "first in run.backends that can do all of this spec (unsloth cannot)"
    with pytest.raises(UnsupportedError) as caught:
        choose(spec("", "run.backends=[unsloth, trl]", "hardware.devices=2", "hardware.zero=1"))
    said = " ".join(problem.message for problem in caught.value.problems)
    assert "Unsloth: " in said
    assert "TRL: " in said
    assert choose(spec(), "llamafactory")[1] == "asked for"


NATIVE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("trl", {"SFTConfig.dataset_num_proc": 4, "LoraConfig.layer_replication": [[0, 2], [1, 3]]}),
    ("unsloth", {"SFTConfig.run_name": "x", "from_pretrained.fix_tokenizer": False}),
    ("llamafactory", {"preprocessing_num_workers": 4, "plot_loss": True}),
    ("deepspeed", {"ds_config.zero_optimization.x": 5, "ds_config.y": {"z": [1]}}),
)


@pytest.mark.parametrize(("name", "settings"), NATIVE, ids=[name for name, _ in NATIVE])
def test_native_settings_arrive(name: str, settings: dict[str, Any]) -> None:
    native = f"native: {{{name}: {settings}}}\n".replace("True", "true").replace("False", "false")
    plan = make_plan(spec(native, *LEAST.get(name, ())), name)
    written = backend_of(name).read(plan.files())
    assert {key: written[key] for key in settings} == settings
    for other in set(names()) - {name}:
        changed = spec(native, *LEAST.get(other, ()))
        theirs = backend_of(other).read(make_plan(changed, other).files())
        assert not settings.keys() & theirs.keys(), other


@pytest.mark.parametrize(
    ("name", "key", "hint"),
    [
        ("trl", "packing", "name the call too, as in `SFTConfig.packing`"),
        ("trl", "SFTTrainer.x", "leave it out"),
        ("unsloth", "from_pretrained.device_map", "leave it out"),
        ("llamafactory", "dataset_dir", "leave it out"),
        ("deepspeed", "zero_optimization", "name the call too"),
    ],
)
def test_a_native_setting_that_would_be_lost_is_refused(name: str, key: str, hint: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        make_plan(spec(f"native: {{{name}: {{{key}: x}}}}\n"), name)
    (problem,) = caught.value.problems
    assert f"`{key}` would be in none of its files" in problem.message
    assert hint in problem.hint
    assert problem.place().startswith("nowhere/mine.yaml:8:")


def test_native_settings_of_nobody_are_refused() -> None:
    with pytest.raises(BackendError, match="no backend `tlr`"):
        make_plan(spec("native: {tlr: {SFTConfig.x: 1}}\n"), "trl")


def test_a_value_that_a_writer_refuses_is_placed() -> None:
    with pytest.raises(UnsupportedError) as caught:
        make_plan(spec("output: 'a/${b'\n"), "llamafactory", Path("elsewhere"))
    (problem,) = caught.value.problems
    assert problem.path == "output.folder"
    assert problem.place() == "nowhere/mine.yaml:8:9"
    assert problem.message.startswith("LLaMA-Factory: output_dir holds `${`")
