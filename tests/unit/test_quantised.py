"""A base in few bits: the words for it, what follows from it, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ftspec.errors import SpecError, UnsupportedError
from ftspec.plan.make import make_plan
from ftspec.plan.resolve import resolve
from ftspec.spec.load import Loaded, loads
from ftspec.verify.probe import values

DATA = "data: {overflow: error, train: {path: a.jsonl, format: messages}}\n"
BASE = f"model: org/name\n{DATA}"
CPU = "hardware: {device: cpu}\n"


def held(text: str, *sets: str) -> tuple[str, dict[str, Any] | None]:
    spec = loads(text, sets=sets).spec
    quantization = spec.model.quantization
    return spec.method.tuner.type, None if quantization is None else quantization.model_dump()


NF4 = {"type": "nf4", "double": True, "storage": None, "experts": False}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BASE + "method: qlora", NF4),
        (BASE + "method: {tuner: qlora}", NF4),
        (BASE + "method: {tuner: {type: qlora, rank: 4}}", NF4),
        (f"{DATA}model: {{name: x}}\nmethod: qlora", NF4),
        (f"{DATA}model: {{name: x, quantization: int8}}\nmethod: qlora", {**NF4, "type": "int8"}),
        (
            f"{DATA}model: {{name: x, quantization: {{double: false}}}}\nmethod: qlora",
            {**NF4, "double": False},
        ),
        (f"{DATA}model: {{name: x, quantization: fp4}}\nmethod: lora", {**NF4, "type": "fp4"}),
        (BASE + "method: lora", None),
    ],
)
def test_the_word_stands_for_a_tuner_and_a_base(text: str, expected: Any) -> None:
    assert held(text) == ("lora", expected)


def test_the_word_goes_when_a_set_replaces_it() -> None:
    assert held(BASE + "method: qlora", "method=lora") == ("lora", None)
    assert held(BASE, "method.tuner.type=qlora") == ("lora", NF4)
    assert held(BASE + "method: qlora", "model.quantization=int8")[1] == {**NF4, "type": "int8"}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("model: {name: x, quantization: null}\nmethod: qlora\n", 1, "null says that it is none"),
        ("model:\n  name: x\n  quantization: {type: int8, double: true}\n", 3, "no effect"),
        ("model: x\nmethod:\n  tuner:\n    type: qlora\n    rank: no\n", 5, "a whole number"),
        ("model: x\nmethod:\n  tuner:\n    type: qlora\n    bits: 4\n", 5, "`bits` is not a field"),
        ("model: {name: x, quantization: int3}\n", 1, "`nf4`, `fp4` or `int8`"),
    ],
)
def test_mistakes_keep_their_lines(text: str, line: int, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        loads(text + DATA)
    (problem,) = caught.value.problems
    assert (problem.line, words in problem.message) == (line, True), problem.message


def decided(text: str) -> dict[str, tuple[Any, str]]:
    values = resolve(loads(text)).values
    return {path: (value.value, value.origin) for path, value in values.items()}


@pytest.mark.parametrize(
    ("compute", "dtype"), [("fp32", "float32"), ("bf16", "bfloat16"), ("fp16", "float16")]
)
def test_types_follow_from_the_arithmetic(compute: str, dtype: str) -> None:
    values = decided(f"{BASE}method: qlora\nprecision: {compute}\n")
    assert values["derived.unpacked_dtype"] == (dtype, "derived")
    assert values["model.quantization.storage"] == (dtype, "derived")


def test_int8_has_no_constants_to_quantise() -> None:
    values = decided(f"{DATA}model: {{name: x, quantization: int8}}\n")
    assert values["model.quantization.double"] == (False, "derived")
    assert values["model.quantization.storage"][0] is None
    assert "derived.unpacked_dtype" not in values
    said = decided(f"{DATA}model: {{name: x, quantization: {{type: int8, double: false}}}}\n")
    assert said["model.quantization.double"][0] is False  # which is true, and may be said


@pytest.mark.parametrize("tuner", ["full", "{type: partial, last_layers: 1}"])
def test_a_quantised_base_does_not_train(tuner: str) -> None:
    text = f"{DATA}model: {{name: x, quantization: nf4}}\nmethod: {{tuner: {tuner}}}\n"
    with pytest.raises(SpecError, match="weights of a quantised base cannot train") as caught:
        resolve(loads(text))
    assert caught.value.problems[0].path == "method.tuner"


def lowered(text: str, backend: str) -> dict[str, Any]:
    return dict(make_plan(loads(text), backend).native)


def refused(loaded: Loaded, backend: str) -> str:
    with pytest.raises(UnsupportedError) as caught:
        make_plan(loaded, backend)
    return str(caught.value)


QLORA = f"model: {{name: x, dtype: float32}}\n{DATA}method: qlora\nprecision: fp32\n{CPU}"


def test_what_each_backend_writes() -> None:
    for backend in ("trl", "deepspeed"):
        native = lowered(QLORA, backend)
        assert {k: v for k, v in native.items() if k.startswith("BitsAndBytesConfig.")} == {
            "BitsAndBytesConfig.load_in_4bit": True,
            "BitsAndBytesConfig.bnb_4bit_quant_type": "nf4",
            "BitsAndBytesConfig.bnb_4bit_use_double_quant": True,
            "BitsAndBytesConfig.bnb_4bit_quant_storage": "float32",
            "BitsAndBytesConfig.bnb_4bit_compute_dtype": "float32",
        }
    native = lowered(QLORA, "unsloth")
    assert (native["from_pretrained.load_in_4bit"], native["model.dtype"]) == (True, "float32")
    native = lowered(QLORA.replace(", dtype: float32", ""), "llamafactory")
    keys = ("quantization_method", "quantization_bit", "quantization_type", "double_quantization")
    assert [native[key] for key in keys] == ["bnb", 4, "nf4", True]


@pytest.mark.parametrize(
    ("backend", "change", "reason"),
    [
        ("unsloth", ("dtype: float32", "dtype: bfloat16"), "must be the one of precision.compute"),
        ("unsloth", (", dtype: float32", ""), "must be the one of precision.compute"),
        ("unsloth", ("dtype: float32", "quantization: {double: false}"), "always quantise"),
        ("unsloth", ("dtype: float32", "quantization: fp4"), "always nf4"),
        ("unsloth", ("dtype: float32", "quantization: int8"), "takes the weights as they are"),
        ("llamafactory", ("dtype: float32", "quantization: {storage: uint8}"), "the type of the"),
        ("llamafactory", ("device: cpu", "device: cuda"), "what the GPU can do best"),
        ("deepspeed", ("device: cpu", "device: cpu, zero: 3"), "packed weights cannot be cut"),
        (
            "trl",
            (DATA, DATA.replace("}}", "}, eval: {path: b.jsonl, format: messages}}")),
            "repacks",
        ),
    ],
)
def test_what_is_refused(backend: str, change: tuple[str, str], reason: str) -> None:
    assert change[0] in QLORA
    assert reason in refused(loads(QLORA.replace(*change)), backend)


def test_the_probe_tells_packed_weights_from_plain_ones() -> None:
    def weight(**more: Any) -> SimpleNamespace:
        return SimpleNamespace(dtype="torch.uint8", **more)

    constants = {"absmax": "constants", "quant_map": "table"}
    four = {
        nested: weight(
            quant_state=SimpleNamespace(
                quant_type="nf4", nested=nested, as_dict=lambda packed: constants if packed else {}
            )
        )
        for nested in (True, False)
    }
    eight = SimpleNamespace(dtype="torch.int8", SCB="rows")
    plain = SimpleNamespace(dtype="torch.float32")
    assert [values.held(w) for w in (four[True], four[False], eight, plain)] == [
        "nf4-double",
        "nf4",
        "int8",
        "float32",
    ]
    assert values.parts(four[True]) == [four[True], "constants", "table"]
    assert values.parts(eight) == [eight, "rows"]
    assert values.parts(plain) == [plain]
