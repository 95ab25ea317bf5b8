"""The statements of a script about its rows: how they are loaded, drawn, shaped and left out.

Templates write them, patterns recognise them. `ROWS` stands for the variable.
"""

from __future__ import annotations

from collections.abc import Mapping

from ftspec.families.rows.shapes import IMAGES, WRITTEN

OF_FILE = 'load_dataset("@loader", data_files="@files", split="@split")'
OF_HUB = tuple(
    f'load_dataset("@hub"{subset}{files}{revision}, split="@split")'
    for subset in ("", ', "@subset"')
    for files in ("", ', data_files="@files"')
    for revision in ("", ', revision="@revision"')
)
"""How a data set of the hub is loaded: by what is said of it."""
DRAWN = """

def drawn(rows, share, seed):
    count = int(len(rows) * share) if share <= 1 else min(share, len(rows))
    return rows.shuffle(seed=seed).select(range(count))


"""
"""Takes a share of a source's rows, rounded down, or above 1 so many of them."""


LOAD = """\
{% if ROWS.tokens %}
{{ "ROWS = load_from_disk"|call(ROWS.tokens) }}
{% elif ROWS.taken %}
{% elif ROWS.files %}
{{ "ROWS = load_dataset"|call(ROWS.loader, data_files=ROWS.files, split="train") }}
{% elif ROWS.part and not ROWS.part.share %}
{{ "ROWS = load_dataset"|call(*ROWS.part.name, **ROWS.part.where) }}
{% elif ROWS.part %}
{{ "ROWS = load_dataset"|call(*ROWS.part.name, **ROWS.part.where) }}
ROWS = drawn(ROWS, {{ ROWS.part.share|py }}, seed={{ ROWS.seed|py }})
{% else %}
ROWS = concatenate_datasets([
{% for part in ROWS.parts %}
{% if part.share %}
    drawn({{ "load_dataset"|call(*part.name, **part.where) }}, {{ part.share|py }}, seed={{ ROWS.seed|py }}),
{% else %}
    {{ "load_dataset"|call(*part.name, **part.where) }},
{% endif %}
{% endfor %}
])  # fmt: skip
{% endif %}
{% if ROWS.mixed %}
ROWS = ROWS.shuffle(seed={{ ROWS.seed|py }})
{% endif %}
{% if not ROWS.tokens %}
"""
AFTER = """\
{% if ROWS.renamed %}
ROWS = ROWS.rename_columns({{ ROWS.renamed|py }})
{% endif %}
{% endif %}
"""
_SYSTEM = """\
ROWS = ROWS.map(lambda row: {
    "COLUMN": row["COLUMN"]
    if row["COLUMN"][0]["role"] in ("system", "developer")
    else [{"role": "system", "content": "@system"}, *row["COLUMN"]],
})  # fmt: skip
"""
SYSTEMS: Mapping[str, str] = {
    "messages": _SYSTEM.replace("COLUMN", "messages"),
    IMAGES: _SYSTEM.replace("COLUMN", "messages"),
    "prompt-completion": _SYSTEM.replace("COLUMN", "prompt"),
    "preference": _SYSTEM.replace("COLUMN", "prompt"),
    "unpaired": _SYSTEM.replace("COLUMN", "prompt"),
}
"""By shape, the statement that puts a system prompt before conversations that begin with none."""
OPTIONS = 'ROWS = ROWS.map(lambda row: {"chat_template_kwargs": "@options"})\n'
"""The statement that hands values to the chat template."""
HOLDING_OUT = """\
{{ "held_out = ROWS.train_test_split"|call(**ROWS.held_out) }}
train, evaluation = held_out["train"], held_out["test"]
"""
HOLD_OUT = 'held_out = train.train_test_split(test_size="@size", seed="@seed")'
"""The statement that draws rows to evaluate on; all have their shape by then."""
SHUFFLING = """\
{{ "ROWS = ROWS.shuffle"|call(seed=ROWS.shuffled) }}
"""
SHUFFLE = 'train = train.shuffle(seed="@seed")'
MIX = 'ROWS = ROWS.shuffle(seed="@seed")'
SHARE = 'ROWS = drawn(ROWS, "@share", seed="@seed")'
HOLD_LAST = 'held_out = train.train_test_split(test_size="@size", shuffle=False)'
"""The same in two statements: the last rows are held out, of those that are not too long."""
_DROP = """\
ROWS = ROWS.filter(
    lambda row: len(
        tokenizer.apply_chat_template(MESSAGES)["input_ids"]
    ) <= "@limit"
)  # fmt: skip
"""
DROPS: Mapping[str, str] = {
    "messages": _DROP.replace("MESSAGES", 'row["messages"]'),
    "prompt-completion": _DROP.replace("MESSAGES", 'row["prompt"] + row["completion"]'),
    WRITTEN: 'ROWS = ROWS.filter(lambda row: len(row["input_ids"]) <= "@limit")\n',
    "prompt": """\
ROWS = ROWS.filter(
    lambda row: len(
        tokenizer(row["prompt"])["input_ids"]
        if isinstance(row["prompt"], str)
        else tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True)["input_ids"]
    ) <= "@limit"
)  # fmt: skip
""",
}
"""By shape, the statement that leaves out conversations longer than a limit; trl itself only cuts."""
