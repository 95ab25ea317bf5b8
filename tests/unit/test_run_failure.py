"""From a log's end to one problem. The logs are torchrun's and deepspeed's own, shortened."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftspec.run.failure import cause, code_in_words, explain

TORCHRUN = """\
[rank0]: Traceback (most recent call last):
[rank1]: Traceback (most recent call last):
[rank1]: ValueError: row 3 has no labels
[rank0]: RuntimeError: [pair.cc:547] Connection closed by peer [127.0.0.1]:38030
W1121 21:25:22.411000 2510 elastic/multiprocessing/api.py:1012] Sending process
E1121 21:25:22.476000 2510 elastic/multiprocessing/api.py:986] failed (exitcode: 1)
Traceback (most recent call last):
    raise ChildFailedError(
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
============================================================
train.py FAILED
------------------------------------------------------------
Failures:
[1]:
  rank      : 0 (local_rank: 0)
  exitcode  : -15 (pid: 2530)
------------------------------------------------------------
Root Cause (first observed failure):
[0]:
  time      : 2026-11-21_21:25:22
  host      : localhost
  rank      : 1 (local_rank: 1)
  exitcode  : 1 (pid: 2531)
  error_file: <N/A>
============================================================"""
DEEPSPEED = """\
[rank0]: RuntimeError: [pair.cc:538] Read error [127.0.0.1]:23948: Connection reset by peer
[2026-11-21 21:28:56,117] [INFO] [launch.py:253:sigkill_handler] Killing subprocess 6077
[2026-11-21 21:28:56,192] [ERROR] [launch.py:259:sigkill_handler] ['python', '-u', 'train.py', \
'--local_rank=1'] exits with return code = -9"""
CHAIN = """\
[rank1]: huggingface_hub.errors.LocalEntryNotFoundError: Cannot find the requested files
[rank1]: The above exception was the direct cause of the following exception:
[rank1]: Traceback (most recent call last):
[rank1]: OSError: We couldn't connect to 'https://huggingface.co' to load the files
[rank1]: Check your internet connection

[rank1]: The above exception was the direct cause of the following exception:
[rank1]: OSError: Failed to load tokenizer.
subprocess.CalledProcessError: Command '['torchrun', '--nnodes', '1']' returned non-zero"""


def told(code: int, log: str, program: str = "torchrun") -> tuple[str, str]:
    problem = explain(code, log.splitlines(), Path("run/train.log"), [f"/bin/{program}", "x"])
    return problem.message, problem.hint


def test_the_first_failure_of_a_torchrun_is_named() -> None:
    message, hint = told(1, TORCHRUN)
    assert message == (
        "training failed: torchrun ended with exit code 1\n"
        "  [rank1]: ValueError: row 3 has no labels"
    )
    assert hint == "the whole log: run/train.log"


def test_a_killed_worker_is_not_blamed_on_its_peer() -> None:
    log = "\n".join(line for line in TORCHRUN.splitlines() if "ValueError" not in line)
    message, hint = told(1, log.replace("exitcode  : 1 ", "exitcode  : -9 "))
    assert message == (
        "training failed: torchrun ended with exit code 1; rank 1 was the first to fail, with "
        "exit code 137: killed (SIGKILL): often because memory ran out"
    )
    assert "micro_batch_size" in hint


def test_what_native_code_said_before_it_aborted_is_shown() -> None:
    said = (
        "terminate called after throwing an instance of 'gloo::EnforceNotMet'\n"
        "  what():  [enforce fail at pair.cc:446] op.preamble.length <= op.nbytes. 592 vs 4"
    )
    _, *others = (line for line in TORCHRUN.splitlines() if "ValueError" not in line)
    log = "\n".join([said, *others]).replace("exitcode  : 1 ", "exitcode  : -6 ")
    message, _ = told(1, log)
    assert "with exit code 134: aborted (SIGABRT)" in message
    assert message.endswith("\n".join(f"  {line}" for line in said.splitlines()))


def test_deepspeed_names_the_worker_in_its_own_way() -> None:
    message, hint = told(247, DEEPSPEED, "deepspeed")
    assert "rank 1 was the first to fail, with exit code 137" in message
    assert "reset by peer" not in message
    assert "micro_batch_size" in hint


def test_an_exception_comes_with_its_cause() -> None:
    message, hint = told(1, CHAIN, "llamafactory-cli")
    assert message.splitlines()[1:] == [
        "  [rank1]: OSError: We couldn't connect to 'https://huggingface.co' to load the files",
        "  [rank1]: OSError: Failed to load tokenizer.",
    ]
    assert hint.startswith("the hub cannot be reached")


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20 MiB",
            "micro_batch_size",
        ),
        ("RuntimeError: DefaultCPUAllocator: can't allocate memory", "micro_batch_size"),
        ("OSError: [Errno 28] No space left on device", "disk space"),
        ("ModuleNotFoundError: No module named 'mpi4py'", "env doctor"),
        (
            "ImportError: FlashAttention2 has been toggled on, but it cannot be used due to the following "
            "error: the package for FlashAttention2 doesn't seem to be installed.",
            "model.attention: sdpa",
        ),
        ("huggingface_hub.errors.GatedRepoError: 401 Client Error.", "HF_TOKEN"),
        ("RuntimeError: EADDRINUSE, address already in use", "again"),
    ],
)
def test_known_causes_have_a_remedy(line: str, remedy: str) -> None:
    message, hint = told(1, line)
    assert line in message
    assert remedy in hint


def test_without_an_exception_the_last_lines_are_shown() -> None:
    assert cause(["one", "", "two", "three", "four"]) == ["two", "three", "four"]
    assert cause([]) == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "exit code 1"),
        (-9, "exit code 137: killed (SIGKILL): often because memory ran out"),
        (134, "exit code 134: aborted (SIGABRT): an assertion in native code failed"),
        (140, "exit code 140: ended by SIGUSR2"),
        (250, "exit code 250"),
    ],
)
def test_codes(code: int, words: str) -> None:
    assert code_in_words(code) == words
