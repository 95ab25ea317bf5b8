"""Training scripts and notebooks as settings, from the syntax tree. Nothing is executed.

The calls of a script become the keys that trl's command line has for the same; what has none keeps the
name of its call (`LoraConfig.r`). What is not a literal, a constant or a name becomes a question.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ftspec.port.documents import Document
from ftspec.port.formatting import SPOKEN, rows_of
from ftspec.port.reward_functions import rewards_of
from ftspec.read import json
from ftspec.read.placed import Place, Placed, Trail
from ftspec.read.python import Calls, read_calls
from ftspec.read.text import wrong

TRAINERS: Mapping[str, str] = {
    "SFT": "sft", "DPO": "dpo", "KTO": "kto", "Reward": "reward", "ORPO": "orpo", "CPO": "cpo",
    "GRPO": "grpo", "RLOO": "rloo", "GKD": "gkd", "OnlineDPO": "online-dpo", "PPO": "ppo",
    "Unsloth": "sft",
}  # fmt: skip
CONFIGS = (*(f"{name}Config" for name in TRAINERS), "TrainingArguments", "UnslothTrainingArguments")
FAST = ("FastLanguageModel", "FastModel", "FastVisionModel")
LOADERS = ("AutoModelForCausalLM.from_pretrained", *(f"{name}.from_pretrained" for name in FAST))
ADAPTERS = ("LoraConfig", *(f"{name}.get_peft_model" for name in FAST))
TOKENS = (
    *(f"tokenizer.{word}_token" for word in ("bos", "eos", "pad", "unk")),
    *("tokenizer.add_special_tokens", "tokenizer.add_tokens", "add_new_tokens"),
    "model.resize_token_embeddings",
)
"""Calls and assignments that change the tokenizer, and the embeddings with it."""
RESIZED = "model.resize_token_embeddings.0"
WHOLE = "len(tokenizer)"
"""To how many rows embeddings are resized; any other number is a question."""
SHARED = ("standardize_sharegpt", "standardize_data_formats")
"""Unsloth's names, old and new, of what makes `role` and `content` of `from` and `value`."""
HELPERS = ("get_chat_template", *SHARED, "train_on_responses_only")
READ = (
    *CONFIGS, *LOADERS, *ADAPTERS, *(f"{name}Trainer" for name in TRAINERS), "BitsAndBytesConfig",
    "load_dataset", *HELPERS, *TOKENS, "trainer.train",
)  # fmt: skip
IDLE = (
    "AutoTokenizer.from_pretrained", "prepare_model_for_kbit_training", "get_peft_model", "print", "login",
    "trainer.save_model", "model.save_pretrained", "tokenizer.save_pretrained", "wandb.init",
    "load_dotenv", "logging.basicConfig", "warnings.filterwarnings", "os.makedirs",
)  # fmt: skip
"""Calls that set nothing of their own."""
UNUSED = "unused LoraConfig"
"""An adapter that is described, and that neither the trainer nor the model is given."""
KNOWN: Mapping[str, Any] = {"is_bfloat16_supported": True, "is_bf16_supported": True}
"""What is taken for granted of the GPU."""
HARMLESS = re.compile(
    r"""(async\s+)?def\s|class\s|\#
      | (tokenizer|processing_class)\.(pad_token|pad_token_id|padding_side|model_max_length)\s*=
      | if\s+(not\s+)?tokenizer\.pad_token(\s+is\s+None)?:
        \s*tokenizer\.pad_token\s*=\s*tokenizer\.eos_token\s*$
      | model\.resize_token_embeddings\.0\s=\slen\(tokenizer\)$
      | model\.config\.(use_cache|pretraining_tp)\s*=
      | (model\.)?print_trainable_parameters | model\.(enable_input_require_grads|print_)
      | get_ipython\( | Patch\w+\( | pprint(\.\w+)?\( | (print|pprint\.pprint|login|wandb\.init)\.\w+\s=
      | (\w+\s*=\s*)?tokenizer(\.(batch_)?(decode|encode|tokenize))?\(
      | os\.environ | (torch\.cuda|gc|gpu_\w+|start_gpu\w+|max_memory|logger|logging|warnings|wandb)\b
      | (Auto|tokenizer\s*=\s*Auto)Tokenizer\.from_pretrained | print\( | login\( | assert\s""",
    re.VERBOSE,
)
"""Statements that change nothing of what is trained."""
WRITTEN = "formatting"
"""Below this key stands what a function writes of the rows."""
REWARD_SOURCE = "reward_source"
"""A module with the reward functions that the script defines."""
DRAWN = "drawn"
"""Below this key stands which rows train."""
OF_ROWS = re.compile(
    r"\.(map|shuffle|select|train_test_split|\w+_columns|with_format|flatten_indices)\(|formatting_func = "
)
PADS = re.compile(r"\.data_collator = DataCollatorForSeq2Seq\(")
"""It pads labels that the rows bring, and those of answers alone are made anew."""
MODEL = {
    "0": "model_name_or_path",
    "pretrained_model_name_or_path": "model_name_or_path",
    "model_name": "model_name_or_path",
    "revision": "model_revision",
}
MODEL_KEYS = (
    "model_name_or_path", "model_revision", "dtype", "torch_dtype", "attn_implementation",
    "trust_remote_code", "load_in_4bit", "load_in_8bit", "use_flash_attention_2",
)  # fmt: skip
"""Arguments of from_pretrained that have a key of their own."""
OF_THE_TRAINER = (
    "max_seq_length", "dataset_text_field", "packing", "dataset_num_proc", "neftune_noise_alpha",
    "dataset_kwargs", "beta", "loss_type", "max_length", "max_prompt_length", "max_completion_length",
    "label_smoothing", "precompute_ref_log_probs", "reference_free",
)  # fmt: skip
"""What older trainers took themselves, and what their config has now."""
GIVEN = (
    "model", "0", "ref_model", "args", "1", "tokenizer", "processing_class", "train_dataset",
    "eval_dataset", "peft_config", "data_collator", "formatting_func", "compute_metrics", "callbacks",
    "optimizers", "reward_funcs",
)  # fmt: skip
"""What a trainer is given that is read elsewhere, or is nothing at all."""
LATER = ("device_map", "low_cpu_mem_usage", "use_cache", "token", "cache_dir", "offload_folder")


def is_script(path: Path) -> bool:
    """Whether a file is read as Python."""
    return path.suffix in (".py", ".ipynb")


def read(path: Path, text: str) -> Document:
    """The settings of a script or a notebook.

    Raises:
        SpecError: it is not Python, or no notebook.
    """
    source = _cells(text) if path.suffix == ".ipynb" else text
    calls = read_calls(source, (*READ, *IDLE), KNOWN)
    trains = min((line for place, line in _starts(calls, source)), default=None)
    data, places = _settings(calls)
    understood = _rows(source, data, places)
    copied: frozenset[int] = frozenset()
    if rewards := rewards_of(source):
        copied = rewards.lines
        data |= {"reward_funcs": list(rewards.names), REWARD_SOURCE: rewards.text}
        places |= {(key,): Place(rewards.line, 1) for key in ("reward_funcs", REWARD_SOURCE)}
    asked = tuple(
        (line, told.splitlines()[0][:120])
        for line, told in sorted(calls.foreign)
        if (trains is None or line < trains)
        and not HARMLESS.match(told)
        and not (line in understood and OF_ROWS.search(told))
        and not ("train_on_responses_only" in data and PADS.search(told))
        and line not in copied
        and not (copied and ".reward_funcs = " in told)
    )
    starts = sorted(line for _, line in _starts(calls, source))
    more = [(line, "another training: it wants a spec of its own") for line in starts[1:]]
    return Document(path, Placed(data, places), (*asked, *_again(calls, trains), *more))


def _rows(source: str, data: dict[str, Any], places: dict[Trail, Place]) -> set[int]:
    """The lines about rows that were understood, whose settings are told; none where they do not agree."""
    rows = rows_of(source)
    field = data.get("dataset_text_field", "text")
    last = rows.written[max(rows.written)] if rows.written else None
    for one in rows.written.values():
        column = field if one.rendered or one.kind == "text" else SPOKEN
        if one != last or one.into != column:
            return set()
    if last is not None:
        said: dict[str, Any] = dict(last.said)
        said |= {name: True for name in ("ended", "rendered") if getattr(last, name)}
        data[WRITTEN] = said
        places |= {(WRITTEN, name): Place(max(rows.written), 1) for name in said}
    if rows.drawn:
        data[DRAWN] = {name: value for name, (value, _) in rows.drawn.items()}
        places |= {(DRAWN, name): Place(line, 1) for name, (_, line) in rows.drawn.items()}
    return rows.lines


def _starts(calls: Calls, source: str) -> Iterator[tuple[str, int]]:
    """Where the training begins: what stands behind it changes nothing of it."""
    for number, line in enumerate(source.splitlines(), 1):
        if re.match(r"\s*(\w+\s*=\s*)?(trainer|\w*_trainer)\.train\(", line):
            yield line, number


def _cells(text: str) -> str:
    """The code of a notebook, its magics and shell lines as comments."""
    lines: list[str] = []
    for cell in _code(text):
        whole = cell.lstrip().startswith("%%") and not cell.lstrip().startswith(
            ("%%time", "%%capture")
        )
        for line in cell.splitlines():
            skipped = (
                whole or line.lstrip().startswith(("!", "%", "?")) or line.rstrip().endswith("?")
            )
            lines.append(f"# {line}" if skipped else line)
    return _passed("\n".join(lines))


def shell_lines(text: str) -> str:
    """The shell lines of a notebook: `!command`, and cells that begin with `%%bash` or `%%sh`.

    Raises:
        SpecError: it is no notebook.
    """
    lines: list[str] = []
    for cell in _code(text):
        if cell.lstrip().startswith(("%%bash", "%%sh")):
            lines += cell.lstrip().splitlines()[1:]
            continue
        joined = False
        for line in cell.splitlines():
            if joined or line.lstrip().startswith("!"):
                lines.append(line.lstrip().removeprefix("!"))
                joined = line.rstrip().endswith("\\")
    return "\n".join(lines)


def _code(text: str) -> Iterator[str]:
    """The cells of code."""
    notebook = json.read(text)
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise wrong("a notebook has a list of cells", hint="save it anew as .ipynb, or as a script")
    for cell in cells:
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            code = cell.get("source") or ""
            yield "".join(map(str, code)) if isinstance(code, list) else str(code)


def _passed(code: str) -> str:
    """With `pass` where a block holds a shell line alone, so that it stays Python."""
    return re.sub(r"(?m)^# ([ \t]+)([!%].*)$", r"\1pass  # \2", code)


def _settings(calls: Calls) -> tuple[dict[str, Any], dict[Trail, Place]]:
    """What the calls set, under the keys that trl's command line has where it has one."""
    data: dict[str, Any] = {}
    places: dict[Trail, Place] = {}
    names = {place.rpartition(".")[0] for place in (*calls.values, *calls.lines)}
    trainer = next((one for one in TRAINERS if {f"{one}Trainer", f"{one}Config"} & names), None)
    # a config without arguments leaves no trace: it is the trainer's own
    config = next((name for name in CONFIGS if name in names), trainer and _config(trainer))
    if config:
        data["config_class"] = config
        places[("config_class",)] = Place(_first(calls, config), 1)
    if trainer:
        data["trainer"] = TRAINERS[trainer]
    used = _is_used(calls, names)
    for place, value in calls.values.items():
        call, _, name = place.rpartition(".")
        trail = _trail(call, name, value)
        if trail[:1] == ("LoraConfig",) and not used:
            trail = (UNUSED, name)
        node: Any = data
        for part in trail[:-1]:
            node = node.setdefault(part, {})
        if trail and trail[-1] not in node:
            node[trail[-1]] = list(value) if isinstance(value, tuple) else value
            places[trail] = Place(calls.lines.get(place, 0), 1)
    for call in (*HELPERS, "LoraConfig"):
        if call in names and (used or call != "LoraConfig"):
            data.setdefault(call, {})
    if RESIZED in calls.lines:
        trail = ("resize_token_embeddings", "0")
        data.setdefault(trail[0], {}).setdefault(trail[1], WHOLE)
        places.setdefault(trail, Place(calls.lines[RESIZED], 1))
    for call in ("from_pretrained", "get_peft_model"):
        if any(f"{name}.{call}" in names for name in FAST):
            data.setdefault(call, {})
    return data, places


def _config(trainer: str) -> str:
    return "SFTConfig" if trainer == "Unsloth" else f"{trainer}Config"


def _again(calls: Calls, trains: int | None) -> Iterator[tuple[int, str]]:
    """What is made a second time and differs: a spec has one model, one adapter and one training."""
    for place, line in calls.lines.items():
        call, _, name = place.rpartition(".")
        first, number, _ = call.partition("#")
        once = (*CONFIGS, *LOADERS, *ADAPTERS, *(f"{one}Trainer" for one in TRAINERS))
        if not number or first not in once or (trains is not None and line > trains):
            continue
        if place not in calls.values or calls.values[place] != calls.values.get(f"{first}.{name}"):
            yield line, f"{first} once more, with another {name}: which one trains?"


def _is_used(calls: Calls, names: set[str]) -> bool:
    """Whether an adapter reaches a trainer, or the model by peft's own function."""
    given = (f"{one}Trainer.peft_config" for one in TRAINERS)
    handed = any(
        place in calls.lines and calls.values.get(place, "") is not None for place in given
    )
    return handed or "get_peft_model" in names


def _trail(call: str, name: str, value: Any) -> tuple[str, ...]:
    """Where a call's argument stands among the settings; nowhere if it sets nothing."""
    fast = call.startswith(FAST)
    if call in LOADERS:
        key = MODEL.get(name, name)
        plain = key in MODEL_KEYS and not (fast and key == "dtype")
        return () if name in LATER else (key,) if plain else ("from_pretrained", name)
    if call in ADAPTERS:
        return ("get_peft_model" if fast else call, name)
    if call in (*CONFIGS, "BitsAndBytesConfig"):
        return ("output_dir" if name == "0" else name,)
    if call.removesuffix("Trainer") in TRAINERS:
        if name in ("model", "0") and isinstance(value, str):
            return ("model_name_or_path",)
        return () if name in GIVEN and not value else (name,)
    kept = ("load_dataset", *HELPERS, *TOKENS, "tokenizer")
    return (call.rpartition(".")[2], name) if call.partition("#")[0] in kept else ()


def _first(calls: Calls, name: str) -> int:
    return min(
        (line for place, line in calls.lines.items() if place.startswith(f"{name}.")), default=0
    )
