"""LLaMA-Factory's configs of other years, and what a stage makes of a setting."""

from __future__ import annotations

from typing import Any

import pytest

from tests.port.conftest import Bring, fate
from tests.port.test_llamafactory_found import OLD, TRAIN

LEAST = """\
model_name_or_path: org/model
do_train: true
dataset: alpaca_en_demo, identity
output_dir: saves/one
"""
SFT = f"{LEAST}stage: sft\n"
PT = f"{LEAST}stage: pt\n"


@pytest.mark.parametrize(
    ("config", "path", "value"),
    [
        (SFT + "checkpoint_dir: saved\n", "method.tuner.adapter", "saved"),
        (
            SFT + "checkpoint_dir: saved\nresume_lora_training: true\n",
            "method.tuner.adapter",
            "saved",
        ),
        (
            SFT + "finetuning_type: full\nuse_badam: true\nswitch_mode: descending\n",
            "train.optimizer.order",
            "descending",
        ),
        (
            SFT + "finetuning_type: full\nuse_badam: true\nswitch_block_every: 7\n",
            "train.optimizer.switch_steps",
            7,
        ),
        (SFT + "dev_ratio: 0.1\n", "data.eval_size", 0.1),
        (SFT + "neft_alpha: 5\n", "train.neftune_alpha", 5),
        (SFT + "system_prompt: Be brief.\n", "data.system", "Be brief."),
        (LEAST + "stage: orpo\norpo_beta: 0.2\n", "method.objective.type", "orpo"),
        (LEAST + "stage: orpo\norpo_beta: 0.2\n", "method.objective.beta", 0.2),
        (LEAST + "stage: dpo\ndpo_beta: 0.2\n", "method.objective.beta", 0.2),
        (PT + "max_source_length: 512\n", "data.max_length", 512),
        (SFT + "train_sampling_strategy: sequential\n", "data.shuffle", False),
        # plain texts get a template's end of a text, and nothing else of it
        (PT + "template: qwen\n", "model.special_tokens.eos", "<|im_end|>"),
        (PT + "template: llama3\n", "model.special_tokens.eos", "<|end_of_text|>"),
        (PT + "template: qwen\n", "model.chat_template", "tokenizer"),
        (PT + "template: default\n", "model.chat_template", "tokenizer"),
    ],
)
def test_what_it_was_called_or_meant(read: Bring, config: str, path: str, value: Any) -> None:
    assert read(config).composed.values[path] == value


@pytest.mark.parametrize(
    ("config", "key", "kind", "why"),
    [
        (SFT + "resume_lora_training: false\n", "resume_lora_training", "inert", "no saved"),
        (
            SFT + "checkpoint_dir: a\nresume_lora_training: false\n",
            "resume_lora_training",
            "unknown",
            "trains a new one",
        ),
        (
            SFT + "adapter_name_or_path: a\ncreate_new_adapter: true\n",
            "create_new_adapter",
            "unknown",
            "trains a new one",
        ),
        (SFT + "max_source_length: 512\n", "max_source_length", "unknown", "cutoff_len"),
        (SFT + "max_target_length: 512\n", "max_target_length", "unknown", "cutoff_len"),
        (SFT + "reserved_label_len: 1\n", "reserved_label_len", "approximated", "too long"),
        (SFT + "split: train\n", "split", "inert", "each data set"),
        (SFT + "split: test\n", "split", "unknown", "dataset_info"),
        (SFT + "ray_run_name: a\n", "ray_run_name", "inert", "processes"),
        (SFT + "resources_per_worker: {GPU: 1}\n", "resources_per_worker.GPU", "inert", "process"),
        (SFT + "template: qwen2\n", "template", "unknown", "no template of that name"),
        (PT + "template: qwen2\n", "template", "unknown", "no template of that name"),
        (PT + "template: default\n", "template", "inert", "written without it"),
        (PT + "default_system: Be brief.\n", "default_system", "inert", "no system"),
        (PT + "template: qwen3\nenable_thinking: false\n", "enable_thinking", "inert", "thoughts"),
        (SFT + "mix_strategy: interleave_under\n", "mix_strategy", "unknown", "by turns"),
        (
            SFT + "mix_strategy: interleave_over\ninterleave_probs: 0.5,0.5\n",
            "interleave_probs",
            "unknown",
            "by chance",
        ),
        (
            SFT.replace(", identity", "") + "mix_strategy: interleave_under\n",
            "mix_strategy",
            "inert",
            "one data set",
        ),
        (SFT + "mix_strategy: concat\n", "mix_strategy", "exact", ""),
        (
            SFT + "neftune_noise_alpha: 0\n",
            "neftune_noise_alpha",
            "approximated",
            "noise of nothing",
        ),
        (
            SFT + "neftune_noise_alpha: 0\nlora_dropout: 0.1\n",
            "neftune_noise_alpha",
            "approximated",
            "dropout draws others",
        ),
        (SFT + "bf16: true\npure_bf16: true\n", "bf16", "inert", "pure_bf16"),
        (SFT + "group_by_length: true\n", "group_by_length", "renamed", ""),
        (
            SFT + "group_by_length: true\ndisable_shuffling: true\n",
            "group_by_length",
            "inert",
            "stay in their order",
        ),
        (
            SFT + "group_by_length: true\ndata_seed: 7\n",
            "data_seed",
            "inert",
            "drawn by the trainer's seed",
        ),
        (
            SFT.replace("stage: sft", "stage: dpo") + "train_sampling_strategy: group_by_length\n",
            "train_sampling_strategy",
            "unknown",
            "transformers stops",
        ),
        (SFT + "group_by_length: false\n", "group_by_length", "inert", "random order"),
        (
            SFT + "train_sampling_strategy: group_by_length\n",
            "train_sampling_strategy",
            "exact",
            "",
        ),
        (
            SFT.replace("alpaca_en_demo", "mine") + "dataset_dir: x\n",
            "dataset",
            "unknown",
            "'mine', 'identity' stand in x/dataset_info.json: give that file as well",
        ),
        (SFT + "val_size: 9\npredict_with_generate: true\n", "predict_with_generate", "inert", ""),
        (
            SFT + "val_size: 9\npredict_with_generate: true\nload_best_model_at_end: true\n",
            "predict_with_generate",
            "unknown",
            "no loss",
        ),
    ],
)
def test_what_becomes_of_it(read: Bring, config: str, key: str, kind: str, why: str) -> None:
    found = fate(read(config), key)
    assert found[0] == kind
    assert why in found[1]


def test_an_older_name_of_bitsandbytes_is_read_and_told(read: Bring) -> None:
    imported = read(SFT + "quantization_bit: 4\nquantization_method: bitsandbytes\nbf16: true\n")
    assert imported.composed.values["model.quantization.type"] == "nf4"
    assert fate(imported, "quantization_method")[0] == "renamed"
    assert any("train over whole weights" in one for one in imported.notes)


@pytest.mark.parametrize(
    "folder", ["data", "./data", "/srv/LLaMA-Factory/data", "LlamaFactory/data/"]
)
def test_its_own_folder_of_data_is_known(read: Bring, folder: str) -> None:
    (_, source) = read(SFT + f"dataset_dir: {folder}\n").composed.values["data.train"]
    assert source["path"].endswith("data/identity.json")


def test_rows_that_are_held_out_for_nothing_are_told(read: Bring) -> None:
    assert any("evaluates on none" in one for one in read(SFT + "val_size: 0.1\n").notes)


def test_a_column_without_a_name_is_none(read: Bring) -> None:
    columns = '{"prompt": "asked", "query": "", "response": "said"}'
    info = f'{{"alpaca_en_demo": {{"file_name": "a.json", "columns": {columns}}}}}'
    config = SFT.replace(", identity", "") + "dataset_dir: .\n"
    (source,) = read(config, other={"dataset_info.json": info}).composed.values["data.train"]
    assert source["columns"] == {}
    assert source["template"]["user"] == "{{ asked or '' }}"


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            "adapter_name_or_path: a\nexport_dir: merged\n",
            "`llamafactory-cli export` writes a model",
        ),
        ("adapter_name_or_path: a\ninfer_backend: vllm\n", "for chatting, serving or writing"),
        ("stage: sft\ndataset: identity\n", "do_train is not set"),
        ("stage: dpo\nlearning_rate: 5.0e-7\n", "do_train is not set"),
        ("stage: sft\ndataset: identity\ndo_predict: true\n", "it evaluates or predicts"),
        ("task: mmlu_test\nsave_dir: x\n", "`llamafactory-cli eval` measures a model by it"),
    ],
)
def test_what_trains_nothing_is_told_in_one_sentence(read: Bring, config: str, told: str) -> None:
    imported = read(f"model_name_or_path: org/model\ntemplate: qwen\n{config}")
    (sentence,) = imported.composed.open
    assert sentence.startswith("this file trains nothing: ") and told in sentence
    assert imported.notes == ()


def test_pure_bf16_beside_bf16_is_weights_in_bfloat16(read: Bring) -> None:
    imported = read(SFT + "finetuning_type: full\nbf16: true\npure_bf16: true\n")
    assert imported.composed.values["precision.compute"] == "bf16-pure"


def test_probabilities_are_not_kept_without_what_they_belong_to(read: Bring) -> None:
    imported = read(SFT + "mix_strategy: interleave_over\ninterleave_probs: 0.5,0.5\n")
    assert "interleave_probs" not in imported.parts[0].native


@pytest.mark.parametrize(
    ("variable", "asked"),
    [
        ("USE_MODELSCOPE_HUB=1", "those of ModelScope"),
        ("USE_RAY=1", "ray_num_workers"),
        ("USE_MCA=true", "Megatron"),
        ("USE_RAY=0", ""),
        ("FORCE_TORCHRUN=1", ""),
    ],
)
def test_variables_that_change_what_trains_are_asked_about(
    read: Bring, variable: str, asked: str
) -> None:
    script = (
        f"export {variable}\nllamafactory-cli train --stage sft --do_train --dataset identity\n"
    )
    found = [one for one in read(script, "run.sh").composed.open if variable in one]
    assert [asked in one for one in found] == ([True] if asked else [])


@pytest.mark.parametrize(
    ("packed", "kind"),
    [
        ("--packing", "unknown"),
        ("--sft_packing", "unknown"),
        ("--sft_packing False", "inert"),
        ("--sft_packing --stage pt", "inert"),
    ],
)
def test_packing_up_to_07_cut_conversations_anywhere(read: Bring, packed: str, kind: str) -> None:
    imported = read(f"{OLD} {packed}", "run.sh")
    assert fate(imported, packed.split(maxsplit=1)[0].strip("-"))[0] == kind
    assert imported.composed.values.get("data.packing") in (None, "blocks")
    told = any("a row that was too long" in note for note in imported.notes)
    assert told == ("pt" not in packed)


@pytest.mark.parametrize(
    ("before", "asked"),
    [
        ("NNODES=$WORKERS", "NNODES"),
        ("export NNODES=$N NPROC_PER_NODE=8\n", "NNODES"),
        ("NNODES=1 NPROC_PER_NODE=$GPUS", "NPROC_PER_NODE"),
        ("NNODES=2 NPROC_PER_NODE=8", ""),
        ("CUDA_VISIBLE_DEVICES=$GPUS", ""),
    ],
)
def test_a_count_that_only_the_shell_knows_is_asked_for(
    read: Bring, before: str, asked: str
) -> None:
    words = TRAIN.replace("src/train.py", "llamafactory-cli train")
    imported = read(f"{before} {words}" if before[-1] != "\n" else before + words, "run.sh")
    questions = [one for one in imported.composed.open if "only the shell knows" in one]
    assert len(questions) == bool(asked) and asked in "".join(questions)


ASKED_AS = "You are a helpful assistant."


@pytest.mark.parametrize(
    ("more", "system"),
    [
        ("--template qwen", ASKED_AS),
        ("--template llama3", ASKED_AS),
        ("--template chatml", None),
        ("--template qwen --system_prompt hi", "hi"),
        ("--template qwen --stage pt", None),
    ],
)
def test_templates_of_old_releases_had_system_prompts_of_their_own(
    read: Bring, more: str, system: str | None
) -> None:
    imported = read(f"{OLD.replace('--template qwen', '')} {more}", "run.sh")
    assert imported.composed.values.get("data.system") == system


@pytest.mark.parametrize(
    ("template", "key", "kind", "told"),
    [
        ("qwen", "image_resolution: 512", "approximated", "line break"),
        ("gemma", "image_resolution: 512", "approximated", "other tokens"),
        ("mllama", "image_resolution: 512", "exact", ""),
        ("qwen2_vl", "evaluation_strategy: 'no'", "exact", "line break"),
        ("qwen2_vl", "eval_strategy: 'no'", "exact", ""),
        ("minicpm_o", "evaluation_strategy: 'no'", "approximated", "other tokens"),
    ],
)
def test_what_a_template_wrote_once(
    read: Bring, template: str, key: str, kind: str, told: str
) -> None:
    imported = read(SFT + f"template: {template}\n{key}\n")
    assert fate(imported, "template")[0] == kind
    assert told in fate(imported, "template")[1]
    if told and kind == "exact":
        assert any(told in note for note in imported.notes)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        (SFT + "split: train\n", True),
        (SFT + "evaluation_strategy: 'no'\n", True),
        (SFT, False),
        (PT + "split: train\n", False),
        (SFT + "template: qwen\nsplit: train\n", False),
    ],
)
def test_no_template_was_none_up_to_091(read: Bring, text: str, asked: bool) -> None:
    questions = [one for one in read(text).composed.open if "template is not said" in one]
    assert len(questions) == asked


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("all-linear", "unknown"),
        ("q_proj v_proj", "unknown"),
        ("q_proj, v_proj", "exact"),
        ("all", "exact"),
    ],
)
def test_what_is_the_name_of_no_layer(read: Bring, target: str, kind: str) -> None:
    found = fate(read(SFT + f"template: gemma\nlora_target: {target}\n"), "lora_target")
    assert found[0] == kind and ("name of no layer" in found[1]) == (kind == "unknown")


PACKED = "packing: true\ncutoff_len: 1024\n"


@pytest.mark.parametrize(
    ("config", "length", "kind"),
    [
        (f"{PT}{PACKED}train_mm_proj_only: false\n", 1024, "derived"),
        (f"{PT}{PACKED}new_special_tokens: <a>\n", 1024, "derived"),
        (f"{PT}{PACKED}evaluation_strategy: 'no'\n", 1023, "approximated"),
        (f"{SFT}{PACKED}train_mm_proj_only: false\n", 1023, "approximated"),
        (f"{SFT}{PACKED}new_special_tokens: <a>\n", 1024, "approximated"),
        (f"{SFT}{PACKED}split: train\n", 1024, "derived"),
        (f"{SFT}{PACKED}", 1023, "derived"),
    ],
)
def test_a_token_that_packing_takes_off(read: Bring, config: str, length: int, kind: str) -> None:
    imported = read(config)
    assert imported.composed.values["data.max_length"] == length
    assert fate(imported, "cutoff_len")[0] == kind
