"""What stops on a GPU, as it was seen to: FSDP 1 over one process, and EVA under DeepSpeed."""

from __future__ import annotations

import pytest

from ftspec.errors import UnsupportedError
from ftspec.plan.make import make_plan
from ftspec.spec.load import load
from tests.conftest import SPECS

FIRST = ("hardware.device=cuda", "hardware.fsdp={version: 1}")


@pytest.mark.parametrize("backend", ["trl", "llamafactory"])
def test_an_adapter_needs_several_devices(backend: str) -> None:
    def plan(*sets: str) -> object:
        return make_plan(load(SPECS / "quickstart.yaml", (*FIRST, *sets)), backend)

    with pytest.raises(UnsupportedError, match="stops at the end of the training"):
        plan()
    assert plan("hardware.devices=2")
    assert plan("hardware.nodes=2")
    assert plan("method=full")
    assert plan("hardware.fsdp.version=2")


@pytest.mark.parametrize(("device", "goes"), [("cuda", False), ("cpu", True)])
def test_eva_looks_at_rows_where_the_engine_has_not_moved_the_model(
    device: str, goes: bool
) -> None:
    spec = load(SPECS / "quickstart.yaml", (f"hardware.device={device}", "method.tuner.init=eva"))
    assert make_plan(spec, "trl")
    if goes:
        assert make_plan(spec, "deepspeed")
    else:
        with pytest.raises(UnsupportedError, match="in CPU memory still when EVA runs it"):
            make_plan(spec, "deepspeed")
