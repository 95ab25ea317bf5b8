"""Runs inside LLaMA-Factory's environment: what its templates make of conversations.

python template_reference.py TOKENIZER ASKED.json OUT.json
"""

import json
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

from llamafactory.data.mm_plugin import get_mm_plugin
from llamafactory.data.processor.supervised import SupervisedDatasetProcessor
from llamafactory.data.template import TEMPLATES, get_template_and_fix_tokenizer
from llamafactory.hparams import DataArguments
from transformers import AutoTokenizer


def encoded(folder: str, asked: dict[str, Any], talks: list[dict[str, Any]]) -> Any:
    """Ids and labels of each conversation; images aside, whose plugin wants a processor."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    size = len(tokenizer)
    TEMPLATES[asked["name"]].mm_plugin = get_mm_plugin("base")
    arguments = DataArguments(
        template=asked["name"],
        cutoff_len=100_000,
        mask_history=asked["last"],
        enable_thinking=asked["thinking"],
    )
    template = get_template_and_fix_tokenizer(tokenizer, arguments)
    assert len(tokenizer) == size, "a token of the template is new to the vocabulary"
    processor = SupervisedDatasetProcessor(template, tokenizer, None, arguments)
    found = []
    for talk in deepcopy(talks):
        *prompt, answer = talk["messages"]
        found.append(
            processor._encode_data_example(prompt, [answer], talk["system"], None, [], [], [])
        )
    return found


def main() -> None:
    folder, asked, out = sys.argv[1:]
    questions = json.loads(Path(asked).read_text())
    found = [encoded(folder, one, one["talks"]) for one in questions]
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
