"""Scripts are read by their syntax tree: what is certain is a value, the rest is foreign."""

from __future__ import annotations

import ast

import pytest

from ftspec.errors import SpecError
from ftspec.read.python import Calls
from ftspec.read.scripts.written import read_calls
from ftspec.read.text import Segments

NAMES = (
    "SFTConfig", "SFTTrainer", "load_dataset", "AutoModel.from_pretrained", "trainer.train",
    "os.environ", "torch.backends.cuda.matmul.allow_tf32",
)  # fmt: skip


def read(source: str) -> Calls:
    return read_calls(source, NAMES)


def test_a_whole_script() -> None:
    calls = read(
        '"""A script."""\n'
        "import os\n"
        "import torch as t\n"
        "from datasets import load_dataset\n"
        "from trl import SFTConfig as Config, SFTTrainer\n"
        "os.environ['WANDB_MODE'] = 'offline'\n"
        "t.backends.cuda.matmul.allow_tf32 = True\n"
        "RATE = -1e-4\n"
        "EXTRA = {'a': [1, (2,)]}\n"
        "model = AutoModel.from_pretrained('org/name', dtype=t.bfloat16)\n"
        "def main():\n"
        "    args = Config(learning_rate=RATE, extra=EXTRA, n=+1, **{'z': None}, s='a' 'b',\n"
        "        d=dict(x=1))\n"
        "    data = load_dataset('json', data_files='a.jsonl')['train']\n"
        "    trainer = SFTTrainer(model=model, args=args, train_dataset=data,\n"
        "        eval_dataset=load_dataset('json', split='b'))\n"
        "    trainer.train()\n"
        "if __name__ == '__main__':\n"
        "    main()\n"
    )
    assert calls.foreign == ()
    assert calls.values == {
        "os.environ.WANDB_MODE": "offline",
        "torch.backends.cuda.matmul.allow_tf32": True,
        "AutoModel.from_pretrained.0": "org/name",
        "AutoModel.from_pretrained.dtype": "torch.bfloat16",
        "SFTConfig.learning_rate": -1e-4,
        "SFTConfig.extra": {"a": [1, (2,)]},
        "SFTConfig.n": 1,
        "SFTConfig.z": None,
        "SFTConfig.s": "ab",
        "SFTConfig.d": {"x": 1},
        "load_dataset.0": "json",
        "load_dataset.data_files": "a.jsonl",
        "load_dataset#2.0": "json",
        "load_dataset#2.split": "b",
    }


@pytest.mark.parametrize(
    ("source", "line", "text"),
    [
        ("SFTConfig(a=f())", 1, "SFTConfig.a = f()"),
        ("\nSFTConfig(a=2**3)", 2, "SFTConfig.a = 2**3"),
        ("SFTConfig(a=f'{x}')", 1, "SFTConfig.a = f'{x}'"),
        ("SFTConfig(a=x)", 1, "SFTConfig.a = x"),
        ("SFTConfig(a=not True)", 1, "SFTConfig.a = not True"),
        ("SFTConfig(a=b'x')", 1, "SFTConfig.a = b'x'"),
        ("SFTConfig(a={1: 2})", 1, "SFTConfig.a = {1: 2}"),
        ("SFTConfig(a={'x': 1, 'x': 2})", 1, "SFTConfig.a = {'x': 1, 'x': 2}"),
        ("SFTConfig(a={**x})", 1, "SFTConfig.a = {**x}"),
        ("SFTConfig(a=os.path.sep)", 1, "SFTConfig.a = os.path.sep"),
        ("SFTConfig(**x)", 1, "**x"),
        ("SFTConfig(*x)", 1, "SFTConfig.0 = *x"),
        ("SFTConfig(a=1, **{'a': 2})", 1, "**{'a': 2}"),
        ("SFTConfig(a=(b := 1))", 1, "SFTConfig.a = b := 1"),
        ("X = 1\nX = 2\nSFTConfig(a=X)", 3, "SFTConfig.a = X"),
        ("X = 1\ndef f(X): pass\nSFTConfig(a=X)", 3, "SFTConfig.a = X"),
        ("X = 1\nfor X in y: pass\nSFTConfig(a=X)", 3, "SFTConfig.a = X"),
        ("X = 1\ndel X\nSFTConfig(a=X)", 3, "SFTConfig.a = X"),
        ("X = 1\nimport X\nSFTConfig(a=X)", 3, "SFTConfig.a = X"),
        ("X = [1]\nX.append(2)\nSFTConfig(a=X)", 3, "SFTConfig.a = X"),
        ("if x: SFTConfig(a=1)", 1, "if x: SFTConfig(a=1)"),
        ("for i in x: SFTConfig(a=1)", 1, "for i in x: SFTConfig(a=1)"),
        ("def f(): SFTConfig(a=1)", 1, "def f(): SFTConfig(a=1)"),
        ("def main(): SFTConfig(a=1)", 1, "def main(): SFTConfig(a=1)"),
        ("def main(a=1): SFTConfig(a=1)\nmain()", 1, "def main(a=1): SFTConfig(a=1)"),
        ("class A: SFTConfig(a=1)", 1, "class A: SFTConfig(a=1)"),
        ("print('x')", 1, "print('x')"),
        ("import os; os.system('x')", 1, "os.system('x')"),
        ("args.a = 1", 1, "args.a = 1"),
        ("os.environ[x] = '1'", 1, "os.environ[x] = '1'"),
        ("os.environ['a'] = '1'\nos.environ['a'] = '2'", 2, "os.environ['a'] = '2'"),
        ("a = b = 1", 1, "a = b = 1"),
        ("x += 1", 1, "x += 1"),
        ("data = load_dataset('a').map(f)", 1, "data = load_dataset('a').map(f)"),
        ("with x: pass", 1, "with x: pass"),
        ("dict = f\nSFTConfig(a=dict(b=1))", 2, "SFTConfig.a = dict(b=1)"),
    ],
)
def test_what_is_not_certain_is_foreign(source: str, line: int, text: str) -> None:
    assert (line, text) in read(source).foreign
    assert "SFTConfig.a" not in read(source).values or "**" in text


def test_nothing_is_executed(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    read("print('seen')\nSFTConfig(a=print('seen'))\nraise SystemExit\nimport antigravity\n")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("a =", 1), ("\n\nx = (", 3), ("'", 1), ("a\x00", 0), ("(" * 5000, 0), ("a" * (2 << 20), 0),
        ("\ud800", 0), ("x = " + "9" * 5000, 1), ("-" * 100_000 + "1", 0), ("x\n  y", 2),
    ],
)  # fmt: skip
def test_what_is_not_python(source: str, line: int) -> None:
    with pytest.raises(SpecError) as caught:
        read(source)
    assert not line or caught.value.problems[0].line == line


def test_odd_escapes_do_not_warn() -> None:
    assert read("SFTConfig(a='\\d')").values == {"SFTConfig.a": "\\d"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_text_of_a_node_is_what_python_says(end: str) -> None:
    source = end.join(
        ("a = 'é' + f(", "  'ü',\x0c b='😀')", "if a: b = '''x", "y'''; c = 1", "d = 2")
    )
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt | ast.expr)]
    text = Segments(source)
    assert len(nodes) > 10
    for node in nodes:
        assert text.of(node) == ast.get_source_segment(source, node)
