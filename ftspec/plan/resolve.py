"""Every default made explicit: a spec in, the same spec with nothing left open out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftspec.data.formats import TOOLED, detect_source, has_column
from ftspec.data.images import IMAGE_TOKENS, most_tokens
from ftspec.errors import Problem, SpecError
from ftspec.families.rows.shapes import COLUMNS, IMAGES, OF_KIND, WITH_IMAGES
from ftspec.plan import machine
from ftspec.plan.batch import accumulation, micro_batch
from ftspec.plan.best import decide_best
from ftspec.plan.mixtures import decide_experts
from ftspec.plan.objectives import decide_objective
from ftspec.plan.places import ask_for_files, is_local
from ftspec.plan.positions import decide_positions, model_config
from ftspec.plan.quantised import decide_quantisation
from ftspec.plan.rewards import decide_rewards
from ftspec.plan.schedules import decide_steps, usual_rate
from ftspec.plan.templates import added_tokens, decide_template
from ftspec.plan.values import Origin, Resolved, Value
from ftspec.spec.adapters import OFT, AdaLoRA, LoHa, LoKr, Peft
from ftspec.spec.data import Format, Source
from ftspec.spec.energy import ENERGY
from ftspec.spec.home import at_home
from ftspec.spec.images import PARTS
from ftspec.spec.load import Loaded, spec_name
from ftspec.spec.online import ONLINE
from ftspec.spec.paths import flatten, leaf_paths, plain
from ftspec.spec.preference import PREFERENCES
from ftspec.spec.present import is_folder
from ftspec.spec.root import Spec

DEFAULT_WARMUP_RATIO = 0.03
"""Share of all steps; what the QLoRA and Alpaca recipes use (https://arxiv.org/abs/2305.14314)."""
DEFAULT_LEARNING_RATE = {
    "full": 2e-5,
    "partial": 2e-5,
    "ia3": 3e-3,
    "prefix": 1e-2,
    "prompt": 3e-2,
    "p-tuning": 1e-3,
    "vera": 4e-3,
}
"""TRL's default for a model's own weights; where few numbers learn, they need larger steps: the papers'
rates for IA3 and VeRA, those of peft's examples for virtual tokens."""
ADAPTER_RATE = 2e-4
"""QLoRA's setting, for LoRA and whatever else learns an update of each layer."""

PREFERENCE_SHARE = 40
"""Preferences want smaller steps than demonstrations: trl's and LLaMA-Factory's examples of DPO and KTO
take 5e-6 for LoRA, 5e-7 for all weights."""
ONLINE_SHARE = 20
"""What trl takes for all weights, 1e-6, beside its 2e-5 for demonstrations; adapters in the same measure."""
SHARES = {
    **dict.fromkeys(PREFERENCES, PREFERENCE_SHARE),
    **dict.fromkeys((*ONLINE, *ENERGY), ONLINE_SHARE),
}
"""By objective, what the rates for demonstrations are divided by."""


def resolve(loaded: Loaded, defaults: Mapping[str, tuple[Any, str]] | None = None) -> Resolved:
    """The spec with every open value decided, and the origin of each.

    ``defaults`` are a backend's decisions for paths that the spec leaves open.

    Raises:
        SpecError: a batch does not divide; a format cannot be recognised; a local model is missing.
    """
    spec, folder = loaded.spec, loaded.file.parent
    written = written_paths(spec)
    values = {
        path: Value(value, "spec" if path in written else "default")
        for path, value in flatten(spec).items()
    }

    def decide(path: str, value: Any, why: str, origin: Origin = "derived") -> None:
        values[path] = Value(value, origin, why)

    for path, (value, why) in (defaults or {}).items():
        if path in values and values[path].value is None:
            decide(path, value, why, "backend")

    handed = loaded.handed
    for path, why in (handed.why if handed else {}).items():
        decide(path, values[path].value, why)
    config = _model(loaded, values, decide)
    _reference(loaded, decide)
    decide_rewards(spec, folder, decide)
    decide_positions(spec, config, values, decide)
    decide_experts(spec, config, decide)
    _train(spec, values, decide)
    _hardware(spec, values, decide)
    stops = spec.model.images is not None  # at a long row, by itself
    if spec.data.overflow == "error" and spec.data.prepare == "framework" and not stops:
        _all_local(spec)
    for split in ("train", "eval"):
        objective = spec.method.objective.type
        if objective != "cpt" and any(_unnamed(source) for source in getattr(spec.data, split)):
            ask_for_files(loaded, split)
        seeing = spec.model.images is not None
        sources = tuple(
            _source(source, folder, objective, f"data.{split}", seeing)
            for source in getattr(spec.data, split)
        )
        if plain(sources) != plain(getattr(spec.data, split)):
            decide(
                f"data.{split}", plain(sources), "formats recognised from the columns", "machine"
            )
    decide_objective(spec, values, decide)
    shown = spec.model.images
    if shown is not None and not shown.learned and values["data.train_on"].value != "all":
        decide("model.images.learned", True, "tokens outside of answers are not learned anyway")
    name = spec_name(loaded.file)
    if spec.output.folder is None:
        decide("output.folder", f"runs/{name}", "runs/ and the spec's name")
    if handed:
        name = f"{name}-{handed.stage}"
    files, earlier = (handed.files, handed.earlier) if handed else (None, ())
    return Resolved(loaded, name, values, files, earlier)


def written_paths(spec: Spec) -> frozenset[str]:
    """The leaf paths that the file (or --set) gives a value."""
    given, known = spec.model_dump(exclude_unset=True), {*leaf_paths(), "native"}

    def walk(node: Any, prefix: str) -> list[str]:
        if not isinstance(node, dict) or prefix[:-1] in known:
            return [prefix.rstrip(".")]
        return [path for key, value in node.items() for path in walk(value, f"{prefix}{key}.")]

    return frozenset(walk(given, ""))


def _model(loaded: Loaded, values: Mapping[str, Value], decide: Any) -> dict[str, Any] | None:
    """Decides what the model's files say; its config.json is handed on."""
    spec, folder, handed = loaded.spec, loaded.file.parent, loaded.handed
    tuner = spec.method.tuner
    # what an earlier stage will leave is not there yet, and has the files of what it begins with
    name = handed.files[0] if handed and handed.files else spec.model.name
    if is_local(name, folder) and not is_folder(folder / at_home(name)):
        raise SpecError(
            Problem(
                f"there is no model folder {name}",
                path="model.name",
                hint="paths start at the spec's own folder; a hub id has no leading `.` or `/`",
            )
        )
    local = is_local(spec.model.name, folder)
    decide("derived.local_model", local, "its name is that of a folder", "machine")
    config = model_config(folder / at_home(name))
    stored, why = stored_dtype(config), "config.json of the model"
    if handed and handed.files:
        stored, why = handed.stored, "the type that the earlier stage saves"
    decide("derived.stored_dtype", stored, why, "machine")
    earlier = handed.earlier if handed else ()
    decide_template(spec, name, folder, decide, added_tokens((*earlier, spec.model)))
    if spec.precision.compute == "bf16-pure":
        _pure(spec, decide)
    elif spec.model.dtype == "auto" and tuner.type == "full" and not _partly(spec):
        decide("model.dtype", "float32", "all weights train, and trained weights are float32")
    partly = tuner.type == "partial" or (tuner.type == "full" and _partly(spec))
    if spec.model.dtype == "auto" and partly and spec.precision.compute == "fp32":
        decide("model.dtype", "float32", "trained weights are float32, and so is the arithmetic")
    _images(spec, folder / at_home(name), decide)
    decide_quantisation(spec, folder / at_home(name), config, values, decide)
    if tuner.type in ("lora", "adalora") and tuner.alpha is None:
        decide("method.tuner.alpha", 2 * tuner.rank, "2 x rank")
    if tuner.type == "lora" and tuner.init.type == "eva" and tuner.init.rho is None:
        decide("method.tuner.init.rho", 2.0, "what peft takes")
    if isinstance(tuner, LoHa | LoKr) and tuner.alpha is None:
        decide("method.tuner.alpha", tuner.rank, "the rank")
    if isinstance(tuner, OFT) and tuner.rank is None and tuner.block_size is None:
        decide("method.tuner.block_size", 32, "what peft and LLaMA-Factory take")
    if isinstance(tuner, AdaLoRA):
        _falling(tuner, spec.train.steps)
    if isinstance(tuner, Peft):
        decide("method.tuner.options", tuner.completed(), "peft's defaults for what is left out")
    if tuner.type == "lora" and tuner.plus_ratio is not None and tuner.plus_embedding_rate is None:
        decide("method.tuner.plus_embedding_rate", 1e-6, "what peft takes for LoRA+")
    return config


def _images(spec: Spec, model: Path, decide: Any) -> None:
    """How many tokens an image has at most, where the model reads some."""
    if spec.model.images is not None:
        tokens = most_tokens(model, spec.model.images.max_pixels)
        decide(IMAGE_TOKENS, tokens, "the settings of the model's processor", "machine")


def _partly(spec: Spec) -> bool:
    """Whether parts of a model that reads images stay as they are."""
    return spec.model.images is not None and spec.model.images.train != PARTS


def _reference(loaded: Loaded, decide: Any) -> None:
    """How another model is stored that answers are measured from."""
    name = getattr(loaded.spec.method.objective, "reference", None)
    if loaded.handed and (kept := loaded.handed.reference_stored):
        decide("derived.reference_dtype", kept, "the type that the earlier stage saves", "machine")
    elif name is not None:
        kept = stored_dtype(model_config(loaded.file.parent / at_home(name)))
        decide("derived.reference_dtype", kept, "config.json of the reference", "machine")


def _falling(tuner: AdaLoRA, steps: int | None) -> None:
    """AdaLoRA's plan of ranks lies within a known number of steps."""
    if steps is None:
        message = "AdaLoRA cuts ranks by a plan over all steps, whose number it must know"
        raise SpecError(Problem(message, path="train.steps", hint="train.steps instead of epochs"))
    if tuner.initial_steps + tuner.final_steps >= steps:
        message = f"of {steps} steps none is left in which ranks could fall"
        raise SpecError(Problem(message, path="method.tuner.final_steps", hint="more train.steps"))


def _pure(spec: Spec, decide: Any) -> None:
    if spec.model.dtype == "auto":
        decide("model.dtype", "bfloat16", "precision.compute: bf16-pure")
    elif spec.model.dtype != "bfloat16":
        message = f"`bf16-pure` holds all weights in bfloat16, not in {spec.model.dtype}"
        raise SpecError(Problem(message, path="model.dtype", hint="leave it out"))


def _train(spec: Spec, values: Mapping[str, Value], decide: Any) -> None:
    train = spec.train
    if train.epochs is None and train.steps is None:
        decide("train.epochs", 1.0, "one pass, where neither epochs nor steps is given")
    elif train.epochs is not None:
        decide("train.epochs", float(train.epochs), "", "spec")
    if train.learning_rate is None:
        kind = spec.method.tuner.type
        rate = usual_rate(train, DEFAULT_LEARNING_RATE.get(kind, ADAPTER_RATE))
        why = f"the usual rate for {kind}"
        if (share := SHARES.get(spec.method.objective.type)) is not None:
            rate = float(f"{rate / share:.6g}")  # as a person writes it
            why = f"{why}, divided by {share}"
        decide("train.learning_rate", rate, why)
    if train.warmup_steps is None:
        ratio = DEFAULT_WARMUP_RATIO if train.warmup_ratio is None else train.warmup_ratio
        if train.steps is not None or ratio == 0:
            steps = math.ceil(ratio * (train.steps or 0))
            decide("train.warmup_steps", steps, f"{ratio:g} of {train.steps or 'all'} steps")
            decide("train.warmup_ratio", None, "")
        elif train.warmup_ratio is None:
            decide("train.warmup_ratio", ratio, "3 % of all steps")
    decide_steps(train, values, decide)
    evaluated = bool(spec.data.eval) or spec.data.eval_size is not None
    if evaluated and train.eval_steps is None:
        given = "data.eval" if spec.data.eval else "data.eval_size"
        decide("train.eval_steps", "epoch", f"{given} is given")
    if train.eval_steps is not None and not evaluated:
        raise SpecError(
            Problem(
                "there is nothing to evaluate on",
                path="train.eval_steps",
                hint="give data.eval or data.eval_size, or leave train.eval_steps out",
            )
        )
    if getattr(train.optimizer, "layerwise", False):
        decide("train.max_grad_norm", None, "gradients are gone before the norm of all is known")
    decide_best(train, evaluated, values, decide)
    if spec.data.draw_seed == train.seed:
        decide("data.draw_seed", None, "that of train.seed")
    if train.data_seed is None:
        decide("train.data_seed", train.seed, "train.seed")


def _hardware(spec: Spec, values: Mapping[str, Value], decide: Any) -> None:
    hardware, train = spec.hardware, spec.train
    if hardware.device == "auto":
        found = machine.device()
        why = "an NVIDIA driver was found" if found == "cuda" else "no NVIDIA driver was found"
        decide("hardware.device", found, why, "machine")
    processes = hardware.devices * hardware.nodes
    decide("derived.processes", processes, "devices x nodes")
    share, why = 1, "devices x nodes"
    for name, what in (("sequence_parallel", "rows"), ("tensor_parallel", "layers")):
        size = getattr(hardware, name)
        share *= size
        if processes % share:
            raise SpecError(
                Problem(
                    f"{processes} devices cannot share {what} by {size}",
                    path=f"hardware.{name}",
                    hint="devices x nodes is a multiple of it",
                )
            )
        why += f" / {name}" if size > 1 or what == "rows" else ""
    replicas = processes // share
    decide("derived.replicas", replicas, why)
    micro = train.micro_batch_size
    if micro is None:
        micro = micro_batch(train.batch_size, replicas)
        decide("train.micro_batch_size", micro, "largest that divides, at most 8")
    steps = accumulation(train.batch_size, micro, replicas)
    decide("derived.accumulation_steps", steps, f"{train.batch_size} / ({micro} x {replicas})")


def stored_dtype(config: Mapping[str, Any] | None) -> str | None:
    """The type in which a local model's weights are stored; None for a hub model, or if unknown."""
    found = (config or {}).get("dtype", (config or {}).get("torch_dtype"))
    return found if isinstance(found, str) else None


def _all_local(spec: Spec) -> None:
    """`overflow: error` is a promise that only rows which ftspec can read allow it to keep."""
    for split in ("train", "eval"):
        for source in getattr(spec.data, split):
            if source.hub is not None:
                raise SpecError(
                    Problem(
                        f"the rows of {source.hub} cannot be measured from here before the run",
                        path="data.overflow",
                        hint="data.overflow: truncate; or download the rows and name the file",
                    )
                )


SEEN_IN = [kind for kind in COLUMNS if f"{kind}{WITH_IMAGES}" in OF_KIND]
"""Formats whose rows may have images."""


def _source(
    source: Source, folder: Path, objective: str, path: str, seeing: bool = False
) -> Source:
    """The source with its format recognised, and without columns that keep their names.

    Where the objective takes nothing but plain text, there is nothing to recognise.
    """
    renamed = {ours: theirs for ours, theirs in source.columns.items() if ours != theirs}
    kind = source.format
    if source.template is not None:
        kind = source.template.format
    if kind == "auto":
        kind = (
            "text" if objective == "cpt" else _recognised(source, folder, objective == "kto", path)
        )
    if (
        source.template is None
        and kind in TOOLED
        and ("tools" in source.columns or has_column(source, folder, "tools"))
    ):
        renamed["tools"] = source.columns.get("tools", "tools")  # kept: a script must name it
    shown = IMAGES in source.columns or (seeing and has_column(source, folder, IMAGES))
    if source.template is not None:
        shown = IMAGES in source.columns  # one that it does not name, it does not read
    if seeing and shown and f"{kind}{WITH_IMAGES}" in OF_KIND:
        renamed[IMAGES] = source.columns.get(IMAGES, IMAGES)
    elif IMAGES in source.columns and seeing:
        message = f"rows of the format {kind} are read without images"
        raise SpecError(Problem(message, path=path, hint=f"format: {', '.join(SEEN_IN)}"))
    elif IMAGES in source.columns:
        message = "a column of images is read where the spec has `model.images`"
        raise SpecError(Problem(message, path=path, hint="model.images: language"))
    own = () if source.template is not None else COLUMNS[kind]
    names = [source.columns.get(column, column) for column in {*own, *renamed}]
    if len(set(names)) < len(names):
        message = f"two of the columns of {kind} data have one name in the file: {', '.join(names)}"
        raise SpecError(Problem(message, path=path, hint="name each once in `columns`"))
    return source.model_copy(update={"format": kind, "columns": renamed})


def _unnamed(source: Source) -> bool:
    """Whether a source says nothing of its format, so that its rows have to."""
    return source.template is None and source.format == "auto"


def _recognised(source: Source, folder: Path, labelled: bool, path: str) -> Format:
    if source.hub is not None:
        raise SpecError(
            Problem(
                f"the format of the hub data set {source.hub} cannot be seen from here",
                path=path,
                hint=f"name it: `format: messages` (or {', '.join([*COLUMNS][1:])})",
            )
        )
    return detect_source(source, folder, labelled)
