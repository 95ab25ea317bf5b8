"""Scripts around Unsloth's and trl's that train no language model: one sentence says what they train.

They are told by the classes that they use, by modules that they import, and by a head that is cut to classes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from ftspec.read.python import parsed
from ftspec.read.text import wrong

SENTENCES = "embeddings of sentences"
LABELS = "a head that tells classes apart"
SPEECH = "speech, whose rows are sounds"
OTHERS = "a model that reads with one half and writes with the other"
CLASSES: Mapping[str, str] = {
    **dict.fromkeys(("FastSentenceTransformer", "SentenceTransformerTrainer"), SENTENCES),
    **dict.fromkeys(("DataCollatorForLastTokenLM", "AutoModelForTokenClassification"), LABELS),
    **dict.fromkeys(
        ("WhisperForConditionalGeneration", "CsmForConditionalGeneration", "SNAC", "XCodec2Model",
         "BiCodecTokenizer", "AutoModelForSpeechSeq2Seq", "AutoModelForTextToWaveform"),
        SPEECH,
    ),
    **dict.fromkeys(("snac", "xcodec2", "outetts", "sparktts"), SPEECH),
    **dict.fromkeys(("AutoModelForSeq2SeqLM", "Seq2SeqTrainer"), OTHERS),
}  # fmt: skip
"""Classes that a script uses, and modules that it imports."""
SCORED = frozenset(
    ("RewardTrainer", "PPOTrainer", "GRPOTrainer", "RLOOTrainer", "OnlineDPOTrainer")
)
"""Trainers beside which a head with one number is a reward model."""
CLASSIFIES = "ForSequenceClassification"
BY_HAND = frozenset(
    ("AutoModelForCausalLMWithValueHead", "AutoModelForSeq2SeqLMWithValueHead", "LengthSampler")
)
"""trl's up to 0.11, whose PPO is a loop that the script writes."""
LOOP = (
    "it draws, rewards and steps in a loop of its own, as PPO of trl up to 0.11 did: what the loop does "
    "is not read. trl's later PPOTrainer, which has a `train()`, is"
)
HEAD = "model.lm_head.weight"


def refuse(source: str) -> None:
    """Stop at a script whose training is none of a language model.

    Raises:
        SpecError: it is one, or not Python; the sentence says what it trains.
    """
    tree = parsed(source)
    used: dict[str, int] = {}
    for name, line in _used(tree):
        used.setdefault(name, line)
    if own := sorted(line for name, line in used.items() if name in BY_HAND):
        raise wrong(LOOP, own[0])
    for name, line in used.items():
        what = CLASSES.get(name)
        if name.endswith(CLASSIFIES) and not used.keys() & SCORED:
            what = LABELS
        if what is not None:
            raise wrong(f"it trains {what}: ftspec trains language models", line)


def _used(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Names of classes, with a line where each is used; those that are only imported aside."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name, ctx=ast.Load()):
                yield name, node.lineno
            case ast.Import(names=names):
                yield from ((one.name.partition(".")[0], node.lineno) for one in names)
            case ast.ImportFrom(module=str() as module):
                yield module.partition(".")[0], node.lineno
            case ast.Assign(targets=[ast.Attribute() as target]) if ast.unparse(target) == HEAD:
                yield f"Cut{CLASSIFIES}", node.lineno
