"""Choices of a script that are certain: settings that it sets anew, branches, packages that it imports."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftspec.errors import SpecError
from tests.port.conftest import Bring

ARGUED = """\
import argparse
from peft import LoraConfig
from trl import SFTConfig, SFTTrainer
def main() -> int:
    p = argparse.ArgumentParser()
    p.add_argument("--quick", action="store_true")
    p.add_argument("--full", action="store_true")
    p.add_argument("--steps", type=int, default=90)
    args = p.parse_args()
    if args.quick:
        args.steps = 2
    adapter = None if args.full else LoraConfig(r=4, target_modules=["q_proj"])
    config = SFTConfig(output_dir="o", max_steps=args.steps, learning_rate=1e-4)
    trainer = SFTTrainer("org/base", args=config, train_dataset="x", peft_config=adapter)
    trainer.train()
    return 0
if __name__ == "__main__":
    raise SystemExit(main())
"""


@pytest.mark.parametrize(
    ("words", "steps", "tuner"),
    [("", 90, "lora"), ("--quick", 2, "lora"), ("--full --steps 7", 7, "full"),
     ("--quick --full", 2, "full")],
)  # fmt: skip
def test_settings_that_are_set_anew(
    read: Bring, tmp_path: Path, words: str, steps: int, tuner: str
) -> None:
    (tmp_path / "fit.py").write_text(ARGUED)
    found = read(f"python fit.py {words}\n", name="run.sh").composed
    assert (found.values["train.steps"], found.values["method.tuner.type"]) == (steps, tuner)
    assert not any("steps" in one or "adapter" in one for one in found.open)


UNSURE = {
    "a branch that nobody can tell": "if weather():\n    args.lr = 1.0\n",
    "a loop": "for lr in rates():\n    args.lr = lr\n",
    "a function that may be called": "def late():\n    args.lr = 1.0\ncall(late)\n",
    "a value that is not known": "args.lr = weather()\n",
    "a method": "class A:\n    def b(self):\n        args.lr = 1.0\nA().b()\n",
}


@pytest.mark.parametrize("name", UNSURE)
def test_what_may_be_set_is_asked_for(read: Bring, name: str) -> None:
    head = "import argparse\nfrom trl import SFTConfig, SFTTrainer\np = argparse.ArgumentParser()\n"
    head += 'p.add_argument("--lr", type=float, default=3e-4)\nargs = p.parse_args()\n'
    tail = 'config = SFTConfig(output_dir="o", learning_rate=args.lr)\n'
    tail += 'trainer = SFTTrainer("org/base", args=config, train_dataset="x")\ntrainer.train()\n'
    found = read(head + UNSURE[name] + tail, "fit.py").composed
    assert any("learning_rate = args.lr" in one for one in found.open)


def test_a_branch_that_is_never_taken_sets_nothing(read: Bring) -> None:
    text = ARGUED.replace("args.steps = 2", "args.steps = 2\n    else:\n        pass")
    assert read(text, "fit.py").composed.values["train.steps"] == 90


def test_one_object_under_two_names(read: Bring) -> None:
    text = ARGUED.replace(
        "    if args.quick:", "    other = args\n    other.steps = 11\n    if args.quick:"
    )
    assert read(text, "fit.py").composed.values["train.steps"] == 11


@pytest.mark.parametrize("error", ["ImportError", "ModuleNotFoundError", "(ImportError, OSError)"])
def test_packages_are_taken_to_be_there(read: Bring, error: str) -> None:
    text = f"""\
try:
    from peft import LoraConfig
except {error}:
    LoraConfig = None
from trl import SFTConfig, SFTTrainer
trainer = SFTTrainer("org/base", args=SFTConfig(output_dir="o"), train_dataset="x",
                     peft_config=LoraConfig(r=3, target_modules=["q_proj"]))
trainer.train()
"""
    found = read(text, "fit.py").composed
    asked = any("except" in one for one in found.open)
    assert asked is ("OSError" in error)
    assert asked or found.values["method.tuner.rank"] == 3


def test_a_package_is_noted_to_be_there(read: Bring) -> None:
    text = """\
try:
    from peft import LoraConfig
    ADAPTED = True
except ImportError:
    ADAPTED = False
from trl import SFTConfig, SFTTrainer
config = SFTConfig(output_dir="o", learning_rate=1e-4 if ADAPTED else 1e-5)
trainer = SFTTrainer("org/base", args=config, train_dataset="x")
trainer.train()
"""
    assert read(text, "fit.py").composed.values["train.learning_rate"] == 1e-4
    text = text.replace("ADAPTED = True", "ADAPTED = look()")
    assert any("ADAPTED" in one for one in read(text, "fit.py").composed.open)


def test_how_a_model_is_loaded_by_its_name(read: Bring) -> None:
    text = """\
import torch
from trl import SFTConfig, SFTTrainer
config = SFTConfig(output_dir="o", model_init_kwargs={"torch_dtype": torch.bfloat16, "use_cache": False,
                   "attn_implementation": "sdpa", "revision": "v2", "odd": 1})
trainer = SFTTrainer("org/base", args=config, train_dataset="x")
trainer.train()
"""
    found = read(text, "fit.py")
    values = found.composed.values
    assert [values[f"model.{key}"] for key in ("dtype", "attention", "revision")] == [
        "bfloat16",
        "sdpa",
        "v2",
    ]
    (odd,) = [one for one in found.fates if one.setting.key.startswith("model_init")]
    assert (odd.kind, odd.setting.key, odd.setting.line) == ("unknown", "model_init_kwargs.odd", 3)


FIRED = """\
import fire
from peft import LoraConfig
from trl import SFTConfig, SFTTrainer
def train(base: str = "org/base", lr: float = 1e-3, rank: int = 8, parts: list = ["v_proj"],
          pack: bool = False):
    config = SFTConfig(output_dir="o", learning_rate=lr, packing=pack, packing_strategy="wrapped")
    adapter = LoraConfig(r=rank, target_modules=parts)
    trainer = SFTTrainer(base, args=config, train_dataset="x", peft_config=adapter)
    trainer.train()
if __name__ == "__main__":
    fire.Fire(train)
"""


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("", ("org/base", 1e-3, 8, ("v_proj",), None)),
        ("--base org/other --lr 2e-4 --rank=4", ("org/other", 2e-4, 4, ("v_proj",), None)),
        ("--parts '[q_proj,k_proj]' --pack", ("org/base", 1e-3, 8, ("q_proj", "k_proj"), "blocks")),
        ("--parts '[\"q_proj\"]' --pack=False", ("org/base", 1e-3, 8, ("q_proj",), None)),
    ],
)
def test_what_fire_makes_of_a_command_line(
    read: Bring, tmp_path: Path, words: str, wanted: tuple[object, ...]
) -> None:
    (tmp_path / "fit.py").write_text(FIRED)
    found = read(f"python fit.py {words}\n", name="run.sh").composed
    keys = (
        "model.name",
        "train.learning_rate",
        "method.tuner.rank",
        "method.tuner.targets",
        "data.packing",
    )
    assert tuple(found.values[key] for key in keys) == wanted
    assert not any("an argument of the script" in one for one in found.open)


def test_what_the_function_does_not_take_is_asked_for(read: Bring, tmp_path: Path) -> None:
    (tmp_path / "fit.py").write_text(FIRED)
    found = read("python fit.py --learning_rate 1\n", name="run.sh").composed
    assert any("learning_rate: an argument of the script" in one for one in found.open)


FORM = """\
import os
from datasets import load_dataset
from peft import LoraConfig
from trl import SFTConfig, SFTTrainer
class Ours(SFTTrainer):
    \"\"\"Keeps its state as well.\"\"\"
{body}
rows = load_dataset("org/rows", split="train")
trainer = Ours("org/base", args=SFTConfig(output_dir="o"), train_dataset=rows,
               peft_config=LoraConfig(r=4, target_modules=["q_proj"]))
trainer.train()
"""
SAME = {
    "nothing": "    pass",
    "a plain start": "    def __init__(self, *args, **kwargs):\n        super().__init__(*args, **kwargs)",
    "what is saved": "    def _save_checkpoint(self, model, trial):\n"
    "        super()._save_checkpoint(model, trial)\n"
    "        self.state.save_to_json(os.path.join(self.args.output_dir, 'state.json'))",
    "what is told": "    def log(self, logs, start_time=None):\n        logs['more'] = 1\n"
    "        super().log(logs, start_time)",
}
ANOTHER = {
    "the loss": "    def compute_loss(self, model, inputs, **kwargs):\n        return 0",
    "the start": "    def __init__(self, *args, **kwargs):\n        kwargs['args'].max_steps = 3\n"
    "        super().__init__(*args, **kwargs)",
    "a method that tells, and sets": "    def log(self, logs, start_time=None):\n"
    "        self.args.learning_rate = 1.0\n        super().log(logs, start_time)",
    "one that changes the model": "    def save_model(self, *args):\n        self.model.half()",
    "one that changes a rate": "    def log(self, logs, start_time=None):\n"
    "        self.optimizer.param_groups[0]['lr'] = 1",
    "a method of another name": "    def training_step(self, *args):\n"
    "        return super().training_step(*args)",
}


@pytest.mark.parametrize("name", [*SAME, *ANOTHER])
def test_a_class_that_is_a_form_of_a_trainer(read: Bring, name: str) -> None:
    found = read(FORM.replace("{body}", {**SAME, **ANOTHER}[name]), "fit.py").composed
    assert found.values["method.tuner.rank"] == 4  # its adapter trains, whatever it does otherwise
    assert bool([one for one in found.open if "of the script's own" in one]) is (name in ANOTHER)


def test_a_form_of_a_form(read: Bring) -> None:
    text = FORM.replace("{body}", ANOTHER["the loss"]).replace(
        "trainer = Ours", "class Last(Ours):\n    pass\ntrainer = Last"
    )
    assert [one for one in read(text, "fit.py").composed.open if "Ours.compute_loss" in one]


def test_a_class_of_several_is_not_followed(read: Bring) -> None:
    text = FORM.replace("{body}", "    pass").replace("(SFTTrainer):", "(Mixed, SFTTrainer):")
    with pytest.raises(SpecError, match="no trainer of trl"):
        read(text, "fit.py")


CHOSEN = """\
import argparse
from datasets import load_dataset
from trl import DPOConfig, DPOTrainer, ORPOConfig, ORPOTrainer
COMMON = dict(max_steps=5, learning_rate=1e-5)
def fit_dpo(args):
    common = dict(COMMON, output_dir=args.output)
    trainer = DPOTrainer(args.model, args=DPOConfig(**common, beta=0.3), train_dataset=rows())
    trainer.train()
def fit_orpo(args):
    common = dict(COMMON, output_dir=args.output)
    trainer = ORPOTrainer(args.model, args=ORPOConfig(**common, beta=0.4), train_dataset=rows())
    trainer.train()
def rows():
    return load_dataset("org/rows", split="train")
WAYS = {"dpo": fit_dpo, "orpo": fit_orpo}
p = argparse.ArgumentParser()
p.add_argument("model")
p.add_argument("--way", default="dpo", choices=list(WAYS))
p.add_argument("--output", default=None)
args = p.parse_args()
if args.output is None:
    args.output = f"out/{args.way}"
WAYS[args.way](args)
"""


@pytest.mark.parametrize(
    ("words", "objective", "folder"),
    [("org/base", "dpo", "out/dpo"), ("org/base --way orpo", "orpo", "out/orpo"),
     ("org/base --output there", "dpo", "there")],
)  # fmt: skip
def test_one_function_of_several(
    read: Bring, tmp_path: Path, words: str, objective: str, folder: str
) -> None:
    (tmp_path / "fit.py").write_text(CHOSEN)
    found = read(f"python fit.py {words}\n", name="run.sh").composed
    assert found.values["method.objective.type"] == objective
    assert found.values["output.folder"] == folder
    assert found.values["model.name"] == "org/base"
    assert not [one for one in found.open if "fit.py" in one or "line" in one]


def test_a_table_that_changes_is_not_sure(read: Bring, tmp_path: Path) -> None:
    (tmp_path / "fit.py").write_text(CHOSEN.replace("p = arg", "WAYS.update(more())\np = arg"))
    with pytest.raises(SpecError, match="no trainer of trl"):
        read("python fit.py org/base\n", name="run.sh")


def test_a_trainer_under_another_name(read: Bring) -> None:
    text = """\
from datasets import load_dataset
from trl import DPOConfig, DPOTrainer, ORPOConfig, ORPOTrainer
if 1 > 2:
    Chosen, config = DPOTrainer, DPOConfig(output_dir="o")
else:
    Chosen = ORPOTrainer
    config = ORPOConfig(output_dir="o", max_steps=3)
trainer = Chosen("org/base", args=config, train_dataset=load_dataset("org/rows", split="train"))
trainer.train()
"""
    found = read(text, "fit.py").composed
    assert found.values["method.objective.type"] == "orpo"
    assert not [one for one in found.open if "Chosen" in one]
    with pytest.raises(SpecError, match="no trainer of trl"):
        read(text.replace("1 > 2", "odd()"), "fit.py")


TWICE = """\
import argparse
from trl import SFTConfig, SFTTrainer
p = argparse.ArgumentParser()
p.add_argument("--lr", type=float, default=None)
args = p.parse_args()
if args.lr is None {and_}:
    args.lr = 2e-4
trainer = SFTTrainer("org/base", args=SFTConfig(output_dir="o", learning_rate=args.lr), train_dataset="x")
trainer.train()
"""


def test_what_a_branch_sets_is_not_set_before_it(read: Bring) -> None:
    text = TWICE.replace(" {and_}", "")
    assert read(text, "fit.py").composed.values["train.learning_rate"] == 2e-4
    found = read(TWICE.replace("{and_}", "and odd()"), "fit.py").composed
    assert [one for one in found.open if "learning_rate" in one]


TRIES = {
    "def show(x):\n    _ = model.generate(**tokenizer(x), max_new_tokens=5)\nshow('a')": False,
    "def seed(n):\n    random.seed(n)\n    torch.manual_seed(n)\nseed(3)": False,
    "def odd(x):\n    x.half()\nodd(model)": True,
    "def odd(x):\n    return x.half()\nodd(model)": True,
}


@pytest.mark.parametrize("said", TRIES)
def test_functions_that_only_show(read: Bring, said: str) -> None:
    text = "import random, torch\nfrom trl import SFTConfig, SFTTrainer\n"
    text += (
        f'{said}\ntrainer = SFTTrainer("a/b", args=SFTConfig(output_dir="o"), train_dataset="x")\n'
    )
    found = read(f"{text}trainer.train()\n", "fit.py").composed
    asked = [one for one in found.open if "('a')" in one or "seed(3)" in one or "odd(model)" in one]
    assert bool(asked) is TRIES[said]
