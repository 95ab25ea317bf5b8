"""The callback that sees a training run from its first to its last step."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

from .documents import documents
from .drawn import WRITING, trainer_above, watch_rewards, watch_writing
from .images import placed, shown
from .setting import fingerprint, record_setting
from .state import record_optimizer, record_states, record_weights
from .values import RANK, Recorder, plain, sharing
from .watch import begins, watch_autocast, watch_data, watch_gradients, widened

SEEN = ("input_ids", "labels", "attention_mask", "position_ids")


def make_probe(folder: Path) -> type:
    """The callback class; made late, as transformers is imported only after `--first-import`."""
    import torch
    from transformers import TrainerCallback

    class Probe(TrainerCallback):  # type: ignore[misc]
        """Writes what it sees of one training run."""

        def __init__(self) -> None:
            self.recorder: Recorder | None = None
            self.fetched: deque[dict[str, Any]] = deque()
            self.clock = {"step": 0, "micro": 0}
            self.tokenizer: Any = None
            self.known: set[int] = set()
            self.drawn = False
            self.again = False  # the rows of another process, which shares its layers with this one

        def on_train_begin(self, args: Any, state: Any, control: Any, **seen: Any) -> None:
            """Everything that is decided before the first step."""
            self.recorder = recorder = Recorder(folder)
            model, loader = seen["model"], seen["train_dataloader"]
            self.tokenizer = seen.get("processing_class")
            self.again = RANK % sharing(model) != 0
            recorder.put("rng", step=0, state=fingerprint())
            record_setting(recorder, args, state, model, loader)
            record_weights(recorder, model, "initial")
            record_optimizer(recorder, model, seen["optimizer"])
            asked: list[list[int] | None] = []
            watch_data(loader, self.fetched, asked)
            trainer = trainer_above()
            if hasattr(trainer, WRITING):
                watch_writing(recorder, trainer, self.fetched)
            elif trainer is not None:
                self.drawn = True
                watch_rewards(recorder, trainer, asked)
            watch_autocast(recorder, model)
            watch_gradients(recorder, model, seen["optimizer"])
            model.register_forward_pre_hook(self.forward, with_kwargs=True)

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            """Which step the following micro-batches belong to."""
            self.clock["step"] = state.global_step + 1
            if self.recorder:
                self.recorder.put("rng", step=self.clock["step"], state=fingerprint())

        def forward(self, module: Any, inputs: Any, given: dict[str, Any]) -> None:
            """One micro-batch as the model is about to see it; a pass for metrics is not one."""
            training = module.training and torch.is_grad_enabled()
            if inputs and torch.is_tensor(inputs[0]):  # some of trl's trainers name no argument
                given = {"input_ids": inputs[0], **given}
            if self.again:
                return
            if not (self.recorder and training and torch.is_tensor(given.get("input_ids"))):
                return
            found = documents(given)
            seen = [k for k in SEEN if torch.is_tensor(given.get(k)) and given[k].ndim < 4]
            batch = {k: given[k].tolist() for k in seen}
            if (positions := placed(module, given)) is not None:
                batch["position_ids"] = positions
            note: dict[str, Any] = {}
            while self.fetched and not note:  # batches are fetched in order, some before their turn
                candidate = self.fetched.popleft()
                note = candidate if begins(batch["input_ids"], candidate.get("input_ids")) else {}
            batch.setdefault("labels", widened(note.get("labels"), batch["input_ids"]))
            if self.drawn and batch["labels"] is None:  # the loss is of whole completions
                batch["labels"] = [[-100] * len(row) for row in batch["input_ids"]]
            rows = batch["input_ids"]
            masks = batch.get("attention_mask") or [[1] * len(row) for row in rows]
            sides = zip(rows, masks, strict=False)
            kept = [[t for t, on in zip(*side, strict=False) if on] for side in sides]
            if found is not None:
                kept = [rows[row][start:end] for row, start, end in found]
            self.recorder.put(
                "batch",
                rank=RANK,
                **self.clock,
                indices=note.get("indices"),
                **batch,
                documents=found,
                images=shown(given),
                text=[self.decode(row) for row in kept],
                pieces=self.pieces({token for row in kept for token in row}),
            )
            self.clock["micro"] += 1

        def decode(self, ids: list[int]) -> str | None:
            """Ids as their tokenizer reads them back, special tokens and all."""
            decode = getattr(self.tokenizer, "decode", None)
            verbatim = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
            return str(decode(ids, **verbatim)) if decode else None

        def pieces(self, ids: set[int]) -> dict[int, str | None]:
            """The text of ids that were not met before."""
            new = sorted(ids - self.known)
            self.known.update(new)
            return {token: self.decode([token]) for token in new}

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            """Losses, norms and rates, unrounded."""
            if self.recorder and RANK == 0:
                values = {name: plain(value) for name, value in (logs or {}).items()}
                self.recorder.put("log", step=state.global_step, **values)

        def on_train_end(self, args: Any, state: Any, control: Any, **seen: Any) -> None:
            """What came of it."""
            if self.recorder:
                record_weights(self.recorder, seen["model"], "final")
                record_states(self.recorder, seen["optimizer"])
                self.recorder.put("end", step=state.global_step, rng=fingerprint())

    return Probe
