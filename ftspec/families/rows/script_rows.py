"""What trl's SFTTrainer makes of rows: the rule of the scripts that TRL, DeepSpeed and Unsloth share.

trl 1.15 and 1.16, trainer/sft_trainer.py, _prepare_dataset; both prepare rows alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ftspec.data.carried import REMEDY, by_frameworks
from ftspec.data.conversation import with_system
from ftspec.data.example import Example
from ftspec.data.pack import Packing, Packs
from ftspec.data.template import Template
from ftspec.data.tokenise import ENDLESS, IGNORED, TrainOn, ask, labels_of
from ftspec.data.tokenizer import Tokens
from ftspec.data.view import UNCUT, WRITTEN, Asked, Rule, Unknown, View, parts_of
from ftspec.errors import DataError, Problem
from ftspec.families.objectives.supervised import SHAPE
from ftspec.families.rows.answer_rows import answer_rows, is_supervised
from ftspec.families.rows.by_turns import CUT
from ftspec.families.rows.script_data import LIMIT, SYSTEM
from ftspec.families.scripts.sft_script import CONFIG
from ftspec.mapping import Flat

STRATEGIES: Mapping[str, Packing] = {"bfd": "documents", "wrapped": "blocks"}


@dataclass(frozen=True)
class ScriptRows:
    """Rendered and tokenised as one text; the first max_length tokens are kept."""

    tokens: Tokens
    template: Template | None = field(repr=False)
    train_on: TrainOn
    max_length: int
    drop: bool
    """Whether the script leaves longer rows out before trl sees them."""
    packing: Packing | None = None
    system: str | None = None
    """The prompt that the script puts before conversations that begin with none."""
    tools: bool = False
    """Whether the script takes a column of tools over."""
    written: bool = False
    """Whether a template of the spec writes the rows."""

    @property
    def packs(self) -> Packs | None:
        """A thousand rows at a time: datasets maps so many at once (trl/data_utils.py, pack_dataset)."""
        return None if self.packing is None else Packs(self.packing, self.max_length)

    def accept(self, format: str, example: Example) -> None:
        """The columns that the script names are all that is read."""
        by_frameworks(format, example, self.tools)

    def ask(self, example: Example) -> Asked:
        """What trl tokenises: the row, and its prompt where only completions are trained."""
        question = ask(
            with_system(example, self.system),
            tokens=self.tokens,
            template=self.template,
            train_on=self.train_on,
            diverging=True,
        )

        def view(encodings: Sequence[Any]) -> View:
            ids = question.ids(encodings)
            mask = question.mask(encodings)
            if self.train_on == "assistant" and not any(mask):
                raise DataError(Problem("the row has nothing to train on, which stops trl"))
            labels = labels_of(ids, mask)
            long = len(ids) > self.max_length
            endless = self.packing == "blocks"
            kept = len(ids) if self.drop or endless else min(len(ids), self.max_length)
            reason = ""
            if self.drop and long:
                reason = f"longer than {self.max_length:,} tokens"
            elif self.packing is None and all(label == IGNORED for label in labels[:kept]):
                reason = "no trained token is left, and trl leaves such rows out"
            prompt = encodings[1].ids if len(question.texts) > 1 else []
            note = (
                "the prompt alone has other tokens at its end than in the whole row, and training "
                "starts where they diverge"
                if list(ids[: len(prompt)]) != list(prompt)
                else ""
            )
            parts = parts_of(question, encodings, kept)
            return View(parts, labels[:kept], len(ids), reason, note, joined=endless)

        return Asked(question.texts, question.special, view, question.after)

    def describe(self) -> tuple[str, str]:
        """In plain words."""
        how = WRITTEN if self.written else "rendered by the chat template and tokenised as one text"
        if self.max_length == ENDLESS:
            return how, UNCUT
        if self.packs and self.packing == "blocks":
            return how, f"{self.packs.describe()}, a thousand documents at a time"
        long = "is left out" if self.drop else f"keeps its first {self.max_length:,} tokens"
        packed = f"; {self.packs.describe()}" if self.packs else ""
        return how, f"a row longer than {self.max_length:,} tokens {long}{packed}"


def script_rows(native: Flat, tokens: Tokens, template: Template | None) -> Rule | Unknown:
    """The rule of a script with these native values."""
    if not is_supervised(native):
        return answer_rows(native, tokens, template)
    shape = f"{native[SHAPE]}, cut turn by turn" if CUT in native else native[SHAPE]
    packing: Packing | None = None
    if native.get(f"{CONFIG}packing"):
        packing = STRATEGIES.get(native[f"{CONFIG}packing_strategy"])
        if packing is None:
            return Unknown(f"packing by {native[f'{CONFIG}packing_strategy']!r}")
    elif native.get(f"{CONFIG}padding_free"):
        return Unknown("batches without padding of rows that are not packed")
    if native[f"{CONFIG}assistant_only_loss"]:
        if template is not None and not template.marks_turns:
            return Unknown(
                "the chat template does not mark the assistant's turns, and trl then writes rows with "
                "a template of its own, or stops",
                f"mark them with {{% generation %}}, or {REMEDY}",
            )
        train_on: TrainOn = "assistant"
    else:
        train_on = "completions" if native[f"{CONFIG}completion_only_loss"] else "all"
    limit = native.get(LIMIT)
    if shape not in ("messages", "prompt-completion", "written", "text"):
        return Unknown(f"rows of the shape {shape}")
    return ScriptRows(
        tokens,
        template,
        train_on,
        ENDLESS if native[f"{CONFIG}max_length"] is None else native[f"{CONFIG}max_length"],
        limit is not None,
        packing,
        native.get(SYSTEM),
        any("tools" in source["columns"] for source in native.get("data.train", ())),
        shape == "written",
    )
