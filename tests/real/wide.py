"""Variants that `make test` leaves to `make proven`: further kinds of what a test beside them shows.

A training is some twenty seconds of a slow core, and there are hundreds. Each variant here goes through
the same rows of the maps, and the same lines of the frameworks, as one that `make test` trains; its proof
is kept in ftspec/verify/proven.json, and made anew by `make proven`.
"""

from __future__ import annotations

from collections.abc import Mapping

WIDE: Mapping[str, tuple[str, ...]] = {
    "test_tuners.py::test_a_part_of_the_weights_trains_alike": (
        "modules of all layers",
        "norms, checkpointed",
        "one matrix of each layer",
    ),
    "test_lora_options.py::test_options_of_lora_train_alike": (
        "dora over 4 bits",
        "expression",
        "pissa in steps",
    ),
    "test_optimizers.py::test_optimizers_and_schedules_train_alike": (
        "lion-8bit",
        "rmsprop",
        "adagrad",
    ),
    "test_options.py::test_formats_are_read_alike": (
        # rows of these are held against what the frameworks build in test_preview.py too
        "alpaca in csv",
        "two parquet files",
        "pairs, by ftspec",
    ),
    "test_options.py::test_processes_and_stages_train_alike": (
        "llamafactory x 2",
        "stage 0",
        "stage 1",
        "stage 3, offloaded",
    ),
    "test_quantised.py::test_quantised_bases_train_alike": ("fp4",),
    "test_quantised.py::test_stages_train_alike": ("stage 0", "stage 1"),
    "test_mixtures.py::test_passes_and_processes_weigh_it_alike": (
        "two processes",
        "named leaves",
    ),
    "test_preview.py::test_templates_are_taken_apart_as_llamafactory_does": (
        "default-system-completions",
        "trimmed-with-bos-completions",
        "thinking-completions",
        "no-special-tokens-completions",
    ),
    "test_thoughts.py::test_thinking_trains_alike": ("True",),
    "test_real_model.py::test_it_trains_the_same": ("ftspec",),
}
"""By test, the names of its variants."""
NODES = frozenset(f"tests/real/{test}[{name}]" for test, names in WIDE.items() for name in names)
