"""Laws of a field map: both directions, every refusal at once, nothing dropped."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.mapping import (
    MISSING,
    FieldMap,
    Lossy,
    Note,
    Refusal,
    Refuse,
    Row,
    choice,
    constant,
    field,
    identity,
    negate,
    only,
    ours,
    replaced,
    unsupported,
)

PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=5)


def lower_length(epochs: float | None, steps: int | None) -> tuple[Any, Any]:
    return (MISSING, steps) if steps else (epochs, -1)


def lift_length(epochs: float, steps: int) -> tuple[float | None, int | None]:
    return (None, steps) if steps > 0 else (epochs, None)


def lower_scale(alpha: int | None, rank: int) -> int:
    return 2 * rank if alpha is None else alpha


ROWS = (
    field("lora.rank", "r", absent=8),
    Row(("lora.alpha",), ("alpha",), lower_scale, lambda native, _rank: native,
        uses=("lora.rank",), reads=("r",), absent=(None,)),
    field("mask", "train_on_prompt", negate, absent=True),
    choice("schedule", "lr", {"cosine": "cos", "linear": "lin"}, absent="lin", otherwise="its own words"),
    Row(("epochs", "steps"), ("num_epochs", "max_steps"), lower_length, lift_length, absent=(3.0, -1)),
    constant("packing", False, "not in a spec yet", absent=None),
    unsupported("zero", "it does not shard", "never", hint="another backend"),
    *ours("version", "run"),
)  # fmt: skip
MAP = FieldMap("demo", ROWS)
SPEC = {
    "version": 1, "run": (), "lora.rank": 4, "lora.alpha": None, "mask": True, "schedule": "cosine",
    "epochs": None, "steps": 9, "zero": None,
}  # fmt: skip


def test_going_down_every_value_is_written() -> None:
    lowered = MAP.lower(SPEC)
    assert lowered.refusals == ()
    assert lowered.notes == ()
    assert lowered.native == {
        "r": 4, "alpha": 8, "train_on_prompt": False, "lr": "cos", "max_steps": 9, "packing": False,
    }  # fmt: skip


def test_going_up_gives_back_what_went_down() -> None:
    lifted = MAP.lift(MAP.lower(SPEC).native)
    assert lifted.unknown == {}
    assert lifted.refusals == ()
    expected = {"lora.rank": 4, "lora.alpha": 8, "mask": True, "schedule": "cosine", "epochs": None,
                "steps": 9, "zero": None}  # fmt: skip
    assert lifted.spec == expected


@given(
    rank=st.integers(1, 99), alpha=st.integers(1, 99), mask=st.booleans(),
    schedule=st.sampled_from(("cosine", "linear")),
    length=st.tuples(st.none(), st.integers(1, 99)) | st.tuples(st.floats(0.5, 9), st.none()),
)  # fmt: skip
def test_round_trip(
    rank: int, alpha: int, mask: bool, schedule: str, length: tuple[Any, Any]
) -> None:
    spec = {**SPEC, "lora.rank": rank, "lora.alpha": alpha, "mask": mask, "schedule": schedule,
            "epochs": length[0], "steps": length[1]}  # fmt: skip
    lowered = MAP.lower(spec)
    assert not lowered.refusals
    back = MAP.lift(lowered.native).spec
    assert back == {path: value for path, value in spec.items() if path not in ("version", "run")}
    assert MAP.lower({**SPEC, **back}).native == lowered.native


def test_a_missing_key_means_what_the_framework_assumes() -> None:
    lifted = MAP.lift({})
    assert lifted.spec == {"lora.rank": 8, "lora.alpha": None, "mask": False, "schedule": "linear",
                           "epochs": 3.0, "steps": None, "zero": None}  # fmt: skip
    (refusal,) = lifted.refusals  # without the key it packs, which no spec value means
    assert (refusal.path, refusal.value, refusal.reason) == (
        "packing", None, "packing=None: not in a spec yet",
    )  # fmt: skip


def test_where_nothing_is_assumed_a_missing_key_says_nothing() -> None:
    fields = FieldMap("demo", (field("a", "x"), field("b", "y", absent=1)))
    assert fields.lift({}).spec == {"b": 1}
    assert fields.lift({"x": None}).spec == {"a": None, "b": 1}


def test_missing_leaves_a_key_out() -> None:
    row = Row(("a",), ("x", "y"), lambda value: (value, MISSING), lambda x, _y: x)
    assert FieldMap("demo", (row,)).lower({"a": 1}).native == {"x": 1}
    assert not MISSING
    assert repr(MISSING) == "MISSING"


def test_every_refusal_is_told_at_once() -> None:
    spec = {**SPEC, "zero": 3, "schedule": "cubic", "nobody.knows": 1, "derived.rows": 5}
    lowered = MAP.lower(spec)
    assert lowered.refusals == (
        Refusal("nobody.knows", 1, "no rule of the demo backend answers for this field", "notimpl"),
        Refusal("schedule", "cubic", "its own words", "notyet"),
        Refusal("zero", 3, "it does not shard", "never", "another backend"),
    )
    assert lowered.native["r"] == 4  # what can be written is still there to be looked at


def test_what_no_row_reads_is_kept_apart() -> None:
    native = {**MAP.lower(SPEC).native, "plot_loss": True, "lr": "wave"}
    lifted = MAP.lift(native)
    assert lifted.unknown == {"plot_loss": True}
    assert [(r.path, r.value, r.reason) for r in lifted.refusals] == [
        ("lr", "wave", "lr='wave' has no equal in a spec")
    ]
    assert "schedule" not in lifted.spec


def test_what_is_only_read_is_known() -> None:
    row = Row(("a",), ("x",), identity, lambda x, _other: x, reads=("other",))
    assert FieldMap("demo", (row,)).lift({"x": 1, "other": 2}).unknown == {}


def test_lossy_values_are_written_and_noted() -> None:
    row = Row(("a",), ("x",), lambda value: Lossy(value // 2, "halved"), lambda x: x)
    lowered = FieldMap("demo", (row,)).lower({"a": 4})
    assert lowered.native == {"x": 2}
    assert lowered.notes == (Note("a", "halved"),)
    assert lowered.refusals == ()


def test_rows_of_another_tuner_are_skipped() -> None:
    without = {path: value for path, value in SPEC.items() if not path.startswith("lora.")}
    lowered = MAP.lower(without)
    assert not {"r", "alpha"} & lowered.native.keys()
    assert lowered.refusals == ()


def test_uses_are_none_where_the_spec_has_no_such_path() -> None:
    row = Row(("a",), ("x",), lambda a, b: (a, b), identity, uses=("b",))
    assert FieldMap("demo", (row,)).lower({"a": 1}).native == {"x": (1, None)}
    assert FieldMap("demo", (row, *ours("b"))).lower({"a": 1, "b": 2}).native == {"x": (1, 2)}


@given(PLAIN)
def test_a_constant_is_one_value(value: Any) -> None:
    fields = FieldMap("demo", (constant("x", 5, "always five"),))
    assert fields.lower({}).native == {"x": 5}
    lifted = fields.lift({"x": value})
    assert bool(lifted.refusals) == (value != 5)
    assert lifted.spec == {}


@given(PLAIN)
def test_an_unsupported_path_has_neutral_values_only(value: Any) -> None:
    fields = FieldMap("demo", (unsupported("a", "cannot", neutral=("off", None)),))
    lowered = fields.lower({"a": value})
    assert lowered.native == {}
    assert bool(lowered.refusals) == (value not in ("off", None))
    assert fields.lift({}).spec == {"a": "off"}


@given(PLAIN)
def test_a_choice_takes_its_list_only(value: Any) -> None:
    fields = FieldMap("demo", (choice("a", "x", {"yes": 1, "no": 0}),))
    lowered = fields.lower({"a": value})
    assert bool(lowered.refusals) == (value not in ("yes", "no"))
    assert all(refusal.reason for refusal in lowered.refusals)


def test_ours_answers_and_writes_nothing() -> None:
    fields = FieldMap("demo", ours("a", "b"))
    assert fields.lower({"a": 1, "b": 2}) == fields.lower({"a": 3, "b": 4})
    assert fields.lower({"a": 1}).native == {}
    assert fields.lift({}).spec == {}


def test_two_rows_for_one_thing_are_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="demo: two rows for the path a"):
        FieldMap("demo", (field("a", "x"), field("a", "y")))
    with pytest.raises(ValueError, match="demo: two rows for the key x"):
        FieldMap("demo", (field("a", "x"), constant("x", 1, "r")))


def tuners() -> FieldMap:
    return FieldMap(
        "demo",
        (
            field("tuner", "kind"),
            only("tuner", "lora", field("rank", "r", absent=8)),
            only("tuner", ("oft", "boft"), field("rank", "oft_r"), field("blocks", "b")),
        ),
    )


def test_variants_of_a_union_have_their_own_rows_for_one_path() -> None:
    fields = tuners()
    assert fields.lower({"tuner": "lora", "rank": 4}).native == {"kind": "lora", "r": 4}
    assert fields.lower({"tuner": "oft", "rank": 4}).native == {"kind": "oft", "oft_r": 4}
    assert fields.lift({"kind": "boft", "oft_r": 2}).spec == {"tuner": "boft", "rank": 2}
    assert fields.lift({"kind": "lora"}).spec == {"tuner": "lora", "rank": 8}


def test_what_no_variant_answers_for_is_refused_and_what_only_others_know_is_inert() -> None:
    (refusal,) = tuners().lower({"tuner": "lora", "blocks": 2}).refusals
    assert (refusal.path, refusal.support) == ("blocks", "notimpl")
    (refusal,) = tuners().lower({"tuner": "full", "rank": 2}).refusals
    assert refusal.path == "rank"
    lifted = tuners().lift({"kind": "full", "r": 8, "nobody": 1})
    assert (lifted.spec, lifted.inert, lifted.unknown) == (
        {"tuner": "full"},
        {"r": 8},
        {"nobody": 1},
    )


def test_rows_of_variants_that_overlap_are_a_mistake_of_ours() -> None:
    one, two = only("t", ("a", "b"), field("p", "x")), only("t", "b", field("p", "y"))
    for other in (two, field("p", "y"), only("u", "c", field("p", "y"))):
        with pytest.raises(ValueError, match="two rows for the path p"):
            FieldMap("demo", (one, other))
    replacing = only("t", "c", field("p", "y"))
    assert replaced(one, *replacing) == (*one, *replacing)


def test_a_row_that_gives_another_number_of_values_is_a_mistake_of_ours() -> None:
    row = Row(("a",), ("x", "y"), identity, lambda x, _y: x)
    with pytest.raises(TypeError, match="promised 2 values"):
        FieldMap("demo", (row,)).lower({"a": 1})


def test_groups_of_rows_are_flattened() -> None:
    fields = FieldMap("demo", (field("a", "x"), ours("b"), (field("c", "z"),)))
    assert [row.paths for row in fields.rows] == [("a",), ("b",), ("c",)]
    assert fields.keys() == ("x", "z")
    assert [row.keys for row in fields.by_path["c"]] == [("z",)]


def test_replaced_takes_the_place_of_rows_for_the_same_paths() -> None:
    own = Row(("a", "b"), ("w",), lambda a, b: (a, b), identity)
    rows = replaced((field("a", "x"), field("b", "y"), field("c", "z"), constant("k", 1, "r")), own)
    assert [row.keys for row in rows] == [("z",), ("k",), ("w",)]


def test_a_row_may_refuse_with_a_support_and_a_hint() -> None:
    def lower(_value: Any) -> Any:
        raise Refuse("later", "notimpl", "wait")

    (refusal,) = FieldMap("demo", (field("a", "x", lower, identity),)).lower({"a": 1}).refusals
    assert refusal == Refusal("a", 1, "later", "notimpl", "wait")
