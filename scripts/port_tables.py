"""Names, types and defaults of each framework version that `ftspec import` reads, for the package.

`python scripts/port_tables.py [SCHEMA.json ...]` shortens what native_schema.py printed (schemas/native/,
or a dump made in the environment of another version) to ftspec/port/tables/PACKAGE-VERSION.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "ftspec" / "port" / "tables"
READ = ("llamafactory", "trl", "trl.ppo", "axolotl")
"""Frameworks with configs of their own; DeepSpeed's defaults stand in its backend's rows. An environment for
one objective, `trl.ppo`, has another release of its framework."""

UNASKED = {("trl", "0.24.0", "KTOConfig"): ("train_sampling_strategy",)}
"""Fields that the trainer never asks: its sampler is its own, and goes in order (trainer/kto_trainer.py)."""


def shortened(schema: dict[str, Any]) -> dict[str, Any]:
    """Without the calls that no config speaks of."""
    package = schema["backend"].partition(".")[0]
    calls = {
        call: {
            name: [_type(entry["type"]), entry["default"]]
            for name, entry in entries.items()
            if name != "**"
            if name not in UNASKED.get((package, schema["version"], call), ())
        }
        for call, entries in schema["calls"].items()
        if call != "SFTTrainer" and "from_pretrained" not in call
    }
    return {"package": package, "version": schema["version"], "calls": calls}


def _type(text: str) -> str:
    """`<class 'float'>` as `float`; what can be two things keeps both names."""
    return text.removeprefix("<class '").removesuffix("'>").replace("typing.", "")


def _text(table: dict[str, Any]) -> str:
    """JSON with one setting a line, so that a difference between versions is easy to see."""
    calls = []
    for call, entries in sorted(table["calls"].items()):
        inner = ",\n".join(
            f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(entries.items())
        )
        calls.append(f" {json.dumps(call)}: {{\n{inner}\n }}")
    head = ", ".join(
        f"{json.dumps(key)}: {json.dumps(table[key])}" for key in ("package", "version")
    )
    return f'{{{head}, "calls": {{\n' + ",\n".join(calls) + "\n}}\n"


def main() -> None:
    """Write one table per schema."""
    given = [Path(name) for name in sys.argv[1:]]
    native = ROOT / "schemas" / "native"
    for path in given or [
        found for name in READ for found in sorted(native.glob(f"{name}-*.json"))
    ]:
        table = shortened(json.loads(path.read_bytes()))
        target = TARGET / f"{table['package']}-{table['version']}.json"
        target.write_text(_text(table))
        print(target.relative_to(ROOT))


if __name__ == "__main__":
    main()
