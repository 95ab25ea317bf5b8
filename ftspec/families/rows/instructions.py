"""axolotl's own prompts, as texts that a spec writes rows by, and such texts as its prompts.

prompters.py, prompt_tokenizers.py and prompt_strategies/user_defined.py of 0.19.0. A prompt is a Python
format there; the answer is tokenised by itself, and so it is here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter
from typing import Any, NamedTuple

Template = dict[str, str]
"""`prompt` and `completion`, as in `data.train.template`."""
RESERVED = frozenset(
    (
        *("and", "or", "not", "in", "is", "if", "elif", "else", "true", "false", "none"),
        *("True", "False", "None", "range", "dict", "lipsum", "cycler", "joiner", "namespace"),
        *("self", "super", "loop", "caller", "varargs", "kwargs"),
    )
)
"""Names that mean something else in Jinja."""
BOTH = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request."
)
ALONE = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the "
    "request."
)
CHAT_BOTH = (
    "Below is an instruction from a USER that describes a task, paired with an input that provides further "
    "context. The ASSISTANT writes a response that concisely and appropriately completes the request.\n\n"
)
CHAT_ALONE = (
    "Below is an instruction from a USER that describes a task. The ASSISTANT writes a response that "
    "appropriately and concisely completes the request.\n\n"
)


class Style(NamedTuple):
    """Python formats of one manner of writing."""

    system: str
    both: str
    alone: str


STYLES: Mapping[str, Style] = {
    "instruct": Style(
        "{system}\n\n",
        "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n",
        "### Instruction:\n{instruction}\n\n### Response:\n",
    ),
    "chat": Style(
        "SYSTEM: {system}\n",
        "USER: {instruction}\n{input}\nASSISTANT:",
        "USER: {instruction}\nASSISTANT:",
    ),
    "chatml": Style(
        "<|im_start|>system\n{system}<|im_end|>\n",
        "<|im_start|>user\n{instruction}\n{input}<|im_end|>\n<|im_start|>assistant\n",
        "<|im_start|>user\n{instruction}<|im_end|>\n<|im_start|>assistant\n",
    ),
    "phi": Style(
        "<|system|>\n{system}<|end|>\n",
        "<|user|>\n{instruction}<|end|>{input}<|assistant|>",
        "<|user|>\n{instruction}<|end|>\n<|assistant|>\n",
    ),
}
ORCA = Style("### System:\n{system}\n", "", "### Human:\n{instruction}\n### Assistant:\n")


class Kind(NamedTuple):
    """A type of rows: how it writes, what it says before, and which columns it reads."""

    style: Style
    both: str = BOTH
    """The system prompt of rows with an input."""
    alone: str = ALONE
    """That of the others."""
    instruction: str = "instruction"
    input: str = "input"
    """Empty: rows have none."""
    output: str = "output"
    answer: str = "{output}"
    system: str = ""
    """The column of a system prompt that stands in the place of both."""


INSTRUCT, CHAT, CHATML = (STYLES[name] for name in ("instruct", "chat", "chatml"))
QA = Kind(CHAT, CHAT_BOTH, CHAT_ALONE, "question", "", "answer")
UNPROMPTED = ("", "")
OPEN_ORCA = Kind(ORCA, "", "", "question", "", "response", system="system_prompt")
STYLED: Mapping[str, Kind] = {
    "alpaca": Kind(INSTRUCT),
    "gpteacher": Kind(INSTRUCT, output="response"),
    "oasst": Kind(INSTRUCT, instruction="INSTRUCTION", input="", output="RESPONSE"),
    "jeopardy": Kind(
        INSTRUCT,
        instruction="question",
        input="category",
        output="answer",
        answer="what is {output}",
    ),
}
"""Types that a style may follow: `alpaca:chat`."""
LOADED: Mapping[str, Kind] = {
    "alpaca_chat.load": Kind(CHAT),
    "alpaca_chat.load_concise": Kind(CHAT, CHAT_BOTH, CHAT_ALONE),
    "alpaca_chat.load_qa": QA,
    "alpaca_chat.load_camel_ai": QA._replace(instruction="message_1", output="message_2"),
    "alpaca_chat.load_no_prompt": Kind(CHAT, *UNPROMPTED),
    "alpaca_instruct.load": Kind(INSTRUCT),
    "alpaca_instruct.load_no_prompt": Kind(INSTRUCT, *UNPROMPTED),
    "alpaca_w_system.load": Kind(CHAT, system="system"),
    "alpaca_w_system.load_chat": Kind(CHAT, system="system"),
    "alpaca_w_system.load_instruct": Kind(INSTRUCT, system="system"),
    "alpaca_w_system.load_open_orca": OPEN_ORCA,
    "alpaca_w_system.load_open_orca_chatml": OPEN_ORCA._replace(style=CHATML),
}

CONTEXT = (
    "SYSTEM: Use the following contextual information to concisely answer the question.\n\n"
    "USER: {article}\n===\n{ASKED}\nASSISTANT:"
)
FORMS: Mapping[str, tuple[str, str]] = {
    "context_qa.load": (CONTEXT.replace("ASKED", "question"), "{answer}"),
    "context_qa.load_404": (
        CONTEXT.replace("ASKED", "unanswerable_question"),
        "The context provided does not contain any information about your inquiry. Therefore, I'm unable to "
        "answer your question based on the given context.",
    ),
    "context_qa.load_v2": ("Context: {context}\nQuestion: {question}\n", "Answer: {answer}"),
    "creative_acr.load_answer": (
        "Answer the following question in a comprehensive, in-depth, and creative way. Additionally your "
        "response should be relevant, accurate, and free of any ambiguity.\nUSER: {instruction}\nASSISTANT:",
        "{revision}",
    ),
    "orcamini.load": (
        "### System:\n{system_prompt}\n\n### User:\n{question}\n\n### Response:\n", "{response}",
    ),
    "summarizetldr": (
        "USER: Summarize the following article as a TL;DR.\n{article}\nASSISTANT:", "{summary}",
    ),
}  # fmt: skip
"""Types with one form of their own, its fields under the names of columns."""

STYLED_BY = ("alpaca_chat", "alpaca_chat.load")
"""Types whose style another setting names (`conversation`); else it is that of a chat."""


def named(type: str) -> Template | None:
    """What a type of rows writes; None for a name that is not here."""
    base, _, style = type.partition(":")
    if base in STYLED and (not style or style in STYLES):
        return _texts(STYLED[base]._replace(style=STYLES[style or "instruct"]))
    if form := FORMS.get(type) or FORMS.get(f"{type}.load"):
        return _formed(*form)
    found = LOADED.get(type) or LOADED.get(f"{type}.load")
    return _texts(found) if found else None


def _formed(*forms: str) -> Template:
    fields = {field for form in forms for _, field, *_ in Formatter().parse(form) if field}
    prompt, completion = (jinja(form, {field: field for field in fields}) for form in forms)
    return {"prompt": prompt, "completion": completion}


def _texts(kind: Kind) -> Template:
    """As `build_prompt` and `build_prompt_w_system` put a prompt together."""
    names = {name: getattr(kind, name) for name in ("system", "instruction", "input", "output")}
    style = kind.style
    before = [
        style.system.replace("{system}", said) if said else "" for said in (kind.both, kind.alone)
    ]
    system = ""
    if kind.system:
        before = ["", ""]
        system = f"{{% if {kind.system} %}}{jinja(style.system, names)}{{% endif %}}"
    prompt = jinja(before[1] + style.alone, names)
    if kind.input:
        prompt = _choice(kind.input, jinja(before[0] + style.both, names), prompt)
    return {"prompt": system + prompt, "completion": jinja(kind.answer, names)}


def custom(kind: Mapping[str, Any]) -> Template:
    """What a `type` with formats of its own writes.

    Raises:
        ValueError: a format holds what a text of a spec cannot say, or a column has no name there.
    """
    said = {key: value for key, value in kind.items() if value is not None}
    names = {
        name: str(said.get(f"field_{name}", name))
        for name in ("system", "instruction", "input", "output")
    }
    turn = {name: names[name] for name in ("instruction", "input")}
    both = jinja(str(said.get("format", "{instruction} {input} ")), turn)
    alone = jinja(
        str(said.get("no_input_format", "{instruction} ")), {"instruction": names["instruction"]}
    )
    asked = _choice(names["input"], both, alone) if both != alone else both
    return {"prompt": _system(said, names) + asked, "completion": jinja("{output}", names)}


def _system(said: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """The system prompt of a column, or the one that is said where there is no such column."""
    form, prompt = str(said.get("system_format", "{system}")), said.get("system_prompt")
    if not form:
        return ""
    column, own = names["system"], jinja(form, {"system": names["system"]})
    if not prompt:
        return f"{{% if {column} is defined and {column} %}}{own}{{% endif %}}"
    given = literal(form.format(system=prompt))
    return f"{{% if {column} is not defined %}}{given}{{% elif {column} %}}{own}{{% endif %}}"


def _choice(column: str, there: str, missing: str) -> str:
    return f"{{% if {column} is defined and {column} %}}{there}{{% else %}}{missing}{{% endif %}}"


def jinja(form: str, names: Mapping[str, str]) -> str:
    """A Python format as a Jinja text, its fields under the names of columns.

    Raises:
        ValueError: it is no format of these fields alone, or a column's name means another thing.
    """
    parts, plain = [], ""
    for text, field, spec, conversion in Formatter().parse(form):
        plain += text  # a doubled brace ends a piece
        if field is None:
            continue
        if field not in names or spec or conversion:
            raise ValueError(f"the format has a field {field!r} that a text cannot say")
        parts += [literal(plain), f"{{{{ {named_column(names[field])} }}}}"]
        plain = ""
    return "".join((*parts, literal(plain)))


def literal(text: str) -> str:
    """Plain text that Jinja prints as it stands, whatever follows it."""
    return re.sub(r"\{(?=[{%#]|\Z)", "{{ '{' }}", text)


def named_column(name: str) -> str:
    """The name of a column, as a text names it.

    Raises:
        ValueError: it is no name there, or means another thing.
    """
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or name in RESERVED:
        raise ValueError(f"no text can name the column {name!r}")
    return name


_TEXT = r"(?:(?!\{%).)*"
_SHAPE = re.compile(
    rf"(?:\{{% if (?P<system>\w+) is defined and (?P=system) %\}}(?P<own>{_TEXT})\{{% endif %\}}"
    rf"|\{{% if (?P<column>\w+) is not defined %\}}(?P<given>{_TEXT})"
    rf"\{{% elif (?P=column) %\}}(?P<else>{_TEXT})\{{% endif %\}})?"
    rf"(?:\{{% if (?P<input>\w+) is defined and (?P=input) %\}}(?P<both>{_TEXT})"
    rf"\{{% else %\}}(?P<alone>{_TEXT})\{{% endif %\}}|(?P<plain>{_TEXT}))",
    re.ASCII | re.DOTALL,
)
"""The prompts that `custom` writes."""
_HOLE = re.compile(r"\{\{ (\w+) \}\}", re.ASCII)
_BRACE = "{{ '{' }}"


def kind_of(template: Mapping[str, str]) -> str | dict[str, str] | None:
    """The type of rows that writes just these texts: a name, or formats of its own; None if none does."""
    for name in (
        *(f"{base}:{style}" for base in STYLED for style in ("", *STYLES)), *LOADED, *FORMS,
    ):  # fmt: skip
        if named(name.removesuffix(":")) == dict(template):
            return name.removesuffix(":")
    kind = _formats(template)
    try:
        return kind if kind and custom(kind) == dict(template) else None
    except ValueError:
        return None


def _formats(template: Mapping[str, str]) -> dict[str, str] | None:
    """Formats that may be those of the texts; `custom` says whether they are."""
    found, output = _SHAPE.fullmatch(template["prompt"]), _HOLE.fullmatch(template["completion"])
    if found is None or output is None:
        return None
    both, alone = (
        (found["plain"],) * 2 if found["input"] is None else (found["both"], found["alone"])
    )
    system = found["system"] or found["column"] or "system"
    asked = [name for name in _HOLE.findall(both + alone) if name != found["input"]]
    instruction = asked[0] if asked else output[1]
    names = {system: "system"}
    form = _python(found["own"] or found["else"] or "", names)
    kind = {
        "system_prompt": _said(form, _python(found["given"] or "", {})),
        "system_format": form,
        "field_system": system,
        "field_instruction": instruction,
        "field_input": found["input"] or "input",
        "field_output": output[1],
    }
    names = {found["input"]: "input", instruction: "instruction"}
    return kind | {"format": _python(both, names), "no_input_format": _python(alone, names)}


def _python(text: str, names: Mapping[str, str]) -> str:
    """A Jinja text as a Python format, its columns under the names of fields."""
    plain = [
        part.replace("{", "{{").replace("}", "}}")
        for part in _HOLE.sub("\0", text.replace(_BRACE, "{")).split("\0")
    ]
    fields = [f"{{{names.get(name, name)}}}" for name in _HOLE.findall(text)]
    return "".join(part for pair in zip(plain, [*fields, ""], strict=True) for part in pair)


def _said(form: str, given: str) -> str:
    """What the one field of a format has to be for it to read as given."""
    before, _, behind = form.partition("{system}")
    if not given or not given.startswith(before) or not given.endswith(behind):
        return ""
    return given[len(before) : len(given) - len(behind)].replace("{{", "{").replace("}}", "}")
