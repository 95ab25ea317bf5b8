"""Scripts that load a file of settings themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftspec.errors import SpecError
from tests.port.conftest import Bring

YAML = """\
model: org/base
lora: {r: 4, target_modules: [q_proj]}
training: {output_dir: o, max_steps: 7, learning_rate: 3.0e-4}
"""
HEAD = """\
import argparse, json, os, sys, yaml
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from omegaconf import OmegaConf
from datasets import load_dataset
from peft import LoraConfig
from trl import SFTConfig, SFTTrainer
"""
TAIL = """
rows = load_dataset("org/rows", split="train")
trainer = SFTTrainer(config["model"], args=SFTConfig(**config["training"]), train_dataset=rows,
                     peft_config=LoraConfig(**config["lora"]))
trainer.train()
"""
WAYS = {
    "open": 'config = yaml.safe_load(open("c.yaml"))',
    "with": 'with open("c.yaml", "r") as f:\n    config = yaml.safe_load(f)',
    "a loader": 'with open("c.yaml") as f:\n    config = yaml.load(f, Loader=yaml.SafeLoader)',
    "its text": 'config = yaml.safe_load(Path("c.yaml").read_text())',
    "beside the script": 'config = yaml.safe_load(open(os.path.join(os.path.dirname(__file__), "c.yaml")))',
    "below its folder": 'config = yaml.safe_load((Path(__file__).resolve().parent / "c.yaml").open())',
    "a function": "def load(path):\n    with open(path) as f:\n        return yaml.safe_load(f)\n"
    'config = load("c.yaml")',
    "an argument": 'p = argparse.ArgumentParser()\np.add_argument("--config", default="c.yaml")\n'
    "args = p.parse_args()\nconfig = yaml.safe_load(open(args.config))",
    "OmegaConf": 'config = OmegaConf.load("c.yaml")',
}


@pytest.mark.parametrize("name", WAYS)
def test_ways_to_load_a_file(read: Bring, tmp_path: Path, name: str) -> None:
    (tmp_path / "c.yaml").write_text(YAML)
    found = read(f"{HEAD}{WAYS[name]}{TAIL}", "fit.py")
    assert found.composed.values["model.name"] == "org/base"
    assert found.composed.values["train.steps"] == 7
    assert found.composed.values["train.learning_rate"] == 3e-4
    assert found.composed.values["method.tuner.rank"] == 4
    assert not [one for one in found.composed.open if "config" in one]
    assert [one for one in found.notes if "c.yaml is loaded by it" in one]


def test_two_files_of_one_name(
    read: Bring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c.yaml").write_text(YAML)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    text = f"{HEAD}{WAYS['open']}{TAIL}"
    Path("c.yaml").write_text(YAML)
    assert read(text, "fit.py").composed.values["train.steps"] == 7
    Path("c.yaml").write_text(YAML.replace("7", "8"))
    assert [one for one in read(text, "fit.py").composed.open if "config = yaml" in one]


def test_attributes(read: Bring, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(YAML)
    text = HEAD + 'cfg = OmegaConf.load("c.yaml")\nflat = SimpleNamespace(**cfg.lora)\n'
    text += (
        "config = dict(model=cfg.model, lora=dict(r=flat.r, target_modules=flat.target_modules,\n"
    )
    text += '    lora_alpha=getattr(flat, "alpha", 9)), training=OmegaConf.to_container(cfg.training))\n'
    found = read(text + TAIL, "fit.py").composed
    assert found.values["method.tuner.alpha"] == 9
    assert found.values["train.steps"] == 7


def test_settings_of_a_class(read: Bring, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"rank": 16}')
    text = HEAD + "@dataclass\nclass Mine:\n    rank: int = 8\n    alpha: int = 11\n"
    text += 'mine = Mine(**json.load(open("c.json")))\n'
    text += (
        'config = {"model": "org/base", "training": {"output_dir": "o"}, "lora": {"r": mine.rank,\n'
    )
    text += '    "lora_alpha": mine.alpha, "target_modules": ["q_proj"]}}\n'
    found = read(text + TAIL, "fit.py").composed
    assert (found.values["method.tuner.rank"], found.values["method.tuner.alpha"]) == (16, 11)


UNSURE = {
    "it is not here": ("config = yaml.safe_load(open('other.yaml'))", ""),
    "a value of another": ("config = OmegaConf.load('c.yaml')", "more: '${model}'\n"),
    "it is changed": (
        "config = yaml.safe_load(open('c.yaml'))\nconfig['training']['max_steps'] = steps()",
        "",
    ),
    "a function changes it": ("config = yaml.safe_load(open('c.yaml'))\nconfig.update(more())", ""),
    "its name is not known": ("config = yaml.safe_load(open(which()))", ""),
    "another open": ("def open(x):\n    return x\nconfig = yaml.safe_load(open('c.yaml'))", ""),
    "no config": ("config = yaml.safe_load(open('c.txt'))", ""),
}


@pytest.mark.parametrize("name", UNSURE)
def test_what_is_not_sure_is_asked(read: Bring, tmp_path: Path, name: str) -> None:
    statement, more = UNSURE[name]
    (tmp_path / "c.yaml").write_text(
        YAML.replace("lora: {r: 4, target_modules: [q_proj]}\n", more) if more else YAML
    )
    (tmp_path / "c.txt").write_text(YAML)
    found = read(f"{HEAD}{statement}{TAIL}", "fit.py").composed
    assert [one for one in found.open if "config" in one]
    assert found.values.get("train.steps") != 7


HYDRA = (
    HEAD
    + """\
import hydra
@hydra.main(version_base=None, config_path="conf", config_name="c")
def main(config):
"""
    + TAIL.replace("\n", "\n    ").rstrip()
    + "\nmain()\n"
)


@pytest.mark.parametrize(
    ("words", "steps", "more"),
    [("", 7, ""), ("training.max_steps=9", 9, ""), ("", 7, "defaults: [_self_]\n"),
     ("training.nothing=9", None, ""), ("", None, "defaults: [other]\n"), ("lora=[1]", None, "")],
)  # fmt: skip
def test_hydra(read: Bring, tmp_path: Path, words: str, steps: int | None, more: str) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "c.yaml").write_text(YAML + more)
    (tmp_path / "fit.py").write_text(HYDRA)
    if steps is None:
        with pytest.raises(SpecError, match="no trainer of trl"):
            read(f"python fit.py {words}\n", name="run.sh")
        return
    found = read(f"python fit.py {words}\n", name="run.sh").composed
    assert found.values["train.steps"] == steps
    assert not [one for one in found.open if "config" in one or "argument" in one]


MODULE = """\
import os
from dataclasses import dataclass
RATE = 3e-4
COMMON = dict(max_steps=5, learning_rate=RATE, output_dir="o")
BASE = os.environ.get("BASE", "org/base")
ODD = rate()
CHANGED = {"r": 4}
CHANGED.update(more())
class Adapter:
    r = 4
    odd = 8
Adapter.odd = rate()
if __name__ == "__main__":
    RATE = 1.0
    COMMON = {}
"""
IMPORTS = {
    "names": ("from ours import COMMON, BASE", "COMMON", "BASE", 4),
    "other names": ("from ours import COMMON as C, BASE as B", "C", "B", 4),
    "all": ("from ours import *", "COMMON", "BASE", "Adapter.r"),
    "the module": ("import ours", "ours.COMMON", "ours.BASE", "ours.Adapter.r"),
    "under another name": ("import ours as o", "o.COMMON", "o.BASE", 4),
    "from beside": ("from .ours import COMMON, BASE", "COMMON", "BASE", 4),
}


@pytest.mark.parametrize("name", IMPORTS)
def test_values_of_a_module_beside(read: Bring, tmp_path: Path, name: str) -> None:
    statement, common, base, rank = IMPORTS[name]
    (tmp_path / "ours.py").write_text(MODULE)
    text = f"""{HEAD}{statement}
rows = load_dataset("org/rows", split="train")
trainer = SFTTrainer({base}, args=SFTConfig(**{common}), train_dataset=rows,
                     peft_config=LoraConfig(r={rank}, target_modules=["q_proj"]))
trainer.train()
"""
    found = read(text, "fit.py")
    assert found.composed.values["model.name"] == "org/base"
    assert found.composed.values["train.learning_rate"] == 3e-4
    assert found.composed.values["train.steps"] == 5
    assert found.composed.values["method.tuner.rank"] == 4
    assert not [one for one in found.composed.open if "line" in one]
    assert [one for one in found.notes if "ours.py is loaded by it" in one]


@pytest.mark.parametrize("value", ["ODD", "CHANGED['r']", "Adapter.odd", "Nothing.r"])
def test_values_of_a_module_that_are_not_sure(read: Bring, tmp_path: Path, value: str) -> None:
    (tmp_path / "ours.py").write_text(MODULE)
    text = f"""{HEAD}from ours import ODD, CHANGED, Adapter, Nothing
trainer = SFTTrainer("org/base", args=SFTConfig(output_dir="o"), train_dataset=load_dataset("org/rows"),
                     peft_config=LoraConfig(r={value}, target_modules=["q_proj"]))
trainer.train()
"""
    assert [one for one in read(text, "fit.py").composed.open if "LoraConfig.r" in one]


def test_modules_that_import_each_other(read: Bring, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("from two import B\nA = 4\n")
    (tmp_path / "two.py").write_text("from one import A\nB = 5\n")
    text = f"{HEAD}from one import A\n"
    text += 'config = {"model": "org/base", "training": {"output_dir": "o"}, "lora": {"r": A}}\n'
    assert read(text + TAIL, "fit.py").composed.values["method.tuner.rank"] == 4
