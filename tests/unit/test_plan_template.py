"""What a plan sees of a chat template before anything is run."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ftspec.errors import SpecError, UnsupportedError
from ftspec.plan.make import make_plan
from ftspec.plan.templates import marks_turns, template_of
from ftspec.spec.load import load
from ftspec.spec.model import Model
from tests.conftest import SPECS

PLAIN = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
MARKED = "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"


@pytest.mark.parametrize(("source", "marks"), [(PLAIN, False), (MARKED, True)])
def test_marks_are_seen_in_a_file_and_in_a_model(tmp_path: Path, source: str, marks: bool) -> None:
    (tmp_path / "mine.jinja").write_text(source)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "chat_template.jinja").write_text(source)
    assert marks_turns(template_of("mine.jinja", "org/name", tmp_path)) is marks
    assert marks_turns(template_of("tokenizer", "./model", tmp_path)) is marks
    assert marks_turns(template_of("tokenizer", "org/name", tmp_path)) is None
    assert marks_turns(template_of("missing.jinja", "./model", tmp_path)) is None


@pytest.mark.parametrize("backend", ["trl", "unsloth", "deepspeed"])
def test_unmarked_turns_are_refused_before_the_run(tmp_path: Path, backend: str) -> None:
    (tmp_path / "plain.jinja").write_text(PLAIN)
    template = f"model.chat_template={tmp_path / 'plain.jinja'}"
    spec = load(SPECS / "quickstart.yaml", (template,))
    with pytest.raises(UnsupportedError) as caught:
        make_plan(spec, backend, tmp_path / "out")
    (problem,) = caught.value.problems
    assert problem.path == "data.train_on" and "data.prepare: ftspec" in problem.hint
    for remedy in ("data.prepare=ftspec", "data.train_on=completions"):
        make_plan(load(SPECS / "quickstart.yaml", (template, remedy)), backend, tmp_path / "out")


@pytest.mark.parametrize("backend", ["trl", "unsloth", "deepspeed", "llamafactory"])
def test_a_part_of_a_turn_needs_prepared_rows(tmp_path: Path, backend: str) -> None:
    part = "data.turn_part=ended"
    with pytest.raises(UnsupportedError) as caught:
        make_plan(load(SPECS / "quickstart.yaml", (part,)), backend, tmp_path / "out")
    (problem,) = caught.value.problems
    assert problem.path == "data.turn_part" and problem.hint == "data.prepare: ftspec"
    plan = make_plan(
        load(SPECS / "quickstart.yaml", (part, problem.hint.replace(": ", "="))), backend, tmp_path
    )
    assert not plan.notes


def test_answers_that_are_compared_count_whole(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="of demonstrations alone") as caught:
        make_plan(load(SPECS / "dpo-tiny.yaml", ("data.turn_part=said",)), "trl", tmp_path / "out")
    assert caught.value.problems[0].path == "data.turn_part"


def test_where_prompts_count_in_full_all_that_is_written_does(tmp_path: Path) -> None:
    sets = ("data.turn_part=ended", "data.prepare=ftspec", "method.objective.prompt_weight=1")
    values = make_plan(
        load(SPECS / "quickstart.yaml", sets), "trl", tmp_path / "out"
    ).resolved.flat()
    assert (values["data.train_on"], values["data.turn_part"]) == ("all", "written")


def test_a_long_row_is_measured_by_the_template_that_is_trained_with(tmp_path: Path) -> None:
    (tmp_path / "mine.jinja").write_text(MARKED)
    sets = (f"model.chat_template={tmp_path / 'mine.jinja'}", "data.overflow=drop")
    plan = make_plan(load(SPECS / "quickstart.yaml", sets), "trl", tmp_path / "out")
    (script,) = (file for file in plan.files() if file.path == "train.py")
    text = script.content.decode()
    assert 0 < text.index("tokenizer.chat_template =") < text.index("apply_chat_template")


@pytest.mark.parametrize("name", ["chat-ml", "Qwen/Qwen3-4B", "template.txt"])
def test_a_template_has_no_other_name(name: str) -> None:
    """trl would copy the template, and the tokens, of a model of that name."""
    with pytest.raises(ValidationError, match=r"ends in \.jinja or \.j2"):
        Model(name="org/name", chat_template=name)
