"""Pairs of answers: the files beside the config, what comes back from them, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftspec.backend import lift
from ftspec.errors import UnsupportedError
from ftspec.mapping import Refuse
from ftspec.plan.make import make_plan
from ftspec.plan.stages import Plan
from ftspec.registry import load as load_backend
from ftspec.spec.load import load
from ftspec_axolotl.answers import ARGUMENTS_FILE, FILE, to_entries
from tests.conftest import SPECS

NAMES = 'columns: {prompt: "it\'s", chosen: \'a "b"\', rejected: c}'

CUT = "data.overflow=truncate"


def plan(tmp_path: Path, *sets: str) -> Plan:
    return make_plan(load(SPECS / "dpo-tiny.yaml", sets), "axolotl", tmp_path)


def test_what_comes_back_is_what_was_said(tmp_path: Path) -> None:
    made = plan(
        tmp_path,
        "data.train=[{path: data/preferences.jsonl, limit: 7}, data/preferences.jsonl]",
        'data.system=Be "brief".',
        "data.shuffle=false",
        "data.overflow=truncate-left",
        "method.objective={type: dpo, loss: hinge, ld_alpha: 0.5, sft_weight: 2}",
        "train.steps=null",
        "train.epochs=3",
        "train.warmup_ratio=0.3",
        "train.data_seed=7",
    )
    assert not made.notes
    back = load_backend("axolotl")
    files = made.files()
    assert {FILE, ARGUMENTS_FILE} <= {file.path for file in files}
    lifted = lift(back, back.read(files))
    assert not lifted.unknown and not lifted.refusals
    for path in lifted.spec:
        if path != "data.train" and path.startswith(("data.", "method.objective.", "train.")):
            assert lifted.spec[path] == made.resolved.values[path].value, path
    assert [source["limit"] for source in lifted.spec["data.train"]] == [7, None]
    assert lifted.spec["data.system"] == 'Be "brief".'


def test_columns_of_any_name(tmp_path: Path) -> None:
    made = plan(tmp_path, f"data.train={{hub: org/pairs, format: preference, {NAMES}}}", CUT)
    back = load_backend("axolotl")
    (source,) = lift(back, back.read(made.files())).spec["data.train"]
    assert source["format"] == "preference" and source["hub"] == "org/pairs"
    assert source["columns"] == {"prompt": "it's", "chosen": 'a "b"', "rejected": "c"}


def test_texts_that_write_pairs(tmp_path: Path) -> None:
    texts = {"prompt": "Q: {{ q }}\nA:", "chosen": ' {{ a }} "', "rejected": " {{ b }}"}
    made = plan(tmp_path, f"data.train={{hub: org/pairs, template: {json.dumps(texts)}}}", CUT)
    back = load_backend("axolotl")
    (source,) = lift(back, back.read(made.files())).spec["data.train"]
    assert {name: text for name, text in source["template"].items() if text} == texts


def test_judged_answers(tmp_path: Path) -> None:
    sets = (
        "method.objective={type: kto, beta: 0.3, undesirable_weight: 0}",
        "data.shuffle=false",
        "method.tuner={type: full}",
    )
    made = make_plan(load(SPECS / "kto-tiny.yaml", sets), "axolotl", tmp_path)
    back = load_backend("axolotl")
    native = back.read(made.files())
    # of this weight its own key would make 1
    assert native["trainer.undesirable_weight"] == 0 and native["rl_beta"] == 0.3
    assert native["trainer.model_init_kwargs"]["revision"] == "main"
    lifted = lift(back, native)
    assert not lifted.unknown and not lifted.refusals
    for path in lifted.spec:
        if path.startswith("method."):
            assert lifted.spec[path] == made.resolved.values[path].value, path
    assert (
        lifted.spec["data.train"][0]["format"]
        == made.resolved.values["data.train"].value[0]["format"]
    )


def test_demonstrations_need_no_trainer(tmp_path: Path) -> None:
    made = make_plan(load(SPECS / "axolotl-tiny.yaml"), "axolotl", tmp_path)
    assert not {FILE, ARGUMENTS_FILE} & {file.path for file in made.files()}


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        ("hardware.device=cuda & hardware.devices=2", "not seen in several processes"),
        ("hardware.device=cuda & hardware.fsdp=full_shard", "not seen under FSDP"),
        ("model.quantization=nf4", "over a quantised base"),
        ("method.objective={type: dpo, reference: org/other}", "no key for another model"),
        (
            "data.train={hub: a/b, subset: c, format: preference} & " + CUT,
            "drops the name of a subset",
        ),
        ("data.train={path: data/preferences.jsonl, share: 0.5}", "draws no share"),
        ("data.train={path: data/a.csv.b/c.jsonl, format: preference}", "anywhere in the path"),
        ("data={train: data/preferences.jsonl, max_length: null}", "sequence_len is a number"),
        ("data.max_prompt_length=64", "prompts are not cut"),
        ("data.mixed=true & data.draw_seed=7", "one seed for all"),
        ("method.tuner={type: lora, adapter: ./runs/a/model}", "not compiled for it yet"),
        ("method.objective.label_smoothing=0.1", "ignores label smoothing"),
    ],
)
def test_what_it_refuses(tmp_path: Path, sets: str, words: str) -> None:
    with pytest.raises(UnsupportedError, match=words):
        plan(tmp_path, *sets.split(" & "))


@pytest.mark.parametrize("name", [".JSON", "org/rows.csv"])
def test_a_name_of_the_hub_is_not_taken_for_a_file(name: str) -> None:
    place = {"path": None, "hub": name, "subset": None, "split": "train"}
    with pytest.raises(Refuse, match="not told from a file"):
        to_entries([{**place, "format": "preference", "columns": {}}], "dpo")
