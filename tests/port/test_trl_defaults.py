"""What a trl config means where it is silent: each trainer's own defaults come back out of a spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ftspec.plan.make import make_plan
from ftspec.port.formats.trl.trainers import CLASSES
from ftspec.port.tables import table
from ftspec.spec.load import loads
from tests.port.conftest import Bring, fate

SILENT = "model_name_or_path: org/model\ndataset_name: org/rows\noutput_dir: o\n"
MORE = {
    **dict.fromkeys(("rloo", "grpo", "online-dpo"), "reward_model_path: org/judge\n"),
    "gkd": "teacher_model_name_or_path: org/teacher\n",
}
ROWS = {
    **dict.fromkeys(("dpo", "orpo", "cpo", "simpo", "reward"), "preference"),
    **dict.fromkeys(("rloo", "grpo", "online-dpo"), "prompt"),
    "kto": "unpaired",
}
OTHERWISE: dict[str, Any] = {
    # the same by another word
    "bf16": True,
    "gradient_checkpointing_kwargs": {"use_reentrant": False},
    "reward_weights": [1.0],
    "steps_per_generation": 1,
    "loss_type": ("sigmoid",),
    "beta": 0.1,
    # what a run of ours says beside, and what it trains as without
    "data_seed": 42,
    "use_cpu": True,
    "logging_nan_inf_filter": False,
    # padding, which does not train
    "pad_to_multiple_of": 8,
}
"""Values that differ from a default in their writing only."""
OF_ITS_OWN = {
    ("grpo", "disable_dropout"): True,  # the import says so
    ("rloo", "disable_dropout"): True,
    ("simpo", "loss_type"): "simpo",
    **dict.fromkeys((("grpo", "pad_to_multiple_of"), ("rloo", "pad_to_multiple_of"))),
}


@pytest.mark.parametrize("objective", [name for name in CLASSES if name != "ppo"])
def test_a_silent_config_trains_by_its_trainers_defaults(
    objective: str, read: Bring, tmp_path: Path
) -> None:
    text = f"{SILENT}trainer: {objective}\n{MORE.get(objective, '')}"
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "a"}\n')
    sets = [f"data.train={{path: {rows}, format: {ROWS.get(objective, 'messages')}}}"]
    loaded = loads(read(text, wanted="trl").composed.text, "x.yaml", sets)
    native = make_plan(loaded, "trl", tmp_path / "out", True).native
    defaults = table("trl").calls[CLASSES[objective]]
    compared = 0
    for key, value in native.items():
        call, _, name = key.partition(".")
        if (
            call not in ("SFTConfig", CLASSES[objective])
            or name not in defaults
            or f"{name}:" in text
        ):
            continue
        default = defaults[name][1]
        nothing = default is None and value in (None, False, 0)
        allowed = OF_ITS_OWN.get((objective, name), OTHERWISE.get(name, default))
        if key.endswith("output_dir") or nothing:
            continue
        assert value in (default, allowed), (key, value, default)
        compared += 1
    assert compared > 25


def test_bfloat16_is_every_trainers_default(read: Bring) -> None:
    for objective in CLASSES.keys() - {"ppo"}:  # which asks for no precision
        imported = read(f"{SILENT}trainer: {objective}\n{MORE.get(objective, '')}", wanted="trl")
        assert imported.composed.values["precision.compute"] == "bf16", objective
    assert read(f"{SILENT}trainer: dpo\nfp16: true\n").composed.spec.precision.compute == "fp16"
    assert read(f"{SILENT}trainer: dpo\nbf16: false\n").composed.spec.precision.compute == "fp32"


def test_a_trainer_that_is_not_known_keeps_its_word(read: Bring) -> None:
    imported = read(f"{SILENT}trainer: nash_md\n", wanted="trl")
    assert fate(imported, "trainer")[0] == "unknown"
    assert "objective: nash_md" in imported.composed.text  # no valid spec: nobody trains it as SFT


def test_rewards_of_trl_are_taken_from_trl(read: Bring) -> None:
    text = (
        "trainer: grpo\nreward_model_name_or_path: org/judge\n"
        "reward_funcs: [think_format_reward, get_soft_overlong_punishment]\nreward_weights: [1, 2, 0.5]\n"
    )
    imported = read(SILENT + text, wanted="trl")
    judge, shape, length = imported.composed.spec.method.objective.rewards  # type: ignore[union-attr]
    assert (judge.by, judge.name, judge.weight) == ("model", "org/judge", 1)
    assert (shape.function, shape.weight) == ("think_format_reward", 2)
    assert (length.function, length.weight) == ("soft_overlong_punishment", 0.5)
    ((name, module),) = imported.files.items()
    assert shape.file == length.file == f"./{name}"
    assert "from trl.rewards import get_soft_overlong_punishment, think_format_reward" in module
    assert imported.faithful


def test_weights_that_fit_no_reward_are_not_understood(read: Bring) -> None:
    text = "trainer: grpo\nreward_funcs: [accuracy_reward]\nreward_weights: [1, 2]\n"
    imported = read(SILENT + text, wanted="trl")
    assert fate(imported, "reward_weights")[0] == "unknown"


def test_half_of_the_answers_are_written_where_distillation_is_silent(read: Bring) -> None:
    imported = read(f"{SILENT}trainer: gkd\n{MORE['gkd']}", wanted="trl")
    assert imported.composed.spec.method.objective.on_policy == 0.5  # type: ignore[union-attr]
    assert any("divides the divergence" in note for note in imported.notes)
    silent = read(f"{SILENT}trainer: gkd\nlmbda: 0\n{MORE['gkd']}", wanted="trl")
    assert silent.composed.spec.method.objective.on_policy == 0  # type: ignore[union-attr]
    assert fate(silent, "lmbda")[0] == "renamed"


def test_a_version_chooses_what_is_silent(read: Bring) -> None:
    def values(objective: str) -> dict[str, Any]:
        imported = read(f"{SILENT}trainer: {objective}\n", wanted="trl", version="trl==0.24.0")
        return dict(imported.composed.values)

    dpo, orpo, grpo, kto = map(values, ("dpo", "orpo", "grpo", "kto"))
    assert (dpo["data.max_prompt_length"], dpo["data.overflow"]) == (512, "truncate-left")
    assert (orpo["data.max_prompt_length"], orpo["data.prompt_cut"]) == (512, "overlong")
    assert grpo["method.objective.generation.max_length"] == 256
    assert kto["data.shuffle"] is False  # a sampler of its own, which no setting asks
    newest = read(f"{SILENT}trainer: dpo\n", wanted="trl")
    assert newest.composed.values.get("data.max_prompt_length") is None
    older = read(f"{SILENT}trainer: dpo\n", wanted="trl", version="trl==0.24.0")
    assert any("max_prompt_length is missing" in note for note in older.notes)
    said = read(
        f"{SILENT}trainer: dpo\nmax_prompt_length: null\n", wanted="trl", version="trl==0.24.0"
    )
    assert said.composed.values.get("data.max_prompt_length") is None


def test_the_script_of_ppo_is_read_by_the_release_that_has_it(read: Bring) -> None:
    text = (
        "trainer: ppo\nsft_model_path: org/model\nreward_model_path: org/judge\nlearning_rate: 3e-6\n"
        "total_episodes: 1000\nper_device_train_batch_size: 64\ngradient_accumulation_steps: 1\n"
        "num_ppo_epochs: 1\nkl_coef: 0.1\nlocal_rollout_forward_batch_size: 1\nbf16: true\n"
    )
    imported = read(SILENT + text, wanted="trl")
    spec, objective = imported.composed.spec, imported.composed.spec.method.objective
    assert (objective.type, objective.beta, objective.iterations) == ("ppo", 0.1, 1)  # type: ignore[union-attr]
    assert [one.name for one in objective.rewards] == ["org/judge"]  # type: ignore[union-attr]
    assert spec.train.steps == 16  # whole batches of 64
    assert (spec.precision.compute, spec.train.learning_rate) == ("fp32", 3e-6)
    assert fate(imported, "bf16")[0] == "inert"
    assert imported.faithful
    other = read(
        f"{SILENT}{text}".replace("sft_model_path: org/model", "sft_model_path: org/other")
    )
    assert other.composed.spec.model.name == "org/other"
    assert fate(other, "model_name_or_path")[0] == "unknown"


@pytest.mark.parametrize(
    ("mixer", "parts", "kind", "subsets"),
    [
        ("{a/b: 1.0, c/d: 1.0}", "[tiny, default]", "derived", ["tiny", None]),
        ("{a/b: 1.0}", "[tiny, default]", "unknown", [None]),
    ],
)
def test_parts_of_a_mixer(
    read: Bring, mixer: str, parts: str, kind: str, subsets: list[str | None]
) -> None:
    found = read(
        f"model_name_or_path: m/m\ndataset_mixer: {mixer}\ndataset_splits: [train_sft]\n"
        f"dataset_configs: {parts}\n"
    )
    assert [one.subset for one in found.composed.spec.data.train] == subsets
    assert fate(found, "dataset_configs")[0] == kind
