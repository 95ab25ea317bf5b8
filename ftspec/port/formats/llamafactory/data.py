"""Names of dataset_info.json -> sources of a spec.

https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md; data/parser.py of 0.9.5: once
`columns` or `tags` is given, what it does not name is absent.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any, NamedTuple

from ftspec.mapping import Refuse
from ftspec.port.rules import Context
from ftspec.spec.data import SUFFIXES, unsliced

CHAT = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
}
SHAREGPT = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"}
COLUMNS = {
    "alpaca": {"prompt": "instruction", "query": "input", "response": "output"},
    "sharegpt": {"messages": "conversations"},
}
"""What a format's columns are called where the entry names none."""
RANKED = {
    "alpaca": {
        "prompt": "instruction",
        "query": "input",
        "chosen": "chosen",
        "rejected": "rejected",
    },
    "sharegpt": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"},
}
"""The same with `ranking: true`. An entry that names no columns has none for the answers there."""


JUDGED = {"kto_tag": "label"}
"""The column more that rows of single answers have."""


_PAIRS: Mapping[str, Any] = {
    "ranking": True,
    "formatting": "sharegpt",
    "columns": RANKED["sharegpt"],
}
_JUDGED: Mapping[str, Any] = {
    "formatting": "sharegpt",
    "columns": {"messages": "messages", "kto_tag": "label"},
    "tags": CHAT,
}
_IMAGES: Mapping[str, Any] = {
    "formatting": "sharegpt",
    "columns": {"messages": "messages", "images": "images"},
    "tags": CHAT,
}
_TOOLS: Mapping[str, Any] = {
    "formatting": "sharegpt",
    "columns": {"messages": "conversations", "tools": "tools"},
}
DEMOS: Mapping[str, Mapping[str, Any]] = {
    **{
        name: {"file_name": f"{name}.json"}
        for name in ("identity", "alpaca_en_demo", "alpaca_zh_demo")
    },
    **{name: {"file_name": f"{name}.json", **_PAIRS} for name in ("dpo_en_demo", "dpo_zh_demo")},
    "kto_en_demo": {"file_name": "kto_en_demo.json", **_JUDGED},
    "c4_demo": {"file_name": "c4_demo.jsonl", "columns": {"prompt": "text"}},
    "wiki_demo": {"file_name": "wiki_demo.txt", "columns": {"prompt": "text"}},
    "mllm_demo": {"file_name": "mllm_demo.json", **_IMAGES},
    "llava_1k_en": {"hf_hub_url": "BUAADreamer/llava-en-zh-2k", "subset": "en", **_IMAGES},
    "rlhf_v": {
        "hf_hub_url": "llamafactory/RLHF-V",
        **_PAIRS,
        "columns": {**RANKED["sharegpt"], "images": "images"},
    },
    **{
        f"glaive_toolcall_{one}_demo": {"file_name": f"glaive_toolcall_{one}_demo.json", **_TOOLS}
        for one in ("en", "zh")
    },
    **{
        name: {"hf_hub_url": f"llamafactory/{name}"}
        for name in ("alpaca_en", "alpaca_zh", "alpaca_gpt4_en", "alpaca_gpt4_zh")
    },
    **{
        f"dpo_mix_{one}": {"hf_hub_url": "llamafactory/DPO-En-Zh-20k", "subset": one, **_PAIRS}
        for one in ("en", "zh")
    },
}
"""What its own dataset_info.json has under these names; most examples name them."""


class Found(NamedTuple):
    """Sources, and why they are these; or why they are not known."""

    sources: tuple[dict[str, Any], ...] = ()
    why: str = ""
    missing: str = ""
    nearly: str = ""
    """What it does to some rows, and a spec does not."""


def split_names(value: Any) -> tuple[str, ...]:
    """`a, b` or a list."""
    parts = value.split(",") if isinstance(value, str) else value or ()
    return tuple(str(part).strip() for part in parts if str(part).strip())


def sources(names: tuple[str, ...], context: Context) -> Found:
    """The sources that these names stand for; of what is missing, the first, beside those that are known."""
    folder = context.get("dataset_dir", "data")
    registry = context.companions.get("dataset_info")
    found, nearly, missing = [], "", []
    for name in names:
        if registry is not None:
            entry = registry.data.get(name)
        else:
            entry = DEMOS.get(name) if folder == "data" else None
        if entry is None:
            where = "is not in the dataset_info.json" if registry else "stands in dataset_info.json"
            tail = "" if registry else ", which was not given"
            missing.append(f"{name!r} {where}{tail}")
            continue
        if _without_system(entry):
            nearly = (
                f"{name!r} names tags but no system_tag: there, conversations that begin with a system "
                "turn are left out; here they train"
            )
        try:
            source = _source(entry, str(folder))
        except Refuse as refuse:
            missing.append(f"{name!r}: {refuse.reason}")
            continue
        # max_samples: of each data set, those to evaluate on too (data/loader.py)
        limits = [limit for limit in (source["limit"], context.get("max_samples")) if limit]
        found.append({**source, "limit": min(limits, default=None)})
    why = "dataset_info.json"
    if registry is None:
        why = "the dataset_info.json of LLaMA-Factory itself has these"
    return Found(tuple(found), why, missing="; ".join(missing), nearly=nearly)


def _without_system(entry: Mapping[str, Any]) -> bool:
    """Whether a system turn is an invalid one: `tags` that are given, and name none (data/converter.py)."""
    tags = entry.get("tags")
    return entry.get("formatting") == "sharegpt" and tags is not None and not tags.get("system_tag")


def _source(entry: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """One entry as a source of a spec."""
    kind = entry.get("formatting", "alpaca")
    if kind not in COLUMNS:
        raise Refuse(f"the formatting {kind!r} is not in a spec", "notimpl")
    columns = dict(entry.get("columns", COLUMNS[kind]))
    ranking = entry.get("ranking") is True
    if not ranking and {"chosen", "rejected"} & set(columns):
        raise Refuse("rows of preferences", "notimpl")
    judged = not ranking and "kto_tag" in columns
    known = RANKED[kind] if ranking else {**COLUMNS[kind], **(JUDGED if judged else {})}
    if more := sorted(set(columns) - set(known)):
        raise Refuse(f"a column for {', '.join(more)} is not in a spec yet", "notimpl")
    if kind == "alpaca" and set(columns) == {"prompt"} and not ranking:  # what stage pt reads
        text = columns["prompt"]
        named = {} if text == "text" else {"text": text}
        return {**_place(entry, folder), "format": "text", "columns": named}
    if less := sorted(set(known) - set(columns)):
        raise Refuse(f"{kind} rows without a column for {', '.join(less)}", "notimpl")
    if "num_samples" in entry:
        raise Refuse("num_samples draws rows by chance", "notimpl")
    if ranking:
        if kind != "alpaca" and _turns(entry.get("tags")) != "sharegpt":
            raise Refuse("pairs of OpenAI's messages, of which an answer is one", "notimpl")
        named = {ours: columns[key] for key, ours in known.items() if columns[key] != ours}
        return {**_place(entry, folder), "format": f"{kind}-ranking", "columns": named}
    label = columns.get("kto_tag", "label")
    named = {"label": label} if label != "label" else {}
    shape = "alpaca" if kind == "alpaca" else _turns(entry.get("tags"))
    return {
        **_place(entry, folder),
        "format": f"{shape}-unpaired" if judged else shape,
        "columns": {**_renamed(kind, columns, entry.get("tags")), **named},
    }


def _place(entry: Mapping[str, Any], folder: str) -> dict[str, Any]:
    hub, file = entry.get("hf_hub_url"), entry.get("file_name")
    if hub is None and file is None:
        raise Refuse("it is neither a file nor a data set of the Hugging Face hub", "notimpl")
    path = None if hub else posixpath.normpath(posixpath.join(folder, str(file)))
    if path is not None and not path.endswith(tuple(SUFFIXES)):
        raise Refuse(f"{path} is no file that a spec can name", "notimpl")
    split, limit = unsliced(str(entry.get("split") or "train"))
    return {
        "path": path,
        "hub": hub,
        "subset": entry.get("subset"),
        "split": split if hub else "train",
        "limit": limit,
        "share": None,
        "template": None,
    }


def _turns(tags: Mapping[str, Any] | None) -> str:
    """Which turns these tags describe.

    Those for tools do not decide: rows that have such turns have the usual ones, or LLaMA-Factory
    leaves them out.
    """
    given = {key: (tags or {}).get(key) for key in CHAT} if tags is not None else SHAREGPT
    for kind, known in (("messages", CHAT), ("sharegpt", SHAREGPT)):
        if given == known:
            return kind
    raise Refuse(f"turns with the tags {dict(tags or {})!r}", "notimpl")


def _renamed(
    kind: str, columns: Mapping[str, str], tags: Mapping[str, Any] | None
) -> dict[str, str]:
    """The file's own column names, where they are not those that the spec's format expects."""
    names = COLUMNS[kind]
    if kind != "alpaca" and _turns(tags) == "messages":
        names = {"messages": "messages"}
    return {ours: columns[theirs] for theirs, ours in names.items() if columns[theirs] != ours}
