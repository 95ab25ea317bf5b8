"""Models that read images: what a row has to have, what trains, and what each backend writes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ftspec.backend import File, lift
from ftspec.data.images import most_tokens
from ftspec.errors import DataError, FtspecError, SpecError, UnsupportedError
from ftspec.families.rows.images import OUTSIDE
from ftspec.plan.data_stages import check_split
from ftspec.plan.make import Plan, make_plan
from ftspec.plan.pipeline import make_pipeline
from ftspec.plan.stages import WriteFile
from ftspec.registry import load as load_backend
from ftspec.spec.load import load
from ftspec.spec.pipeline import Pipeline, load_any

SPEC = """\
version: 1
model: {name: org/sees, chat_template: qwen2_vl, images: {train: language, max_pixels: 9000}}
data: {train: rows.jsonl, max_length: null}
method: {objective: {type: sft, average: batches}}
precision: fp32
train: {steps: 6, batch_size: 4, micro_batch_size: 2}
hardware: {device: cpu}
"""
ASKED = {"role": "user", "content": "<image>What is this?"}
ANSWER = {"role": "assistant", "content": "A line."}
ROW: dict[str, Any] = {"messages": [ASKED, ANSWER], "images": ["a.png"]}
NAMES = {
    "language": ("model.language_model.layers.0.mlp.up_proj.weight", "lm_head.weight"),
    "projector": ("model.visual.merger.mlp.0.weight", "model.multi_modal_projector.linear_1.bias"),
    "vision": (
        *("model.visual.blocks.0.attn.qkv.weight", "model.vision_tower.encoder.layers.0.fc1.bias"),
        "model.visual.deepstack_merger_list.0.norm.weight",
    ),
}


def written(folder: Path, *rows: dict[str, Any], text: str = SPEC) -> Path:
    """A spec beside its rows and an image."""
    (folder / "a.png").write_bytes(b"")
    lines = (json.dumps(row) + "\n" for row in rows or (ROW,))
    (folder / "rows.jsonl").write_text("".join(lines))
    (folder / "spec.yaml").write_text(text)
    return folder / "spec.yaml"


def plan(folder: Path, *sets: str, backend: str = "trl", lossy: bool = False) -> Plan:
    return make_plan(load(written(folder), sets), backend, folder / "build", lossy)


def files(made: Plan) -> dict[str, File]:
    return {s.file.path: s.file for s in made.stages if isinstance(s, WriteFile)}


def checked(folder: Path, row: dict[str, Any], alternating: bool = False) -> None:
    made = make_plan(load(written(folder, row)), "trl", folder / "build")
    check_split(made.resolved, "train", lengths=False, alternating=alternating)


@pytest.mark.parametrize("parts", OUTSIDE)
def test_a_pattern_names_what_does_not_train(parts: tuple[str, ...]) -> None:
    for part, names in NAMES.items():
        for name in names:
            outside = OUTSIDE[parts] is not None and re.fullmatch(OUTSIDE[parts] or "", name)
            assert bool(outside) == (part not in parts), name


def test_a_script_says_what_trains_and_how_large_an_image_is(tmp_path: Path) -> None:
    made = plan(tmp_path)
    script = files(made)["train.py"].content.decode()
    assert (
        'IMAGE_FOLDER, IMAGE_MARK = "..", "<|vision_start|><|image_pad|><|vision_end|>"' in script
    )
    assert "MIN_PIXELS, MAX_PIXELS, SQUARE = None, 9000, None" in script
    assert "TURN_ENDS = None" in script
    assert "peft_config.exclude_modules = FROZEN" in script
    assert "requires_grad_" not in script
    assert "torchvision" in files(made)["requirements.txt"].content.decode()
    back = lift(load_backend("trl"), load_backend("trl").read([*files(made).values()]))
    assert not back.refusals and not back.unknown
    found = {path: value for path, value in back.spec.items() if path.startswith("model.images.")}
    assert found == {
        "model.images.train": ("language",),
        "model.images.min_pixels": None,
        "model.images.max_pixels": 9000,
        "model.images.max_width": None,
        "model.images.square": None,
        "model.images.learned": True,
    }
    assert back.spec["data.train"][0]["columns"] == {"images": "images"}
    assert back.spec["data.train_on"] == "assistant"


def test_without_an_adapter_parts_are_frozen_as_they_are_stored(tmp_path: Path) -> None:
    sets = ("method.tuner={type: full}", "precision=bf16")
    script = files(plan(tmp_path, *sets))["train.py"].content.decode()
    assert "parameter.requires_grad_(not re.fullmatch(FROZEN, name))" in script
    assert 'dtype="auto"' in script and "parameter.data = parameter.data.float()" in script
    every = "model.images.train=[vision, language, projector]"
    script = files(plan(tmp_path, *sets, every))["train.py"].content.decode()
    assert "requires_grad_" not in script and 'dtype="float32"' in script


def test_what_an_answer_says_counts_with_its_end(tmp_path: Path) -> None:
    more = "model.images={train: language, square: 84}"
    made = plan(tmp_path, "data.turn_part=ended", "data.turn_ends=['<|im_end|>']", more)
    script = files(made)["train.py"].content.decode()
    assert 'TURN_ENDS = ["<|im_end|>"]' in script
    assert "MIN_PIXELS, MAX_PIXELS, SQUARE = None, None, 84" in script
    back = lift(load_backend("trl"), load_backend("trl").read([*files(made).values()])).spec
    assert back["data.turn_part"] == "ended" and back["data.turn_ends"] == ("<|im_end|>",)
    assert back["model.images.square"] == 84
    with pytest.raises(UnsupportedError, match=r"data\.turn_part"):
        plan(tmp_path, "data.turn_part=said")


def test_marks_of_answers_are_refused_where_answers_count(tmp_path: Path) -> None:
    text = "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"
    (tmp_path / "own.jinja").write_text(text)
    own = "model.chat_template=./own.jinja"
    with pytest.raises(UnsupportedError, match="marks what of an answer trains"):
        plan(tmp_path, own)
    assert (
        'LEARNED = "all"'
        in files(plan(tmp_path, own, "data.train_on=all"))["train.py"].content.decode()
    )


def test_a_base_in_four_bits_reads_images(tmp_path: Path) -> None:
    made = plan(tmp_path, "model.quantization=nf4")
    script = files(made)["train.py"].content.decode()
    assert "AutoModelForImageTextToText.from_pretrained(" in script
    assert "AutoModelForCausalLM" not in script and "peft_config.exclude_modules = FROZEN" in script
    back = lift(load_backend("trl"), load_backend("trl").read([*files(made).values()]))
    assert not back.refusals and not back.unknown
    assert back.spec["model.quantization.type"] == "nf4"
    assert back.spec["model.images.train"] == ("language",)


def test_llamafactory_fits_no_image_into_a_square(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="fits none into a square"):
        plan(tmp_path, "model.images={square: 84}", backend="llamafactory", lossy=True)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({**ROW, "images": ["a.png", "a.png"]}, "2 images and 1 places"),
        ({**ROW, "images": ["b.png"]}, "no image b.png"),
        ({**ROW, "videos": ["a.mp4"]}, "has videos"),
        (
            {**ROW, "messages": [{**ASKED, "content": [{"type": "video"}]}, ANSWER]},
            "of the type 'video'",
        ),
        (
            {
                **ROW,
                "messages": [{**ASKED, "content": [{"type": "image", "image": "a.png"}]}, ANSWER],
            },
            "in the content itself",
        ),
    ],
)
def test_rows_that_nobody_can_read(tmp_path: Path, row: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        checked(tmp_path, row)


PARTS = [{"type": "image"}, {"type": "text", "text": "What is this?"}]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({**ROW, "messages": [{**ASKED, "content": PARTS}, ANSWER]}, "not content in parts"),
        ({**ROW, "messages": [{**ASKED, "content": "What?"}, ANSWER]}, "no place in a text"),
    ],
)
def test_rows_that_llamafactory_stops_at(tmp_path: Path, row: dict[str, Any], problem: str) -> None:
    checked(tmp_path, row)
    with pytest.raises(DataError, match=problem):
        checked(tmp_path, row, alternating=True)


def test_images_need_a_section(tmp_path: Path) -> None:
    text = SPEC.replace(", images: {train: language, max_pixels: 9000}", "")
    made = make_plan(load(written(tmp_path, text=text)), "trl", tmp_path / "build")
    with pytest.raises(DataError, match="images") as caught:
        check_split(made.resolved, "train", lengths=False)
    assert "model.images" in (caught.value.problems[0].hint or "")
    named = text.replace("rows.jsonl,", "{path: rows.jsonl, columns: {images: images}},")
    with pytest.raises(SpecError, match=r"where the spec has `model\.images`"):
        make_plan(load(written(tmp_path, text=named)), "trl", tmp_path / "build")


@pytest.mark.parametrize(
    "sets",
    [
        ("data.prepare=ftspec",),
        ("data.packing=documents", "data.max_length=64", "data.overflow=error"),
        ("data.max_length=64",),
        ("method.tuner={type: oft}",),
        ("model.quantization=int8",),
        ("method.objective={type: sft, prompt_weight: 0.1}",),
        ("train.neftune_alpha=5.0",),
        ("output.quantization=nf4",),
        ("method=full", "train.embedding_learning_rate=1e-5", "model.images.train=vision"),
    ],
)
def test_what_was_not_seen_with_images_is_refused(tmp_path: Path, sets: tuple[str, ...]) -> None:
    with pytest.raises(UnsupportedError, match="images"):
        plan(tmp_path, *sets)


def test_an_adapter_of_a_model_that_reads_images_is_not_merged(tmp_path: Path) -> None:
    stages = """
stages:
- {name: one, method: {objective: {type: sft, average: batches}}, run: trl}
- name: two
  model: {stage: one, adapter: merge}
  method: {objective: {type: sft, average: batches}}
  run: trl
"""
    text = SPEC.replace("method: {objective: {type: sft, average: batches}}\n", "")

    pipeline = load_any(written(tmp_path, text=text + stages))
    assert isinstance(pipeline, Pipeline)
    with pytest.raises(UnsupportedError, match="leave out what reads images"):
        make_pipeline(pipeline, output=tmp_path / "build")


@pytest.mark.parametrize("backend", ["deepspeed", "unsloth"])
def test_other_backends_say_why_not(tmp_path: Path, backend: str) -> None:
    with pytest.raises(UnsupportedError, match=r"model\.images\.train"):
        plan(tmp_path, backend=backend, lossy=True)


def seeing(folder: Path, **processor: Any) -> str:
    """A model's folder as far as it is read before a run; the set that names it."""
    (folder / "sees").mkdir()
    (folder / "sees" / "config.json").write_text('{"model_type": "qwen2_vl", "dtype": "float32"}')
    said = {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 14, "merge_size": 2}
    (folder / "sees" / "preprocessor_config.json").write_text(json.dumps(said | processor))
    return "model.name=./sees"


def test_llamafactory_freezes_parts_and_cuts_no_row_unseen(tmp_path: Path) -> None:
    sets = ("data.max_length=300", "data.overflow=error")
    with pytest.raises(UnsupportedError, match="how many tokens an image"):
        plan(tmp_path, *sets, backend="llamafactory", lossy=True)
    sets = (*sets, seeing(tmp_path, max_pixels=784 * 64))
    made = plan(tmp_path, *sets, backend="llamafactory", lossy=True)
    names = ("freeze_language_model", "freeze_multi_modal_projector", "freeze_vision_tower")
    assert [made.native[name] for name in names] == [False, True, True]
    assert made.native["image_max_pixels"] == 9000 and made.native["image_min_pixels"] == 0
    assert made.native["media_dir"] == ".."
    back = lift(load_backend("llamafactory"), made.native).spec
    assert back["model.images.train"] == ("language",)
    assert (back["model.images.min_pixels"], back["model.images.max_pixels"]) == (None, 9000)
    assert back["method.objective.average"] == "batches"
    with pytest.raises(UnsupportedError, match="leaves the projector out"):
        every = "model.images.train=[language, projector]"
        plan(tmp_path, *sets, every, backend="llamafactory", lossy=True)


@pytest.mark.parametrize("images", [True, False])
def test_llamafactory_averages_passes_of_a_model_that_sees(tmp_path: Path, images: bool) -> None:
    named = seeing(tmp_path, max_pixels=784 * 64)
    sets = (named, "method.objective={type: sft}", "data.max_length=300", "data.overflow=error")
    if not images:
        sets = (*sets, "model.images=null")
    with pytest.raises(UnsupportedError, match="the mean of its passes' means"):
        plan(tmp_path, *sets, backend="llamafactory", lossy=True)
    plan(tmp_path, *sets, "train.micro_batch_size=4", backend="llamafactory", lossy=True)


def test_an_image_has_at_most_so_many_tokens(tmp_path: Path) -> None:
    seeing(tmp_path, max_pixels=784 * 1000)
    model = tmp_path / "sees"
    assert most_tokens(model, None) == 1000
    found = most_tokens(model, 784 * 100)
    assert found is not None and 100 < found < 250  # of a stripe 200 times as long as wide
    assert most_tokens(tmp_path, None) is None
    (model / "preprocessor_config.json").write_text(
        '{"image_processor_type": "CLIPImageProcessor"}'
    )
    assert most_tokens(model, None) is None


def test_parts_have_an_order_and_sizes_too(tmp_path: Path) -> None:
    loaded = load(written(tmp_path), ("model.images={train: [vision, language]}",))
    assert loaded.spec.model.images is not None
    assert loaded.spec.model.images.train == ("language", "vision")
    with pytest.raises(FtspecError, match="min_pixels"):
        load(written(tmp_path), ("model.images={min_pixels: 9, max_pixels: 8}",))


WRITES = """data: {train: {path: rows.jsonl,
  template: {user: "What is this?<image>", assistant: "{{ said }}"},
  columns: {images: picture}}, max_length: null"""


def test_turns_that_a_template_writes_may_have_images(tmp_path: Path) -> None:
    text = SPEC.replace("data: {train: rows.jsonl, max_length: null", WRITES)
    row = {"picture": "a.png", "said": "A line.", "other": 1}
    made = make_plan(load(written(tmp_path, row, text=text)), "trl", tmp_path / "build")
    check_split(made.resolved, "train", lengths=False)
    script = files(made)["train.py"].content.decode()
    assert 'if name != "picture"' in script and '"picture": "images"' in script
    back = lift(load_backend("trl"), load_backend("trl").read([*files(made).values()]))
    assert not back.refusals and not back.unknown
    (source,) = back.spec["data.train"]
    assert source["columns"] == {"images": "picture"}
    assert source["template"]["user"] == "What is this?<image>"
    with pytest.raises(UnsupportedError, match="by texts of a spec"):
        make_plan(load(tmp_path / "spec.yaml"), "llamafactory", tmp_path / "build", True)
    for wrong, problem in (
        ({**row, "picture": "b.png"}, "no image b.png"),
        ({"said": "x"}, "places"),
    ):
        made = make_plan(load(written(tmp_path, wrong, text=text)), "trl", tmp_path / "build")
        with pytest.raises(DataError, match=problem):
            check_split(made.resolved, "train", lengths=False)


@pytest.mark.parametrize("columns", ["{images: picture, messages: x}", "{messages: x}"])
def test_a_template_leaves_other_columns_alone(tmp_path: Path, columns: str) -> None:
    text = SPEC.replace("data: {train: rows.jsonl, max_length: null", WRITES)
    with pytest.raises(SpecError, match="no `columns` but `images`"):
        load(written(tmp_path, text=text.replace("{images: picture}", columns)))


@pytest.mark.parametrize(
    ("sets", "learned"),
    [
        (("data.train_on=all",), "all"),
        (("data.train_on=all", "model.images.learned=false"), "text"),
        (("model.images.learned=false",), "assistant"),
    ],
)
def test_tokens_of_images_are_learned_or_not(
    tmp_path: Path, sets: tuple[str, ...], learned: str
) -> None:
    made = plan(tmp_path, *sets)
    assert f'LEARNED = "{learned}"' in files(made)["train.py"].content.decode()
    back = lift(load_backend("trl"), load_backend("trl").read([*files(made).values()])).spec
    assert back["data.train_on"] == ("assistant" if learned == "assistant" else "all")
    assert back["model.images.learned"] == (learned != "text")
    seen = (
        *sets,
        "data.max_length=300",
        "data.overflow=error",
        seeing(tmp_path, max_pixels=784 * 64),
    )
    if learned == "text":
        with pytest.raises(UnsupportedError, match="tokens of images as well"):
            plan(tmp_path, *seen, backend="llamafactory", lossy=True)
    else:
        plan(tmp_path, *seen, backend="llamafactory", lossy=True)


def test_a_width_is_trls_alone(tmp_path: Path) -> None:
    script = files(plan(tmp_path, "model.images.max_width=512"))["train.py"].content.decode()
    assert "MAX_WIDTH = 512" in script
    with pytest.raises(UnsupportedError, match="by their pixels alone"):
        plan(tmp_path, "model.images.max_width=512", backend="llamafactory", lossy=True)


def test_rows_of_the_hub_stop_a_script_by_themselves(tmp_path: Path) -> None:
    """No row is measured before the run, which stops at one that is too long."""
    sets = (
        "data.train={hub: org/seen, format: messages, columns: {images: images}}",
        *("data.max_length=300", "data.overflow=error"),
    )
    assert "max_length=300" in files(plan(tmp_path, *sets))["train.py"].content.decode()
    sets = (*sets, seeing(tmp_path, max_pixels=784 * 64))
    with pytest.raises(UnsupportedError, match="rows of the hub are not measured"):
        plan(tmp_path, *sets, backend="llamafactory", lossy=True)
