"""Where Oumi takes rows from, and which of their tokens train: DatasetParams and its readers of 0.9."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.formats.forms import is_column
from ftspec.port.formats.trl.data import source
from ftspec.port.rules import Context, Outcome, Rule, group, inert, section, unknown, unless

FILES = ("text_sft", "text_sft_jsonl")
FORMAT = "data.train: which format have its rows? Oumi's reader decides, by the data set's name"
ALPACAS = ("yahma/alpaca-cleaned", "tatsu-lab/alpaca")
_GIVEN = "{% if input is defined and input %}"
ALPACA = {
    "system": f"Below is an instruction that describes a task{_GIVEN}, paired with an input that provides "
    "further context{% endif %}. Write a response that appropriately completes the request.",
    "user": f"{{{{ instruction }}}}{_GIVEN}\n\n### Input:\n{{{{ input }}}}{{% endif %}}",
    "assistant": "{{ output }}",
}
"""What AlpacaDataset writes (datasets/sft/alpaca.py)."""
JOINED = {
    "user": r"{{ (instruction ~ '\n\n' ~ input) | trim }}",
    "assistant": "{{ output }}",
}
"""What TextSftJsonLinesDataset makes of such rows (datasets/sft/sft_jsonlines.py)."""
COMPLETIONS = "text_completions_only_with_padding"
TARGET = {"all_assistant_turns": "assistant", "final_assistant_turn": "completions"}
READERS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "HuggingFaceH4/ultrachat_200k": ("messages", {}),
    "allenai/tulu-3-sft-mixture": ("messages", {}),
    "allenai/WildChat-1M": ("messages", {"messages": "conversation"}),
    "Magpie-Align/Llama-3-Magpie-Pro-1M-v0.1": ("sharegpt", {}),
    "Magpie-Align/Magpie-Pro-300K-Filtered": ("sharegpt", {}),
}
"""Readers by the data set's name (datasets/sft/): the format of its rows, and its columns."""
ANSWERED = {
    "O1-OPEN/OpenO1-SFT": ("instruction", "output"),
    "argilla/magpie-ultra-v0.1": ("instruction", "response"),
    "CohereForAI/aya_dataset": ("inputs", "targets"),
}
"""Readers of a question and its answer: their columns."""
PAIRS = "PromptResponseDataset"
OWN_PAIRS: Mapping[str, str] = {
    "mlabonne/orpo-dpo-mix-40k": "Oumi's reader puts the question before answers that begin with it, and one "
    "more end of text behind them",
    "text_dpo_jsonl": "Oumi's reader tokenises prompt and answer each by itself, with no token before",
}
"""Readers of pairs (datasets/preference_tuning/), and what they do otherwise."""
PLACED = "the reader of that data set is given another place, whose files are not read here"
_NAMED = ("dataset_name", "dataset_path", "subset", "split", "sample_count")
_HOW = (
    "format",
    "hf_dataset_path",
    "messages_column",
    "include_system_prompt",
    "prompt_column",
    "response_column",
)


def evaluates(context: Context) -> bool:
    """Whether the training evaluates at all."""
    return section(context, "training").get("eval_strategy", "no") not in ("no", False)


def _split(context: Context, name: str) -> dict[str, Any]:
    found = section(context, "data").get(name)
    return found if isinstance(found, dict) else {}


def _source(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """A data set of a split; its format is `auto` where Oumi's reader of it is not known here."""
    name = str(entry.get("dataset_name"))
    how = entry.get("dataset_kwargs") or {}
    place = entry.get("dataset_path") if name in FILES else name
    shape = {"oumi": "messages", "alpaca": "alpaca"}.get(str(how.get("format")), "auto")
    columns: Mapping[str, str] = {}
    template = JOINED
    if name not in FILES and entry.get("dataset_path"):
        return None
    if name == "HuggingFaceDataset":
        place, shape = how.get("hf_dataset_path"), "messages"
        column = how.get("messages_column", "messages")
        columns = {} if column == "messages" else {"messages": column}
    elif name == PAIRS:
        place = how.get("hf_dataset_path", "O1-OPEN/OpenO1-SFT")
        pair = (how.get("prompt_column", "instruction"), how.get("response_column", "output"))
        return _answered(source(str(place), entry.get("subset"), entry.get("split")), pair, entry)
    elif name in ANSWERED:
        found = source(name, entry.get("subset"), entry.get("split"))
        return _answered(found, ANSWERED[name], entry)
    elif name in READERS:
        shape, columns = READERS[name]
    elif name not in FILES:
        shape = "alpaca" if name in ALPACAS else "auto"
        told = how.get("include_system_prompt") is not False
        template = {role: ALPACA[role] for role in ALPACA if told or role != "system"}
    if not isinstance(place, str) or not place:
        return None
    found = source(place, entry.get("subset"), entry.get("split"))
    if isinstance(count := entry.get("sample_count"), int) and not _sliced(entry):
        found["limit"] = count
    if shape == "alpaca":
        return {**found, "template": template}
    return {**found, "format": shape, "columns": dict(columns)}


def _sliced(entry: Mapping[str, Any]) -> bool:
    """Whether its split is a part of one, such as `train[:10%]`."""
    return "[" in str(entry.get("split"))


def _answered(
    found: dict[str, Any], columns: tuple[Any, Any], entry: Mapping[str, Any]
) -> dict[str, Any] | None:
    if not all(map(is_column, columns)):
        return None
    if isinstance(count := entry.get("sample_count"), int) and not _sliced(entry):
        found["limit"] = count
    user, assistant = (f"{{{{ {column} }}}}" for column in columns)
    return {**found, "template": {"user": user, "assistant": assistant}}


def prepares(context: Context) -> bool:
    """Whether one of Oumi's own readers makes the rows, and not trl (train.py)."""
    own = {*FILES, *ALPACAS, *READERS, *ANSWERED, PAIRS, "HuggingFaceDataset"}
    entries = _split(context, "train").get("datasets") or ()
    return any(str(one.get("dataset_name")) in own for one in entries if isinstance(one, dict))


def _sources(context: Context, split: str) -> list[dict[str, Any]]:
    entries = _split(context, split).get("datasets")
    entries = entries if isinstance(entries, list) else []
    found = [_source(one) for one in entries if isinstance(one, dict)]
    return [one for one in found if one is not None]


def sources_and_target(context: Context) -> tuple[dict[str, Any], list[str]]:
    """Values of the spec's `data`, and what is not known of the rows."""
    spec: dict[str, Any] = {}
    split = _split(context, "train")
    if split.get("collator_name") == COMPLETIONS:
        spec["data.train_on"] = TARGET.get(str(split.get("train_target")), "assistant")
    if evaluates(context):
        spec["data.eval"] = tuple(_sources(context, "validation"))
    train = _sources(context, "train")
    if train:
        spec["data.train"] = tuple(train)
    asked = any(one["format"] == "auto" and not one["template"] for one in train)
    return spec, [FORMAT] if asked else []


def _name(setting: Setting, context: Context) -> Outcome:
    trainer = str(section(context, "training").get("trainer_type")).rpartition(".")[2]
    if trainer == "TRL_DPO" and setting.value in OWN_PAIRS:
        return Outcome("unknown", why=OWN_PAIRS[setting.value])
    return _entry(setting, context)


def _entry(setting: Setting, context: Context) -> Outcome:
    """A part of a source, of the rows to train on or to evaluate on."""
    split = "train" if setting.key.startswith("data.train.") else "validation"
    if split == "validation" and not evaluates(context):
        return Outcome("inert", why="nothing is evaluated")
    path = "data.train" if split == "train" else "data.eval"
    if setting.key.endswith("sample_count") and setting.value is not None:
        number = int(setting.key.partition("[")[2].partition("]")[0])
        if _sliced(_split(context, split)["datasets"][number]):
            return Outcome("unknown", why="of a slice of the split a spec counts no rows")
        return Outcome("approximated", of=(path,), why="fewer rows than that are repeated there")
    return Outcome("derived", of=(path,))


def _place(setting: Setting, context: Context) -> Outcome:
    split, number = re.match(r"data\.(\w+)\.datasets\[(\d+)\]", setting.key).groups()  # type: ignore[union-attr]
    entry = _split(context, split)["datasets"][int(number)]
    if setting.value and entry.get("dataset_name") not in FILES:
        return Outcome("unknown", why=PLACED)
    return _entry(setting, context)


def _shuffled(setting: Setting, context: Context) -> Outcome:
    entries = _split(context, setting.key.split(".")[1]).get("datasets") or ()
    if setting.value and any(one.get("sample_count") is not None for one in entries):
        return Outcome("unknown", why="a sample drawn by chance: a spec takes the first rows")
    return Outcome("inert", why="the trainer draws rows in random order")


def _collator(setting: Setting, context: Context) -> Outcome:
    if setting.value in (None, "text_with_padding"):
        return Outcome("derived", of=("data.train_on",))
    if setting.value != COMPLETIONS or _split(context, "train").get("train_target") not in TARGET:
        return Outcome("unknown", why=f"which tokens {setting.value} counts is not known")
    why = "turns are found by their text, so what closes a turn may count otherwise"
    return Outcome("approximated", of=("data.train_on",), why=why)


def _target(setting: Setting, context: Context) -> Outcome:
    if setting.value is None:
        return Outcome("inert", why="the collator says which tokens count")
    if _split(context, "train").get("collator_name") != COMPLETIONS or setting.value not in TARGET:
        return Outcome("unknown", why=f"it goes with the collator {COMPLETIONS} alone")
    return Outcome("derived", of=("data.train_on",))


def _split_rules(name: str) -> dict[str, Rule]:
    start = f"data.{name}."
    entry = f"{start}datasets[]."
    return {
        **dict.fromkeys((f"{entry}{key}" for key in _NAMED), _entry),
        **dict.fromkeys((f"{entry}dataset_kwargs.{key}" for key in _HOW), _entry),
        f"{entry}dataset_name": _name,
        f"{entry}dataset_path": _place,
        f"{entry}shuffle": _shuffled,
        f"{entry}mixture_proportion": unless(
            (None,), "all rows", unknown("shares of a mixture are not in a spec yet")
        ),
        **group("how rows are fetched", f"{entry}seed", f"{entry}shuffle_buffer_size",
                f"{entry}trust_remote_code", f"{entry}transform_num_workers"),
        **group("of mixtures with shares alone", f"{start}seed", f"{start}mixture_strategy"),
        f"{start}collator_name": _collator,
        f"{start}train_target": _target,
        f"{start}target_col": inert("nothing reads it any more"),
        f"{start}pack": unless((False,), "off", unknown("chunks of a fixed length, by Oumi itself")),
    }  # fmt: skip


DATA_RULES: dict[str, Rule] = {
    **_split_rules("train"),
    **_split_rules("validation"),
    **group(
        "that of data.train decides",
        "data.validation.collator_name",
        "data.validation.train_target",
    ),
    "data.test.": inert("nothing trains on it"),
    "data.test": inert("nothing trains on it"),
}
