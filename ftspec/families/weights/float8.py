"""Matrix products in float8 by torchao: a statement of a script, after the model is loaded.

accelerate 1.11.0, utils/ao.py: all linear layers but the first and the last one, whose sides are multiples of
16, scale their inputs, weights and gradients to float8 for each product. The arithmetic around them is bf16.
accelerate's own switch, `mixed_precision="fp8"`, is out of a Trainer's reach: TrainingArguments knows two
flags (transformers 5.6.0, training_args.py:1580), and passes what they say.
"""

from __future__ import annotations

import ast
from importlib.resources import files
from typing import Any

from ftspec.families.scripts.unify import match
from ftspec.families.weights.qat import refuse_without_torchao
from ftspec.mapping import MISSING, Refuse, Row

FLOAT8 = "precision.float8"
"""Native pseudo-key: the recipe, a constant of the script."""
RECIPE = "precision.fp8_recipe"
NEEDS = {FLOAT8: "torchao"}
TEMPLATE = (files("ftspec.families") / "templates" / "float8.py.j2").read_text("utf-8")
TUNERS = ("full", "lora")


def float8_row() -> Row:
    """The recipe, where a script multiplies in float8."""
    return Row(
        (RECIPE,),
        (FLOAT8,),
        _lower,
        lambda recipe: recipe or "tensorwise",
        uses=(
            "precision.compute",
            "hardware.device",
            "method.tuner.type",
            "method.objective.type",
            "model.quantization.type",
            "run.environment",
        ),
        absent=(None,),
    )


def no_float8() -> Row:
    """The recipe where nothing multiplies in float8: the row of the arithmetic refuses it."""
    return Row((RECIPE,), (), lambda _recipe: (), lambda: "tensorwise", reason="without fp8")


def read_float8(tree: ast.Module) -> dict[str, Any]:
    """The native value of the statement."""
    for node in tree.body:
        if (holes := match('FLOAT8 = "@recipe"', node)) is not None:
            return {FLOAT8: holes["recipe"]}
    return {}


def _lower(
    recipe: str,
    compute: str,
    device: str,
    tuner: str,
    objective: str,
    quantised: str | None,
    environment: str,
) -> Any:
    if compute != "fp8":
        return MISSING
    if device == "cpu" and recipe != "tensorwise":
        reason = "on a CPU torch multiplies float8 by one scale for a whole tensor alone"
        raise Refuse(reason, "never", "precision.fp8_recipe: tensorwise")
    if objective not in ("sft", "cpt"):
        raise Refuse("float8 was seen in supervised training alone", "notimpl", "precision: bf16")
    if tuner not in TUNERS:
        reason = f"float8 was seen where all weights train, and under LoRA; not under {tuner}"
        raise Refuse(reason, "notimpl", "precision: bf16")
    if quantised is not None:
        reason = "layers of a quantised base have a product of their own"
        raise Refuse(reason, "never", "precision: bf16")
    refuse_without_torchao(environment)
    return recipe
