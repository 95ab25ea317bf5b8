"""Rows of answers that are compared: a file beside the config has a trainer that makes trl's tokens of them.

axolotl 0.19.0 has types for such rows (prompt_strategies/dpo), which cut an answer's text out of a rendered
turn. A config that names no type hands rows on as they are (utils/data/rl.py), and `trainer_cls` names the
trainer that gets them (core/builders/rl.py). Of an entry its schema keeps no `ds_type` and no `name`
(utils/schemas/datasets.py, DPODataset).
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from ftspec.emit.python import render
from ftspec.families.objectives.preference import PREFERENCE, UNPAIRED
from ftspec.families.rows.datasets import context, read_split, template
from ftspec.families.scripts.script import PAIRS
from ftspec.mapping import Flat, Refuse
from ftspec.spec.data import SUFFIXES, sliced, unsliced

ANSWERS = "answers."
"""Native pseudo-keys: the format of the rows, their columns, texts that write them, and a system prompt."""
ARGUMENTS = "trainer."
"""Native pseudo-keys: arguments of trl's trainer for which axolotl has no key."""
FILE, TRAINER = "answers.py", "answers.Trainer"
ARGUMENTS_FILE, PLUGIN = "trainer_arguments.py", "trainer_arguments.TrainerArguments"
TOLD = '''\
"""Arguments of trl's trainer for which axolotl has no key."""

from pathlib import Path

from axolotl.integrations.base import BasePlugin

ARGUMENTS = {{ arguments|py }}


class TrainerArguments(BasePlugin):
    def get_training_args(self, cfg):
        return ARGUMENTS

    def post_train_unload(self, cfg):
        # beside an adapter it saves the base model as well, under names that nothing reads
        for file in Path(cfg.output_dir).glob("model*.safetensors*") if cfg.adapter else ():
            file.unlink()
'''
HEAD = '''\
"""Makes trl's tokens of the rows: each answer behind its prompt, written by the chat template as a whole.

axolotl's own types cut an answer's text out of a turn, and its trl (1.9) loses tokens where a prompt alone
ends otherwise than before its answer.
"""

from os.path import commonprefix

from axolotl.core.trainers import {{ trainer|code }}
{% if train.template %}
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
{% endif %}
from trl.data_utils import _tokenize, extract_prompt, is_conversational


def tokenised(row, tokenizer):
    row = row if "prompt" in row else extract_prompt(row)
    ends = {name: row[name] for name in ("chosen", "rejected", "completion") if name in row}
    asking = {"add_generation_prompt": True} if is_conversational(row) else {}
    if not asking:
        last = tokenizer.eos_token
        ends = {name: end.removesuffix(last) + last for name, end in ends.items()}
    start = _tokenize(tokenizer, row["prompt"], **asking)["input_ids"]
    whole = {n: _tokenize(tokenizer, row["prompt"] + end)["input_ids"] for n, end in ends.items()}
    given = min(len(commonprefix([start, ids])) for ids in whole.values())
    answers = {f"{name}_ids": ids[given:] for name, ids in whole.items()}
    return {"prompt_ids": start[:given], **answers}


class Trainer({{ trainer|code }}):
    def _prepare_dataset(self, train, tokenizer, args, name):
'''
TAIL = """\
        texts = [column for column in train.column_names if column != "label"]
        train = train.map(tokenised, fn_kwargs={"tokenizer": tokenizer}, remove_columns=texts)
        # of a longer prompt's answers nothing would be left
        if getattr(args, "truncation_mode", "keep_start") == "keep_start":
            train = train.filter(lambda row: len(row["prompt_ids"]) < args.max_length)
{% if trainer == "AxolotlKTOTrainer" %}
        if self.calculate_KL:  # each prompt beside the answer of the row before it in a batch
            train = train.map(
                lambda rows: {
                    "KL_completion_ids": [rows["completion_ids"][-1], *rows["completion_ids"][:-1]]
                },
                batched=True, batch_size=args.per_device_train_batch_size,
            )  # fmt: skip
{% endif %}
        return train
"""
FREE_HEAD = '''\
"""Makes of the rows the tokens that the chat template writes, and adds none at their ends."""

from os.path import commonprefix

from axolotl.core.trainers import {{ trainer|code }}
from torch.nn.functional import pad
'''
FREE_BODY = """

class Trainer(PairsTrainer):
    def __init__(self, *args, train_dataset, **options):
        train = train_dataset
"""
ENERGY = "ebft"
"""That whose rows are prompts, each beside the answer that completions are measured by."""
ENERGY_HEAD = '''\
"""Makes of the rows prompts, each with the answer whose features completions are to have."""

from axolotl.core.trainers.ebft.trainer import {{ trainer|code }}
{% if train.template %}
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
{% endif %}


def with_answers(rows):
    return rows.map(
        lambda row: {"ground_truth": row["completion"][0]["content"]}, remove_columns=["completion"]
    )


class Trainer({{ trainer|code }}):
    def __init__(self, *args, train_dataset, **options):
        train = train_dataset
'''
ENERGY_TAIL = "        super().__init__(*args, train_dataset=with_answers(train), **options)\n"
FREE_TAIL = "        super().__init__(*args, train_dataset=train, **options)\n"
_TEXTS = """\
        if not conversations:
            return super().tokenize_row(feature, model)
"""
"""What scripts do with plain texts, which are not handed on here."""
TRAINERS = {
    "dpo": "AxolotlDPOTrainer",
    "kto": "AxolotlKTOTrainer",
    "simpo": "AxolotlCPOTrainer",
    "orpo": "AxolotlORPOTrainer",
    "ebft": "AxolotlEBFTTrainer",
}
"""By its word for the objective, the trainer that gets the rows."""
FREE = ("simpo", "orpo")
"""Those whose rows trl brings into its own columns as soon as the trainer is made."""


def to_entries(
    sources: Sequence[Mapping[str, Any]], objective: str
) -> tuple[list[dict[str, Any]], str, Any, Any]:
    """The entries of `datasets`; of all rows their format, columns by other names, and texts that write them.

    Raises:
        Refuse: one trainer cannot bring these rows into shape, or an entry cannot say a source.
    """
    _printed(objective, *({**source, **NOWHERE} for source in sources))
    entries, first = [*map(_entry, sources)], sources[0]
    return entries, first["format"], dict(first["columns"]), first.get("template")


def from_entries(
    entries: Sequence[Mapping[str, Any]], format: str, columns: Any, texts: Any
) -> tuple[dict[str, Any], ...]:
    """The sources that these say."""
    said = {"format": format, "columns": dict(columns or {}), "template": texts}
    return tuple(_source(entry) | said for entry in entries)


def _entry(source: Mapping[str, Any]) -> dict[str, Any]:
    path, limit = source["path"], source.get("limit")
    if source.get("share") is not None:
        raise Refuse("it draws no share of a source (utils/data/rl.py)")
    if path is None:
        if _is_file(source["hub"]):
            raise Refuse("a name of the hub that ends as a file's does is not told from a file")
        if source["subset"]:
            raise Refuse(
                "its schema drops the name of a subset (utils/schemas/datasets.py, DPODataset)"
            )
        files = {"data_files": list(source["files"])} if source.get("files") else {}
        revision = {"revision": source["revision"]} if source.get("revision") else {}
        return {"path": source["hub"], **files, **revision, "split": sliced(source["split"], limit)}
    told = next((reader for part, reader in _TOLD_BY.items() if part in path), "json")
    if told != SUFFIXES[path[path.rindex(".") :].lower()]:
        raise Refuse(
            "it tells a file's type by what stands anywhere in the path (utils/data/shared.py, "
            "get_dataset_type)",
            hint="another name of the file",
        )
    return {"path": path, "split": sliced("train", limit)}


def _is_file(place: str) -> bool:
    return place[place.rfind(".") :].lower() in SUFFIXES


def _source(entry: Mapping[str, Any]) -> dict[str, Any]:
    place = entry["path"]
    file = _is_file(place)
    split, limit = unsliced(entry.get("split", "train"))
    return {
        "path": place if file else None, "hub": None if file else place,
        "subset": None, "split": split, "limit": limit,
        "files": tuple(entry.get("data_files", ())), "revision": entry.get("revision"),
        "share": None,
    }  # fmt: skip


_TOLD_BY = {".parquet": "parquet", ".arrow": "arrow", ".csv": "csv", ".txt": "text"}
"""By what stands in a path, the reader of the file; all others are JSON."""
NOWHERE: Mapping[str, Any] = {
    "path": None, "hub": "rows", "subset": None, "split": "train", "files": (), "revision": None,
    "limit": None, "share": None,
}  # fmt: skip
"""In the place of where rows lie: the trainer gets them loaded."""


def _printed(
    objective: str, *sources: Mapping[str, Any], system: str | None = None
) -> dict[str, Any]:
    shape = {"kto": UNPAIRED, ENERGY: "prompt-completion"}.get(objective, PREFERENCE)
    return context(tuple(map(dict, sources)), shape, "", system=system) | {"taken": True}


def answer_files(native: Flat) -> dict[str, str]:
    """The texts of both files by their names."""
    said = {key: native.get(ANSWERS + key) for key in ("format", "columns", "template")}
    source = {**NOWHERE, **said, "columns": said["columns"] or {}}
    printed = _printed(native["rl"], source, system=native.get(f"{ANSWERS}system"))
    shaping = textwrap.indent(template("train", printed), " " * 8)
    text = HEAD + shaping + TAIL
    if native["rl"] in FREE:
        pairs = PAIRS.read_text("utf-8").replace(_TEXTS, "")
        text = FREE_HEAD + pairs + FREE_BODY + shaping + FREE_TAIL
    arguments = {
        key.removeprefix(ARGUMENTS): value
        for key, value in native.items()
        if key.startswith(ARGUMENTS)
    }
    if native["rl"] == ENERGY:
        text = ENERGY_HEAD + shaping + ENERGY_TAIL
    return {
        FILE: render(
            text,
            allowed=TRAINERS.values(),
            train=printed,
            trainer=TRAINERS[native["rl"]],
            pairs=native.get(f"{ANSWERS}likelihood", "rows"),
        ),
        ARGUMENTS_FILE: render(TOLD, arguments=arguments),
    }


def read_answers(texts: Mapping[str, str]) -> dict[str, Any]:
    """Their native values; nothing where they are not there."""
    if FILE not in texts:
        return {}
    tree, arguments = ast.parse(texts[FILE]), ast.parse(texts[ARGUMENTS_FILE])
    methods = {node.name: node.body for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    body = methods.get("_prepare_dataset") or methods["__init__"][1:]
    ends = ("texts = ", "super().__init__(")
    end = next(at for at, node in enumerate(body) if ast.unparse(node).startswith(ends))
    loaded = ast.parse(f"train = load_dataset({NOWHERE['hub']!r}, split='train')").body
    split = read_split(ast.Module([*loaded, *body[:end]], []), "train")
    if split is None:
        raise ValueError(f"{FILE} brings rows into a shape that is not ftspec's")
    (source,) = split.sources
    (told,) = (node.value for node in arguments.body if isinstance(node, ast.Assign))
    likelihood = {
        f"{ANSWERS}likelihood": "answers" if "concatenated_forward" in methods else "rows"
    }
    return {
        **(likelihood if TRAINERS["orpo"] in texts[FILE] else {}),
        f"{ANSWERS}format": source["format"],
        f"{ANSWERS}columns": source["columns"] or None,
        f"{ANSWERS}template": source["template"],
        f"{ANSWERS}system": split.system,
        **{ARGUMENTS + name: value for name, value in ast.literal_eval(told).items()},
    }
