"""What is compiled can be imported again, and what is imported can be compiled: nothing changes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from ftspec.emit.disk import write_files
from ftspec.emit.manifest import manifest
from ftspec.errors import FtspecError, UnsupportedError
from ftspec.port.bring import bring
from ftspec.port.compiled import moved
from ftspec.port.verdicts import derived, same
from ftspec.registry import load, names
from ftspec.spec.load import loads
from ftspec.spec.root import Spec
from tests.conformance.domain import specs
from tests.conformance.nearest import expressible, job, lowered
from tests.conformance.test_round_trip import expressed, plain
from tests.port.test_corpus import CORPUS

pytestmark = pytest.mark.sweep

EXAMPLES = 100
LEAST = 2
"""Of a quarter of them: examples resemble those before them, and a few reasons can refuse most."""
ELSEWHERE = ("hardware.", "output.folder", "data.overflow")
"""Of launch.sh; another folder; and what a config of LLaMA-Factory cannot say."""
PLACES = ("output.", "hardware.device", "model.chat_template", "train.warmup")
"""What is a path, or may be said in two ways."""


SHORTEST = 8
"""The least `data.max_length`."""


@pytest.mark.parametrize("objective", ["sft", "cpt", "dpo", "kto", "orpo", "simpo"])
def test_import_undoes_compile(objective: str) -> None:
    backend = load("llamafactory")
    seen: Counter[str] = Counter()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        derandomize=True,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
    )
    @given(specs(objective))
    def law(spec: Spec) -> None:
        found = expressible(spec, backend)
        if found is None:
            seen["refused"] += 1
            return
        resolved, result, values = found
        if values["data.prepare"] == "ftspec" and (values["data.eval"] or values["data.eval_size"]):
            seen["prepared"] += 1  # both splits are handed over as one folder, not where from
            return
        if values.get("method.objective.reference") is not None:
            seen["referred"] += 1  # in which type another model is stored is not in a config
            return
        if values["data.packing"] and values["data.max_length"] == SHORTEST:
            return  # its own packing leaves one token less, which no spec may say
        try:
            files = backend.emit(result.native, job(resolved, values, backend))
        except UnsupportedError:
            seen["unwritable"] += 1
            return
        with TemporaryDirectory() as folder:
            paths = []
            for file in files:
                if file.path in ("train.yaml", "dataset_info.json"):
                    paths.append(Path(folder, file.path))
                    paths[-1].write_bytes(file.content)
            imported = bring(paths, devices=values["derived.processes"])
        lost = [fate for fate in imported.fates if fate.kind in ("unknown", "kept", "approximated")]
        if values["model.template_options"]:  # it would delete thoughts too, were there any
            lost = [fate for fate in lost if fate.setting.key != "enable_thinking"]
        if (
            values.get("method.objective.loss") == "asft"
        ):  # in which type the model as it was is stored
            lost = [fate for fate in lost if "method.objective.sum_passes" not in fate.to]
        assert not lost, lost
        lossy = {note.path for note in result.notes}
        for path, value in expressed(values, backend).items():
            if not path.startswith(ELSEWHERE) and path not in lossy:
                assert plain(imported.composed.values.get(path)) == plain(value), path
        assert loads(imported.composed.text).spec == imported.composed.spec
        seen["held"] += 1

    law()
    assert seen["held"] >= EXAMPLES // 20, seen


EACH = [(name, objective) for name in names() for objective in load(name).maps]


@pytest.mark.parametrize(("name", "objective"), EACH)
def test_a_compiled_folder_comes_back_whole(
    name: str, objective: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = load(name)
    seen: Counter[str] = Counter()
    folder = tmp_path / "build"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)

    @settings(
        max_examples=EXAMPLES // 4,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
    )
    @given(specs(objective))
    def law(spec: Spec) -> None:
        found = expressible(spec, backend)
        if found is None:
            return
        resolved, result, values = found
        made = job(resolved, values, backend)
        try:
            files = [*backend.emit(result.native, made)]
        except UnsupportedError:
            return
        proof = manifest(made, backend, files, lock_key="", versions={})
        write_files(folder, [*files, proof], overwrite=True)
        imported = bring([folder])
        assert [fate for fate in imported.fates if fate.kind != "exact"] == []
        nearly = {note.path for note in result.notes}  # comes back as what it became
        wanted = {p: v for p, v in expressed(values, backend).items() if p not in nearly}
        wanted |= moved(wanted, name, folder)
        for path, value in wanted.items():
            found = imported.composed.values.get(path)
            if path == "hardware.device" and value == "cuda":
                assert found == "auto"  # a GPU where there is one: what frameworks do
            else:
                assert plain(found) == plain(value), path
        assert loads(imported.composed.text).spec == imported.composed.spec
        seen["held"] += 1
        seen["whole"] += not imported.composed.open
        seen["prepared"] += values["data.prepare"] == "ftspec"

    law()
    assert seen["held"] >= LEAST, seen
    assert seen["whole"] == seen["held"] - seen["prepared"], seen


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of published configs is not here")
@pytest.mark.parametrize("name", ["llamafactory", "trl"])
def test_no_value_that_is_called_exact_changes_when_it_is_compiled_again(name: str) -> None:
    backend = load(name)
    checked = 0
    for path in sorted((CORPUS / name).iterdir()):
        imported = bring([path])
        part = imported.parts[0]  # the others are an engine's
        spec = {**part.spec, **derived(part.spec)}
        native = part.fields.lower(spec).native
        for fate in imported.fates:
            key = part.format.native_key(fate.setting.key)
            if fate.kind == "exact" and key in native:
                value: Any = fate.setting.value
                entry = part.context.table and part.context.table.find(key)
                number = (
                    entry is not None and entry[0] in ("float", "int") and isinstance(value, str)
                )
                assert same(native[key], float(value) if number else value), (path.name, key)
                checked += 1
        assert backend.maps
    assert checked >= {"llamafactory": 700, "trl": 250}[name]


OTHER_NAMES = {"adamw_bnb_8bit": "adamw_8bit", "adamw_torch": "adamw_torch_fused"}
"""Optimizers that are written by another of their names."""


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of published configs is not here")
def test_what_an_axolotl_file_sets_it_is_compiled_to_again() -> None:
    """Its files are read as configs of trl. Its own map, asked for what they say, gives the values back."""
    backend, checked = load("axolotl"), Counter[str]()
    for path in sorted((CORPUS / "axolotl").iterdir()):
        imported = bring([path])
        part = imported.parts[0]  # the others are an engine's
        spec = {**part.spec, **derived(part.spec)}
        fields = backend.maps.get(spec["method.objective.type"])
        native = fields.lower(spec).native if fields else {}
        for fate in imported.fates:
            key, value = fate.setting.key, fate.setting.value
            if fate.kind in ("exact", "renamed") and key in native:
                value = OTHER_NAMES.get(value, value) if isinstance(value, str) else value
                number = isinstance(value, str) and isinstance(native[key], float)
                assert same(native[key], float(value) if number else value), (path.name, key)
                checked[key] += 1
    assert checked.total() >= 1500 and len(checked) >= 25, checked


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of published configs is not here")
@pytest.mark.parametrize(("name", "least"), [("llamafactory", 30), ("trl", 6)])
def test_what_is_imported_stays_when_it_is_compiled_and_imported_again(
    name: str, least: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = load(name)
    monkeypatch.chdir(tmp_path)
    held = 0
    for path in sorted((CORPUS / name).iterdir()):
        imported = bring([path])
        if imported.composed.values["method.objective.type"] not in backend.maps:
            continue  # such as `ppo`
        try:
            resolved, result, values = lowered(imported.composed.spec, backend)
        except FtspecError:
            continue  # its rows, or its model, are not here
        if result.refusals:
            continue
        made = job(resolved, values, backend)
        files = [*backend.emit(result.native, made)]
        proof = manifest(made, backend, files, lock_key="", versions={})
        write_files(tmp_path / "build", [*files, proof], overwrite=True)
        again = bring([tmp_path / "build"]).composed.values
        wanted = expressed(values, backend)
        for spec_path, value in {**wanted, **moved(wanted, name, tmp_path / "build")}.items():
            if spec_path != "hardware.device":
                assert plain(again.get(spec_path)) == plain(value), (path.name, spec_path)
        for spec_path, value in imported.composed.values.items():
            said = value is not None and spec_path in wanted
            if said and not spec_path.startswith(("data.train", "data.eval", *PLACES)):
                assert plain(again.get(spec_path)) == plain(value), (path.name, spec_path)
        held += 1
    assert held >= least
