"""Types of rows that are not read, and why.

They are the rest of axolotl's prompt strategies (prompt_strategies/ of 0.19.0, utils/data/wrappers.py):
tests/real/test_axolotl_types.py lists all that the installed axolotl has: each is read, or stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SCRAPED = (
    "several answers of a conversation, or parts of one, which a spec's `ebft` does not measure"
)
WHY: Mapping[str, str] = {
    "_synthetic": "it trains random tokens",
    "bradley_terry": "a reward model learns of its pairs: it goes with `reward_model: true`",
    "concisechoice": "its answer stands in one of two columns, and its input is a list",
    "creative_acr.load_critique": "it writes columns as YAML",
    "creative_acr.load_revise": "it writes columns as YAML",
    "ebft_chat_multiturn": SCRAPED,
    "ebft_reasoning": SCRAPED,
    "ebft_strided_chat": SCRAPED,
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


FOREIGN = "its formats hold what a text of a spec cannot say"
PAIRS: Mapping[str, Mapping[str, str]] = {
    "dpo": {"zephyr.nectar": "of a list of answers it compares the last two by their rank"},
    "kto": {},
    "orpo": {
        "chat_template.load": "the function makes tokens, and `rl: orpo` takes texts: axolotl stops",
    },
    "reward": {},
}
"""By what is learned, the types of pairs and of judged answers (prompt_strategies/{dpo,kto,orpo}/)."""
SAME: Mapping[str, str] = {"simpo": "dpo"}
"""Objectives that read the rows of another one (utils/data/rl.py)."""


def why_no_pairs(kind: Any, objective: str) -> str:
    """Why pairs, judged answers and prompts of a type are not read."""
    if isinstance(kind, dict):
        return FOREIGN
    if str(kind) in ("chat_template", "chat_template.default", "chat_template.argilla_chat"):
        return "other names of its roles, and of the parts of its turns, are not in a spec"
    known = PAIRS.get(SAME.get(objective, objective), {})
    name = f"{kind}.default" if "." not in str(kind) and objective != "reward" else str(kind)
    if name in known:
        return known[name]
    if objective in (*PAIRS, *SAME):
        return f"axolotl 0.19.0 has no type {kind!r} of rows for what is learned"
    return why_not(kind) or f"what the function {kind!r} makes of rows is not in a spec"


def why_not(kind: Any) -> str:
    """Why rows of a type are not read; empty where nothing is known of it."""
    if kind is None:
        return TOKENISED
    if not isinstance(kind, str):
        return ""
    base = kind.partition(":")[0]
    return WHY.get(base) or WHY.get(base.partition(".")[0], "")
