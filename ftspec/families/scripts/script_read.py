"""From an emitted training script back to native values, by its syntax tree. Nothing is executed."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from ftspec.backend import File
from ftspec.families.objectives import free, gkd, reward, scored
from ftspec.families.objectives.preference import REFERENCE
from ftspec.families.objectives.supervised import AVERAGE, SHAPE
from ftspec.families.rows import by_turns, datasets, long_prompts, packing
from ftspec.families.rows.draws import DRAW_SEED, HELD_OUT, MIXED
from ftspec.families.rows.script_data import LIMIT, SYSTEM
from ftspec.families.rows.template import OPTIONS, TEMPLATE
from ftspec.families.scripts.script import CONSTANTS, GIVEN, REFERRED, SCRIPT
from ftspec.families.scripts.unify import match
from ftspec.families.trainers import TRAINERS, argument, trainer_of
from ftspec.families.training import embeddings, fsdp, steps
from ftspec.families.training.launch import counts
from ftspec.families.tuners import adapters, inits, loraplus, partial
from ftspec.families.weights import experts, float8, packed_experts, pure, qat, tokens
from ftspec.mapping import Flat
from ftspec.read.scripts.written import read_calls
from ftspec.read.shell import read as read_shell

CALLS = (
    *(trainer.config for trainer in TRAINERS),
    *(*adapters.classes(), inits.EVA.rstrip("."), "trainer.train", gkd.COUNTS),
)
"""Calls that scripts make; each makes its own trainer's."""


def read_reference(read: Flat, model: str) -> dict[str, Any]:
    """Which other model a script measures from; nothing where there is none, or a copy of its own."""
    named = next((name for key, name in read.items() if key.endswith(f".{REFERRED}")), model)
    return {} if named == model else {REFERENCE: named}


def read_script(written: Sequence[File], calls: Sequence[str]) -> dict[str, Any]:
    """Native values of an emitted folder: the arguments of `CALLS` and of a backend's own `calls`.

    Walks syntax trees, executes nothing.
    """
    texts = {file.path: file.content.decode() for file in written}
    source = texts[SCRIPT]
    native: dict[str, Any] = dict(read_calls(source, (*CALLS, *calls)).values)
    resume = native.pop("trainer.train.resume_from_checkpoint", None)
    if resume is not None:
        native["train.resume_from_checkpoint"] = resume
    if native.pop(gkd.COUNTS, True) is False:  # the same statement, of a loss that is not the same
        learnt = trainer_of(native).teaches
        native |= {gkd.OVER_WRITTEN: True} if learnt else {AVERAGE: "batches"}
    tree = ast.parse(source)
    native |= loraplus.read_plus(tree) | inits.read_loftq(tree)
    native |= scored.read_rewards(tree) | free.read_likelihood(tree)
    native |= steps.read_steps(tree) | reward.read_cutting(tree)
    native |= embeddings.read_rate(tree)
    native |= qat.read_few_bits(tree) | float8.read_float8(tree)
    native |= pure.read_adapters(tree)
    native |= long_prompts.read_longest(tree) | packing.read_positions(tree)
    native |= by_turns.read_cut(tree)
    native |= (
        partial.read_partial(tree)
        | experts.read_freezing(tree)
        | packed_experts.read_packing(tree)
        | tokens.read_tokens(tree)
    )
    for statement in tree.body:
        for key, (pattern, names) in CONSTANTS.items():
            if (found_there := match(pattern, statement)) is not None:
                values = tuple(found_there[name] for name in names)
                native[key] = values if values[1:] else values[0]
        given = match(GIVEN, statement)
        if given is not None and argument(native, "chat_template_path") is None:
            native[TEMPLATE] = given["file"]
    seeds: frozenset[Any] = frozenset()
    for split in datasets.VARIABLES:
        found = datasets.read_split(tree, split)
        if found is None:
            continue
        seeds |= found.seeds
        if found.shape != "tokens":
            native[f"data.{split}"] = found.sources
        if split == "train":
            native[SHAPE] = found.shape
            found_values = {
                LIMIT: found.limit,
                SYSTEM: found.system,
                HELD_OUT: found.held_out,
                OPTIONS: found.options,
                MIXED: found.mixed or None,
            }
            native |= {key: value for key, value in found_values.items() if value is not None}
    if seeds:
        native[DRAW_SEED] = next(iter(seeds)) if len(seeds) == 1 and None not in seeds else seeds
    native["data.prepare"] = "ftspec" if native.get(SHAPE) == "tokens" else "framework"
    argv, environ = read_shell(texts["launch.sh"])
    native |= fsdp.read_environment(environ)
    return native | counts(argv)
