"""Models that a stage takes of an earlier one beside its own: rewards, teachers, references."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftspec.errors import SpecError, UnsupportedError
from ftspec.plan.pipeline import make_pipeline
from ftspec.plan.pipeline_files import write_pipeline
from ftspec.plan.resolve import resolve
from ftspec.plan.stages import TakeResult
from ftspec.spec.load import load
from ftspec.spec.text import parse
from tests.unit.test_pipeline_spec import SHARED, VALIDATOR, read, refused

REWARDED = """\
stages:
  - name: reward
    data: pairs.jsonl
    method: {objective: reward, tuner: TUNER}
  - name: rl
    data: {train: {path: prompts.jsonl, format: prompt}, overflow: drop}
    method:
      tuner: full
      objective:
        type: grpo
        generation: {completions: 2}
        rewards:
          - {by: regex, pattern: a}
          - {by: model, stage: reward}
"""


@pytest.mark.parametrize("tuner", ["full", "lora"])
def test_a_reward_model_comes_of_an_earlier_stage(tmp_path: Path, tuner: str) -> None:
    (tmp_path / "pairs.jsonl").write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n')
    text = SHARED.replace("./tiny", "org/tiny") + REWARDED.replace("TUNER", tuner)
    text = text.replace("{max_length: 128}", "{max_length: 128, overflow: drop}")
    text = text.replace("org/tiny", "{name: org/tiny, dtype: float32}")
    first, last = make_pipeline(read(tmp_path, text + "hardware: {device: cpu}\n"), "trl")
    plain, scored = last.plan.resolved.values["method.objective.rewards"].value
    place = "./runs/spec/reward/trl/model"
    expected = (place, None) if tuner == "full" else ("org/tiny", place)
    assert (scored["name"], scored["adapter"], scored["stage"]) == (*expected, None)
    assert plain["name"] is None
    (taken,) = (stage for stage in last.plan.stages if isinstance(stage, TakeResult))
    assert (taken.name, taken.begins, taken.source) == ("reward", False, first.plan)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("stage: reward}", "stage: rl}"), "there is no stage `rl` above this one"),
        (("objective: reward, ", ""), "`reward` trains no reward model"),
    ],
)
def test_a_reward_names_a_stage_above_that_trains_one(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    text = SHARED + REWARDED.replace("TUNER", "full").replace(*change)
    assert [found for _, found in refused(tmp_path, text)] == [message]


WRITTEN = """\
hardware: {device: cpu}
precision: fp32
stages:
  - name: first
    data: {train: {path: chat.jsonl, format: messages}, overflow: drop}
    method: {tuner: TUNER}
  - name: pupil
    write: {teacher_stage: first, prompts: prompts.jsonl, temperature: 0.0, system: "'{{ x }}'", top_k: 3}
    data: {overflow: drop}
    method: {tuner: lora}
"""


@pytest.mark.parametrize("tuner", ["full", "lora"])
def test_a_teacher_writes_what_a_stage_trains_on(tmp_path: Path, tuner: str) -> None:
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "a"}\n')
    turns = [{"role": role, "content": "b"} for role in ("user", "assistant")]
    (tmp_path / "chat.jsonl").write_text(json.dumps({"messages": turns}) + "\n")
    text = SHARED.replace("./tiny", "{name: org/tiny, dtype: float32}")
    pipeline = read(tmp_path, text + WRITTEN.replace("TUNER", tuner))
    assert VALIDATOR.is_valid(parse(text + WRITTEN.replace("TUNER", tuner)).data)
    links = make_pipeline(pipeline, "trl", tmp_path / "build")
    merged = ["first-merged"] if tuner == "lora" else []
    assert [link.name for link in links] == ["first", *merged, "pupil-answers", "pupil"]
    written, pupil = links[-2:]
    # folders stand in the order in which they run, whichever was planned first
    assert [link.plan.folder.name for link in links] == [
        f"{at}-{link.name}" for at, link in enumerate(links, 1)
    ]
    (source,) = pupil.plan.resolved.values["data.train"].value
    assert source["path"] == "./runs/spec/pupil-answers/model/answers.jsonl"
    assert (pupil.plan.folder / written.plan.results()).name == "model"
    names = [s.name for s in written.plan.stages if isinstance(s, TakeResult)]
    assert names == [*merged, "first"][:1]
    assert [s.name for s in pupil.plan.stages if isinstance(s, TakeResult)] == ["pupil-answers"]
    script = next(f for f in written.plan.files() if f.path == "write.py").content.decode()
    for part in (
        "do_sample=False",
        "temperature=1.0",
        "top_k=0",
        "max_new_tokens=512",
        "'{{ x }}'",
    ):
        assert part in script
    files = write_pipeline(pipeline, links, tmp_path / "build")  # the answers are not there yet
    assert len(files["pupil-answers"]) == 4
    prepared = read(tmp_path, text + WRITTEN.replace("TUNER", tuner), "data.prepare=ftspec")
    links = make_pipeline(prepared, "trl", tmp_path / "more")
    with pytest.raises(UnsupportedError, match="a teacher has yet to write them"):
        write_pipeline(prepared, links, tmp_path / "more")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("teacher_stage: first", "teacher_stage: pupil"),
            "there is no stage `pupil` above this one",
        ),
        (
            ("teacher_stage: first", "teacher_stage: first, teacher: a"),
            "who writes is a `teacher` or",
        ),
        (("prompts.jsonl", "prompts.txt"), "a file of `prompts` ends in one of"),
        (("temperature: 0.0", "temperature: 0, completions: 2"), "at `temperature` 0 all"),
        (("temperature: 0.0", "temprature: 0.0"), "`temprature` is no field of `write`"),
        (
            ("data: {overflow: drop}", "data: a.jsonl"),
            "`data.train` and `write` exclude each other",
        ),
        (("name: first", "name: pupil-answers"), "`pupil-answers` is what the writing before"),
        (("tuner: TUNER", "tuner: oft"), "`first` leaves an adapter (oft), and only those of lora"),
    ],
)
def test_bad_writing(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    text = SHARED + WRITTEN.replace(*change).replace("TUNER", "full")
    found = [found for line, found in refused(tmp_path, text) if line]
    assert [each for each in found if each.startswith(message)], found


MODELS = """\
hardware: {device: cpu}
precision: fp32
stages:
  - name: first
    data: {train: {path: chat.jsonl, format: messages}, overflow: drop}
    method: {tuner: TUNER}
  - name: taught
    data: {train: {path: chat.jsonl, format: messages}, overflow: drop}
    method: {objective: {type: gkd, teacher_stage: first}, tuner: full}
  - name: chosen
    model: {stage: taught}
    data: {train: pairs.jsonl, overflow: truncate}
    method: {objective: {type: dpo, reference_stage: first}, tuner: full}
"""


@pytest.mark.parametrize("tuner", ["full", "lora"])
def test_a_teacher_and_a_reference_come_of_an_earlier_stage(tmp_path: Path, tuner: str) -> None:
    (tmp_path / "pairs.jsonl").write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n')
    text = SHARED.replace("./tiny", "{name: org/tiny, dtype: float32}")
    links = make_pipeline(read(tmp_path, text + MODELS.replace("TUNER", tuner)), "trl")
    merged = ["first-merged"] if tuner == "lora" else []
    assert [link.name for link in links] == ["first", *merged, "taught", "chosen"]
    place = f"./runs/spec/{'first-merged' if merged else 'first'}/trl/model"
    for link, field in zip(links[-2:], ("teacher", "reference"), strict=True):
        value = link.plan.resolved.values[f"method.objective.{field}"]
        assert (value.value, value.origin) == (place, "derived")
        assert link.plan.resolved.values[f"method.objective.{field}_stage"].value is None
        taken = [s for s in link.plan.stages if isinstance(s, TakeResult)]
        assert [*merged, "first"][0] in [s.name for s in taken if not s.begins]
        script = next(f for f in link.plan.files() if f.path == "train.py").content.decode()
        assert f"/{place.removeprefix('./runs/spec/')}" in script
    assert links[-1].plan.resolved.values["derived.reference_dtype"].value in (None, "float32")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("teacher_stage: first", "teacher_stage: taught"),
            "there is no stage `taught` above this one",
        ),
        (
            ("reference_stage: first", "reference_stage: first, reference: org/a"),
            "stage chosen: `reference` and `reference_stage` exclude each other: keep one",
        ),
        (
            ("tuner: TUNER", "tuner: oft"),
            "`first` leaves an adapter (oft), and only those of lora are merged",
        ),
    ],
)
def test_a_teacher_and_a_reference_are_named_as_they_can_be(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    text = SHARED + MODELS.replace(*change).replace("TUNER", "full")
    found = [found for _, found in refused(tmp_path, text)]
    assert found and all(each.startswith(message) for each in found)


def test_a_teacher_of_a_stage_needs_stages(tmp_path: Path) -> None:
    method = "method: {objective: {type: gkd, teacher_stage: other}}\n"
    file = tmp_path / "spec.yaml"
    text = (SHARED + method).replace(
        "{max_length: 128}", "{train: {path: a.jsonl, format: messages}}"
    )
    file.write_text(text.replace("./tiny", "org/tiny"))
    with pytest.raises(SpecError, match="there is no stage other: this is one run"):
        resolve(load(file))


def test_without_stages_there_is_none_to_name(tmp_path: Path) -> None:
    rewards = "{by: model, stage: other}"
    text = SHARED + (
        "method: {objective: {type: grpo, generation: {completions: 2}, rewards: "
        + rewards
        + "}}\n"
    )
    text = text.replace("{max_length: 128}", "{train: {path: a.jsonl, format: prompt}}")
    file = tmp_path / "spec.yaml"
    file.write_text(text.replace("./tiny", "org/tiny"))
    with pytest.raises(SpecError, match="there is no stage other: this is one run"):
        resolve(load(file))


@pytest.mark.parametrize(
    ("written", "message", "hint"),
    [
        ("5", "expected a section", "teacher: org/model"),
        ("{teacher: org/model}", "`prompts` is missing in `write`", "prompts: prompts.jsonl"),
        ("{prompts: a.jsonl, words: 5}", "`words` is no field of `write`", "fields here"),
        ("{teacher: {stage: a}, prompts: a.jsonl}", "expected text", "teacher_stage: NAME"),
    ],
)
def test_what_is_wrong_in_write_has_a_way_out(
    tmp_path: Path, written: str, message: str, hint: str
) -> None:
    with pytest.raises(SpecError) as caught:
        read(tmp_path, f"{SHARED}stages:\n  - {{name: a, write: {written}}}\n")
    found = {problem.message: problem for problem in caught.value.problems}
    assert hint in found[message].hint
    assert found[message].line
