"""launch(): output, secrets, exit codes, and what happens when the log cannot be written."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from ftspec.errors import OutputError, RunError
from ftspec.run.launch import launch
from ftspec.run.signals import Terminated


def run(
    code: str, folder: Path, environ: dict[str, str] | None = None, log: Path | None = None
) -> list[str]:
    lines: list[str] = []
    done = launch(
        [sys.executable, "-c", code],
        folder,
        {**os.environ, **(environ or {})},
        log or folder / "log",
        on_line=lines.append,
    )
    assert done == 0
    return lines


def failure(code: str, folder: Path) -> tuple[str, str]:
    with pytest.raises(RunError) as caught:
        run(code, folder)
    (problem,) = caught.value.problems
    return problem.message, problem.hint


def test_both_streams_reach_the_log_and_the_caller(tmp_path: Path) -> None:
    code = "import sys; print('out', flush=True); print('err', file=sys.stderr)"
    assert run(code, tmp_path) == ["out", "err"]
    assert (tmp_path / "log").read_text() == "out\nerr\n"


def test_progress_bars_leave_their_last_state(tmp_path: Path) -> None:
    code = r"print('\r 0%|  | 0/2', end=''); print('\r100%|##| 2/2 [00:01<00:00]'); print('end')"
    assert run(code, tmp_path) == ["100%|##| 2/2 [00:01<00:00]", "end"]


def test_states_of_a_bar_are_seen_while_it_moves(tmp_path: Path) -> None:
    code = "import time\nfor n in range(3): print(f'\\r{n}/2', end='', flush=True); time.sleep(.15)"
    states: list[str] = []
    launch(
        [sys.executable, "-c", code],
        tmp_path,
        os.environ,
        tmp_path / "log",
        on_bar=states.append,
    )
    assert states[:2] == ["0/2", "1/2"]


def test_bytes_that_are_no_text_do_not_stop_the_run(tmp_path: Path) -> None:
    code = r"import sys; sys.stdout.buffer.write(b'\xff\xfe bad \x1b[31mred\x1b[0m\n')"
    assert run(code, tmp_path) == ["\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER} bad red"]


def test_secrets_never_reach_log_or_caller(tmp_path: Path) -> None:
    names = ["HF_TOKEN", "WANDB_API_KEY", "MY_SECRET", "DB_PASSWORD", "CLOUD_CREDENTIAL", "api_key"]
    environ = {name: f"canary-{name.lower()}-value" for name in names}
    environ["PEM_KEY"] = "-----BEGIN-----\ncanary-second-line\n-----END-----"
    code = "import os\nfor name, value in os.environ.items(): print(name, '=', value)"
    lines = run(code + "\nprint('\\r' + os.environ['HF_TOKEN'])", tmp_path, environ)
    text = "\n".join(lines) + (tmp_path / "log").read_text()
    assert "canary" not in text
    assert "HF_TOKEN = [HF_TOKEN]" in text


def test_secrets_do_not_reach_the_error(tmp_path: Path) -> None:
    code = "import os; raise ValueError('bad token ' + os.environ['HF_TOKEN'])"
    with pytest.raises(RunError) as caught:
        run(code, tmp_path, {"HF_TOKEN": "canary-token"})
    assert "bad token [HF_TOKEN]" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_the_exception_is_in_the_error(tmp_path: Path) -> None:
    message, hint = failure("raise ValueError('no such column: text')", tmp_path)
    assert "ended with exit code 1" in message
    assert message.endswith("ValueError: no such column: text")
    assert str(tmp_path / "log") in hint


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "import os; os.kill(os.getpid(), 9)",
            "137: killed (SIGKILL): often because memory ran out",
        ),
        ("import os; os.kill(os.getpid(), 11)", "139: crashed in native code (SIGSEGV)"),
        ("import os; os.kill(os.getpid(), 10)", "138: ended by SIGUSR1"),
        ("import sys; sys.exit(3)", "exit code 3"),
    ],
)
def test_exit_codes_in_words(tmp_path: Path, code: str, words: str) -> None:
    assert words in failure(code, tmp_path)[0]


def test_memory_is_named_with_its_remedy(tmp_path: Path) -> None:
    assert "micro_batch_size" in failure("import os; os.kill(os.getpid(), 9)", tmp_path)[1]
    assert "micro_batch_size" in failure("raise MemoryError('cannot allocate')", tmp_path)[1]


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="127: the program was not found") as caught:
        launch(["no-such-launcher"], tmp_path, os.environ, tmp_path / "log")
    assert "env doctor" in caught.value.problems[0].hint


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be started"):
        launch([sys.executable, "-V"], tmp_path / "gone", os.environ, tmp_path / "log")


def test_a_log_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        run("print()", tmp_path, log=tmp_path / "file" / "log")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_costs_the_log_and_not_the_training(tmp_path: Path) -> None:
    code = f"print('one'); print('two'); open({str(tmp_path / 'result')!r}, 'w').write('trained')"
    lines = run(code, tmp_path, log=Path("/dev/full"))
    told = "ftspec: the log breaks off here (No space left on device); the training goes on"
    assert lines == [told, "one", "two"]
    assert (tmp_path / "result").read_text() == "trained"


def test_arguments_reach_the_program_as_they_are(tmp_path: Path) -> None:
    words = ["a b", "$HOME", "`id`", "'\"", "{python}", "*", ""]
    lines: list[str] = []
    code = "import sys; print(sys.argv[1:])"
    argv = [sys.executable, "-c", code, *words]
    launch(argv, tmp_path, os.environ, tmp_path / "log", on_line=lines.append)
    assert lines == [str(words)]


def test_nothing_can_be_read_from_standard_input(tmp_path: Path) -> None:
    assert run("import sys; print(repr(sys.stdin.read()))", tmp_path) == ["''"]


def test_another_thread_can_end_it(tmp_path: Path) -> None:
    cancel, raised = threading.Event(), []

    def work() -> None:
        try:
            argv = [sys.executable, "-c", "import time; time.sleep(30)"]
            launch(argv, tmp_path, os.environ, tmp_path / "log", cancel=cancel)
        except Terminated as interrupt:
            raised.append(interrupt.code)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.3)
    begun = time.monotonic()
    cancel.set()
    thread.join(5)
    assert raised == [143]
    assert time.monotonic() - begun < 2


def test_an_error_in_a_callback_ends_the_run(tmp_path: Path) -> None:
    def fail(line: str) -> None:
        raise ZeroDivisionError(line)

    code = "import time; print('x', flush=True); time.sleep(30)"
    begun = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        launch([sys.executable, "-c", code], tmp_path, os.environ, tmp_path / "log", fail)
    assert time.monotonic() - begun < 5


def test_a_writer_that_floods_the_pipe(tmp_path: Path) -> None:
    lines = run("for n in range(20000): print('line', n)", tmp_path)
    assert lines[-1] == "line 19999"
    assert len((tmp_path / "log").read_text().splitlines()) == 20000


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGPIPE])
def test_no_signal_is_ignored_because_ftspec_ignores_it(tmp_path: Path, number: int) -> None:
    # `ftspec run &` ignores some, Python others, and what is ignored stays so through exec.
    before = signal.signal(number, signal.SIG_IGN)
    lines: list[str] = []
    try:
        argv = ["grep", "SigIgn", "/proc/self/status"]
        launch(argv, tmp_path, os.environ, tmp_path / "log", on_line=lines.append)
    finally:
        signal.signal(number, before)
    assert not int(lines[0].split()[1], 16) & 1 << number - 1
