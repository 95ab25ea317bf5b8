"""What scripts around trl's trainers mean, where a reader may be led astray."""

from __future__ import annotations

import pytest

from ftspec.errors import SpecError
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


def test_a_chat_format_with_its_own_tokens(read: Bring) -> None:
    made = "tokenizer = AutoTokenizer.from_pretrained('org/model')\nfrom trl import setup_chat_format\n"
    call = "model, tokenizer = setup_chat_format(model, tokenizer)\ndataset"
    found = read(SCRIPT.replace("\ndataset", f"\n{made}{call}", 1), "train.py")
    values = found.composed.values
    assert values["model.chat_template"] == "chatml"
    assert values["model.new_tokens.tokens"] == ("<|im_start|>", "<|im_end|>")
    assert values["model.special_tokens.eos"] == "<|im_end|>"
    assert found.faithful, found.composed.open


def test_an_older_trainer_without_a_length(read: Bring) -> None:
    found = read(SCRIPT.replace("model=model,", "model=model, max_seq_length=None,"), "train.py")
    assert found.composed.values["data.max_length"] == 1024
    assert fate(found, "max_seq_length")[0] == "approximated"


def test_a_script_that_makes_no_trainer_is_refused(read: Bring) -> None:
    with pytest.raises(SpecError, match="surely runs in it"):
        read(
            "from peft import LoraConfig\nadapter = LoraConfig(r=8)\nMyTrainer(adapter).train()\n",
            "a.py",
        )


REWARDS = (
    "from datasets import load_dataset\nfrom trl import GRPOTrainer\nfrom trl.rewards import GIVEN\n"
    "rows = load_dataset('org/rows', split='train')\n"
    "GRPOTrainer(model='org/model', reward_funcs=NAMED, train_dataset=rows)\n"
)


@pytest.mark.parametrize("named", ["accuracy_reward", "[accuracy_reward]"])
def test_rewards_that_trl_lends(read: Bring, named: str) -> None:
    found = read(REWARDS.replace("GIVEN", "accuracy_reward").replace("NAMED", named), "train.py")
    (reward,) = found.composed.values["method.objective.rewards"]
    assert reward["function"] == "accuracy_reward"
    assert not [one for one in found.composed.open if "reward" in one]
    other = read(REWARDS.replace("GIVEN", "accuracy_reward").replace("NAMED", "[mine]"), "train.py")
    assert any("reward_funcs" in one for one in other.composed.open)


def test_a_model_that_scores(read: Bring) -> None:
    script = (
        "from transformers import AutoModelForSequenceClassification\n"
        "from trl import RewardConfig, RewardTrainer\n"
        "model = AutoModelForSequenceClassification.from_pretrained(\n"
        "    'org/model', num_labels=1, dtype='bfloat16')\n"
        "RewardTrainer(model=model, args=RewardConfig(output_dir='out')).train()\n"
    )
    found = read(script, "train.py")
    assert found.composed.values["model.name"] == "org/model"
    assert fate(found, "AutoModelForCausalLM.num_labels")[0] == "inert"
    other = read(script.replace("num_labels=1", "num_labels=3"), "train.py")
    assert fate(other, "AutoModelForCausalLM.num_labels")[0] == "unknown"


def test_half_precision_is_asked_for_alone(read: Bring) -> None:
    script = SCRIPT.replace("TrainingArguments", "SFTConfig").replace("bf16=True", "fp16=True")
    script = script.replace(
        "bnb_4bit_compute_dtype=torch.bfloat16", "bnb_4bit_compute_dtype=torch.float16"
    )
    found = read(script.replace("import SFTTrainer", "import SFTConfig, SFTTrainer"), "train.py")
    assert found.composed.values["precision.compute"] == "fp16"
    assert fate(found, "fp16")[0] == "exact"


@pytest.mark.parametrize(
    ("line", "on"),
    [
        ("", False),
        ("model.gradient_checkpointing_enable()\n", True),
        ("model = prepare_model_for_kbit_training(model)\n", True),
        (
            "model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)\n",
            False,
        ),
    ],
)
def test_what_is_recomputed(read: Bring, line: str, on: bool) -> None:
    found = read(SCRIPT.replace("dataset =", f"{line}dataset =", 1), "train.py")
    assert found.composed.values["train.gradient_checkpointing"] is on
    assert not found.composed.open


def test_what_peft_prepares_is_held_in_float32(read: Bring) -> None:
    line = "model = prepare_model_for_kbit_training(model)\n"
    prepared = SCRIPT.replace("dataset =", f"{line}dataset =", 1)
    found = read(prepared, "train.py")
    assert fate(found, "prepare_model_for_kbit_training")[0] == "approximated"
    whole = prepared.replace("quantization_config=few", "torch_dtype=torch.bfloat16")
    found = read(whole, "train.py")
    assert found.composed.values["model.dtype"] == "float32"
    assert fate(found, "prepare_model_for_kbit_training")[0] == "derived"


@pytest.mark.parametrize(
    ("old", "new", "asked"),
    [
        (
            "dataset = load_dataset(",
            "def load_dataset(kind, data_files, split):\n    return rows_of(data_files)\n"
            "dataset = load_dataset(",
            "dataset = load_dataset(",
        ),
        ("from datasets import", "from loading import", "dataset = load_dataset("),
        ("from datasets import", "from .loading import", "dataset = load_dataset("),
        (
            "args = TrainingArguments(",
            "class TrainingArguments(Base):\n    learning_rate: float = 1.0\nargs = TrainingArguments(",
            "args = TrainingArguments(",
        ),
    ],
)
def test_a_name_that_is_the_scripts_own_is_another(
    read: Bring, old: str, new: str, asked: str
) -> None:
    found = read(SCRIPT.replace(old, new, 1), "train.py")
    assert any(asked in one for one in found.composed.open), found.composed.open


@pytest.mark.parametrize(
    ("name", "module", "known"),
    [
        ("LlamaForCausalLM", "transformers", True),
        ("GPT2LMHeadModel", "transformers", True),
        ("LlamaForCausalLM", "modeling", False),
        ("AutoPeftModelForCausalLM", "peft", False),
    ],
)
def test_classes_of_one_architecture(read: Bring, name: str, module: str, known: bool) -> None:
    script = SCRIPT.replace("AutoModelForCausalLM.from", f"{name}.from")
    found = read(f"from {module} import {name}\n{script}", "train.py")
    assert (found.composed.values.get("model.name") == "org/model") is known
    assert found.faithful is known, found.composed.open
