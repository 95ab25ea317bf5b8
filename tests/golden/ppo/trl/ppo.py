"""What trl 0.24's PPOTrainer leaves to its caller, and what it leaves out.

This file is copied beside a training script as it is. The trainer tells padding by its token alone, clips no
gradients, logs every batch, and keeps no completions.
"""

from __future__ import annotations

import json
from copy import deepcopy
from functools import partial
from pathlib import Path

from torch.nn.utils import clip_grad_norm_
from transformers import AutoTokenizer, GenerationConfig
from trl import PPOTrainer
from trl.trainer import ppo_trainer

PAD = "<|ppo_pad|>"
SAMPLES, MOST = "samples.jsonl", 8


def padding(tokenizer):
    """A copy that pads on the left, so that completions follow at once, by a token that ends no text.

    A new token has no row in the embeddings: the trainer masks it before the model reads it.
    """
    tokenizer = deepcopy(tokenizer)
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id in (None, tokenizer.eos_token_id):
        tokenizer.add_special_tokens({"pad_token": PAD})
    return tokenizer


def tokenised(rows, tokenizer):
    """The prompts as token ids."""
    pad = padding(tokenizer).pad_token_id

    def ids(row):
        prompt = row["prompt"]
        if isinstance(prompt, str):
            found = tokenizer(prompt)["input_ids"]
        else:
            found = tokenizer.apply_chat_template(prompt, add_generation_prompt=True)["input_ids"]
        if pad in found:
            raise ValueError(f"padding is told by its token, and a prompt holds it: {prompt!r}")
        return {"input_ids": found}

    return rows.map(ids, remove_columns=rows.column_names)


class Trainer(PPOTrainer):
    """trl's trainer with a limit for gradients, fewer log lines, and samples of completions."""

    def __init__(self, *, args, model, reward_model, value_model, processing_class, **named):
        padded = padding(processing_class)
        if args.gradient_checkpointing:
            for each in (model, value_model):
                each.gradient_checkpointing_enable(args.gradient_checkpointing_kwargs)
        super().__init__(
            args=args,
            model=model,
            reward_model=reward_model,
            value_model=value_model,
            processing_class=padded,
            **named,
        )
        # trl switches checkpointing off to draw, and on again, on what holds both models
        self.model.gradient_checkpointing_disable = model.gradient_checkpointing_disable
        self.model.gradient_checkpointing_enable = partial(
            model.gradient_checkpointing_enable, args.gradient_checkpointing_kwargs
        )
        if len(self.dataloader) == 0:
            raise ValueError(
                f"{self.train_dataset_len} prompts are less than a batch of {args.batch_size}"
            )
        scored = AutoTokenizer.from_pretrained(reward_model.name_or_path)
        if scored.get_vocab() != processing_class.get_vocab():
            raise ValueError("the reward model has another vocabulary: it would score other texts")
        self.lengths, self.kept, self.norms = [], 0, []
        # Completions are drawn by temperature alone, whatever else the model's own file says
        self.drawing, self.given = model, (processing_class, model.generation_config)
        end, pad = padded.eos_token_id, padded.pad_token_id
        model.generation_config = GenerationConfig(
            eos_token_id=end, pad_token_id=end if padded.pad_token == PAD else pad
        )
        self.optimizer.optimizer.register_step_pre_hook(self._clip)
        if padded.pad_token == PAD:
            likelihoods = ppo_trainer.selective_log_softmax  # of padding they are masked afterwards
            ppo_trainer.selective_log_softmax = lambda logits, drawn: likelihoods(
                logits, drawn.clamp(max=logits.shape[-1] - 1)
            )
        scores = ppo_trainer.get_reward
        ppo_trainer.get_reward = lambda *given: self._note(scores(*given), *given)

    def _clip(self, *_):
        limit = self.args.max_grad_norm or float("inf")
        trained = [each for each in self.model.parameters() if each.grad is not None]
        self.norms.append(clip_grad_norm_(trained, limit).item())

    def _note(self, found, model, texts, pad, start):
        """Note the lengths of scored completions, and the first ones of each batch with their score."""
        if model is not self.reward_model:
            return found
        folder = Path(self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / SAMPLES).open("a", encoding="utf-8") as out:
            for text, score in zip(texts.tolist(), found[1].tolist(), strict=True):
                prompt, completion = (
                    [token for token in part if token != pad]
                    for part in (text[:start], text[start:])
                )
                self.lengths.append(len(completion))
                self.kept += 1
                if self.kept > MOST:
                    continue
                row = {
                    "step": self.state.global_step + 1,
                    "prompt": self.processing_class.decode(prompt),
                    "completion": self.processing_class.decode(
                        completion, skip_special_tokens=True
                    ),
                    "tokens": len(completion),
                    "rewards": {"model": score},
                }
                print(json.dumps(row, ensure_ascii=False), file=out)
        return found

    def log(self, logs, start_time=None):
        """trl's numbers, and some of them under the names that other trainers give them."""
        lengths, norms = self.lengths, self.norms
        self.lengths, self.kept, self.norms = [], 0, []
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

    def _save(self, *given, **named):
        """Save the tokenizer and the settings of generation as they were given."""
        mine = self.processing_class, self.drawing.generation_config
        self.processing_class, self.drawing.generation_config = self.given
        super()._save(*given, **named)
        self.processing_class, self.drawing.generation_config = mine
