"""The specs that a backend is asked to express: awkward words on purpose, batches that divide."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ftspec.families.rows.shapes import COLUMNS
from ftspec.plan.resolve import SEEN_IN
from ftspec.registry import names
from ftspec.spec.data import FORMATS
from ftspec.spec.energy import ENERGY
from ftspec.spec.online import ONLINE
from ftspec.spec.preference import PREFERENCES
from ftspec.spec.root import Spec
from tests.unit.spec_basics import words
from tests.unit.spec_objectives import objectives
from tests.unit.spec_strategies import documents, images

NOT_EMITTED = ("version", "native", "run.", "derived.", "data.overflow")
"""Paths that no native file holds: ftspec answers for them before or around the run."""


LIMITED = ("gkd", "orpo", "cpo", "simpo", *ONLINE, *ENERGY)
"""Objectives whose trainers take a limit of their own where there is none."""


@st.composite
def sources(draw: st.DrawFn, objective: str) -> dict[str, Any]:
    """A source of a format that the objective takes, with awkward column names."""
    kind = draw(st.sampled_from(FORMATS[objective]))
    suffix = draw(st.sampled_from((".jsonl", ".parquet", ".csv")))
    place: dict[str, Any] = {"path": draw(words()) + suffix}
    if draw(st.booleans()):
        few = st.none() | st.none() | st.none() | words()
        chosen = draw(st.sampled_from(((), (), (), ("a/b*.jsonl", "c.jsonl"))))
        place = {"hub": draw(words()), "files": chosen, "revision": draw(few)}
    own = draw(st.lists(words(), unique=True, min_size=3, max_size=3))
    columns = dict(zip(COLUMNS[kind], own, strict=False)) if draw(st.booleans()) else {}
    limit = draw(st.none() | st.none() | st.integers(1, 10**9))
    share = draw(st.none() | st.none() | st.none() | st.sampled_from((1.0, 0.5, 1e-5, 500.0)))
    place |= {"share": share}
    if kind == "prompt-completion" and draw(st.booleans()):
        texts = {name: draw(words()) for name in ("prompt", "completion")}
        return {**place, "limit": limit, "format": kind, "template": texts}
    if (
        kind == "messages"
        and objective in ("sft", "ebft")
        and draw(st.sampled_from((False, False, True)))
    ):
        texts = {name: draw(words()) for name in ("user", "assistant")}
        texts |= {"system": draw(words())} if draw(st.booleans()) else {}
        return {**place, "limit": limit, "format": kind, "template": texts}
    if kind == "unpaired" and draw(st.sampled_from((False, False, True))):
        texts = {name: draw(words()) for name in ("prompt", "completion", "label")}
        return {**place, "limit": limit, "format": kind, "template": texts}
    if kind == "preference" and draw(st.sampled_from((False, False, True))):
        asked = draw(st.sampled_from(("prompt", "user")))
        texts = {name: draw(words()) for name in (asked, "chosen", "rejected")}
        texts |= {"system": draw(words())} if asked == "user" and draw(st.booleans()) else {}
        return {**place, "limit": limit, "format": kind, "template": texts}
    if kind == "text" and draw(st.booleans()):
        return {**place, "limit": limit, "format": kind, "template": {"text": draw(words())}}
    return {**place, "limit": limit, "format": kind, "columns": columns}


@st.composite
def specs(draw: st.DrawFn, objective: str) -> Spec:
    """A valid spec for an objective that can be resolved without looking at files."""
    document = draw(documents(bare=True))
    devices, nodes = draw(st.sampled_from((1, 1, 1, 2))), draw(st.sampled_from((1, 1, 1, 2)))
    least = 2 if objective == "kto" else 1
    micro, accumulation = draw(st.integers(least, 4)), draw(st.integers(1, 4))
    first = draw(sources(objective))
    document["data"]["train"] = [first] * draw(st.integers(1, 2))
    document["data"]["eval"] = [first] * draw(st.integers(0, 1))
    if not document["data"]["eval"] and draw(st.booleans()):
        document["data"]["eval_size"] = draw(st.sampled_from((0.1, 0.25, 1.0, 2.0, 500.0)))
        document["data"]["eval_draw"] = draw(st.sampled_from(("first", "first", "last")))
    document["data"]["draw_seed"] = draw(st.none() | st.integers(0, 2**32 - 1))
    if "hub" in first and document["data"].get("overflow") == "error":
        document["data"]["overflow"] = "truncate"  # rows of the hub cannot be measured before a run
    learned = document.setdefault("method", {})["objective"] = draw(objectives(objective))
    if learned.get("prompt_weight") and document["data"].get("train_on") == "all":
        document["data"]["train_on"] = "completions"  # all tokens would count in full already
    if objective == "cpt":  # some backends train on plain text in the first way only
        document["data"]["prepare"] = draw(st.sampled_from(("ftspec", "framework")))
    document["data"]["turn_ends"] = draw(st.lists(words(), max_size=2))
    _apart(document["data"], objective, learned)
    if objective in PREFERENCES:
        _compared(document, draw)
    if objective in (*ONLINE, *ENERGY):
        accumulation = 1 if objective == "online-dpo" else 2 * accumulation  # whole groups of two
        _drawn(document, draw)
    if objective == "ppo":
        _proximal(document, draw)
        devices, nodes = draw(st.sampled_from((1, 1, 1, 2))), 1
        accumulation = draw(st.sampled_from((accumulation, learned.get("mini_batches", 1))))
    if objective == "gkd":
        _taught(document, draw)
    share = draw(st.sampled_from((1, 1, 1, 2))) if devices * nodes > 1 else 1
    cut = draw(st.sampled_from((1, 1, 1, 2))) if devices * nodes > 1 and share == 1 else 1
    train = document.setdefault("train", {})
    train |= {"micro_batch_size": micro, "batch_size": micro * accumulation * devices * nodes}
    _possible(train)
    _judged(document["data"], train, draw)
    if document.get("method", {}).get("tuner", {}).get("type") == "adalora":
        train.pop("epochs", None)
        train["steps"] = train.get("steps") or 0
        train["steps"] += 10**4  # a plan of ranks needs room
    train["resume"] = draw(st.none() | st.just("./checkpoint-3"))
    document["hardware"] = document.get("hardware", {}) | {
        "device": draw(st.sampled_from(("cpu", "cuda"))),
        "devices": devices,
        "nodes": nodes,
        "sequence_parallel": share,
        "tensor_parallel": cut,
    }
    if document["hardware"]["device"] == "cpu" and draw(st.sampled_from((True, False))):
        document["precision"] = {"compute": "fp32"}  # what every backend calculates in there
    document["model"] = document["model"] | {
        "name": draw(st.sampled_from(("org/name", "a/1e-4", "b/no")))
    }
    _held(document)
    if objective in ("sft", "dpo") and "template" not in first and first["format"] in SEEN_IN:
        _seeing(document, draw, objective)
    if document.get("precision", {}).get("compute") == "bf16-pure":
        document["model"].pop("dtype", None)
    document["run"] = {
        "backends": list(names()),
        "environment": "aligned" if share == 1 else "latest",
    }
    return Spec.model_validate(document)


def _judged(data: dict[str, Any], train: dict[str, Any], draw: st.DrawFn) -> None:
    """Where something is evaluated, a run may be judged by it."""
    if data.get("eval") or data.get("eval_size"):
        train["early_stopping"] = draw(st.sampled_from((None, None, 1, 3)))
        train["keep"] = draw(st.sampled_from(("last", "last", "best")))
        if train["keep"] == "best":
            train.pop("save_steps", None)


def _held(document: dict[str, Any]) -> None:
    """Weights in few bits, taken away where all of them train, and where they are so already."""
    model = document["model"]
    if document.get("method", {}).get("tuner", {}).get("type") in ("full", "partial"):
        model.pop("quantization", None)
        if not (model.get("stored") or {}).get("dequantize"):
            model.pop("stored", None)
    if model.get("stored"):
        model.pop("quantization", None)


def _seeing(document: dict[str, Any], draw: st.DrawFn, objective: str) -> None:
    """Rows with images, mostly without what is refused beside them."""
    model, data = document["model"], document["data"]
    if not draw(st.sampled_from((True, False, False, False))):
        model.pop("images", None)
        return
    model["images"] = draw(images())
    for source in (*data["train"], *data["eval"]):
        source["columns"] = {**source["columns"], "images": "shown"}
    model["chat_template"] = draw(st.sampled_from(("qwen2_vl", "qwen3_vl_nothink", "own.jinja")))
    for name in ("quantization", "stored", "template_options", "new_tokens", "rope", "experts"):
        model.pop(name, None)
    data |= {"prepare": "framework", "packing": None, "turn_part": "written", "max_length": None}
    for name in ("overflow", "turn_ends", "turn_flag", "max_prompt_length", "prompt_cut"):
        data.pop(name, None)
    plain = {"type": "sft", "average": "batches"}
    document["method"]["objective"] = plain if objective == "sft" else {"type": "dpo"}
    document["method"]["tuner"] = {"type": draw(st.sampled_from(("full", "lora")))}
    for name in ("qat", "neftune_alpha"):
        document.get("train", {}).pop(name, None)
    for name in ("fsdp", "zero"):
        document.get("hardware", {}).pop(name, None)


def _possible(train: dict[str, Any]) -> None:
    """A rate where an optimizer has no usual one, and a run that is long enough for its schedule."""
    if train.get("learning_rate") is None and "optimizer" in train:
        train["learning_rate"] = 1e-3
    if train.get("schedule", {}).get("type") == "warmup-stable-decay" and "steps" in train:
        train["steps"] += 10**10
        if "warmup_ratio" in train:
            train["warmup_ratio"] /= 2


def _compared(document: dict[str, Any], draw: st.DrawFn) -> None:
    """What objectives that compare answers refuse everywhere, mostly taken away: what is left is lowered."""
    data, tuner = document["data"], document["method"].get("tuner", {})
    data["train_on"] = "completions"  # there is no other way, and that is no backend's affair
    if not draw(st.sampled_from((*(True,) * 7, False))):
        return
    data |= {"packing": None, "prepare": "framework"}
    for name in ("quantization", "stored", "template_options"):
        document["model"].pop(name, None)
    data.pop("system", None)
    if data.get("overflow") == "drop":
        data["overflow"] = "truncate"
    if tuner.get("type", "lora") not in ("full", "partial", "lora"):
        document["method"]["tuner"] = {"type": draw(st.sampled_from(("full", "lora")))}
    for name in ("dropout", "bias", "init"):
        tuner.pop(name, None)
    if document["method"]["objective"]["type"] == "reward":
        _scored(document)
    if document["method"]["objective"]["type"] == "kto":
        data["shuffle"] = False
        data.pop("group_by_length", None)


def _taught(document: dict[str, Any], draw: st.DrawFn) -> None:
    """What distillation refuses, mostly taken away."""
    data, tuner = document["data"], document["method"].get("tuner", {})
    data["train_on"] = "completions"
    if not draw(st.sampled_from((*(True,) * 7, False))):
        return
    data |= {"packing": None, "prepare": "framework"}
    if data.get("overflow", "drop") == "truncate":
        data["overflow"] = "drop"
    for name in ("quantization", "stored", "chat_template", "experts"):
        document["model"].pop(name, None)
    for name in ("neftune_alpha", "label_smoothing"):
        document.get("train", {}).pop(name, None)
    if tuner.get("type", "lora") not in ("full", "lora"):
        document["method"]["tuner"] = {"type": draw(st.sampled_from(("full", "lora")))}
    for name in ("dropout", "adapter", "init", "plus_ratio", "plus_embedding_rate"):
        tuner.pop(name, None)


def _scored(document: dict[str, Any]) -> None:
    """What reward models refuse beside that, taken away."""
    if document["data"].get("max_length", 0) is not None:
        document["data"]["overflow"] = "drop"
    document["model"]["dtype"] = "float32"
    document["model"].pop("experts", None)
    document.get("train", {}).pop("neftune_alpha", None)
    tuner = document["method"].get("tuner", {})
    if tuner.get("type") == "partial":
        document["method"]["tuner"] = {"type": "full"}
    for name in ("adapter", "plus_ratio", "plus_embedding_rate"):
        tuner.pop(name, None)


def _drawn(document: dict[str, Any], draw: st.DrawFn) -> None:
    """What objectives that draw completions refuse everywhere, mostly taken away."""
    data, tuner = document["data"], document["method"].get("tuner", {})
    data["train_on"] = "completions"
    if not draw(st.sampled_from((*(True,) * 7, False))):
        return
    data |= {"packing": None, "prepare": "framework", "overflow": "drop", "eval": []}
    if document["method"]["objective"]["type"] in ENERGY:
        data["overflow"] = "truncate"
    for name in ("system", "eval_size", "eval_draw"):
        data.pop(name, None)
    _apart(data, "grpo", {})
    for name in ("quantization", "stored", "chat_template"):
        document["model"].pop(name, None)
    for name in ("neftune_alpha", "label_smoothing", "data_seed", "eval_steps"):
        document.get("train", {}).pop(name, None)
    if tuner.get("type", "lora") not in ("full", "lora"):
        document["method"]["tuner"] = {"type": draw(st.sampled_from(("full", "lora")))}
    for name in ("dropout", "bias", "init", "adapter", "plus_ratio", "plus_embedding_rate"):
        tuner.pop(name, None)


def _proximal(document: dict[str, Any], draw: st.DrawFn) -> None:
    """What PPO refuses beside that, mostly taken away."""
    if not draw(st.sampled_from((*(True,) * 7, False))):
        return
    train = document.setdefault("train", {})
    train["steps"] = draw(st.integers(1, 10**6))
    for name in ("epochs", "save_steps"):
        train.pop(name, None)
    for name in ("precision", "output"):
        document.pop(name, None)
    document["data"].pop("shuffle", None)
    document["model"].pop("experts", None)


def _turns(data: dict[str, Any], objective: str, learned: dict[str, Any]) -> None:
    """Parts of turns, where there are turns."""
    if objective not in ("sft", "cpt"):
        data.pop("turn_part", None)
    if data.get("turn_part") != "ended":
        data.pop("turn_ends", None)
    if data.get("turn_part", "written") == "written":
        data.pop("turn_flag", None)
    if data.get("turn_flag") is not None:
        learned.pop("prompt_weight", None)


def _apart(data: dict[str, Any], objective: str, learned: dict[str, Any]) -> None:
    """What excludes each other, one of it taken away."""
    _turns(data, objective, learned)
    if objective not in ("dpo", "cpo", "orpo", "simpo", "kto"):
        for name in ("max_prompt_length", "prompt_cut"):
            data.pop(name, None)
    if not (data.get("mixed") or data["train"][0]["share"] or data.get("eval_size")):
        data.pop("draw_seed", None)
    if objective == "cpt" or "template" in data["train"][0]:  # there are no turns
        data.pop("system", None)
    if data.get("shuffle") is False:
        data.pop("group_by_length", None)
    if data.get("packing") == "blocks":
        data.update({"overflow": "truncate"} if objective == "cpt" else {"packing": "documents"})
    if data.get("max_length", 0) is None and objective in LIMITED:
        data.pop("max_length")
    if data.get("max_length", 0) is None:
        for name in ("overflow", "packing"):
            data.pop(name, None)
    if data.get("packing") and (
        learned.get("prompt_weight") or learned.get("loss") in ("eaft", "asft")
    ):
        del data["packing"]
