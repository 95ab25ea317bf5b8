"""AdaLoRA, as a script trains it: peft's configuration, and what peft leaves to whoever trains.

peft 0.18.1, tuners/adalora: somebody must say when a step is done, before gradients are gone, and the penalty
of its forward pass is not in trl's loss, which it reads from the hidden states.
"""

from __future__ import annotations

from typing import Any

from ftspec.mapping import Refuse, Row, constant, field

CALL = "AdaLoraConfig."
TEMPLATE = """\
{% if penalty %}

{% if not weigher %}

{% endif %}
class AllotRanks(TrainerCallback):
    def on_optimizer_step(self, args, state, control, model, **kwargs):
        model.base_model.update_and_allocate(state.global_step)


class AdaLoRATrainer({% if weigher %}{{ weigher|code }}{% else %}{{ trainer|code }}{% endif %}):
    \"\"\"Adds AdaLoRA's penalty on factors that are not orthogonal, once for each step.\"\"\"

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        found = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        if not self.model.training:
            return found
        named = dict(self.model.named_parameters())
        rows = [p for name, p in named.items() if ".lora_A." in name]
        rows += [p.T for name, p in named.items() if ".lora_B." in name]
        far = [torch.linalg.norm(p @ p.T - torch.eye(len(p), device=p.device)) for p in rows]
        weight = self.model.peft_config["default"].orth_reg_weight
        return found + weight * sum(far) / len(far) / self.current_gradient_accumulation_steps

{% endif %}
"""
"""trl hands several passes of one step to the loss one by one; the penalty is no mean over their tokens."""
_ARGUMENTS = {
    "rank": ("init_r", 12),
    "target_rank": ("target_r", 8),
    "alpha": ("lora_alpha", 8),
    "dropout": ("lora_dropout", 0.0),
    "final_steps": ("tfinal", 0),
    "interval": ("deltaT", 1),
    "beta1": ("beta1", 0.85),
    "beta2": ("beta2", 0.85),
    "orthogonality": ("orth_reg_weight", 0.5),
}
"""Field: its argument, and what peft means without it."""


def rows() -> tuple[Row, ...]:
    """The fields that are AdaLoRA's own."""
    return (
        *(
            field(f"method.tuner.{name}", CALL + argument, absent=absent)
            for name, (argument, absent) in _ARGUMENTS.items()
        ),
        Row(
            ("method.tuner.initial_steps",),
            (f"{CALL}tinit", f"{CALL}total_step"),
            _lower_steps,
            lambda initial, _total: initial,
            uses=("train.steps", "train.resume", "method.objective.type"),
            absent=(0, None),
        ),
        constant(f"{CALL}bias", "none", "not in a spec yet", absent="none"),
    )


def _lower_steps(
    initial: int, total: int | None, resume: str | None, objective: str
) -> tuple[Any, Any]:
    if objective not in ("sft", "cpt"):
        raise Refuse(
            "its penalty was seen beside the supervised loss alone", "notimpl", "method.tuner: lora"
        )
    if resume is not None:
        raise Refuse(
            "how much each rank mattered so far is not in a checkpoint: ranks would be allotted anew",
            "notyet",
            "train.resume: null",
        )
    return initial, total
