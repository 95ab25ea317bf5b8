"""Save a SmolLM2 GGUF file as a folder of safetensors with its tokenizer; real_model.py calls it.

    python scripts/gguf_model.py FILE.gguf OUT_DIR

Runs in a backend's environment (torch, transformers, tokenizers), with gguf importable.

transformers reads the weights. The tokenizer it makes of such a file (seen in 5.6.0) is not the
model's: eos is the bos token, there is no pad token, and numbers are not split into digits. So the
tokenizer is built here from what the file says.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging

CONTROL = 3
"""gguf's type of a token that is never written as text."""
PAD = "<|endoftext|>"
QUESTION = "What is the capital of France?"


def read(file: Path) -> dict[str, Any]:
    """The file's metadata."""
    return {name: field.contents() for name, field in GGUFReader(file).fields.items()}


def build_tokenizer(said: dict[str, Any]) -> PreTrainedTokenizerFast:
    """The byte-level BPE that the metadata describes."""
    if (said["tokenizer.ggml.model"], said["tokenizer.ggml.pre"]) != ("gpt2", "smollm"):
        sys.exit("this script knows only the tokenizer of SmolLM2")
    tokens, types = said["tokenizer.ggml.tokens"], said["tokenizer.ggml.token_type"]
    merges = [tuple(pair.split(" ")) for pair in said["tokenizer.ggml.merges"]]
    bpe = Tokenizer(models.BPE({token: at for at, token in enumerate(tokens)}, merges))
    # what `smollm` stands for: each digit by itself, then GPT-2's words
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, types, strict=True) if kind == CONTROL]
    bpe.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in control])

    def named(role: str) -> str:
        return str(tokens[said[f"tokenizer.ggml.{role}_token_id"]])

    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=named("bos"),
        eos_token=named("eos"),
        unk_token=named("unknown"),
        # The file pads with eos. A token of its own keeps a collator that masks padding by its id
        # from masking the end of every answer as well; padding is never looked at, nor trained.
        pad_token=PAD,
        padding_side="right",
        model_max_length=said["llama.context_length"],
        clean_up_tokenization_spaces=False,
        chat_template=said["tokenizer.chat_template"],
    )


def load_model(file: Path, tokenizer: PreTrainedTokenizerFast) -> Any:
    """The weights in float32: four-bit blocks unpacked have no exact value in a shorter type."""
    model = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32, local_files_only=True
    )
    for config in (model.config, model.generation_config):
        config.bos_token_id = tokenizer.bos_token_id
        config.eos_token_id = tokenizer.eos_token_id
        config.pad_token_id = tokenizer.pad_token_id
    return model


def answer(model: Any, tokenizer: PreTrainedTokenizerFast) -> str:
    """What the model says to the question: whether weights, tokens and template belong together."""
    chat = [{"role": "user", "content": QUESTION}]
    prompt = tokenizer.apply_chat_template(
        chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.inference_mode():
        ids = model.generate(**prompt, max_new_tokens=32, do_sample=False)
    return str(tokenizer.decode(ids[0, prompt["input_ids"].shape[1] :])).strip()


def main() -> None:
    """Write the model and its tokenizer into the folder named on the command line."""
    if len(sys.argv) != 3:
        sys.exit("usage: python scripts/gguf_model.py FILE.gguf OUT_DIR")
    file, out = Path(sys.argv[1]), Path(sys.argv[2])
    logging.disable_progress_bar()
    tokenizer = build_tokenizer(read(file))
    model = load_model(file, tokenizer)
    said = answer(model, tokenizer)
    print(f"{QUESTION}\n{said}")
    if "Paris" not in said or not said.endswith(str(tokenizer.eos_token)):
        sys.exit("this is not what SmolLM2 answers: weights and tokenizer do not fit together")
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    main()
