"""Rows with images: the plugin that is written, what comes back of it, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ftspec.backend import File, lift
from ftspec.errors import UnsupportedError
from ftspec.families.rows.images import OUTSIDE
from ftspec.families.tuners.unfrozen import regular
from ftspec.plan.make import make_plan
from ftspec.plan.stages import Plan, WriteFile
from ftspec.registry import load as load_backend
from ftspec.spec.load import load
from ftspec_axolotl.emit import CONFIG
from ftspec_axolotl.images import FILE, unfrozen

BACKEND = load_backend("axolotl")
SPEC = """\
version: 1
model: {name: org/sees, dtype: float32, chat_template: qwen2_vl, images: {train: language, max_pixels: 9000}}
data: {train: {path: rows.jsonl, format: messages, columns: {images: images}}, max_length: null}
method: {objective: {type: sft, average: batches}}
precision: fp32
train: {steps: 6, batch_size: 4, micro_batch_size: 2, warmup_steps: 2}
hardware: {device: cpu}
"""
GPT = "data.train={path: a/rows.json, format: sharegpt, columns: {conversations: talk, images: shots}}"
WRITTEN = (
    "data.train={path: rows.jsonl, columns: {images: shots}, "
    "template: {system: 'Be kind.', user: 'Q: {{ asked }}', assistant: '{{ said }}'}}"
)
HUB = (
    "data.train=[{hub: o/a, format: alpaca, columns: {images: i}, files: [a.json], revision: r}, "
    "{hub: o/b, format: alpaca, columns: {images: i}, subset: s, split: test, limit: 7}]"
)
NAMES = (
    *("model.language_model.layers.0.mlp.up_proj.weight", "lm_head.weight"),
    *("model.visual.merger.mlp.0.weight", "model.multi_modal_projector.linear_1.bias"),
    *("model.visual.blocks.0.attn.qkv.weight", "model.vision_tower.encoder.layers.0.fc1.bias"),
    *("model.visual.deepstack_merger_list.0.norm.weight", "language_model_of_none.weight"),
)


def plan(folder: Path, *sets: str) -> Plan:
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "own.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    return make_plan(load(folder / "spec.yaml", sets), "axolotl", folder / "build")


def files(made: Plan) -> dict[str, File]:
    return {s.file.path: s.file for s in made.stages if isinstance(s, WriteFile)}


def text(made: Plan, name: str = CONFIG) -> str:
    return files(made)[name].content.decode()


@pytest.mark.parametrize(
    "sets",
    [
        (),
        ("data.train_on=all",),
        ("data.train_on=all", "model.images={train: [vision], learned: false, max_width: 9}"),
        ("data.train_on=completions", "data.system=Look."),
        ("data.turn_part=ended", "data.turn_ends=['<|im_end|>']", "model.images.square=84"),
        ("data.turn_part=ended", "model.chat_template=./own.jinja"),
        ("data.max_length=300", "data.overflow=error", "model.chat_template=tokenizer"),
        ("method.tuner={type: full}",),
        ("method.tuner={type: full}", "model.images.train=[projector]"),
        ("method.tuner={type: full}", "model.images.train=[language, projector, vision]"),
        ("method.tuner.targets=[q_proj]", "model.images.train=[language, projector, vision]"),
        ("method.tuner.targets={pattern: '.*qkv'}", "model.quantization=nf4"),
        ("precision=bf16", "hardware.device=cuda", "model.dtype=bfloat16"),
        (GPT, "data.mixed=true"),
        (WRITTEN,),
        (HUB,),
    ],
    ids=" ".join,
)
def test_what_is_compiled_comes_back(tmp_path: Path, sets: tuple[str, ...]) -> None:
    made = plan(tmp_path, *sets)
    back = lift(BACKEND, BACKEND.read([*files(made).values()]))
    assert not back.refusals and not back.unknown
    values = made.resolved.flat()
    for path in values:
        if path.startswith(("model.images.", "data.", "method.", "model.chat_template")):
            if path == "data.overflow" and values["data.max_length"] is None:
                continue  # no row is too long
            if path in ("data.turn_ends",) and values["data.turn_part"] == "written":
                continue
            found = json.loads(json.dumps(back.spec.get(path)).replace('"../', '"'))
            assert found == json.loads(json.dumps(values[path]).replace('"./', '"')), path


def test_the_config_says_what_axolotl_reads_of_it(tmp_path: Path) -> None:
    made = plan(tmp_path)
    config = text(made)
    for line in (
        *("processor_type: AutoProcessor", "skip_prepare_dataset: true", "sample_packing: false"),
        *("remove_unused_columns: false", "trainer_cls: image_rows.Trainer"),
        *("lora_target_modules: all-linear", "- image_rows.ImageRows", "chat_template: jinja"),
    ):
        assert f"{line}\n" in config
    for key in ("sequence_len", "type_of_model", "unfrozen_parameters", "fresh_rows", "type:"):
        assert f"\n{key}" not in config
    assert made.lock() == "vision"
    plugin = text(made, FILE)
    assert (
        "PIXELS, SQUARE = None, 9000, None" in plugin and "lora_exclude_modules = FROZEN" in plugin
    )
    assert "sequence_len: 300\n" in text(
        plan(tmp_path, "data.max_length=300", "data.overflow=error")
    )


@pytest.mark.parametrize("parts", OUTSIDE)
def test_its_patterns_of_weights_are_those_of_the_parts(parts: tuple[str, ...]) -> None:
    """As its LayerNamePattern reads them: from the beginning of a name, a dot for a dot."""
    for name in NAMES:
        outside = OUTSIDE[parts] is not None and re.fullmatch(OUTSIDE[parts] or "", name)
        trains = any(re.match(regular(pattern), name) for pattern in unfrozen(parts))
        assert trains == (not outside), name


def test_weights_that_train_are_named_where_there_is_no_adapter(tmp_path: Path) -> None:
    made = plan(tmp_path, "method.tuner={type: full}", "model.images.train=[projector]")
    assert "unfrozen_parameters:\n" in text(made)
    native = dict(BACKEND.read([*files(made).values()]))
    native["unfrozen_parameters"] = ["lm_head"]
    assert any(
        "other weights train" in refusal.reason for refusal in lift(BACKEND, native).refusals
    )


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (("data.turn_part=said",), "of a conversation with images"),
        (("data.prepare=ftspec",), r"data\.prepare"),
        (("method.tuner={type: partial, patterns: ['a']}",), "images"),
        (("model.quantization=int8",), "images"),
        (("data.train={path: rows.jsonl, format: messages}",), "column of images"),
        (
            ("data.train={path: r.jsonl, format: messages, columns: {images: i}, share: 0.5}",),
            "share",
        ),
        (("model.chat_template=llama3",), "no images are known"),
        (("data.max_length=300", "data.overflow=drop"), "may lose tokens of an image"),
        (("data.mixed=true", "data.draw_seed=7"), "one seed for all"),
        (("data.eval_size=0.1",), "evaluates before the first step|evaluation"),
    ],
)
def test_what_it_refuses(tmp_path: Path, sets: tuple[str, ...], words: str) -> None:
    with pytest.raises(UnsupportedError, match=words):
        plan(tmp_path, *sets)


def test_the_preview_does_not_show_texts_in_the_place_of_images(tmp_path: Path) -> None:
    made = plan(tmp_path)
    assert BACKEND.rows is not None
    told = BACKEND.rows(made.native, None, None)  # type: ignore[arg-type]
    assert "seen by the model's processor alone" in str(told)


def test_a_text_cannot_leave_its_place_in_the_plugin(tmp_path: Path) -> None:
    hostile = '"""\\n{{ 7 }}#{% x %}'
    made = plan(tmp_path, f"data.system={json.dumps(hostile)}")
    back = lift(BACKEND, BACKEND.read([*files(made).values()]))
    assert back.spec["data.system"] == hostile


@pytest.mark.parametrize("objective", ["dpo", "kto", "orpo"])
def test_answers_that_are_compared_have_no_images_here(tmp_path: Path, objective: str) -> None:
    source = "data.train={path: r.jsonl, format: %s, columns: {images: i}}"
    kind = "unpaired" if objective == "kto" else "preference"
    fields = BACKEND.maps[objective]
    assert any(
        row.paths == ("model.images.train",) and row.support == "notimpl" for row in fields.rows
    )
    if objective == "dpo":
        with pytest.raises(UnsupportedError, match="go through trainers of its own"):
            plan(tmp_path, source % kind, "method.objective={type: dpo}")
