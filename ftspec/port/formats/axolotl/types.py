"""Types of rows that are not read, and why.

They are the rest of axolotl's prompt strategies (prompt_strategies/ of 0.19.0, utils/data/wrappers.py):
tests/real/test_axolotl_types.py lists all that the installed axolotl has: each is read, or stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SCRAPED = "its rows are what an objective of axolotl's own compares completions with (`rl: ebft`)"
WHY: Mapping[str, str] = {
    "_synthetic": "it trains random tokens",
    "bradley_terry": "of two answers it scores the one that is longer than sequence_len by its beginning",
    "concisechoice": "its answer stands in one of two columns, and its input is a list",
    "creative_acr.load_critique": "it writes columns as YAML",
    "creative_acr.load_revise": "it writes columns as YAML",
    "ebft_chat_multiturn": SCRAPED,
    "ebft_opencode": SCRAPED,
    "ebft_pretrain": SCRAPED,
    "ebft_reasoning": SCRAPED,
    "ebft_strided_chat": SCRAPED,
    "ebft_strided_structured": SCRAPED,
    "explainchoice": "its answer stands in one of two columns, and its input is a list",
    "input_output": "its rows are segments, of which each says whether it trains",
    "llama2_chat": "it finds the answers in a text by counting what Llama's own tokenizer makes of its parts",
    "messages": "its turns are written by a function of its own, and not by a chat template",
    "metharme": "it ends an answer with three ends of text",
    "pygmalion": "it tokenises each turn by itself, and the opening of an answer does not train",
    "reflection": (
        "prompt and answer are one text, of which as many tokens do not train as the prompt alone has"
    ),
    "sharegpt": "axolotl 0.19.0 has no such type any more: `chat_template` takes its place",
    "stepwise_supervised": "each step of an answer is judged, which is not in a spec",
}
"""By name: that of a function, of its module, or of the part before a style."""
TOKENISED = "its rows are tokens already, and a spec's are texts"


def why_not(kind: Any) -> str:
    """Why rows of a type are not read; empty where nothing is known of it."""
    if kind is None:
        return TOKENISED
    if not isinstance(kind, str):
        return ""
    base = kind.partition(":")[0]
    return WHY.get(base) or WHY.get(base.partition(".")[0], "")
