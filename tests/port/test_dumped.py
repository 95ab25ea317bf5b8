"""Settings that Python scripts and notebooks hand to LLaMA-Factory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftspec.errors import SpecError
from ftspec.port.bring import bring
from tests.port.conftest import Bring

ARGS = """\
args = dict(
  stage="sft",
  do_train=True,
  model_name_or_path="org/model",
  dataset="identity",
  finetuning_type="lora",
  lora_rank=4,
  learning_rate=2e-4,
)
"""
DUMP = 'json.dump(args, open("train.json", "w"), indent=2)\n'
MERGE = """\
args = dict(model_name_or_path="org/model", finetuning_type="lora", export_dir="merged")
json.dump(args, open("merge.json", "w"))
"""
TEXT = '''\
MODEL = "org/model"
def config(seed):
    return f"""
model_name_or_path: {MODEL}
stage: sft
do_train: true
finetuning_type: lora
seed: {seed}
lora_rank: 4
"""
'''


def cells(*sources: str) -> str:
    """A notebook."""
    made = [{"cell_type": "code", "source": source} for source in sources]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("train.py", f"import json\n{ARGS}{DUMP}{MERGE}"),
        ("train.py", ARGS.replace("args = dict(", "run_exp(dict(").replace("\n)", "\n))")),
        ("train.py", f"import yaml\n{ARGS}yaml.safe_dump(args, file)\n"),
        ("train.py", 'BASE = {"stage": "sft"}\n' + ARGS.replace('stage="sft"', "**BASE") + DUMP),
        ("train.ipynb", cells(f"import json\n{ARGS}{DUMP}", "!llamafactory-cli train train.json")),
        ("train.ipynb", cells(f"import json\n{ARGS}{DUMP}{MERGE}")),
    ],
)
def test_a_mapping_is_read(read: Bring, name: str, text: str) -> None:
    imported = read(text, name)
    assert imported.composed.values["model.name"] == "org/model"
    assert imported.composed.values["method.tuner.rank"] == 4
    assert imported.composed.values["train.learning_rate"] == 2e-4
    assert imported.composed.open == ()


def test_a_cell_that_is_a_file_is_read(read: Bring) -> None:
    config = "%%writefile train.yaml\nmodel_name_or_path: org/model\nstage: sft\ndo_train: true\n"
    more = "%%writefile -a train.yaml\nfinetuning_type: lora\nlora_rank: 4\n"
    run = "!CUDA_VISIBLE_DEVICES=0,1 llamafactory-cli train train.yaml"
    imported = read(cells(config, more, run), "train.ipynb")
    assert imported.composed.values["method.tuner.rank"] == 4
    assert imported.composed.values["hardware.devices"] == 2


def test_a_text_is_read_and_what_stands_in_its_holes_is_asked(read: Bring) -> None:
    imported = read(TEXT, "train.py")
    assert imported.composed.values["model.name"] == "org/model"
    assert imported.composed.values["method.tuner.rank"] == 4
    assert "line 8: seed: {seed}" in imported.composed.open
    places = {one.setting.key: one.setting.line for one in imported.fates}
    assert places["lora_rank"] == 9


@pytest.mark.parametrize(
    ("change", "question"),
    [
        ('args["seed"] = seed()\n', "args['seed'] = seed()"),
        ("args.update(more)\n", "args.update(more)"),
        ("del args['lora_rank']\n", "del args['lora_rank']"),
        ("args |= more\n", "args |= more"),
    ],
)
def test_a_change_of_the_mapping_is_asked(read: Bring, change: str, question: str) -> None:
    imported = read(ARGS + change + DUMP, "train.py")
    assert f"line 10: {question}" in imported.composed.open


def test_what_is_no_literal_is_asked(read: Bring) -> None:
    imported = read(ARGS.replace("lora_rank=4", "lora_rank=rank, **more") + DUMP, "train.py")
    assert {"line 7: lora_rank: rank", "line 7: **more: more"} <= set(imported.composed.open)


def test_one_of_several_is_named_by_its_line(read: Bring) -> None:
    script = ARGS + DUMP + ARGS.replace("lora_rank=4", "lora_rank=8") + DUMP
    with pytest.raises(SpecError, match=r"several trainings \(lines 10, 20\)") as refused:
        read(script, "train.py")
    run = refused.value.problems[0].file
    found = bring([Path(f"{run}:20")])
    assert found.composed.values["method.tuner.rank"] == 8


def test_a_script_that_merges_is_told(read: Bring) -> None:
    imported = read(MERGE, "merge.py")
    assert any("this file trains nothing" in one for one in imported.composed.open)


LINE = "llamafactory-cli train --stage sft --do_train --model_name_or_path org/model --lora_rank 4"


@pytest.mark.parametrize(
    "script",
    [
        f"import subprocess\nsubprocess.run({LINE.split()!r}, check=True)\n",
        f"import os\nos.system('CUDA_VISIBLE_DEVICES=0 {LINE}')\n",
        f"RANK = 4\nos.system(f'{LINE.replace('rank 4', 'rank {RANK}')}')\n",
        f"import sys\nRANK = 4\nwords = {['src/train.py', *LINE.split()[2:-1]]!r}\n".replace(
            "[", "[sys.executable, "
        ).replace("]", ", str(RANK)]"),
    ],
)
def test_a_command_that_a_script_starts_is_read(read: Bring, script: str) -> None:
    imported = read(script, "run.py")
    assert imported.composed.values["model.name"] == "org/model"
    assert imported.composed.values["method.tuner.rank"] == 4
    assert imported.composed.open == ("which data? the source does not say",)


def test_what_such_a_script_alone_knows_is_asked(read: Bring) -> None:
    script = (
        f"import subprocess\nsubprocess.run([{repr(LINE.split())[1:-1]}, '--seed', str(seed)])\n"
    )
    imported = read(script, "run.py")
    assert "line 2: --seed ${seed}: only the shell knows it" in imported.composed.open
    assert imported.composed.values["method.tuner.rank"] == 4
