"""What is compiled can be imported again, and what is imported can be compiled: nothing changes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from ftspec.errors import UnsupportedError
from ftspec.port.bring import bring
from ftspec.port.settle import derived, same
from ftspec.registry import load
from ftspec.spec.load import loads
from ftspec.spec.root import Spec
from tests.conformance.domain import job, lowered, specs
from tests.conformance.test_round_trip import expressed, plain
from tests.port.test_corpus import CORPUS

pytestmark = pytest.mark.sweep

EXAMPLES = 100
ELSEWHERE = ("hardware.", "output.folder", "data.overflow")
"""Of launch.sh; another folder; and what a config of LLaMA-Factory cannot say."""


SHORTEST = 8
"""The least `data.max_length`."""


@pytest.mark.parametrize("objective", ["sft", "cpt"])
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
        resolved, result, values = lowered(spec, backend)
        if result.refusals:
            seen["refused"] += 1
            return
        if values["data.prepare"] == "ftspec" and (values["data.eval"] or values["data.eval_size"]):
            seen["prepared"] += 1  # both splits are handed over as one folder, not where from
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
        assert not lost, lost
        for path, value in expressed(values, backend).items():
            if not path.startswith(ELSEWHERE):
                assert plain(imported.composed.values.get(path)) == plain(value), path
        assert loads(imported.composed.text).spec == imported.composed.spec
        seen["held"] += 1

    law()
    assert seen["held"] >= EXAMPLES // 20, seen


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of published configs is not here")
@pytest.mark.parametrize("name", ["llamafactory", "trl"])
def test_no_value_that_is_called_exact_changes_when_it_is_compiled_again(name: str) -> None:
    backend = load(name)
    checked = 0
    for path in sorted((CORPUS / name).iterdir()):
        imported = bring([path])
        (part,) = imported.parts
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
