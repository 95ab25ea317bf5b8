"""Spec paths <-> LLaMA-Factory keys.

Names and defaults: llamafactory 0.9.5, hparams/*_args.py; checked against schemas/native/*.json.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ftspec.data.named import templates
from ftspec.families.objectives.supervised import continued
from ftspec.families.rows.script_data import lower_system, shape_of
from ftspec.families.rows.turns import turn_row
from ftspec.families.scripts.sft_script import OWN_PATHS, no_sequences
from ftspec.families.training.best import stopping_row
from ftspec.families.training.fsdp import RECOMPUTES, Case, fsdp_rows
from ftspec.families.training.hf_trainer import training_rows
from ftspec.families.training.launch import launch_rows
from ftspec.families.training.steps import no_steps
from ftspec.families.weights.float8 import no_float8
from ftspec.families.weights.precision import SCALE
from ftspec.families.weights.qat import no_copy, no_qat
from ftspec.mapping import (
    MISSING,
    FieldMap,
    Lossy,
    Refuse,
    Row,
    choice,
    constant,
    field,
    ours,
    unsupported,
)
from ftspec.spec.chat_templates import NAMED
from ftspec_llamafactory.datasets import from_entry, to_entry
from ftspec_llamafactory.draws import draw_rows
from ftspec_llamafactory.engine import engine_rows
from ftspec_llamafactory.experts import expert_rows
from ftspec_llamafactory.feedback import kto
from ftspec_llamafactory.free import orpo, simpo
from ftspec_llamafactory.images import image_rows
from ftspec_llamafactory.lengths import length_rows
from ftspec_llamafactory.lora import lora_rows
from ftspec_llamafactory.losses import loss_rows
from ftspec_llamafactory.optimizers import optimizer_rows
from ftspec_llamafactory.packing import packing_row
from ftspec_llamafactory.positions import position_rows
from ftspec_llamafactory.precision import dtype_row, precise
from ftspec_llamafactory.preference import dpo
from ftspec_llamafactory.quantised import quantisation_rows, unpacking_row
from ftspec_llamafactory.thinking import thinking_row
from ftspec_llamafactory.tokens import token_rows
from ftspec_llamafactory.tuners import tuner_rows

SAVED = ("chatml", "chatml_de")
"""The named templates that it puts in the place of the tokenizer's own (replace_jinja_template)."""
ATTENTION = {
    "sdpa": "sdpa",
    "eager": "disabled",
    "flash_attention_2": "fa2",
    "flash_attention_3": "fa3",
}


def _lower_template(template: str, who: str, sees: bool | None) -> Any:
    # the template `empty` adds no token to prepared rows, and changes no tokenizer
    native = "empty" if who == "ftspec" else template
    if template == "tokenizer":
        return native if who == "ftspec" else MISSING
    if native not in ("empty", *NAMED):
        raise Refuse(
            "a template file cannot be given; its templates are built in, or parsed from the tokenizer",
            "notyet",
            "data.prepare: ftspec; or save the template with the tokenizer",
        )
    if native != "empty" and templates()[native].plugin and sees is False:
        raise Refuse(
            "this template is for models that take images, and it stops where the model has no processor",
            "notyet",
            "name a template of the same text, such as qwen3_nothink for qwen3_5_nothink",
        )
    if native in SAVED:
        return native
    return Lossy(
        native,
        "the rows are written with it, but the result is saved with the tokenizer's own template, if it "
        "has one: put the other there as chat_template.jinja",
    )


def _lift_template(template: str | None) -> str:
    if template in (None, "empty"):
        return "tokenizer"
    if template not in NAMED:
        known = templates().get(template)
        reason = known.unfit if known else "it has none of this name"
        raise Refuse(f"its own template {template!r} is not in a spec: {reason}", "notyet")
    return template


def _lower_train_on(
    train_on: str, sources: tuple[dict[str, Any], ...], who: str
) -> tuple[bool, bool]:
    if who == "ftspec":
        return False, False  # the labels say it
    shape_of(sources, train_on)  # refuses mixtures
    return train_on == "all", train_on == "completions"


def _lift_train_on(on_prompt: bool, mask_history: bool) -> str:
    return "all" if on_prompt else "completions" if mask_history else "assistant"


def _lower_prepare(
    who: str, train_rows: str, evaluated: tuple[Any, ...], size: float | None
) -> Any:
    if who == "framework":
        return MISSING
    # with several splits it wants the folder above them (data/loader.py)
    return train_rows.rpartition("/")[0] if evaluated or size else train_rows


def _lift_stage(stage: str, _do_train: bool) -> str:
    if stage != "sft":
        raise Refuse(f"stage: {stage} is not in a spec yet", "notimpl")
    return stage


def _lift_plain(stage: str, _do_train: bool) -> str:
    if stage != "pt":
        raise Refuse(f"stage: {stage} is not continued pre-training", "never")
    return "cpt"


def evaluated(row: Row) -> Row:
    """The row of evaluation, with a word where its loss is counted otherwise; other rows as they are."""
    if row.paths != ("train.eval_steps",):
        return row

    def lower(*values: Any) -> Any:
        *own, train_on, who = values
        native = row.lower(*own)
        if own[0] is None or train_on != "all" or who == "ftspec":
            return native
        return Lossy(
            native,
            "its evaluation loss is also divided by the first token of each row, which nothing "
            "predicts, and so comes out lower; the training is the same",
        )

    return replace(row, lower=lower, uses=(*row.uses, "data.train_on", "data.prepare"))


def counted(row: Row) -> Row:
    """The row of the schedule in three phases, whose lengths must be known; other rows as they are."""
    if row.paths[:1] != ("train.schedule.stable_steps",):
        return row

    def lower(stable: int | None, *rest: Any) -> Any:
        if stable is None:
            raise Refuse(
                "where the steps at the peak are not said, it makes a third of the run of them and "
                "two thirds of the decay (train/trainer_utils.py)",
                "notyet",
                "train.steps instead of train.epochs, or train.schedule.stable_steps",
            )
        return row.lower(stable, *rest)

    return replace(row, lower=lower)


SFT = FieldMap(
    "llamafactory",
    (
        # model
        field("model.name", "model_name_or_path"),
        unpacking_row(),
        field("model.revision", "model_revision", absent="main"),
        field("model.trust_remote_code", "trust_remote_code", absent=False),
        choice("model.attention", "flash_attn", ATTENTION),
        dtype_row(),
        Row(
            ("model.chat_template",),
            ("template",),
            _lower_template,
            _lift_template,
            uses=("data.prepare", "derived.sees_images"),
            absent=(None,),
        ),
        Row(
            ("data.system",),
            ("default_system",),
            lower_system,
            lambda text: text,
            uses=("data.prepare", "data.train"),
            absent=(None,),
        ),
        thinking_row(),
        *image_rows(),
        *expert_rows(),
        *position_rows(),
        *quantisation_rows(),
        no_float8(),
        *no_steps(
            "its trainer's warm-up is a line, it decays no biases and norms, and no key says otherwise"
        ),
        unsupported(
            "train.embedding_learning_rate",
            "of embeddings it has LoRA+'s rate alone, method.tuner.plus_embedding_rate",
            hint="run.backends: trl, unsloth or deepspeed",
        ),
        no_qat("it has no such training", "notyet"),
        no_copy(
            "its command that trains makes none, and the one that exports rounds by gptqmodel alone, which "
            "is not in its lock",
            "notyet",
        ),
        # method
        Row(
            ("method.objective.type",),
            ("stage", "do_train"),
            lambda _objective: ("sft", True),
            _lift_stage,
            absent=("sft", False),
        ),
        *tuner_rows(),
        *lora_rows(),
        # data
        Row(
            ("data.train",),
            ("dataset_info.train",),
            lambda sources, who: MISSING if who == "ftspec" else tuple(map(to_entry, sources)),
            lambda entries: tuple(map(from_entry, entries)),
            uses=("data.prepare",),
        ),
        Row(
            ("data.eval",),
            ("dataset_info.eval",),
            lambda sources, who: MISSING if who == "ftspec" else tuple(map(to_entry, sources)),
            lambda entries: tuple(map(from_entry, entries)),
            uses=("data.prepare",),
            absent=((),),
        ),
        Row(
            ("data.prepare",),
            ("tokenized_path",),
            _lower_prepare,
            lambda folder: "framework" if folder is None else "ftspec",
            uses=("derived.train_rows", "data.eval", "data.eval_size"),
            absent=(None,),
        ),
        *length_rows(),
        Row(
            ("data.train_on",),
            ("train_on_prompt", "mask_history"),
            _lower_train_on,
            _lift_train_on,
            uses=("data.train", "data.prepare"),
            absent=(False, False),
        ),
        turn_row(
            "it trains all that its template writes of an answer (data/processor/supervised.py)"
        ),
        constant("mix_strategy", "concat", "sources follow one another", absent="concat"),
        constant(
            "max_samples", None, "each source has a limit of its own, in its split", absent=None
        ),
        *draw_rows(),
        constant("streaming", False, "a stream is shuffled in another way", absent=False),
        *loss_rows(),
        unsupported(
            "method.objective.prompt_weight",
            "a token trains or it does not, its config has no weights",
            neutral=(0.0,),
            hint="run.backends: trl, unsloth or deepspeed",
        ),
        *token_rows(),
        constant("enable_liger_kernel", False, "other kernels round otherwise", absent=False),
        packing_row(),
        constant(
            "overwrite_cache",
            True,
            "a cache of an older run must not stand in for the data",
            absent=False,
        ),
        # train
        Row(
            ("train.gradient_checkpointing",),
            ("disable_gradient_checkpointing", "use_reentrant_gc"),
            # where FSDP recomputes, the model must not do it as well
            lambda on, engine: (bool(engine) or not on, False),
            lambda off, _reentrant, engine: bool(engine) or not off,
            uses=("hardware.fsdp.activation_checkpointing",),
            reads=(RECOMPUTES,),
            absent=(False, True),
        ),
        Row(
            ("train.resume",),
            ("resume_from_checkpoint", "overwrite_output_dir"),
            lambda folder: (folder, folder is None),  # else it goes on from any checkpoint it finds
            lambda folder, _overwrite: folder,
            absent=(None, False),
        ),
        stopping_row("early_stopping_steps"),
        *optimizer_rows(
            precise(counted(evaluated(row))) for row in training_rows("") if row.paths != SCALE
        ),
        *launch_rows(),
        *engine_rows(),
        *fsdp_rows(
            Case(
                lambda v: v["hardware.fsdp.state_dict_type"] == "sharded",
                "it would save the end result in pieces as well, which no other program loads",
                "notyet",
                "hardware.fsdp.state_dict_type: full",
            ),
        ),
        no_sequences("its own trainer splits no rows; only its Megatron adapter does"),
        *ours(*OWN_PATHS),
    ),
)
CPT = continued(
    SFT,
    Row(
        ("method.objective.type",),
        ("stage", "do_train"),
        # Its own stage `pt` always appends the end-of-text token, and leaves it untrained where it is
        # the padding too. Rows that ftspec prepared train alike in the stage `sft`.
        lambda _objective: ("sft", True),
        _lift_plain,
        absent=("sft", False),
    ),
    plain_loss=("use_dft_loss", False, False),
)
DPO = dpo(SFT)
KTO = kto(SFT)
ORPO = orpo(SFT)
SIMPO = simpo(SFT)
