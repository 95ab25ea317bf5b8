"""What scripts around trl's trainers mean, where a reader may be led astray."""

from __future__ import annotations

import pytest

from tests.port.conftest import Bring, fate

SCRIPT = """\
import torch
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, TrainingArguments
from trl import SFTTrainer

few = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
model = AutoModelForCausalLM.from_pretrained("org/model", quantization_config=few, device_map="auto")
dataset = load_dataset("json", data_files="data/chat.jsonl", split="train")
args = TrainingArguments(output_dir="out", max_steps=5, bf16=True, learning_rate=1e-4)
adapter = LoraConfig(r=8, lora_alpha=32, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
trainer = SFTTrainer(model=model, args=args, train_dataset=dataset, peft_config=adapter)
trainer.train()
"""


@pytest.mark.parametrize("more", ["local_files_only=True", "use_auth_token=True", "odd=1"])
def test_further_arguments_of_a_model_make_no_script_of_unsloth(read: Bring, more: str) -> None:
    found = read(SCRIPT.replace("device_map=", f"{more}, device_map="), "train.py")
    assert found.parts[0].format.name == "trl_script"
    assert found.composed.values["train.seed"] == 42
    assert found.composed.values["method.tuner.rank"] == 8
    assert found.faithful is not more.startswith("odd"), found.fates


@pytest.mark.parametrize(
    ("given", "type_"),
    [
        ("quantization_config=few, ", "nf4"),
        ("", None),
        ("quantization_config=None, ", None),
        ("**loaded, ", "nf4"),  # nobody knows what is in there: it is a question beside
    ],
)
def test_few_bits_count_where_a_model_is_loaded_with_them(
    read: Bring, given: str, type_: str | None
) -> None:
    found = read(SCRIPT.replace("quantization_config=few, ", given), "train.py")
    assert found.composed.values.get("model.quantization.type") == type_
    if type_ is None:
        assert fate(found, "unused BitsAndBytesConfig.load_in_4bit")[0] == "inert"


def test_an_older_trainer_that_packs_cuts_blocks(read: Bring) -> None:
    found = read(SCRIPT.replace("model=model,", "model=model, packing=True,"), "train.py")
    assert found.composed.values["data.packing"] == "blocks"
    assert fate(found, "SFTTrainer.packing")[0] == "approximated"


@pytest.mark.parametrize(
    ("given", "resumed"),
    [
        ("resume_from_checkpoint=True", True),
        ('"out/checkpoint-5"', "out/checkpoint-5"),
        ("None", None),
    ],
)
def test_a_training_that_goes_on(read: Bring, given: str, resumed: object) -> None:
    found = read(SCRIPT.replace("train()", f"train({given})"), "train.py")
    assert fate_of(found, "resume_from_checkpoint") == ([] if resumed is None else [resumed])


def fate_of(found: object, key: str) -> list[object]:
    return [one.setting.value for one in found.fates if one.setting.key == key]  # type: ignore[attr-defined]


OWN = (
    "import argparse\n"
    + SCRIPT.replace("trainer.train()\n", "").replace(
        "learning_rate=1e-4", "learning_rate=given.lr"
    )
    + "trainer.train()\n"
).replace(
    "\nfew =",
    "\nparser = argparse.ArgumentParser()\nparser.add_argument('--lr', type=float, default=3e-4)\n"
    "parser.add_argument('--unused')\ngiven = parser.parse_args()\nfew =",
)


@pytest.mark.parametrize("name", ["train.py", "sft.py"])
def test_a_command_line_of_a_script_of_its_own(read: Bring, name: str) -> None:
    assert read(OWN, name).composed.values["train.learning_rate"] == 3e-4
    found = read(f"python {name} --lr 1e-5 --unused x --odd 3\n", "run.sh")
    assert found.composed.values["train.learning_rate"] == 1e-5
    assert [one for one in found.composed.open if "argument of the script" in one] == [
        f"line 1: run.sh: {name} odd: an argument of the script"
    ]


def test_a_default_that_a_command_line_may_change_is_told(read: Bring) -> None:
    found = read(OWN, "train.py")
    assert found.faithful, found.composed.open
    assert any("run without arguments" in note for note in found.notes)
