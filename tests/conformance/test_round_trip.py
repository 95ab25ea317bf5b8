"""compile, read back, import: the spec that comes back is the spec that went in, or was refused."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from ftspec.backend import OBJECTIVE, Backend, lift
from ftspec.errors import UnsupportedError
from ftspec.spec.root import Spec
from tests.conformance.domain import NOT_EMITTED, specs
from tests.conformance.nearest import expressible, job

pytestmark = pytest.mark.sweep

EXAMPLES = 100
"""For each backend and objective."""


def test_what_is_compiled_comes_back(backend: Backend, objective: str) -> None:
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
        try:
            files = backend.emit(result.native, job(resolved, values, backend))
        except UnsupportedError:
            seen["unwritable"] += 1  # such as `${` in LLaMA-Factory's YAML
            return
        assert files == backend.emit(result.native, job(resolved, values, backend)), (
            "not the same bytes"
        )
        back = lift(backend, backend.read(files))
        assert not back.unknown, f"nobody claims {back.unknown}"
        assert not back.refusals
        nearly = {note.path for note in result.notes}  # may come back as what it became
        for path, value in expressed(values, backend).items():
            if path in nearly and plain(back.spec.get(path)) != plain(value):
                seen["nearly"] += 1
                continue
            assert plain(back.spec.get(path)) == plain(value), path
        seen["held"] += 1

    law()
    assert seen["held"] >= EXAMPLES // 10, seen


def expressed(values: dict[str, Any], backend: Backend) -> dict[str, Any]:
    """The values that the backend's files hold."""
    kept = {path: value for path, value in values.items() if not path.startswith(NOT_EMITTED)}
    if (
        values["data.overflow"] in ("drop", "truncate-left", "truncate-turns")
        and values["data.prepare"] == "framework"
    ):
        kept["data.overflow"] = values["data.overflow"]
    if values["data.prepare"] == "ftspec":  # the rows themselves are handed over, not where from
        for path in (
            *("train", "eval", "eval_size", "eval_draw", "train_on", "max_length", "system"),
            *("turn_part", "turn_ends", "turn_flag", "mixed", "draw_seed"),
            *("split_rows", "min_length", "distinct", "drop_system"),
        ):
            kept.pop(f"data.{path}")
        for name in ("chat_template", "template_options"):  # they wrote the rows
            kept.pop(f"model.{name}")
        if kept["data.packing"] == "blocks":
            kept.pop("data.packing")  # equal rows, like any others
        if kept[OBJECTIVE] == "cpt":
            kept.pop(OBJECTIVE)  # its labels say it: plain text, of which all is trained on
    if values.get("method.tuner.adapter") is not None:  # the saved adapter brings its own
        kept = {
            p: v
            for p, v in kept.items()
            if not p.startswith("method.tuner.")
            or p.endswith(("type", "adapter", "plus_ratio", "plus_embedding_rate"))
        }
    fields = backend.maps[values[OBJECTIVE]]
    told_by_the_checkpoint = ("model.stored.type", "model.stored.dequantize")
    for path in ("model.dtype", "model.chat_template", *told_by_the_checkpoint):
        if not any(row.keys for row in fields.rows if path in row.paths):
            kept.pop(path, None)  # implied there, or in the rows, and refused otherwise
    return kept


def plain(value: Any) -> Any:
    """Lists and tuples are one thing here."""
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
