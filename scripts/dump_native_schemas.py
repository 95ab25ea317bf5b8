"""Renew schemas/native/*.json: run native_schema.py inside each backend's environment.

`python scripts/dump_native_schemas.py` (`make schemas`). A real test holds the files to what it prints.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from ftspec.emit.disk import write_atomic
from ftspec.env.install import ensure
from ftspec.env.variables import variables
from ftspec.registry import load, names

SCRIPT = Path(__file__).with_name("native_schema.py")
TARGET = Path(__file__).parent.parent / "schemas" / "native"


ADAPTERS = Path(__file__).parent.parent / "ftspec" / "spec" / "peft_options.json"
"""Beside the models, because a spec's options are checked against it wherever ftspec is installed."""


TEMPLATES = Path(__file__).parent.parent / "ftspec" / "data" / "templates" / "llamafactory.json"
"""LLaMA-Factory's chat templates, which every backend may be asked for."""


def every() -> list[str]:
    """The backends, each followed by its environments for single objectives, as `trl.ppo`."""
    return [
        full
        for name in names()
        for full in (name, *(f"{name}.{own.lock}" for own in load(name).apart.values()))
    ]


def dumped(name: str, script: Path = SCRIPT) -> str:
    """The schema of the backend's framework, as its environment says; `peft` as TRL's says."""
    backend, _, lock = name.partition(".")
    place = ensure(load("trl" if name == "peft" else backend), lock or "aligned")
    environ = variables(place, {**os.environ, "CUDA_VISIBLE_DEVICES": "", "DS_ACCELERATOR": "cpu"})
    command = [str(place.python), str(script), name]
    done = subprocess.run(command, env=environ, cwd=place.folder, check=True, capture_output=True)
    return done.stdout.decode()


def main() -> None:
    """Write one file per environment, and remove those of other versions."""
    for name in every():
        text = dumped(name)
        target = TARGET / f"{name}-{json.loads(text)['version']}.json"
        write_atomic(target, text.encode())
        for old in TARGET.glob(f"{name}-*.json"):
            if old != target:
                old.unlink()
        print(target.relative_to(TARGET.parent.parent))
    write_atomic(ADAPTERS, dumped("peft").encode())
    found = dumped("llamafactory", script=SCRIPT.with_name("native_templates.py"))
    write_atomic(TEMPLATES, found.encode())


if __name__ == "__main__":
    main()
