"""Rows of the supervised script that TRL, DeepSpeed and Unsloth share.

trl's SFTConfig around transformers' TrainingArguments, a model by name, peft's LoraConfig.

Names and defaults: trl 1.15 and 1.16, trainer/sft_config.py; checked against schemas/native/*.json.
Keys are `Call.argument`, as they stand in the emitted script.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ftspec.families.objectives.supervised import SHAPE, objective_row, token_loss_rows
from ftspec.families.rows.datasets import context
from ftspec.families.rows.draws import draw_rows
from ftspec.families.rows.long_prompts import no_prompts
from ftspec.families.rows.packing import packing_row
from ftspec.families.rows.prepared import prepared_rows
from ftspec.families.rows.shapes import WRITTEN
from ftspec.families.rows.template import template_rows
from ftspec.families.rows.turns import turn_row
from ftspec.families.training.best import STOPPING, stopping_row
from ftspec.families.training.fsdp import RECOMPUTES
from ftspec.families.training.hf_trainer import training_rows
from ftspec.families.training.launch import launch_rows
from ftspec.families.training.steps import step_rows
from ftspec.families.tuners.adapters import adapter_rows, lower_tuner
from ftspec.families.tuners.loraplus import plus_rows
from ftspec.families.tuners.partial import partial_rows
from ftspec.families.tuners.peft import lora_rows
from ftspec.families.weights.experts import expert_rows
from ftspec.families.weights.rope import rope_rows
from ftspec.families.weights.tokens import new_row, special_rows
from ftspec.mapping import MISSING, Refuse, Row, constant, field, only, ours, unsupported

CONFIG = "SFTConfig."
TRL_DEFAULTS = {"learning_rate": 2e-5, "logging_steps": 10, "bf16": True}
"""Where trl's SFTConfig assumes otherwise than transformers (bf16: None, which comes to True)."""
KEEP_START, KEEP_END = "keep_start", "keep_end"
"""trl's words for which tokens of a long row are kept. The second is deprecated; 1.16 has it."""
LIMIT = "data.drop_beyond"
"""Native pseudo-key: conversations of more tokens are left out."""
SAVED = "method.tuner.modules_to_save"
SYSTEM = "data.system"
"""Native pseudo-key: the system prompt of conversations that begin with none."""
OWN_PATHS = (
    "version",
    "run.backends",
    "run.environment",
    "run.telemetry",
    "native",
)
"""Paths that ftspec answers for itself: who runs, where, with how many processes."""


_WHO_AND_WHAT = ("data.prepare", "data.train_on")


def data_rows() -> tuple[Row, ...]:
    """What the script loads, and which of its tokens count."""
    return (
        *(
            Row(
                (f"data.{split}",),
                (f"data.{split}",),
                _lower_sources,
                lambda v: v,
                uses=_WHO_AND_WHAT,
            )
            for split in ("train", "eval")
        ),
        *draw_rows(),
        Row(
            ("data.prepare",),
            ("data.prepare", f"{CONFIG}dataset_kwargs"),
            lambda who: (who, {"skip_prepare_dataset": True} if who == "ftspec" else MISSING),
            lambda who, _kwargs: who,
        ),
        Row(
            ("data.train_on",),
            (f"{CONFIG}completion_only_loss", f"{CONFIG}assistant_only_loss", SHAPE),
            _lower_train_on,
            _lift_train_on,
            uses=("data.train", "data.prepare", "derived.marks_turns"),
            absent=(None, False, MISSING),
        ),
        turn_row(
            "trl trains all that the template writes of an answer, or what the template marks "
            "(trl/trainer/sft_trainer.py)"
        ),
        Row(
            ("data.system",),
            (SYSTEM,),
            lower_system,
            lambda text: text,
            uses=("data.prepare", "data.train"),
            absent=(None,),
        ),
        Row(
            ("data.max_length",),
            (f"{CONFIG}max_length",),
            # rows that ftspec prepared are cut already, and None is what says "do not cut"
            lambda length, who: None if who == "ftspec" else length,
            lambda length, who: MISSING if who == "ftspec" else length,
            uses=("data.prepare",),
            reads=("data.prepare",),
            absent=(1024,),
        ),
        Row(
            ("data.overflow",),
            (LIMIT, f"{CONFIG}truncation_mode"),
            _lower_overflow,
            lift_overflow,
            uses=("data.max_length", "data.prepare", "data.train", "data.train_on"),
            absent=(None, KEEP_START),
        ),
        *no_prompts(),
        *prepared_rows(),
        Row(
            ("data.shuffle",),
            (f"{CONFIG}train_sampling_strategy",),
            lambda shuffle: "random" if shuffle else "sequential",
            _lift_sampling,
            absent=("random",),
        ),
    )


def loss_rows() -> tuple[Row, ...]:
    """The loss, and what disturbs it on purpose."""
    return (
        *token_loss_rows(),
        constant(f"{CONFIG}use_liger_kernel", False, "other kernels round otherwise", absent=False),
        packing_row(CONFIG),
        constant(
            f"{CONFIG}shuffle_dataset",
            False,
            "rows are drawn by the seeded sampler alone",
            absent=False,
        ),
    )


def checkpointing_rows() -> tuple[Row, ...]:
    """Gradient checkpointing as TrainingArguments has it."""
    return (
        Row(
            ("train.gradient_checkpointing",),
            (f"{CONFIG}gradient_checkpointing", f"{CONFIG}gradient_checkpointing_kwargs"),
            _lower_checkpointing,
            lambda on, _kwargs, engine: bool(on or engine),
            uses=("hardware.fsdp.activation_checkpointing",),
            reads=(RECOMPUTES,),
            absent=(True, None),
        ),
    )


def model_rows() -> tuple[Row, ...]:
    """The model, by name: SFTTrainer loads it with these arguments."""
    return (
        field("model.name", "model.name"),
        field("model.revision", "model.revision", absent="main"),
        field("model.dtype", "model.dtype", absent="float32"),
        field("model.attention", "model.attn_implementation"),
        field("model.trust_remote_code", "model.trust_remote_code", absent=False),
        *special_rows(),
        new_row(),
        *rope_rows(),
        *expert_rows(CONFIG),
        *template_rows(CONFIG),
        Row(
            ("train.resume",),
            ("train.resume_from_checkpoint",),
            lambda folder: MISSING if folder is None else folder,
            lambda folder: folder,
            absent=(None,),
        ),
    )


def tuner_rows() -> tuple[Row, ...]:
    """Full tuning, a part of the weights, a new LoRA adapter, or a saved one trained further."""
    return (
        objective_row("sft"),
        Row(
            ("method.tuner.type",),
            ("tuner",),
            lower_tuner,
            lambda tuner: tuner,
            uses=("model.quantization.type",),
        ),
        *only(
            "method.tuner.type",
            "lora",
            Row(
                ("method.tuner.adapter",),
                ("model.adapter",),
                lambda adapter: MISSING if adapter is None else adapter,
                lambda adapter: adapter,
                absent=(None,),
            ),
            *(adapted(row) for row in lora_rows("LoraConfig.")),
            *plus_rows(CONFIG),
        ),
        *partial_rows(),
        *adapter_rows(),
    )


def adapted(row: Row) -> Row:
    """A LoRA row that writes nothing where a saved adapter's own configuration decides."""

    def lower(*values: Any) -> Any:
        *own, adapter, dtype, stored = values
        held = stored if dtype == "auto" else dtype
        if row.paths == (SAVED,) and own[0] and held != "float32":
            raise Refuse(
                "modules that are trained in full beside an adapter have the model's own type in a spec, and "
                "only in float32 were they seen to train alike here",
                "notimpl",
                "model.dtype: float32; or run.backends: trl",
            )
        if adapter is None:
            return row.lower(*own)
        return MISSING if len(row.keys) == 1 else (MISSING,) * len(row.keys)

    uses = (*row.uses, "method.tuner.adapter", "model.dtype", "derived.stored_dtype")
    return replace(row, lower=lower, uses=uses)


def saved_row() -> Row:
    """Modules beside an adapter, where peft and the trainer leave them the model's own type."""

    def lower(
        modules: tuple[str, ...],
        adapter: str | None,
        dtype: str,
        stored: str | None,
        compute: str,
        strategy: str | None,
    ) -> Any:
        held = stored if dtype == "auto" else dtype
        if modules and held != "float32" and strategy is not None:
            raise Refuse(
                "under FSDP accelerate turns weights that train into float32 (utils/fsdp_utils.py); modules "
                "beside an adapter have the model's own type in a spec",
                "notyet",
                "model.dtype: float32, or leave method.tuner.modules_to_save out",
            )
        if modules and held != "float32" and (held == "float16" or compute != "bf16"):
            raise Refuse(
                "modules that are trained in full beside an adapter have the model's own type: 16 bits train "
                "under bf16 alone, since torch scales no gradients that are float16 themselves",
                "notyet",
                "model.dtype: float32; or precision: bf16 and model.dtype: bfloat16",
            )
        return MISSING if adapter is not None else list(modules) or None

    (row,) = (row for row in lora_rows("LoraConfig.") if row.paths == (SAVED,))
    uses = (
        *("method.tuner.adapter", "model.dtype", "derived.stored_dtype", "precision.compute"),
        "hardware.fsdp.sharding_strategy",
    )
    return only("method.tuner.type", "lora", replace(row, lower=lower, uses=uses))[0]


def shared_rows() -> tuple[Row, ...]:
    """All of the above: what a script backend starts from."""
    return (
        *model_rows(),
        *data_rows(),
        *tuner_rows(),
        *checkpointing_rows(),
        *loss_rows(),
        *training_rows(CONFIG, TRL_DEFAULTS),
        *step_rows(),
        stopping_row(STOPPING),
        *launch_rows(),
        *ours(*OWN_PATHS),
    )


def _lower_checkpointing(on: bool, engine: bool | None) -> tuple[bool, Any]:
    if engine:  # FSDP recomputes, and transformers takes only one of the two (trainer.py)
        return False, MISSING
    # non-reentrant: the variant torch recommends, and the only one all backends share
    return on, {"use_reentrant": False} if on else MISSING


def no_sequences(reason: str) -> Row:
    """Refusal of a backend in which no devices share a row."""
    return unsupported(
        "hardware.sequence_parallel", reason, "notyet", (1,), "run.backends: deepspeed"
    )


def no_zero(title: str) -> tuple[Row, ...]:
    """Refusals of a backend that does not shard."""
    why = f"{title} alone does not shard; the deepspeed backend does"
    return (
        unsupported(
            "hardware.zero.stage", why, "never", neutral=(None, 0), hint="run.backends: deepspeed"
        ),
        unsupported("hardware.zero.offload_optimizer", why, "never", neutral=(None, False)),
        unsupported("hardware.zero.offload_parameters", why, "never", neutral=(None, False)),
        unsupported("hardware.zero.leaf_modules", why, "never"),
    )


def _lower_sources(sources: tuple[dict[str, Any], ...], who: str, train_on: str) -> Any:
    if who == "ftspec":
        return MISSING  # the script reads the prepared folder
    if sources:
        context(sources, shape_of(sources, train_on), "")  # refuses what one statement cannot load
    return sources


def _lower_overflow(
    overflow: str,
    limit: int,
    who: str,
    sources: tuple[dict[str, Any], ...],
    train_on: str,
) -> Any:
    if overflow == "split" and who != "ftspec":
        raise Refuse(
            "trl cuts a long row, or packs its parts among others", "notyet", "data.prepare: ftspec"
        )
    if overflow != "drop" or who == "ftspec":
        # trl keeps the first max_length tokens; `error` was seen to before the run
        return MISSING, KEEP_END if left_off(overflow) and who != "ftspec" else KEEP_START
    context(sources, shape_of(sources, train_on), "", limit)  # refuses what it cannot measure
    return limit, KEEP_START


def left_off(overflow: str) -> bool:
    """Whether long rows lose their beginning."""
    return overflow == "truncate-left"


def lift_overflow(limit: int | None, mode: str) -> str:
    """What becomes of long rows; trl cuts what the script does not leave out."""
    return "drop" if limit is not None else "truncate-left" if mode == KEEP_END else "truncate"


def shape_of(sources: tuple[dict[str, Any], ...], train_on: str) -> str:
    """Which columns the trainer gets: `messages`, `prompt-completion`, `written` or `text`."""
    formats = {source["format"] for source in sources}
    plain = [bool((source.get("template") or {}).get("prompt")) for source in sources]
    if all(plain) and plain:
        return WRITTEN
    if any(plain):
        raise Refuse("rows that are written by a template cannot be mixed with others", "notimpl")
    if formats == {"text"}:
        return "text"
    if "text" in formats:
        raise Refuse("plain text and conversations cannot be trained in one run", "never")
    if formats == {"prompt-completion"}:
        return "prompt-completion"
    if "prompt-completion" in formats:
        raise Refuse("prompt-completion data cannot be mixed with conversations", "notimpl")
    return "prompt-completion" if train_on == "completions" else "messages"


def lower_system(system: str | None, who: str, sources: tuple[dict[str, Any], ...]) -> Any:
    """The prompt where the framework's own path puts it in; prepared rows hold it."""
    if system is None or not sources:
        return MISSING
    formats = {source["format"] for source in sources}
    if formats == {"text"}:
        raise Refuse("plain text has no turns, and no system prompt", "never")
    if who == "ftspec":
        return MISSING
    if "prompt-completion" in formats:
        raise Refuse(
            "whether prompts are conversations is not seen before the rows are read",
            "notimpl",
            "data.prepare: ftspec",
        )
    return system


def _lower_train_on(
    train_on: str, sources: tuple[dict[str, Any], ...], who: str, marks_turns: bool | None
) -> tuple[Any, ...]:
    if who == "ftspec":
        return False, False, "tokens"  # the labels say it
    shape = shape_of(sources, train_on)
    if shape == "messages" and train_on == "assistant" and marks_turns is False:
        raise Refuse(
            "the chat template does not mark the assistant's turns; trl would stop, or write the rows "
            "with a template of its own where it knows this one",
            "notyet",
            "data.prepare: ftspec, or {% generation %} around the assistant's turns in a "
            "model.chat_template",
        )
    if shape in ("prompt-completion", WRITTEN):
        return train_on != "all", False, shape
    return False, shape == "messages" and train_on == "assistant", shape


def _lift_train_on(completion: Any, assistant: Any, shape: Any) -> Any:
    if shape == "tokens":
        return MISSING
    if assistant:
        return "assistant"
    # trl's own default: only the completion where there is one
    return "completions" if completion or (completion is None and shape != "messages") else "all"


def _lift_sampling(strategy: str) -> bool:
    if strategy not in ("random", "sequential"):
        raise Refuse(f"the sampling strategy {strategy!r} is not in a spec yet", "notimpl")
    return strategy == "random"
