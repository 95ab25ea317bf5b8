"""Row formats: which one a file has, and what a row of it says.

Required and optional columns of each format stand in one table; one function per format reads its
rows.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ftspec.data.conversation import OUT_OF_SCOPE, chat, kind_of, text_of
from ftspec.data.example import Example, Message
from ftspec.data.findings import Findings, placed
from ftspec.data.images import COLUMN, fit_images, listed, marked
from ftspec.data.sources import Row, rows
from ftspec.data.written import written
from ftspec.errors import DataError, Problem
from ftspec.spec.data import PAIRS, UNPAIRED, Format, Source, Written
from ftspec.spec.present import is_file

NOT_TEXT = ("image", "images", "audio", "audios", "video", "videos")
"""Columns that multimodal data sets have."""
CONVERSATIONS = ("messages", "prompt", "chosen", "rejected")
"""Columns whose turns may be written in parts."""


@dataclass(frozen=True)
class Shape:
    """Columns of a format, and the function that reads its rows."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    read: Callable[[Mapping[str, Any]], Example]


def detect(
    columns: Iterable[str],
    mapping: Mapping[str, str] | None = None,
    file: str = "",
    labelled: bool = False,
) -> Format:
    """The format that has these columns. ``mapping``: the file's own names by the expected ones.

    ``labelled``: a label says whether an answer is good; else such a column is one of many.
    """
    names = tuple(columns)
    there = _expected_names(names, mapping or {})
    fitting: list[Format] = [
        name for name, shape in SHAPES.items() if there.issuperset(shape.required)
    ]
    judged = [name for name in fitting if name in UNPAIRED]
    fitting = judged if labelled and judged else [n for n in fitting if n not in UNPAIRED]
    if len(fitting) > 1 and "prompt" in fitting:
        fitting.remove("prompt")  # of what has an answer it is a part
    if len(fitting) > 1 and "text" in fitting:
        fitting.remove("text")  # a rendering that many chat sets carry along
    pairs = [name for name in fitting if name in PAIRS]
    if pairs:  # what has two answers is no demonstration; a prompt of its own says where they begin
        fitting = [name for name in pairs if name != "preference-implicit"] or pairs
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        message = f"the columns fit several formats: {', '.join(fitting)}"
        raise DataError(Problem(message, file=file, hint=f"name one: `format: {fitting[0]}`"))
    message = f"no known format has the columns {_listed(names)}; expected are {_all_shapes()}"
    raise DataError(Problem(message, file=file, hint=_mapping_hint("messages", names)))


def detect_source(source: Source, base: Path, labelled: bool = False) -> Format:
    """The format of a local source: the one it names, else that of its first row."""
    if source.template is not None:
        return source.template.format
    if source.format != "auto":
        return source.format
    found = Findings()
    for row in rows(source, base, found):
        return detect(row.values, source.columns, row.file, labelled)
    found.check()
    raise DataError(Problem("the file holds no rows", file=str(source.path)))


TOOLED = ("messages", "prompt-completion")
"""Formats whose tools the frameworks' own data paths can be told of."""


def has_column(source: Source, base: Path, name: str) -> bool:
    """Whether a local file has such a column, by its first row."""
    if source.path is None or not is_file(base / source.path):
        return False
    found = Findings()
    first = next(iter(rows(source, base, found)), None)
    return first is not None and name in first.values


def fit(columns: Iterable[str], format: Format, mapping: Mapping[str, str], file: str = "") -> None:
    """Raise unless these columns hold what the format needs; say what is there and what is not."""
    names, shape = tuple(columns), SHAPES[format]
    known = (*shape.required, *shape.optional)
    problems = []
    for expected, own in mapping.items():
        if expected not in known:
            near = difflib.get_close_matches(expected, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"{format} knows {', '.join(known)}"
            message = f"`columns` names {expected!r}, which the format {format} does not have"
            problems.append(Problem(message, file=file, hint=hint))
        elif own not in names:
            near = difflib.get_close_matches(own, names, n=1)
            message = f"`columns` takes {expected} from {own!r}, but the file has {_listed(names)}"
            hint = f"did you mean {near[0]}?" if near else ""
            problems.append(Problem(message, file=file, hint=hint))
    missing = [name for name in shape.required if name not in mapping and name not in names]
    if missing:
        message = (
            f"the format {format} expects {_listed(shape.required)}; "
            f"missing: {_listed(missing)}; the file has {_listed(names)}"
        )
        problems.append(Problem(message, file=file, hint=_mapping_hint(missing[0], names)))
    if problems:
        raise DataError(problems)


def conversation(
    row: Row,
    format: Format,
    columns: Mapping[str, str] | None = None,
    template: Written | None = None,
) -> Example:
    """What a row says. Raises with the row's place if it cannot be trained on."""
    mapping, shape = columns or {}, SHAPES[format]
    own = mapping.get(COLUMN)
    if shown := [name for name in NOT_TEXT if row.values.get(name) and name != own]:
        problem = Problem(f"the row has {', '.join(shown)}", hint=_out_of_scope(shown))
        raise DataError(placed(DataError(problem), row.file, row.line, row.index + 1))
    values = {
        name: row.values.get(mapping.get(name, name)) for name in (*shape.required, *shape.optional)
    }
    try:
        if template is not None and own is not None:
            return _shown(written(template, row.values), values, row)
        if template is not None:
            return written(template, row.values)
        _require(values, shape.required, mapping, row)
        if own is not None:
            return _with_images(shape, values, row)
        return replace(shape.read(values), columns=frozenset(row.values))
    except DataError as error:
        raise DataError(placed(error, row.file, row.line, row.index + 1)) from None


def _out_of_scope(shown: list[str]) -> str:
    if all(name.startswith("image") for name in shown):
        return "a model that reads images has a section `model.images`; else leave the row out"
    return f"{OUT_OF_SCOPE}: leave the row out"


def _with_images(shape: Shape, values: dict[str, Any], row: Row) -> Example:
    told = {name: marked(values[name]) for name in CONVERSATIONS if name in values}
    in_parts = any(parted for _, parted in told.values())
    found = shape.read({**values, **{name: turns for name, (turns, _) in told.items()}})
    found = replace(found, columns=frozenset(row.values) - {COLUMN}, in_parts=in_parts)
    return _shown(found, values, row)


def _shown(found: Example, values: Mapping[str, Any], row: Row) -> Example:
    """The row with its images, of which each answer of a pair has all."""
    folder, images = Path(row.file).parent, listed(values[COLUMN])
    other = found.rejected and fit_images(replace(found.rejected, images=images), folder)
    return fit_images(replace(found, images=images, rejected=other), folder)


def _require(
    values: Mapping[str, Any], required: Iterable[str], mapping: Mapping[str, str], row: Row
) -> None:
    for name in required:
        if values[name] is None:
            there = mapping.get(name, name) in row.values
            what = "is null" if there else f"is missing; the row has {_listed(row.values)}"
            raise DataError(Problem(f"{name} {what}"))


def _messages(values: Mapping[str, Any]) -> Example:
    return chat(values["messages"], tools=_tools(values["tools"]))


def _sharegpt(values: Mapping[str, Any]) -> Example:
    lead = _system(values["system"])
    return chat(values["conversations"], "from", "value", lead=lead, tools=_tools(values["tools"]))


def _alpaca(values: Mapping[str, Any]) -> Example:
    lead = list(_system(values["system"]))
    history = values["history"] or ()
    if not isinstance(history, list | tuple):
        raise DataError(Problem("history is not a list of [instruction, output] pairs"))
    for pair in history:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise DataError(Problem("history is not a list of [instruction, output] pairs"))
        lead.append(Message("user", text_of(pair[0], "history")))
        lead.append(Message("assistant", text_of(pair[1], "history")))
    parts = [text_of(values["instruction"], "instruction"), text_of(values["input"] or "", "input")]
    question = {"role": "user", "content": "\n".join(part for part in parts if part)}
    answer = {"role": "assistant", "content": text_of(values["output"], "output")}
    return chat([question, answer], lead=tuple(lead))


def _prompt_completion(values: Mapping[str, Any]) -> Example:
    prompt, completion = values["prompt"], values["completion"]
    if isinstance(prompt, list) and isinstance(completion, list):
        return chat([*prompt, *completion], given=len(prompt), tools=_tools(values["tools"]))
    if isinstance(prompt, list) or isinstance(completion, list):
        raise DataError(Problem("prompt and completion are both texts or both lists of messages"))
    completion = text_of(completion, "completion")
    if not completion.strip():
        raise DataError(Problem("the completion is empty"))
    return Example("prompt-completion", prompt=text_of(prompt, "prompt"), completion=completion)


def _preference(values: Mapping[str, Any]) -> Example:
    prompt, chosen, rejected = (values[name] for name in ("prompt", "chosen", "rejected"))
    if isinstance(prompt, str) and isinstance(chosen, list):
        hint = "format: preference-implicit, if chosen and rejected are whole conversations"
        raise DataError(Problem("prompt is a text, and chosen a list of messages", hint=hint))
    rows = ({**values, "completion": answer} for answer in (chosen, rejected))
    return _pair(*map(_prompt_completion, rows))


def _implicit(values: Mapping[str, Any]) -> Example:
    chosen, rejected = values["chosen"], values["rejected"]
    if not isinstance(chosen, list) or not isinstance(rejected, list):
        message = (
            "chosen and rejected are not both lists of messages, whose beginning is the prompt"
        )
        raise DataError(Problem(message, hint="give the prompt a column of its own"))
    # as trl has it (data_utils.py, extract_prompt): all that both begin with, less the last turn
    pairs = enumerate(zip(chosen, rejected, strict=False))
    shorter = min(len(chosen), len(rejected)) - 1
    given = next((at for at, (one, other) in pairs if one != other), shorter)
    tools = _tools(values["tools"])
    return _pair(*(chat(turns, given=given, tools=tools) for turns in (chosen, rejected)))


def _sharegpt_ranking(values: Mapping[str, Any]) -> Example:
    turns, lead, tools = values["conversations"], _system(values["system"]), _tools(values["tools"])
    if not isinstance(turns, list | tuple):
        raise DataError(Problem(f"a list of messages is expected, not {kind_of(turns)}"))
    answers = (values["chosen"], values["rejected"])
    sides = (chat([*turns, turn], "from", "value", lead=lead, tools=tools) for turn in answers)
    return _pair(*sides)


def _alpaca_ranking(values: Mapping[str, Any]) -> Example:
    return _pair(*(_alpaca({**values, "output": values[name]}) for name in ("chosen", "rejected")))


def _judged(read: Callable[[Mapping[str, Any]], Example]) -> Callable[[Mapping[str, Any]], Example]:
    """The same row with a label."""

    def judged(values: Mapping[str, Any]) -> Example:
        found, label = read(values), values["label"]
        if not isinstance(label, bool):
            raise DataError(Problem(f"label is {kind_of(label)}, true or false is expected"))
        if found.kind == "chat" and not found.given:
            raise DataError(Problem("the answer has no prompt"))
        return replace(found, label=label)

    return judged


def _pair(chosen: Example, rejected: Example) -> Example:
    if not chosen.given and chosen.kind == "chat":
        raise DataError(Problem("the pair has no prompt: its first messages differ already"))
    return replace(chosen, rejected=rejected)


def _text(values: Mapping[str, Any]) -> Example:
    text = text_of(values["text"], "text")
    if not text.strip():
        raise DataError(Problem("the text is empty"))
    return Example("text", completion=text)


def _prompt(values: Mapping[str, Any]) -> Example:
    if isinstance(values["prompt"], str):
        prompt = text_of(values["prompt"], "prompt")
        if not prompt.strip():
            raise DataError(Problem("the prompt is empty"))
        return Example("prompt", prompt=prompt)
    return replace(chat(values["prompt"], open_end=True), kind="prompt")


def _system(value: Any) -> tuple[Message, ...]:
    return (Message("system", text_of(value, "system")),) if value else ()


def _tools(value: Any) -> tuple[Any, ...]:
    """Tool schemas: a list, or a list written as JSON."""
    if not value:
        return ()
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, list):
        raise DataError(Problem("tools is not a list of tool schemas, nor JSON of one"))
    return tuple(value)


def _expected_names(columns: Iterable[str], mapping: Mapping[str, str]) -> set[str]:
    """The columns under the names that formats expect."""
    own = set(mapping.values())
    there = set(columns)
    return (there - own) | {expected for expected, name in mapping.items() if name in there}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(str, names)) or "none"


def _all_shapes() -> str:
    return "; ".join(f"{name}: {' + '.join(shape.required)}" for name, shape in SHAPES.items())


def _mapping_hint(expected: str, names: Iterable[str]) -> str:
    own = next(iter(names), "its name in the file")
    return f"say which column is which: `columns: {{{expected}: {own}}}`"


SHAPES: Mapping[Format, Shape] = {
    "messages": Shape(("messages",), ("tools", COLUMN), _messages),
    "sharegpt": Shape(("conversations",), ("system", "tools", COLUMN), _sharegpt),
    "prompt-completion": Shape(("prompt", "completion"), ("tools",), _prompt_completion),
    "alpaca": Shape(("instruction", "output"), ("input", "system", "history", COLUMN), _alpaca),
    "text": Shape(("text",), (), _text),
    "preference": Shape(("prompt", "chosen", "rejected"), ("tools", COLUMN), _preference),
    "preference-implicit": Shape(("chosen", "rejected"), ("tools",), _implicit),
    "sharegpt-ranking": Shape(
        ("conversations", "chosen", "rejected"), ("system", "tools", COLUMN), _sharegpt_ranking
    ),
    "alpaca-ranking": Shape(
        ("instruction", "chosen", "rejected"),
        ("input", "system", "history", COLUMN),
        _alpaca_ranking,
    ),
    "unpaired": Shape(("prompt", "completion", "label"), ("tools",), _judged(_prompt_completion)),
    "messages-unpaired": Shape(("messages", "label"), ("tools",), _judged(_messages)),
    "sharegpt-unpaired": Shape(("conversations", "label"), ("system", "tools"), _judged(_sharegpt)),
    "alpaca-unpaired": Shape(
        ("instruction", "output", "label"), ("input", "system", "history"), _judged(_alpaca)
    ),
    "prompt": Shape(("prompt",), (), _prompt),
}
