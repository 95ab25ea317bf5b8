"""Further pairs: a config in its own framework, and its port in another, with other methods and tuners."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ftspec.emit import yaml
from ftspec.env.install import ensure
from ftspec.port.carry import carry
from ftspec.registry import load as load_backend
from ftspec.verify.prove import as_run
from ftspec.verify.verify import Run
from ftspec_axolotl.data import FRESH
from ftspec_axolotl.emit import CONFIG
from tests.real.conftest import Lab, keep_pair
from tests.real.test_ported import CHATS, PAIRS, PREFERENCE, PUBLISHED, SCRIPT, SMALL, UNSLOTH

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]

FULL = {
    # examples/train_full/qwen3_full_sft.yaml, without its engine
    **{key: value for key, value in PUBLISHED.items() if not key.startswith("lora_")},
    "finetuning_type": "full",
    "learning_rate": 1.0e-5,
}
KTO = {
    # examples/train_lora/llama3_lora_kto.yaml: good answers weigh more, so that a divergence counts, and it
    # is measured on the answers of a batch, as elsewhere, not of 1,000 rows
    **PUBLISHED,
    "stage": "kto",
    "pref_beta": 0.1,
    "kto_chosen_weight": 3.0,
    "kto_rejected_weight": 0.1,
    "learning_rate": 1.0e-2,
    "preprocessing_batch_size": 4,
    "disable_shuffling": True,
    "template": "chatml",
}
JUDGED = {
    "file_name": "../../specs/data/feedback.jsonl",
    "formatting": "sharegpt",
    "columns": {"messages": "messages", "kto_tag": "label"},
    "tags": CHATS["tags"],
}
ASKED = {"file_name": "asked.jsonl", "columns": {"prompt": "question", "response": "answer"}}
QUESTIONS = "".join(
    json.dumps({"question": f"What is {n} + {n}?", "answer": f"It is {2 * n}.", "input": "no"})
    + "\n"
    for n in range(12)
)
ADAPTER = 'adapter = LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM")\n'
FULL_SCRIPT = SCRIPT.replace(ADAPTER, "").replace(", peft_config=adapter", "")
OTHER_TOKENS = """\
tokenizer.eos_token = "<|im_start|>"
tokenizer.add_special_tokens({"pad_token": "<|endoftext|>"})
"""
PACKED_SCRIPT = SCRIPT.replace("pad_to_multiple_of=8", 'packing=True, packing_strategy="bfd"')


@dataclass(frozen=True)
class Pair:
    """An original: what stands in which file, and where it is ported to."""

    source: str
    target: str
    files: Mapping[str, str]
    held: Mapping[str, Any] = field(default_factory=dict)
    """What the spec between them must say."""
    sets: tuple[str, ...] = ()
    """What the folder is compiled from whose files the original takes the place of."""


def factory(
    config: Mapping[str, Any], rows: Mapping[str, Any] = CHATS, **small: Any
) -> Mapping[str, str]:
    """A config of LLaMA-Factory, shrunk, and its data sets."""
    text = yaml.dump([("all", {**config, **SMALL, **small})])
    return {"train.yaml": text, "dataset_info.json": json.dumps({"rows": rows})}


def script(text: str) -> Mapping[str, str]:
    return {"train.py": text}


CASES = {
    "llamafactory, all weights": Pair(
        "llamafactory", "trl", factory(FULL), {"method.tuner.type": "full"}
    ),
    "llamafactory, frozen but for a layer": Pair(
        "llamafactory",
        "trl",
        factory({**FULL, "finetuning_type": "freeze", "freeze_trainable_layers": 1}),
        {"method.tuner.type": "partial"},
    ),
    "llamafactory, qlora": Pair(
        "llamafactory",
        "trl",
        factory({**PUBLISHED, "quantization_bit": 4, "quantization_method": "bnb"}),
        {"model.quantization.type": "nf4"},
    ),
    "llamafactory, lora, to unsloth": Pair(
        "llamafactory", "unsloth", factory(PUBLISHED), {"method.tuner.alpha": 16}
    ),
    "llamafactory, rslora and dora, to deepspeed": Pair(
        "llamafactory",
        "deepspeed",
        factory({**PUBLISHED, "use_rslora": True, "use_dora": True}),
        {"method.tuner.dora": True},
    ),
    "llamafactory, a named template": Pair(
        "llamafactory",
        "trl",
        factory({**PUBLISHED, "template": "qwen"}),
        {"model.chat_template": "qwen"},
    ),
    "llamafactory, dpo, a named template": Pair(
        "llamafactory",
        "trl",
        factory({**PUBLISHED, **PREFERENCE, "template": "qwen3_nothink"}, PAIRS),
        {"method.objective.type": "dpo", "model.chat_template": "qwen3_nothink"},
    ),
    "llamafactory, questions and answers": Pair(
        "llamafactory",
        "trl",
        {**factory(PUBLISHED, ASKED), "asked.jsonl": QUESTIONS},
        {"data.train_on": "assistant"},
    ),
    "llamafactory, kto": Pair(
        "llamafactory",
        "trl",
        factory(
            KTO,
            JUDGED,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=1,
        ),
        {"method.objective.type": "kto", "method.objective.desirable_weight": 3.0},
    ),
    "llamafactory, tokens that are new": Pair(
        "llamafactory",
        "trl",
        factory({**PUBLISHED, "add_special_tokens": "<tool>, </tool>"}),
        {
            "model.new_tokens.tokens": ("<tool>", "</tool>"),
            "model.new_tokens.init": "noise",
            "method.tuner.modules_to_save": ("embed_tokens", "lm_head"),
        },
    ),
    "trl, other special tokens": Pair(
        "trl",
        "llamafactory",
        script(SCRIPT.replace("dataset =", f"{OTHER_TOKENS}dataset =", 1)),
        {"model.special_tokens.eos": "<|im_start|>", "model.special_tokens.pad": "<|endoftext|>"},
    ),
    "trl, all weights": Pair(
        "trl", "llamafactory", script(FULL_SCRIPT), {"method.tuner.type": "full"}
    ),
    "trl, packed": Pair("trl", "deepspeed", script(PACKED_SCRIPT), {"data.packing": "documents"}),
    "trl, lora, to unsloth": Pair("trl", "unsloth", script(SCRIPT), {"method.tuner.alpha": 8}),
    "unsloth, lora, to llamafactory": Pair(
        "unsloth", "llamafactory", script(UNSLOTH), {"train.seed": 3407}
    ),
}


GALORE: Mapping[str, Any] = {
    # examples/extras/galore/llama3_full_sft.yaml: the schedule stands there, and reaches no step. It names no
    # optimizer, at which 0.9.5 stops with transformers 5
    **FULL,
    "optim": "adamw_torch",
    "use_galore": True,
    "galore_layerwise": True,
    "galore_rank": 4,
    "galore_update_interval": 2,
    "learning_rate": 1.0e-3,
    "lr_scheduler_type": "cosine",
    "warmup_ratio": 0.5,
}


def test_a_schedule_that_reaches_no_step_is_none(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Layerwise GaLore as published, and what its import says: the same weights to the last digit."""

    def runs(folder: Path) -> Mapping[str, Run]:
        original = lab.compiled("llamafactory", folder / "original")
        small = {"gradient_accumulation_steps": 1, "max_steps": 3}
        for file, text in factory(GALORE, **small).items():
            (original.folder / file).write_text(text, "utf-8")
        monkeypatch.chdir(original.folder)
        carried = carry([Path("train.yaml")], "llamafactory", folder / "port", allow_lossy=True)
        assert carried.imported.faithful
        assert carried.plan.native["lr_scheduler_type"] == "constant"
        ported = as_run(carried.plan, ensure(load_backend("llamafactory")))
        return {"original": original, "port": ported}

    proof = lab.compare("galore-as-published", runs, "original")
    one, other = (proof.evidence(name) for name in ("original", "port"))
    assert one.after.keys() == other.after.keys() == one.before.keys()
    for name, kept in one.after.items():
        assert (kept == other.after[name]).all(), name
    assert any((kept != one.before[name]).any() for name, kept in one.after.items())
    assert one.steps[0].learning_rate != other.steps[0].learning_rate  # what the log says of it


AXOLOTL = {
    "base_model": "../../specs/tiny-model",
    "datasets": [
        {
            "path": "../../specs/data/chat.jsonl",
            "type": "chat_template",
            "field_messages": "messages",
        }
    ],
    "dataset_prepared_path": "prepared",
    "output_dir": "model",
    "sequence_len": 256,
    "micro_batch_size": 4,
    "gradient_accumulation_steps": 1,
    "max_steps": 6,
    "seed": 42,
    "learning_rate": 1.0e-3,
    "optimizer": "adamw_torch",
    "lr_scheduler": "cosine",
    "warmup_steps": 2,
    "weight_decay": 0.1,
    "logging_steps": 1,
    "bf16": False,
    "save_strategy": "no",
    "dataloader_num_workers": 0,
    "pad_to_multiple_of": 8,
    "shuffle_merged_datasets": False,
}
AXOLOTLS: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "axolotl, weights by their names": (
        {"unfrozen_parameters": ["model.layers.1.mlp", "lm_head", ".+0.[a-z_]+norm"]},
        {"method.tuner.type": "partial"},
    ),
}
OWN = ("method=full", "data.turn_part=ended", "train.micro_batch_size=4", "train.warmup_steps=2")
CASES |= {
    name: Pair("axolotl", "trl", {CONFIG: yaml.dump([("all", {**AXOLOTL, **config})])}, held, OWN)
    for name, (config, held) in AXOLOTLS.items()
}


@pytest.mark.parametrize("name", CASES)
def test_a_port_trains_what_its_original_trains(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    pair = CASES[name]

    def runs(folder: Path) -> Mapping[str, Run]:
        original = lab.compiled(pair.source, folder / pair.source, *pair.sets)
        for file, text in pair.files.items():
            (original.folder / file).write_text(text, "utf-8")
        monkeypatch.chdir(original.folder)
        # no row is longer than the limit, so it makes no difference how rows are cut
        carried = carry(
            [Path(next(iter(pair.files)))], pair.target, folder / pair.target, allow_lossy=True
        )
        values = carried.imported.composed.values
        assert {path: values[path] for path in pair.held} == pair.held
        if pair.source == "axolotl":  # rows that are made anew are not saved by many processes
            with (original.folder / CONFIG).open("a", encoding="utf-8") as file:
                file.write(f"plugins: [{FRESH}]\n")
        lost = [f for f in carried.imported.fates if not f.faithful]
        assert not lost, [(f.setting.key, f.kind, f.why) for f in lost]
        return {
            pair.source: original,
            pair.target: as_run(carried.plan, ensure(load_backend(pair.target))),
        }

    proven = lab.compare(f"pair-{[*CASES].index(name)}", runs, pair.source)
    certificate = proven.certificate
    assert certificate.verdict == "equal", {
        name: (run.error or run.first_failure()) for name, run in certificate.runs.items()
    }
    keep_pair(name, pair.source, pair.target, certificate)
    losses = [step.loss for step in proven.evidence(pair.target).steps]
    assert len(losses) == 6 and losses[0] != losses[-1]
