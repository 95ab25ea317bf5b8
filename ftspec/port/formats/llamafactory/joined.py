"""Texts that LLaMA-Factory puts into rows together, and what preparing them does to that."""

from __future__ import annotations

from ftspec.families.rows.by_turns import WORD
from ftspec.families.rows.packing import CARRIED, is_recurrent
from ftspec.port.fates import Kind, Setting
from ftspec.port.formats.hf_arguments import plain, training_rules
from ftspec.port.formats.llamafactory import aged
from ftspec.port.rules import Context, Outcome

PLAIN = plain()
TRAINING = training_rules()
BLOCKS = (
    "it joins the texts of each thousand, and of each worker of preprocessing_num_workers, drops what does "
    "not fill a block, and puts the start-of-text token, where a tokenizer has `add_bos_token`, in the place "
    "of a block's first; a spec joins all texts, each with what its tokenizer puts before it"
)
"""data/processor/pretrain.py."""
CHOSEN = "whole rows that do not see each other; which of them share one row is chosen otherwise"
"""data/processor/supervised.py, PackedSupervisedDatasetProcessor: the fullest rows of each thousand."""
SEEN = (
    "whole rows that see those before them, since the mask is one of ones; which of them share one row is "
    "chosen otherwise"
)
BY_PLACE = (
    "flash attention leaves a mask of ones out, and tells the documents of a single row apart by their "
    "positions"
)
"""transformers, modeling_flash_attention_utils.py: `_is_packed_sequence` asks for a batch of one row."""
NOW_AND_THEN = (
    "under flash attention documents in a batch of several rows see each other, and those in a batch of one "
    "row, such as a last one, do not: that is not in a spec"
)
BY_MODEL = "which attention it takes for this model is not said by the file"
"""model/model_utils/attention.py: gemma 2 has flash attention where it is installed, gpt-oss always."""
CUTTING = ("sft", "rm", "dpo", "kto", "orpo")
"""Stages whose rows are turns that `infer_seqlen` shortens."""
APART = "rows of this stage share none (data/loader.py): it takes a token off cutoff_len alone"
LAST_OF_BLOCKS = (0, 7, 1)
"""The last release that packed so (data/preprocess.py, preprocess_packed_supervised_dataset)."""
CUT_ANYWHERE = (
    "up to 0.7.1 it joined the conversations of each thousand and cut them into blocks of cutoff_len, "
    "wherever that fell: a spec has blocks of plain texts alone; since 0.8.0 whole rows share one"
)
TAKEN: aged.Ages = (((0, 8, 3), 0), ((0, 9, 1), 1), ((0, 9, 2), 0), (aged.NOW, 1))
"""How many tokens a release took off cutoff_len where it packs rows of sft, oldest first.

0.9.0 and 0.9.1 in data/processors/supervised.py, 0.9.2 nowhere, and since 0.9.3 in hparams/data_args.py.
"""
TAKEN_ELSEWHERE: aged.Ages = (((0, 9, 2), 0), (aged.NOW, 1))
"""Of any other stage: hparams/data_args.py alone."""
ONE_LESS = "with packing set, it takes one token less (hparams/data_args.py)"
ALL_OF_IT = (
    "packed rows were as long as this in the release that ran it, and are one token shorter today"
)
NOW_AND_AGAIN = (
    "with packing set, 0.9.0, 0.9.1 and every release since 0.9.3 take one token less of rows of sft, of "
    "those of other stages the latter alone: it may have been any up to {}, which takes {} less"
)
TOGETHER = "texts are put into rows together"


def packs(context: Context) -> bool:
    """Whether whole texts share a row."""
    return bool(context.get("packing") or context.get("neat_packing"))


def joins(context: Context) -> bool:
    """Whether several texts share a row."""
    return packs(context) or (context.get("stage") == "pt" and context.get("packing") is not False)


def taken(context: Context) -> int:
    """How many tokens packing takes off cutoff_len, in the last release that can have run the config."""
    return _off(context)[-1][1] if packs(context) else 0


def _off(context: Context) -> aged.Ages:
    """What it took in every release that can have run the config; today's alone where none shows."""
    ages = TAKEN if context.get("stage", "sft") == "sft" else TAKEN_ELSEWHERE
    last, _ = aged.until(context)
    return ages[-1:] if last == aged.NOW else aged.possible(ages, last)


def length(setting: Setting, context: Context) -> Outcome:
    """The longest row."""
    if (
        setting.value is None and context.get("template") != "empty"
    ):  # rows that are prepared have none
        return Outcome("unknown", why="null, where lengths of rows are held against it")
    if packs(context) and isinstance(setting.value, int):
        less = taken(context)
        why = ONE_LESS if less else ALL_OF_IT
        kind: Kind = "derived"
        if len({one for _, one in _off(context)}) > 1:
            last = ".".join(map(str, aged.until(context)[0]))
            kind, why = "approximated", NOW_AND_AGAIN.format(last, less or "nothing")
        if context.get("stage") == "pt":
            return Outcome(kind, {"cutoff_len": setting.value - less}, why=why)
        return Outcome(kind, why=why, of=("data.max_length",))
    return PLAIN(setting, context)


def long_rows(context: Context) -> str:
    """What becomes of rows that are too long: those of turns lose a part of each, texts their end."""
    handed = context.get("template") == "empty"  # rows that are prepared are not cut again
    unlimited = context.get("cutoff_len", 0) is None
    turns = context.get("stage", "sft") in CUTTING and not (handed or unlimited)
    return WORD if turns else "truncate"


def neat(setting: Setting, context: Context) -> Outcome:
    """Rows that share one without seeing each other."""
    if setting.value is False and context.get("packing") is True and flashes(context):
        return Outcome("derived", why=BY_PLACE, of=("data.packing",))
    if setting.value is not True or context.get("stage", "sft") != "sft":
        return PLAIN(setting, context)
    return Outcome("derived", {"neat_packing": True}, why=CHOSEN)


def packing(setting: Setting, context: Context) -> Outcome:
    """Of the stage `pt` it is on unless it is off, and makes blocks; of pairs and answers it makes none."""
    if setting.value is True and context.get("stage", "sft") not in ("sft", "pt"):
        return Outcome("derived", {"packing": False}, why=APART)
    if context.get("stage") != "pt":
        plain = setting.value is True and context.get("neat_packing") is not True
        shares = plain and context.get("stage", "sft") == "sft"
        if shares and aged.until(context)[0] <= LAST_OF_BLOCKS:
            return Outcome("unknown", why=CUT_ANYWHERE)
        return _plain(context) if shares else PLAIN(setting, context)
    joined = setting.value is not False
    why = "texts are joined into blocks" if joined else "each text is a row"
    return Outcome("derived", why=why, of=("data.packing",))


def sft_packing(setting: Setting, context: Context) -> Outcome:
    """What `packing` was called up to 0.5, of the one stage that read it."""
    if not setting.value or context.get("stage", "sft") != "sft":
        return Outcome("inert", why="it is for the stage sft, where it is set")
    return Outcome("unknown", why=CUT_ANYWHERE)


def flashes(context: Context) -> bool:
    """Whether the file asks for flash attention."""
    return context.get("flash_attn") in ("fa2", "fa3", True)


def _plain(context: Context) -> Outcome:
    """`packing` alone: rows share one, and mostly see each other."""
    name = str(context.get("model_name_or_path")).lower()
    if is_recurrent(name):
        return Outcome("unknown", why=CARRIED)
    chosen = context.get("flash_attn") in (None, "auto") and "gemma-2-" in name
    if chosen or "gpt-oss" in name or "gpt_oss" in name:
        return Outcome("unknown", why=BY_MODEL)
    if not flashes(context):
        return Outcome("derived", spec={"data.packing": "together"}, why=SEEN)
    rows = "per_device_train_batch_size"
    if context.get(rows, context.assumed(rows)) != 1:
        return Outcome("unknown", why=NOW_AND_THEN)
    return Outcome("derived", spec={"data.packing": "documents"}, why=f"{BY_PLACE}; {CHOSEN}")


def block(setting: Setting, context: Context) -> Outcome:
    """How many rows are prepared at once: a matter of speed, but where rows are joined or paired in them."""
    if context.get("stage") == "kto":
        return PLAIN(setting, context)
    if joins(context) and setting.value not in (None, context.assumed(setting.key)):
        return Outcome("approximated", why=f"{TOGETHER}, so many at a time")
    return TRAINING["preprocessing_batch_size"](setting, context)


def workers(setting: Setting, context: Context) -> Outcome:
    """Each worker prepares a part of the rows by itself (datasets, `map` with `num_proc`)."""
    several = isinstance(setting.value, int) and setting.value > 1
    if several and joins(context):
        return Outcome("approximated", why=f"{TOGETHER}, by each worker for itself")
    if several and context.get("stage") == "kto" and context.get("disable_shuffling"):
        why = "the divergence is measured on answers of other rows, those of a worker's own part"
        return Outcome("approximated", why=why)
    return TRAINING[setting.key](setting, context)
