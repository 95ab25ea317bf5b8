"""What a backend cannot do, settings that cannot be written, plugins that are broken."""

from __future__ import annotations

import pytest

from ftspec import registry
from ftspec.registry import names
from tests.cli.conftest import Command, Point, Write, same


def test_an_unknown_backend(ftspec: Command, write: Write) -> None:
    for arguments in (["plan"], ["run"], ["compile", "-o", "build"]):
        done = ftspec(*arguments, write(), "--backend", "tlr")
        assert done.code == 5
        same(
            done.err,
            "error[backend]: there is no backend `tlr`\n"
            "  help: did you mean `trl`? installed are: axolotl, deepspeed, llamafactory, trl, unsloth\n",
        )
    assert ftspec("validate", write(), "--set", "run.backends=[tlr]").code == 5
    assert ftspec("validate", write(), "--set", "native.tlr.x=1").code == 5


UNSUPPORTED = {
    "axolotl": (
        ("train:\n", "train:\n  warmup_steps: 2\n"),
        "spec.yaml:3:1: error[unsupported]: axolotl: data.prepare = 'framework': of a turn it trains what it "
        "says and its end-of-turn token, not what the template writes around that "
        "(prompt_strategies/chat_template.py) (the framework cannot)\n"
        "  help: data.turn_part: ended; or data.prepare: ftspec\n",
    ),
    "trl": (
        ("device: cpu", "device: cpu\n  zero: 1"),
        "spec.yaml:18:9: error[unsupported]: TRL: hardware.zero.stage = 1: TRL alone does not shard; "
        "the deepspeed backend does (makes no sense there)\n  help: run.backends: deepspeed\n",
    ),
    "llamafactory": (
        ("model: ./tiny-model", "model: {name: ./tiny-model, dtype: bfloat16}"),
        "spec.yaml:1:36: error[unsupported]: LLaMA-Factory: model.dtype = 'bfloat16': weights are "
        "always held as the checkpoint stores them, there is no key for another type "
        "(the framework cannot)\n  help: model.dtype: auto\n",
    ),
    "unsloth": (
        ("device: cpu", "device: cpu\n  devices: 4"),
        "spec.yaml:18:12: error[unsupported]: Unsloth: hardware.devices = 4: several processes are "
        "not compiled for it yet (not in this version of ftspec)\n",
    ),
    "deepspeed": (
        ("precision: fp32", "precision: fp16"),
        "spec.yaml:10:12: error[unsupported]: DeepSpeed: precision.compute = 'fp16': float16 does not "
        "run on a CPU; float32 would be used in silence (makes no sense there)\n",
    ),
}


def test_every_backend_is_asked_for_what_it_cannot() -> None:
    assert set(UNSUPPORTED) == set(names())


@pytest.mark.parametrize("backend", UNSUPPORTED)
def test_what_a_backend_cannot(backend: str, ftspec: Command, write: Write) -> None:
    change, message = UNSUPPORTED[backend]
    done = ftspec("plan", write(change), "--backend", backend)
    assert (done.code, done.out) == (4, "")
    same(done.err, message)


NATIVE = {
    "what OmegaConf would interpret": (
        "llamafactory: {run_name: 'x ${y'}",
        "spec.yaml:20:28: error[unsupported]: native.llamafactory.run_name: LLaMA-Factory: run_name "
        "holds `${`, which OmegaConf, LLaMA-Factory's loader, interprets\n"
        "  help: rephrase it: there is no escape that leaves the text as it is\n",
    ),
    "a setting that no file would hold": (
        "trl: {packing: true}",
        "spec.yaml:20:18: error[unsupported]: native.trl.packing: TRL: `packing` would be in none of "
        "its files\n  help: name the call too, as in `SFTConfig.packing`\n",
    ),
    "a name that is none": (
        "unsloth: {SFTConfig.a b: 1}",
        "spec.yaml:20:28: error[unsupported]: native.unsloth.SFTConfig.a b: Unsloth: 'a b' is not "
        "the name of an argument\n  help: use the framework's own spelling\n",
    ),
    "a setting that ftspec decides": (
        "llamafactory: {dataset_dir: elsewhere}",
        "spec.yaml:20:31: error[unsupported]: native.llamafactory.dataset_dir: LLaMA-Factory: "
        "`dataset_dir` would be in none of its files\n"
        "  help: ftspec decides it, or there is no place for it: leave it out\n",
    ),
}


@pytest.mark.parametrize("mistake", NATIVE)
def test_native_settings_that_cannot_be_written(
    mistake: str, ftspec: Command, write: Write
) -> None:
    native, message = NATIVE[mistake]
    file = write(("device: cpu", f"device: cpu\n\nnative:\n  {native}"))
    done = ftspec("plan", file, "--backend", native.partition(":")[0])
    assert (done.code, done.out) == (4, "")
    same(done.err, message)


def test_plugins_that_are_broken_doubled_or_something_else(
    ftspec: Command, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = {
        "broken": (Point("broken", "b:x", ImportError("no module named torch")),),
        "doubled": (Point("doubled", "one:x", None), Point("doubled", "two:x", None)),
        "odd": (Point("odd", "odd:x", "a string"),),
    }
    monkeypatch.setattr(registry, "_points", lambda: points)
    registry.load.cache_clear()
    said = {name: ftspec("plan", write(), "--backend", name) for name in points}
    registry.load.cache_clear()
    assert {done.code for done in said.values()} == {5}
    same(
        said["broken"].err,
        "error[backend]: the backend `broken` (b:x) is broken: ImportError('no module named torch')\n"
        "  help: reinstall it\n",
    )
    same(
        said["doubled"].err,
        "error[backend]: two backends are called `doubled`: one:x-package (one:x), two:x-package "
        "(two:x)\n  help: uninstall one of them\n",
    )
    same(said["odd"].err, "error[backend]: the backend `odd` (odd:x) is not a Backend\n")
