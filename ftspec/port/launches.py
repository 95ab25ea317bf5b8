"""Command lines that train: which trainer reads them, with which settings, on how many devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ftspec.port import launchers
from ftspec.port.arguments import arguments
from ftspec.port.wrapped import PYTHONS, bare, doubts, spelt
from ftspec.read.commands import Command
from ftspec.read.words import Word

TRL = ("sft", "dpo", "kto", "reward", "grpo", "rloo", "orpo", "cpo")
SCRIPTS: Mapping[str, tuple[str, str]] = {
    **{f"{start}{name}.py": ("trl", name) for name in TRL for start in ("", "run_", "trl_")},
    "run_simpo.py": ("trl", "simpo"),
    "gkd.py": ("trl", "gkd"),
    "dpo_online.py": ("trl", "online-dpo"),
    "ppo.py": ("trl", "ppo"),
    "reward_modeling.py": ("trl", "reward"),
    "train_bash.py": ("llamafactory", ""),
}
"""Scripts whose arguments are those of a tool: its own, and those of its recipes."""
OWN: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "llamafactory-cli": ("llamafactory", ("train",)),
    "lmf": ("llamafactory", ("train",)),
    "trl": ("trl", TRL),
    "axolotl": ("axolotl", ("train",)),
}
"""Commands of tools, and those of their words that train."""
UNTRAINED: Mapping[str, str] = {
    "llamafactory-cli export": "writes a model, with an adapter added to it",
    "llamafactory-cli chat": "chats",
    "llamafactory-cli webchat": "chats",
    "llamafactory-cli api": "serves a model",
    "llamafactory-cli webui": "opens a page in which trainings are set up",
    "llamafactory-cli eval": "measures a model",
    "export_model.py": "writes a model, with an adapter added to it",
    "cli_demo.py": "chats",
    "web_demo.py": "chats",
    "api_demo.py": "serves a model",
    "train_web.py": "opens a page in which trainings are set up",
    "evaluate.py": "measures a model",
    "vllm_infer.py": "writes answers",
    "trl vllm-serve": "serves a model",
    "axolotl preprocess": "prepares rows",
    "axolotl merge-lora": "writes a model, with an adapter added to it",
    "axolotl inference": "chats",
    "tune run generate": "writes an answer",
    "tune run generate_v2": "writes an answer",
    "tune run quantize": "writes a model in few bits",
    "tune run eleuther_eval": "measures a model",
}
"""Commands and scripts of these tools that train nothing, and what they do."""
SURROUNDS: Mapping[str, str] = {
    "USE_MODELSCOPE_HUB": "names of models and of data sets are those of ModelScope",
    "USE_OPENMIND_HUB": "names of models and of data sets are those of openMind",
    "USE_RAY": "Ray starts ray_num_workers processes, each with its batch: --devices counts them",
    "USE_MCA": "Megatron trains, with settings of its own",
    "USE_V1": "its rewritten trainer takes the settings",
}
"""LLaMA-Factory's own variables (extras/misc.py, hparams/parser.py, cli.py of 0.9.5)."""
SHARDS: Mapping[str, tuple[str, str]] = {
    "ACCELERATE_USE_FSDP": ("fsdp", "FSDP shares the model out: is it hardware.fsdp?"),
    "ACCELERATE_USE_DEEPSPEED": (
        "deepspeed",
        "DeepSpeed shares the model out: is it hardware.zero?",
    ),
}
"""accelerate's (accelerator.py): an argument of a trainer that says the same, and what is asked."""
RECIPES = (
    *("full_finetune_single_device", "full_finetune_distributed", "lora_finetune_single_device"),
    *("lora_finetune_distributed", "qat_distributed", "qat_lora_finetune_distributed"),
    *("lora_dpo_single_device", "lora_dpo_distributed", "full_dpo_distributed"),
    *("knowledge_distillation_single_device", "knowledge_distillation_distributed"),
    "ppo_full_finetune_single_device",
)
"""torchtune's recipes that train (recipes/ of 0.6.1)."""
_TUNE = "tune run "
UNTRAINED_RECIPES = tuple(one.removeprefix(_TUNE) for one in UNTRAINED if one.startswith(_TUNE))
TORCHRUN_FLAGS = ("--standalone", "--no-python", "--no_python", "--run-path", "--run_path")
MEETING = (
    *("--rdzv", "--master", "--main_process", "--machine_rank", "--node_rank", "--hostfile"),
    *("--log_dir", "--tee", "--max_restarts", "--local_addr", "--deepspeed_hostfile"),
)
"""A launcher's options that say how processes find each other, whatever stands behind them."""
CUT_OFF = "the command ends above, at a comment or a line without a backslash, and does not get it"


@dataclass
class Launch:
    """One command that trains."""

    line: int
    tool: str
    """A format, or "" for a script of somebody's own."""
    trainer: str = ""
    """`sft` of `trl sft`."""
    script: str = ""
    words: Sequence[Word] = ()
    """What the trainer gets."""
    machine: dict[str, Any] = field(default_factory=dict)
    """What the launcher is told, in the names of accelerate's config."""
    unknown: list[tuple[int, str]] = field(default_factory=list)
    shared_out: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Questions who shares the model out, by the argument that answers them."""
    environ: dict[str, str | None] = field(default_factory=dict)
    """Variables that its processes find set; None where the value is not known."""


def untrained(commands: Sequence[Command]) -> list[tuple[int, str]]:
    """Those that are of these tools and train nothing: the line, and what happens there."""
    found = []
    for command in commands:
        texts = [word.text for word in bare(command.words)]
        files = [text.rpartition("/")[2] for text in texts]
        named = [" ".join([*files[:1], *texts[1:2]]).replace("lmf ", "llamafactory-cli "), *files]
        named += [f"tune run {text}" for text in texts[2:] if texts[:2] == ["tune", "run"]]
        name = next((one for one in named if one in UNTRAINED), "")
        if name:
            found.append((command.line, f"`{name}` {UNTRAINED[name]}"))
        elif not command.words[0].known and any(text.endswith(".py") for text in texts[1:]):
            found.append((command.line, f"what `{texts[0]}` is only the shell knows"))
    return found


def launches(commands: Sequence[Command]) -> list[Launch]:
    """The commands of a script that train; lines of options behind one, which it does not get, are told."""
    found: list[Launch] = []
    before: Launch | None = None
    for command in spelt(commands):
        if before is not None and command.words[0].text.startswith("--"):
            text = " ".join(word.text for word in command.words)
            before.unknown.append((command.line, f"{text}: {CUT_OFF}"))
            continue
        before = _launch(command)
        if before is not None:
            before.unknown += [(command.line, doubt) for doubt in doubts(command.words)]
            found.append(before)
    return found


def _launch(command: Command) -> Launch | None:
    words = bare(command.words)
    if not words:
        return None
    texts = [word.text for word in words]
    name = texts[0].rpartition("/")[2]
    own = OWN.get(name)
    if own is not None and texts[1:2] and texts[1] in own[1]:
        launch = Launch(command.line, own[0], texts[1] if name == "trl" else "", words=words[2:])
        if name == "trl":
            launch.words, taken = _handed_on(words[2:])
            options, unknown = arguments(taken, command.line)
            launch.unknown += unknown
            launch.machine |= launched(options)
        else:  # those start a process for each device that they see
            launch.machine |= _seen(command.environ, len(_visible(command)))
            if own[0] == "llamafactory":
                launch.unknown += _uncounted(command)
        if name == "axolotl":
            launch.words, taken, launcher = launchers.of_axolotl(words[2:])
            options, unknown = arguments(taken, command.line)
            if sweep := options.pop("sweep", ""):
                unknown.append(
                    (command.line, f"--sweep {sweep}: a run for each of the values there")
                )
            launch.unknown += unknown
            launch.machine |= launchers.machine(options, launcher, ())
        return _surrounded(launch, command.environ)
    if (of_another := DOTTED.get(" ".join([name, *texts[1:2]]))) is not None:
        return of_another(command, words[2:])
    launcher, skipped = _launcher(name, texts)
    if not launcher:
        return None
    found = _program(
        command, words[skipped:], launcher, _visible(command) if launcher == "deepspeed" else []
    )
    if found is not None:
        found.environ |= command.around.whole()
        found.environ |= _placed(launcher, found.machine.get("num_processes"))
    return found and _surrounded(found, command.environ)


def _visible(command: Command) -> list[str]:
    """The devices that a command sees, where its variables say so."""
    said = command.environ.get("CUDA_VISIBLE_DEVICES", "")
    return [number for number in said.split(",") if number.strip()]


def _handed_on(words: Sequence[Word]) -> tuple[list[Word], list[Word]]:
    """Words of trl's command line, and those that it hands to accelerate."""
    own: list[Word] = []
    taken: list[Word] = []
    now = own
    for word in words:
        if word.text.startswith("--"):
            name = word.text.partition("=")[0].removeprefix("--").replace("-", "_")
            now = taken if launchers.is_handed_on(name) else own
        now.append(word)
    return own, taken


def launched(options: Mapping[str, Any]) -> dict[str, Any]:
    """What trl hands to accelerate, in the names of its config."""
    named = {"config_file" if key == launchers.CONFIG else key: one for key, one in options.items()}
    return launchers.machine(named, "accelerate", ())


def _placed(launcher: str, processes: Any) -> dict[str, str | None]:
    """What a launcher tells each process of its place (torch/distributed/run.py); of the first one."""
    if launcher == "python":
        return {}
    many = launchers.number(processes)
    first = dict.fromkeys(("RANK", "LOCAL_RANK", "NODE_RANK"), "0")
    return {**first, "WORLD_SIZE": str(many) if many else None}


def _surrounded(launch: Launch, environ: Mapping[str, str]) -> Launch:
    """With a question for each variable that has a trainer do something else."""
    on = [name for name in environ if environ[name].lower() in ("1", "true", "y")]
    asked = SURROUNDS if launch.tool == "llamafactory" else {}
    launch.unknown += [
        (launch.line, f"{name}={environ[name]}: {asked[name]}") for name in asked if name in on
    ]
    launch.shared_out |= {
        key: (launch.line, f"{name}={environ[name]}: {what}")
        for name, (key, what) in SHARDS.items()
        if name in on
    }
    return launch


def _tune(command: Command, words: Sequence[Word]) -> Launch | None:
    """`tune run`: torchrun's options, a recipe, and what that gets."""
    place = 0
    while place < len(words) and words[place].text.startswith("-"):
        alone = "=" in words[place].text or words[place].text in TORCHRUN_FLAGS
        place += 1 if alone else 2
    recipe = words[place].text if place < len(words) else ""
    if not recipe or recipe.endswith(UNTRAINED_RECIPES):
        return None
    options, unknown = arguments(words[:place], command.line)
    taken_out = [word for word in words[place + 1 :] if word.text.startswith("~")]
    rest = [word for word in words[place + 1 :] if word not in taken_out]
    unknown = [one for one in unknown if not one[1].startswith(MEETING)]
    unknown += [(command.line, f"{word.text}: a setting is taken out") for word in taken_out]
    if recipe not in RECIPES:
        unknown.append((command.line, f"{recipe}: a recipe of its own"))
    found = launchers.machine(options, "torchrun", ())
    return Launch(command.line, "torchtune", words=rest, machine=found, unknown=unknown)


def _spread(command: Command, words: Sequence[Word]) -> Launch | None:
    """`oumi distributed`: a launcher's own words, on all devices that it finds."""
    return _launch(command._replace(words=tuple(words)))


def _train(command: Command, words: Sequence[Word]) -> Launch:
    return Launch(command.line, "oumi", words=_oumi(words))


def _oumi(words: Sequence[Word]) -> list[Word]:
    """What `oumi train` gets, its one short option written out."""
    return [Word("--config", word.known) if word.text == "-c" else word for word in words]


DOTTED: Mapping[str, Callable[[Command, Sequence[Word]], Launch | None]] = {
    "tune run": _tune,
    "oumi train": _train,
    "oumi distributed": _spread,
}
"""Commands whose words set values inside a config."""


def _seen(environ: Mapping[str, str], visible: int) -> dict[str, Any]:
    """Devices and machines out of the environment, as llamafactory's launcher takes them (launcher.py)."""
    nodes = launchers.number(environ.get("NNODES")) or 1
    each = launchers.number(environ.get("NPROC_PER_NODE")) or visible
    many = {"num_machines": nodes} if nodes > 1 else {}
    return {"num_processes": each * nodes, **many} if each else many


COUNTS = ("NNODES", "NPROC_PER_NODE")
"""Of machines, and of processes on each, in llamafactory's environment."""


def _uncounted(command: Command) -> list[tuple[int, str]]:
    """How many machines and processes there are, where only the shell knows."""
    whole = command.around.whole()
    names = [name for name in COUNTS if name in whole and whole[name] is None]
    return [(command.line, f"{name}: only the shell knows how many") for name in names]


def _launcher(name: str, texts: Sequence[str]) -> tuple[str, int]:
    """Who starts the processes, and how many words say so."""
    if name == "accelerate" and texts[1:2] == ["launch"]:
        return name, 2
    if name in ("torchrun", "deepspeed"):
        return name, 1
    if name.startswith(PYTHONS):
        if list(texts[1:3]) == ["-m", "accelerate.commands.launch"]:
            return "accelerate", 3
        modules = (["-m", "torch.distributed.run"], ["-m", "torch.distributed.launch"])
        return ("torchrun", 3) if list(texts[1:3]) in modules else ("python", 1)
    return "", 0


def _program(
    command: Command, words: Sequence[Word], launcher: str, visible: Sequence[str]
) -> Launch | None:
    """A launcher's own options, then a script or a module, then what that gets."""
    for place, word in enumerate(words):
        module = word.text in ("-m", "--module")
        if not module and not word.text.endswith(".py"):
            continue
        name = words[place + 1].text if module and place + 1 < len(words) else word.text
        rest = words[place + (2 if module else 1) :]
        if name.endswith(("llamafactory.cli", "llamafactory/cli.py")):
            if [one.text for one in rest[:1]] != ["train"]:
                return None
            rest = rest[1:]
        if name.rpartition("/")[2] in UNTRAINED:
            return None
        tool, trainer = _tool(name, rest)
        if name == "oumi" and module and [word.text for word in rest[:1]] == ["train"]:
            tool, rest = "oumi", _oumi(rest[1:])
        if not tool and launcher == "python" and module:
            return None
        launch = Launch(command.line, tool, trainer, "" if module else name, rest)
        own = words[:place]
        if launcher == "deepspeed":
            own = [Word(launchers.SHORT.get(one.text, one.text), one.known) for one in own]
        options, unknown = arguments(own, command.line)
        launch.unknown += [one for one in unknown if not one[1].startswith(MEETING)]
        launch.unknown += (
            launchers.left_open(options, command.line) if launcher == "deepspeed" else []
        )
        launch.machine |= launchers.machine(options, launcher, visible)
        return launch
    return None


def _tool(name: str, rest: Sequence[Word]) -> tuple[str, str]:
    file = name.rpartition("/")[2]
    configured = [word.text for word in rest[:1] if word.text.endswith((".yml", ".yaml"))]
    if "axolotl" in name or (configured and name.endswith("scripts/finetune.py")):  # before 0.5
        return "axolotl", ""
    if "llamafactory" in name.lower() or name.endswith("src/train.py"):
        return "llamafactory", ""
    return SCRIPTS.get(file, ("", ""))
