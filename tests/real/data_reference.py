"""Runs inside TRL's environment: what transformers and TRL themselves make of rows.

python data_reference.py TOKENIZER ROWS.json OUT.json
python data_reference.py gguf FILE OUT_FOLDER
python data_reference.py disk FOLDER OUT.json
python data_reference.py mixture CONFIG.json OUT.json
python data_reference.py statements SCRIPT.py OUT.json
"""

import json
import runpy
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    if sys.argv[1] == "gguf":
        save_tokenizer(Path(sys.argv[2]), sys.argv[3])
    elif sys.argv[1] == "disk":
        Path(sys.argv[3]).write_text(json.dumps(read_disk(sys.argv[2])))
    elif sys.argv[1] == "mixture":
        config = json.loads(Path(sys.argv[2]).read_text())
        Path(sys.argv[3]).write_text(json.dumps(mixed(config)))
    elif sys.argv[1] == "statements":
        Path(sys.argv[3]).write_text(json.dumps(loaded(sys.argv[2])))
    else:
        rows = json.loads(Path(sys.argv[2]).read_text())
        Path(sys.argv[3]).write_text(json.dumps(tokenised(sys.argv[1], rows)))


def save_tokenizer(file: Path, folder: str) -> None:
    from transformers import AutoTokenizer

    AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name).save_pretrained(folder)


def read_disk(folder: str) -> dict[str, Any]:
    from datasets import load_from_disk

    splits = load_from_disk(folder)
    return {
        name: {"rows": split[:], "features": str(split.features)} for name, split in splits.items()
    }


def loaded(script: str) -> list[str]:
    """The texts of the rows that a script loads."""
    return list(runpy.run_path(script)["train"]["text"])


def mixed(config: dict[str, Any]) -> dict[str, Any]:
    """A mixture as the alignment handbook draws it (src/alignment/data.py), of local files."""
    from datasets import concatenate_datasets, load_dataset

    seed, parts = config["seed"], []
    for one in config["datasets"]:
        rows = load_dataset("json", data_files=one["id"], split="train")
        if one["weight"] is not None:
            rows = rows.shuffle(seed=seed)
            rows = rows.select(range(int(len(rows) * one["weight"])))
        parts.append(rows)
    every = concatenate_datasets(parts).shuffle(seed=seed)
    if config["test_split_size"] is None:
        return {"train": list(every["name"])}
    found = every.train_test_split(test_size=config["test_split_size"], seed=seed)
    return {name: list(split["name"]) for name, split in found.items()}


def tokenised(name: str, rows: list[list[dict[str, str]]]) -> dict[str, Any]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(name)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    chats = [{"messages": row} for row in rows]
    pairs = [{"prompt": row[:-1], "completion": row[-1:]} for row in rows]
    plain = [
        {"prompt": row[-2]["content"] + "\nA:", "completion": " " + row[-1]["content"]}
        for row in rows
    ]
    texts = [{"text": row[-2]["content"] + "\n" + row[-1]["content"]} for row in rows]
    found: dict[str, Any] = {
        "all": trl(tokenizer, chats, completion_only_loss=False),
        "completions": trl(tokenizer, pairs, completion_only_loss=True),
        "plain": trl(tokenizer, plain, completion_only_loss=True),
        "text": trl(tokenizer, texts, completion_only_loss=False),
    }
    if "endgeneration" in tokenizer.chat_template:
        found["assistant"] = trl(tokenizer, chats, assistant_only_loss=True)
        found["cut"] = trl(tokenizer, chats, assistant_only_loss=True, max_length=128)
        found["transformers"] = [
            dict(
                tokenizer.apply_chat_template(
                    row, return_dict=True, return_assistant_tokens_mask=True
                )
            )
            for row in rows
        ]
    return found


def trl(tokenizer: Any, rows: list[Any], **options: Any) -> list[dict[str, Any]]:
    """The rows as TRL's own trainer prepares them."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, LlamaConfig
    from trl import SFTConfig, SFTTrainer

    size = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 1, "num_key_value_heads": 1}
    model = AutoModelForCausalLM.from_config(
        LlamaConfig(vocab_size=len(tokenizer), **size, **heads)
    )
    options = {"max_length": None, **options}
    config = SFTConfig(output_dir="out", use_cpu=True, bf16=False, report_to="none", **options)
    data = Dataset.from_list(rows)
    trainer = SFTTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer)
    return [
        {"input_ids": row["input_ids"], "labels": row["labels"]} for row in trainer.train_dataset
    ]


if __name__ == "__main__":
    main()
