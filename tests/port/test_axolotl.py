"""axolotl's YAML: its defaults, its traps, and what becomes of its data sets."""

from __future__ import annotations

from typing import Any

import pytest

from ftspec.port.bring import Imported
from tests.conftest import SPECS
from tests.port.conftest import Bring, fate

LORA = """\
base_model: org/model
datasets:
  - path: org/chats
    type: chat_template
adapter: lora
lora_r: 16
lora_alpha: 32
lora_target_linear: true
micro_batch_size: 2
learning_rate: 2e-5
"""


ALPACAS = LORA.replace("chat_template", "alpaca")


def lost(imported: Imported) -> list[str]:
    """Settings of which something is lost: of chats it trains fewer tokens."""
    return [one.setting.key for one in imported.fates if not one.faithful]


def values(read: Bring, text: str, **how: Any) -> dict[str, Any]:
    return dict(read(text, **how).composed.values)


def test_what_a_missing_key_means(read: Bring) -> None:
    found = values(read, LORA)
    assert found["data.max_length"] == 512
    assert found["data.overflow"] == "drop"
    assert found["train.batch_size"] == 2
    assert found["train.epochs"] == 1.0
    assert found["train.save_steps"] == "epoch"
    assert found["train.save_total_limit"] == 4
    assert found["train.gradient_checkpointing"] is False
    assert found["train.schedule.type"] == "cosine"
    assert found["train.warmup_ratio"] == 0.03
    assert found["method.tuner.dropout"] == 0.0
    assert found["method.tuner.targets"] == "all-linear"
    assert found["model.dtype"] == "bfloat16"
    assert found["precision.compute"] == "bf16"
    assert found["data.packing"] is None
    assert found["data.train_on"] == "assistant"
    assert found["train.seed"] == 42


def test_what_a_turn_says_and_its_end_train(read: Bring) -> None:
    imported = read(LORA)
    assert fate(imported, "datasets[0].type")[0] == "derived"
    found = imported.composed.values
    assert (found["data.turn_part"], found["data.prepare"]) == ("ended", "ftspec")
    assert found["data.max_length"] == 512
    plain = values(read, ALPACAS)
    assert (plain["data.turn_part"], plain["data.prepare"]) == ("written", "framework")
    paired = read(f"{LORA}rl: dpo\n")  # of pairs another function reads a type of that name
    assert fate(paired, "datasets[0].type")[0] == "approximated"
    assert paired.composed.values["data.turn_part"] == "written"


def test_a_rate_that_yaml_takes_for_text_is_a_number(read: Bring) -> None:
    imported = read(LORA)
    assert imported.composed.values["train.learning_rate"] == 2e-5
    assert fate(imported, "learning_rate")[0] == "exact"


def test_it_is_recognised_and_whole(read: Bring) -> None:
    imported = read(ALPACAS)
    assert imported.parts[0].format.name == "axolotl"
    assert imported.faithful, imported.composed.open


@pytest.mark.parametrize(
    ("said", "steps", "ratio"),
    [
        ("max_steps: 45\nwarmup_ratio: 0.1\n", 4, None),  # rounded down
        ("max_steps: 40\n", 2, None),  # 0.03 of them is 1, and 1 becomes 2
        ("max_steps: 10000\n", 100, None),  # at most 100 where nothing is said
        ("warmup_steps: 1\n", 2, None),
        ("max_steps: -1\nwarmup_ratio: 0.1\n", 0, None),  # of fewer than no steps
        ("warmup_ratio: 0.1\n", None, 0.1),
        ("warmup_ratio: 0.1\nwarmup_steps: 10\n", 10, None),
    ],
)
def test_the_warm_up(read: Bring, said: str, steps: int | None, ratio: float | None) -> None:
    found = values(read, LORA + said)
    assert (found["train.warmup_steps"], found["train.warmup_ratio"]) == (steps, ratio)


def test_a_batch_size_is_that_of_one_device(read: Bring) -> None:
    found = values(read, LORA + "batch_size: 8\ngradient_accumulation_steps:\n", devices=2)
    assert found["train.batch_size"] == 16
    assert found["train.micro_batch_size"] == 2


@pytest.mark.parametrize(
    ("said", "steps", "devices", "kind", "average"),
    [
        ("", 1, 1, "exact", "tokens"),
        ("", 4, 1, "derived", "batches"),
        ("", 1, 2, "exact", "batches"),
        ("rl: dpo\n", 4, 1, "exact", None),
    ],
)
def test_the_means_of_batches_are_averaged(
    read: Bring, said: str, steps: int, devices: int, kind: str, average: str | None
) -> None:
    port = read(f"{LORA}{said}gradient_accumulation_steps: {steps}\n", devices=devices)
    assert fate(port, "gradient_accumulation_steps")[0] == kind
    assert port.composed.values["train.batch_size"] == 2 * steps * devices
    assert port.composed.values.get("method.objective.average", None) == average


def test_qlora_is_four_bits_as_axolotl_loads_them(read: Bring) -> None:
    text = LORA.replace("adapter: lora", "adapter: qlora\nload_in_4bit: true")
    found = values(read, text)
    assert found["model.quantization.type"] == "nf4"
    assert found["model.quantization.double"] is True
    assert found["model.quantization.storage"] == "bfloat16"
    assert values(read, f"{text}bf16: false\n")["model.quantization.storage"] == "float32"


def test_turns_under_other_names(read: Bring) -> None:
    text = LORA.replace(
        "    type: chat_template\n",
        "    type: chat_template\n    field_messages: talk\n    split: train[:20%]\n"
        "    message_property_mappings:\n      role: from\n      content: value\n",
    )
    imported = read(text)
    (source,) = imported.composed.values["data.train"]
    assert source["format"] == "sharegpt"
    assert source["columns"] == {"conversations": "talk"}
    assert source["split"] == "train[:20%]"
    assert not lost(imported)


def test_plain_text_is_continued_pre_training(read: Bring) -> None:
    text = LORA.replace("type: chat_template", "type: completion\n    field: chapter")
    found = values(read, text + "sample_packing: true\n")
    assert found["method.objective.type"] == "cpt"
    assert found["data.train"][0]["columns"] == {"text": "chapter"}
    assert found["data.packing"] == "together"  # no attn_implementation keeps them apart
    assert found["data.train_on"] == "all"


def test_rows_of_a_type_that_is_not_known_are_a_question(read: Bring) -> None:
    imported = read(LORA.replace("chat_template", "steps"))
    assert fate(imported, "datasets[0].type")[0] == "unknown"
    assert any("steps" in question for question in imported.composed.open)


def test_other_trainers_are_named(read: Bring) -> None:
    for said, word in (("rl: orpo", "orpo"), ("rl: kto", "kto"), ("reward_model: true", "reward")):
        assert values(read, f"{LORA}{said}\n")["method.objective.type"] == word


def test_special_tokens_are_no_secret(read: Bring) -> None:
    imported = read(LORA + 'special_tokens:\n  pad_token: "<pad>"\n  eos_token: "<end>"\n')
    assert fate(imported, "special_tokens.pad_token")[0] == "renamed"
    assert fate(imported, "special_tokens.eos_token")[0] == "renamed"
    assert imported.composed.values["model.special_tokens.pad"] == "<pad>"
    assert imported.composed.values["model.special_tokens.eos"] == "<end>"


def test_special_tokens_of_a_model_that_is_there_are_compared(read: Bring) -> None:
    text = LORA.replace("org/model", str(SPECS / "tiny-model"))
    found = read(text + 'special_tokens:\n  unk_token: "<unk>"\n  eos_token: "<|im_end|>"\n')
    assert fate(found, "special_tokens.eos_token") == ("inert", "the tokenizer's own")
    other = read(text + 'special_tokens:\n  eos_token: "<end>"\n')
    kind, why = fate(other, "special_tokens.eos_token")
    assert kind == "renamed" and "a run of this spec stops" in why


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("lora_fan_in_fan_out: true", "inert"),
        ("lora_fan_in_fan_out: true\nlora_target_parameters: [mlp.up]", "unknown"),
        ("cls_model_config: Gemma3TextConfig\nmodel_type: Gemma3ForCausalLM", "inert"),
        ("cls_model_config: Gemma3TextConfig\nmodel_type: LlamaForCausalLM", "unknown"),
        ("model_type: AutoModelForSequenceClassification", "unknown"),
        ("model_type: AutoModelForSequenceClassification\nreward_model: true", "inert"),
    ],
)
def test_what_is_decided_anyway(read: Bring, said: str, kind: str) -> None:
    assert fate(read(f"{LORA}{said}\n"), said.partition(":")[0])[0] == kind


@pytest.mark.parametrize(
    ("word", "kind", "type"),
    [
        ("adamw_bnb_8bit", "renamed", "adamw-8bit"),
        ("adamw_torch_8bit", "exact", "torchao-adamw-8bit"),
        ("ao_adamw_8bit", "renamed", "torchao-adamw-8bit"),
        ("adamw_torch_4bit", "exact", "torchao-adamw-4bit"),
        ("came_pytorch", "unknown", None),
    ],
)
def test_the_optimizer(read: Bring, word: str, kind: str, type: str | None) -> None:
    imported = read(f"{LORA}optimizer: {word}\n")
    assert fate(imported, "optimizer")[0] == kind
    assert imported.composed.values.get("train.optimizer.type") == type


def test_its_rounding_in_training_is_another(read: Bring) -> None:
    kind, why = fate(read(LORA + "qat:\n  weight_dtype: int4\n"), "qat.weight_dtype")
    assert kind == "unknown" and "leaves the head" in why


def test_nothing_of_it_is_passed_to_trl(read: Bring) -> None:
    imported = read(LORA + "dataset_num_proc: 4\nflash_attention: true\nwandb_name: x\n")
    assert not lost(imported)
    assert "native" not in imported.composed.text
    assert imported.composed.values["model.attention"] == "flash_attention_2"


@pytest.mark.parametrize(("word", "loss"), [("dpo", "sigmoid"), ("ipo", "ipo")])
def test_preferences(read: Bring, word: str, loss: str) -> None:
    text = LORA.replace("type: chat_template", "type: chatml.intel")
    imported = read(f"{text}rl: {word}\nrl_beta: 0.2\n")
    found = imported.composed.values
    assert found["method.objective.type"] == "dpo"
    assert found["method.objective.beta"] == 0.2
    assert found["method.objective.loss"] == loss
    (source,) = found["data.train"]
    assert "{{ question }}" in source["template"]["prompt"]


def test_a_loss_weighed_by_entropy(read: Bring) -> None:
    said = "use_eaft: true\neaft_alpha: 0.5\neaft_k: 30\ngradient_accumulation_steps: 4\n"
    imported = read(LORA + said)
    assert not lost(imported)
    objective = imported.composed.spec.method.objective
    found = {name: getattr(objective, f"entropy_{name}") for name in ("power", "tokens", "scale")}
    assert (objective.loss, found) == ("eaft", {"power": 0.5, "tokens": 30, "scale": 1.0})
    # transformers counts the tokens of all passes for a loss that is handed to it
    assert objective.average == "tokens"
    assert fate(read(LORA + "eaft_k: 30\n"), "eaft_k")[0] == "inert"


def test_a_template_that_its_schema_refuses(read: Bring) -> None:
    assert "of a data set alone" in fate(read(LORA + "chat_template: phi_4\n"), "chat_template")[1]
    assert fate(read(LORA + "chat_template: phi_35\n"), "chat_template")[0] == "derived"


@pytest.mark.parametrize("name", ["cohere", "aya"])
def test_a_template_that_is_written_anew(read: Bring, name: str) -> None:
    imported = read(f"{LORA}chat_template: {name}\n")
    assert fate(imported, "chat_template")[0] == "derived"
    assert any("CHATBOT_TOKEN" in text for text in imported.files.values())


GROUPS = (
    "base_model: org/model\nrl: grpo\nlearning_rate: 1e-5\nmicro_batch_size: 4\nsequence_len: 512\n"
    "datasets:\n  - path: org/prompts\n    type: own.rows\ntrl:\n  max_completion_length: 128\n"
    "  reward_funcs: [own.format, pkg.more.right]\n  reward_weights: [1.0, 2.0]\n"
)


def test_completions_that_grpo_draws(read: Bring) -> None:
    said = (
        "  num_generations: 4\n  temperature: 0.7\n  beta: 0.001\n  loss_type: dr_grpo\n"
        "  scale_rewards: false\n  epsilon_high: 0.3\n  use_vllm: true\n  vllm_mode: colocate\n"
        "vllm:\n  gpu_memory_utilization: 0.5\n"
    )
    imported = read(GROUPS + said)
    objective = imported.composed.spec.method.objective
    assert (objective.loss, objective.scale, objective.beta) == ("dr-grpo", "none", 0.001)
    assert (objective.clip, objective.clip_high) == (0.2, 0.3)
    drawn = objective.generation
    assert (drawn.completions, drawn.max_length, drawn.temperature) == (4, 128, 0.7)
    assert (drawn.engine, drawn.memory) == ("vllm", 0.5)
    found = [(one.file, one.function, one.weight) for one in objective.rewards]
    assert found == [("./own.py", "format", 1), ("./pkg/more.py", "right", 2)]
    unread = [one.setting.key for one in imported.fates if not one.faithful]
    assert unread == ["sequence_len", "datasets[0].type"]


def test_rewards_that_are_scaled_apart(read: Bring) -> None:
    apart = GROUPS.replace("rl: grpo", "rl: gdpo")
    said = "  multi_objective_aggregation: normalize_then_sum\n"
    for text in (apart, apart + said, GROUPS + said, GROUPS + said + "  scale_rewards: false\n"):
        imported = read(text)
        assert imported.composed.spec.method.objective.aggregation == "normalize-then-sum"
        assert all(
            one.faithful for one in imported.fates if one.setting.key.startswith(("rl", "trl."))
        )
    assert read(GROUPS).composed.spec.method.objective.aggregation == "sum-then-normalize"
    summed = said.replace("normalize_then_sum", "sum_then_normalize")
    assert fate(read(apart + summed), "trl.multi_objective_aggregation")[0] == "unknown"


@pytest.mark.parametrize(
    ("said", "key", "kind", "found"),
    [
        ("early_stopping_patience: 2\n", "early_stopping_patience", "renamed", ("best", 2)),
        ("load_best_model_at_end: true\n", "load_best_model_at_end", "renamed", ("best", None)),
        ("load_best_model_at_end: null\n", "load_best_model_at_end", "renamed", ("best", None)),
        ("load_best_model_at_end: false\n", "load_best_model_at_end", "inert", ("last", None)),
        (
            "early_stopping_patience: 2\nsave_steps: 9\n",
            "early_stopping_patience",
            "unknown",
            ("last", None),
        ),
        (
            "load_best_model_at_end: true\nmetric_for_best_model: accuracy\n",
            "metric_for_best_model",
            "unknown",
            ("best", None),
        ),
    ],
)
def test_the_best_weights(
    read: Bring, said: str, key: str, kind: str, found: tuple[str, int | None]
) -> None:
    saved = "" if "save_steps" in said else "save_steps: 8\n"
    imported = read(f"{LORA}val_set_size: 0.1\neval_steps: 4\n{saved}{said}")
    assert fate(imported, key)[0] == kind
    values = imported.composed.values
    assert (values["train.keep"], values.get("train.early_stopping")) == found


def test_a_mixture_that_is_balanced_by_its_own_weight(read: Bring) -> None:
    said = f"{LORA}model_config:\n  output_router_logits: "
    imported = read(f"{said}true\n")
    assert not lost(imported)
    assert imported.composed.spec.model.experts.balance_loss == "model"
    assert read(f"{said}false\n").composed.values["model.experts.balance_loss"] == 0
    preferred = f"{LORA}rl: dpo\nmodel_config:\n  output_router_logits: true\n"
    assert fate(read(preferred), "model_config.output_router_logits")[0] == "unknown"


@pytest.mark.parametrize(
    ("lines", "save", "every"),
    [
        ("saves_per_epoch: 2\nevals_per_epoch: 4\nnum_epochs: 2\n", 0.25, 0.125),
        # at the end of all epochs would be a share of 1, which normalize_config leaves out
        ("saves_per_epoch: 1\nevals_per_epoch: 1\nnum_epochs: 1\n", "epoch", None),
        ("save_steps: 0.1\neval_steps: 50\nmax_steps: 100\n", 0.1, 50),
        ("save_strategy: 'no'\neval_strategy: epoch\n", None, "epoch"),
        ("eval_strategy: steps\nlogging_steps: 7\n", "epoch", 7),
    ],
)
def test_how_often_it_saves_and_evaluates(read: Bring, lines: str, save: Any, every: Any) -> None:
    text = f"base_model: org/model\nadapter: lora\nval_set_size: 0.1\n{lines}"
    values = read(text).composed.values
    assert (values["train.save_steps"], values["train.eval_steps"]) == (save, every)


def test_a_constant_rate_has_no_warm_up(read: Bring) -> None:
    """transformers' `constant` ignores it: another schedule would have it."""
    text = "base_model: org/model\nadapter: lora\nlr_scheduler: constant\n"
    for said in ("warmup_steps: 10\n", "warmup_ratio: 0.1\n", ""):
        found = read(text + said)
        values = found.composed.values
        assert (values["train.schedule.type"], values["train.warmup_steps"]) == ("constant", 0)
        assert values["train.warmup_ratio"] is None
        assert {one.kind for one in found.fates if "warmup" in one.setting.key} <= {"inert"}
