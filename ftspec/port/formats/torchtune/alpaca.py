"""Questions and answers as torchtune writes them: Alpaca's prompt, or columns as they are.

AlpacaToMessages and InputOutputToMessages (data/_messages.py) of 0.6.1, in the form of a model's tokenizer.
Prompt and answer are tokenised each by itself there, and so are those that a template of a spec writes.
"""

from __future__ import annotations

from collections.abc import Mapping

from ftspec.port.formats.forms import Form

_GIVEN = "{% if INPUT is defined and INPUT %}"
PROMPT = (
    "Below is an instruction that describes a task"
    f"{_GIVEN}, paired with an input that provides further context{{% endif %}}. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{{ INSTRUCTION }}\n\n"
    f"{_GIVEN}### Input:\n{{{{ INPUT }}}}\n\n{{% endif %}}"
    "### Response:"
)
"""Without the line break behind it, which some tokenizers strip."""
OPENED = "an answer that begins with a line break is tokenised apart from what opens it there"
TRIMMED = " | trim"


def of_alpaca(form: Form, columns: Mapping[str, str], whole: bool) -> dict[str, str]:
    """`template` of a source with rows of Alpaca; ``columns`` are the names of those that have others.

    ``whole``: whether prompts train too. Otherwise what opens an answer stands with it, for it trains.
    """
    names = {name: columns.get(name, name) for name in ("instruction", "input", "output")}
    prompt = PROMPT
    for name, column in names.items():
        prompt = prompt.replace(name.upper(), column)
    prompt += "" if form.clean == TRIMMED else "\n"
    return _written(form, prompt, names["output"], whole)


def of_columns(
    form: Form, columns: Mapping[str, str], whole: bool, system: str = ""
) -> dict[str, str]:
    """The same of a column that asks and one that answers, perhaps behind a system prompt."""
    asked, answered = columns.get("input", "input"), columns.get("output", "output")
    prompt = f"{{{{ {_said(asked, form)} }}}}"
    found = _written(form, prompt, answered, whole)
    before, after = form.turns.get("system", ("", ""))
    told = f"{before}{system.strip()}{after}" if system else ""
    return {**found, "prompt": told + found["prompt"]}


def of_pairs(form: Form, columns: Mapping[str, str]) -> dict[str, str]:
    """The same of a column that asks and two that answer (StackExchangePairedToMessages)."""
    found = _written(form, f"{{{{ {_said(columns['prompt'], form)} }}}}", columns["chosen"], True)
    other = f"{{{{ {_answer(columns['rejected'], form)} }}}}"
    return {"prompt": found["prompt"], "chosen": found["completion"], "rejected": other}


def _written(form: Form, prompt: str, column: str, whole: bool) -> dict[str, str]:
    before, after = form.turns["user"]
    opening = form.turns["assistant"][0]
    answer = f"{{{{ {_answer(column, form)} }}}}"
    if whole or not opening:
        return {"prompt": before + prompt + after + opening, "completion": answer}
    return {"prompt": before + prompt + after, "completion": opening + answer}


def _said(column: str, form: Form) -> str:
    return f"{column}{form.clean}"


def _answer(column: str, form: Form) -> str:
    if form.opens == "turn" and not form.odd:  # gemma's: see FORMS
        return rf"{column}.lstrip('\n'){form.clean}"
    return f"{column}{form.clean}"
