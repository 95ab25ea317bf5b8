"""Scripts of people are followed: what is certain is a value, the rest is foreign."""

from __future__ import annotations

import ast

import pytest

from ftspec.read.python import Calls
from ftspec.read.scripts.read import read_script
from ftspec.read.scripts.scopes import bindings, bound_in
from ftspec.read.scripts.wanted import Wanted

CALLS = ("SFTConfig", "SFTTrainer", "AutoModel.from_pretrained", "load_dataset", "get_peft_model")


def read(source: str, **arguments: object) -> Calls:
    known = {"is_bf16_supported": True, "cuda.get_device_capability": (8, 0)}
    return read_script(source, Wanted(CALLS, CALLS, known, arguments, ("get_peft_model",)))


@pytest.mark.parametrize(
    ("before", "expression", "value"),
    [
        ("a, b = 1, 'x'", "a", 1),
        ("a = b = 2", "b", 2),
        ("a = 1\na = 2", "a", 2),
        ("a = 1\na += 2", "a", 3),
        ("C = {'a': {'b': [1, 2]}}", "C['a']['b'][1]", 2),
        ("C = {'a': 1}", "C.get('z', 4)", 4),
        ("", "1 if torch.cuda.is_bf16_supported() else 2", 1),
        ("major, _ = torch.cuda.get_device_capability()", "major >= 8", True),
        ("name = 'org/model-7b'", "f\"out/{name.split('/')[-1]}\"", "out/model-7b"),
        ("name = 'llama'", "'ll' in name and not False", True),
        ("from pathlib import Path\nout = Path('a')", "out / 'b'", "a/b"),
        ("import os", "os.path.join('a', 'b')", "a/b"),
        ("import os", "int(os.environ.get('N', '3'))", 3),
        ("", "getattr(torch, 'bfloat16')", "torch.bfloat16"),
        ("from peft import TaskType", "TaskType.CAUSAL_LM", "CAUSAL_LM"),
        ("from transformers import IntervalStrategy", "IntervalStrategy.STEPS", "steps"),
        ("class C:\n    a = 1\n    b: int = 2", "C.a + C.b", 3),
        (
            "@dataclass\nclass C:\n    a: list = field(default_factory=lambda: [1])\nc = C()",
            "c.a",
            [1],
        ),
        ("class C:\n    def __init__(self):\n        self.a = 5\nc = C()", "c.a", 5),
        ("@dataclass\nclass C:\n    a: int = 2\nc = C(a=3)", "c.a", 3),
        ("if 1 > 2:\n    a = 1\nelse:\n    a = 2", "a", 2),
        ("try:\n    a = 1\nexcept Exception as e:\n    raise", "a", 1),
        ("with open('x') as f:\n    a = 1", "a", 1),
        ("a = load_dataset('x')", "1 if a is not None else 2", 1),
        ("a = {}\na['x'] = 2", "a['x']", 2),
    ],
)
def test_what_is_certain(before: str, expression: str, value: object) -> None:
    calls = read(f"{before}\nSFTConfig(x={expression})\n")
    assert calls.values["SFTConfig.x"] == value
    assert calls.foreign == ()


@pytest.mark.parametrize(
    ("before", "expression"),
    [
        ("for a in rows:\n    pass", "a"),
        ("a = 1\nif x:\n    a = 2", "a"),
        ("a = 1\nfor i in rows:\n    a += 1", "a"),
        ("a = 1\ndef f():\n    global a\n    a = 2", "a"),
        ("a = [1]\na.append(2)", "a"),
        ("a = {}\nif b:\n    a['x'] = 2", "a['x']"),
        ("a = 1\nprint(a := 2)", "a"),
        ("try:\n    a = 1\nexcept ImportError:\n    a = 2", "a"),
        ("class C:\n    a = 1\nC.a = 2", "C.a"),
        ("class C(Base):\n    a = 1", "C.a"),
        ("class C:\n    a = 1\nc = C()\nsetattr(c, 'a', 3)", "c.a"),
        ("@dataclass\nclass C:\n    a: int", "C().a"),
        ("", "unbound"),
        ("def f():\n    return 1", "f()"),
        ("a = 1\ndel a", "a"),
        ("", "'a' * 10**9"),
        ("", "1 / 0"),
        ("int = str", "int('3')"),
        ("", "getattr(torch, 'no such')"),
        ("import os\nos.environ['N'] = '4'", "os.environ.get('N', '3')"),
        ("a = load_dataset('x')", "1 if a < None else 2"),
        ("a = load_dataset('x')", "1 if a in None else 2"),
    ],
)
def test_what_is_not(before: str, expression: str) -> None:
    calls = read(f"{before}\nSFTConfig(x={expression})\n")
    assert "SFTConfig.x" not in calls.values
    assert calls.foreign


def test_functions_are_read_where_they_are_called() -> None:
    calls = read(
        "RATE = 1e-4\n"
        "def config(out, steps=3, *, rate):\n    length = 5\n"
        "    return SFTConfig(out, max_steps=steps, learning_rate=rate, max_length=length)\n"
        "def model_of(name):\n    model = AutoModel.from_pretrained(name)\n    return model\n"
        "def main(name='org/model'):\n"
        "    model = model_of(name)\n    model = get_peft_model(model)\n"
        "    trainer = SFTTrainer(model=model, args=config('out', rate=RATE))\n    trainer.train()\n"
        "def unused():\n    SFTConfig(max_steps=7)\n"
        "if __name__ == '__main__':\n    main()\n"
    )
    assert calls.foreign == ()
    assert calls.values == {
        "AutoModel.from_pretrained.0": "org/model",
        "SFTConfig.0": "out",
        "SFTConfig.max_steps": 3,
        "SFTConfig.learning_rate": 1e-4,
        "SFTConfig.max_length": 5,
    }
    assert calls.origins["SFTTrainer.model"] == "AutoModel.from_pretrained"
    assert calls.origins["SFTTrainer.args"] == "SFTConfig"
    assert [line for line, _ in calls.starts] == [12]


def test_what_runs_before_a_training_counts_wherever_it_stands() -> None:
    calls = read(
        "def main(length):\n    trainer = SFTTrainer(args=SFTConfig(max_length=length))\n"
        "    trainer.train()\n    after()\n"
        "before()\nmain(3)\n"
    )
    (start,) = calls.starts
    assert [text for _, text in calls.foreign[: start[1]]] == ["before()"]
    assert [text for _, text in calls.foreign[start[1] :]] == ["after()"]


ARGUMENTS = (
    "import argparse\ndef options():\n    parser = argparse.ArgumentParser()\n"
    "    parser.add_argument('--lr', type=float, default='1e-4')\n"
    "    parser.add_argument('--max-steps', '-m', type=int, default=5)\n"
    "    parser.add_argument('--model', required=True)\n"
    "    parser.add_argument('--bf16', action='store_true')\n"
    "    parser.add_argument('--targets', nargs='+', default=['q'])\n"
    "    return parser.parse_args()\nargs = options()\n"
    "SFTConfig(rate=args.lr, steps=args.max_steps, bf16=args.bf16, to=args.targets, name=args.model)\n"
)


def test_arguments_have_their_defaults() -> None:
    calls = read(ARGUMENTS)
    assert calls.values == {
        "SFTConfig.rate": 1e-4, "SFTConfig.steps": 5, "SFTConfig.bf16": False, "SFTConfig.to": ["q"],
    }  # fmt: skip
    assert calls.foreign == ((11, "SFTConfig.name = args.model"),)
    assert any("default" in text for _, text in calls.taken)


def test_arguments_of_a_command_line() -> None:
    calls = read(ARGUMENTS, lr="2e-5", model="org/model", bf16=True, targets=["k", "v"], other="1")
    assert calls.values == {
        "SFTConfig.rate": 2e-5, "SFTConfig.steps": 5, "SFTConfig.bf16": True, "SFTConfig.to": ["k", "v"],
        "SFTConfig.name": "org/model",
    }  # fmt: skip
    assert calls.words == {"lr", "model", "bf16", "targets"}
    assert calls.taken == ()


def test_arguments_of_a_dataclass() -> None:
    script = (
        "@dataclass\nclass A:\n    rate: Optional[float] = field(default=2e-4, metadata={})\n"
        "    few: bool = True\nparser = HfArgumentParser(A)\n"
        "args = parser.parse_args_into_dataclasses()[0]\nSFTConfig(rate=args.rate, few=args.few)\n"
    )
    assert read(script).values == {"SFTConfig.rate": 2e-4, "SFTConfig.few": True}
    assert read(script, rate="1", few="False").values == {
        "SFTConfig.rate": 1.0,
        "SFTConfig.few": False,
    }


def test_a_config_that_is_changed_after_it_was_made() -> None:
    calls = read("args = SFTConfig(a=1)\nargs.b = 2\nsetattr(args, 'a', 3)\nargs.c = unknown\n")
    assert calls.values == {"SFTConfig.a": 3, "SFTConfig.b": 2}
    assert calls.foreign == ((4, "args.c = unknown"),)


def test_the_statements_of_a_condition() -> None:
    calls = read("if x:\n    print(1)\n    for a in b:\n        go(a)\nelse:\n    pass\n")
    assert calls.parts == {1: ("print(1)", "go(a)")}
    assert [line for line, _ in calls.foreign] == [1]


@pytest.mark.parametrize(
    ("before", "expression"),
    [
        ("a = 1\nif b:\n    from c import a", "a"),
        ("class C:\n    a = 1\nif b:\n    class C:\n        a = 2", "C.a"),
    ],
)
def test_what_a_condition_binds_anew(before: str, expression: str) -> None:
    script = f"{before}\nSFTConfig(x={expression})\n"
    calls = read_script(script, Wanted(CALLS, CALLS, {}, {}, valued=("SFTConfig",)))
    assert calls.values == {}
    assert calls.foreign


def test_a_function_that_a_condition_defines_anew() -> None:
    calls = read(
        "def f():\n    return SFTConfig(a=1)\nif x:\n    def f():\n        return SFTConfig(a=2)\nf()\n"
    )
    assert calls.values == {}
    assert calls.foreign == ((6, "f()"),)


def test_a_config_of_hydra_that_is_a_list() -> None:
    script = (
        "import hydra\n@hydra.main(config_path='.', config_name='c')\ndef main(cfg):\n"
        "    SFTConfig(a=cfg.a)\nmain()\n"
    )
    calls = read_script(script, Wanted(CALLS, CALLS, {}, {}, files=lambda _name, _dialect: [1]))
    assert calls.foreign == ((5, "main()"),)


def test_a_function_of_itself_comes_to_an_end() -> None:
    calls = read("def f(n):\n    SFTConfig(n=n)\n    f(n)\nf(1)\n")
    assert calls.values["SFTConfig.n"] == 1
    assert calls.foreign


def test_a_function_that_gives_back_several() -> None:
    calls = read(
        "def both(name):\n    first = AutoModel.from_pretrained('a')\n"
        "    model = AutoModel.from_pretrained(name)\n"
        "    return model, load_dataset('rows'), 5\n"
        "model, rows, steps = both('b')\n"
        "SFTTrainer(model=model, train_dataset=rows, args=SFTConfig(max_steps=3))\n"
    )
    assert calls.foreign == ()
    assert calls.origins["SFTTrainer.model"] == "AutoModel.from_pretrained#2"
    assert calls.origins["SFTTrainer.train_dataset"] == "load_dataset"


def test_a_trainer_that_is_made_and_trains_at_once() -> None:
    calls = read("SFTTrainer(model='a', args=SFTConfig(n=1)).train()\nafter()\n")
    assert calls.values == {"SFTTrainer.model": "a", "SFTConfig.n": 1}
    assert calls.starts == ((1, 0),)


def test_functions_that_call_many_others_are_followed_for_a_while() -> None:
    deep = "".join(
        f"def f{n}():\n    f{n + 1}()\n    f{n + 1}()\n    f{n + 1}()\n" for n in range(11)
    )
    calls = read(deep + "def f11():\n    SFTConfig(a=1)\nf0()\n")
    assert calls.values["SFTConfig.a"] == 1
    assert len(calls.made) == 1


def test_what_a_match_catches_is_bound() -> None:
    source = "match a:\n    case {'x': 1, **rest}:\n        pass\n    case [first, *others]:\n        pass\n"
    assert sorted(bindings(ast.parse(source))) == ["first", "others", "rest"]
    assert sorted(bound_in(ast.parse(source).body)) == ["first", "others", "rest"]
