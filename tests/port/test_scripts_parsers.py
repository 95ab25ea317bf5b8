"""Scripts whose command line is read by classes of trl's and transformers', and what they make of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.port.conftest import Bring, fate

HEAD = """\
import sys
from dataclasses import dataclass, field
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, HfArgumentParser, TrainingArguments
from trl import (ModelConfig, ScriptArguments, SFTConfig, SFTTrainer, TrlParser, get_kbit_device_map,
                 get_peft_config, get_quantization_config)
"""
OF_TRL = (
    HEAD
    + """\
def main(script_args, training_args, model_args):
    quantization_config = get_quantization_config(model_args)
    model_kwargs = dict(
        revision=model_args.model_revision,
        dtype=model_args.dtype,
        use_cache=False if training_args.gradient_checkpointing else True,
    )
    if quantization_config is not None:
        model_kwargs["device_map"] = get_kbit_device_map()
        model_kwargs["quantization_config"] = quantization_config
    model = AutoModelForCausalLM.from_pretrained(model_args.model_name_or_path, **model_kwargs)
    dataset = load_dataset(script_args.dataset_name, name=script_args.dataset_config)
    trainer = SFTTrainer(
        model=model,
        args=training_args,
        train_dataset=dataset[script_args.dataset_train_split],
        eval_dataset=dataset[script_args.dataset_test_split] if training_args.eval_strategy != "no" else None,
        peft_config=get_peft_config(model_args),
    )
    trainer.train()
if __name__ == "__main__":
    parser = TrlParser((ScriptArguments, SFTConfig, ModelConfig))
    script_args, training_args, model_args = parser.parse_args_and_config()
    main(script_args, training_args, model_args)
"""
)
SETTINGS = """\
model_name_or_path: org/base
dataset_name: org/rows
learning_rate: 1.0e-5
max_steps: 9
output_dir: o
use_peft: true
lora_target_modules: [q_proj, v_proj]
odd: 1
"""
WORDS = (
    "--model_name_or_path org/base --dataset_name org/rows --dataset_train_split part --dtype bfloat16 "
    "--learning_rate 3e-4 --max_steps 7 --output_dir o"
)


def test_trl_s_own_classes(read: Bring, tmp_path: Path) -> None:
    (tmp_path / "fit.py").write_text(OF_TRL)
    words = f"{WORDS} --use_peft --lora_r 4 --lora_target_modules q_proj v_proj"
    found = read(f"python fit.py {words}\n", name="r.sh")
    values = found.composed.values
    assert values["model.name"] == "org/base"
    assert values["model.dtype"] == "bfloat16"
    assert values["data.train"][0]["split"] == "part"
    assert values["train.learning_rate"] == 3e-4
    assert values["train.steps"] == 7
    assert values["method.tuner.rank"] == 4
    assert values["method.tuner.alpha"] == 32  # ModelConfig's own, which peft's is not
    assert values["method.tuner.targets"] == ("q_proj", "v_proj")
    assert not [one for one in found.composed.open if "fit.py" in one or "line" in one]


def test_weights_in_four_bits(read: Bring, tmp_path: Path) -> None:
    (tmp_path / "fit.py").write_text(OF_TRL)
    words = f"{WORDS} --use_peft --lora_target_modules q_proj v_proj --load_in_4bit"
    values = read(f"python fit.py {words}\n", name="r.sh").composed.values
    assert values["model.quantization.type"] == "nf4"


def test_without_an_adapter_all_weights_train(read: Bring, tmp_path: Path) -> None:
    (tmp_path / "fit.py").write_text(OF_TRL)
    found = read(f"python fit.py {WORDS} --lora_r 4\n", name="r.sh")
    assert found.composed.values["method.tuner.type"] == "full"
    assert not [one for one in found.composed.open if "get_peft_config" in one]


def test_a_file_of_settings_and_words_before_it(read: Bring, tmp_path: Path) -> None:
    (tmp_path / "fit.py").write_text(OF_TRL)
    (tmp_path / "fit.yaml").write_text(SETTINGS)
    found = read("python fit.py --config fit.yaml --max_steps 5\n", name="r.sh").composed
    assert found.values["train.learning_rate"] == 1e-5
    assert found.values["train.steps"] == 5
    assert found.values["method.tuner.type"] == "lora"
    assert [one for one in found.open if "odd" in one]


def test_a_file_of_settings_that_is_not_here(read: Bring, tmp_path: Path) -> None:
    own = "@dataclass\nclass Own:\n    config: str = None\n"
    own_parser = OF_TRL.replace("TrlParser((", "TrlParser((Own, ").replace(
        "    script_args, training", "    own, script_args, training"
    )
    for text in (OF_TRL, own_parser.replace("def main", own + "def main", 1)):
        (tmp_path / "fit.py").write_text(text)
        found = read(f"python fit.py {WORDS} --config gone.yaml\n", name="r.sh").composed
        assert [one for one in found.open if "`gone.yaml`: settings stand in that file" in one]


def test_without_its_command_line_it_is_a_question(read: Bring) -> None:
    found = read(OF_TRL, "fit.py").composed
    assert [one for one in found.open if "SFTConfig: what its command line says" in one]
    assert [one for one in found.open if "ModelConfig: what its command line says" in one]


def test_a_word_that_is_no_number_is_a_question(read: Bring, tmp_path: Path) -> None:
    (tmp_path / "fit.py").write_text(OF_TRL)
    words = WORDS.replace("3e-4", "fast")
    found = read(f"python fit.py {words}\n", name="r.sh").composed
    assert [one for one in found.open if "learning_rate = fast" in one]


OWN = (
    HEAD
    + """\
@dataclass
class Mine:
    base: str = field(default="org/base")
    rank: int = 8
    alpha: int = None
@dataclass
class Further(TrainingArguments):
    learning_rate: float = 7e-5
    sharpness: float = 1.0
parser = HfArgumentParser((Mine, Further))
mine, training_args = parser.parse_args_into_dataclasses()
training_args.remove_unused_columns = False
training_args.seed = 11
alpha = mine.alpha if mine.alpha is not None else mine.rank * 2
trainer = SFTTrainer(
    mine.base, args=training_args, train_dataset=load_dataset("org/rows", split="train"),
    peft_config=LoraConfig(r=mine.rank, lora_alpha=alpha, target_modules=["q_proj"]),
)
trainer.train()
"""
)


def test_a_class_that_declares_other_defaults(read: Bring, tmp_path: Path) -> None:
    (tmp_path / "fit.py").write_text(OWN)
    found = read(
        "python fit.py --rank 16 --max_steps 3 --output_dir o --fp16\n", name="r.sh"
    ).composed
    assert found.values["train.learning_rate"] == 7e-5
    assert found.values["train.steps"] == 3
    assert found.values["train.seed"] == 11
    assert found.values["precision.compute"] == "fp16"
    assert found.values["method.tuner.alpha"] == 32
    over = read("python fit.py --learning_rate 2e-5 --output_dir o\n", name="r.sh").composed
    assert over.values["train.learning_rate"] == 2e-5


def test_a_class_of_somebody_s_own_is_another(read: Bring, tmp_path: Path) -> None:
    text = OF_TRL.replace("ModelConfig, ", "", 1).replace(
        "import sys\n", "import sys\nfrom ours import ModelConfig\n"
    )
    (tmp_path / "fit.py").write_text(text)
    found = read(f"python fit.py {WORDS}\n", name="r.sh").composed
    assert [one for one in found.open if "parser = TrlParser" in one]


def test_words_by_their_place(read: Bring, tmp_path: Path) -> None:
    (tmp_path / "fit.py").write_text(
        HEAD
        + """\
base = sys.argv[1]
rows = sys.argv[2] if len(sys.argv) > 2 else "org/other"
trainer = SFTTrainer(base, args=SFTConfig(output_dir="o"), train_dataset=load_dataset(rows, split="train"))
trainer.train()
"""
    )
    found = read("python fit.py org/base\n", name="r.sh").composed
    assert found.values["model.name"] == "org/base"
    assert found.values["data.train"][0]["hub"] == "org/other"
    assert not [one for one in found.open if "argument of the script" in one]
    assert [
        one for one in read("python fit.py $BASE\n", name="r.sh").composed.open if "argv" in one
    ]


PUT = {
    "common": ("lr = dict(common, learning_rate=1e-4)", 1e-4),
    "spread": ('lr = {**common, "learning_rate": 1e-4}', 1e-4),
    "joined": ('lr = common | {"learning_rate": 1e-4}', 1e-4),
    "put": ('lr = common\nlr["learning_rate"] = 1e-4', 1e-4),
    "under another name, later": ('lr = common\ncommon["learning_rate"] = 1e-4', None),
    "under another name": ('other = lr = common\nlr["learning_rate"] = 1e-4\nlr = other', 1e-4),
    "a copy": (
        'import copy\nlr = copy.deepcopy(common)\nlr["learning_rate"] = 1e-4\nlr = common',
        3e-4,
    ),
    "never put": ('lr = common\nif 1 > 2:\n    lr["learning_rate"] = 1e-4', 3e-4),
    "unknown": ('lr = common\nlr["learning_rate"] = rate()', None),
    "unknown under another name": ('lr = common\ncommon["learning_rate"] = rate()', None),
    "unsure": ('lr = common\nif rate():\n    lr["learning_rate"] = 1e-4', None),
}


@pytest.mark.parametrize("name", PUT)
def test_mappings_that_are_spread(read: Bring, name: str) -> None:
    said, rate = PUT[name]
    text = f"""{HEAD}common = dict(learning_rate=3e-4, max_steps=5, output_dir="o")
{said}
trainer = SFTTrainer("org/base", args=SFTConfig(**lr), train_dataset=load_dataset("org/rows", split="train"))
trainer.train()
"""
    found = read(text, "fit.py").composed
    asked = [one for one in found.open if "lr" in one or "rate()" in one]
    assert bool(asked) is (rate is None), asked
    assert rate is None or found.values["train.learning_rate"] == rate


def test_a_mapping_of_which_a_part_is_no_value(read: Bring) -> None:
    text = f"""{HEAD}settings = dict(r=4, lora_alpha=8, target_modules=which())
trainer = SFTTrainer("org/base", args=SFTConfig(output_dir="o"), train_dataset=load_dataset("org/rows"),
                     peft_config=LoraConfig(**settings))
trainer.train()
"""
    found = read(text, "fit.py").composed
    assert found.values["method.tuner.rank"] == 4
    assert [one for one in found.open if "LoraConfig.target_modules = which()" in one]


PACKS = """\
from datasets import load_dataset
from trl import ModelConfig, ScriptArguments, SFTConfig, SFTTrainer, TrlParser
parser = TrlParser((ScriptArguments, SFTConfig, ModelConfig))
script_args, training_args, model_args = parser.parse_args_and_config()
training_args.packing = True
trainer = SFTTrainer(model_args.model_name_or_path, args=training_args,
                     train_dataset=load_dataset(script_args.dataset_name, split="train"))
trainer.train()
"""
CALLED = "python sft.py --model_name_or_path org/m --dataset_name org/rows --output_dir o --max_steps 5\n"


def test_a_script_that_is_called_as_trl_s_and_is_here(read: Bring, tmp_path: Path) -> None:
    assert read(CALLED, name="run.sh").composed.values["data.packing"] != "documents"
    (tmp_path / "sft.py").write_text(PACKS)
    assert read(CALLED, name="run.sh").composed.values["data.packing"] == "documents"


def test_one_whose_parser_is_not_known(read: Bring, tmp_path: Path) -> None:
    (tmp_path / "sft.py").write_text(PACKS.replace("from trl import", "from ours import"))
    found = read(CALLED, name="run.sh").composed
    assert found.values["train.steps"] == 5
    assert [one for one in found.open if "what it does otherwise is not read" in one]


def test_weights_in_four_bits_beside_a_type_that_is_as_stored(read: Bring) -> None:
    text = """\
import torch
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, BitsAndBytesConfig
from transformers.trainer_utils import get_last_checkpoint
from trl import SFTConfig, SFTTrainer
bits = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float16)
model = AutoModelForCausalLM.from_pretrained("org/base", torch_dtype="auto", quantization_config=bits)
trainer = SFTTrainer(model, args=SFTConfig(output_dir="o"), train_dataset=load_dataset("org/rows"),
                     peft_config=LoraConfig(r=4, target_modules=["q_proj"]))
last = get_last_checkpoint("o")
if last:
    trainer.train(resume_from_checkpoint=last)
else:
    trainer.train()
"""
    found = read(text, "fit.py")
    assert fate(found, "load_in_4bit")[0] in ("exact", "renamed")
    assert found.composed.values["model.quantization.type"] == "nf4"
    assert not [one for one in found.composed.open if "last" in one]


TYRO = """\
import tyro
from dataclasses import asdict, dataclass
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer
@dataclass
class Args:
    learning_rate: float = 1e-4
    max_steps: int | None = 5
    output_dir: str = "o"
MORE
args = tyro.cli(Args)
CHANGES
trainer = SFTTrainer("org/base", args=SFTConfig(**asdict(args)), train_dataset=load_dataset("org/rows"))
trainer.train()
"""


def test_tyro_and_all_of_a_class(read: Bring, tmp_path: Path) -> None:
    (tmp_path / "fit.py").write_text(TYRO.replace("CHANGES", "").replace("MORE", ""))
    found = read("python fit.py --max_steps 9\n", name="run.sh").composed
    assert found.values["train.steps"] == 9
    assert found.values["train.learning_rate"] == 1e-4
    assert not [one for one in found.open if "fit.py" in one or "asdict" in one]


@pytest.mark.parametrize(
    "changes", ["if odd():\n    args.max_steps = 3", "setattr(args, odd(), 3)"]
)
def test_all_of_a_class_that_may_have_changed(read: Bring, changes: str) -> None:
    text = TYRO.replace("CHANGES", changes).replace("MORE", "")
    assert [one for one in read(text, "fit.py").composed.open if "asdict(args)" in one]


def test_a_class_of_which_a_part_is_not_known(read: Bring) -> None:
    text = TYRO.replace("CHANGES", "").replace("MORE", "    seed: int = odd()")
    assert [one for one in read(text, "fit.py").composed.open if "asdict(args)" in one]
