"""Native values -> train.py, ds_config.json, launch.sh, requirements.txt; and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ftspec.backend import File, Job
from ftspec.families.objectives.scored import reward_files
from ftspec.families.scripts.script import SCRIPT, companions, template_file
from ftspec.families.scripts.trl_script import emit_trl, read_trl
from ftspec.families.trainers import argument
from ftspec.families.training.launch import SEQUENCES, torchrun
from ftspec.families.training.zero import ENGINE, engine_text, read_engine
from ftspec.mapping import Flat
from ftspec.read.shell import read as read_shell
from ftspec_deepspeed import sequences

TITLE = "DeepSpeed"


def launch(native: Flat) -> Sequence[str]:
    """argv: torchrun even for one process, because DeepSpeed asks MPI where nobody set a rank."""
    return torchrun(native, SCRIPT, always=True)


def environment(native: Flat) -> Mapping[str, str]:
    """On a CPU the engine must be told: it looks for an accelerator first."""
    engine = {"DS_ACCELERATOR": "cpu"} if argument(native, "use_cpu") else {}
    return {**engine, **sequences.environment(native)}


def emit(native: Flat, job: Job) -> Sequence[File]:
    """The files of one run."""
    return [
        emit_trl(native, job, TITLE),
        File.text(ENGINE, engine_text(native)),
        *template_file(native),
        *reward_files(native, job),
        *companions(job, TITLE, launch(native), environment(native)),
    ]


def read(written: Sequence[File]) -> Flat:
    """Native values of an emitted folder; nothing is executed."""
    (engine,) = (file for file in written if file.path == ENGINE)
    native = dict(read_trl(written))
    (script,) = (file for file in written if file.path == "launch.sh")
    _argv, environ = read_shell(script.content.decode())
    native[SEQUENCES] = int(environ.get(sequences.SIZE, 1))
    native |= read_engine(engine.content.decode())
    return native
