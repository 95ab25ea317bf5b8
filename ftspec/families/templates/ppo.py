"""What trl 0.24's PPOTrainer leaves to its caller, and what it leaves out.

This file is copied beside a training script as it is. The trainer tells padding by its token alone, clips no
gradients, logs every batch, and keeps no completions.
"""

from __future__ import annotations

import json
from pathlib import Path

from torch.nn.utils import clip_grad_norm_
from transformers import AutoTokenizer, GenerationConfig
from trl import PPOTrainer
from trl.trainer import ppo_trainer

SAMPLES, MOST = "samples.jsonl", 8


def tokenised(rows, tokenizer):
    """The prompts as token ids, which are padded on the left: completions follow at once."""
    if tokenizer.pad_token_id in (None, tokenizer.eos_token_id):
        raise ValueError(
            "PPO tells padding by its token: the tokenizer needs one that ends no text"
        )
    tokenizer.padding_side = "left"

    def ids(row):
        prompt = row["prompt"]
        if isinstance(prompt, str):
            return {"input_ids": tokenizer(prompt)["input_ids"]}
        return {
            "input_ids": tokenizer.apply_chat_template(prompt, add_generation_prompt=True)[
                "input_ids"
            ]
        }

    return rows.map(ids, remove_columns=rows.column_names)


class Trainer(PPOTrainer):
    """trl's trainer with a limit for gradients, fewer log lines, and samples of completions."""

    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        self.seen = {"lengths": [], "kept": 0}
        self.norms = []
        tokenizer, model = self.processing_class, self.policy_model
        if len(self.dataloader) == 0:
            raise ValueError(
                f"{self.train_dataset_len} prompts are less than a batch of {self.args.batch_size}"
            )
        scored = AutoTokenizer.from_pretrained(self.reward_model.name_or_path)
        if scored.get_vocab() != tokenizer.get_vocab():
            raise ValueError("the reward model has another vocabulary: it would score other texts")
        # Completions are drawn by temperature alone, whatever else the model's own file says
        self.own_generation = model.generation_config
        model.generation_config = GenerationConfig(
            eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
        )
        self.optimizer.optimizer.register_step_pre_hook(self._clip)
        scores = ppo_trainer.get_reward
        ppo_trainer.get_reward = lambda *given: self._note(scores(*given), *given)

    def train(self):
        super().train()
        self.policy_model.generation_config = self.own_generation

    def _clip(self, *_):
        limit = self.args.max_grad_norm or float("inf")
        trained = [each for each in self.model.parameters() if each.grad is not None]
        self.norms.append(clip_grad_norm_(trained, limit).item())

    def _note(self, found, model, texts, pad, start):
        """Note the lengths of scored completions, and the first ones of each batch with their score."""
        if model is not self.reward_model:
            return found
        tokenizer, step = self.processing_class, self.state.global_step + 1
        folder = Path(self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / SAMPLES).open("a", encoding="utf-8") as out:
            for text, score in zip(texts.tolist(), found[1].tolist(), strict=True):
                prompt = [token for token in text[:start] if token != pad]
                completion = [token for token in text[start:] if token != pad]
                self.seen["lengths"].append(len(completion))
                self.seen["kept"] += 1
                if self.seen["kept"] > MOST:
                    continue
                row = {
                    "step": step,
                    "prompt": tokenizer.decode(prompt),
                    "completion": tokenizer.decode(completion, skip_special_tokens=True),
                    "tokens": len(completion),
                    "rewards": {"model": score},
                }
                print(json.dumps(row, ensure_ascii=False), file=out)
        return found

    def log(self, logs, start_time=None):
        """trl's numbers, and some of them under the names that other trainers give them."""
        lengths, self.seen = self.seen["lengths"], {"lengths": [], "kept": 0}
        norms, self.norms = self.norms, []
        if self.state.global_step % self.args.logging_steps:
            return
        named = {
            "loss": logs["loss/policy_avg"] + self.args.vf_coef * logs["loss/value_avg"],
            "grad_norm": norms[-1],
            "learning_rate": logs.pop("lr"),
            "reward": logs["objective/scores"],
            "kl": logs["objective/kl"],
            "completions/mean_length": sum(lengths) / len(lengths),
        }
        super().log({**named, **logs}, start_time)
