"""The probe: alone, and right about names; what it writes is read back."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save_file

from ftspec.errors import VerifyError
from ftspec.verify.evidence import read
from ftspec.verify.verify import PROBE


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The probe's functions, out of all its files."""
    monkeypatch.delenv("RANK", raising=False)
    found: dict[str, object] = {}
    for name in ("values", "setting", "state", "watch", "callback"):
        found |= vars(importlib.import_module(f"ftspec.verify.probe.{name}"))
    return SimpleNamespace(**found)


def test_the_probe_stands_alone_on_the_standard_library():
    files = sorted(PROBE.glob("*.py"))
    assert len(files) == 11
    outside: set[str] = set()
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
        froms = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and not n.level]
        names = {alias.name.split(".")[0] for node in imports for alias in node.names}
        names |= {(node.module or "").split(".")[0] for node in froms}
        outside |= names - set(sys.stdlib_module_names)
        # Unsloth has to come first, so nothing but the standard library is imported before it.
        early = {a.name.split(".")[0] for n in imports if n in tree.body for a in n.names}
        early |= {(n.module or "").split(".")[0] for n in froms if n in tree.body}
        assert early <= set(sys.stdlib_module_names), file.name
    assert outside == {"torch", "transformers", "safetensors", "deepspeed", "llamafactory"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "base_model.model.model.layers.0.q_proj.lora_A.default.weight",
            "model.layers.0.q_proj.lora_A.weight",
        ),
        ("module.base_model.model.lm_head.weight", "lm_head.weight"),
        ("_orig_mod.module.model.norm.weight", "model.norm.weight"),
        (
            "model.embed_tokens.modules_to_save.default.weight",
            "model.embed_tokens.modules_to_save.weight",
        ),
        ("model.default_head.weight", "model.default_head.weight"),
    ],
)
def test_names_lose_what_wrappers_add(probe, name, expected):
    assert probe.canonical(name) == expected


def test_values_keep_every_digit_and_become_json(probe):
    assert probe.plain(0.1 + 0.2) == 0.1 + 0.2
    assert probe.plain((0.9, 0.999)) == [0.9, 0.999]
    assert probe.plain(SimpleNamespace(value="cosine")) == "cosine"
    assert probe.plain(SimpleNamespace(item=lambda: 2.5, numel=lambda: 1)) == 2.5


def test_optimizers_are_unwrapped_and_kernels_named_by_their_rule(probe):
    class DeepSpeedCPUAdam:
        adam_w_mode = True

    inner = DeepSpeedCPUAdam()
    outer = SimpleNamespace(optimizer=SimpleNamespace(optimizer=inner))
    assert probe.optimizers(outer)[-1] is inner
    assert probe.kind_of(inner) == "AdamW"
    inner.adam_w_mode = False
    assert probe.kind_of(inner) == "Adam"


def test_what_another_package_calls_by_torchs_name_is_told_apart(probe):
    def kind(package: str, **settings: object) -> str:
        made = type("AdamW", (), {"__module__": f"{package}.optim.adamw", **settings})
        return str(probe.kind_of(made()))

    assert kind("torch") == "AdamW"
    assert kind("bitsandbytes", args=SimpleNamespace(optim_bits=32)) == "bitsandbytes.AdamW"
    assert kind("bitsandbytes", args=SimpleNamespace(optim_bits=8)) == "bitsandbytes.AdamW, 8 bits"


def test_flattened_groups_are_mapped_back(probe):
    one, two, three = "one", "two", "three"
    flat = {"params": ["flat"]}
    zero2 = SimpleNamespace(bit16_groups=[[one, two], [three]])
    assert probe.members([zero2], flat, 1) == [three]
    zero3 = SimpleNamespace(
        sub_group_to_group_id={0: 0, 1: 1, 2: 1}, fp16_groups=[[one], [two], [three]]
    )
    assert probe.members([zero3], flat, 1) == [two, three]
    assert probe.members([SimpleNamespace()], flat, 0) == ["flat"]


def test_the_loader_is_watched_without_iterating_it(probe):
    class Rows(list):
        def __getitems__(self, indices):
            return [self[i] for i in indices]

    class Ids(list):
        def tolist(self):
            return list(self)

    loader = SimpleNamespace(
        dataset=Rows([10, 11, 12]), collate_fn=lambda rows: {"input_ids": Ids(rows)}, num_workers=0
    )
    fetched: list[dict[str, object]] = []
    probe.watch_data(SimpleNamespace(base_dataloader=loader), fetched, [])
    assert fetched == []
    batch = loader.collate_fn(loader.dataset.__getitems__([2, 0]))
    assert batch == {"input_ids": [12, 10]}
    assert fetched == [{"indices": [2, 0], "input_ids": [12, 10]}]


def test_answers_that_a_trainer_joins_later_are_rows_too(probe):
    class Ids(list):
        def tolist(self):
            return [list(row) for row in self]

    class Rows(list):
        def __getitems__(self, indices):
            return [self[i] for i in indices]

    sides = {"chosen_input_ids": Ids([[1, 2, 3]]), "rejected_input_ids": Ids([[1, 4]])}
    sides |= {"chosen_labels": Ids([[-100, 2, 3]]), "rejected_labels": Ids([[-100, 4]])}
    batches = iter([sides, {"prompt_input_ids": Ids([[1]])}])
    loader = SimpleNamespace(dataset=Rows([7]), collate_fn=lambda _: next(batches), num_workers=0)
    fetched: list[dict[str, object]] = []
    asked: list[object] = []
    probe.watch_data(SimpleNamespace(base_dataloader=loader), fetched, asked)
    for _ in range(2):
        loader.collate_fn(loader.dataset.__getitems__([0]))
    assert fetched == [
        {
            "indices": [0],
            "input_ids": [[1, 2, 3], [1, 4, 0]],
            "labels": [[-100, 2, 3], [-100, 4, -100]],
        }
    ]
    assert asked == [[0]]  # its answers are yet to be drawn


def test_worker_processes_are_left_alone(probe):
    loader = SimpleNamespace(dataset=[], collate_fn=None, num_workers=2)
    probe.watch_data(SimpleNamespace(base_dataloader=loader), [], [])
    assert loader.collate_fn is None


def test_a_script_sees_what_python_would_show_it(tmp_path):
    """argv, __name__, the import path, and the launcher's --local_rank; transformers is a stub."""
    (tmp_path / "neighbour.py").write_text("value = 5\n")
    (tmp_path / "torch.py").write_text("")
    folder = tmp_path / "transformers"
    folder.mkdir()
    (folder / "__init__.py").write_text("class TrainerCallback: pass\n")
    (folder / "trainer.py").write_text("DEFAULT_CALLBACKS = []\n")
    script = tmp_path / "train.py"
    script.write_text(
        "import sys, neighbour, transformers.trainer as t\n"
        "print(sys.argv, __name__, __file__, neighbour.value, len(t.DEFAULT_CALLBACKS))\n"
    )
    command = [sys.executable, "-I", str(PROBE), "--local_rank=0", "--out", str(tmp_path / "out")]
    ran = subprocess.run(
        [*command, "script", str(script), "--flag"], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == (
        f"{[str(script), '--local_rank=0', '--flag']} __main__ {script} 5 1"
    )


def events(folder: Path, rank: int, lines: list[dict[str, object]], tail: str = "") -> None:
    folder.mkdir(exist_ok=True)
    text = "".join(json.dumps(line) + "\n" for line in lines) + tail
    (folder / f"rank{rank}.jsonl").write_text(text, encoding="utf-8")


def micro(rank: int, number: int, token: int) -> dict[str, object]:
    return {
        "kind": "batch",
        "rank": rank,
        "step": 1,
        "micro": number,
        "indices": [token],
        "input_ids": [[token]],
        "labels": None,
        "text": ["x"],
        "pieces": {str(token): "x"},
    }


def test_evidence_is_read_back_as_far_as_a_killed_run_came(tmp_path):
    setting = {
        "kind": "setting",
        "schema": 1,
        "versions": {"torch": "2"},
        "args": {"seed": 1},
        "rows": 3,
    }
    events(
        tmp_path,
        0,
        [
            {"kind": "rng", "step": 0, "state": "ab"},
            setting,
            micro(0, 0, 7),
            {"kind": "log", "step": 1, "loss": float("nan"), "learning_rate": 0.1},
        ],
        tail='{"kind": "log", "st',
    )
    save_file({"w": np.ones(3, "float32")}, str(tmp_path / "initial.safetensors"))
    found = read(tmp_path)
    assert found.versions == {"torch": "2"}
    assert found.setting == {"rows": 3}
    assert found.batches[0].labels is None
    assert found.pieces == {7: "x"}
    assert found.rng == {0: "ab"}
    assert found.steps[0].loss != found.steps[0].loss
    assert list(found.before) == ["w"]
    assert found.before["w"].tolist() == [1, 1, 1]
    assert (found.after, found.finished, found.frozen) == ({}, False, None)
    with pytest.raises(KeyError):
        found.before["absent"]


def test_processes_are_merged_in_the_order_one_would_have_had(tmp_path):
    events(tmp_path, 0, [micro(0, 0, 1), micro(0, 1, 3)])
    events(tmp_path, 1, [micro(1, 0, 2), micro(1, 1, 4)])
    assert [b.indices for b in read(tmp_path).batches] == [(1,), (2,), (3,), (4,)]


def test_no_evidence_and_foreign_evidence_are_errors(tmp_path):
    with pytest.raises(VerifyError, match="no evidence") as caught:
        read(tmp_path)
    assert caught.value.problems[0].hint
    events(tmp_path, 0, [{"kind": "setting", "schema": 99}])
    with pytest.raises(VerifyError, match="another version"):
        read(tmp_path)
