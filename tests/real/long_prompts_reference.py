"""Runs in the environment `trl ppo`, whose trl 0.24 has `max_prompt_length`: what its trainers cut.

python long_prompts_reference.py MODEL ROWS.jsonl CONFIG.json OUT.json

CONFIG has the trainer's name beside its arguments. OUT has ids and labels of each answer behind its prompt:
of each row the chosen one, then the rejected one.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
import trl
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import import_utils

# trl 0.24 takes what transformers 5 says of a package that is not there for a yes
for flag in ("_mergekit_available", "_llm_blender_available", "_weave_available"):
    setattr(import_utils, flag, False)
from trl.trainer import dpo_trainer  # noqa: E402


def main() -> None:
    model, data, config, out = sys.argv[1:]
    said = json.loads(Path(config).read_text())
    name = said.pop("trainer")
    args = getattr(trl, f"{name}Config")(
        output_dir="out", use_cpu=True, bf16=False, report_to="none", **said,
        per_device_train_batch_size=1,
    )  # fmt: skip
    loaded = AutoModelForCausalLM.from_pretrained(model)
    loaded.warnings_issued = {}  # transformers 5 has none, and trl 0.24 notes something there
    trainer = getattr(trl, f"{name}Trainer")(
        model=loaded,
        args=args,
        train_dataset=load_dataset("json", data_files=data, split="train"),
        processing_class=AutoTokenizer.from_pretrained(model),
    )
    found = seen(trainer) if name == "DPO" else tokenised(trainer)
    Path(out).write_text(json.dumps(found))


def tokenised(trainer: Any) -> list[dict[str, list[int]]]:
    """Rows that are cut before they are batched."""
    return [
        {"ids": row[f"{side}_input_ids"], "labels": row[f"{side}_labels"]}
        for row in trainer.train_dataset
        for side in ("chosen", "rejected")
    ]


def seen(trainer: Any) -> list[dict[str, list[int]]]:
    """Rows that are cut on their way into the model: what `flush_left` gives last."""
    taken: list[tuple[torch.Tensor, ...]] = []
    flush = dpo_trainer.flush_left

    def recorded(*tensors: torch.Tensor) -> Any:
        taken.append(flush(*tensors))
        return taken[-1]

    dpo_trainer.flush_left = recorded
    found = []
    for row in trainer.train_dataset:
        batch = trainer.data_collator([row])
        trainer.concatenated_forward(trainer.model, batch)
        mask, ids, loss = (part[:, : trainer.max_length] for part in taken[-1])
        for side in (0, 1):
            count = int(mask[side].sum())
            kept, counts = ids[side][:count].tolist(), loss[side][:count].tolist()
            labels = [one if yes else -100 for one, yes in zip(kept, counts, strict=True)]
            found.append({"ids": kept, "labels": labels})
    return found


if __name__ == "__main__":
    main()
