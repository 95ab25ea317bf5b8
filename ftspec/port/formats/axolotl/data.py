"""Where axolotl takes rows from, and which of their tokens train.

Types of rows are its prompt strategies (prompt_strategies/ of 0.19.0).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ftspec.families.rows import instructions
from ftspec.port.fates import Setting
from ftspec.port.formats.axolotl.attention import shares
from ftspec.port.formats.axolotl.chat_templates import (
    OWN_TEMPLATE,
    TEMPLATE_RULES,
    shared_template,
    withheld_by,
)
from ftspec.port.formats.axolotl.columns import COLUMN_RULES, field, is_turned
from ftspec.port.formats.axolotl.energy_rows import STRIDED, WHOLE
from ftspec.port.formats.axolotl.entries import (
    CHATS,
    PROMPT,
    STREAM,
    WINDOWS,
    Row,
    completes,
    entries,
    objective,
    streamed,
)
from ftspec.port.formats.axolotl.images import UNCUT, of_images, seen, shown
from ftspec.port.formats.axolotl.long_rows import length, overflow
from ftspec.port.formats.axolotl.pairs import OF_PAIRS
from ftspec.port.formats.axolotl.pairs import PARTS as PAIR_PARTS
from ftspec.port.formats.axolotl.places import (
    BESIDE_STREAM,
    PLACE_RULES,
    of_shown,
    part,
    row_in,
    row_of,
)
from ftspec.port.formats.axolotl.shared import ASKED, is_shared, template_of
from ftspec.port.formats.axolotl.turns import (
    EOT,
    SYSTEM,
    TURN_RULES,
    TURNS,
    entry_of,
    has_system,
    inputs,
    turns,
)
from ftspec.port.formats.axolotl.types import why_no_pairs
from ftspec.port.formats.axolotl.unread import ENTRY, unread
from ftspec.port.formats.axolotl.words import evaluates, held_out, off_or, said, taken
from ftspec.port.rules import Context, Outcome, Rule, inert

PARTS = (
    *("system_prompt", "system_format", "format", "no_input_format"),
    *("field_system", "field_instruction", "field_input", "field_output"),
)


def data(context: Context) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Spec values of the rows, and questions."""
    train = [
        shown(row_in(one, context), context) for one in entries(context, STREAM) or entries(context)
    ]
    held = [shown(row_in(one, context), context) for one in entries(context, "test_datasets")]
    spec: dict[str, Any] = {"data.train": _every(train)} if train else {}
    if held:
        spec["data.eval"] = _every(held)
    if not held:
        spec |= drawn(context)
    learns = objective(context)
    questions = [one.question for one in train if one.question]
    if learns == "sft" and any(one.objective == "cpt" for one in train):
        questions.append(
            "data.train: plain texts beside rows with answers: a spec has one or the other"
        )
    everything = bool(taken(context, "train_on_inputs")) or learns == "cpt"
    spec["data.train_on"] = "all" if everything else "assistant"
    if learns == "reward":
        spec["data.overflow"] = "truncate"
    elif learns != "cpt":
        strategy = taken(context, "excess_length_strategy")
        spec["data.overflow"] = {"truncate": "truncate", "raise": "error"}.get(
            str(strategy), "drop"
        )
    elif completes(context):
        windows = {"data.overflow": "split", "data.split_rows": WINDOWS}
        spec |= {**windows, "data.prepare": "ftspec"}
    else:
        spec["data.overflow"] = "truncate"
    if context.get("pretraining_dataset"):
        spec["data.packing"] = streamed(context)[0]
    elif taken(context, "sample_packing"):
        spec["data.packing"] = shares(context)[0]
    else:
        spec["data.packing"] = None
    spec["data.shuffle"] = not in_order(context)
    spec |= turns(context)
    if any(is_shared(one.get("type")) and template_of(one) for one in entries(context)):
        spec["data.system"] = str(context.get("default_system_message") or ASKED)
    if prepares(context):
        spec["data.prepare"] = "ftspec"
    of_images, asked, _ = seen(context)
    return spec | of_images, tuple(dict.fromkeys((*questions, *asked)))


def _every(found: Iterable[Row]) -> tuple[dict[str, Any], ...]:
    return tuple(source for one in found for source in one.sources)


def prepares(context: Context) -> bool:
    """Whether ftspec has to prepare the rows, for what no framework leaves out or splits as axolotl does."""
    entry = any(one.get("drop_system_message") and is_turned(one) for one in entries(context))
    names = ("dataset_exact_deduplication", "min_sample_len")
    return entry or completes(context) or any(taken(context, name) for name in names)


def _distinct(setting: Setting, context: Context) -> Outcome:
    if objective(context) not in ("sft", "cpt") or context.get("pretraining_dataset"):
        return Outcome("unknown", why="only rows that ftspec prepares are compared")
    return Outcome("renamed", spec={"data.distinct": setting.value})


def _shortest(setting: Setting, context: Context) -> Outcome:
    if objective(context) not in ("sft", "cpt") or context.get("pretraining_dataset"):
        return Outcome("unknown", why="only rows that ftspec prepares are measured")
    return Outcome("renamed", spec={"data.min_length": setting.value})


def _type(setting: Setting, context: Context) -> Outcome:
    found = row_of(setting, context)
    if found is None:
        return Outcome("unknown", why="which rows it speaks of is not clear")
    if objective(context) not in ("sft", "cpt"):
        return _learned_otherwise(found, setting.value, objective(context))
    if setting.key.startswith(STREAM) and found.objective == "cpt":
        of = ("data.train", "data.packing")
        return Outcome("approximated", why=streamed(context)[1], of=of)
    if is_shared(setting.value) and found.kind == "approximated":
        return Outcome(found.kind, why=found.why, of=("data.train", "data.system"))
    if setting.value in CHATS and found.kind != "unknown":
        return _of_turns(found, entry_of(setting, context), context)
    return Outcome(found.kind, why=found.why, of=("data.train",) if found.kind != "unknown" else ())


def _typed(setting: Setting, context: Context) -> Outcome:
    if setting.key.startswith(ENTRY) and context.get(STREAM):
        return Outcome("inert", why=BESIDE_STREAM)
    return _type(setting, context)


def _learned_otherwise(found: Row, kind: Any, learns: str) -> Outcome:
    """Rows of preferences, of judged answers, of rewards."""
    if learns in (*OF_PAIRS, WHOLE, STRIDED) and found.kind != "unknown":
        return Outcome(found.kind, why=found.why, of=("data.train",))
    return Outcome("unknown", why=why_no_pairs(kind, learns))


def _of_turns(found: Row, entry: Mapping[str, Any], context: Context) -> Outcome:
    of = ("data.train", "data.turn_part")
    if has_system(found.source, entry, context):
        return Outcome("approximated", why=SYSTEM, of=of)
    if len(withheld_by(entry, context)) > 1:
        return Outcome("unknown", why="a template asks more of a turn than all data sets hand it")
    return Outcome("derived", why=TURNS, of=of)


def _of_pairs(setting: Setting, context: Context) -> Outcome:
    """The name of a column of answers: prompt_strategies/dpo/chat_template.py alone asks for it."""
    if objective(context) in ("sft", "cpt"):
        return Outcome("inert", why="rows have one answer")
    kind, found = entry_of(setting, context).get("type"), row_of(setting, context)
    if found is None or found.kind == "unknown" or objective(context) not in OF_PAIRS:
        return Outcome("unknown", why=why_no_pairs(kind, objective(context)))
    if not str(kind).startswith("chat_template"):
        return Outcome("inert", why="its type says which columns are read")
    return part(setting, context)


def _of_prompt(setting: Setting, context: Context) -> Outcome:
    """A part of a prompt of its own: a format, or the name of a column."""
    found, name = row_of(setting, context), setting.key.rpartition(".")[2]
    if found is None or found.kind == "unknown":
        return Outcome(
            "unknown", why=found.why if found else "a prompt of its own is not in a spec"
        )
    pairs = objective(context) in OF_PAIRS
    if name not in (PAIR_PARTS if pairs else PARTS):
        return Outcome("unknown", why=f"a prompt has no part {name}")
    return Outcome("derived", why=PROMPT, of=("data.train",))


def _styled(setting: Setting, context: Context) -> Outcome:
    """prompt_strategies/alpaca_chat.py alone asks for it, and FastChat's conversations of older releases."""
    if is_shared(entry_of(setting, context).get("type")):
        return shared_template(entry_of(setting, context), context)
    if entry_of(setting, context).get("type") not in instructions.STYLED_BY:
        return Outcome("inert", why="read of `type: alpaca_chat` alone")
    return field(setting, context)


def drawn(context: Context) -> dict[str, Any]:
    """How many rows are held out, and which: the last of those that are shuffled and not too long."""
    size = held_out(context)
    return {"data.eval_size": size} | ({} if size is None else {"data.eval_draw": "last"})


def _held_out(setting: Setting, context: Context) -> Outcome:
    size = held_out(context)
    if size is None and setting.value:
        return Outcome("unknown", why="neither a share of the rows nor a number of them")
    if size is None:
        return Outcome("derived", why="nothing is held out", of=("data.eval",))
    if size == 1:
        return Outcome("unknown", why="of all rows none would train: axolotl stops")
    why, spec = _otherwise_drawn(context), drawn(context)
    if why:
        return Outcome("approximated", spec=spec, why=f"as many rows, but {why}")
    why = "the last ones of those that are shuffled"
    if context.get("seed") is None:  # no default reaches its rows (utils/schemas/validation.py)
        why += ": without a seed axolotl draws others in each run, and here train.seed draws them"
    return Outcome("derived", spec=spec, why=why)


def _otherwise_drawn(context: Context) -> str:
    """Why the rows that a spec holds out are not the same (utils/data/shared.py, merge_datasets)."""
    if context.get("curriculum_sampling") or taken(context, "shuffle_merged_datasets") is False:
        return "it does not shuffle before it holds the last ones out"
    if context.get("shuffle_before_merging_datasets") and len(entries(context)) > 1:
        return "it shuffles each data set before all of them"
    strict = taken(context, "excess_length_strategy") == "raise"  # then no row is too long
    if objective(context) not in ("sft", "cpt") and not strict:
        return "it leaves long rows out before it shuffles"
    return ""


def _packs(setting: Setting, context: Context) -> Outcome:
    spec = {"data.packing": data(context)[0]["data.packing"]}
    if not setting.value:
        return Outcome("derived", spec=spec)
    word, why = shares(context)
    return Outcome("derived", spec=spec, why=why) if word else Outcome("unknown", why=why)


def _streams(_setting: Setting, context: Context) -> Outcome:
    if not entries(context, STREAM):
        return Outcome("inert", why=f"there is no {STREAM}")
    return Outcome("derived", of=("data.packing",))


def _stream(_setting: Setting, context: Context) -> Outcome:
    """A name alone, of texts in a column `text`."""
    return Outcome("approximated", why=streamed(context)[1], of=("data.train", "data.packing"))


def _length(setting: Setting, context: Context) -> Outcome:
    if (otherwise := length(setting.value, context)) is not None:
        return otherwise
    if turns(context) or prepares(
        context
    ):  # rows that ftspec prepares are cut before trl sees them
        return Outcome("renamed", spec={"data.max_length": setting.value})
    return Outcome("renamed", {"SFTConfig.max_length": setting.value})


def _overflow(setting: Setting, context: Context) -> Outcome:
    if setting.value not in ("drop", "truncate", "raise"):
        return Outcome("unknown", why="axolotl takes drop, truncate and raise")
    word = data(context)[0]["data.overflow"]
    return overflow(word, context) or Outcome("renamed", spec={"data.overflow": word})


def in_order(context: Context) -> bool:
    """core/trainers/base.py, _get_train_sampler: the trainers of pairs and rewards are not made of it."""
    paired = context.get("rl") or context.get("reward_model")
    return bool(context.get("curriculum_sampling")) and not paired


def _in_order(_setting: Setting, context: Context) -> Outcome:
    if not in_order(context):
        return Outcome("inert", why="its trainers of pairs and rewards do not read it")
    return Outcome("derived", spec={"data.shuffle": False})


def _eval_packing(_setting: Setting, context: Context) -> Outcome:
    if not evaluates(context):
        return Outcome("inert", why="nothing is evaluated")
    return Outcome("inert", why="how rows are evaluated, not what is trained")


def _unlisted(setting: Setting, context: Context) -> Outcome:
    """A key of an entry that no rule reads, or that no release has."""
    calls = context.table.calls if context.table else {}
    known = {key for call in calls if call for key in calls[call]}
    if setting.key.partition("].")[2].partition(".")[0].partition("[")[0] in known:
        return Outcome("unknown", why="only axolotl has it")
    return unread(setting, context, known, ENTRY)


_ENTRY: dict[str, Rule] = {
    **PLACE_RULES,
    "type": of_images(_typed, of_shown),
    "type.": said(_of_prompt),
    **COLUMN_RULES,
    **OWN_TEMPLATE,
    **TURN_RULES,
    "trust_remote_code": inert("rows are read without code"),
    "conversation": said(_styled),
}
_LISTS = ("datasets", "test_datasets", "pretraining_dataset")
DATA_RULES: dict[str, Rule] = {
    **{f"{root}[].{key}": rule for root in _LISTS for key, rule in _ENTRY.items()},
    **{
        f"{root}[].{key}": said(_of_pairs)
        for root in _LISTS
        for key in ("field_chosen", "field_rejected")
    },
    **{f"{root}[].": said(_unlisted) for root in _LISTS},
    STREAM: said(_stream),
    "sequence_len": of_images(said(_length), UNCUT),
    "excess_length_strategy": of_images(said(_overflow), UNCUT),
    "sample_packing": said(_packs),
    **dict.fromkeys(
        ("pretrain_multipack_attn", "pretraining_sample_concatenation"), said(_streams)
    ),
    "eval_sample_packing": said(_eval_packing),
    "val_set_size": said(_held_out),
    "train_on_inputs": said(inputs),
    **TEMPLATE_RULES,
    "eot_tokens": EOT,
    "curriculum_sampling": off_or(_in_order),
    "shuffle_merged_datasets": inert("each epoch draws rows in random order anyway"),
    "shuffle_before_merging_datasets": inert("each epoch draws rows in random order anyway"),
    "dataset_prepared_path": inert("a cache of rows: a compiled run makes them anew"),
    "dataset_exact_deduplication": off_or(_distinct),
    "min_sample_len": of_images(said(_shortest), UNCUT),
}
