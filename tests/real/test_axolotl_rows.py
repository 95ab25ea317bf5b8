"""Rows of axolotl's configs: what axolotl makes of them itself, and what the imported spec does.

Ids and labels of every row, in order, of those that train and of those that are held out.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pyarrow
import pytest
import yaml

from ftspec.env.install import ensure
from ftspec.plan.data_stages import prepare_split
from ftspec.plan.make import make_plan
from ftspec.port.bring import bring
from ftspec.registry import load as load_backend
from ftspec.spec.load import load
from tests.conftest import SPECS
from tests.real.warm import interpreter

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
REFERENCE = Path(__file__).parent / "axolotl_reference.py"
ROWS = 60
CHATS = "chats"
BASE: dict[str, Any] = {
    "base_model": "tiny-model",
    "adapter": "lora", "lora_r": 8, "lora_alpha": 16, "lora_target_linear": True,
    "micro_batch_size": 2, "gradient_accumulation_steps": 2, "learning_rate": 1e-4,
    "num_epochs": 1, "sequence_len": 512, "seed": 42, "bf16": False,
    "special_tokens": {"pad_token": "<|im_end|>"},
}  # fmt: skip
CUSTOM = {
    "field_instruction": "question", "field_input": "context", "field_output": "output",
    "format": "[INST] {{ {input}\n{instruction} [/INST]", "no_input_format": "[INST] {instruction} [/INST]",
    "system_prompt": "Answer {briefly}.", "system_format": "<<{system}>>\n",
}  # fmt: skip
CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "alpaca": ("alpaca", {"val_set_size": 0.2}),
    "all-of-it": ("alpaca", {"train_on_inputs": True, "val_set_size": 7, "seed": 7}),
    "short": ("alpaca", {"sequence_len": 150, "val_set_size": 0.1}),
    "cut": ("alpaca", {"sequence_len": 200, "excess_length_strategy": "truncate"}),
    "chatml": ("alpaca:chatml", {}),
    "phi": ("alpaca:phi", {}),
    **{
        name.replace(":", "-"): (name, {})
        for name in (
            "jeopardy",
            "gpteacher",
            "oasst",
            "alpaca_chat",
            "alpaca_chat.load_concise",
            "alpaca_chat.load_qa",
            "alpaca_chat.load_camel_ai",
            "alpaca_chat.load_no_prompt",
            "alpaca_instruct",
            "alpaca_instruct.load_no_prompt",
            "alpaca_w_system",
            "alpaca_w_system.load_instruct",
            "alpaca_w_system.load_open_orca",
            "alpaca_w_system.load_open_orca_chatml",
        )
    },
    "custom": (CUSTOM, {"val_set_size": 0.3}),
    "custom-no-column": ({**CUSTOM, "field_system": "nowhere"}, {}),
    "custom-column": ({**CUSTOM, "field_system": "role"}, {}),
    "custom-plain": ({"field_input": "nowhere"}, {}),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config for each case, beside the tiny model and rows that have the columns of all of them."""
    folder = tmp_path_factory.mktemp("axolotl-rows")
    shutil.copytree(SPECS / "tiny-model", folder / "tiny-model")
    lines = []
    for number in range(ROWS):
        text = "again and again " * (number % 7)
        row = {
            "instruction": f"Count to {number}, {{please}}.", "input": text if number % 3 else "",
            "output": f"{number} {{% of {number}" + " and so on" * (number % 4 * 20) + "\n" * (number % 2),
            "question": f"Why {number}?", "context": text if number % 2 else None,
            "category": f"Numbers {number % 4}", "answer": f"Because of {number}.",
            "role": "Be kind." if number % 4 else "", "system": "Be just." if number % 3 else "",
            "response": f"So it is, {number}.", "system_prompt": "Be quick." if number % 5 else "",
            "INSTRUCTION": f"Do {number}.", "RESPONSE": f"Done {number}.",
            "message_1": f"Hello {number}.", "message_2": f"Goodbye {number}.",
        }  # fmt: skip
        lines.append(json.dumps(row))
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    for name, (kind, more) in CASES.items():
        entry = {"path": "rows.jsonl", "ds_type": "json", "type": kind}
        config = {**BASE, "datasets": [entry], "dataset_prepared_path": f"cache-{name}", **more}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
    shutil.copy(SPECS / "data" / "chat.jsonl", folder)
    entry = {"path": "chat.jsonl", "ds_type": "json", "type": "chat_template"}
    chats = {**BASE, "datasets": [entry], "shuffle_merged_datasets": False}
    (folder / f"{CHATS}.yaml").write_text(yaml.safe_dump(chats, sort_keys=False), "utf-8")
    return folder


@pytest.fixture(scope="module")
def theirs(project: Path) -> dict[str, Any]:
    """The rows that axolotl made, by case and split."""
    variables = {
        **os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(project / "hf"),
        "CUDA_VISIBLE_DEVICES": "", "DO_NOT_TRACK": "1", "AXOLOTL_DO_NOT_TRACK": "1",
    }  # fmt: skip
    python = interpreter(ensure(load_backend("axolotl")), variables)
    configs = [f"{name}.yaml" for name in (*CASES, CHATS)]
    ran = subprocess.run(
        [str(python), str(REFERENCE), "rows.json", *configs],
        cwd=project, env=variables, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:]
    found: dict[str, Any] = json.loads((project / "rows.json").read_text())
    return found


def ours(project: Path, name: str) -> dict[str, Any]:
    """The rows that ftspec prepares of the imported spec."""
    imported = bring([project / f"{name}.yaml"])
    lost = [fate.setting.key for fate in imported.fates if not fate.faithful]
    assert lost == (["datasets[0].type"] if name == CHATS else [])
    assert not imported.composed.open
    spec = project / f"{name}.spec.yaml"
    spec.write_text(imported.composed.text, "utf-8")
    loaded = load(spec, ("data.prepare=ftspec", "model.name=./tiny-model", "hardware.device=cpu"))
    resolved = make_plan(loaded, "trl").resolved
    found: dict[str, Any] = {"eval": None}
    for split in ("train", "eval") if loaded.spec.data.eval_size else ("train",):
        prepare_split(resolved, split, project / "ours" / name / split)
        (file,) = (project / "ours" / name / split).glob("*.arrow")
        with pyarrow.memory_map(str(file)) as memory:
            table = pyarrow.ipc.open_stream(memory).read_all()
        rows = table.select(["input_ids", "labels"]).to_pylist()
        found[split] = [{key: row[key] for key in ("input_ids", "labels")} for row in rows]
    return found


@pytest.mark.parametrize("name", CASES)
def test_rows_are_axolotls(project: Path, theirs: dict[str, Any], name: str) -> None:
    made, real = ours(project, name), theirs[name]
    for split in ("train", "eval"):
        if real[split] is None:
            assert made[split] is None
            continue
        assert 0 < len(real[split]) <= ROWS
        for row in real[split]:
            row["labels"][0] = -100  # nothing predicts the first token
        order = (lambda row: row["input_ids"]) if real["eval"] is None else None
        # without rows to hold out it shuffles as well, and an epoch draws them in random order anyway
        one, other = (
            sorted(side, key=order) if order else side for side in (made[split], real[split])
        )
        assert one == other, name
    if name == "short":
        assert len(real["train"]) + len(real["eval"]) < ROWS


def test_of_chats_one_token_more_trains_in_each_answer(
    project: Path, theirs: dict[str, Any]
) -> None:
    """What the import tells as approximated: the template's line break behind the end of a turn."""
    made, real = ours(project, CHATS)["train"], theirs[CHATS]["train"]
    assert len(made) == len(real) == 64
    for one, other in zip(made, real, strict=True):
        assert one["input_ids"] == other["input_ids"]
        pairs = enumerate(zip(one["labels"], other["labels"], strict=True))
        apart = [at for at, (here, there) in pairs if here != there]
        assert apart and all(other["labels"][at] == -100 for at in apart)
        ends = [at for at in range(len(one["labels"])) if ends_a_span(one["labels"], at)]
        assert apart == ends


def ends_a_span(labels: list[int], at: int) -> bool:
    """Whether a token is the last trained one of several."""
    return labels[at] != -100 and (at + 1 == len(labels) or labels[at + 1] == -100)


def test_the_cases_differ(theirs: dict[str, Any]) -> None:
    texts = {
        json.dumps(sorted(map(json.dumps, found["train"])))
        for name, found in theirs.items()
        if name != CHATS
    }
    assert len(texts) == len(CASES)
