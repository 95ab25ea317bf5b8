"""Where axolotl takes rows from, and which of their tokens train.

Types of rows are its prompt strategies (prompt_strategies/ of 0.19.0).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, NamedTuple

from ftspec.port.fates import Kind, Setting
from ftspec.port.formats.axolotl.words import EMPTY, evaluates, off_or, said, taken
from ftspec.port.rules import Context, Outcome, Rule, inert, unknown
from ftspec.spec.data import SUFFIXES, unsliced

CHATS = ("chat_template", "chat_template.default", "chat_template.load")
ROLES = {
    "system": ["system"], "user": ["user", "human"], "assistant": ["assistant", "gpt"], "tool": ["tool"],
}  # fmt: skip
ALPACA = (
    "its own prompt (### Instruction: ...) becomes the chat template of the model: other tokens"
)
HEADINGS = (
    "its own prompt (### Instruction: ...) as a chat template: of a row with an input, that stands below "
    "the instruction without a heading of its own"
)
CHUNKS = "a text longer than sequence_len becomes several rows there, and is cut here"
TEMPLATES = files(__package__) / "templates"
"""What its names of chat templates mean."""


class Row(NamedTuple):
    """What one entry says."""

    source: dict[str, Any]
    kind: Kind = "derived"
    why: str = ""
    objective: str = "sft"
    question: str = ""


def row(entry: Mapping[str, Any]) -> Row:
    """One entry of `datasets`; with a question where its rows are not understood."""
    place, files = str(entry.get("path") or ""), entry.get("data_files")
    if place in ("json", "csv", "parquet") and isinstance(files, str):
        place = files
    file = place.lower().endswith(tuple(SUFFIXES)) and "://" not in place
    split, limit = unsliced(str(entry.get("split") or "train"))
    base = {
        "path": place if file else None,
        "hub": None if file else place,
        "subset": None if file or not entry.get("name") else str(entry["name"]),
        "split": "train" if file else split,
        "limit": limit,
    }
    kind = entry.get("type")
    if kind in CHATS:
        return _chat(entry, base)
    if isinstance(kind, str) and kind.split(":")[0] in (
        "alpaca",
        "alpaca_chat",
        "alpaca_chat.load_qa",
    ):
        return Row({**base, "format": "alpaca", "columns": {}}, "approximated", ALPACA)
    if kind in ("completion", "pretrain"):
        name = entry.get("field") or entry.get("text_column") or "text"
        columns = {} if name == "text" else {"text": name}
        return Row({**base, "format": "text", "columns": columns}, "approximated", CHUNKS, "cpt")
    word = "a prompt of its own" if isinstance(kind, dict) else f"type {kind!r}"
    question = f"data.train: {place}: {word}: which format have its rows?"
    return Row(
        {**base, "format": "auto", "columns": {}},
        "unknown",
        f"{word} is not in a spec",
        "sft",
        question,
    )


def _chat(entry: Mapping[str, Any], base: dict[str, Any]) -> Row:
    names = {"role": "role", "content": "content"} | dict(
        entry.get("message_property_mappings") or {}
    )
    for key in names:
        names[key] = entry.get(f"message_field_{key}") or names[key]
    field = entry.get("field_messages") or "messages"
    known = {
        ("role", "content"): ("messages", "messages"),
        ("from", "value"): ("sharegpt", "conversations"),
    }
    shape = known.get((names["role"], names["content"]))
    if shape is None:
        why = f"turns with the keys {names['role']!r} and {names['content']!r} are not in a spec"
        question = f"data.train: {base['path'] or base['hub']}: {why}"
        return Row({**base, "format": "auto", "columns": {}}, "unknown", why, "sft", question)
    columns = {} if field == shape[1] else {shape[1]: field}
    return Row({**base, "format": shape[0], "columns": columns})


def entries(context: Context, key: str = "datasets") -> list[Mapping[str, Any]]:
    """The entries of a list of data sets."""
    value = context.get(key)
    value = [value] if isinstance(value, dict) else value
    return [one for one in value or () if isinstance(one, dict)] if isinstance(value, list) else []


def objective(context: Context) -> str:
    """What is learned, in a spec's word."""
    word = context.get("rl")
    if context.get("reward_model"):
        return "reward"
    if word:
        return {"gdpo": "grpo", "ipo": "dpo"}.get(str(word), str(word))
    rows = [row(one) for one in entries(context)]
    texts = [one.objective for one in rows if one.kind != "unknown"]
    if context.get("pretraining_dataset") or (texts and set(texts) == {"cpt"}):
        return "cpt"
    return "sft"


def data(context: Context) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Spec values of the rows, and questions."""
    train = [row(one) for one in (*entries(context), *entries(context, "pretraining_dataset"))]
    held = [row(one) for one in entries(context, "test_datasets")]
    spec: dict[str, Any] = {"data.train": tuple(one.source for one in train)} if train else {}
    if held:
        spec["data.eval"] = tuple(one.source for one in held)
    if not held:
        spec["data.eval_size"] = held_out(context)
    learns = objective(context)
    questions = [one.question for one in train if one.question]
    if learns == "sft" and any(one.objective == "cpt" for one in train):
        questions.append(
            "data.train: plain texts beside rows with answers: a spec has one or the other"
        )
    everything = bool(taken(context, "train_on_inputs")) or learns == "cpt"
    spec["data.train_on"] = "all" if everything else "assistant"
    if learns != "cpt":
        strategy = str(taken(context, "excess_length_strategy") or "drop").lower()
        spec["data.overflow"] = {"truncate": "truncate", "raise": "error"}.get(strategy, "drop")
    else:
        spec["data.overflow"] = "truncate"
    if context.get("pretraining_dataset"):
        spec["data.packing"] = "blocks"
    elif taken(context, "sample_packing"):
        spec["data.packing"] = "documents"
    else:
        spec["data.packing"] = None
    spec["data.shuffle"] = not context.get("curriculum_sampling")
    return spec, tuple(dict.fromkeys(questions))


def _of(setting: Setting, context: Context) -> Row | None:
    root, _, rest = setting.key.partition("[")
    number = rest.partition("]")[0]
    found = entries(context, root)
    return row(found[int(number)]) if number.isdigit() and int(number) < len(found) else None


def _part(setting: Setting, _context: Context) -> Outcome:
    path = "data.eval" if setting.key.startswith("test_") else "data.train"
    return Outcome("derived", of=(path,))


def prompts(context: Context) -> bool:
    """Whether all rows are written with alpaca's own prompt, as a template can write it too."""
    found = entries(context)
    said = context.get("chat_template")
    return not said and bool(found) and all(one.get("type") == "alpaca" for one in found)


def _type(setting: Setting, context: Context) -> Outcome:
    found = _of(setting, context)
    if found is not None and setting.value == "alpaca" and prompts(context):
        written = _written((TEMPLATES / "alpaca_prompt.jinja").read_text("utf-8"), context)
        return written._replace(kind="approximated", why=HEADINGS, of=("data.train",))
    if found is None:
        return Outcome("unknown", why="which rows it speaks of is not clear")
    if objective(context) not in ("sft", "cpt") and found.kind == "unknown":
        return Outcome("unknown", why=f"{found.why} yet")
    return Outcome(found.kind, why=found.why, of=("data.train",) if found.kind != "unknown" else ())


def _split(setting: Setting, context: Context) -> Outcome:
    found = _of(setting, context)
    if found is not None and found.source["path"] and unsliced(setting.value)[0] != "train":
        return Outcome("unknown", why="a part of a local file is not in a spec")
    return _part(setting, context)


def _roles(setting: Setting, _context: Context) -> Outcome:
    name = setting.key.rpartition(".")[2]
    if name in ROLES and set(setting.value or ()) <= set(ROLES[name]):
        return Outcome("derived", why="as turns are called anyway", of=("data.train",))
    return Outcome("unknown", why="other names of roles are not in a spec")


def _trained(default: Any, why: str) -> Rule:
    def rule(setting: Setting, _context: Context) -> Outcome:
        if setting.value == default:
            return Outcome("derived", of=("data.train_on",))
        return Outcome("unknown", why=why)

    return said(rule)


def _files(setting: Setting, context: Context) -> Outcome:
    found = _of(setting, context)
    if found is not None and found.source["path"] == setting.value:
        return _part(setting, context)
    return Outcome("unknown", why="a choice of files inside a data set is not in a spec")


def _field(setting: Setting, context: Context) -> Outcome:
    found = _of(setting, context)
    if found is None or found.kind == "unknown":
        return Outcome(
            "unknown", why=found.why if found else "which rows it speaks of is not clear"
        )
    return _part(setting, context)


def held_out(context: Context) -> float | None:
    """The rows that are held out (utils/data/sft.py): beyond 1 it is a count, and 1 itself all of them."""
    size = context.get("val_set_size")
    if not isinstance(size, int | float) or isinstance(size, bool) or not size:
        return None
    return float(int(size)) if size > 1 else float(size)


def _held_out(setting: Setting, context: Context) -> Outcome:
    size = held_out(context)
    if size is None:
        return Outcome("derived", why="nothing is held out", of=("data.eval",))
    why = "as many rows, drawn in another way: it holds out the last ones of those that it has shuffled"
    return Outcome("approximated", spec={"data.eval_size": size}, why=why)


def _packs(setting: Setting, context: Context) -> Outcome:
    spec = {"data.packing": data(context)[0]["data.packing"]}
    if not setting.value:
        return Outcome("derived", spec=spec)
    why = "whole rows that do not see each other; which of them share one row is chosen otherwise"
    return Outcome("derived", spec=spec, why=why)


def _overflow(_setting: Setting, context: Context) -> Outcome:
    return Outcome("renamed", spec={"data.overflow": data(context)[0]["data.overflow"]})


def _inputs(setting: Setting, _context: Context) -> Outcome:
    return Outcome("derived", spec={"data.train_on": "all" if setting.value else "assistant"})


def _template(setting: Setting, context: Context) -> Outcome:
    name = str(setting.value)
    if name.startswith("tokenizer_default"):
        return Outcome("renamed", spec={"model.chat_template": "tokenizer"})
    if name == "jinja":
        return Outcome("derived", why="chat_template_jinja has it", of=("model.chat_template",))
    if re.fullmatch(r"\w+", name) and (file := TEMPLATES / f"{name}.jinja").is_file():
        return _written(file.read_text("utf-8"), context, f"axolotl's template {name}, ")
    why = f"its own template {name!r} becomes the one that comes with the tokenizer"
    return Outcome("approximated", why=why)


def _written(text: str, context: Context, what: str = "") -> Outcome:
    """A template as a file beside the spec."""
    name = f"{context.document.path.stem}.chat_template.jinja"
    spec = {"model.chat_template": f"./{name}"}
    return Outcome("derived", spec=spec, why=f"{what}written to {name}", files={name: text})


def _jinja(setting: Setting, context: Context) -> Outcome:
    text = str(setting.value)
    if "{" not in text:
        return Outcome("renamed", spec={"model.chat_template": text})
    return _written(text, context)


def _eval_packing(_setting: Setting, context: Context) -> Outcome:
    if not evaluates(context):
        return Outcome("inert", why="nothing is evaluated")
    return Outcome("inert", why="how rows are evaluated, not what is trained")


_ENTRY: dict[str, Rule] = {
    "path": said(_part),
    "name": said(_part),
    "split": said(_split),
    "ds_type": inert("the file's ending tells it"),
    "type": _type,
    "type.": unknown("a prompt of its own is not in a spec"),
    "field": said(_field),
    "text_column": said(_field),
    "field_messages": said(_field),
    "message_field_role": said(_field),
    "message_field_content": said(_field),
    "message_property_mappings.role": said(_field),
    "message_property_mappings.content": said(_field),
    "roles.": _roles,
    "data_files": said(_files),
    "chat_template": said(_template),
    "roles_to_train": _trained(["assistant"], "training other turns is not in a spec"),
    "train_on_eos": _trained("turn", "another choice of trained end tokens is not in a spec"),
    "train_on_eot": _trained("turn", "another choice of trained end tokens is not in a spec"),
    "trust_remote_code": inert("rows are read without code"),
    "preprocess_shards": inert("how fast, not what"),
}
_LISTS = ("datasets", "test_datasets", "pretraining_dataset")
DATA_RULES: dict[str, Rule] = {
    **{f"{root}[].{key}": rule for root in _LISTS for key, rule in _ENTRY.items()},
    **{f"{root}[].": said(unknown("only axolotl has it")) for root in _LISTS},
    "sequence_len": said(
        lambda setting, _c: Outcome("renamed", {"SFTConfig.max_length": setting.value})
    ),
    "excess_length_strategy": said(_overflow),
    "sample_packing": said(_packs),
    "eval_sample_packing": said(_eval_packing),
    "val_set_size": said(_held_out),
    "train_on_inputs": said(_inputs),
    "chat_template": said(_template),
    "chat_template_jinja": said(_jinja),
    "eot_tokens": said(
        lambda _s, _c: Outcome(
            "derived", why="the end of a turn trains with it", of=("data.train_on",)
        )
    ),
    "curriculum_sampling": off_or(lambda _s, _c: Outcome("derived", spec={"data.shuffle": False})),
    "shuffle_merged_datasets": inert("each epoch draws rows in random order anyway"),
    "shuffle_before_merging_datasets": inert("each epoch draws rows in random order anyway"),
    "dataset_prepared_path": inert("a cache of rows: a compiled run makes them anew"),
    "dataset_exact_deduplication": off_or(
        unknown("leaving out rows that are there twice is not in a spec")
    ),
    "min_sample_len": said(unknown("leaving out short rows is not in a spec")),
    "special_tokens": inert(EMPTY),
    "special_tokens.pad_token": said(inert("padding is not trained on")),
    "special_tokens.": said(
        unknown("special tokens are the tokenizer's own in a spec: if these are, nothing is lost")
    ),
    "tokens": off_or(unknown("tokens beyond the tokenizer's own are not in a spec")),
    "tokens.": said(
        unknown("special tokens are the tokenizer's own in a spec: if these are, nothing is lost")
    ),
}
