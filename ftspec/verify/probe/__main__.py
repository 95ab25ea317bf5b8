"""`python FOLDER`: the folder as a package of its own, under a name that no framework has."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

NAME = "ftspec_probe"

if __name__ == "__main__":
    folder = Path(__file__).parent
    spec = importlib.util.spec_from_file_location(
        NAME, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise SystemExit(f"{folder} is incomplete")
    sys.modules[NAME] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[NAME])
    importlib.import_module(f"{NAME}.launch").main()
