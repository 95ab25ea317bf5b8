"""What the real trainings share: compiled runs, and proofs that several tests look at.

A training costs some fifteen seconds of a core, nearly all of it spent on imports, so most of them begin
warm. A proof that two tests need is made once, under a lock: once with `pytest -n 2` as well.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from safetensors.numpy import load_file

from ftspec.env.install import ensure
from ftspec.env.variables import variables
from ftspec.plan.make import make_plan
from ftspec.plan.write import write_plan
from ftspec.registry import load as load_backend
from ftspec.spec.load import load
from ftspec.spec.write import dump
from ftspec.verify.certificate import Certificate, from_json, to_json
from ftspec.verify.evidence import Evidence, read
from ftspec.verify.prove import CERTIFICATE, as_run, compile_all, effective
from ftspec.verify.proven import condensed
from ftspec.verify.verify import EVIDENCE, Run, Spec, verify
from tests.conftest import SPECS
from tests.real.mixture import make_mixture
from tests.real.pictures import write_others, write_pairs, write_parts, write_pictures
from tests.real.warm import interpreter, warmed

BACKENDS = ("trl", "llamafactory", "unsloth", "deepspeed")
JOBS = 1 if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1 else 2
"""Two trainings at a time, with and without xdist: a run has 1.5 GB, and a core to itself."""


@dataclass(frozen=True)
class Proven:
    """A certificate, and the folder with each backend's files, results and evidence."""

    certificate: Certificate
    folder: Path

    def evidence(self, name: str) -> Evidence:
        """What the probe saw of a run."""
        return read(self.folder / name / EVIDENCE)

    def model(self, name: str) -> Path:
        """The folder that a run saved its results in."""
        (folder,) = (self.folder / name).rglob("model")
        return folder

    def weights(self, name: str) -> dict[str, Any]:
        """What a run saved, by the names that the evidence has."""
        (file,) = self.model(name).glob("*model.safetensors")
        return {key.removeprefix("base_model.model."): v for key, v in load_file(file).items()}


DEVICE = os.environ.get("FTSPEC_TEST_DEVICE", "cpu")
"""`cuda`: the same proofs on a GPU."""
PLAIN = "version: 1\nmodel: m\ndata: rows.jsonl\n"
"""In the place of the spec of a pair, which is in its own files."""
KEEP = os.environ.get("FTSPEC_KEEP_PROOFS")
"""A folder in which each proof's certificate is kept, for `scripts/proven.py`."""


def keep(text: str, key: str) -> None:
    """Keep a certificate under the name of the test that asked for it; a test may ask for several."""
    if KEEP:
        asked = os.environ.get("PYTEST_CURRENT_TEST", "").split(" ")[0]
        words = asked.removeprefix("tests/real/test_").replace(".py::test_", "-")
        test = re.sub(r"[^\w-]+", "-", words).strip("-")
        Path(KEEP).mkdir(parents=True, exist_ok=True)
        (Path(KEEP) / f"{test}-{key[:4]}.json").write_text(text, "utf-8")


def keep_pair(name: str, original: str, port: str, certificate: Certificate) -> None:
    """Keep what the proof of a port says, in few lines, for docs/certificates/pairs."""
    if not KEEP:
        return
    (run,) = (run for run in certificate.runs.values() if run.conclusion != "reference")
    record = condensed(name, replace(certificate, spec=PLAIN))
    words = re.sub(r"\W+", "-", name).strip("-")
    folder = Path(KEEP) / "pairs"
    folder.mkdir(parents=True, exist_ok=True)
    found = {
        "pair": name,
        "original": original,
        "port": port,
        "date": record.date,
        "device": record.device,
        "verdict": certificate.verdict,
        "checks": {check.name: check.measured or check.verdict for check in run.checks},
        "versions": record.versions,
    }
    (folder / f"{words}.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def on(device: str) -> tuple[str, ...]:
    """The set that puts a proof elsewhere than on the CPU, which the quickstart names."""
    return () if device == "cpu" else (f"hardware.device={device}",)


class Lab:
    """Compiles, trains and compares below one folder, beside a copy of the shipped specs.

    Compiled files name model and data by relative paths, so the whole folder can be moved.
    """

    def __init__(self, base: Path) -> None:
        self.base = base
        self.specs = base / "specs"
        self.spec = self.specs / "quickstart.yaml"
        with FileLock(f"{base}.lock"):
            if not self.specs.exists():
                for part in ("tiny-model", "data"):
                    shutil.copytree(SPECS / part, base / "new" / part)
                shutil.copy(SPECS / "quickstart.yaml", base / "new")
                (base / "new").rename(self.specs)

    def prove(
        self,
        *sets: str,
        backends: Sequence[str] = BACKENDS,
        spec: Path | None = None,
        lossy: bool = False,
    ) -> Proven:
        """`ftspec verify` of a spec, or the quickstart's, with these sets; the same ones are proven once."""
        about = spec or self.spec
        folder = self.base / _key(*sets, *backends, *([about.name] if spec else []))
        with FileLock(f"{folder}.lock"):
            if not (folder / CERTIFICATE).exists():
                loaded, _ = effective(about, (*sets, *on(DEVICE)), None, folder)
                plans, refused = compile_all(loaded, backends, folder, allow_lossy=lossy)
                if "trl" in refused or len(plans) < 2:
                    raise next(iter(refused.values()))
                made = {
                    name: warmed(as_run(plan, ensure(load_backend(name), plan.lock())))
                    for name, plan in plans.items()
                }
                told = Spec(loaded.file.stem, loaded.digest, dump(loaded.spec))
                found = verify(made, "trl", told, folder, jobs=JOBS, threads=1)
                (folder / CERTIFICATE).write_text(to_json(found), "utf-8")
                keep(to_json(found), folder.name)
            return Proven(from_json((folder / CERTIFICATE).read_text("utf-8")), folder)

    def compiled(
        self, backend: str, folder: Path, *sets: str, quiet: bool = True, lossy: bool = False
    ) -> Run:
        """A compiled folder, ready to be trained from, or to be tampered with before.

        Not ``quiet``: checkpoints are saved as the sets say.
        """
        shutil.rmtree(folder, ignore_errors=True)
        loaded, _ = effective(self.spec, sets, None, folder)
        if not quiet:
            place = os.path.relpath(folder, self.specs)
            loaded = load(self.spec, (*sets, f"output.folder='{place}'"))
        plan = make_plan(loaded, backend, folder, lossy)
        write_plan(plan)
        return as_run(plan, ensure(load_backend(backend), plan.lock()))

    def compare(
        self, name: str, runs: Callable[[Path], Mapping[str, Run]], reference: str = "trl"
    ) -> Proven:
        """Train compiled folders and compare them with the reference's; done once for each name.

        ``runs`` compiles below the folder that it is given.
        """
        folder = self.base / name
        with FileLock(f"{folder}.lock"):
            if not (folder / CERTIFICATE).exists():
                spec = Spec(name, "", "")
                made = {name: warmed(run) for name, run in runs(folder).items()}
                found = verify(made, reference, spec, folder, jobs=JOBS, threads=1)
                (folder / CERTIFICATE).write_text(to_json(found), "utf-8")
            return Proven(from_json((folder / CERTIFICATE).read_text("utf-8")), folder)


def reload(lab: Lab, out: Path, folders: Sequence[Path]) -> None:
    """Load what runs saved by peft or transformers; `out` gets `0.safetensors` and so on."""
    place = ensure(load_backend("trl"))
    base = lab.specs / "tiny-model"
    environ = variables(place, {**os.environ})
    script = Path(__file__).with_name("reloaded.py")
    command = [interpreter(place, environ), script, base, out, *folders]
    subprocess.run(list(map(str, command)), env=environ, check=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped specs and data, to be added to."""
    folder = tmp_path_factory.mktemp("project") / "specs"
    shutil.copytree(SPECS, folder)
    return folder


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Lab:
    """One laboratory for the whole session, all of xdist's workers included."""
    own = tmp_path_factory.getbasetemp()
    base = (own if worker_id == "master" else own.parent) / "proofs"
    base.mkdir(exist_ok=True)
    return Lab(base)


def _key(*words: str) -> str:
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:12]


@pytest.fixture(scope="module")
def mixture(lab: Lab) -> Path:
    """A tiny mixture of experts, beside the specs."""
    folder = lab.base / "mixture"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            make_mixture(lab.specs / "tiny-model", folder)
    return folder


@pytest.fixture(scope="module")
def pictures(lab: Lab) -> Path:
    """A tiny model that reads images, and rows for it, beside the specs."""
    place = ensure(load_backend("trl"), "vision")
    target = lab.base / "seeing"
    with FileLock(f"{target}.lock"):  # two workers may ask for it at once
        if not target.exists():
            script = Path(__file__).with_name("seeing.py")
            write_pictures(lab.base / "pictures")
            write_parts(lab.base / "pictures")
            write_pairs(lab.base / "pictures")
            write_others(lab.base / "pictures")
            command = [
                interpreter(place, {}),
                script,
                lab.specs / "tiny-model",
                target,
                lab.base / "pictures",
            ]
            subprocess.run(list(map(str, command)), check=True)
    return lab.base / "pictures"
