"""axolotl's rewards of features, and those that the formula of a spec says, over single texts.

Run in axolotl's environment: the folder of a model, and a file for the result.
"""

from __future__ import annotations

import json
import sys
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import torch
from axolotl.core.trainers.ebft.trainer import EBFTMixin
from transformers import AutoModelForCausalLM, AutoTokenizer

PROMPTS = ("What is three and three?", "Name a colour, and say why.")
ANSWERS = ("It is six.", "Blue, because the sky has it on most days.")
DRAWN = (
    ("Six, of course.", "I do not know at all.", "It is six."),
    ("Red.", "Blue, because", "Why would anybody ask that of me today?"),
)
LAYERS, ALIGNMENT, DIVERSITY = (0.5, 1.0), 0.8, 0.3

model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32).eval()
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1], padding_side="right")
depth = model.config.num_hidden_layers


def feature(prompt: str, answer: str, method: str) -> torch.Tensor:
    """Of one text, by itself."""
    ids = tokenizer(prompt + answer, add_special_tokens=False, return_tensors="pt")["input_ids"]
    start, size = len(tokenizer.encode(prompt, add_special_tokens=False)), ids.shape[1]
    with torch.no_grad():
        states = model(ids, output_hidden_states=True).hidden_states
    found = torch.cat([states[int(share * depth)] for share in LAYERS], dim=-1)[0]
    return {
        "last_token": lambda: found[-1],
        "mean_pooling": lambda: found.mean(0),
        "completion_mean": lambda: found[start:].mean(0),
        "concat": lambda: torch.cat([found[size * part // 4] for part in (1, 2, 3)]),
    }[method]()


def expected(method: str, whitening: bool) -> list[float]:
    rewards = []
    for prompt, answer, drawn in zip(PROMPTS, ANSWERS, DRAWN, strict=True):
        own = torch.stack([feature(prompt, text, method) for text in drawn])
        told = feature(prompt, answer, method)
        if whitening:  # the inverse of the root of own^T own, within the span of the group
            values, vectors = torch.linalg.eigh(own.T.double() @ own.double())
            kept = values > 1e-9 * values.max()
            matrix = (vectors[:, kept] * values[kept].rsqrt()) @ vectors[:, kept].T
            own, told = (own.double() @ matrix).float(), (told.double() @ matrix).float()
        else:
            own, told = own / own.norm(dim=-1, keepdim=True), told / told.norm()
        like = torch.nn.functional.cosine_similarity(own, told.expand_as(own), dim=-1)
        pairs = own @ own.T
        others = (pairs.sum(-1) - pairs.diagonal()) / (len(drawn) - 1)
        rewards += (2 * ALIGNMENT * like - 2 * DIVERSITY * others).tolist()
    return rewards


def found(method: str, whitening: bool) -> list[float]:
    holder = SimpleNamespace(
        model=model,
        feature_network=model,
        processing_class=tokenizer,
        num_generations=len(DRAWN[0]),
        _share_feature_weights=False,
        feature_layer_indices=[int(share * depth) for share in LAYERS],
        accelerator=SimpleNamespace(device="cpu"),
        args=SimpleNamespace(
            max_seq_length=512,
            ebft_embed_method=method,
            ebft_use_whitening=whitening,
            ebft_alignment_coef=ALIGNMENT,
            ebft_diversity_coef=DIVERSITY,
        ),
    )
    each = [
        (p, a, text) for p, a, texts in zip(PROMPTS, ANSWERS, DRAWN, strict=True) for text in texts
    ]
    prompts, answers, drawn = (list(column) for column in zip(*each, strict=True))
    return EBFTMixin._feature_matching_reward(holder, prompts, drawn, ground_truth=answers)


METHODS = ("last_token", "mean_pooling", "completion_mean", "concat")
both = {
    f"{method}, {whitening}": (found(method, whitening), expected(method, whitening))
    for method, whitening in product(METHODS, (False, True))
}
Path(sys.argv[2]).write_text(json.dumps(both), "utf-8")
