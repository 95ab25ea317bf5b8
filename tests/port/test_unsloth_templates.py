"""What `get_chat_template` and `train_on_responses_only` of Unsloth say."""

from __future__ import annotations

import pytest

from tests.port.conftest import Bring, fate

SCRIPT = """\
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer
from unsloth import FastLanguageModel
from unsloth.chat_templates import get_chat_template, train_on_responses_only
model, tokenizer = FastLanguageModel.from_pretrained("org/MODEL")
model = FastLanguageModel.get_peft_model(model)
TEMPLATE
def write(rows):
    return {"text": [WRITTEN for q, a in zip(rows["q"], rows["a"])]}
rows = load_dataset("org/rows", split="train").map(write, batched=True)
trainer = SFTTrainer(model=model, train_dataset=rows, args=SFTConfig(max_steps=5))
ANSWERS
trainer.train()
"""
TURNS = """tokenizer.apply_chat_template([
    {"role": "user", "content": q}, {"role": "assistant", "content": a}], tokenize=False)"""
TEXT = 'f"### In:\\n{q}\\n### Out:\\n{a}" + tokenizer.eos_token'
NAME = "get_chat_template.chat_template"


def script(template: str, model: str = "m", written: str = TURNS, answers: str = "") -> str:
    made = f"tokenizer = get_chat_template(tokenizer, {template})" if template else ""
    said = {"TEMPLATE": made, "MODEL": model, "WRITTEN": written, "ANSWERS": answers}
    text = SCRIPT
    for word, put in said.items():
        text = text.replace(word, put)
    return text


@pytest.mark.parametrize(
    ("template", "model", "kind", "named"),
    [
        ('chat_template="phi-4"', "phi-4", "renamed", "phi4"),
        ('chat_template="chatml", map_eos_token=False', "m", "renamed", "chatml"),
        ('chat_template="llama-3.1"', "Llama-3.2-1B-Instruct", "approximated", "tokenizer"),
        ('chat_template="llama-3.1"', "Mistral-7B", "unknown", "tokenizer"),
        ('chat_template="gemma3"', "gemma-3-270m-it", "approximated", "tokenizer"),
        ('chat_template="alpaca"', "alpaca-7b", "unknown", "tokenizer"),
        ('chat_template="chatml"', "gemma-2b", "unknown", "tokenizer"),
        ('chat_template=("{{ messages }}", "<|end|>")', "m", "unknown", "tokenizer"),
    ],
)
def test_a_named_template(read: Bring, template: str, model: str, kind: str, named: str) -> None:
    found = read(script(template, model), "train.py")
    assert fate(found, NAME)[0] == kind
    assert found.composed.values.get("model.chat_template") == named


def test_chatml_with_the_tokens_own_end(read: Bring) -> None:
    shared = 'mapping={"role": "from", "content": "value", "user": "human", "assistant": "gpt"}'
    found = read(script(f'chat_template="chatml", {shared}'), "train.py")
    assert found.composed.values["model.chat_template"] == "./train.chat_template.jinja"
    assert "eos_token + '\\n'" in found.files["train.chat_template.jinja"]
    assert "im_end" not in found.files["train.chat_template.jinja"]
    assert fate(found, "get_chat_template.mapping.user")[0] == "derived"
    odd = shared.replace("human", "person")
    found = read(script(f'chat_template="chatml", {odd}'), "train.py")
    assert fate(found, "get_chat_template.mapping.user")[0] == "unknown"


def test_a_template_of_the_scripts_own(read: Bring) -> None:
    found = read(script('chat_template=("{{ messages }}", "eos_token")'), "train.py")
    assert found.files == {"train.chat_template.jinja": "{{ messages }}"}
    assert fate(found, NAME)[0] == "derived"


def test_a_template_that_is_not_named(read: Bring) -> None:
    for given in ("", "mapping=None"):
        found = read(script(given or "mapping=None"), "train.py")
        assert any("Unsloth takes chatml" in one for one in found.composed.open)


@pytest.mark.parametrize(
    ("arguments", "train_on", "kind"),
    [
        ('instruction_part="<|im_start|>user\\n", response_part="<|im_start|>assistant\\n"',
         "assistant", "approximated"),
        ('response_part="<start_of_turn>model\\n"', "assistant", "approximated"),
        ('response_part="<|start_header_id|>assistant<|end_header_id|>\\n\\n"', "assistant", "derived"),
        ('instruction_part="<|start|>user", response_part="<|start|>assistant<|channel|>final"',
         "assistant", "unknown"),
        ('response_part="<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n"', "assistant", "unknown"),
        ('response_part="[/INST]", last_response_only=True', "completions", "derived"),
    ],
)  # fmt: skip
def test_where_an_answer_begins(read: Bring, arguments: str, train_on: str, kind: str) -> None:
    answers = f"trainer = train_on_responses_only(trainer, {arguments})"
    found = read(script("", answers=answers), "train.py")
    assert found.composed.values["data.train_on"] == train_on
    assert fate(found, "train_on_responses_only.response_part")[0] == kind


@pytest.mark.parametrize(("model", "kind"), [("qwen", "approximated"), ("Llama-3-8B", "derived")])
def test_answers_whose_beginning_the_template_says(read: Bring, model: str, kind: str) -> None:
    text = script("", model, answers="trainer = train_on_responses_only(trainer)")
    found = read(text, "train.py")
    assert fate(found, "train_on_responses_only")[0] == kind


def test_the_answer_of_a_text(read: Bring) -> None:
    parts = 'instruction_part="### In:\\n", response_part="### Out:\\n"'
    answers = f"trainer = train_on_responses_only(trainer, {parts})"
    found = read(script("", written=TEXT, answers=answers), "train.py")
    assert found.composed.values["data.train"][0]["template"] == {
        "prompt": "### In:\n{{ q }}\n### Out:\n",
        "completion": "{{ a }}",
    }
    assert found.composed.values["method.objective.type"] == "sft"
    assert found.composed.values["data.train_on"] == "completions"
    assert fate(found, "formatting.text")[0] == "approximated"
    assert found.composed.open == ()
    twice = TEXT.replace("### In:", "### Out:")
    found = read(script("", written=twice, answers=answers), "train.py")
    assert any("data.train.template what is the prompt" in one for one in found.composed.open)


WHOLE = SCRIPT.replace('"org/MODEL"', '"org/model", LOADED').replace("TEMPLATE\n", "")
WHOLE = WHOLE.replace("WRITTEN", TURNS).replace("ANSWERS\n", "")


@pytest.mark.parametrize("bits", ["", ", load_in_4bit=True", ", load_in_8bit=True"])
def test_all_weights_are_loaded_whole_and_get_no_adapter(read: Bring, bits: str) -> None:
    """`load_in_4bit` is on by itself, and full_finetuning switches it off: models/loader.py."""
    text = WHOLE.replace("LOADED", f"full_finetuning=True{bits}")
    found = read(text.replace("(model)\n", "(model, r=8, random_state=5)\n"), "train.py")
    assert found.composed.spec.method.tuner.type == "full"
    assert found.composed.spec.model.quantization is None
    assert fate(found, "get_peft_model.r")[0] == "inert"
    assert fate(found, "get_peft_model.random_state")[0] == "inert"
    assert not [one for one in found.composed.open if "quantization" in one]


@pytest.mark.parametrize(
    ("loaded", "stops"),
    [
        ("load_in_8bit=True", True),
        ("load_in_16bit=True", True),
        ("load_in_4bit=False, load_in_8bit=True", False),
        ("load_in_4bit=False, load_in_16bit=True", False),
    ],
)
def test_two_sizes_of_weights_stop_unsloth(read: Bring, loaded: str, stops: bool) -> None:
    found = read(WHOLE.replace("LOADED", loaded), "train.py")
    assert any("Unsloth stops at a second" in one for one in found.composed.open) == stops


@pytest.mark.parametrize(
    ("loaded", "told"),
    [
        ("", True),
        ("use_exact_model_name=True", False),
        ("load_in_4bit=False", False),
        ("full_finetuning=True", False),
    ],
)
def test_an_upload_in_few_bits_of_unsloths_own(read: Bring, loaded: str, told: bool) -> None:
    found = read(WHOLE.replace(", LOADED", f", {loaded}" if loaded else ""), "train.py")
    assert any("keep layers in 16 bits" in one for one in found.notes) == told


def test_a_template_that_is_assigned(read: Bring) -> None:
    text = script("").replace(
        "\n\ndef write", '\ntokenizer.chat_template = "{{ messages }}"\ndef write'
    )
    found = read(text, "train.py")
    assert found.composed.values["model.chat_template"] == "./train.chat_template.jinja"
    assert found.files == {"train.chat_template.jinja": "{{ messages }}"}
    assert found.composed.open == ()
    none = read(text.replace('"{{ messages }}"', "None"), "train.py")
    assert fate(none, "tokenizer.chat_template")[0] == "unknown"
    twice = script('chat_template="phi-4"').replace(
        "\ndef write", '\ntokenizer.chat_template = "{{ 1 }}"\ndef write'
    )
    assert fate(read(twice, "train.py"), "tokenizer.chat_template")[0] == "unknown"


@pytest.mark.parametrize(
    ("said", "precision", "dtype"),
    [
        ("fp16=True", "fp16", "float16"),
        ("bf16=True", "bf16", "bfloat16"),
        ("fp16=False", "bf16", "bfloat16"),
    ],
)
def test_a_type_is_the_one_that_unsloth_does_not_stop_at(
    read: Bring, said: str, precision: str, dtype: str
) -> None:
    """Weights in bfloat16 beside `fp16: true` stop it: models/rl.py of 2026.10.9."""
    found = read(script("").replace("max_steps=5", f"max_steps=5, {said}"), "train.py")
    assert found.composed.values["precision.compute"] == precision
    assert found.composed.values["model.dtype"] == dtype


FLAGS = {
    # without a flag: mixed precision, in the type of the weights
    ("dtype=torch.float32", "bf16=False, fp16=False"): ("float32", "bf16"),
    ("dtype=torch.bfloat16", "bf16=False"): ("bfloat16", "bf16"),
    ("dtype=torch.float16", ""): ("float16", "fp16"),
    ("dtype=None", "bf16=True"): ("bfloat16", "bf16"),
    ("dtype=torch.float32", "fp16=True"): ("float32", "fp16"),
    # all weights: in bfloat16 with the flag and without it, unless they are float32
    ("full_finetuning=True", "bf16=True"): ("bfloat16", "bf16-pure"),
    ("full_finetuning=True, dtype=torch.float32", "bf16=False"): ("float32", "bf16"),
    # a CPU is asked for
    ("dtype=torch.float32", "use_cpu=True"): ("float32", "fp32"),
}


@pytest.mark.parametrize("loaded", FLAGS)
def test_the_arithmetic_is_what_the_trainer_makes_of_the_flags(
    read: Bring, loaded: tuple[str, str]
) -> None:
    arguments, flags = loaded
    text = WHOLE.replace("LOADED", f"{arguments}, load_in_4bit=False")
    text = text.replace("SFTConfig(", f"SFTConfig({flags}, " if flags else "SFTConfig(")
    found = read(text, "train.py")
    spec = found.composed.spec
    assert (spec.model.dtype, spec.precision.compute) == FLAGS[loaded]
    pure = FLAGS[loaded][1] == "bf16-pure"
    assert any("norms in float32" in fate.why for fate in found.fates) == pure
