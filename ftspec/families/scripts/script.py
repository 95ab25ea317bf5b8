"""From native values to a training script and its companions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import ftspec
from ftspec.backend import File, Job
from ftspec.emit.header import requirements
from ftspec.emit.plain import one_line
from ftspec.emit.python import render
from ftspec.emit.shell import launch_script
from ftspec.families.objectives import free, gkd, scored
from ftspec.families.objectives.preference import REFERENCE
from ftspec.families.objectives.reward import CUT, CUTTING
from ftspec.families.objectives.supervised import (
    ANCHOR,
    AVERAGE,
    AVERAGED,
    ENTROPY,
    PROMPT_WEIGHT,
    SHAPE,
    WEIGHERS,
    weigher,
)
from ftspec.families.rows import by_turns, datasets, images, long_prompts, packing
from ftspec.families.rows.dataset_statements import DRAWN
from ftspec.families.rows.draws import DRAW_SEED, HELD_OUT, MIXED
from ftspec.families.rows.script_data import LIMIT, SYSTEM
from ftspec.families.rows.template import OPTIONS, TEMPLATE, named_in, template_text
from ftspec.families.trainers import TRAINERS, argument, trainer_of
from ftspec.families.training import best, embeddings, fsdp, steps
from ftspec.families.tuners import adalora, adapters, inits, loraplus, partial
from ftspec.families.tuners.peft import moves
from ftspec.families.weights import (
    experts,
    float8,
    packed_experts,
    pure,
    qat,
    quantised,
    stored,
    tokens,
)
from ftspec.mapping import Flat

SCRIPT = "train.py"
REFERRED = "pretrained_model_name_or_path"
"""The argument by which a script names a reference model, and no other one."""
HELD = files("ftspec.families") / "templates" / "anchor.py.j2"
ANCHORED = """\
trainer.anchor = trainer.accelerator.prepare_model(reference, evaluation_mode=True).eval()
"""
UNSURE = files("ftspec.families") / "templates" / "entropy.py.j2"
ENTROPIES = 'ENTROPY_POWER, ENTROPY_TOKENS, ENTROPY_SCALE = "@power", "@tokens", "@scale"'
CONSTANTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    PROMPT_WEIGHT: ('PROMPT_WEIGHT = "@weight"', ("weight",)),
    best.STOPPING: (best.PATTERN, ("patience",)),
    ENTROPY: (ENTROPIES, ("power", "tokens", "scale")),
    **images.CONSTANTS,
    ANCHOR: ('ANCHOR_WEIGHT, ANCHOR_SUMS = "@weight", "@sums"', ("weight", "sums")),
}
"""Statements of the script that give a native value, or several in one."""
WEIGHTED = files("ftspec.families") / "templates" / "prompt_weight.py.j2"
PAIRS = files("ftspec.families") / "templates" / "pairs.py.j2"
READ = """\
tokenizer.chat_template = {{ "Path"|call(template) }}.read_text("utf-8")
"""
MEASURED = (
    "# Read here already, because the rows are measured by it before the trainer is made\n" + READ
)
GIVEN = 'tokenizer.chat_template = Path("@file").read_text("utf-8")'
GROUPS: Mapping[str, tuple[str, ...]] = {
    "results, logging and evaluation": (
        "output_dir", "run_name", "save_", "load_best", "metric_for", "greater_is", "push_to_hub", "hub_",
        "logging", "report_to", "eval",
        "generate_during_eval",
    ),
    "length, batch and optimizer": (
        "num_train_epochs", "max_steps", "total_episodes", "per_device", "gradient_acc", "average_",
        "learning_rate",
        "lr_", "warmup", "optim", "adam", "weight_decay", "max_grad_norm",
        "label_smoothing_factor", "neftune",
    ),
    "model, precision and memory": (
        "model_init", "teacher_model_init", "trust_remote", "disable_dropout", "bf16", "fp16", "tf32",
        "use_cpu", "use_liger", "gradient_checkpointing", "deepspeed", "model_adapter",
    ),
    "data and loss": (
        "dataset", "chat_template", "max_length", "truncation", "completion_only",
        "assistant_only", "loss_", "beta", "desirable", "undesirable", "label_smoothing", "ld_alpha",
        "discopop", "f_divergence", "cpo_alpha", "alpha", "simpo_gamma", "center_rewards",
        "use_weighting", "precompute_ref", "sync_ref", "router_aux", "packing", "padding_free", "pad_to",
        "remove_unused", "shuffle", "train_sampling", "dataloader", "seed", "data_seed",
    ),
    "completions": (
        "num_generations", "max_completion", "max_new_tokens", "lmbda", "seq_kd",
        "steps_per_generation", "temperature", "top_", "min_p",
        "repetition", "generation_", "chat_template_kw", "cache_impl", "use_vllm", "vllm_",
        "use_transformers",
        "log_completions", "response_length", "stop_token", "missing_eos", "local_rollout",
        "num_sample",
    ),
    "rewards and policy": (
        "num_ppo", "num_mini", "kl_", "cliprange", "vf_coef", "gamma", "lam", "whiten", "ref_adapter",
        "reward_", "multi_objective", "scale_rewards", "normalize", "epsilon", "delta", "importance",
        "num_iterations", "mask_truncated", "entropy", "use_adaptive", "use_bias", "off_policy",
        "cast_lm",
    ),
}  # fmt: skip
"""Topics of a config in an emitted script, and the beginnings of the arguments in each, in order."""
NAMES = (
    *("MODEL", "model", *adapters.classes(), *WEIGHERS.values(), *stored.CALLS.values()),
    *(name for each in TRAINERS for name in (each.module, each.config, each.name)),
)
"""Variables and classes that templates name."""


def headline(job: Job, title: str) -> str:
    """The one line on top of each emitted file: what it is, and from which spec."""
    return (
        f"Fine-tuning with {title}; compiled by ftspec {ftspec.__version__} "
        f"from {job.spec_name} (sha256 {job.spec_hash[:12]})"
    )


def emit_script(
    template: Traversable,
    native: Flat,
    job: Job,
    title: str,
    copied: Sequence[str] = ("partial",),
    **more: Any,
) -> File:
    """The training script: a template, with the shared statements that load rows put in.

    ``copied`` are tuners under which a trainer that measures from a reference is given a copy of the
    model, because it cannot make one as this script loads it.
    """
    made, trainer = adapters.configuration(native), trainer_of(native)
    named = argument(native, "chat_template_path")
    splits = {
        variable: _split(native, job, split) for split, variable in datasets.VARIABLES.items()
    }
    used = [split for split in splits.values() if split]
    values: dict[str, Any] = {
        "pins": job.pins,
        "overrides": job.overrides,
        "headline": headline(job, title),
        "module": trainer.module,
        "trainer": trainer.name,
        "config": trainer.config,
        "args": grouped(arguments(native, trainer.prefix)),
        "plus": {"": plus} if (plus := _raw(native, f"{loraplus.CALL}.")) else None,
        "moved": moves(native),
        "eva": {"": eva} if (eva := _raw(native, inits.EVA)) else None,
        "components": inits.components(native),
        "penalty": native["tuner"] == "adalora",
        "loftq": native.get(inits.LOFTQ),
        "configuration": made[0] if made else None,
        "settings": {"": {key: _listed(value) for key, value in made[1].items()}} if made else None,
        "partial": partial.context(native),
        "frozen": native[experts.FROZEN],
        "packed": native.get(packed_experts.PACKED),
        "over_written": native.get(gkd.OVER_WRITTEN),
        "model": arguments(native, "model."),
        "prompt_weight": native.get(PROMPT_WEIGHT),
        "entropy": native.get(ENTROPY),
        "anchor": native.get(ANCHOR),
        "weigher": weigher(native),
        "averaged": AVERAGE in native,
        "stopping": native.get(best.STOPPING),
        "scored": scored.context(native),
        "teacher": native.get(gkd.TEACHER) if trainer.teaches else None,
        "longest": native.get(long_prompts.LONGEST)
        or ((None, "turns") if by_turns.PAIRS_CUT in native else None),
        "by_turns": native.get(by_turns.CUT),
        "pairs": native.get(free.LIKELIHOOD, "rows") if trainer.pairs else None,
        **images.context(native),
        **qat.context(native, job.values),
        **tokens.context(native),
        **steps.context(native),
        "embedding_rate": native.get(embeddings.RATE),
        "float8": native.get(float8.FLOAT8),
        "narrowed": native.get(pure.ADAPTERS),
        **stored.context(native),
        "refers": trainer.refers,
        "referred": ANCHOR in native
        or (
            trainer.refers
            and (
                REFERENCE in native
                or native["tuner"] in copied
                or (images.READ in native and native["tuner"] == "full")
            )
        ),
        "cut_answers": native.get(CUT),
        "restart": native.get(packing.RESTART),
        "measured": named is not None,
        "template": native.get(TEMPLATE)
        or (named if LIMIT in native or by_turns.CUT in native else None),
        "resume": native.get("train.resume_from_checkpoint"),
        "in_pieces": fsdp.in_pieces(native),
        "prepared": any(split["tokens"] for split in used),
        "shared": any(_shares(split) for split in used),
        "texts": any(split.get("template") for split in used),
        "several": any(split.get("parts") and not split["part"] for split in used),
    }
    values |= {**splits, **more}
    text = template.read_text("utf-8")
    for name, source in _statements(values).items():
        text = text.replace(f"{{# {name} #}}\n", source)
    return File.text(SCRIPT, render(text, allowed=NAMES, **values))


def _statements(values: Mapping[str, Any]) -> dict[str, str]:
    """The shared parts of a template, empty where these values print nothing of them.

    Jinja compiles all that it is given, and a fifth of `ftspec compile` went into what is left out.
    """
    every: dict[str, tuple[Any, Callable[[], str]]] = {
        "pairs": (values["pairs"], lambda: PAIRS.read_text("utf-8")),
        "cut prompts": (
            values["longest"],
            lambda: by_turns.sharing(long_prompts.TEXT.read_text("utf-8")),
        ),
        "cut by turns": (values["by_turns"], by_turns.text),
        "cut answers": (values["cut_answers"], lambda: CUTTING.read_text("utf-8")),
        "read images": (values["images"], lambda: images.COLLATOR.read_text("utf-8")),
        "prompt weight": (values["prompt_weight"], lambda: WEIGHTED.read_text("utf-8")),
        "weigh by entropy": (values["entropy"], lambda: UNSURE.read_text("utf-8")),
        "stay near": (values["anchor"], lambda: HELD.read_text("utf-8")),
        "hold the model as it was": (values["anchor"], lambda: ANCHORED),
        "make the optimizer": (values["plus"], loraplus.template),
        "allot the ranks": (values["penalty"], lambda: adalora.TEMPLATE),
        "choose what trains": (values["partial"], partial.template),
        "make the rewards": (values["scored"], lambda: scored.LIST),
        "load a quantised base": (values.get("quantisation"), quantised.template),
        "pack the experts": (values["packed"], lambda: packed_experts.TEMPLATE),
        "load a stored base": (values["stored"], stored.template),
        "make up for rounding": (values["loftq"], lambda: inits.template("loftq")),
        "change the tokenizer": (
            values["special_tokens"] or values["new_tokens"],
            tokens.change,
        ),
        "grow the embeddings": (values["new_tokens"], tokens.grow),
        "read the template": (
            values["template"],
            lambda: MEASURED if values["measured"] else READ,
        ),
        "round in training": (values["qat"], lambda: qat.template("qat")),
        "multiply in float8": (values["float8"], lambda: float8.TEMPLATE),
        "save in few bits": (values["copied"], lambda: qat.template("few_bits")),
        "schedule the rate": (values["warmup"], lambda: steps.scheduled(values["warmup"])),
        "decay everything": (values["decayed"], lambda: steps.DECAYING),
        "rate the embeddings": (values["embedding_rate"], lambda: embeddings.RATED),
        "hold adapters in bfloat16": (values["narrowed"], lambda: pure.HELD),
        "stop early": (values["stopping"], lambda: best.TEMPLATE),
        "average the passes": (values["averaged"], lambda: f"{AVERAGED}\n"),
        "explain the variance": (values["eva"], lambda: inits.template("eva")),
        "draw a share": (values["shared"], lambda: DRAWN),
        "freeze the router": (values["frozen"], lambda: experts.FREEZE),
        "begin positions again": (values["restart"], lambda: f"{packing.RESTARTED}\n"),
        "count what is written": (values["over_written"], lambda: gkd.BY_WRITTEN),
    }
    texts = {name: source() if printed else "" for name, (printed, source) in every.items()}
    loads = {
        f"load {split}": datasets.template(split, values[variable]) if values[variable] else ""
        for split, variable in datasets.VARIABLES.items()
    }
    return texts | loads


def referring(native: Flat, loading: Mapping[str, Any]) -> dict[str, Any]:
    """How a reference model is loaded: as the model is, but another one by its own revision and positions."""
    own = ("revision", "rope_parameters") if REFERENCE in native else ()
    kept = {name: value for name, value in loading.items() if name not in own}
    return {REFERRED: native.get(REFERENCE, native["model.name"]), **kept}


def _split(native: Flat, job: Job, split: str) -> dict[str, Any] | None:
    """What the template prints for a split; None where the spec has none."""
    held_out = job.values["data.eval_size"] is not None
    if not job.values[f"data.{split}"] and not (split == "eval" and held_out):
        return None
    folder = job.values[f"derived.{split}_rows"]
    limit, system = native.get(LIMIT), native.get(SYSTEM)
    if split == "eval" and HELD_OUT in native:
        # of the last ones that were drawn, too long ones have been left out before
        done = native[HELD_OUT][1] == "last"
        return datasets.taken(native[SHAPE], None if done else limit)
    sources = native.get(f"data.{split}", ())
    return datasets.context(
        sources,
        native[SHAPE],
        folder,
        limit,
        system,
        native.get(HELD_OUT) if split == "train" else None,
        native.get(OPTIONS),
        split == "train" and MIXED in native,
        native.get(DRAW_SEED),
        by_turns.CUT in native,
    )


def _shares(split: Mapping[str, Any]) -> bool:
    """Whether a share of a source's rows is drawn."""
    return any(part["share"] for part in split.get("parts") or ())


def template_file(native: Flat) -> list[File]:
    """The chat template that a spec names, beside the script that reads it; nothing for another one."""
    path = argument(native, "chat_template_path") or native.get(TEMPLATE) or ""
    name = named_in(path)
    return [File.text(path, template_text(name))] if name else []


def companions(job: Job, title: str, argv: Sequence[str], environ: Mapping[str, str]) -> list[File]:
    """The launch script and the requirements."""
    comment = headline(job, title)
    pins = "".join(f"{line}\n" for line in requirements(job.pins))
    return [
        File.text(
            "launch.sh", launch_script(argv, {**job.environ, **environ}, comment), executable=True
        ),
        File.text("requirements.txt", f"# {one_line(comment)}\n{pins}"),
    ]


def arguments(native: Flat, prefix: str) -> dict[str, Any]:
    """The arguments of one call, without its name; tuples as the lists that people write."""
    return {name: _listed(value) for name, value in _raw(native, prefix).items()}


def _raw(native: Flat, prefix: str) -> dict[str, Any]:
    return {k.removeprefix(prefix): v for k, v in native.items() if k.startswith(prefix)}


def grouped(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A config's arguments by topic; what no topic claims stands last."""
    rest = dict(values)
    groups: dict[str, dict[str, Any]] = {}
    for title, starts in GROUPS.items():
        names = [name for start in starts for name in rest if name.startswith(start)]
        groups[title] = {name: rest.pop(name) for name in dict.fromkeys(names)}
    groups["more"] = rest
    return {title: group for title, group in groups.items() if group}


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
