"""What an older trl assumed where a source says nothing, and how a source shows that it ran on one.

Read off the argument classes and trainers of trl 0.8 to 0.29, release by release.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.port.formats.deepspeed.precision import PLAIN_CLASSES
from ftspec.port.formats.trl.plain import CONFIG
from ftspec.port.formats.trl.trainers import config_class, trainer
from ftspec.port.rules import Context, section
from ftspec.port.scripts.names import LAST, UNTIL
from ftspec.port.tables import versions

NOW = 10_000
Ages = tuple[tuple[int, Any], ...]
"""The last release 0.N with a default, and that default; oldest first."""
WRAPPED = "wrapped"
"""How rows were packed before there was a choice: one text, cut into blocks, whose rows see each other."""
BITS: Ages = ((18, False), (NOW, True))
RATE: Ages = ((11, 5e-5), (NOW, 1e-6))
ROWS: Ages = ((13, 512), (NOW, 1024))
PACKED: Ages = ((18, WRAPPED), (19, "ffd"), (NOW, "bfd"))
PROMPTS: Ages = ((13, 128), (27, 512), (NOW, None))
PAIRS: Mapping[str, Ages] = {
    "learning_rate": RATE, "bf16": BITS, "max_length": ROWS, "max_prompt_length": PROMPTS,
}  # fmt: skip
SUPERVISED: Mapping[str, Ages] = {
    "learning_rate": ((11, 5e-5), (NOW, 2e-5)), "bf16": BITS, "packing_strategy": PACKED,
}  # fmt: skip
ASSUMED: Mapping[str, Mapping[str, Ages]] = {
    "sft": SUPERVISED, "gkd": SUPERVISED,
    "dpo": {
        "learning_rate": RATE, "bf16": BITS,
        "max_length": ((11, 512), (13, None), (NOW, 1024)),
        "max_prompt_length": ((11, 128), (13, None), (28, 512), (NOW, None)),
    },
    "kto": {
        "learning_rate": ((9, 5e-5), (11, 5e-7), (NOW, 1e-6)), "bf16": BITS,
        "max_length": ROWS, "max_prompt_length": ((13, 128), (26, 512), (NOW, None)),
    },
    "orpo": PAIRS, "cpo": PAIRS, "simpo": PAIRS,
    "reward": {
        "learning_rate": ((23, 5e-5), (NOW, 1e-4)), "bf16": BITS, "max_length": ROWS,
        "disable_dropout": ((13, False), (NOW, True)),
    },
    "grpo": {
        "beta": ((18, 0.04), (NOW, 0.0)), "temperature": ((17, 0.9), (NOW, 1.0)), "bf16": BITS,
        "loss_type": ((15, "the mean of each completion's mean"), (21, "bnpo"), (NOW, "dapo")),
        "top_k": ((17, 50), (NOW, 0)), "max_completion_length": ((29, 256), (NOW, 512)),
    },
}  # fmt: skip
"""By the objective's name; only what changes a training. GRPO's `loss_type` of 0.16 was no setting yet,
nor was `top_k` of 0.15, where transformers' own held. Completions became longer after 1.1."""
ALSO: Mapping[str, tuple[str, ...]] = {
    "max_length": ("max_seq_length",),
    "bf16": ("fp16",),
}
"""Other settings that say the same."""
TAKEN = frozenset(("learning_rate", "bf16"))
"""What plain TrainingArguments say in the place of a class of trl's."""


SAID = (*TAKEN, "max_length", "max_completion_length", "packing_strategy")
"""What is simply that value where all releases that it can have been agree."""
FOURTH = 25
"""The last release of trl that came before transformers 5."""


RECIPES: Mapping[str, int] = {
    "dataset_mixer": 11, "vllm_device": 17, "max_seq_length": 19, "max_prompt_length": 27, "torch_dtype": 29,
}  # fmt: skip
"""Keys of recipes, and the last release 0.N that read them; the first one is the handbook's own.

What a class of arguments had for longer, or not as long, stands in the scripts' own table.
"""


def recipe(context: Context) -> Mapping[str, Any]:
    """How old the keys of a recipe are, as a script's `until` says it."""
    own = LAST.get(config_class(context), {})
    said = [key for key in RECIPES if key in context.document.data]
    found = [(own.get(key, RECIPES[key]), key) for key in said]
    return {"release": min(found)[0], "by": f"`{min(found)[1]}`"} if found else {}


UNBIASED = "use_bias_correction_kl"
BIASED = (
    f"beta: {{}} measures the divergence without {UNBIASED}, which trl 1.16 and a spec have on: its gradient "
    "there leaves out that completions are drawn by the model"
)


def biased(context: Context) -> list[str]:
    """A question about GRPO's divergence in a release with its older gradient (grpo_trainer.py, coef_1)."""
    until, table = section(context, UNTIL).get("release", NOW), context.table
    if (
        trainer(context)[0] != "grpo"
        or UNBIASED in context.document.data
        or not context.get("beta")
    ):
        return []
    if table and table.find(f"GRPOConfig.{UNBIASED}") is None:
        return [BIASED.format(table.title)]
    return [BIASED.format(f"trl up to 0.{until}")] if until < NOW else []


def loads_float32(context: Context) -> bool:
    """Whether it ran on transformers 4, which loads weights in float32 where nothing is said.

    Not where they are quantised in a way that is not understood: each way has a type of its own.
    """
    unsure = any(".quantization_config = " in told for _, told in context.document.foreign)
    return not unsure and int(section(context, UNTIL).get("release", NOW)) <= FOURTH


def age(context: Context) -> Mapping[str, Any]:
    """The last release of trl that a source can have run on, and what tells it; else nothing."""
    return section(context, UNTIL) if context.get("config_class") else recipe(context)


def only_wrapped(context: Context) -> bool:
    """Whether rows were surely packed as one text."""
    said = age(context)
    return bool(said) and len(possible(PACKED, said["release"])) == 1


def aged(context: Context) -> tuple[dict[str, Any], list[str]]:
    """Values that every release has that the source can have run on, and a question for each other."""
    said = age(context)
    if not said or (context.table and context.table.version != versions("trl")[-1]):
        return {}, []
    native: dict[str, Any] = {}
    questions = []
    plain = context.get("config_class") in PLAIN_CLASSES
    for key, ages in ASSUMED.get(trainer(context)[0], {}).items():
        unsaid = not any(name in context.document.data for name in (key, *ALSO.get(key, ())))
        able = possible(ages, said["release"])
        apart = key == "packing_strategy" and not context.get("packing")
        if not unsaid or apart or (plain and key in TAKEN) or able == ages[-1:]:
            continue
        if len(able) == 1 and key in SAID:
            native[f"{CONFIG}{key}"] = able[0][1]
            continue
        questions.append(
            f"{key} is not said, and what it is then depends on trl's release: {_spelt(able, ages)}. "
            f"{said['by']} was there up to 0.{said['release']}: which value was it?"
        )
    return native, questions


def possible(ages: Ages, until: int) -> Ages:
    """The defaults of all releases up to one."""
    before = [last for last, _ in ages if last < until]
    return ages[: len(before) + 1]


def _spelt(able: Ages, ages: Ages) -> str:
    """The defaults that it may have been, and what came after them."""
    told = [f"{value} up to 0.{last}" for last, value in able if last < NOW]
    latest = ages[: len(able) + 1][-1][1]
    return ", ".join([*told, f"{latest} since"])
