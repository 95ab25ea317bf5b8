"""What trl's other trainers make of rows: pairs, judged answers, and prompts that are yet to be answered.

trl 1.15 and 1.16: trainer/dpo_trainer.py, kto_trainer.py, reward_trainer.py, grpo_trainer.py and
experimental/gkd. tests/real/test_preview_proof.py holds this against the batches of runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ftspec.data.carried import by_frameworks
from ftspec.data.conversation import with_system
from ftspec.data.example import Example
from ftspec.data.template import Template
from ftspec.data.tokenise import ENDLESS, IGNORED, Question, ask
from ftspec.data.tokenizer import Tokens
from ftspec.data.view import UNCUT, Asked, Part, Rule, Unknown, View
from ftspec.errors import Problem
from ftspec.families.rows.by_turns import PAIRS_CUT
from ftspec.families.rows.images import READ
from ftspec.families.rows.script_data import LIMIT, SYSTEM
from ftspec.families.scripts.sft_script import CONFIG
from ftspec.families.trainers import SFT, trainer_of
from ftspec.mapping import Flat

Kind = Literal["compared", "free", "scored", "shortened", "judged", "taught", "drawn"]
KINDS: Mapping[str, Kind] = {
    "dpo": "compared",
    "cpo": "free",
    "orpo": "free",
    "reward": "scored",
    "kto": "judged",
    "gkd": "taught",
    "grpo": "drawn",
    "rloo": "drawn",
    "online-dpo": "drawn",
    "ppo": "drawn",
}
"""By the trainer: those of pairs measure from a reference, compare freely, or score."""
HOW: Mapping[Kind, str] = {
    "compared": "prompt and answer rendered and tokenised as one text, once for each answer",
    "free": "prompt and answer rendered and tokenised as one text, once for each answer",
    "scored": "prompt and answer as one text, scored whole, once for each answer",
    "shortened": "prompt and answer as one text, scored at its end or at the limit, once for each answer",
    "judged": "prompt and answer rendered and tokenised as one text (not shown: the answers of other rows, "
    "on which the divergence is measured)",
    "taught": "the conversation rendered and tokenised as one text; the last answer is read by both models",
    "drawn": "the prompt alone; answers to it are drawn while it trains",
}
CONVERSATIONS = ("sharegpt-ranking", "alpaca-ranking")
"""Formats of pairs that are conversations, whatever their rows hold."""


@dataclass(frozen=True)
class AnswerRows:
    """Rows of one of these trainers."""

    tokens: Tokens
    template: Template | None = field(repr=False)
    kind: Kind
    max_length: int
    system: str | None = None

    @property
    def packs(self) -> None:
        """None of them packs."""

    def accept(self, format: str, example: Example) -> None:
        """The columns that the script names are all that is read."""
        if self.kind != "drawn":
            by_frameworks(format, example)

    def ask(self, example: Example) -> Asked:
        """What is tokenised: each answer behind its prompt, and the prompt."""
        told = with_system(example, self.system)
        questions = [
            ask(
                side,
                tokens=self.tokens,
                template=self.template,
                train_on="completions",
                diverging=True,
            )
            for side in (told, *((told.rejected,) if told.rejected else ()))
        ]
        texts = tuple(text for question in questions for text in question.texts)

        def view(encodings: Sequence[Any]) -> View:
            count = len(questions[0].texts)
            parted = [encodings[:count], encodings[count:]][: len(questions)]
            views = self._views(questions, parted)
            return replace(views[0], rejected=views[1] if views[1:] else None, good=example.label)

        return Asked(texts, questions[0].special, view)

    def describe(self) -> tuple[str, str]:
        """In plain words."""
        if self.max_length == ENDLESS:
            return HOW[self.kind], UNCUT
        size = f"{self.max_length:,} tokens"
        long = {
            "compared": f"answers are cut at {size}; a pair whose prompt alone has as many is left out",
            "judged": f"an answer is cut at {size}; a row whose prompt alone has as many is left out",
            "free": f"answers are cut at {size}; a prompt that has as many stops the run",
            "scored": f"a pair with an answer beyond {size} is left out",
            "shortened": f"an answer beyond {size} is cut, and scored there",
            "taught": f"a row longer than {size} is left out",
            "drawn": f"a prompt longer than {size} is left out",
        }
        return HOW[self.kind], long[self.kind]

    def _views(self, questions: Sequence[Question], parted: Sequence[Sequence[Any]]) -> list[View]:
        starts = [self._start(*each) for each in zip(questions, parted, strict=True)]
        if self.kind == "compared":
            starts = [min(starts)] * len(starts)  # what both answers stand behind
        lengths = [len(encodings[0].ids) for encodings in parted]
        out, refused = self._verdict(starts, lengths, parted)
        cut = self.kind in ("compared", "judged", "free", "shortened")
        found = []
        for question, encodings, start in zip(questions, parted, starts, strict=True):
            ids = list(encodings[0].ids)
            kept = min(len(ids), self.max_length) if cut else len(ids)
            labels = ([IGNORED] * start + ids[start:])[:kept]
            prompt = encodings[1].ids if len(encodings) > 1 else []
            note = (
                "the prompt alone has other tokens at its end than in the whole row, and training starts "
                "where they diverge"
                if self.kind in ("compared", "judged") and start < len(prompt)
                else ""
            )
            part = Part(question.texts[0], encodings[0], kept)
            view = View((part,), labels, len(ids), out, note, refused)
            found.append(replace(view, open=self.kind == "drawn"))
        return found

    def _start(self, question: Question, encodings: Sequence[Any]) -> int:
        """The first token that is learned."""
        ids = encodings[0].ids
        if self.kind in ("scored", "shortened"):
            return 0
        if self.kind == "drawn":
            return len(ids)
        if self.kind == "taught":
            begin = len(question.texts[1])
            starts = (at for at, (start, _) in enumerate(encodings[0].offsets) if start >= begin)
            return next(starts, len(ids))
        mask = question.mask(encodings)
        return mask.index(True) if True in mask else len(ids)

    def _verdict(
        self, starts: Sequence[int], lengths: Sequence[int], parted: Sequence[Sequence[Any]]
    ) -> tuple[str, tuple[Problem, ...]]:
        """Why the row is left out, and why it stops the run."""
        most = self.max_length
        if self.kind in ("compared", "judged") and starts[0] >= most:
            return f"its prompt alone fills {most:,} tokens", ()
        if self.kind == "free" and any(len(encodings[1].ids) >= most for encodings in parted):
            return "", (Problem("the prompt leaves no room for an answer", path="data.max_length"),)
        if self.kind in ("scored", "taught", "drawn") and max(lengths) > most:
            return f"longer than {most:,} tokens", ()
        return "", ()


def answer_rows(native: Flat, tokens: Tokens, template: Template | None) -> Rule | Unknown:
    """The rule of a script with these native values, of a trainer that is not the supervised one."""
    trainer = trainer_of(native)
    if PAIRS_CUT in native:
        return Unknown("the preview does not show pairs that a script cuts turn by turn")
    if READ in native:
        return Unknown("how many tokens an image becomes is seen by the model's processor alone")
    if trainer.objective not in KINDS:
        return Unknown(f"the preview does not show what {trainer.name} makes of rows")
    kind = KINDS[trainer.objective]
    formats = {source["format"] for source in native.get("data.train", ())}
    if kind == "free" and not formats <= {*CONVERSATIONS}:
        reason = "these pairs may be plain texts, around which trl puts tokens of its own"
        return Unknown(reason, f"rows like {CONVERSATIONS[0]}")
    if kind == "taught" and "ByteLevel" not in repr(tokens.tokenizer.decoder):
        return Unknown("where answers begin is found otherwise for a tokenizer without bytes")
    if kind == "scored" and native.get("data.cut_answers"):
        kind = "shortened"
    limit = native.get(f"{trainer.prefix}max_length") if kind != "drawn" else native.get(LIMIT)
    return AnswerRows(tokens, template, kind, limit or ENDLESS, native.get(SYSTEM))


def is_supervised(native: Flat) -> bool:
    """Whether a script's rows are demonstrations or texts, as the supervised trainer takes them."""
    return trainer_of(native) is SFT and f"{CONFIG}max_length" in native
