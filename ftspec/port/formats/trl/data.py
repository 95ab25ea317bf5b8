"""Where trl's configs and its recipes take rows from.

`dataset_name` and `datasets` are trl's own (scripts/utils.py), `dataset_mixture` is alignment-handbook's
and open-r1's, `dataset_mixer` that of the handbook's first version and of SimPO.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.format import Completion
from ftspec.port.formats.trl.trainers import trainer
from ftspec.port.rules import Context, Outcome, Rule, inert, unknown, unless
from ftspec.spec.data import SUFFIXES, unsliced
from ftspec.spec.online import ONLINE

SHAPE = "data.shape"
SEEDED = (
    "as alignment-handbook draws (src/alignment/data.py): each data set that has a weight, then all rows, "
    "then those held out, by the mixture's seed each time"
)
MIXER_SEED = 42
"""What the handbook's first version shuffles all rows by (data.py, mix_datasets)."""
TRAINING_SEED = 42
"""What transformers' TrainingArguments assume."""
DRAWN = "trl draws them without a seed: as many rows are held out"
PACKED = (
    "packing is not said, and the handbook's own run_sft.py packed all the same while its recipes had "
    "dataset_mixer (`packing=True`: blocks of the length): data.packing: blocks says so"
)
LOADERS = ("json", "csv", "parquet")
ASKED = "data.train: which format have its rows? name it"
WHICH_FORMAT: Mapping[str, str] = {
    "sft": "of `prompt` and `completion`, trl trains on the completion alone: data.train_on: completions",
    "kto": "`unpaired` has prompt, completion and label",
    **dict.fromkeys(
        ("dpo", "orpo", "cpo", "simpo", "reward"),
        "`preference` has prompt, chosen and rejected, `preference-implicit` no prompt of its own",
    ),
}
"""By objective, what trl decides by the columns of a data set that is not here."""


FEW = "in a spec a reader has one file, and a data set of the hub names of files"


def files_of(place: Any, files: Any) -> tuple[str, tuple[str, ...]] | None:
    """A place, and which files of it: of a reader (`json`) the file is the place. None: no spec says it.

    ``files`` are `data_files` of `datasets.load_dataset`.
    """
    if isinstance(files, dict) and set(files) == {"train"}:
        files = files["train"]
    named = [files] if isinstance(files, str) else files
    if named in (None, []):
        return str(place), ()
    if not isinstance(named, list) or not all(isinstance(name, str) and name for name in named):
        return None
    if place in LOADERS:
        return (named[0], ()) if len(named) == 1 and "*" not in named[0] else None
    if str(place).lower().endswith(tuple(SUFFIXES)):
        return None
    return str(place), tuple(named)


def source(
    place: str,
    subset: Any,
    split: Any,
    columns: Sequence[str] = (),
    *,
    files: Any = None,
    revision: Any = None,
) -> dict[str, Any]:
    """One source of a spec: a file by its ending, else a data set of the hub."""
    place, chosen = files_of(place, files) or (place, ())
    file = place.lower().endswith(tuple(SUFFIXES))
    name, limit = unsliced(str(split or "train"))
    return {
        "path": place if file else None,
        "hub": None if file else place,
        "subset": None if file or subset in (None, "default") else str(subset),
        "split": "train" if file else name,
        "limit": limit,
        "share": None,
        "files": chosen,
        "revision": None if file or not revision else str(revision),
        "template": None,
        "format": _format(columns),
        "columns": {},
    }


BY_COLUMNS: Mapping[frozenset[str], str] = {
    frozenset({"messages"}): "messages",
    frozenset({"prompt", "completion"}): "prompt-completion",
    frozenset({"chosen", "rejected"}): "preference-implicit",
    frozenset({"prompt", "chosen", "rejected"}): "preference",
    frozenset({"prompt", "completion", "label"}): "unpaired",
}
"""What rows are of which a config keeps these columns and no others."""


def _format(columns: Sequence[str]) -> str:
    return BY_COLUMNS.get(frozenset(map(str, columns)), "auto")


def data(context: Context) -> Completion:
    """Sources of both splits, and what is not known of them."""
    evaluates = context.get("eval_strategy", context.get("evaluation_strategy", "no"))
    evaluates = evaluates not in ("no", False, None)
    train, held_out = _sources(context)
    spec: dict[str, Any] = {"data.train": tuple(train)} if train else {}
    if _mixture(context):
        spec |= {
            "data.mixed": True,
            "data.draw_seed": _own(_mixture(context).get("seed", 0), context),
        }
    elif context.get("dataset_mixer"):
        spec |= {"data.mixed": True, "data.draw_seed": _own(MIXER_SEED, context)}
    if evaluates and held_out:
        spec["data.eval"] = tuple(held_out)
    questions = []
    once = context.get("dataset_mixer") and trainer(context)[0] == "sft"
    if once and "packing" not in context.document.data:
        questions.append(PACKED)
    native: dict[str, Any] = {SHAPE: "messages"}
    if column := context.get("dataset_prompt_column"):  # of open-r1
        for one in (*train, *held_out):
            named = {} if column == "prompt" else {"prompt": column}
            one |= {"format": "prompt", "columns": named}
    if trainer(context)[0] in ONLINE:  # their trainers read prompts, whatever else a row holds
        for one in (*train, *held_out):
            one |= {"format": "prompt"}
    formats = {one["format"] for one in train}
    if formats == {"prompt-completion"}:
        native[SHAPE] = "prompt-completion"
    elif "auto" in formats and (asked := WHICH_FORMAT.get(trainer(context)[0])):
        questions.append(f"{ASKED}; {asked}")
    return Completion(native, spec, tuple(questions))


def _sources(context: Context) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    if entries := _entries(context):
        return [_entry(one) for one in entries if isinstance(one, dict)], []
    mixer = context.get("dataset_mixer")
    if isinstance(mixer, dict):
        splits = context.get("dataset_splits")
        splits = splits if splits and isinstance(splits, list) else ("train", "test")
        subsets = _subsets(context)
        return _mixed(mixer, splits, "train", subsets), _mixed(mixer, splits, "test", subsets)
    name = context.get("dataset_name")
    if not name:
        return [], []
    subset = context.get("dataset_config")
    train = context.get("dataset_train_split") or context.assumed(
        "ScriptArguments.dataset_train_split"
    )
    test = context.get("dataset_test_split") or context.assumed(
        "ScriptArguments.dataset_test_split"
    )
    return [source(str(name), subset, train)], [source(str(name), subset, test)]


def _own(seed: Any, context: Context) -> Any:
    """None where it is that of the training."""
    return None if seed == context.get("seed", TRAINING_SEED) else seed


def _mixture(context: Context) -> dict[str, Any]:
    found = context.get("dataset_mixture")
    return found if isinstance(found, dict) else {}


def _entries(context: Context) -> list[Any]:
    entries = context.get("datasets") or _mixture(context).get("datasets")
    return entries if isinstance(entries, list) else []


def _entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    subset = entry.get("config") or entry.get("name")
    columns = entry.get("columns")
    named = columns if isinstance(columns, list) else ()
    files, revision = entry.get("data_files"), entry.get("revision")
    place = str(entry.get("id") or entry.get("path"))
    made = source(place, subset, entry.get("split"), named, files=files, revision=revision)
    return {**made, "share": _weight(entry.get("weight"))}


def _weight(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 < value <= 1 else None


def _place(entry: Mapping[str, Any]) -> str:
    place = entry.get("id") or entry.get("path")
    found = files_of(place, entry.get("data_files"))
    return found[0] if found else str(place)


def _subsets(context: Context) -> Sequence[Any] | None:
    """A part of each data set of a mixer, in its order; None where they are not as many."""
    mixer, named = context.get("dataset_mixer"), context.get("dataset_configs")
    if not isinstance(mixer, dict) or not isinstance(named, list) or len(named) != len(mixer):
        return None
    return named


def _parts(setting: Setting, context: Context) -> Outcome:
    """The handbook's first version stops where they are not as many (data.py, mix_datasets)."""
    if setting.value is None:
        return Outcome("inert", why="nothing is said")
    if _subsets(context) is None:
        return Outcome(
            "unknown", why="a list with a part of each data set of dataset_mixer is meant"
        )
    return Outcome("derived", of=("data.train",))


def _mixed(
    mixer: Mapping[str, Any], splits: Sequence[Any], kind: str, subsets: Sequence[Any] | None
) -> list[dict[str, Any]]:
    """The handbook's first version: each data set in each split whose name has the word."""
    return [
        {
            **source(str(name), subset, split),
            "format": "messages" if "sft" in str(split) else "auto",
        }
        for name, subset in zip(mixer, subsets or [None] * len(mixer), strict=True)
        for split in splits
        if kind in str(split)
    ]


def said(path: str, kind: Any = "derived", why: str = "") -> Rule:
    """A part of what `data` reads as a whole."""

    def rule(setting: Setting, _context: Context) -> Outcome:
        if setting.value is None:
            return Outcome("inert", why="nothing is said")
        return Outcome(kind, why=why, of=(path,))

    return rule


def _part(setting: Setting, _context: Context) -> Outcome:
    """A data set's rows are drawn, all of them or a share."""
    if setting.value is not None and _weight(setting.value) is None:
        return Outcome("unknown", why="a share of the rows lies above 0, and is 1 at most")
    return Outcome("renamed", why=SEEDED, of=("data.train",))


def _share(setting: Setting, _context: Context) -> Outcome:
    if setting.value in (None, 1):
        return Outcome("exact", why="all of its rows", of=("data.train",))
    return Outcome(
        "unknown", why=f"only its first rows, a share of them ({setting.value}), is not in a spec"
    )


def _test_split(setting: Setting, _context: Context) -> Outcome:
    """Held out even where nothing is evaluated: these rows do not train."""
    if setting.value is None:
        return Outcome("inert", why="nothing is said")
    return Outcome("renamed", spec={"data.eval_size": setting.value}, why=SEEDED)


def _trl_split(setting: Setting, _context: Context) -> Outcome:
    """The same in trl's own configs, where it is chance which rows these are (scripts/utils.py)."""
    if setting.value is None:
        return Outcome("inert", why="nothing is said")
    return Outcome("derived", spec={"data.eval_size": setting.value}, why=DRAWN)


def _columns(setting: Setting, _context: Context) -> Outcome:
    return Outcome("derived", why="the columns tell the format", of=("data.train",))


def _split(setting: Setting, context: Context) -> Outcome:
    """The first n rows are a limit. Of a file, other slices are not in a spec; the hub's stay in its name."""
    listed = re.search(r"datasets\[(\d+)\]", setting.key)
    place = _place(
        _entries(context)[int(listed[1])] if listed else {"id": context.get("dataset_name")}
    )
    name, _ = unsliced(str(setting.value or "train"))
    if "[" in name and place.lower().endswith(tuple(SUFFIXES)):
        return Outcome(
            "unknown", why="of a file, a spec takes the first rows alone: data.train.limit"
        )
    return said("data.train")(setting, context)


def _chosen(setting: Setting, context: Context) -> Outcome:
    listed = re.search(r"datasets\[(\d+)\]", setting.key)
    entry = _entries(context)[int(listed[1])] if listed else {}
    if files_of(entry.get("id") or entry.get("path"), setting.value) is None:
        return Outcome("unknown", why=FEW)
    return said("data.train")(setting, context)


_PLACE = said("data.train")
_ENTRY: dict[str, Rule] = {
    "id": _PLACE,
    "path": _PLACE,
    "config": _PLACE,
    "name": _PLACE,
    "split": _split,
    "data_files": _chosen,
    "revision": _PLACE,
    "data_dir": unless((None,), "none", unknown("a folder inside a data set is not in a spec yet")),
    "columns": _columns,
    "weight": _part,
    "fraction": unless(
        (None,), "all of its rows", unknown("shares of a mixture are not in a spec yet")
    ),
}
DATA_RULES: dict[str, Rule] = {
    "dataset_name": _PLACE,
    "dataset_config": _PLACE,
    "dataset_train_split": _split,
    "dataset_test_split": said("data.eval"),
    "dataset_streaming": unless(
        (False,), "rows are loaded whole", unknown("a stream is shuffled in another way")
    ),
    "ignore_bias_buffers": inert("a workaround for models of old"),
    **{f"dataset_mixture.datasets[].{key}": rule for key, rule in _ENTRY.items()},
    **{f"datasets[].{key}": rule for key, rule in _ENTRY.items()},
    "dataset_mixture.seed": said("data.draw_seed", "renamed", SEEDED),
    "dataset_mixture.test_split_size": _test_split,
    "test_split_size": _trl_split,
    "streaming": unless((False,), "rows are loaded whole", unknown("a stream")),
    "dataset_mixer.": _share,
    "dataset_splits": _PLACE,
    "dataset_configs": _parts,
    "auto_insert_empty_system_msg": unless(
        (False,), "nothing is put in front", unknown("an empty system turn in front of each row")
    ),
}
