"""What a probe saw of one run, as data that the checks can compare."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftspec.errors import Problem, VerifyError

SCHEMA = 1
"""Of the event files; the probe writes it, and another one is refused rather than guessed at."""

Rows = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Batch:
    """One micro-batch as the model was about to see it."""

    step: int
    """Optimizer step it belongs to, from 1."""
    rank: int
    micro: int
    """Counted from 0 within the process."""
    input_ids: Rows
    labels: Rows | None
    attention_mask: Rows | None = None
    """None: not given to the model, which then attends to everything."""
    position_ids: Rows | None = None
    """None: not given, which means 0, 1, 2, ..."""
    indices: tuple[int, ...] | None = None
    """Rows of the prepared data set, where they could be observed."""
    text: tuple[str | None, ...] = ()
    """Each row decoded, without padding; each document where rows are packed."""
    documents: tuple[tuple[int, int, int], ...] | None = None
    """Stretches of tokens (row, start, end) that attend to nothing outside themselves, as the model was
    told to; None where no row is packed."""

    images: str | None = None
    """A fingerprint of the images, as the processor left them."""

    def cut(self, rows: Rows) -> Rows:
        """``rows`` without padding; where rows are packed, each document of them."""
        if self.documents is None:
            return self.unpadded(rows)
        return tuple(rows[row][start:end] for row, start, end in self.documents)

    def attended(self) -> Rows:
        """The attention mask, ones where none was given."""
        return self.attention_mask or tuple((1,) * len(row) for row in self.input_ids)

    def positions(self) -> Rows:
        """The position ids, ascending where none were given."""
        return self.position_ids or tuple(tuple(range(len(row))) for row in self.input_ids)

    def unpadded(self, rows: Rows) -> Rows:
        """``rows`` where the attention mask is on."""
        mask = self.attended()
        return tuple(
            tuple(value for value, on in zip(row, mask[i], strict=False) if on)
            for i, row in enumerate(rows)
        )


@dataclass(frozen=True)
class Round:
    """Completions that were drawn at one time by one process, and their rewards."""

    step: int
    rank: int
    indices: tuple[int, ...] | None
    """The row of the data behind each prompt; a prompt stands as often as it has completions."""
    completions: Rows
    names: tuple[str, ...]
    rewards: tuple[tuple[float | None, ...], ...]
    """Of each completion, each reward by itself, before its weight."""


@dataclass(frozen=True)
class Tensor:
    """A trainable parameter before the first step."""

    shape: tuple[int, ...]
    dtype: str
    sha256: str
    """Of its values as float32."""


@dataclass(frozen=True)
class Group:
    """What the optimizer does to some parameters."""

    settings: Mapping[str, Any]
    count: int
    """Numbers in the group."""
    names: tuple[str, ...] | None
    """None where the optimizer had flattened them beyond recognition."""


@dataclass(frozen=True)
class Step:
    """What was logged after one optimizer step, unrounded."""

    step: int
    loss: float
    grad_norm: float | None = None
    learning_rate: float | None = None
    kl: float | None = None
    """Where completions are drawn: the mean divergence from the model as training found it."""


@dataclass(frozen=True)
class Evidence:
    """Everything observed of one run. What was not observed is empty or None, never a default."""

    versions: Mapping[str, str] = field(default_factory=dict)
    setting: Mapping[str, Any] = field(default_factory=dict)
    """Threads, processes, device, model class, attention, dtypes, max_steps, rows of the data; and
    `autocast`, the type in which a layer was seen to calculate ("" where nothing lowers it)."""
    args: Mapping[str, Any] = field(default_factory=dict)
    """The training arguments that explain differences."""
    adapter: Mapping[str, Any] = field(default_factory=dict)
    scaling: Mapping[str, float] = field(default_factory=dict)
    """Per adapted module the factor on its update: alpha/rank for LoRA."""
    batches: tuple[Batch, ...] = ()
    """In the order of the global batch: the first of each process, then the second of each."""
    rounds: tuple[Round, ...] = ()
    """Where the trainer draws completions: each round of them."""
    pieces: Mapping[int, str | None] = field(default_factory=dict)
    """What each token id that was seen stands for."""
    trainable: Mapping[str, Tensor] = field(default_factory=dict)
    frozen: str | None = None
    """One hash over all frozen weights; "" where there are none, None where none was observed."""
    frozen_sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By dtype, or by kind where they are packed into few bits: how many frozen weights, and bytes."""
    rule: str = ""
    """The optimizer by torch's name."""
    groups: tuple[Group, ...] = ()
    states: Mapping[str, int] = field(default_factory=dict)
    """Numbers that the optimizer kept at the end, by type; of the first process."""
    gradient: Mapping[str, float] = field(default_factory=dict)
    """Norms by parameter of the first gradient as the optimizer got it, clipped."""
    steps: tuple[Step, ...] = ()
    rng: Mapping[int, str] = field(default_factory=dict)
    """Fingerprint of torch's random state before each step; 0 is before training."""
    before: Mapping[str, Any] = field(default_factory=dict)
    """Trainable weights before training, name -> float32 array."""
    after: Mapping[str, Any] = field(default_factory=dict)
    finished: bool = False
    """Whether the run came to its own end."""

    def lowered(self) -> str:
        """The type to which autocast lowers the arithmetic, "" for none.

        What was seen counts; the arguments only where nothing was: DeepSpeed has settings of its own.
        """
        asked = "bfloat16" if self.args.get("bf16") else "float16" if self.args.get("fp16") else ""
        return str(self.setting.get("autocast", asked))


class Weights(Mapping[str, Any]):
    """A safetensors file as a mapping; each array is read when it is asked for."""

    def __init__(self, path: Path) -> None:
        from safetensors import safe_open  # noqa: PLC0415 - only a proof needs it

        self._file: Any = safe_open(str(path), framework="numpy")
        self._names: tuple[str, ...] = tuple(self._file.keys())  # type: ignore[no-untyped-call]

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        return self._file.get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def read(folder: Path) -> Evidence:
    """The evidence in a probe's folder, as much as there is.

    Raises:
        VerifyError: there is none, or it was written by another version of the probe.
    """
    files = sorted(folder.glob("rank*.jsonl"), key=lambda path: int(path.stem[4:]))
    if not files:
        raise VerifyError(
            Problem(
                "the run left no evidence: training never began",
                hint="the run's log says why",
            )
        )
    ranks = [_events(path) for path in files]
    first = _by_kind(ranks[0])
    setting = dict(_one(first, "setting"))
    if setting and setting.pop("schema", None) != SCHEMA:
        raise VerifyError("the evidence is of another version of ftspec", hint="run verify again")
    if "autocast" in first:
        setting["autocast"] = _one(first, "autocast")["dtype"]
    adapter, initial, optimizer = (
        _one(first, kind) for kind in ("adapter", "initial", "optimizer")
    )
    return Evidence(
        versions=setting.pop("versions", {}),
        args=setting.pop("args", {}),
        setting=setting,
        adapter=adapter.get("config", {}),
        scaling={
            name: factor
            for name, factor in adapter.get("scaling", {}).items()
            if factor is not None
        },
        batches=_merge([[_batch(e) for e in events if e["kind"] == "batch"] for events in ranks]),
        rounds=tuple(_round(e) for events in ranks for e in events if e["kind"] == "round"),
        pieces={
            int(i): text for e in first.get("batch", ()) for i, text in e.get("pieces", {}).items()
        },
        trainable={
            name: Tensor(tuple(row["shape"]), row["dtype"], row["sha256"])
            for name, row in initial.get("tensors", {}).items()
        },
        frozen=initial.get("frozen"),
        frozen_sizes={
            kind: (count, size) for kind, (count, size) in initial.get("frozen_sizes", {}).items()
        },
        rule=optimizer.get("rule", ""),
        groups=tuple(
            Group(
                group["settings"],
                group["count"],
                None if group["names"] is None else tuple(group["names"]),
            )
            for group in optimizer.get("groups", ())
        ),
        states=_one(first, "states").get("numbers", {}),
        gradient=_one(first, "gradient").get("norms", {}),
        steps=tuple(
            Step(
                log["step"],
                log["loss"],
                log.get("grad_norm"),
                log.get("learning_rate"),
                log.get("kl", log.get("objective/kl")),
            )
            for log in first.get("log", ())
            if "loss" in log
        ),
        rng={event["step"]: event["state"] for event in first.get("rng", ())},
        before=_weights(folder / "initial.safetensors"),
        after=_weights(folder / "final.safetensors"),
        finished="end" in first,
    )


def _events(path: Path) -> list[dict[str, Any]]:
    """The events of a file. A killed run may leave a last line that breaks off; it is dropped."""
    events: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            break
        events.append(event)
    return events


def _by_kind(events: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        found.setdefault(event["kind"], []).append(
            {key: value for key, value in event.items() if key != "kind"}
        )
    return found


def _one(events: Mapping[str, list[dict[str, Any]]], kind: str) -> dict[str, Any]:
    return events.get(kind, [{}])[0]


def _rows(value: Any) -> Any:
    """Lists as tuples, all the way down: masks of packed rows have four dimensions."""
    return tuple(_rows(item) for item in value) if isinstance(value, list) else value


def _batch(event: Mapping[str, Any]) -> Batch:
    tensors = (
        "input_ids",
        "labels",
        "attention_mask",
        "position_ids",
        "indices",
        "text",
        "documents",
    )
    return Batch(
        step=event["step"],
        rank=event["rank"],
        micro=event["micro"],
        images=event.get("images"),
        **{key: _rows(event[key]) for key in tensors if key in event},
    )


def _round(event: Mapping[str, Any]) -> Round:
    parts = ("indices", "completions", "names", "rewards")
    return Round(event["step"], event["rank"], *(_rows(event[name]) for name in parts))


def _merge(ranks: Sequence[Sequence[Batch]]) -> tuple[Batch, ...]:
    """Batches of several processes in the order in which one process would have had them.

    accelerate deals whole batches out in turn, so two processes with one micro-batch each see what
    one process with two sees.
    """
    batches = [batch for rank in ranks for batch in rank]
    return tuple(sorted(batches, key=lambda batch: (batch.micro, batch.rank)))


def _weights(path: Path) -> Mapping[str, Any]:
    return Weights(path) if path.exists() else {}
