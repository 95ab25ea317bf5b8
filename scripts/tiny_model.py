"""Build the tiny Llama with which the example specs train in seconds, on a CPU, offline.

    python scripts/tiny_model.py specs/tiny-model

Needs tokenizers, transformers and torch (any backend's environment has them). The same versions
write the same bytes, so the folder in the repository can be built again and compared.
"""

import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

DATA = Path(__file__).resolve().parents[1] / "specs" / "data" / "chat.jsonl"
UNKNOWN, _START, END, PAD = SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"]
VOCABULARY = 1024
POSITIONS = 512
SEED = 0

# ChatML without a default system prompt. The generation block, which TRL's assistant_only_loss
# reads, covers the turn's end and its line break, because LLaMA-Factory trains on both.
# LLaMA-Factory finds the same turns by rendering this template when its `template` key is absent.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>\n' }}{% endgeneration %}"
    "{% else %}"
    "{{ message['content'] + '<|im_end|>\n' }}"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def train_tokenizer(data: Path) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE on the chats: it can encode every string, nothing is unknown."""
    rows = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()]
    turns = [turn for row in rows for turn in row["messages"]]
    texts = [f"{turn['role']}\n{turn['content']}" for turn in turns]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=SPECIAL,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token=END,
        pad_token=PAD,  # not the eos token: a collator that masks padding would mask every eos too
        unk_token=UNKNOWN,
        padding_side="right",
        model_max_length=POSITIONS,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )


def build_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Two random layers in float32; the weights depend on SEED and the torch build alone."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype="float32",  # LLaMA-Factory loads what this says; it has no key of its own for it
    )
    torch.manual_seed(SEED)
    return LlamaForCausalLM(config)


def main() -> None:
    """Write the model and its tokenizer into the folder named on the command line."""
    if len(sys.argv) != 2:
        sys.exit("usage: python scripts/tiny_model.py OUT_DIR")
    tokenizer = train_tokenizer(DATA)
    if len(tokenizer) != VOCABULARY:
        sys.exit(f"the data gave {len(tokenizer)} tokens instead of {VOCABULARY}")
    tokenizer.save_pretrained(sys.argv[1])
    build_model(tokenizer).save_pretrained(sys.argv[1])


if __name__ == "__main__":
    main()
