"""From a difference to its likely cause.

What each hazard is, and what ftspec does about it, stands in docs/hazards.md under the same anchor;
a test holds the two together. Per check the first row that fits is named, and the last always fits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ftspec.verify import symptoms as s
from ftspec.verify.checks import Result
from ftspec.verify.compare import Outcome
from ftspec.verify.evidence import Evidence

PAGE = "docs/hazards.md"
Symptom = Callable[[Evidence, Evidence, Outcome], bool]

HAZARDS = {
    "dropped-rows": "one framework dropped or added rows, which changes every draw after it",
    "data-order": "the order is drawn from another seed, or from data shuffled beforehand",
    "batch-size": "batches are cut in another size",
    "truncation": "one framework cut the row short",
    "system-prompt": "one framework put a system turn in front",
    "bos-and-eos": "a token that opens or closes the text is there once, twice or never",
    "chat-template": "the conversation was rendered with another chat template",
    "tokens-at-the-seams": "the same text in other tokens: one framework tokenises it in pieces",
    "end-of-turn": "the end of a turn, or the line break after it, is trained in one run only",
    "what-is-trained": "one run trains on tokens that the other masks",
    "padding": "rows are padded to another length",
    "pad-token": "rows are padded with another token",
    "images": "images were read or made smaller in another way",
    "packing": "rows are packed, or attend to each other, in one run only",
    "number-of-steps": "one run took more steps",
    "lora-rank-and-alpha": "another rank, or another scale: lora_alpha / rank, or rslora",
    "lora-targets": "another set of layers is trained",
    "oft-targets": "other layers are rotated: LLaMA-Factory takes them from lora_target, not oft_target",
    "virtual-tokens": "virtual tokens meet gradient checkpointing, or a loss that counts positions",
    "partial-names": "a part of the model was found by another rule, so other weights train",
    "dropout-and-noise": "dropout or noise is drawn from streams of random numbers that part",
    "weights-dtype": "weights are loaded or kept in another dtype, or from another checkpoint",
    "quantised-base": "the base is held in other bits, or in full in one run only",
    "initial-weights": "adapters were drawn from another seed, or at another moment",
    "weight-decay": "weight decay differs, or reaches biases and norms in one run",
    "learning-rate": "the peak learning rate differs",
    "optimizer": "another optimizer, or other settings of it",
    "schedule": "the warm-up or the schedule differs",
    "label-smoothing": "label smoothing differs, or is averaged in another way",
    "loss-denominator": "the loss is divided by another number of tokens",
    "precision": "the arithmetic has another precision",
    "builds-and-threads": "other versions of torch or transformers, or another attention",
    "gradient-norm": "gradients are accumulated, scaled or recomputed differently",
    "gradient-norm-of-zero-0": "DeepSpeed logs no gradient norm at ZeRO stage 0",
    "clipping": "gradients are clipped at another norm, or rounding has grown",
    "preference-loss": "answers are compared by another loss, another beta, or from another reference",
    "judged-answers": "single answers weigh otherwise, or their divergence is measured on other rows",
    "teacher": "another teacher or divergence, or its probabilities are taken otherwise",
    "balance-loss": "the balance loss of a mixture of experts is in one run only, or weighs otherwise",
    "rotary-positions": "rotary positions are stretched otherwise, or in one run only",
    "not-a-number": "a loss is not a number: the run broke down, and shows nothing",
    "random-completions": "completions are drawn at random, and these runs drew others",
    "rewards": "the same completion is rewarded otherwise: other code, another model, another state",
    "missing-evidence": "what was not seen is not proven: a run ended early or logged less",
}
"""Anchor -> what went wrong, as the end of a sentence."""


def _always(*_: object) -> bool:
    return True


_UNSEEN: tuple[Symptom, str] = (s.is_unobserved, "missing-evidence")
_OTHERS: tuple[Symptom, str] = (s.drew_others, "random-completions")
_BROKEN: tuple[Symptom, str] = (s.is_broken, "not-a-number")
_NOISE: tuple[Symptom, str] = (s.drops_out, "dropout-and-noise")
_PRECISION: tuple[Symptom, str] = (s.has_other_precision, "precision")
_CODE: tuple[Symptom, str] = (s.has_other_code, "builds-and-threads")
_JUDGED: tuple[Symptom, str] = (s.has_arguments("KTOConfig"), "judged-answers")
_ANSWERS: tuple[tuple[Symptom, str], ...] = (
    (s.compares_answers, "preference-loss"),
    _JUDGED,
    (s.has_arguments("GKDConfig"), "teacher"),
)

CAUSES: dict[str, tuple[tuple[Symptom, str], ...]] = {
    "data order": (
        (s.has_other_length, "dropped-rows"),
        (s.differ("data_seed"), "data-order"),
        (s.has_other_batch, "batch-size"),
        (s.has_other_steps, "number-of-steps"),
        (_always, "data-order"),
    ),
    "text": (
        (s.is_another_row, "data-order"),
        (s.is_cut, "truncation"),
        (s.has_system_turn, "system-prompt"),
        (s.differs_at_an_end, "bos-and-eos"),
        (_always, "chat-template"),
    ),
    "token ids": ((s.is_cut, "truncation"), (_always, "tokens-at-the-seams")),
    "label mask": (
        (s.is_after_the_turn, "end-of-turn"),
        (s.is_first_label, "loss-denominator"),
        (_always, "what-is-trained"),
    ),
    "batches": (
        (s.where("images"), "images"),
        (s.where("attention mask", "position ids"), "packing"),
        (s.where("padding"), "pad-token"),
        (s.has_other_batch, "batch-size"),
        (s.has_other_steps, "number-of-steps"),
        (_always, "padding"),
    ),
    "trainable parameters": (
        (s.where("lora_dropout"), "dropout-and-noise"),
        (s.has_other_scale, "lora-rank-and-alpha"),
        (s.is_quantised, "quantised-base"),
        (s.has_other_dtype, "weights-dtype"),
        (s.has_other_shape, "lora-rank-and-alpha"),
        (s.rotates, "oft-targets"),
        (s.has_no_adapter, "partial-names"),
        (_always, "lora-targets"),
    ),
    "initial weights": (
        (s.is_quantised, "quantised-base"),
        (s.where("frozen"), "weights-dtype"),
        (_always, "initial-weights"),
    ),
    "optimizer groups": (
        (s.where("weight_decay"), "weight-decay"),
        (s.where("learning rate"), "learning-rate"),
        (_always, "optimizer"),
    ),
    "learning rates": ((s.has_other_steps, "number-of-steps"), (_always, "schedule")),
    "first loss": (
        _BROKEN,
        (s.has_virtual_tokens, "virtual-tokens"),
        (s.differ("label_smoothing_factor"), "label-smoothing"),
        (s.smooths, "label-smoothing"),
        (s.has_other_angles, "rotary-positions"),
        (s.balances_alone, "balance-loss"),
        (s.is_off_by_the_count, "loss-denominator"),
        *(_NOISE, _PRECISION, _CODE, *_ANSWERS),
        (_always, "loss-denominator"),
    ),
    "first gradient norm": (
        (s.logs_no_norm, "gradient-norm-of-zero-0"),
        *(_BROKEN, (s.differ("max_grad_norm"), "clipping"), _NOISE, _PRECISION, _CODE),
        *_ANSWERS,
        (_always, "gradient-norm"),
    ),
    "trajectory": (
        (s.has_other_steps, "number-of-steps"),
        *(_BROKEN, (s.differ("max_grad_norm"), "clipping"), _NOISE, _PRECISION, _CODE),
        _JUDGED,  # its divergence is zero until the model has moved
        (_always, "clipping"),
    ),
    "final update": (
        *(_BROKEN, (s.differ("max_grad_norm"), "clipping"), _NOISE, _PRECISION, _CODE),
        (_always, "clipping"),
    ),
    "completions": (_OTHERS, (_always, "number-of-steps")),
    "draws": ((_always, "random-completions"),),
    "rewards": ((_always, "rewards"),),
    "distributions": ((_always, "random-completions"),),
}


@dataclass(frozen=True)
class Cause:
    """A likely cause: a phrase, and where to read more."""

    anchor: str

    @property
    def sentence(self) -> str:
        """What probably went wrong."""
        return HAZARDS[self.anchor]

    @property
    def link(self) -> str:
        """Page and anchor."""
        return f"{PAGE}#{self.anchor}"


def likely(reference: Evidence, other: Evidence, result: Result) -> Cause | None:
    """The first cause that fits what a check found; None where it found nothing wrong."""
    outcome, rows = result.outcome, CAUSES[result.check.name]
    if outcome.passed or outcome.verdict == "random":
        return None
    if outcome.verdict == "not-compared":
        rows = (*(row for row in rows if row[0] is s.logs_no_norm), _OTHERS, _UNSEEN)
    return next(Cause(a) for fits, a in rows if fits(reference, other, outcome))
