"""Variables of the environment: what a shell script or a launcher sets is what the Python script finds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ftspec.port.bring import Imported
from tests.port.conftest import Bring

Run = Callable[[str], Imported]
SCRIPT = """\
import os
from trl import SFTConfig, SFTTrainer
rounds = int(os.environ.get("ROUNDS", "3"))
share = 64 // int(os.environ.get("WORLD_SIZE", 1))
args = SFTConfig(output_dir="o", num_train_epochs=rounds, per_device_train_batch_size=1,
                 gradient_accumulation_steps=share, learning_rate=1e-4)
trainer = SFTTrainer(model=os.getenv("BASE", "org/base"), args=args, train_dataset="x")
trainer.train()
"""


@pytest.fixture
def run(read: Bring, tmp_path: Path) -> Callable[[str], Imported]:
    (tmp_path / "fit.py").write_text(SCRIPT)
    return lambda shell: read(shell, name="run.sh")


@pytest.mark.parametrize(
    ("shell", "rounds", "model"),
    [
        ("ROUNDS=7 python fit.py\n", 7, "org/base"),
        ("export BASE=org/other\nexport ROUNDS=5\npython fit.py\n", 5, "org/other"),
        ("ROUNDS=4\nexport ROUNDS BASE=org/x\npython fit.py\n", 4, "org/x"),
        ("ROUNDS=4\npython fit.py\n", 3, "org/base"),  # a variable of the shell alone
        ("export ROUNDS=4\nROUNDS=2 python fit.py\n", 2, "org/base"),
        ("export ROUNDS=6\nbash -c 'python fit.py'\n", 6, "org/base"),
    ],
)
def test_what_the_shell_sets_is_found(run: Run, shell: str, rounds: int, model: str) -> None:
    found = run(shell)
    assert (found.composed.spec.train.epochs, found.composed.spec.model.name) == (rounds, model)
    told = any("ROUNDS is taken to be not set" in one for one in found.notes)
    assert told is (rounds == 3)


@pytest.mark.parametrize(
    "shell",
    [
        "ROUNDS=$(cat rounds) python fit.py\n",
        "export ROUNDS=$1\npython fit.py\n",
        "export ROUNDS=2\nif a; then\nexport ROUNDS=4\nfi\npython fit.py\n",
        "ROUNDS=$1\nexport ROUNDS\npython fit.py\n",
        "for n in 1 2; do ROUNDS=$n python fit.py; done\n",
    ],
)
def test_what_only_the_shell_knows_is_asked_for(run: Run, shell: str) -> None:
    found = run(shell)
    assert any("num_train_epochs" in one for one in found.composed.open)
    assert not any("ROUNDS is taken to be" in one for one in found.notes)


@pytest.mark.parametrize(
    "start",
    [
        "torchrun --nproc_per_node=4",
        "accelerate launch --num_processes 4",
        "deepspeed --num_gpus 4",
        "WORLD_SIZE=2 torchrun --nproc_per_node=4",
    ],
)
def test_a_launcher_says_how_many_processes_there_are(run: Run, start: str) -> None:
    spec = run(f"{start} fit.py\n").composed.spec
    assert (spec.hardware.devices, spec.train.batch_size) == (4, 64)


def test_a_launcher_without_a_number_leaves_it_open(run: Run) -> None:
    found = run("accelerate launch fit.py\n")
    assert any("gradient_accumulation_steps" in one for one in found.composed.open)


def test_one_process_that_nobody_launches_is_told(run: Run) -> None:
    found = run("python fit.py\n")
    assert found.composed.spec.train.batch_size == 64
    assert any("WORLD_SIZE is taken to be not set" in one for one in found.notes)


HEAD = "import os\nfrom dotenv import load_dotenv\nfrom trl import SFTConfig, SFTTrainer\n"
SET = {
    "by its name": 'os.environ["S"] = "5"',
    "if it is not there": 'os.environ.setdefault("S", "5")',
    "beside others": 'os.environ.update(A="1", S="5")',
    "in a mapping": 'os.environ.update({"A": "1", "S": "5"})',
    "in a mapping that is made": "os.environ.update(settings())",
    "in one that is spread": 'os.environ.update({"A": "1", **settings()})',
    "by a sign": 'os.environ |= {"S": "5"}',
    "by a sign, from a mapping that is made": "os.environ |= settings()",
    "all": "os.environ = settings()",
    "by a name that is worked out": "for name in names():\n    os.environ[name] = '5'",
    "by a file": "load_dotenv()",
    "by a file of a name": "import dotenv\ndotenv.load_dotenv('.env')",
    "in a module beside it": "import own",
    "in a module that another takes": "from own import A",
}
"""The variable S."""
SET_LATER = {
    "taken away": 'del os.environ["S"]',
    "handed over": 'os.environ.pop("S", None)',
    "cleared": "os.environ.clear()",
    "by a file that holds": "load_dotenv(override=True)",
}


@pytest.mark.parametrize("name", [*SET, *SET_LATER])
@pytest.mark.parametrize("is_set", [False, True])
def test_what_a_script_sets_is_asked_for(
    read: Bring, tmp_path: Path, name: str, is_set: bool
) -> None:
    said = {**SET, **SET_LATER}[name]
    (tmp_path / "own.py").write_text('import os\nA = 1\nos.environ.update(S="5")\n')
    (tmp_path / "fit.py").write_text(
        f"{HEAD}{said}\nargs = SFTConfig(output_dir='o', seed=int(os.getenv('S', '4')))\n"
        "trainer = SFTTrainer(model='org/base', args=args, train_dataset='x')\ntrainer.train()\n"
    )
    found = read(f"{'S=7 ' * is_set}python fit.py\n", name="run.sh")
    asked = any("seed" in one for one in found.composed.open)
    noted = any("S is taken to be not set" in one for one in found.notes)
    kept = is_set and "file" in name and "holds" not in name
    gone = not is_set and name in ("taken away", "handed over", "cleared")
    assert (asked, noted) == (not (kept or gone), gone)


@pytest.mark.parametrize("name", ["HF_TOKEN", "WANDB_API_KEY", "LOCAL_RANK"])
def test_what_no_file_of_variables_decides_is_taken_to_be_not_set(read: Bring, name: str) -> None:
    text = f"{HEAD}load_dotenv()\nword = os.getenv('{name}')\n"
    assert any(f"{name} is taken" in one for one in read(text + SCRIPT, "fit.py").notes)
