"""Hostile strings in every free slot of a spec, through every backend: structure holds, values arrive.

The writers alone are tested in test_emit_injection.py, with the same payloads.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from pydantic import ValidationError

from ftspec.backend import Backend, File, Job, lift
from ftspec.errors import FtspecError
from ftspec.read import json as read_json
from ftspec.read import shell as read_shell
from ftspec.read import yaml as read_yaml
from ftspec.registry import load, names
from ftspec.spec.root import Spec
from tests.conformance.nearest import job, lowered
from tests.unit.test_emit_injection import PAYLOADS

pytestmark = pytest.mark.sweep

WORD = "PAYLOAD"
"""What stands in a slot for comparison."""
Document = dict[str, Any]


def document() -> Document:
    return {
        "model": {"name": "org/name"},
        "data": {"train": [{"path": "a.jsonl", "format": "messages"}], "overflow": "error"},
        "method": {"tuner": {"type": "lora"}},
        "precision": {"compute": "fp32"},
        "train": {"batch_size": 4},
        "hardware": {"device": "cpu"},
        "output": {},
        "run": {"backends": list(names())},
    }


def _source(made: Document, **fields: Any) -> None:
    made["data"]["train"] = [{"format": "messages", **fields}]
    if "hub" in fields:
        made["data"]["overflow"] = "truncate"


def _written(made: Document, **texts: Any) -> None:
    made["data"] = {"train": [{"path": "a.jsonl", "template": texts}], "overflow": "truncate"}


def _learned(made: Document, format: str, **objective: Any) -> None:
    made["data"] = {"train": [{"path": "a.jsonl", "format": format}], "overflow": "truncate"}
    made["method"]["objective"] = objective


def _rewarded(made: Document, **reward: Any) -> None:
    made["data"] = {"train": [{"path": "a.jsonl", "format": "prompt"}], "overflow": "drop"}
    objective = {"type": "grpo", "rewards": [reward], "generation": {"completions": 2}}
    made["method"]["objective"] = objective


SLOTS: Mapping[str, tuple[str, Callable[[Document, str], object]]] = {
    "model.name": ("model.name", lambda d, p: d["model"].update(name=p)),
    "hub-like model.name": ("model.name", lambda d, p: d["model"].update(name=f"org/{p}")),
    "model.revision": ("model.revision", lambda d, p: d["model"].update(revision=p)),
    "model.chat_template": (
        "model.chat_template",
        lambda d, p: d["model"].update(chat_template=f"{p}.jinja"),
    ),
    "system": ("data.system", lambda d, p: d["data"].update(system=p)),
    "path": ("data.train", lambda d, p: _source(d, path=f"{p}.jsonl")),
    "second path": (
        "data.train",
        lambda d, p: d["data"]["train"].append({"path": f"{p}.jsonl", "format": "messages"}),
    ),
    "hub": ("data.train", lambda d, p: _source(d, hub=p)),
    "subset": ("data.train", lambda d, p: _source(d, hub="o/a", subset=p)),
    "files": ("data.train", lambda d, p: _source(d, hub="o/a", files=[p])),
    "revision": ("data.train", lambda d, p: _source(d, hub="o/a", revision=p)),
    "split": ("data.train", lambda d, p: _source(d, hub="o/a", split=p)),
    "messages column": ("data.train", lambda d, p: _source(d, path="a.json", columns={"messages": p})),
    "alpaca column": (
        "data.train",
        lambda d, p: _source(d, path="a.json", format="alpaca", columns={"instruction": p}),
    ),
    "eval path": (
        "data.eval",
        lambda d, p: d["data"].update(eval=[{"path": f"{p}.jsonl", "format": "messages"}]),
    ),
    "targets": ("method.tuner.targets", lambda d, p: d["method"]["tuner"].update(targets=[p])),
    "modules_to_save": (
        "method.tuner.modules_to_save",
        lambda d, p: (
            d["method"]["tuner"].update(modules_to_save=[p]),
            d["model"].update(dtype="float32"),
        ),
    ),
    "special token": (
        "model.special_tokens.eos",
        lambda d, p: d["model"].update(special_tokens={"eos": p}),
    ),
    "new token": (
        "model.new_tokens.tokens",
        lambda d, p: (
            d["method"]["tuner"].update(modules_to_save=["embed_tokens", "lm_head"]),
            d["model"].update(dtype="float32", new_tokens={"tokens": [p]}),
        ),
    ),
    "padding": ("", lambda d, p: d["model"].update(special_tokens={"pad": p})),
    "template option": (
        "model.template_options",
        lambda d, p: d["model"].update(template_options={"a": p}),
    ),
    "template option's name": (
        "model.template_options",
        lambda d, p: d["model"].update(template_options={p: "a"}),
    ),
    "written prompt": ("data.train", lambda d, p: _written(d, prompt=p, completion="{{ a }}")),
    "written completion": ("data.train", lambda d, p: _written(d, prompt="{{ a }}", completion=p)),
    "written pair": (
        "data.train",
        lambda d, p: (
            _written(d, prompt=p, chosen=p, rejected=p),
            d["method"].update(objective={"type": "dpo"}),
        ),
    ),
    "written judgement": (
        "data.train",
        lambda d, p: (
            _written(d, prompt=p, completion=p, label=p),
            d["method"].update(objective={"type": "kto"}),
        ),
    ),
    "written turns": ("data.train", lambda d, p: _written(d, system=p, user=p, assistant=p)),
    "written text": (
        "data.train",
        lambda d, p: (_written(d, text=p), d["method"].update(objective={"type": "cpt"})),
    ),
    "eval split": (
        "data.eval",
        lambda d, p: d["data"].update(
            overflow="truncate", eval=[{"hub": "o/a", "format": "messages", "split": p}]
        ),
    ),
    "chosen column": (
        "data.train",
        lambda d, p: (
            _learned(d, "preference", type="dpo"),
            d["data"]["train"][0].update(columns={"chosen": p}),
        ),
    ),
    "reference": (
        "method.objective.reference",
        lambda d, p: _learned(d, "preference", type="dpo", reference=p),
    ),
    "teacher": (
        "method.objective.teacher",
        lambda d, p: _learned(d, "messages", type="gkd", teacher=p),
    ),
    "teacher's revision": (
        "method.objective.teacher_revision",
        lambda d, p: _learned(d, "messages", type="gkd", teacher="o/t", teacher_revision=p),
    ),
    "reward tags": (
        "method.objective.rewards",
        lambda d, p: _rewarded(d, by="format", tags=[p]),
    ),
    "target pattern": (
        "method.tuner.targets",
        lambda d, p: d["method"]["tuner"].update(targets={"pattern": p}),
    ),
    "exclude pattern": (
        "method.tuner.exclude",
        lambda d, p: d["method"]["tuner"].update(exclude={"pattern": p}),
    ),
    "rank pattern": (
        "method.tuner.rank_pattern",
        lambda d, p: d["method"]["tuner"].update(rank_pattern={p: 4}),
    ),
    "text of a soft prompt": (
        "method.tuner.text",
        lambda d, p: d["method"].update(tuner={"type": "prompt", "start": "text", "text": p}),
    ),
    "adapter": ("method.tuner.adapter", lambda d, p: d["method"]["tuner"].update(adapter=p)),
    "resume": ("train.resume", lambda d, p: d["train"].update(resume=p)),
    "folder": ("output.folder", lambda d, p: d["output"].update(folder=p)),
    "hub repo": ("output.hub.repo", lambda d, p: d["output"].update(hub={"repo": f"org/{p}"})),
    "reward column": (
        "method.objective.rewards",
        lambda d, p: _rewarded(d, by="exact-match", column=p, pattern=f"{re.escape(p)}(.*)"),
    ),
    "reward pattern": (
        "method.objective.rewards",
        lambda d, p: _rewarded(d, by="regex", pattern=re.escape(p)),
    ),
    "reward schema": (
        "method.objective.rewards",
        lambda d, p: _rewarded(d, by="json-schema", json_schema={"enum": [p], "properties": {p: {}}}),
    ),
    "reward model": (
        "method.objective.rewards",
        lambda d, p: _rewarded(d, by="model", name=p, adapter=p),
    ),
    "spec name": ("", lambda d, p: None),
    "native": ("", lambda d, p: None),
}  # fmt: skip
"""Where a spec holds free text: its path, and how to put a string there."""
NATIVE = {
    "trl": "SFTConfig.run_name",
    "unsloth": "from_pretrained.extra",
    "llamafactory": "run_name",
    "deepspeed": "ds_config.comms_logger",
}
"""The backends whose files hold what is in these slots; axolotl's hold none of the data
(backends/axolotl/tests)."""
STEP = 17
"""Every so manyeth of all combinations; without a common divisor with their numbers."""
ENOUGH = 260
"""Combinations that must have held for each of the four backends: more than a thousand in all."""


class Refused(Exception):  # noqa: N818
    """The spec, the backend or a writer did not take the string."""


def compiled(
    slot: str, payload: str, backend: Backend
) -> tuple[dict[str, File], Document, Document]:
    """Files by path, the values they were made from, and those that are read back."""
    made = document()
    SLOTS[slot][1](made, payload)
    try:
        spec = Spec.model_validate(made)
        resolved, result, values = lowered(spec, backend)
        if any(path != "data.overflow" for path, *_ in result.refusals):
            raise Refused
        if SLOTS[slot][0] in {note.path for note in result.notes}:
            raise Refused  # only nearly the same: it is in no file
        native = dict(result.native)
        if slot == "native":
            native[NATIVE[backend.name]] = {payload: [payload, {"x": payload}]}
        about: Job = job(resolved, values, backend)
        if slot == "spec name":
            about = replace(about, spec_name=payload)
        files = backend.emit(native, about)
    except (ValidationError, FtspecError, UnicodeEncodeError) as error:
        raise Refused from error  # half of a surrogate pair comes through no file of a spec
    return (
        {file.path: file for file in files},
        {**values, "native": native},
        dict(backend.read(files)),
    )


class _Blank(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant(type(node.value).__name__)

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        return self.generic_visit(node)


def shape(file: File) -> object:
    """All of a file but the text in it."""
    text = file.content.decode()
    if file.path.endswith(".py"):
        lines = [line for line in text.split("\n") if line.startswith("#")]
        return ast.dump(_Blank().visit(ast.parse(file.content))), len(lines)
    if file.path.endswith(".yaml"):
        return _skeleton(read_yaml.read(text)), text.count("\n### ")
    if file.path.endswith(".json"):
        return _skeleton(read_json.read(text)), json.loads(text) == read_json.read(text)
    if file.path.endswith(".sh"):
        lines = [line for line in text.split("\n") if not line.startswith("# ")]
        return read_shell.read(text), lines
    return [line for line in text.split("\n") if not line.startswith("# ")]


def _skeleton(value: Any) -> Any:
    if isinstance(value, dict):
        # a payload may be a key: its number counts, not its name
        known = all(key.isidentifier() for key in value) and len(value) > 1
        inner = [_skeleton(item) for item in value.values()]
        return dict(zip(value, inner, strict=True)) if known else inner
    if isinstance(value, list):
        return [_skeleton(item) for item in value]
    return type(value).__name__


def plain(value: Any) -> Any:
    """Lists and tuples are one thing here."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("name", NATIVE)
def test_no_string_changes_what_is_emitted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # a config is read by its backend, and for its shape: once is enough
    monkeypatch.setattr(read_yaml, "read", cache(read_yaml.read))
    backend = load(name)
    held: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    known: dict[str, dict[str, object]] = {}
    every = [(slot, payload) for payload in PAYLOADS for slot in SLOTS]
    for slot, payload in every[[*NATIVE].index(name) :: STEP]:
        if slot not in known:
            try:
                files, _, _ = compiled(slot, WORD, backend)
            except Refused:
                files = {}  # a slot that this backend refuses whatever is in it
            known[slot] = {path: shape(file) for path, file in files.items()}
        try:
            files, values, back = compiled(slot, payload, backend)
        except Refused:
            refused[slot] += 1
            continue
        assert {path: shape(file) for path, file in files.items()} == known[slot], (slot, payload)
        path = SLOTS[slot][0]
        if path:
            lifted = lift(backend, back).spec
            assert plain(lifted[path]) == plain(values[path]), (slot, payload)
        if slot == "native":
            key = NATIVE[name]
            assert plain(back[key]) == plain(values["native"][key]), payload
        held[slot] += 1
    assert held.total() >= ENOUGH, (held, refused)
    assert len(NATIVE) * ENOUGH >= 1000
    never = {slot for slot in SLOTS if not held[slot] and known[slot]}
    assert never <= {"targets", "modules_to_save", "hub repo"}, (held, refused)


def test_what_a_pattern_guards_takes_no_hostile_string() -> None:
    """Module names and hub repositories are words; the rest of the payloads does not get that far."""
    taken: Counter[str] = Counter()
    for slot in ("targets", "modules_to_save", "hub repo"):
        for payload in PAYLOADS:
            made = document()
            SLOTS[slot][1](made, payload)
            try:
                Spec.model_validate(made)
            except ValidationError:
                continue
            taken[slot] += 1
            assert not set(payload) & set("'\"$`{}();|&<>\\\n\t #,/"), payload
    assert all(5 <= taken[slot] <= 100 for slot in ("targets", "modules_to_save", "hub repo")), (
        taken
    )


def test_the_check_itself_notices() -> None:
    """A writer that pastes text would be seen."""
    good = File.text("train.py", 'f(name="x")\n')
    for text in (
        'f(name="" or open("canary"))\n',
        'f(name="x")\nopen("y")\n',
        'f(name="x", y=1)\n',
    ):
        assert shape(File.text("train.py", text)) != shape(good)
    config = File.text("train.yaml", "### model\na: x\nb: y\n")
    for text in (
        "### model\na: x\nb: y\nc: z\n",
        "### model\na: x\nb: 1\n",
        "### model\na: [x]\nb: y\n",
    ):
        assert shape(File.text("train.yaml", text)) != shape(config)
    script = File.text("launch.sh", "#!/bin/sh\nset -eu\nexec python train.py\n")
    with pytest.raises(FtspecError):
        shape(File.text("launch.sh", "#!/bin/sh\nset -eu\nexec python train.py; touch canary\n"))
    assert shape(script) != shape(File.text("launch.sh", "#!/bin/sh\nset -eu\nexec python x.py\n"))
