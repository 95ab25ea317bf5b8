"""LLaMA-Factory's configs: what is there, and what a missing key means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ftspec.errors import SpecError
from ftspec.spec.load import loads
from tests.port.conftest import Bring, fate

LEAST = """\
model_name_or_path: org/model
stage: sft
do_train: true
dataset: alpaca_en_demo
output_dir: saves/one
"""


@pytest.mark.parametrize(
    ("more", "path", "value"),
    [
        # nothing written: what LLaMA-Factory 0.9.5 assumes, not what ftspec would
        ("", "method.tuner.rank", 8),
        ("", "method.tuner.alpha", 16),
        ("lora_rank: 32", "method.tuner.alpha", 64),
        ("lora_rank: 32\nlora_alpha: 16", "method.tuner.alpha", 16),
        ("", "method.tuner.targets", "all-linear"),
        ("", "data.max_length", 2048),
        ("", "model.chat_template", "tokenizer"),
        ("template: qwen", "model.chat_template", "qwen"),
        ("", "train.learning_rate", 5e-5),
        ("", "train.epochs", 3.0),
        ("", "train.micro_batch_size", 8),
        ("", "train.batch_size", 8),
        ("", "train.schedule.type", "linear"),
        ("", "train.warmup_steps", 0),
        ("", "train.logging_steps", 500),
        ("", "train.save_steps", 500),
        ("", "precision.compute", "fp32"),
        ("finetuning_type: full", "method.tuner.type", "full"),
        ("bf16: true", "precision.compute", "bf16"),
        ("warmup_ratio: 0.1", "train.warmup_ratio", 0.1),
        ("warmup_ratio: 0.1\nwarmup_steps: 7", "train.warmup_ratio", 0.1),
        ("learning_rate: 1e-4", "train.learning_rate", 1e-4),
        ("learning_rate: 1_0.0e-5", "train.learning_rate", 1e-4),
        ("seed: 014", "train.seed", 12),
        ("shuffle: 1\ndisable_shuffling: yes", "data.shuffle", False),
        ("flash_attn: fa2", "model.attention", "flash_attention_2"),
        ("flash_attn: auto", "model.attention", "sdpa"),
        ("lora_target: q_proj, v_proj", "method.tuner.targets", ("q_proj", "v_proj")),
        ("lora_target: [q_proj, v_proj]", "method.tuner.targets", ("q_proj", "v_proj")),
        ("train_on_prompt: true", "data.train_on", "all"),
        ("mask_history: true", "data.train_on", "completions"),
        ("max_steps: 9", "train.steps", 9),
        ("neat_packing: true", "data.packing", "documents"),
        # with packing, its own parser takes one token off
        ("neat_packing: true", "data.max_length", 2047),
        ("neat_packing: true\ncutoff_len: 1024", "data.max_length", 1023),
        ("packing: true", "data.packing", "together"),
        ("packing: true", "data.max_length", 2047),
        ("packing: true\ncutoff_len: 1024\nneat_packing: false", "data.max_length", 1023),
        ("report_to: wandb", "output.trackers", ("wandb",)),
    ],
)
def test_a_value_and_a_missing_one(read: Bring, more: str, path: str, value: Any) -> None:
    imported = read(LEAST + more)
    assert imported.composed.values[path] == value


def test_the_spec_is_one_that_a_person_would_have_written(read: Bring) -> None:
    imported = read(
        LEAST + "lora_rank: 32  # as in the paper\nlearning_rate: 1.0e-4\nbf16: true\n"
        "per_device_train_batch_size: 2\ngradient_accumulation_steps: 8\nlogging_steps: 10\n"
        "save_strategy: epoch\nlr_scheduler_type: cosine\nwarmup_ratio: 0.03\nnum_train_epochs: 1\n",
        devices=4,
    )
    assert imported.composed.text == (
        "version: 1\n"
        "model: org/model\n"
        "data:\n"
        "  train:\n"
        "    path: data/alpaca_en_demo.json\n"
        "    format: alpaca\n"
        "  max_length: 2048\n"  # left out, it would be the model's own where that is less
        "  overflow: truncate-turns\n"
        "method:\n"
        "  tuner:\n"
        "    type: lora\n"
        "    rank: 32  # as in the paper\n"
        "train:\n"
        "  epochs: 1\n"
        "  batch_size: 64\n"
        "  micro_batch_size: 2\n"
        "  learning_rate: 0.0001\n"
        "  warmup_ratio: 0.03\n"
        "  save_steps: epoch\n"
        "hardware:\n"
        "  devices: 4\n"
        "output: saves/one\n"
    )
    assert imported.faithful
    assert loads(imported.composed.text).spec == imported.composed.spec


@pytest.mark.parametrize(
    ("key", "value", "kind", "why"),
    [
        ("cutoff_len", "1024", "exact", ""),
        ("evaluation_strategy", "'no'", "renamed", ""),
        ("warmup_ratio", "0.1", "renamed", ""),
        ("plot_loss", "true", "inert", "shown"),
        ("ddp_timeout", "180000000", "inert", "fast"),
        ("save_only_model", "false", "inert", ""),
        ("freeze_vision_tower", "true", "inert", "no row has images"),
        ("hub_token", "hf_abcdef", "inert", "secret"),
        ("template", "llama3", "exact", ""),
        ("template", "qwen2_vl", "exact", ""),
        ("template", "vicuna", "approximated", "plain words"),
        ("template", "glm4", "approximated", "end of an answer"),
        ("max_samples", "1000", "derived", "each source"),
        ("val_size", "0.1", "derived", "held out"),
        ("val_size", "0.1\neval_strategy: epoch", "exact", ""),
        ("eval_dataset", "nobody_knows", "inert", "no evaluation is asked for"),
        ("use_llama_pro", "true", "unknown", "every n-th layer"),
        ("adapter_name_or_path", "a, b", "unknown", "merges all but the last"),
        ("bf16", "'false'", "unknown", "any text is yes"),
        ("quantization_type", "fp4", "inert", "without quantization_bit"),
        ("weight_decay", "0.1\nuse_badam: true", "inert", "decays weights by 0.01"),
        ("val_size", "1", "unknown", "stops"),
        ("no_such_key", "1", "unknown", "no such setting"),
        ("lr_scheduler_type", "reduce_lr_on_plateau", "unknown", "not in a spec"),
        ("learning_rate", "fast", "unknown", "no number"),
        ("lora_target", "5", "unknown", ""),
        ("save_steps", "[1]", "unknown", ""),
    ],
)
def test_each_setting_has_one_fate(read: Bring, key: str, value: str, kind: str, why: str) -> None:
    imported = read(f"{LEAST}{key}: {value}\n")
    assert fate(imported, key)[0] == kind
    assert why in fate(imported, key)[1]
    keys = [found.setting.key for found in imported.fates]
    assert len(keys) == len(set(keys)) == 6 + value.count("\n")


def test_what_is_not_understood_stands_in_the_spec_with_its_line(read: Bring) -> None:
    text = read(LEAST + "val_size: 1\n").composed.text
    assert "# TODO: not understood, so not in this spec:\n#   line 6: val_size: 1" in text


def test_a_limit_is_one_of_each_source(read: Bring) -> None:
    imported = read(
        LEAST.replace("alpaca_en_demo", "alpaca_en_demo, alpaca_zh_demo")
        + "max_samples: 9\nval_size: 0.1\neval_strategy: steps\neval_steps: 5\n"
    )
    data = imported.composed.spec.data
    assert [source.limit for source in data.train] == [9, 9]
    assert data.eval_size == 0.1
    assert imported.composed.spec.train.eval_steps == 5
    unknown = read(LEAST.replace("alpaca_en_demo", "mine") + "max_samples: 9\n")
    assert fate(unknown, "max_samples")[0] == "derived"
    assert "path: TODO.jsonl\n    limit: 9\n" in unknown.composed.text
    assert any("which data" in question for question in unknown.composed.open)


def test_a_saved_adapter_brings_its_own_settings(read: Bring) -> None:
    imported = read(LEAST + "adapter_name_or_path: saves/before\ncreate_new_adapter: false\n")
    tuner = imported.composed.spec.method.tuner
    assert getattr(tuner, "adapter", None) == "saves/before"
    assert "rank" not in imported.composed.text
    assert fate(imported, "adapter_name_or_path")[0] == "exact"


def test_a_secret_is_written_nowhere(read: Bring) -> None:
    from ftspec.report.port import as_json, lines

    imported = read(LEAST + "hub_token: hf_canary\nswanlab_api_key: sk_canary\n")
    told = imported.composed.text + "\n".join(lines(imported, True)) + json.dumps(as_json(imported))
    assert "canary" not in told


@pytest.mark.parametrize(
    ("word", "method"),
    [
        ("stage: dpo", "method:\n  objective: dpo\n  tuner:\n    type: lora\n    rank: 8\n"),
        ("finetuning_type: freeze", "method:\n  tuner: freeze\n"),
    ],
)
def test_a_method_that_ftspec_has_not_keeps_its_name(read: Bring, word: str, method: str) -> None:
    """Never a guess: the spec asks for what the source asks for, and `validate` says what is missing."""
    imported = read(LEAST.replace("stage: sft\n", "") + word + "\n")
    if fate(imported, word.split(":", 1)[0])[0] == "unknown":
        assert method in imported.composed.text
        assert "is not in ftspec yet" in imported.composed.text
        with pytest.raises(SpecError):
            loads(imported.composed.text)


INFO = {
    "mine": {"file_name": "mine.jsonl"},
    "chat": {
        "hf_hub_url": "org/chat",
        "split": "train_sft",
        "formatting": "sharegpt",
        "columns": {"messages": "talk"},
        "tags": {
            "role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"
        },
    },
    "shares": {"file_name": "shares.json", "formatting": "sharegpt"},
    "asked": {
        "file_name": "asked.csv",
        "columns": {"prompt": "question", "query": "context", "response": "answer"},
    },
    "bare": {"file_name": "bare.json", "columns": {"prompt": "question", "response": "answer"}},
    "pairs": {"file_name": "pairs.json", "ranking": True},
    "ranked": {"file_name": "ranked.json", "ranking": True, "formatting": "sharegpt", "columns": {
        "messages": "conversations", "chosen": "better", "rejected": "rejected"}},
    "judged": {"file_name": "judged.json", "ranking": True, "columns": {
        "prompt": "instruction", "query": "input", "chosen": "chosen", "rejected": "worse"}},
    "system": {"file_name": "s.json", "columns": {
        "prompt": "instruction", "query": "input", "response": "output", "system": "system"}},
    "modelscope": {"ms_hub_url": "org/there"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("mine", {"path": "data/mine.jsonl", "format": "alpaca"}),
        ("chat", {"hub": "org/chat", "split": "train_sft", "format": "messages",
                  "columns": {"messages": "talk"}}),
        ("shares", {"path": "data/shares.json", "format": "sharegpt"}),
        ("asked", {"path": "data/asked.csv", "format": "alpaca",
                   "columns": {"instruction": "question", "input": "context", "output": "answer"}}),
        ("bare", {"path": "data/bare.json", "template": {
            "user": "{{ question or '' }}", "assistant": "{{ answer or '' }}"}}),
        ("system", {"path": "data/s.json", "format": "alpaca"}),
        ("ranked", {"path": "data/ranked.json", "format": "sharegpt-ranking",
                    "columns": {"chosen": "better"}}),
        ("judged", {"path": "data/judged.json", "format": "alpaca-ranking",
                    "columns": {"rejected": "worse"}}),
    ],
)  # fmt: skip
def test_an_entry_of_dataset_info(read: Bring, name: str, source: dict[str, Any]) -> None:
    imported = read(
        LEAST.replace("alpaca_en_demo", name), other={"dataset_info.json": json.dumps(INFO)}
    )
    (found,) = imported.composed.spec.data.train
    assert found.model_dump(exclude_defaults=True) == source
    assert imported.counts.get("unknown", 0) == 0


def test_tags_without_a_system_tag_leave_rows_out(read: Bring) -> None:
    """Seen in a run: 13 of 64 chats were left out, those that begin with a system turn."""
    imported = read(
        LEAST.replace("alpaca_en_demo", "chat"), other={"dataset_info.json": json.dumps(INFO)}
    )
    kind, why = fate(imported, "dataset")
    assert kind == "approximated"
    assert "system_tag" in why
    assert not imported.faithful


@pytest.mark.parametrize("name", ["pairs", "modelscope", "absent"])
def test_an_entry_that_a_spec_cannot_say(read: Bring, name: str) -> None:
    imported = read(
        LEAST.replace("alpaca_en_demo", name), other={"dataset_info.json": json.dumps(INFO)}
    )
    kind, why = fate(imported, "dataset")
    assert kind == "unknown"
    assert name in why
    assert "TODO: which data?" in imported.composed.text


@pytest.mark.parametrize("version", ["0.9.3", "0.9.4"])
def test_older_versions_have_their_own_defaults(read: Bring, version: str) -> None:
    found = read(LEAST, version=f"llamafactory=={version}")
    newest = read(LEAST)
    assert found.composed.values == newest.composed.values  # the same run, on one device
    assert "optimizer" not in " ".join(found.notes)
    several = any("average_tokens_across_devices" in note for note in found.notes)
    assert several == (version == "0.9.3")  # its transformers averaged the means of devices


def test_versions_whose_defaults_are_not_known_are_refused(read: Bring) -> None:
    assert read(LEAST, version="llamafactory==0.9.5").composed.values["method.tuner.rank"] == 8
    with pytest.raises(SpecError, match="not known"):
        read(LEAST, version="llamafactory==0.1.2")
    with pytest.raises(SpecError, match="names no framework"):
        read(LEAST, version="trl==1.16.0")


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("stage: sft\nstage: pt\n", "twice", 2),
        ("stage: [\n", "not YAML", 2),
        ("- stage\n", "a mapping", 1),
        ("stage: !!python/object:os.system x\n", "tag", 1),
        ("a: 1\nb: 2\n", "not in a format that is known", 0),
        ("", "the file is empty", 0),
        ('{"model_type": "llama", "architectures": ["X"]}', "the config.json of a model", 0),
    ],
)
def test_a_file_that_cannot_be_read_says_where(
    read: Bring, text: str, message: str, line: int
) -> None:
    with pytest.raises(SpecError, match=message) as raised:
        read(text)
    (problem,) = raised.value.problems
    assert problem.file.endswith("config.yaml")
    assert problem.line == line


@pytest.mark.parametrize("rest", ["train_dataset: data/a.yaml\n", "peft_config: {name: lora}\n"])
@pytest.mark.parametrize("how", [{}, {"wanted": "llamafactory"}])
def test_the_config_of_its_other_trainer_is_told(
    read: Bring, rest: str, how: dict[str, str]
) -> None:
    with pytest.raises(SpecError, match="rewritten trainer"):
        read(f"model: org/model\n{rest}cutoff_len: 2048\nlearning_rate: 1.0e-4\n", **how)


def test_of_several_data_sets_those_that_are_known_stay(read: Bring) -> None:
    least = LEAST.replace("alpaca_en_demo", "mllm_video_demo,identity,strange") + "max_samples: 5\n"
    imported = read(least)
    kind, why = fate(imported, "dataset")
    assert (
        kind == "unknown"
        and "videos" in why
        and "'strange' stands in data/dataset_info.json" in why
    )
    (source,) = imported.composed.spec.data.train
    assert (source.path, source.limit) == ("data/identity.json", 5)
    assert fate(imported, "max_samples")[0] == "derived"


@pytest.mark.parametrize(
    ("said", "kind", "why"),
    [("false", "inert", "nothing is resumed"), ("true", "unknown", "name that folder")],
)
def test_to_resume_or_not_is_no_folder(read: Bring, said: str, kind: str, why: str) -> None:
    """transformers' train() takes false for null, and true for the last checkpoint."""
    imported = read(LEAST + f"resume_from_checkpoint: {said}\n")
    found = fate(imported, "resume_from_checkpoint")
    assert found[0] == kind
    assert why in found[1]
    assert imported.composed.values.get("train.resume") is None


def test_blanks_between_names_are_none_of_them(read: Bring) -> None:
    imported = read(
        LEAST + "lora_target: q_proj, v_proj\nadditional_target: embed_tokens, lm_head\n"
    )
    assert imported.faithful
    assert imported.composed.values["method.tuner.targets"] == ("q_proj", "v_proj")


def test_some_of_the_data_sets_are_not_what_trains(read: Bring) -> None:
    """It was a port with `--allow-lossy`, of the one that is known alone."""
    imported = read(LEAST.replace("alpaca_en_demo", "alpaca_en_demo,mine"))
    (asked,) = imported.composed.open
    assert asked.startswith("data.train: 'mine' stands in")
