"""Read names, types and defaults out of axolotl's schema: `python axolotl_schema.py > schema.json`.

Prints what native_schema.py prints for the frameworks that have an environment; port_tables.py shortens it
to a table. Needs axolotl (`pip install --no-deps axolotl==0.19.0`) beside transformers and accelerate:
its schema is pydantic's, and nothing of it is trained with.
"""

import importlib.metadata
import json
import os
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

os.environ.setdefault("AXOLOTL_DO_NOT_TRACK", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
NUMBERS = ("learning_rate",)
"""Declared as text or number, and made a number by a validator."""
SECTIONS = ("SFTDataset", "UserDefinedPrompterType", "PretrainingDataset", "DPODataset")


def plain(value: Any) -> Any:
    """A default as JSON."""
    if value is None or isinstance(value, bool | int | float | str):
        return getattr(value, "value", value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return f"<{type(value).__name__}>"


def default(info: FieldInfo) -> Any:
    """What a missing key means."""
    if info.is_required():
        return "<required>"
    return plain(info.get_default(call_default_factory=True))


def fields(model: type[BaseModel]) -> dict[str, dict[str, Any]]:
    """Keys as people write them: by their alias where there is one (`model_type`), and by their name."""
    found: dict[str, dict[str, Any]] = {}
    for name, info in model.model_fields.items():
        kind = "float" if name in NUMBERS else str(info.annotation)
        for key in {name, info.alias or name}:
            found[key] = {"type": kind, "default": default(info)}
    return found


def main() -> None:
    """Print the schema as JSON."""
    from axolotl.utils.schemas import config, datasets

    calls = {"": fields(config.AxolotlInputConfig)}
    calls |= {name: fields(getattr(datasets, name)) for name in SECTIONS}
    version = importlib.metadata.version("axolotl")
    print(json.dumps({"backend": "axolotl", "version": version, "calls": calls}))


if __name__ == "__main__":
    main()
