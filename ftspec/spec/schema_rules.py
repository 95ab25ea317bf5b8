"""What the models check in validators, as rules of the JSON Schema: of if/then, editors show the message."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from ftspec.spec.chat_templates import NAMED
from ftspec.spec.data import A_PAIR, FLAGGED, OF_HUB, SORTED, SUFFIXES, WRITINGS
from ftspec.spec.lora import OF_ANY_ADAPTER, LoRA
from ftspec.spec.train import EXCLUSIVE
from ftspec.spec.tuners import LAYERS, Partial

Schema = dict[str, Any]
NULL: Schema = {"type": "null"}


def _given(*names: str) -> Schema:
    """These fields are there and not null."""
    return {
        "required": list(names),
        "properties": {name: {"not": {"type": "null"}} for name in names},
    }


def _beside(last: str) -> set[str]:
    """The texts that a row may have whose last one this is."""
    return {name for names in WRITINGS if names[-1] == last for name in names}


def _chosen(name: str) -> Schema:
    """The field is there, and chooses something."""
    nothing = [{"const": False}, {"const": []}, {"type": "null"}]
    return {"required": [name], "properties": {name: {"not": {"anyOf": nothing}}}}


def _unless(condition: Schema, name: str, value: Schema, message: str) -> Schema:
    """Where the condition holds, the field must be so: of if/then editors show the message."""
    return {"if": condition, "then": {"properties": {name: {**value, "errorMessage": message}}}}


def _shared(name: str) -> Schema:
    """One of these sources gives a share of its rows."""
    one = {"type": "object", **_given("share")}
    return {
        "required": [name],
        "properties": {name: {"anyOf": [one, {"type": "array", "contains": one}]}},
    }


def _endless() -> Schema:
    """No limit of the length."""
    return {"required": ["max_length"], "properties": {"max_length": NULL}}


def _ending(suffixes: Mapping[str, str]) -> str:
    """A pattern for file endings in any case: JSON Schema has no flags."""
    words = (
        "".join(f"[{c}{c.upper()}]" if c.isalpha() else f"\\{c}" for c in end) for end in suffixes
    )
    return f"({'|'.join(words)})$"


TEMPLATES = ("tokenizer", *NAMED)
NOTHING: Schema = {"type": "null", "not": {"type": "null"}}
"""No value at all; written so that the message for a value of any type is the rule's own."""
ONE_PLACE = "a source is either a `path` or a `hub` id, and one of them is needed"

DRAWN = "`draw_seed` belongs to rows that are drawn: `eval_size`, `mixed`, or a source's `share`"

RULES: Mapping[str, list[Schema]] = {
    "Written": [
        {"anyOf": [_given(*names) for names in WRITINGS], "errorMessage": A_PAIR},
        *(
            _unless(_given(one), other, NULL, A_PAIR)
            for one in sorted({names[-1] for names in WRITINGS})
            for other in sorted({*sum(WRITINGS, ())} - {*_beside(one)})
        ),
        _unless(_given("user"), "prompt", NULL, A_PAIR),
        _unless(
            {"not": _given("completion")},
            "label",
            NULL,
            "`label` says whether a `completion` is good",
        ),
        _unless(
            {"not": _given("user")},
            "system",
            NULL,
            "`system` is a turn: it belongs to `user`",
        ),
    ],
    "Source": [
        {
            "properties": {
                "share": {
                    "anyOf": [NULL, {"maximum": 1}, {"multipleOf": 1}],
                    "errorMessage": "`share` is a share, at most 1, or a whole number of rows",
                }
            }
        },
        {
            "if": {"not": _given("hub")},
            "then": {
                "required": ["path"],
                "properties": {"path": {"type": "string", "errorMessage": ONE_PLACE}},
                "errorMessage": ONE_PLACE,
            },
        },
        _unless(_given("path", "hub"), "hub", NULL, ONE_PLACE),
        _unless(
            _given("path"), "subset", NULL, "`subset` belongs to a hub data set, not to a file"
        ),
        _unless(_given("path"), "files", {"maxItems": 0}, OF_HUB),
        _unless(_given("path"), "revision", NULL, OF_HUB),
        _unless(
            _chosen("files"),
            "subset",
            NULL,
            "`files` are chosen by their names, beside no `subset`",
        ),
        _unless(
            _given("hub", "limit"),
            "split",
            {"pattern": r"^\w+(\.\w+)*$"},
            "beside `limit`, `split` is the name of one split",
        ),
    ],
    "Data": [
        _unless(
            _chosen("eval"),
            "eval_size",
            NULL,
            "rows to evaluate on are named (`eval`) or held out (`eval_size`)",
        ),
        {
            "if": {"required": ["eval_draw"], "properties": {"eval_draw": {"const": "last"}}},
            "then": {
                **_given("eval_size"),
                "errorMessage": "`eval_draw` says which rows `eval_size` holds out: give it too",
            },
        },
        {
            "if": _given("split_rows"),
            "then": {
                "required": ["overflow"],
                "properties": {"overflow": {"const": "split"}},
                "errorMessage": "`split_rows` belongs to `overflow: split`",
            },
        },
        _unless(
            {"required": ["group_by_length"], "properties": {"group_by_length": {"const": True}}},
            "shuffle",
            {"const": True},
            SORTED,
        ),
        {
            "if": {"required": ["prompt_cut"], "properties": {"prompt_cut": {"const": "overlong"}}},
            "then": {
                **_given("max_prompt_length"),
                "errorMessage": "`prompt_cut` says when `max_prompt_length` cuts: give it too",
            },
        },
        {
            # a short form, a text or a list, has no fields: an editor would show these branches for it
            "if": {"type": "object", **_given("draw_seed")},
            "then": {
                "anyOf": [
                    _given("eval_size"),
                    {"required": ["mixed"], "properties": {"mixed": {"const": True}}},
                    _shared("train"),
                    _shared("eval"),
                ],
                "errorMessage": DRAWN,
            },
        },
        _unless(
            _endless(),
            "overflow",
            {"enum": ["truncate", "truncate-left"]},
            "no row is longer than no limit: leave `overflow` out",
        ),
        _unless(
            _endless(),
            "prompt_cut",
            {"const": "always"},
            "no pair is too long for no limit: leave `prompt_cut` out",
        ),
        _unless(
            _endless(),
            "packing",
            NULL,
            "rows are packed up to a length: `packing` needs a `max_length`",
        ),
        {
            "if": {"required": ["turn_ends"], "properties": {"turn_ends": {"minItems": 1}}},
            "then": {
                "required": ["turn_part"],
                "properties": {"turn_part": {"const": "ended"}},
                "errorMessage": "`turn_ends` belongs to `turn_part: ended`",
            },
        },
        {
            "if": {"required": ["turn_flag"], "properties": {"turn_flag": {"type": "string"}}},
            "then": {
                "required": ["turn_part"],
                "properties": {"turn_part": {"enum": ["ended", "said"]}},
                "errorMessage": FLAGGED,
            },
        },
        {
            "properties": {
                "eval_size": {
                    "anyOf": [NULL, {"exclusiveMaximum": 1}, {"multipleOf": 1}],
                    "errorMessage": "`eval_size` is a share below 1, or a whole number of rows",
                }
            }
        },
    ],
    "Model": [
        {
            "properties": {
                "chat_template": {
                    "pattern": rf"^({'|'.join(TEMPLATES).replace('.', '[.]')})$|[.](jinja|j2)$",
                    "patternErrorMessage": "tokenizer; a name of docs/spec.md#chat-templates-by-name, "
                    "such as chatml; or a file that ends in .jinja or .j2",
                }
            }
        }
    ],
    "Train": [
        _unless(_given(one), other, NULL, f"`{one}` and `{other}` exclude each other: keep one")
        for one, other in EXCLUSIVE
    ],
    "LoRA": [
        _unless(
            _given("adapter"),
            name,
            NOTHING,
            f"`{name}` has no effect: the saved `adapter` brings its own",
        )
        for name in LoRA.model_fields
        if name not in OF_ANY_ADAPTER
    ]
    + [
        _unless(
            {"not": _given("plus_ratio")},
            "plus_embedding_rate",
            NULL,
            "`plus_embedding_rate` has no effect without `plus_ratio`",
        )
    ],
    "Init": [
        _unless(
            {"not": {"required": ["type"], "properties": {"type": {"const": word}}}},
            name,
            NULL,
            f"`{name}` belongs to `{word}`",
        )
        for name, word in (("iterations", "pissa"), ("rho", "eva"))
    ],
    "Partial": [
        *(
            _unless(_given(one), other, NULL, f"`{one}` and `{other}` exclude each other: keep one")
            for one, other in combinations(LAYERS, 2)
        ),
        {
            "anyOf": [_chosen(name) for name in Partial.model_fields if name != "type"],
            "errorMessage": "say which part trains",
        },
    ],
    "Quantization": [
        _unless(
            {"required": ["type"], "properties": {"type": {"const": "int8"}}},
            name,
            value,
            f"`{name}` would have no effect: int8 has neither `double` nor `storage`",
        )
        for name, value in (("double", {"const": False}), ("storage", NULL))
    ],
    "Hardware": [_unless(_given("zero"), "fsdp", NULL, "`zero` and `fsdp` exclude each other")],
    "FSDP": [
        _unless(
            {"not": {"required": ["version"], "properties": {"version": {"const": 1}}}},
            "use_orig_params",
            {"const": True},
            "`use_orig_params: false` needs version 1",
        ),
        _unless(
            _given("min_num_params"),
            "transformer_layer_cls_to_wrap",
            NULL,
            "`min_num_params` and `transformer_layer_cls_to_wrap` exclude each other: keep one",
        ),
    ],
    "Zero": [
        _unless(
            {"not": {"required": ["stage"], "properties": {"stage": {"const": 3}}}},
            "offload_parameters",
            {"const": False},
            "`offload_parameters` needs stage 3",
        ),
        _unless(
            {"not": {"required": ["stage"], "properties": {"stage": {"const": 3}}}},
            "offload_folder",
            NULL,
            "`offload_folder` needs stage 3",
        ),
        _unless(
            {
                "not": {
                    "anyOf": [
                        {"required": [name], "properties": {name: {"const": True}}}
                        for name in ("offload_optimizer", "offload_parameters")
                    ]
                }
            },
            "offload_folder",
            NULL,
            "`offload_folder` needs `offload_optimizer` or `offload_parameters`",
        ),
        _unless(
            {"required": ["stage"], "properties": {"stage": {"const": 0}}},
            "offload_optimizer",
            {"const": False},
            "`offload_optimizer` needs stage 1 or more",
        ),
    ],
}
"""By the name of a model, what its generated schema cannot know."""
ENDINGS: Mapping[tuple[str, str], str] = {("Source", "path"): _ending(SUFFIXES)}
"""By model and field, the pattern that its texts end with."""
