"""Statements that bring rows of each format into the columns that trl trains on.

`ROWS` stands for the variable; `"@column"` for a column's name, by its place in the format.
"""

from __future__ import annotations

from collections.abc import Mapping

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "messages": ("messages",),
    "sharegpt": ("conversations",),
    "alpaca": ("instruction", "input", "output"),
    "prompt-completion": ("prompt", "completion"),
    "text": ("text",),
    "preference": ("prompt", "chosen", "rejected"),
    "preference-implicit": ("chosen", "rejected"),
    "sharegpt-ranking": ("conversations", "chosen", "rejected"),
    "alpaca-ranking": ("instruction", "input", "chosen", "rejected"),
    "prompt": ("prompt",),
    "unpaired": ("prompt", "completion", "label"),
    "messages-unpaired": ("messages", "label"),
    "sharegpt-unpaired": ("conversations", "label"),
    "alpaca-unpaired": ("instruction", "input", "output", "label"),
}
"""The columns of a format, by the names that a spec's `columns` may give other names to."""

TOOLS = "+tools"
"""How the kind of rows ends whose tools are in a column that the spec names."""
IMAGES = "images"
"""The shape of rows with images, and the column that holds them."""
WITH_IMAGES = f"+{IMAGES}"
"""How the kind of such rows ends."""
WRITTEN = "written"
"""The kind of rows that a spec's texts write, and their shape: ids, and which are the completion's."""
TURNS = "turns"
"""The kind of rows whose turns a spec's texts write: that of a user, and the assistant's."""
TOLD = "told turns"
"""The same with a system turn before."""
JUDGED = "written judgement"
"""The kind of rows that a spec's texts write as a prompt, an answer, and whether it is good."""
PAIRED = "written pair"
"""The kind of rows that a spec's texts write as a prompt and two answers."""
ANSWERED = "answered turns"
"""The same with two answers to the turn of a user."""
TOLD_ANSWERED = "told and answered turns"
"""The same with a system turn before."""
COMPOSED = "composed text"
"""The kind of rows of which a spec's text writes one plain text."""
OF_KIND: Mapping[str, tuple[str, ...]] = {
    **COLUMNS,
    **{f"{kind}{TOOLS}": (*COLUMNS[kind], "tools") for kind in ("messages", "prompt-completion")},
    **{
        f"{kind}{WITH_IMAGES}": (*COLUMNS[kind], IMAGES)
        for kind in (
            *("messages", "sharegpt", "alpaca"),
            *("preference", "sharegpt-ranking", "alpaca-ranking"),
        )
    },
    WRITTEN: (),
    JUDGED: (),
    PAIRED: (),
    ANSWERED: (),
    TOLD_ANSWERED: (),
    TURNS: (),
    TOLD: (),
    f"{TURNS}{WITH_IMAGES}": (IMAGES,),
    f"{TOLD}{WITH_IMAGES}": (IMAGES,),
    COMPOSED: (),
}
"""The columns of each kind of rows."""

_SHAREGPT = """\
roles = {"human": "user", "gpt": "assistant"}
ROWS = ROWS.map(lambda row: {
    "messages": [
        {"role": roles.get(turn["from"], turn["from"]), "content": turn["value"]}
        for turn in row["@conversations"]
    ],
}, remove_columns=ROWS.column_names)  # fmt: skip
"""
_SPLIT = """\
ROWS = ROWS.map(
    lambda row: {"prompt": row["@messages"][:-1], "completion": row["@messages"][-1:]},
    remove_columns=ROWS.column_names,
)
"""
_JUDGED = """\
ROWS = ROWS.map(lambda row: {
    "prompt": row["@messages"][:-1], "completion": row["@messages"][-1:], "label": row["@label"],
}, remove_columns=ROWS.column_names)  # fmt: skip
"""
_SHAREGPT_JUDGED = """\
roles = {"human": "user", "gpt": "assistant"}
ROWS = ROWS.map(lambda row: {
    name: [{"role": roles.get(t["from"], t["from"]), "content": t["value"]} for t in turns]
    for name, turns in (
        ("prompt", row["@conversations"][:-1]), ("completion", row["@conversations"][-1:]),
    )
} | {"label": row["@label"]}, remove_columns=ROWS.column_names)  # fmt: skip
"""
_SPLIT_TOOLS = """\
ROWS = ROWS.map(
    lambda row: {
        "prompt": row["@messages"][:-1], "completion": row["@messages"][-1:], "tools": row["@tools"],
    },
    remove_columns=ROWS.column_names,
)  # fmt: skip
"""
_QUESTION = '"\\n".join(filter(None, (row["@instruction"], row["@input"])))'
_WRITTEN = """\
sandbox = ImmutableSandboxedEnvironment(keep_trailing_newline=True, undefined=StrictUndefined)
prompt = sandbox.from_string("@prompt text")
completion = sandbox.from_string("@completion text")
ROWS = ROWS.map(lambda row: {
    "prompt_ids": tokenizer(prompt.render(row))["input_ids"],
    "completion_ids": tokenizer(
        completion.render(row).removesuffix(tokenizer.eos_token) + tokenizer.eos_token,
        add_special_tokens=False,
    )["input_ids"],
}, remove_columns=ROWS.column_names)  # fmt: skip
ROWS = ROWS.map(lambda row: {
    "input_ids": row["prompt_ids"] + row["completion_ids"],
    "completion_mask": [0] * len(row["prompt_ids"]) + [1] * len(row["completion_ids"]),
}, remove_columns=ROWS.column_names)  # fmt: skip
"""
"""Each text is tokenised by itself; trl takes rows with ids as they are, and makes labels of the mask."""
_WRITTEN_JUDGED = """\
sandbox = ImmutableSandboxedEnvironment(keep_trailing_newline=True, undefined=StrictUndefined)
prompt = sandbox.from_string("@prompt text")
completion = sandbox.from_string("@completion text")
label = sandbox.from_string("@label text")
ROWS = ROWS.map(lambda row: {
    "prompt": prompt.render(row), "completion": completion.render(row),
    "label": {"True": True, "False": False}[label.render(row)],
}, remove_columns=ROWS.column_names)  # fmt: skip
"""
_PAIRED = """\
sandbox = ImmutableSandboxedEnvironment(keep_trailing_newline=True, undefined=StrictUndefined)
prompt = sandbox.from_string("@prompt text")
chosen = sandbox.from_string("@chosen text")
rejected = sandbox.from_string("@rejected text")
ROWS = ROWS.map(lambda row: {
    "prompt": prompt.render(row), "chosen": chosen.render(row), "rejected": rejected.render(row),
}, remove_columns=ROWS.column_names)  # fmt: skip
"""
_TURNS = """\
sandbox = ImmutableSandboxedEnvironment(keep_trailing_newline=True, undefined=StrictUndefined)
SYSTEMuser = sandbox.from_string("@user text")
assistant = sandbox.from_string("@assistant text")
ROWS = ROWS.map(lambda row: {
    MADE
}, remove_columns=ROWS.column_names)  # fmt: skip
"""
_ANSWERED = """\
sandbox = ImmutableSandboxedEnvironment(keep_trailing_newline=True, undefined=StrictUndefined)
SYSTEMuser = sandbox.from_string("@user text")
chosen = sandbox.from_string("@chosen text")
rejected = sandbox.from_string("@rejected text")
ROWS = ROWS.map(lambda row: {
    "prompt": [ASKED
    ],
    "chosen": [{"role": "assistant", "content": chosen.render(row)}],
    "rejected": [{"role": "assistant", "content": rejected.render(row)}],
}, remove_columns=ROWS.column_names)  # fmt: skip
"""
_KEPT = 'remove_columns=[name for name in ROWS.column_names if name != "@images"]'
_COMPOSED = """\
sandbox = ImmutableSandboxedEnvironment(keep_trailing_newline=True, undefined=StrictUndefined)
text = sandbox.from_string("@text text")
ROWS = ROWS.map(lambda row: {"text": text.render(row)}, remove_columns=ROWS.column_names)
"""
_TURN = '{"role": "ROLE", "content": ROLE.render(row)},'


def _turns(*before: str) -> dict[str, str]:
    """By shape, the statements that write turns; ``before`` are the roles ahead of the user's."""
    system = "".join(f'{role} = sandbox.from_string("@{role} text")\n' for role in before)
    asked = "".join(f"\n        {_TURN.replace('ROLE', role)}" for role in (*before, "user"))
    answer = f"\n        {_TURN.replace('ROLE', 'assistant')}"
    made = {
        "messages": f'"messages": [{asked}{answer}\n    ],',
        "prompt-completion": f'"prompt": [{asked}\n    ],\n    "completion": [{answer}\n    ],',
    }
    text = _TURNS.replace("SYSTEM", system)
    return {shape: text.replace("MADE", what) for shape, what in made.items()}


def _answered(*before: str) -> str:
    """Statements that write a pair of answers as turns; ``before`` are the roles ahead of the user's."""
    system = "".join(f'{role} = sandbox.from_string("@{role} text")\n' for role in before)
    asked = "".join(f"\n        {_TURN.replace('ROLE', role)}" for role in (*before, "user"))
    return _ANSWERED.replace("SYSTEM", system).replace("ASKED", asked)


def _turns_shown(*before: str) -> str:
    """The same beside a column of images."""
    return _shown(_turns(*before)["messages"])


_SHAREGPT_PAIRS = """\
roles = {"human": "user", "gpt": "assistant"}
ROWS = ROWS.map(lambda row: {
    name: [{"role": roles.get(t["from"], t["from"]), "content": t["value"]} for t in turns]
    for name, turns in (
        ("prompt", row["@conversations"]), ("chosen", [row["@chosen"]]),
        ("rejected", [row["@rejected"]]),
    )
}, remove_columns=ROWS.column_names)  # fmt: skip
"""
_ALPACA_PAIRS = f"""\
ROWS = ROWS.map(lambda row: {{
    "prompt": [
        {{"role": "user", "content": {_QUESTION}}},
    ],
    "chosen": [{{"role": "assistant", "content": row["@chosen"]}}],
    "rejected": [{{"role": "assistant", "content": row["@rejected"]}}],
}}, remove_columns=ROWS.column_names)  # fmt: skip
"""


def _shown(text: str) -> str:
    """A statement beside a column of images, which it keeps."""
    return text.replace("remove_columns=ROWS.column_names", _KEPT)


STATEMENTS: Mapping[tuple[str, str], str] = {
    ("messages", "messages"): 'ROWS = ROWS.select_columns(["@messages"])\n',
    ("messages", "prompt-completion"): _SPLIT,
    ("messages+tools", "messages"): 'ROWS = ROWS.select_columns(["@messages", "@tools"])\n',
    ("messages+tools", "prompt-completion"): _SPLIT_TOOLS,
    ("prompt-completion+tools", "prompt-completion"): (
        'ROWS = ROWS.select_columns(["@prompt", "@completion", "@tools"])\n'
    ),
    ("sharegpt", "messages"): _SHAREGPT,
    ("sharegpt", "prompt-completion"): _SHAREGPT + _SPLIT.replace("@messages", "messages"),
    ("alpaca", "messages"): f"""\
ROWS = ROWS.map(lambda row: {{
    "messages": [
        {{"role": "user", "content": {_QUESTION}}},
        {{"role": "assistant", "content": row["@output"]}},
    ],
}}, remove_columns=ROWS.column_names)  # fmt: skip
""",
    ("messages+images", IMAGES): 'ROWS = ROWS.select_columns(["@messages", "@images"])\n',
    ("sharegpt+images", IMAGES): """\
roles = {"human": "user", "gpt": "assistant"}
ROWS = ROWS.select_columns(["@conversations", "@images"]).map(lambda row: {
    "messages": [
        {"role": roles.get(turn["from"], turn["from"]), "content": turn["value"]}
        for turn in row["@conversations"]
    ],
}, remove_columns=["@conversations"])  # fmt: skip
""",
    ("alpaca+images", IMAGES): f"""\
ROWS = ROWS.select_columns(["@instruction", "@input", "@output", "@images"]).map(lambda row: {{
    "messages": [
        {{"role": "user", "content": {_QUESTION}}},
        {{"role": "assistant", "content": row["@output"]}},
    ],
}}, remove_columns=["@instruction", "@input", "@output"])  # fmt: skip
""",
    ("alpaca", "prompt-completion"): f"""\
ROWS = ROWS.map(lambda row: {{
    "prompt": [
        {{"role": "user", "content": {_QUESTION}}},
    ],
    "completion": [{{"role": "assistant", "content": row["@output"]}}],
}}, remove_columns=ROWS.column_names)  # fmt: skip
""",
    ("prompt-completion", "prompt-completion"): (
        'ROWS = ROWS.select_columns(["@prompt", "@completion"])\n'
    ),
    (WRITTEN, WRITTEN): _WRITTEN,
    (JUDGED, "unpaired"): _WRITTEN_JUDGED,
    (PAIRED, "preference"): _PAIRED,
    (ANSWERED, "preference"): _answered(),
    (TOLD_ANSWERED, "preference"): _answered("system"),
    **{(TURNS, shape): text for shape, text in _turns().items()},
    **{(TOLD, shape): text for shape, text in _turns("system").items()},
    (f"{TURNS}{WITH_IMAGES}", IMAGES): _turns_shown(),
    (f"{TOLD}{WITH_IMAGES}", IMAGES): _turns_shown("system"),
    (COMPOSED, "text"): _COMPOSED,
    ("text", "text"): 'ROWS = ROWS.select_columns(["@text"])\n',
    ("preference", "preference"): (
        'ROWS = ROWS.select_columns(["@prompt", "@chosen", "@rejected"])\n'
    ),
    ("preference-implicit", "preference"): 'ROWS = ROWS.select_columns(["@chosen", "@rejected"])\n',
    ("sharegpt-ranking", "preference"): _SHAREGPT_PAIRS,
    ("alpaca-ranking", "preference"): _ALPACA_PAIRS,
    ("preference+images", "preference"): (
        'ROWS = ROWS.select_columns(["@prompt", "@chosen", "@rejected", "@images"])\n'
    ),
    ("sharegpt-ranking+images", "preference"): _shown(_SHAREGPT_PAIRS),
    ("alpaca-ranking+images", "preference"): _shown(_ALPACA_PAIRS),
    # rewards read the other columns
    ("prompt", "prompt"): 'ROWS = ROWS.map(lambda row: {"prompt": row["@prompt"]})\n',
    ("unpaired", "unpaired"): (
        'ROWS = ROWS.select_columns(["@prompt", "@completion", "@label"])\n'
    ),
    ("messages-unpaired", "unpaired"): _JUDGED,
    ("sharegpt-unpaired", "unpaired"): _SHAREGPT_JUDGED,
    ("alpaca-unpaired", "unpaired"): f"""\
ROWS = ROWS.map(lambda row: {{
    "prompt": [
        {{"role": "user", "content": {_QUESTION}}},
    ],
    "completion": [{{"role": "assistant", "content": row["@output"]}}],
    "label": row["@label"],
}}, remove_columns=ROWS.column_names)  # fmt: skip
""",
}
RENAMED_TO: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("messages", "messages"): {"messages": "messages"},
    ("messages+images", IMAGES): {name: name for name in ("messages", IMAGES)},
    ("sharegpt+images", IMAGES): {IMAGES: IMAGES},
    ("alpaca+images", IMAGES): {IMAGES: IMAGES},
    **{(f"{kind}{WITH_IMAGES}", IMAGES): {IMAGES: IMAGES} for kind in (TURNS, TOLD)},
    ("messages+tools", "messages"): {name: name for name in ("messages", "tools")},
    ("prompt-completion+tools", "prompt-completion"): {
        name: name for name in ("prompt", "completion", "tools")
    },
    ("prompt-completion", "prompt-completion"): {"prompt": "prompt", "completion": "completion"},
    ("text", "text"): {"text": "text"},
    ("preference", "preference"): {name: name for name in ("prompt", "chosen", "rejected")},
    ("preference+images", "preference"): {
        name: name for name in ("prompt", "chosen", "rejected", IMAGES)
    },
    **{
        (f"{kind}{WITH_IMAGES}", "preference"): {IMAGES: IMAGES}
        for kind in ("sharegpt-ranking", "alpaca-ranking")
    },
    ("preference-implicit", "preference"): {name: name for name in ("chosen", "rejected")},
    ("unpaired", "unpaired"): {name: name for name in ("prompt", "completion", "label")},
}
"""Where columns are only selected, the names that trl expects."""
