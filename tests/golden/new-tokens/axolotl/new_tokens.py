"""Gives new tokens their embeddings, and draws them by the seed: axolotl would draw others each time."""

from axolotl.integrations.base import BasePlugin
from axolotl.loaders import load_tokenizer
from transformers import set_seed

NEW_TOKENS = ["<tool>", "</tool>"]


class NewTokens(BasePlugin):
    def post_model_build(self, cfg, model):
        tokenizer = load_tokenizer(cfg)
        set_seed(42)  # rows are drawn here
        rows = model.get_input_embeddings().weight.shape[0]
        if len(tokenizer) > rows:
            model.resize_token_embeddings(len(tokenizer), pad_to_multiple_of=64)
            layers = model.get_input_embeddings(), model.get_output_embeddings()
            for weight in dict.fromkeys(each.weight for each in layers):
                weight.data[rows : rows + len(NEW_TOKENS)] = weight.data[:rows].mean(dim=0)
