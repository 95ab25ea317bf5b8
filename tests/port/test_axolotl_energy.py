"""axolotl's `rl: ebft`: what its two trainers read, and what they do not."""

from __future__ import annotations

from typing import Any

import pytest

from ftspec.port.bring import Imported
from tests.port.conftest import Bring, fate, read

__all__ = ["read"]

BASE = (
    "base_model: org/model\nrl: ebft\nlearning_rate: 1e-5\nmicro_batch_size: 4\nsequence_len: 512\n"
    "datasets:\n  - path: org/code\n    type: {type}\n"
)
WHOLE = BASE.replace("{type}", "ebft_opencode.transform") + "ebft: {{{said}}}\ntrl: {{{drawn}}}\n"
STRIDED = BASE.replace("{type}", "ebft_pretrain.transform") + "ebft: {{mode: strided, {said}}}\n"


def objective(imported: Imported) -> Any:
    return imported.composed.spec.method.objective


def lost(imported: Imported) -> list[str]:
    return [one.setting.key for one in imported.fates if not one.faithful]


def test_a_reward_of_features_is_read_whole(read: Bring) -> None:
    said = "feature_layers: [0.5, 1], embed_method: completion_mean, use_whitening: true, diversity_coef: 0.5"
    drawn = (
        "num_generations: 2, max_completion_length: 64, temperature: 0.7, loss_type: dr_grpo, "
        "scale_rewards: false, epsilon: 0.1, beta: 0.02, use_vllm: false, "
        "chat_template_kwargs: {enable_thinking: false}"
    )
    imported = read(WHOLE.format(said=said, drawn=drawn))
    found = objective(imported)
    assert not lost(imported)
    assert (found.type, found.feature_layers, found.embed_method) == (
        "ebft", (0.5, 1.0), "completion-mean",
    )  # fmt: skip
    assert (found.whitening, found.alignment_weight, found.diversity_weight) == (True, 1.0, 0.5)
    assert (found.loss, found.scale, found.clip, found.beta) == ("dr-grpo", "none", 0.1, 0.02)
    drawn_ = found.generation
    assert (drawn_.completions, drawn_.max_length, drawn_.temperature) == (2, 64, 0.7)
    spec = imported.composed.spec
    assert spec.model.template_options == {"enable_thinking": False}
    texts = spec.data.train[0].template
    assert texts and (texts.user, texts.assistant) == ("{{ input }}", "{{ output }}")
    assert (spec.data.max_length, spec.data.overflow) == (2048, "truncate")
    assert fate(imported, "sequence_len")[0] == "inert"


def test_what_is_missing_is_what_trl_assumes(read: Bring) -> None:
    found = objective(read(WHOLE.format(said="mode: structured", drawn="")))
    assert (found.loss, found.scale, found.beta, found.clip_high) == ("dapo", "group", 0.0, None)
    assert (found.generation.completions, found.generation.max_length) == (8, 256)


@pytest.mark.parametrize(
    ("said", "drawn", "key", "kind"),
    [
        ("ce_coef: 0.5", "", "ebft.ce_coef", "inert"),
        ("stride: 4", "", "ebft.stride", "inert"),
        ("gt_length_multiplier: 2", "", "ebft.gt_length_multiplier", "inert"),
        ("gt_length_multiplier: 2", "async_prefetch: true", "ebft.gt_length_multiplier", "unknown"),
        ("mode: structured", "async_prefetch: true", "trl.async_prefetch", "unknown"),
        (
            "mode: structured",
            "importance_sampling_level: sequence",
            "trl.importance_sampling_level",
            "inert",
        ),
        ("mode: structured", "reward_weights: [1.0]", "trl.reward_weights", "inert"),
        ("mode: structured", "loss_type: cispo", "trl.loss_type", "unknown"),
        ("mode: structured", "use_vllm: true", "trl.use_vllm", "derived"),
        (
            "mode: structured",
            "use_vllm: true, generation_kwargs: {stop_token_ids: [1]}",
            "trl.generation_kwargs.stop_token_ids",
            "unknown",
        ),
        (  # transformers, GenerationConfig: a name that it does not know changes nothing
            "mode: structured",
            "generation_kwargs: {stop_token_ids: [1]}",
            "trl.generation_kwargs.stop_token_ids",
            "inert",
        ),
        (
            "mode: structured",
            "generation_kwargs: {seed: 1}",
            "trl.generation_kwargs.seed",
            "unknown",
        ),
    ],
)
def test_what_else_its_trainer_makes_of(
    read: Bring, said: str, drawn: str, key: str, kind: str
) -> None:
    assert fate(read(WHOLE.format(said=said, drawn=drawn)), key)[0] == kind


def test_grpo_hands_on_no_more_of_how_completions_are_drawn(read: Bring) -> None:
    text = "base_model: org/model\nrl: grpo\nlearning_rate: 1e-5\n"
    imported = read(text + "trl: {generation_kwargs: {stop_token_ids: [1], seed: 2}}\n")
    for name in ("stop_token_ids", "seed"):
        assert fate(imported, f"trl.generation_kwargs.{name}")[0] == "inert"


def test_the_strided_mode(read: Bring) -> None:
    said = (
        "stride: 4, context_length: 5, generate_max_len: 6, n_samples_per_prompt: 3, temperature: 0.5, "
        "top_p: 0.9, rl_coef: 0.7, ce_coef: 0.03, advantage_estimator: group_norm, "
        "min_completion_prefix: 2, embed_method: concat"
    )
    imported = read(STRIDED.format(said=said) + "trl: {num_generations: 2}\n")
    found = objective(imported)
    assert not lost(imported)
    assert (found.type, found.stride, found.context_length) == ("ebft-strided", 4, 5)
    assert (found.policy_weight, found.sft_weight) == (0.7, 0.03)
    assert (found.advantage, found.min_completion_prefix) == ("group-norm", 2)
    assert found.embed_method == "last-token", "it takes the last one unless it is a mean"
    drawn = found.generation
    assert (drawn.completions, drawn.max_length, drawn.temperature, drawn.top_p) == (3, 6, 0.5, 0.9)
    assert fate(imported, "trl.num_generations")[0] == "inert"
    assert imported.composed.spec.data.max_length == 512


@pytest.mark.parametrize(
    ("strided", "kind", "known"),
    [
        (False, "ebft_opencode.transform", True),
        (True, "ebft_strided_structured.transform", True),
        (False, "ebft_pretrain.transform", False),
        (True, "ebft_opencode.transform", False),
        (False, "ebft_chat_multiturn.transform", False),
        (True, "ebft_strided_chat.transform", False),
        (False, "chat_template", False),
    ],
)
def test_rows_of_each_mode(read: Bring, strided: bool, kind: str, known: bool) -> None:
    mode = "strided" if strided else "structured"
    imported = read(BASE.replace("{type}", kind) + f"ebft: {{mode: {mode}}}\n")
    found, why = fate(imported, "datasets[0].type")
    assert found == ("derived" if known else "unknown")
    assert why


def test_the_server_of_its_own_changes_nothing(read: Bring) -> None:
    text = WHOLE.format(said="mode: structured", drawn="use_vllm: true")
    for server, kind in (("axolotl.scripts.vllm_serve_lora", "inert"), ("own.server", "unknown")):
        imported = read(f"{text}vllm: {{serve_module: {server}}}\n")
        assert fate(imported, "vllm.serve_module")[0] == kind


def test_it_stops_without_its_section(read: Bring) -> None:
    asked = read(BASE.replace("{type}", "ebft_opencode.transform")).composed.open
    assert any("rl: ebft without a section ebft" in question for question in asked)
    said = read(WHOLE.format(said="mode: structured", drawn="")).composed.open
    assert not any("without a section" in question for question in said)
