"""YAML in upstream's sections, the same to every reader; JSON in the order given."""

from __future__ import annotations

import math

import pytest

from ftspec.emit import json as emit_json
from ftspec.emit.yaml import dump, is_plain_word
from ftspec.errors import UnsupportedError
from ftspec.read import yaml as read_yaml

FLOATS = [
    1e-4,
    1e-5,
    1e22,
    1.5e-300,
    0.1,
    -1e-9,
    5e-324,
    1e16,
    1.7976931348623157e308,
    3.0,
    0.0,
    123456789.0,
]


def test_sections_look_like_upstream() -> None:
    text = dump(
        [
            ("model", {"model_name_or_path": "Qwen/Qwen2.5-0.5B", "trust_remote_code": False}),
            ("nothing", {}),
            ("method", {"stage": "sft", "lora_target": "all", "lora_dropout": None}),
            (
                "train",
                {"learning_rate": 1e-5, "seed": 42, "betas": (0.9, 0.999), "extra": {"a": []}},
            ),
        ],
        head="compiled from quickstart",
    )
    assert text == (
        "# compiled from quickstart\n\n"
        "### model\nmodel_name_or_path: Qwen/Qwen2.5-0.5B\ntrust_remote_code: false\n\n"
        "### method\nstage: sft\nlora_target: all\nlora_dropout: null\n\n"
        "### train\nlearning_rate: 1.0e-05\nseed: 42\nbetas:\n- 0.9\n- 0.999\nextra:\n  a: []\n"
    )


def ruamel(text: str, version: tuple[int, int]) -> object:
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.version = version
    return yaml.load(text)


@pytest.mark.parametrize("number", FLOATS)
def test_a_float_is_a_float_in_every_version(number: float) -> None:
    text = dump([("x", {"a": number})])
    for back in (read_yaml.read(text), ruamel(text, (1, 1)), ruamel(text, (1, 2))):
        assert back == {"a": number}
        assert type(back["a"]) is float  # type: ignore[index]


def test_floats_for_pyyaml() -> None:
    yaml = pytest.importorskip("yaml")
    values = {f"k{n}": number for n, number in enumerate(FLOATS)}
    back = yaml.safe_load(dump([("x", values)]))
    assert back == values
    assert {type(number) for number in back.values()} == {float}


@pytest.mark.parametrize("text", ["${a}", "a ${", "\\${a}", "${oc.env:HOME}"])
@pytest.mark.parametrize(
    "place", [lambda t: t, lambda t: [t], lambda t: {"a": (t,)}, lambda t: {t: 1}]
)
def test_what_omegaconf_would_interpret_is_refused(text: str, place: object) -> None:
    with pytest.raises(UnsupportedError, match="OmegaConf"):
        dump([("x", {"prompt": place(text)})])  # type: ignore[operator]


def test_words_that_need_no_quotes() -> None:
    for word in ("sft", "all-linear", "org/name", "Qwen2.5-0.5B", "a.b", "train.py"):
        assert is_plain_word(word)
    for word in (
        "no",
        "Y",
        "null",
        "1e4",
        "nan",
        "e 3",
        "a:",
        "a: b",
        "-",
        "a#",
        "a #",
        "",
        "a.",
        "./a",
        "é",
        "a,b",
        "a\n",
    ):
        assert not is_plain_word(word)


def test_what_is_not_a_setting_is_refused() -> None:
    for values in (
        {"a b": 1},
        {"1": 1},
        {"": 1},
        {"a": math.nan},
        {"a": math.inf},
        {"a": {1: 2}},
        {"a": b"x"},
    ):
        with pytest.raises(UnsupportedError):
            dump([("x", values)])
    with pytest.raises(UnsupportedError, match="twice"):
        dump([("x", {"a": 1}), ("y", {"a": 1})])


def test_the_same_value_twice_has_no_anchor() -> None:
    shared = ["x"]
    assert "&" not in dump([("x", {"a": shared, "b": shared})])


def test_json() -> None:
    assert emit_json.dump({"b": (1, 2.5), "a": "é", "n": None}) == (
        '{\n  "b": [\n    1,\n    2.5\n  ],\n  "a": "\\u00e9",\n  "n": null\n}\n'
    )
    for value in (math.nan, {"a": math.inf}, {1: 2}, {None: 1}, {True: 1}, b"x", {"a": {1}}):
        with pytest.raises(UnsupportedError):
            emit_json.dump(value)
