"""Tuners beside full tuning and LoRA: each trains alike wherever it is claimed, and what it is for.

Each case says which weights train: frameworks that all ignore a choice would be equal too.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ftspec.verify.verify import Run
from tests.real.conftest import BACKENDS, Lab, Proven, reload
from tests.real.test_options import assert_equal, files, refusal

__all__ = ["files"]
pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
TWO = ("train.steps=2",)
SCRIPTS = ("trl", "unsloth", "deepspeed")
LAYER = frozenset(
    {
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
        "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "input_layernorm",
        "post_attention_layernorm",
    }
)  # fmt: skip
"""The weights of one of the tiny model's two layers."""
NORMS = {"model.norm"} | {
    f"model.layers.{n}.{name}" for n in (0, 1) for name in LAYER if "norm" in name
}


def layer(number: int, start: str = "") -> set[str]:
    """The weights of a layer whose names begin so."""
    return {f"model.layers.{number}.{name}" for name in LAYER if name.startswith(start)}


@dataclass(frozen=True)
class Part:
    """A choice of weights, and which they are."""

    tuner: str
    weights: set[str]
    sets: tuple[str, ...] = ()
    kind: str = "weight"
    refused: dict[str, str] = field(default_factory=dict)
    """Backend -> a part of its reason."""


PARTS = {
    "last layer": Part("last_layers: 1", layer(1)),
    "modules of the first layer, and what is outside": Part(
        "first_layers: 1, modules: [self_attn, input_layernorm], embeddings: true, head: true",
        {
            *layer(0, "self_attn"), *layer(0, "input_layernorm"),
            "model.embed_tokens", "lm_head",
        },
    ),
    "modules of all layers": Part("modules: mlp", layer(0, "mlp") | layer(1, "mlp")),
    "norms": Part("norms: true", NORMS),
    "norms, checkpointed": Part(
        "norms: true, embeddings: true", NORMS | {"model.embed_tokens"},
        ("train.gradient_checkpointing=true", "train.weight_decay=0.1"),
    ),
    "biases": Part(
        "biases: true",
        {name for n in (0, 1) for name in layer(n) if "proj" in name},
        ("model=../biased",),
        "bias",
        {"llamafactory": "never their biases alone"},
    ),
    "names of weights": Part(
        r"patterns: ['model\.layers\.1\.mlp\.', 'lm_head', '.*\.0\..*_layernorm'], norms: false",
        layer(1, "mlp") | {"lm_head", *layer(0, "input_layernorm"), *layer(0, "post_attention")},
        refused={"llamafactory": "never by a pattern"},
    ),
    "one matrix of each layer": Part(
        "modules: self_attn.o_proj",
        {"model.layers.0.self_attn.o_proj", "model.layers.1.self_attn.o_proj"},
        refused={"llamafactory": "whole modules of a layer"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def expanded(lab: Lab) -> Path:
    """The tiny model with each layer followed by a copy that adds nothing, as LLaMA-Pro makes it."""
    source, target = lab.specs / "tiny-model", lab.base / "expanded"
    shutil.copytree(source, target)
    config = json.loads((target / "config.json").read_text("utf-8"))
    (target / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 4}), "utf-8")
    tensors = load_file(source / "model.safetensors")
    grown = {name: values for name, values in tensors.items() if ".layers." not in name}
    for name, values in tensors.items():
        for old in (0, 1):
            if f".layers.{old}." in name:
                grown[name.replace(f".{old}.", f".{2 * old}.")] = values
                silent = name.endswith(("o_proj.weight", "down_proj.weight"))
                copy = np.zeros_like(values) if silent else values
                grown[name.replace(f".{old}.", f".{2 * old + 1}.")] = copy
    save_file(grown, target / "model.safetensors", {"format": "pt"})
    return target


def test_layers_that_an_expansion_added_train_alike(lab: Lab, expanded: Path) -> None:
    proof = lab.prove(*TWO, "model=../expanded", "method.tuner={type: partial, expanded_layers: 2}")
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(BACKENDS)
    for backend in BACKENDS:
        names = set(proof.evidence(backend).trainable)
        assert names == {f"{weight}.weight" for weight in layer(1) | layer(3)}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_of_the_weights_trains_alike(lab: Lab, files: Path, name: str) -> None:
    part = PARTS[name]
    sets = (*TWO, *part.sets, f"method.tuner={{type: partial, {part.tuner}}}")
    for backend, reason in part.refused.items():
        assert reason in refusal(lab, backend, *sets)
    proof = lab.prove(*sets)
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(BACKENDS) - set(part.refused)
    for backend in proof.certificate.runs:
        evidence = proof.evidence(backend)
        assert set(evidence.trainable) == {f"{weight}.{part.kind}" for weight in part.weights}
        assert not [
            key for key, old in evidence.before.items() if (evidence.after[key] == old).all()
        ]
        # what is saved is the whole model: what trained as it came out, the rest as it was
        saved = proof.weights(backend)
        assert len(saved) > len(evidence.after)
        assert all((saved[key] == value).all() for key, value in evidence.after.items())


def test_a_part_trains_alike_under_every_stage(lab: Lab) -> None:
    part = PARTS["last layer"]
    tuner = f"method.tuner={{type: partial, {part.tuner}}}"

    def runs(folder: Path) -> dict[str, Run]:
        made = {"trl": lab.compiled("trl", folder / "trl", *TWO, tuner)}
        for stage in (1, 2, 3):
            sets = (*TWO, tuner, f"hardware.zero={stage}")
            made[f"stage {stage}"] = lab.compiled("deepspeed", folder / f"stage {stage}", *sets)
        return made

    proof = lab.compare("a part, sharded", runs)
    assert_equal(proof)
    for name in ("trl", "stage 1", "stage 2", "stage 3"):
        assert set(proof.evidence(name).trainable) == {
            f"{weight}.weight" for weight in part.weights
        }


@pytest.fixture(scope="module")
def halved(lab: Lab) -> Path:
    """The tiny model as most models are stored: in bfloat16, the upper half of each float32."""
    source, target = lab.specs / "tiny-model", lab.base / "halved"
    shutil.copytree(source, target)
    config = json.loads((target / "config.json").read_text("utf-8"))
    (target / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16"}), "utf-8")
    header, data = {}, b""
    for name, values in load_file(source / "model.safetensors").items():
        half = (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()
        offsets = [len(data), len(data) + len(half)]
        header[name] = {"dtype": "BF16", "shape": list(values.shape), "data_offsets": offsets}
        data += half
    head = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    # by hand, because numpy has no bfloat16 (https://github.com/huggingface/safetensors#format)
    file = len(head).to_bytes(8, "little") + head + data
    (target / "model.safetensors").write_bytes(file)
    return target


def test_what_trains_is_float32_and_the_rest_as_stored(lab: Lab, halved: Path) -> None:
    part = PARTS["last layer"]
    sets = (
        *TWO,
        "model=../halved",
        "precision=bf16",
        f"method.tuner={{type: partial, {part.tuner}}}",
    )
    assert "its CPU path changes the type" in refusal(lab, "unsloth", *sets)
    proof = lab.prove(*sets)
    assert_equal(proof)
    assert set(proof.certificate.runs) == {"trl", "llamafactory", "deepspeed"}
    for backend in proof.certificate.runs:
        evidence = proof.evidence(backend)
        assert {tensor.dtype for tensor in evidence.trainable.values()} == {"float32"}
        assert set(evidence.frozen_sizes) == {"bfloat16"}


@dataclass(frozen=True)
class Adapter:
    """A tuner, and what of it shows: the names of its weights, and settings that peft took."""

    tuner: str
    words: frozenset[str]
    """The ends of the names of all weights that train."""
    seen: dict[str, object] = field(default_factory=dict)
    sets: tuple[str, ...] = ()
    reloads: bool = True
    """Whether what trained is what is saved; else only what came of it is."""


def peft(kind: str, options: str, *words: str, targets: str = "all-linear") -> Adapter:
    tuner = f"{{type: peft, kind: {kind}, options: {{target_modules: {targets}, {options}}}}}"
    return Adapter(tuner, frozenset(words), {"peft_type": kind})


CHECKPOINTED = ("train.gradient_checkpointing=true",)
EMBEDDED = frozenset({"prompt_encoder.embedding"})
ADAPTERS = {
    "ia3": Adapter("ia3", frozenset({"ia3_l"}), {"peft_type": "IA3"}, CHECKPOINTED),
    "prefix": Adapter("{type: prefix, tokens: 5}", EMBEDDED, {"peft_type": "PREFIX_TUNING"}),
    "prefix by a network": Adapter(
        "{type: prefix, tokens: 5, projection: true, hidden_size: 32}",
        frozenset({"embedding", "transform.0", "transform.2"}),
        {"peft_type": "PREFIX_TUNING"},
        reloads=False,
    ),
    "prompt": Adapter(
        "{type: prompt, tokens: 5}", EMBEDDED, {"peft_type": "PROMPT_TUNING"}, CHECKPOINTED
    ),
    "prompt from a text": Adapter(
        "{type: prompt, tokens: 7, start: text, text: Answer in one sentence.}",
        EMBEDDED,
        {"peft_type": "PROMPT_TUNING"},
    ),
    "prompt from the vocabulary": Adapter(
        "{type: prompt, tokens: 5, start: vocabulary}", EMBEDDED, {"peft_type": "PROMPT_TUNING"}
    ),
    "p-tuning": Adapter(
        "{type: p-tuning, tokens: 5, hidden_size: 32}",
        frozenset({"embedding", "mlp_head.0", "mlp_head.2", "mlp_head.4"}),
        {"peft_type": "P_TUNING"},
        CHECKPOINTED,
        reloads=False,
    ),
    "p-tuning with an lstm": Adapter(
        "{type: p-tuning, tokens: 5, encoder: lstm, hidden_size: 16, layers: 1}",
        frozenset({"embedding", "lstm_head", "mlp_head.0", "mlp_head.2"}),
        {"peft_type": "P_TUNING"},
        reloads=False,
    ),
    "loha": Adapter(
        "{type: loha, rank: 4, rank_dropout: 0.1}",
        frozenset({"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"}),
        {"peft_type": "LOHA", "r": 4},
    ),
    "lokr": Adapter(
        "{type: lokr, rank: 4, alpha: 8}",
        frozenset({"lokr_w1", "lokr_w2", "lokr_w2_a", "lokr_w2_b"}),
        {"peft_type": "LOKR", "r": 4},
    ),
    "vera": Adapter(
        "{type: vera, rank: 16, targets: [q_proj, down_proj]}",
        frozenset({"vera_lambda_b", "vera_lambda_d"}),
        {"peft_type": "VERA", "r": 16},
    ),
    # not BOFT: peft leaves CXX=gcc behind, and DeepSpeed builds its extension anew, twice, for minutes
    "BONE": peft("BONE", "r: 8", "bone_block"),
    "C3A": peft("C3A", "block_size: 16", "c3a_kernel"),
    "DELORA": peft("DELORA", "r: 4", "delora_A", "delora_B", "delora_lambda"),
    "FOURIERFT": peft("FOURIERFT", "n_frequency: 100", "fourierft_spectrum"),
    "HRA": peft("HRA", "r: 4", "hra_u"),
    "LN_TUNING": peft("LN_TUNING", "", "ln_tuning_layers", targets="[input_layernorm]"),
    "MISS": peft("MISS", "r: 8", "miss_block"),
    "OSF": peft("OSF", "effective_rank: 8", "U_low", "S_low", "V_low", targets="[q_proj]"),
    "RANDLORA": peft("RANDLORA", "r: 8", "randlora_lambda", "randlora_gamma"),
    "ROAD": peft("ROAD", "group_size: 16", "road_theta", "road_alpha"),
    "SHIRA": peft("SHIRA", "r: 4, random_seed: 1", "shira_weight"),
    "TRAINABLE_TOKENS": Adapter(
        "{type: peft, kind: TRAINABLE_TOKENS, options: {token_indices: [1, 2, 68]}}",
        frozenset({"trainable_tokens_delta"}),
        {"peft_type": "TRAINABLE_TOKENS"},
    ),
    "VBLORA": peft(
        "VBLORA", "vector_length: 16, num_vectors: 32", "vblora_logits_A", "vblora_logits_B",
        "vblora_vector_bank", targets="[q_proj]",
    ),
    "WAVEFT": peft("WAVEFT", "n_frequency: 100", "waveft_spectrum"),
}  # fmt: skip
RUN = ("train.steps=3", "train.warmup_steps=0")


def proven_adapter(lab: Lab, case: Adapter, backends: tuple[str, ...]) -> Proven:
    return lab.prove(*RUN, *case.sets, f"method.tuner={case.tuner}", backends=backends)


def in_force(proof: Proven, case: Adapter, backend: str) -> None:
    """Its weights train, and no others; every one of them moved; peft took the settings."""
    evidence = proof.evidence(backend)
    ends = {
        word for name in evidence.trainable for word in case.words if f".{word}." in f".{name}."
    }
    odd = [name for name in evidence.trainable if not any(word in name for word in case.words)]
    assert (ends, odd) == (set(case.words), [])
    still = [key for key, old in evidence.before.items() if (evidence.after[key] == old).all()]
    assert not still
    assert {key: evidence.adapter[key] for key in case.seen} == case.seen


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_trains_alike(lab: Lab, name: str) -> None:
    case = ADAPTERS[name]
    for backend, reason in {"llamafactory": "no other adapter", "unsloth": "no others"}.items():
        assert reason in refusal(lab, backend, *RUN, f"method.tuner={case.tuner}")
    proof = proven_adapter(lab, case, ("trl", "deepspeed"))
    assert_equal(proof)
    assert set(proof.certificate.runs) == {"trl", "deepspeed"}
    for backend in proof.certificate.runs:
        in_force(proof, case, backend)


OFTS = {
    "blocks of 32": Adapter(
        "{type: oft, dropout: 0.1}", frozenset({"oft_R"}), {"peft_type": "OFT", "r": 0}
    ),
    "four blocks": Adapter(
        "{type: oft, rank: 4, targets: [q_proj, down_proj]}",
        frozenset({"oft_R"}),
        {"peft_type": "OFT", "r": 4},
        CHECKPOINTED,
    ),
}
ROTATING = ("trl", "llamafactory", "deepspeed")


def test_what_is_saved_can_be_loaded(lab: Lab, tmp_path: Path) -> None:
    """By peft, or by transformers where a part of the model's own weights trained."""
    cases = {**ADAPTERS, **OFTS}
    proofs = {
        name: proven_adapter(lab, case, ROTATING if name in OFTS else ("trl", "deepspeed"))
        for name, case in cases.items()
    }
    part = PARTS["last layer"]
    proofs["part"] = lab.prove(*TWO, f"method.tuner={{type: partial, {part.tuner}}}")
    reload(lab, tmp_path, [proof.model("trl") for proof in proofs.values()])
    assert len(proofs) == len(ADAPTERS) + len(OFTS) + 1
    for number, (name, proof) in enumerate(proofs.items()):
        loaded = load_file(tmp_path / f"{number}.safetensors")
        assert (loaded["#logits"] != loaded["#base"]).any(), name
        trained = proof.evidence("trl").after
        if name not in cases or cases[name].reloads:
            assert set(trained) <= set(loaded), name
            assert all((loaded[key] == values).all() for key, values in trained.items()), name
