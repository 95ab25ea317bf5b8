"""Scripts that show how old their trl was: where they say nothing, what that release assumed counts."""

from __future__ import annotations

from typing import Any

import pytest

from ftspec.port.formats.trl.aged import recipe
from tests.port.conftest import Bring, fate

HEAD = """\
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainingArguments
from trl import *
model = AutoModelForCausalLM.from_pretrained("org/base")
tok = AutoTokenizer.from_pretrained("org/base")
rows = load_dataset("json", data_files="rows.jsonl", split="train")
"""


def doubts(read: Bring, text: str) -> tuple[dict[str, Any], set[str]]:
    found = read(HEAD + text + "trainer.train()\n", "fit.py").composed
    asked = {one.partition(" is not said")[0] for one in found.open if "trl's release" in one}
    return found.values, asked


PLAIN = 'TrainingArguments(output_dir="o", learning_rate=1e-5, bf16=True)'


@pytest.mark.parametrize(
    ("trainer", "asked"),
    [
        (f"DPOTrainer(model, None, args={PLAIN}, beta=0.2", {"max_length", "max_prompt_length"}),
        (f"DPOTrainer(model, args={PLAIN}, beta=0.2, max_length=700, max_prompt_length=9", set()),
        ('DPOTrainer(model, args=DPOConfig(output_dir="o", max_prompt_length=9)',
         {"max_length", "learning_rate", "bf16"}),
        ('DPOTrainer(model, args=DPOConfig(output_dir="o"), processing_class=tok', set()),
        ('ORPOTrainer(model, args=ORPOConfig(output_dir="o", bf16=True), tokenizer=tok',
         {"learning_rate", "max_length", "max_prompt_length"}),
        ('SFTTrainer(model, args=SFTConfig(output_dir="o", max_seq_length=9)',
         {"learning_rate", "bf16"}),
        ('SFTTrainer(model, args=SFTConfig(output_dir="o", fp16=True, max_seq_length=9)',
         {"learning_rate"}),
        ('SFTTrainer(model, args=SFTConfig(output_dir="o", max_length=9)', set()),
        ('GRPOTrainer(model, reward_funcs=r, args=GRPOConfig(output_dir="o", max_prompt_length=9)',
         {"beta", "temperature", "top_k", "loss_type", "bf16"}),
        ('GRPOTrainer(model, reward_funcs=r, args=GRPOConfig(output_dir="o", beta=0.1)', set()),
    ],
)  # fmt: skip
def test_what_releases_disagree_about_is_asked(read: Bring, trainer: str, asked: set[str]) -> None:
    _, found = doubts(read, f"trainer = {trainer}, train_dataset=rows)\n")
    assert found == asked


def test_what_all_of_them_assume_is_taken(read: Bring) -> None:
    call = (
        'RewardTrainer(model, args=RewardConfig(output_dir="o"), tokenizer=tok, train_dataset=rows)'
    )
    values, asked = doubts(read, f"trainer = {call}\n")
    assert values["train.learning_rate"] == 5e-5  # up to 0.23; 1e-4 since
    assert values["precision.compute"] == "fp32"  # up to 0.18 bf16 was off
    assert asked == {"max_length", "disable_dropout"}


@pytest.mark.parametrize(("said", "longest"), [(", max_prompt_length=9", 256), ("", 512)])
def test_how_long_completions_were(read: Bring, said: str, longest: int) -> None:
    call = f'GRPOTrainer(model, reward_funcs=r, args=GRPOConfig(output_dir="o"{said})'
    values, _ = doubts(read, f"trainer = {call}, train_dataset=rows)\n")
    assert values["method.objective.generation.max_length"] == longest


def test_without_a_sign_of_age_the_newest_counts(read: Bring) -> None:
    call = 'RewardTrainer(model, args=RewardConfig(output_dir="o"), train_dataset=rows)'
    values, asked = doubts(read, f"trainer = {call}\n")
    assert (values["train.learning_rate"], values["precision.compute"]) == (1e-4, "bf16")
    assert not asked


@pytest.mark.parametrize(
    ("sign", "dtype"), [("tokenizer=tok", "float32"), ("callbacks=[]", "auto")]
)
def test_transformers_4_loads_float32(read: Bring, sign: str, dtype: str) -> None:
    config = 'SFTConfig(output_dir="o", learning_rate=1e-5, bf16=True)'
    adapter = 'peft_config=LoraConfig(target_modules=["q_proj"])'
    values, _ = doubts(
        read, f"trainer = SFTTrainer(model, args={config}, {adapter}, {sign}, train_dataset=rows)\n"
    )
    assert values["model.dtype"] == dtype


def test_unsloth_lets_old_arguments_pass(read: Bring) -> None:
    text = """\
from unsloth import FastLanguageModel
model, tok = FastLanguageModel.from_pretrained("org/base", max_seq_length=512)
model = FastLanguageModel.get_peft_model(model, r=8)
trainer = SFTTrainer(model, tokenizer=tok, max_seq_length=512, dataset_text_field="text",
                     args=SFTConfig(output_dir="o"), train_dataset=rows)
"""
    assert doubts(read, text)[1] == set()


def test_another_release_by_name_is_believed(read: Bring) -> None:
    call = (
        'DPOTrainer(model, args=DPOConfig(output_dir="o", max_prompt_length=9), train_dataset=rows)'
    )
    text = HEAD + f"trainer = {call}\ntrainer.train()\n"
    found = read(text, "fit.py", version="trl==0.24.0").composed
    assert not any("trl's release" in one for one in found.open)


@pytest.mark.parametrize(
    ("trainer", "release"), [("DPO", 28), ("KTO", 26), ("CPO", 27), ("RLOO", 28)]
)
def test_how_long_each_trainer_cut_prompts(read: Bring, trainer: str, release: int) -> None:
    call = f'{trainer}Trainer(model, args={trainer}Config(output_dir="o", max_prompt_length=9)'
    found = read(f"{HEAD}trainer = {call}, train_dataset=rows)\ntrainer.train()\n", "fit.py")
    assert found.parts[0].context.document.data["until"]["release"] == release
    config = f"model_name_or_path: m/m\ntrainer: {trainer.lower()}\nmax_prompt_length: 9\n"
    assert recipe(read(config, wanted="trl").parts[0].context)["release"] == release


GRPO = 'GRPOTrainer(model, reward_funcs=r, train_dataset=rows, args=GRPOConfig(output_dir="o", {}))'


@pytest.mark.parametrize(
    ("said", "how", "asked"),
    [
        ("beta=0.04, max_prompt_length=9", {}, True),
        ("beta=0.0, max_prompt_length=9", {}, False),
        ("beta=0.04", {}, False),
        ("beta=0.04, max_prompt_length=9, use_bias_correction_kl=True", {}, False),
        ("beta=0.04", {"version": "trl==0.24.0"}, True),
    ],
)
def test_the_divergence_of_older_grpo(
    read: Bring, said: str, how: dict[str, str], asked: bool
) -> None:
    text = HEAD + f"trainer = {GRPO.format(said)}\ntrainer.train()\n"
    found = read(text, "fit.py", **how).composed
    assert any("measures the divergence without" in one for one in found.open) is asked


SFT = 'SFTTrainer(model, train_dataset=rows, args=SFTConfig(output_dir="o", {}), {})'


@pytest.mark.parametrize(
    ("config", "given", "kind", "told"),
    [
        ("max_length=9", "", "derived", ""),
        ("max_length=9", "tokenizer=tok", "approximated", "; nothing ends it there"),
        ("max_seq_length=9", "", "approximated", "; up to trl 0.16 nothing ends it"),
        ("max_seq_length=9", "packing=True", "derived", ""),
    ],
)
def test_what_ends_a_text(read: Bring, config: str, given: str, kind: str, told: str) -> None:
    said = f'dataset_text_field="story", learning_rate=1e-5, bf16=True, {config}'
    text = HEAD + f"trainer = {SFT.format(said, given)}\ntrainer.train()\n"
    found = fate(read(text, "fit.py"), "dataset_text_field")
    assert found[0] == kind
    assert told in found[1]


def test_weights_that_are_quantised_somehow_have_a_type_of_their_own(read: Bring) -> None:
    config = 'SFTConfig(output_dir="o", learning_rate=1e-5, bf16=True)'
    adapter = 'peft_config=LoraConfig(target_modules=["q_proj"])'
    text = f"trainer = SFTTrainer(model, args={config}, {adapter}, tokenizer=tok, train_dataset=rows)\n"
    head = HEAD.replace('("org/base")', '("org/base", quantization_config=GPTQConfig(bits=4))', 1)
    values = read(f"{head}{text}trainer.train()\n", "fit.py").composed.values
    assert values["model.dtype"] == "auto"


@pytest.mark.parametrize(
    ("config", "given", "path", "value"),
    [
        ("beta=0.1", "beta=0.3", "method.objective.beta", 0.3),
        ("beta=0.3", "beta=0.1", "method.objective.beta", 0.3),  # what its signature assumes
        ('loss_type="sigmoid"', 'loss_type="ipo"', "method.objective.loss", "ipo"),
        ("max_length=99", "max_length=88", "data.max_length", 88),
        ("max_length=99", "max_length=None", "data.max_length", 99),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_trainer_s_own_argument_holds(
    read: Bring, config: str, given: str, path: str, value: object, first: bool
) -> None:
    made = f'DPOConfig(output_dir="o", {config})'
    before, said = ("", made) if first else (f"c = {made}\n", "c")
    found = read(
        f"{HEAD}{before}trainer = DPOTrainer(model, {given}, args={said}, train_dataset=rows)\n"
        "trainer.train()\n",
        "fit.py",
    )
    assert found.composed.values[path] == value


def test_what_a_trainer_overrides_is_told(read: Bring) -> None:
    text = HEAD + "trainer = " + SFT.format("max_seq_length=9", "max_seq_length=8") + "\n"
    found = read(f"{text}trainer.train()\n", "fit.py")
    assert found.composed.values["data.max_length"] == 8
    assert [(one.kind, one.setting.value) for one in found.fates if "again" in one.why] == [
        ("inert", 9)
    ]


@pytest.mark.parametrize(
    ("call", "kind", "cut"),
    [
        (f"DPOTrainer(model, args={PLAIN}, max_length=99, max_prompt_length=9", "renamed", "overlong"),
        ('DPOTrainer(model, args=DPOConfig(output_dir="o"), max_length=99, max_prompt_length=9',
         "approximated", "overlong"),
        ('DPOTrainer(model, args=DPOConfig(output_dir="o", max_prompt_length=9), tokenizer=tok',
         "approximated", "always"),
        ('DPOTrainer(model, args=DPOConfig(output_dir="o", max_prompt_length=9), processing_class=tok',
         "renamed", "always"),
    ],
)  # fmt: skip
def test_which_prompts_an_older_dpo_cut(read: Bring, call: str, kind: str, cut: str) -> None:
    found = read(f"{HEAD}trainer = {call}, train_dataset=rows)\ntrainer.train()\n", "fit.py")
    assert fate(found, "max_prompt_length")[0] == kind
    assert found.composed.values.get("data.prompt_cut", "always") == cut


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("num_generations: 4\nmax_prompt_length: 9\nlearning_rate: 1e-5\nbf16: true\n",
         {"beta", "temperature", "loss_type", "top_k"}),
        ("num_generations: 4\ntorch_dtype: bfloat16\nlearning_rate: 1e-5\nbf16: true\n",
         {"beta", "temperature", "loss_type", "top_k"}),
        ("num_generations: 4\ndtype: bfloat16\n", set()),
        ("max_seq_length: 9\ndataset_name: a/b\n", {"learning_rate", "bf16"}),
        ("max_seq_length: 9\npacking: true\nlearning_rate: 1\nbf16: true\n", {"packing_strategy"}),
        ("max_seq_length: 9\npacking: true\npacking_strategy: ffd\nlearning_rate: 1\nbf16: true\n", set()),
    ],
)  # fmt: skip
def test_old_keys_of_a_recipe_ask_the_same(read: Bring, text: str, asked: set[str]) -> None:
    text = f"model_name_or_path: m/m\noutput_dir: o\n{text}"
    found = [one for one in read(text).composed.open if "trl's release" in one]
    assert {one.partition(" is not said")[0] for one in found} == asked
    chosen = read(text, version="trl==0.24.0").composed.open
    assert not any("trl's release" in one for one in chosen)


@pytest.mark.parametrize(
    ("config", "given", "kind", "packing", "asked"),
    [
        ("max_length=9", "processing_class=tok", "exact", "documents", False),
        ("max_seq_length=9", "processing_class=tok", "exact", "documents", True),
        ("max_seq_length=9", "tokenizer=tok", "approximated", "blocks", False),
        ('max_seq_length=9, packing_strategy="wrapped"', "", "exact", "blocks", False),
    ],
)
def test_how_older_releases_packed(
    read: Bring, config: str, given: str, kind: str, packing: str, asked: bool
) -> None:
    said = f"packing=True, learning_rate=1e-5, bf16=True, {config}"
    found = read(f"{HEAD}trainer = {SFT.format(said, given)}\ntrainer.train()\n", "fit.py")
    assert fate(found, "packing")[0] == kind
    assert found.composed.values["data.packing"] == packing
    assert any("packing_strategy is not said" in one for one in found.composed.open) is asked


@pytest.mark.parametrize(
    "said", ["layers_to_transform=None", "rank_pattern={}", "layers_pattern=None"]
)
def test_what_an_adapter_leaves_open_is_inert(read: Bring, said: str) -> None:
    adapter = f'LoraConfig(target_modules=["q_proj"], {said})'
    made = SFT.format("max_length=9", f"peft_config={adapter}")
    found = read(f"{HEAD}trainer = {made}\ntrainer.train()\n", "fit.py")
    assert fate(found, f"LoraConfig.{said.partition('=')[0]}")[0] == "inert"
